"""What paho.mqtt.testing's `client_test.py` and `client_test5.py` ask for, case by case, as tests of ours.

The originals are in no registry (see `paho_testing.py`), and some of them send on one connection and rely on its
being handled before what they send on another. Here every answer is waited for. Names are the originals'.
"""

import socket
import time

import paho.mqtt.client as paho
import pytest

from crash.mqtt_peer import packet, read_packet, text
from support.clients import unique_topic
from support.mqtt import V5, V311
from support.received import MqttProperties

both_versions = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])


def topics() -> list[str]:
    """The suite's five topics, below a root that no other test uses."""
    root = unique_topic("t")
    return [f"{root}/{tail}" for tail in ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")]


def session(clients, version: int, client_id: str, **options):
    """A client whose session outlives its connection."""
    expiry = {"session_expiry_s": 99999} if version == V5 else {}
    return clients.mqtt(version, client_id=client_id, clean=False, **{**expiry, **options})


@both_versions
def test_basic(clients, version):
    client, topic = clients.mqtt(version), topics()[0]
    client.subscribe(topic, 2)
    for qos in (0, 1, 2):
        client.publish(topic, b"qos %d" % qos, qos)
    received = {(message.body, message.qos) for message in (client.receive() for _ in range(3))}
    assert received == {(b"qos 0", 0), (b"qos 1", 1), (b"qos 2", 2)}


@both_versions
def test_retained_messages(clients, version):
    publisher, names = clients.mqtt(version), topics()
    for qos, topic in enumerate(names[1:4]):
        publisher.publish(topic, b"qos %d" % qos, qos, retain=True)
    root = names[0].rsplit("/", 1)[0]
    subscriber = clients.mqtt(version)
    subscriber.subscribe(f"{root}/+/+", 2)
    got = {(message.topic, message.qos, message.retain) for message in (subscriber.receive() for _ in range(3))}
    assert got == {(topic, qos, True) for qos, topic in enumerate(names[1:4])}
    for topic in names[1:4]:
        publisher.publish(topic, b"", 1, retain=True)
    late = clients.mqtt(version)
    late.subscribe(f"{root}/+/+", 2)
    late.expect_silence()


def test_zero_length_clientid(clients, gateway):
    for flags, code in ((0x00, 2), (0x02, 0)):
        with socket.create_connection(("127.0.0.1", gateway.port("mqtt")), timeout=5) as raw:
            raw.sendall(packet(0x10, text("MQTT") + bytes([4, flags, 0, 0]) + text("")))
            assert read_packet(raw.makefile("rb"))[1][1] == code
    assigned = {clients.mqtt().connack[1].AssignedClientIdentifier for _ in range(2)}
    assert len(assigned) == 2 and all(assigned)


@both_versions
def test_offline_message_queueing(clients, version):
    name, names = unique_topic("c").replace("/", "-"), topics()
    sleeper = session(clients, version, name)
    sleeper.subscribe(names[0].rsplit("/", 1)[0] + "/#", 2)
    sleeper.close()
    publisher = clients.mqtt(version)
    for qos, topic in enumerate(names[1:4]):
        publisher.publish(topic, b"qos %d" % qos, qos)
    back = session(clients, version, name)
    assert [(back.receive().body) for _ in range(2)] == [b"qos 1", b"qos 2"]
    back.expect_silence()


@both_versions
def test_overlapping_subscriptions(clients, version):
    client, names = clients.mqtt(version), topics()
    client.subscribe(names[0] + "/#", 2)
    client.subscribe(names[0] + "/+", 1)
    client.publish(names[3], b"overlapping", 2)
    assert client.receive().qos == 2
    client.expect_silence()


@both_versions
def test_redelivery_on_reconnect(clients, version):
    name, names = unique_topic("c").replace("/", "-"), topics()
    paused = session(clients, version, name, manual_ack=True)
    paused.subscribe(names[0] + "/#", 2)
    paused.publish(names[1], b"1", 1)
    assert paused.receive().body == b"1"
    paused.drop()
    again = session(clients, version, name)
    assert again.receive().body == b"1"
    again.expect_silence()


@both_versions
def test_dollar_topics(clients, version):
    client, root = clients.mqtt(version), unique_topic("d")
    client.subscribe(f"+/{root}", 2)
    client.subscribe(f"$own/{root}", 2)
    publisher = clients.mqtt(version)
    publisher.publish(f"own/{root}", b"x", 1)
    assert client.receive().topic == f"own/{root}"
    # Closed to publishers, as docs/mqtt.md says: it reaches not even who asked for it by name.
    publisher.publish(f"$own/{root}", b"x", 1)
    client.expect_silence()


@both_versions
def test_unsubscribe(clients, version):
    client, names = clients.mqtt(version), topics()
    for topic in names[:3]:
        client.subscribe(topic, 2)
    client.unsubscribe(names[0])
    publisher = clients.mqtt(version)
    for topic in names[:3]:
        publisher.publish(topic, b"x", 1)
    assert sorted(client.receive().topic for _ in range(2)) == sorted(names[1:3])
    client.expect_silence()


@both_versions
def test_will_message(clients, version):
    topic, watcher = unique_topic(), clients.mqtt(version)
    watcher.subscribe(topic, 2)
    will = paho.MQTTMessage(topic=topic.encode())
    will.payload, will.qos, will.retain = b"client not disconnected", 0, False
    clients.mqtt(version, will=will).drop()
    assert watcher.receive().body == b"client not disconnected"


class TestVersion5:
    """The cases of `client_test5.py` that MQTT 3.1.1 does not have, by exact bytes where the client hides them."""

    def raw(self, gateway, properties: bytes, client_id: str = "", keep_alive: int = 0):
        """A raw connection: its socket, its stream and its CONNACK."""
        connection = socket.create_connection(("127.0.0.1", gateway.port("mqtt")), timeout=8)
        head = text("MQTT") + bytes([5, 2]) + keep_alive.to_bytes(2, "big")
        connection.sendall(packet(0x10, head + bytes([len(properties)]) + properties + text(client_id)))
        stream = connection.makefile("rb")
        return connection, stream, read_packet(stream)[1]

    def subscribed(self, gateway, topic: str, properties: bytes, options: int):
        """A raw subscriber."""
        connection, stream, connack = self.raw(gateway, properties)
        assert connack[1] == 0
        connection.sendall(packet(0x82, b"\x00\x01\x00" + text(topic) + bytes([options])))
        assert read_packet(stream)[1][-1] == options & 3
        return connection, stream

    def test_server_topic_alias(self, gateway, clients):
        topic = unique_topic()
        connection, stream = self.subscribed(gateway, topic, b"\x22\x00\x01", 1)
        publisher = clients.mqtt()
        bodies = []
        for number in range(3):
            publisher.publish(topic, b"%d" % number, 1)
            bodies.append(read_packet(stream)[1])
        assert bodies[0][: 2 + len(topic)] == text(topic) and b"\x23\x00\x01" in bodies[0]
        assert all(body[:2] == b"\x00\x00" and b"\x23\x00\x01" in body for body in bodies[1:])
        connection.close()

    def test_flow_control1(self, gateway):
        connection, stream, connack = self.raw(gateway, b"")
        limit = int.from_bytes(connack[connack.index(0x21, 3) + 1:][:2], "big")
        for packet_id in range(1, limit + 2):
            connection.sendall(packet(0x34, text("flow") + packet_id.to_bytes(2, "big") + b"\x00x"))
        answers = [read_packet(stream) for _ in range(limit + 1)]
        assert [first for first, _ in answers] == [0x50] * limit + [0xE0]
        assert answers[-1][1][0] == 0x93
        connection.close()

    def test_flow_control2(self, gateway, clients):
        topic = unique_topic()
        connection, stream = self.subscribed(gateway, topic, b"\x21\x00\x02", 2)
        clients.mqtt().publish_many(topic, [b"%d" % number for number in range(4)], 2)
        ids = [read_packet(stream)[1][2 + len(topic):][:2] for _ in range(2)]
        connection.settimeout(0.4)
        with pytest.raises(TimeoutError):
            stream.read(1)
        connection.settimeout(8)
        stream = connection.makefile("rb")
        connection.sendall(packet(0x50, ids[0]))
        assert read_packet(stream) == (0x62, ids[0])
        connection.sendall(packet(0x70, ids[0]))
        assert read_packet(stream)[0] == 0x34
        connection.close()

    def test_keepalive(self, gateway):
        connection, stream, connack = self.raw(gateway, b"", keep_alive=1)
        assert connack[1] == 0
        start = time.monotonic()
        assert read_packet(stream) == (0xE0, b"\x8d")
        assert 1.4 < time.monotonic() - start < 6
        connection.close()

    def test_server_keep_alive(self, start_gateway):
        own = start_gateway('[mqtt]\nkeep_alive_max = "60s"\n')
        for keep_alive, expected in ((120, True), (0, True), (30, False)):
            connection, _, connack = self.raw(own, b"", keep_alive=keep_alive)
            assert (b"\x13\x00\x3c" in connack) == expected
            connection.close()

    def test_maximum_packet_size(self, gateway, clients):
        connection, stream, connack = self.raw(gateway, b"")
        limit = int.from_bytes(connack[connack.index(0x27, 3) + 1:][:4], "big")
        remaining = limit + 1 - 4  # a length of three bytes
        length = bytes([remaining & 127 | 128, remaining >> 7 & 127 | 128, remaining >> 14])
        connection.sendall(b"\x30" + length + text("big"))
        assert read_packet(stream) == (0xE0, b"\x95")
        connection.close()
        topic, small = unique_topic(), clients.mqtt(connect_properties={"MaximumPacketSize": 64})
        small.subscribe(topic, 2)
        publisher = clients.mqtt()
        publisher.publish(topic, bytes(64), 2)
        publisher.publish(topic, b"fits", 2)
        assert small.receive().body == b"fits"

    def test_session_expiry(self, clients):
        name, topic = unique_topic("c").replace("/", "-"), unique_topic()
        clients.mqtt(client_id=name, session_expiry_s=0).close()
        assert not clients.mqtt(client_id=name, clean=False, session_expiry_s=5).connack[2]
        first = clients.mqtt(client_id=name, clean=False, session_expiry_s=1)
        first.subscribe(topic, 2)
        first.close()
        time.sleep(1.5)
        assert not clients.mqtt(client_id=name, clean=False, session_expiry_s=1).connack[2]

    def test_payload_format_and_user_properties(self, clients):
        topic, client = unique_topic(), clients.mqtt()
        client.subscribe(topic, 2)
        pairs = [("a", "2"), ("c", "3"), ("a", "1")]
        properties = MqttProperties(pairs, content_type="My name", payload_format=1)
        for qos in (0, 1, 2):
            client.publish(topic, b"payload", qos, mqtt=properties)
            got = client.receive().mqtt
            assert (got.user_properties, got.content_type, got.payload_format) == (pairs, "My name", 1)

    def test_subscribe_options(self, clients):
        topic, own, other = unique_topic(), clients.mqtt(), clients.mqtt()
        for client in (own, other):
            client.subscribe(topic, 2, noLocal=True)
        own.publish(topic, b"noLocal", 1)
        assert other.receive().body == b"noLocal"
        own.expect_silence()
        for as_published in (True, False):
            other.subscribe(topic, 2, retainAsPublished=as_published, retainHandling=2)
            own.publish(topic, b"kept", 1, retain=True)
            assert other.receive().retain == as_published
        for handling, expected in ((0, True), (1, False), (2, False)):
            other.subscribe(topic, 2, retainHandling=handling)
            if expected:
                assert other.receive().body == b"kept"
            other.expect_silence(0.2)

    def test_request_response(self, clients):
        topic, asks, answers = unique_topic(), clients.mqtt(), clients.mqtt()
        for client in (asks, answers):
            client.subscribe(topic, 2, noLocal=True)
        asks.publish(topic, b"request", 1, mqtt=MqttProperties([], response_topic=topic, correlation_data=b"334"))
        request = answers.receive().mqtt
        assert (request.response_topic, request.correlation_data) == (topic, b"334")
        answers.publish(topic, b"response", 1, mqtt=MqttProperties([], correlation_data=b"334"))
        response = asks.receive()
        assert (response.body, response.mqtt.correlation_data) == (b"response", b"334")
