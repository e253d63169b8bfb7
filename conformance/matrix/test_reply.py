"""Request and reply, each side with the client it has always had."""

import uuid
from urllib.parse import quote

import pytest

from support.address import key_of
from support.clients import unique_topic
from support.properties import AmqpProperties, EncodedProperties
from support.received import MqttProperties

DIRECT = "amq.rabbitmq.reply-to"


def queue_name(tail: str = "") -> str:
    """A queue name that no other test uses."""
    return f"replies-{uuid.uuid4().hex[:8]}{tail}"


def own_queue(clients, name: str):
    """A consumer of a new queue of this name, bound to nothing but the default exchange."""
    declarer = clients.publisher("amqp")
    declarer.channel.queue_declare(name, auto_delete=True)
    return clients.queue(queue=name)


@pytest.mark.rule("C-reply-1")
@pytest.mark.parametrize("tail", ["", "/slash", " +#%", ".dots~_-", "ü"])
def test_a_reply_queue_shows_as_an_escaped_reply_topic(clients, tail):
    name, topic = queue_name(tail), unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    clients.publisher("amqp").publish(topic, b"x", amqp=AmqpProperties(reply_to=name))
    assert consumer.receive().mqtt.response_topic == "$reply/" + quote(name, safe="")


@pytest.mark.rule("C-reply-2")
@pytest.mark.parametrize("of", ["mqtt311", "mqtt5", "redis2", "redis3", "amqp"])
@pytest.mark.parametrize("tail", ["", "/a +#%ü"])
def test_publishing_to_a_reply_topic_reaches_exactly_that_queue(clients, of, tail):
    name = queue_name(tail)
    queue = own_queue(clients, name)
    on_the_bus, pattern = clients.queue(pattern="#"), clients.redis_pattern("$reply*")
    clients.publisher(of).publish("$reply/" + quote(name, safe=""), b"answer")
    received = queue.receive()
    assert (received.body, received.exchange, received.address) == (b"answer", "", name)
    on_the_bus.expect_silence()
    pattern.expect_silence()


@pytest.mark.rule("C-reply-2")
def test_a_reply_to_nobody_is_told_to_the_publisher(clients):
    topic = "$reply/" + queue_name()
    assert clients.publisher("mqtt5").publish(topic, b"x", qos=1) == 0x10
    assert clients.publisher("redis3").publish(topic, b"x") == 0


@pytest.mark.rule("C-reply-2")
@pytest.mark.parametrize("topic_filter", ["$reply/#", "$reply/some-queue"])
def test_subscribing_to_reply_topics_is_refused(clients, topic_filter):
    (code,) = clients.mqtt().subscribe(topic_filter)
    assert code >= 0x80


@pytest.mark.rule("C-reply-3")
def test_a_response_topic_becomes_reply_to(clients):
    topic, answer_to = unique_topic(), unique_topic("v1.2/answers")
    consumer = clients.consumer("amqp", topic)
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties([], response_topic=answer_to))
    received = consumer.receive().amqp
    assert received.reply_to == "$topic/" + answer_to
    assert received.headers == [("x-reply-to-topic", "S", key_of(answer_to).encode())]


@pytest.mark.rule("C-reply-3")
def test_a_response_topic_too_long_for_reply_to_is_in_the_header_alone(clients):
    topic, answer_to = unique_topic(), unique_topic("x" * 240)
    consumer = clients.consumer("amqp", topic)
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties([], response_topic=answer_to))
    received = consumer.receive().amqp
    assert received.reply_to is None
    assert received.header("x-reply-to-topic") == ("S", key_of(answer_to).encode())


@pytest.mark.rule("C-reply-3")
def test_a_reply_topic_as_response_topic_is_the_queue_again(clients):
    topic, name = unique_topic(), queue_name("/a b")
    consumer = clients.consumer("amqp", topic)
    answer_to = "$reply/" + quote(name, safe="")
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties([], response_topic=answer_to))
    received = consumer.receive().amqp
    assert (received.reply_to, received.headers or []) == (name, [])


