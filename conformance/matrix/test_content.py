"""Content type, payload format and correlation."""

import pytest

from support.clients import unique_topic
from support.properties import AmqpProperties
from support.received import MqttProperties


def across(clients, of: str, to: str, **properties):
    """Publishes with `amqp=` or `mqtt=` properties from one protocol to another; gives what is received."""
    topic = unique_topic()
    consumer = clients.consumer(to, topic)
    clients.publisher(of).publish(topic, b"x", **properties)
    return consumer.receive()


@pytest.mark.rule("C-content-type")
@pytest.mark.parametrize("text", ["application/json", "text/plain; charset=utf-8", "", "größe"])
def test_content_type_crosses_both_ways(clients, text):
    assert across(clients, "amqp", "mqtt5", amqp=AmqpProperties(content_type=text)).mqtt.content_type == text
    assert across(clients, "mqtt5", "amqp", mqtt=MqttProperties([], content_type=text)).amqp.content_type == text


@pytest.mark.rule("C-content-type")
def test_a_long_content_type_travels_in_a_header(clients):
    text = "text/" + "x" * 300
    sent = across(clients, "mqtt5", "amqp", mqtt=MqttProperties([], content_type=text)).amqp
    assert (sent.content_type, sent.header("x-content-type")) == (None, ("S", text.encode()))
    back = across(clients, "amqp", "mqtt5", amqp=AmqpProperties(headers=sent.headers)).mqtt
    assert (back.content_type, back.user_properties) == (text, [])


@pytest.mark.rule("C-payload-format")
def test_payload_format_reaches_mqtt_5_and_leaves_no_trace_in_amqp(clients):
    sent = MqttProperties([], payload_format=1)
    assert across(clients, "mqtt5", "mqtt5", mqtt=sent).mqtt.payload_format == 1
    assert not across(clients, "mqtt5", "amqp", mqtt=sent).amqp.headers
    assert across(clients, "amqp", "mqtt5", amqp=AmqpProperties(content_type="a/b")).mqtt.payload_format is None


@pytest.mark.rule("C-correlation-1")
@pytest.mark.parametrize("text", ["order-17", "", "Grüße", "x" * 255])
def test_text_correlation_crosses_both_ways(clients, text):
    to_amqp = across(clients, "mqtt5", "amqp", mqtt=MqttProperties([], correlation_data=text.encode())).amqp
    assert (to_amqp.correlation_id, to_amqp.header("x-correlation-id")) == (text, None)
    to_mqtt = across(clients, "amqp", "mqtt5", amqp=AmqpProperties(correlation_id=text)).mqtt
    assert (to_mqtt.correlation_data, to_mqtt.user_properties) == (text.encode(), [])


@pytest.mark.rule("C-correlation-2")
@pytest.mark.parametrize("data", [b"\x00\x01\xff", b"x" * 256, b"\n", bytes(range(256)) * 4])
def test_binary_correlation_travels_in_a_header(clients, data):
    to_amqp = across(clients, "mqtt5", "amqp", mqtt=MqttProperties([], correlation_data=data)).amqp
    assert (to_amqp.correlation_id, to_amqp.header("x-correlation-id")) == (None, ("x", data))
    for kind in ("x", "S"):
        back = across(clients, "amqp", "mqtt5", amqp=AmqpProperties(headers=[("x-correlation-id", kind, data)])).mqtt
        assert (back.correlation_data, back.user_properties) == (data, [])
