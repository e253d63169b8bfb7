"""AMQP headers and MQTT user properties."""

import pytest

from support.clients import unique_topic
from support.properties import AmqpProperties
from support.received import MqttProperties

SCALARS = [
    # name, AMQP type, value, text towards MQTT
    ("true", "t", True, "true"),
    ("false", "t", False, "false"),
    ("i8", "b", -5, "-5"),
    ("u8", "B", 200, "200"),
    ("i16", "s", -300, "-300"),
    ("u16", "u", 60000, "60000"),
    ("i32", "I", -70000, "-70000"),
    ("u32", "i", 4000000000, "4000000000"),
    ("i64", "l", -(2**40), "-1099511627776"),
    ("float", "f", 1.5, "1.5"),
    ("double", "d", 0.1, "0.1"),
    ("whole double", "d", 2.0, "2.0"),
    ("decimal", "D", (2, 1250), "12.50"),
    ("small decimal", "D", (2, -5), "-0.05"),
    ("whole decimal", "D", (0, 7), "7"),
    ("text", "S", "Grüße".encode(), "Grüße"),
    ("empty text", "S", b"", ""),
    ("timestamp", "T", 1700000000, "1700000000"),
    ("void", "V", None, ""),
]
NESTED = [
    ("b", "I", 1),
    ("a", "A", [("S", b'x"y'), ("V", None), ("t", True)]),
    ("binary", "x", b"\x00\xff"),
    ("half", "d", 0.5),
]
NESTED_JSON = '{"b":1,"a":["x\\"y",null,true],"binary":"AP8=","half":0.5}'


def to_mqtt(clients, headers) -> list[tuple[str, str]]:
    """The user properties that AMQP headers become."""
    topic = unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    clients.publisher("amqp").publish(topic, b"x", amqp=AmqpProperties(headers=headers))
    return consumer.receive().mqtt.user_properties


def to_amqp(clients, user_properties):
    """The AMQP properties that user properties become."""
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties(user_properties))
    return consumer.receive().amqp


@pytest.mark.rule("C-headers-1")
def test_user_properties_become_long_strings_in_order(clients):
    pairs = [("zone", "3"), ("area", "Grüße"), ("empty", ""), ("Case", "Kept")]
    assert to_amqp(clients, pairs).headers == [(name, "S", value.encode()) for name, value in pairs]


@pytest.mark.rule("C-headers-2")
def test_a_repeated_user_property_becomes_an_array_at_the_place_of_the_first(clients):
    pairs = [("first", "1"), ("tag", "b"), ("middle", "2"), ("tag", "a"), ("last", "3"), ("tag", "b")]
    assert to_amqp(clients, pairs).headers == [
        ("first", "S", b"1"),
        ("tag", "A", [("S", b"b"), ("S", b"a"), ("S", b"b")]),
        ("middle", "S", b"2"),
        ("last", "S", b"3"),
    ]


@pytest.mark.rule("C-headers-3")
def test_headers_of_every_type_become_text(clients):
    headers = [(name, kind, value) for name, kind, value, _ in SCALARS]
    assert to_mqtt(clients, headers) == [(name, text) for name, _, _, text in SCALARS]


@pytest.mark.rule("C-headers-4")
def test_an_array_becomes_a_repeated_user_property(clients):
    headers = [("tag", "A", [("S", b"b"), ("I", 7), ("t", True)]), ("none", "A", []), ("after", "S", b"x")]
    assert to_mqtt(clients, headers) == [("tag", "b"), ("tag", "7"), ("tag", "true"), ("after", "x")]


@pytest.mark.rule("C-headers-4")
def test_tables_and_inner_arrays_become_json(clients):
    headers = [("table", "F", NESTED), ("deep", "A", [("A", [("I", 1), ("S", b"x")]), ("F", NESTED)]), ("no", "F", [])]
    expected = [("table", NESTED_JSON), ("deep", '[1,"x"]'), ("deep", NESTED_JSON), ("no", "{}")]
    assert to_mqtt(clients, headers) == expected


@pytest.mark.rule("C-headers-5")
def test_bytes_become_base64_and_control_characters_spaces(clients):
    headers = [
        ("bytes", "x", b"\x00\xff\x10"),
        ("not utf-8", "S", b"\xff\xfe"),
        ("nul", "S", b"a\0b"),
        ("lines", "S", "one\ntwo\tthree\x7ffour\u0085five".encode()),
    ]
    assert to_mqtt(clients, headers) == [
        ("bytes", "AP8Q"),
        ("not utf-8", "//4="),
        ("nul", "YQBi"),
        ("lines", "one two three four five"),
    ]


@pytest.mark.rule("C-headers-6", "C-properties-4")
def test_amqp_to_amqp_is_untouched(clients):
    headers = [(name, kind, value) for name, kind, value, _ in SCALARS]
    headers += [("table", "F", NESTED), ("array", "A", [("F", NESTED), ("x", b"\0")]), ("x-mqtt-retain", "t", False)]
    sent = AmqpProperties(
        content_type="text/plain", content_encoding="gzip", headers=headers, delivery_mode=2, priority=200,
        correlation_id="c", reply_to="somewhere", expiration="60000", message_id="m", timestamp=2**63, type="t",
        user_id="guest", app_id="a", cluster_id="old",
    )
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.publisher("amqp").publish(topic, b"x", amqp=sent)
    assert consumer.receive().amqp == sent


@pytest.mark.rule("C-headers-6")
def test_mqtt_to_mqtt_is_untouched(clients):
    pairs = [("tag", "b"), ("zone", "3"), ("tag", "a"), ("", "nameless"), ("tag", "b"), ("type", "1"), ("type", "2")]
    topic = unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    clients.publisher("mqtt5").publish(topic, b"x", mqtt=MqttProperties(pairs))
    assert consumer.receive().mqtt.user_properties == pairs


@pytest.mark.rule("C-headers-7")
def test_what_mqtt_cannot_say_is_left_out_alone(clients):
    headers = [
        (b"\xff", "S", b"name is not UTF-8"),
        ("line\nbreak", "S", b"name has a control character"),
        ("too long", "S", b"v" * 65536),
        ("x-mqtt-retain", "t", False),
        ("BCC", "A", [("S", b"elsewhere")]),
        ("kept", "S", b"x"),
    ]
    assert to_mqtt(clients, headers) == [("kept", "x")]
    assert to_mqtt(clients, [("longest", "S", b"v" * 65535)]) == [("longest", "v" * 65535)]


@pytest.mark.rule("C-headers-7")
def test_what_amqp_cannot_say_is_left_out_alone(clients):
    pairs = [("n" * 256, "too long"), ("n" * 255, "longest"), ("kept", "x")]
    assert to_amqp(clients, pairs).headers == [("n" * 255, "S", b"longest"), ("kept", "S", b"x")]