@pytest.mark.rule("C-reply-4")
def test_the_default_exchange_routes_a_topic_reply_to_the_bus(clients):
    topic = unique_topic("v1.2/answers")
    subscriber, channel, queue = (clients.consumer(to, topic) for to in ("mqtt5", "redis3", "amqp"))
    clients.publisher("amqp").publish("", b"answer", exchange="", key="$topic/" + topic, mandatory=True)
    assert subscriber.receive().topic == topic
    assert channel.receive().body == b"answer"
    assert queue.receive().address == key_of(topic)


@pytest.mark.rule("C-reply-4")
def test_a_queue_named_like_a_topic_reply_comes_first(clients):
    topic = unique_topic()
    subscriber, queue = clients.consumer("mqtt5", topic), own_queue(clients, "$topic/" + topic)
    clients.publisher("amqp").publish("", b"answer", exchange="", key="$topic/" + topic)
    assert queue.receive().body == b"answer"
    subscriber.expect_silence()


@pytest.mark.rule("C-reply-5")
def test_a_topic_reply_to_becomes_the_response_topic_again(clients):
    topic, answer_to = unique_topic(), unique_topic("v1.2/answers")
    consumer, publisher = clients.consumer("mqtt5", topic), clients.publisher("amqp")
    publisher.publish(topic, b"x", amqp=AmqpProperties(reply_to="$topic/" + answer_to))
    assert consumer.receive().mqtt.response_topic == answer_to
    header = [("x-reply-to-topic", "S", key_of(answer_to).encode())]
    publisher.publish(topic, b"x", amqp=AmqpProperties(headers=header))
    received = consumer.receive().mqtt
    assert (received.response_topic, received.user_properties) == (answer_to, [])


@pytest.mark.rule("C-reply-3", "C-reply-4", "C-correlation-2")
def test_an_mqtt_request_is_answered_by_an_amqp_worker(clients):
    requests, answers = unique_topic("requests"), unique_topic("v1.2/answers")
    worker, responder = clients.consumer("amqp", requests), clients.publisher("amqp")
    requester = clients.consumer("mqtt5", answers)
    correlation = b"\x00\xff-17"
    asked = MqttProperties([], response_topic=answers, correlation_data=correlation)
    requester.publish(requests, b"6*7", mqtt=asked)
    request = worker.receive().amqp
    given = AmqpProperties(headers=[("x-correlation-id", *request.header("x-correlation-id"))])
    responder.publish("", b"42", exchange="", key=request.reply_to, amqp=given)
    answer = requester.receive()
    assert (answer.topic, answer.body, answer.mqtt.correlation_data) == (answers, b"42", correlation)


@pytest.mark.rule("C-reply-1", "C-reply-2", "C-correlation-1")
@pytest.mark.parametrize("direct", [False, True], ids=["reply-queue", "direct-reply-to"])
def test_an_amqp_request_is_answered_by_an_mqtt_device(clients, direct):
    requests = unique_topic("requests")
    device = clients.consumer("mqtt5", requests)
    requester = clients.queue(queue=DIRECT) if direct else own_queue(clients, queue_name("/a b"))
    asked = AmqpProperties(reply_to=requester.queue, correlation_id="17")
    requester.channel.basic_publish("amq.topic", key_of(requests), b"6*7", EncodedProperties(asked))
    request = device.receive()
    assert request.mqtt.response_topic.startswith("$reply/")
    given = MqttProperties([("unit", "none")], correlation_data=request.mqtt.correlation_data)
    assert device.publish(request.mqtt.response_topic, b"42", mqtt=given) == 0
    answer = requester.receive()
    assert (answer.body, answer.exchange, answer.amqp.correlation_id) == (b"42", "", "17")
    assert answer.amqp.header("unit") == ("S", b"none")
