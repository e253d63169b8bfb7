"""Expiry: fixed once, written as the time left."""

import time
import uuid

import pytest

from support.address import key_of
from support.clients import unique_topic
from support.mqtt import V5, V311
from support.properties import AmqpProperties
from support.received import MqttProperties


def bound_queue(clients, topic: str, **arguments) -> tuple:
    """A channel and a new queue bound to a topic, which nobody consumes yet."""
    channel = clients.publisher("amqp").connection.channel()
    name = channel.queue_declare(f"waiting-{uuid.uuid4().hex[:8]}", auto_delete=True, arguments=arguments).method.queue
    channel.queue_bind(name, "amq.topic", key_of(topic))
    return channel, name


def offline_session(clients, topic: str, version: int = V5) -> str:
    """The client id of a session that is subscribed and not connected."""
    client_id = uuid.uuid4().hex
    client = clients.mqtt(version, client_id=client_id, clean=False, session_expiry_s=300 if version == V5 else None)
    client.subscribe(topic, 1)
    client.close()
    return client_id


def resume(clients, client_id: str, version: int = V5):
    """Connects to a session again."""
    expiry_s = 300 if version == V5 else None
    return clients.mqtt(version, client_id=client_id, clean=False, session_expiry_s=expiry_s)


@pytest.mark.rule("C-expiry-2")
@pytest.mark.parametrize("ms, seconds", [("60000", 60), ("1500", 2), ("900", 1), ("4294967295", 4294968)])
def test_milliseconds_become_seconds_rounded_up(clients, ms, seconds):
    topic = unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    clients.publisher("amqp").publish(topic, b"x", amqp=AmqpProperties(expiration=ms))
    assert consumer.receive().mqtt.expiry_s == seconds


@pytest.mark.rule("C-expiry-3")
def test_seconds_become_milliseconds(clients):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties([], expiry_s=60))
    assert 50_000 < int(consumer.receive().amqp.expiration) <= 60_000


@pytest.mark.rule("C-expiry-1", "C-expiry-2")
def test_an_mqtt_receiver_sees_the_time_that_is_left(clients):
    topic = unique_topic()
    session = offline_session(clients, topic)
    given = AmqpProperties(expiration="20000", delivery_mode=2)
    clients.publisher("amqp").publish(topic, b"x", amqp=given)
    time.sleep(1.2)
    assert 10 <= resume(clients, session).receive().mqtt.expiry_s <= 19


@pytest.mark.rule("C-expiry-1", "C-expiry-3")
def test_an_amqp_receiver_sees_the_time_that_is_left_or_the_publishers_own_words(clients):
    topic = unique_topic()
    channel, queue = bound_queue(clients, topic)
    clients.publisher("mqtt5").publish(topic, b"1", mqtt=MqttProperties([], expiry_s=20))
    clients.publisher("amqp").publish(topic, b"2", amqp=AmqpProperties(expiration="20000"))
    time.sleep(1.2)
    first, second = (channel.basic_get(queue, auto_ack=True)[1].expiration for _ in range(2))
    assert 10_000 <= int(first) <= 18_800
    assert second == "20000"


@pytest.mark.rule("C-expiry-4")
def test_an_expired_message_leaves_an_amqp_queue(clients):
    topic = unique_topic()
    channel, queue = bound_queue(clients, topic)
    clients.publisher("mqtt5").publish(topic, b"old", mqtt=MqttProperties([], expiry_s=1))
    clients.publisher("amqp").publish(topic, b"old", amqp=AmqpProperties(expiration="300"))
    time.sleep(1.3)
    clients.publisher("amqp").publish(topic, b"new")
    assert channel.basic_get(queue, auto_ack=True)[2] == b"new"


@pytest.mark.rule("C-expiry-4")
def test_an_mqtt_message_that_expires_in_a_queue_is_dead_lettered(clients):
    topic = unique_topic()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"dead-{uuid.uuid4().hex[:8]}"}
    channel, _ = bound_queue(clients, topic, **arguments)
    channel.queue_declare(arguments["x-dead-letter-routing-key"], auto_delete=True)
    dead = clients.queue(queue=arguments["x-dead-letter-routing-key"])
    clients.publisher("mqtt5").publish(topic, b"old", mqtt=MqttProperties([("zone", "3")], expiry_s=1))
    received = dead.receive()
    assert (received.body, received.amqp.header("zone")) == (b"old", ("S", b"3"))
    (kind, death), *_ = received.amqp.header("x-death")[1]
    assert (kind, {name: value for name, _, value in death}["reason"]) == ("F", b"expired")
    assert received.amqp.expiration is None


@pytest.mark.rule("C-expiry-4")
@pytest.mark.parametrize("version", [V311, V5], ids=["mqtt311", "mqtt5"])
def test_an_expired_message_leaves_an_mqtt_session(clients, version):
    topic = unique_topic()
    session = offline_session(clients, topic, version)
    publisher = clients.publisher("amqp")
    publisher.publish(topic, b"old", amqp=AmqpProperties(expiration="300", delivery_mode=2))
    time.sleep(0.5)
    publisher.publish(topic, b"new", amqp=AmqpProperties(delivery_mode=2))
    assert resume(clients, session, version).receive().body == b"new"


@pytest.mark.rule("C-expiry-4")
def test_an_expired_retained_value_is_gone(clients):
    topic = unique_topic()
    given = AmqpProperties(expiration="300", headers=[("x-mqtt-retain", "t", True)])
    clients.publisher("amqp").publish(topic, b"old", amqp=given)
    time.sleep(0.5)
    clients.consumer("mqtt5", topic).expect_silence()
