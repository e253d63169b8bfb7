"""CloudEvents in binary mode: prefixed AMQP headers, plain MQTT user properties."""

import pytest

from support.clients import unique_topic
from support.properties import AmqpProperties
from support.received import MqttProperties

ATTRIBUTES = [
    ("specversion", "1.0"),
    ("id", "A234-1234-1234"),
    ("source", "/plant/line1"),
    ("type", "com.example.reading"),
    ("time", "2026-01-31T17:31:00Z"),
    ("comexampleextension1", "value"),
]
DATA = b'{"temp":21.5}'


@pytest.mark.rule("C-cloudevents-1", "C-cloudevents-3")
@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_"])
def test_an_amqp_event_loses_the_prefix_towards_mqtt(clients, prefix):
    topic = unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    headers = [(prefix + name, "S", value.encode()) for name, value in ATTRIBUTES]
    headers += [("zone", "S", b"3"), ("source", "S", b"another thing")]
    given = AmqpProperties(content_type="application/json", type="another thing", app_id="plc", headers=headers)
    clients.publisher("amqp").publish(topic, DATA, amqp=given)
    received = consumer.receive()
    assert (received.body, received.mqtt.content_type) == (DATA, "application/json")
    assert received.mqtt.user_properties == [("app-id", "plc"), *ATTRIBUTES, ("zone", "3")]


@pytest.mark.rule("C-cloudevents-2", "C-cloudevents-3")
def test_an_mqtt_event_gets_the_prefix_towards_amqp(clients):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    given = MqttProperties([*ATTRIBUTES, ("Zone-3", "x"), ("app-id", "plc")], content_type="application/json")
    clients.publisher("mqtt5").publish(topic, DATA, qos=0, mqtt=given)
    received = consumer.receive()
    headers = [("cloudEvents:" + name, "S", value.encode()) for name, value in ATTRIBUTES] + [("Zone-3", "S", b"x")]
    assert received.body == DATA
    expected = AmqpProperties(content_type="application/json", app_id="plc", delivery_mode=1, headers=headers)
    assert received.amqp == expected


@pytest.mark.rule("C-cloudevents-2")
@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_what_lacks_an_attribute_is_no_event(clients, missing):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    pairs = [pair for pair in ATTRIBUTES if pair[0] != missing]
    clients.publisher("mqtt5").publish(topic, DATA, mqtt=MqttProperties(pairs))
    names = [name for name, _, _ in consumer.receive().amqp.headers]
    assert names == [name for name, _ in pairs if name != "type"]
