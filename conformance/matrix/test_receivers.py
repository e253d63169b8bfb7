"""Who counts as a receiver, and what a publisher without any is told."""

import pika.exceptions
import pytest

from support.clients import unique_topic


@pytest.mark.rule("C-receivers-1")
@pytest.mark.parametrize("redis", ["redis2", "redis3"])
def test_publish_counts_the_receivers_of_all_protocols(clients, redis):
    topic = unique_topic(root="hall")
    publisher = clients.publisher(redis)
    assert publisher.publish(topic, b"x") == 0
    clients.consumer("redis3", topic, pattern=topic[:-1] + "*")
    assert publisher.publish(topic, b"x") == 2
    session = clients.consumer("mqtt5", topic)
    session.subscribe(topic.replace("value", "+"))
    clients.consumer("mqtt311", topic)
    clients.consumer("amqp", topic)
    assert publisher.publish(topic, b"x") == 5


@pytest.mark.rule("C-receivers-1")
def test_publish_counts_a_lan_link(clients):
    assert clients.publisher("redis3").publish(unique_topic(), b"x") == 1


@pytest.mark.rule("C-receivers-2")
def test_a_mandatory_message_is_returned_if_nobody_of_any_protocol_gets_it(clients):
    topic = unique_topic(root="hall")
    publisher = clients.publisher("amqp")
    with pytest.raises(pika.exceptions.UnroutableError):
        publisher.publish(topic, b"x", mandatory=True)
    clients.consumer("redis3", topic)
    publisher.publish(topic, b"x", mandatory=True)


@pytest.mark.rule("C-receivers-2")
@pytest.mark.parametrize("to", ["amqp", "redis3", "mqtt311"])
def test_an_mqtt_5_publisher_is_told_when_nobody_of_any_protocol_listens(clients, to):
    topic = unique_topic(root="hall")
    publisher = clients.publisher("mqtt5")
    assert publisher.publish(topic, b"x", qos=1) == 0x10
    clients.consumer(to, topic)
    assert publisher.publish(topic, b"x", qos=1) == 0
