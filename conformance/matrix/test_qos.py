"""QoS and delivery mode."""

import pytest

from support.clients import CONSUMERS, topic_for, unique_topic
from support.properties import AmqpProperties


@pytest.mark.rule("C-qos-1")
@pytest.mark.parametrize("version", ["mqtt311", "mqtt5"])
@pytest.mark.parametrize("qos, mode", [(0, 1), (1, 2), (2, 2)])
def test_qos_becomes_the_delivery_mode(clients, version, qos, mode):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.publisher(version).publish(topic, b"x", qos=qos)
    assert consumer.receive().amqp.delivery_mode == mode


@pytest.mark.rule("C-qos-2", "C-qos-3")
@pytest.mark.parametrize("version", ["mqtt311", "mqtt5"])
@pytest.mark.parametrize("mode, published", [(2, 1), (1, 0), (None, 0)])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
def test_the_delivery_mode_becomes_the_qos(clients, version, mode, published, subscribed):
    topic = unique_topic()
    consumer = clients.consumer(version, topic, qos=subscribed)
    clients.publisher("amqp").publish(topic, b"x", amqp=AmqpProperties(delivery_mode=mode))
    assert consumer.receive().qos == min(published, subscribed)


@pytest.mark.rule("C-qos-3")
@pytest.mark.parametrize("of", ["mqtt311", "mqtt5"])
@pytest.mark.parametrize("to", ["mqtt311", "mqtt5"])
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
def test_a_subscriber_receives_at_the_smaller_qos(clients, of, to, published, subscribed):
    topic = unique_topic()
    consumer = clients.consumer(to, topic, qos=subscribed)
    clients.publisher(of).publish(topic, b"x", qos=published)
    assert consumer.receive().qos == min(published, subscribed)


@pytest.mark.rule("C-qos-4")
@pytest.mark.parametrize("of", ["redis2", "redis3", "lan"])
@pytest.mark.parametrize("to", [name for name in CONSUMERS if name[0] in "am"])
def test_redis_and_lan_count_as_qos_0(clients, of, to):
    topic = topic_for(of)
    consumer = clients.consumer(to, topic)
    clients.publisher(of).publish(topic, b"x")
    received = consumer.receive()
    assert (received.amqp.delivery_mode == 1) if to == "amqp" else (received.qos == 0)
