"""Retained values, from whichever protocol."""

import pytest

from support.clients import unique_topic
from support.properties import AmqpProperties

TRUE = [("t", True), ("I", 1), ("b", -1), ("S", b"true")]
NOT_TRUE = [("t", False), ("I", 0), ("S", b"false"), ("S", b"yes"), ("V", None)]


def retain_by_amqp(clients, topic: str, body: bytes, kind: str = "t", value: object = True, **properties) -> None:
    """Publishes to the bus with the retain header."""
    given = AmqpProperties(headers=[("x-mqtt-retain", kind, value), ("unit", "S", b"C")], **properties)
    clients.publisher("amqp").publish(topic, body, amqp=given)


@pytest.mark.rule("C-retain-1")
@pytest.mark.parametrize("version", ["mqtt311", "mqtt5"])
@pytest.mark.parametrize("kind, value", TRUE)
def test_amqp_retains_by_a_header(clients, version, kind, value):
    topic = unique_topic()
    retain_by_amqp(clients, topic, b"21.5", kind, value, delivery_mode=2, content_type="text/plain")
    received = clients.consumer(version, topic).receive()
    assert (received.body, received.retain, received.qos) == (b"21.5", True, 1)
    if version == "mqtt5":
        assert (received.mqtt.content_type, received.mqtt.user_properties) == ("text/plain", [("unit", "C")])


@pytest.mark.rule("C-retain-1")
@pytest.mark.parametrize("kind, value", NOT_TRUE)
def test_a_retain_header_that_is_not_true_retains_nothing(clients, kind, value):
    topic = unique_topic()
    retain_by_amqp(clients, topic, b"21.5", kind, value)
    clients.consumer("mqtt5", topic).expect_silence()


@pytest.mark.rule("C-retain-2")
@pytest.mark.parametrize("version", ["mqtt311", "mqtt5"])
def test_a_retained_mqtt_publish_shows_in_the_amqp_header(clients, version):
    topic = unique_topic()
    consumer, publisher = clients.consumer("amqp", topic), clients.publisher(version)
    publisher.publish(topic, b"21.5", retain=True)
    assert consumer.receive().amqp.headers == [("x-mqtt-retain", "t", True)]
    publisher.publish(topic, b"21.6", retain=False)
    assert not consumer.receive().amqp.headers


@pytest.mark.rule("C-retain-2")
@pytest.mark.parametrize("of", ["amqp", "mqtt5", "redis3"])
def test_a_live_message_has_the_retain_flag_only_as_published(clients, of):
    topic = unique_topic()
    plain, as_published = clients.mqtt(), clients.mqtt()
    plain.subscribe(topic)
    as_published.subscribe(topic, retainAsPublished=True)
    publish_retained(clients, of, topic, b"21.5")
    assert (plain.receive().retain, as_published.receive().retain) == (False, True)


@pytest.mark.rule("C-retain-3")
@pytest.mark.parametrize("redis", ["redis2", "redis3"])
def test_redis_retains_by_a_channel_prefix(clients, redis):
    topic = unique_topic(root="hall")
    channel, queue = clients.consumer(redis, topic), clients.consumer("amqp", topic)
    assert clients.publisher(redis).publish("$retain/" + topic, b"21.5") == 2
    assert (channel.receive().topic, queue.receive().topic) == (topic, topic)
    received = clients.consumer("mqtt5", topic).receive()
    assert (received.topic, received.body, received.retain, received.qos) == (topic, b"21.5", True, 0)


@pytest.mark.rule("C-retain-4")
@pytest.mark.parametrize("clearing", ["amqp", "mqtt311", "mqtt5", "redis2", "redis3"])
@pytest.mark.parametrize("setting", ["amqp", "mqtt5", "redis3"])
def test_an_empty_retained_publish_clears_the_value(clients, setting, clearing):
    topic = unique_topic()
    live = clients.consumer("amqp", topic)
    publish_retained(clients, setting, topic, b"21.5")
    publish_retained(clients, clearing, topic, b"")
    assert [live.receive().body, live.receive().body] == [b"21.5", b""]
    clients.consumer("mqtt5", topic).expect_silence()


@pytest.mark.rule("C-retain-5")
@pytest.mark.parametrize("to", ["amqp", "redis2", "redis3", "lan"])
def test_only_mqtt_gets_retained_values_on_subscribing(clients, to):
    topic = unique_topic()
    publish_retained(clients, "mqtt5", topic, b"21.5")
    consumer = clients.consumer(to, topic)
    consumer.expect_silence()


def publish_retained(clients, of: str, topic: str, body: bytes) -> None:
    """Publishes a retained value the way of each protocol."""
    if of == "amqp":
        retain_by_amqp(clients, topic, body)
    elif of.startswith("mqtt"):
        clients.publisher(of).publish(topic, body, retain=True)
    else:
        clients.publisher(of).publish("$retain/" + topic, body)
