"""The AMQP properties that MQTT has no field for, and messages that use everything, between all protocols."""

import pytest

from support.clients import CONSUMERS, PUBLISHERS, topic_for, unique_topic
from support.properties import AmqpProperties
from support.received import MqttProperties, Received

# In the order of rule C-properties-1.
NAMED = [
    ("content-encoding", "gzip"),
    ("priority", "7"),
    ("message-id", "m-1"),
    ("timestamp", "1700000000"),
    ("type", "reading"),
    ("user-id", "guest"),
    ("app-id", "plc"),
]
NAMED_AMQP = {
    "content_encoding": "gzip",
    "priority": 7,
    "message_id": "m-1",
    "timestamp": 1700000000,
    "type": "reading",
    "user_id": "guest",
    "app_id": "plc",
}
LOGIN = {"user": "guest", "password": "guest"}


@pytest.mark.rule("C-properties-1")
def test_amqp_properties_become_user_properties_before_the_headers(clients):
    topic = unique_topic()
    consumer = clients.consumer("mqtt5", topic)
    given = AmqpProperties(**NAMED_AMQP, cluster_id="old", headers=[("zone", "S", b"3")])
    clients.publisher("amqp").publish(topic, b"x", amqp=given)
    assert consumer.receive().mqtt.user_properties == [*NAMED, ("zone", "3")]


@pytest.mark.rule("C-properties-2")
def test_user_properties_of_these_names_become_amqp_properties(clients):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    publisher = clients.mqtt(**LOGIN)
    publisher.publish(topic, b"x", qos=0, mqtt=MqttProperties([("zone", "3"), *NAMED]))
    expected = AmqpProperties(**NAMED_AMQP, delivery_mode=1, headers=[("zone", "S", b"3")])
    assert consumer.receive().amqp == expected


@pytest.mark.rule("C-properties-2")
def test_what_does_not_fit_stays_a_header(clients):
    pairs = [
        ("priority", "256"),
        ("timestamp", "yesterday"),
        ("message-id", "m" * 256),
        ("type", "a"),
        ("type", "b"),
        ("app-id", "plc"),
    ]
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.publisher("mqtt5").publish(topic, b"x", qos=0, mqtt=MqttProperties(pairs))
    headers = [(name, "S", value.encode()) for name, value in pairs[:3]]
    headers.append(("type", "A", [("S", b"a"), ("S", b"b")]))
    assert consumer.receive().amqp == AmqpProperties(app_id="plc", delivery_mode=1, headers=headers)


@pytest.mark.rule("C-properties-3")
@pytest.mark.parametrize("login", [LOGIN, {}], ids=["as guest", "anonymous"])
def test_a_user_id_that_is_not_the_publishers_stays_a_header(clients, login):
    topic = unique_topic()
    consumer = clients.consumer("amqp", topic)
    clients.mqtt(**login).publish(topic, b"x", mqtt=MqttProperties([("user-id", "director")]))
    received = consumer.receive().amqp
    assert (received.user_id, received.headers) == (None, [("user-id", "S", b"director")])


# One message that says everything the rules know, as AMQP and as MQTT 5 say it.
NAMED_BUT_USER = [pair for pair in NAMED if pair[0] != "user-id"]
FULL_AMQP = AmqpProperties(
    **{name: value for name, value in NAMED_AMQP.items() if name != "user_id"},
    content_type="text/plain",
    headers=[("zone", "S", b"3"), ("shift", "S", b"night")],
    delivery_mode=2,
    correlation_id="c-1",
    reply_to="answers",
    expiration="60000",
)
FULL_MQTT = MqttProperties(
    [*NAMED_BUT_USER, ("zone", "3"), ("shift", "night")],
    content_type="text/plain",
    correlation_data=b"c-1",
    response_topic="$reply/answers",
    expiry_s=60,
)


@pytest.mark.rule("C-body-2", "C-body-3", "C-lan-1", "C-headers-1", "C-headers-6", "C-properties-1", "C-properties-2")
@pytest.mark.parametrize("to", CONSUMERS)
@pytest.mark.parametrize("of", PUBLISHERS)
def test_a_full_message_arrives_as_full_as_both_protocols_allow(clients, of, to):
    topic = topic_for(of)
    consumer = clients.consumer(to, topic, **({"qos": 1} if to.startswith("mqtt") else {}))
    full = {"amqp": {"amqp": FULL_AMQP}, "mqtt5": {"mqtt": FULL_MQTT}}
    clients.publisher(of).publish(topic, b"body", **full.get(of, {}))
    received = consumer.receive()
    assert received.body == b"body"
    says_everything = of in full
    persistent = says_everything or of == "mqtt311"
    if to == "amqp":
        assert_amqp(received, of, says_everything, persistent)
    elif to.startswith("mqtt"):
        assert received.qos == (1 if persistent else 0)
        assert received.retain is False
    if to == "mqtt5":
        assert received.mqtt == (FULL_MQTT if says_everything else MqttProperties([]))


def assert_amqp(received: Received, of: str, says_everything: bool, persistent: bool) -> None:
    """An AMQP delivery of the full message; the expiry from MQTT is the time left."""
    found = received.amqp
    if of == "mqtt5":
        assert 50_000 < int(found.expiration) <= 60_000
        found.expiration = FULL_AMQP.expiration
    if says_everything:
        assert found == FULL_AMQP
    else:
        found.headers = found.headers or None
        assert found == AmqpProperties(delivery_mode=2 if persistent else 1)
