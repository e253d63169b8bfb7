"""MQTT 3.1.1 and 5 as applications use them, by paho, and a few bytes that paho would not send."""

import socket
import time
import uuid

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.clients import unique_topic
from support.mqtt import V5, V311
from support.received import MqttProperties

both_versions = pytest.mark.parametrize("version", [V311, V5], ids=["mqtt311", "mqtt5"])


def persistent(clients, version: int, client_id: str, **options):
    """Connects to a session that outlives the connection."""
    expiry_s = 300 if version == V5 else None
    return clients.mqtt(version, client_id=client_id, clean=False, session_expiry_s=expiry_s, **options)


def will(topic: str, body: bytes, qos: int = 1, delay_s: int | None = None) -> paho.MQTTMessage:
    """A will message."""
    message = paho.MQTTMessage(topic=topic.encode())
    message.payload, message.qos, message.retain = body, qos, False
    message.properties = None
    if delay_s is not None:
        message.properties = Properties(PacketTypes.WILLMESSAGE)
        message.properties.WillDelayInterval = delay_s
    return message


class TestPublishSubscribe:
    WILDCARDS = [
        ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c"]),
        ("a/#", ["a", "a/b", "a/b/c"], ["ab"]),
        ("+/b/#", ["a/b", "a/b/c"], ["b", "a/a/b"]),
        ("+", [], ["a/b"]),
        ("/+", [], ["a"]),
    ]

    @both_versions
    @pytest.mark.parametrize("case", WILDCARDS, ids=[case[0] for case in WILDCARDS])
    def test_wildcards(self, clients, version, case):
        root, (topic_filter, matching, others) = f"plant/{uuid.uuid4().hex[:8]}", case
        subscriber, publisher = clients.mqtt(version), clients.mqtt(version)
        subscriber.subscribe(f"{root}/{topic_filter}")
        for tail in others + matching:
            publisher.publish(f"{root}/{tail}", b"x")
        assert [subscriber.receive().topic for _ in matching] == [f"{root}/{tail}" for tail in matching]
        subscriber.expect_silence()

    @both_versions
    def test_unsubscribe_stops_the_flow(self, clients, version):
        topic = unique_topic()
        subscriber, publisher = clients.mqtt(version), clients.mqtt(version)
        subscriber.subscribe(topic)
        subscriber.unsubscribe(topic)
        publisher.publish(topic, b"x")
        subscriber.expect_silence()

    @both_versions
    def test_overlapping_filters_give_one_message(self, clients, version):
        topic = unique_topic()
        subscriber = clients.mqtt(version)
        subscriber.subscribe(topic, 0)
        subscriber.subscribe(topic.replace("value", "+"), 2)
        clients.mqtt(version).publish(topic, b"x", qos=2)
        assert subscriber.receive().qos == 2
        subscriber.expect_silence()

    @both_versions
    def test_large_payloads(self, clients, version):
        topic, body = unique_topic(), bytes(range(256)) * 4096
        subscriber = clients.mqtt(version)
        subscriber.subscribe(topic)
        clients.mqtt(version).publish(topic, body)
        assert subscriber.receive().body == body


class TestRetained:
    @both_versions
    def test_a_wildcard_subscription_gets_every_retained_value(self, clients, version):
        root, publisher = f"plant/{uuid.uuid4().hex[:8]}", clients.mqtt(version)
        for number in range(50):
            publisher.publish(f"{root}/{number}/temp", b"%d" % number, retain=True)
        subscriber = clients.mqtt(version)
        subscriber.subscribe(f"{root}/+/temp")
        received = [subscriber.receive() for _ in range(50)]
        assert all(message.retain for message in received)
        assert {message.body for message in received} == {b"%d" % number for number in range(50)}

    @both_versions
    def test_the_last_retained_value_counts(self, clients, version):
        topic, publisher = unique_topic(), clients.mqtt(version)
        for body in (b"1", b"2"):
            publisher.publish(topic, body, retain=True)
        subscriber = clients.mqtt(version)
        subscriber.subscribe(topic)
        assert subscriber.receive().body == b"2"
        subscriber.expect_silence()

    @pytest.mark.parametrize("handling, first, again", [(0, True, True), (1, True, False), (2, False, False)])
    def test_retain_handling(self, clients, handling, first, again):
        topic = unique_topic()
        clients.mqtt().publish(topic, b"x", retain=True)
        subscriber = clients.mqtt()
        for expected in (first, again):
            subscriber.subscribe(topic, retainHandling=handling)
            if expected:
                assert subscriber.receive().body == b"x"
            else:
                subscriber.expect_silence()

    def test_retained_values_survive_a_restart(self, start_gateway, clients_of):
        gateway = start_gateway()
        clients_of(gateway).mqtt().publish("plant/kept", b"21.5", qos=1, retain=True)
        gateway.stop()
        gateway.start()
        subscriber = clients_of(gateway).mqtt()
        subscriber.subscribe("plant/kept")
        assert subscriber.receive().body == b"21.5"


class TestWill:
    @both_versions
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_lost_connection_sends_the_will(self, clients, version, qos):
        topic = unique_topic()
        subscriber = clients.mqtt(version)
        subscriber.subscribe(topic)
        clients.mqtt(version, will=will(topic, b"gone", qos)).drop()
        received = subscriber.receive()
        assert (received.body, received.qos) == (b"gone", qos)

    @both_versions
    def test_a_clean_disconnect_does_not(self, clients, version):
        topic = unique_topic()
        subscriber = clients.mqtt(version)
        subscriber.subscribe(topic)
        clients.mqtt(version, will=will(topic, b"gone")).close()
        subscriber.expect_silence()

    def test_a_delayed_will_is_withdrawn_by_coming_back(self, clients):
        topic, client_id = unique_topic(), uuid.uuid4().hex
        subscriber = clients.mqtt()
        subscriber.subscribe(topic)
        persistent(clients, V5, client_id, will=will(topic, b"gone", delay_s=1)).drop()
        persistent(clients, V5, client_id)
        subscriber.expect_silence(1.5)

    def test_a_delayed_will_is_sent_after_its_delay(self, clients):
        topic = unique_topic()
        subscriber = clients.mqtt()
        subscriber.subscribe(topic)
        persistent(clients, V5, uuid.uuid4().hex, will=will(topic, b"gone", delay_s=1)).drop()
        subscriber.expect_silence(0.5)
        assert subscriber.receive().body == b"gone"


class TestSession:
    @both_versions
    def test_an_offline_session_keeps_its_messages_in_order(self, clients, version):
        topic, client_id = unique_topic(), uuid.uuid4().hex
        first = persistent(clients, version, client_id)
        assert first.connack[2] is False
        first.subscribe(topic, 1)
        first.close()
        clients.mqtt(version).publish_many(topic, [b"%d" % number for number in range(100)])
        again = persistent(clients, version, client_id)
        assert again.connack[2] is True
        assert [again.receive().body for _ in range(100)] == [b"%d" % number for number in range(100)]

    @both_versions
    def test_a_clean_start_forgets_the_session(self, clients, version):
        topic, client_id = unique_topic(), uuid.uuid4().hex
        first = persistent(clients, version, client_id)
        first.subscribe(topic, 1)
        first.close()
        clients.mqtt(version).publish(topic, b"x")
        again = clients.mqtt(version, client_id=client_id)
        assert again.connack[2] is False
        again.expect_silence()

    def test_a_session_ends_with_its_expiry(self, clients):
        client_id = uuid.uuid4().hex
        clients.mqtt(client_id=client_id, clean=False, session_expiry_s=1).close()
        time.sleep(1.5)
        assert persistent(clients, V5, client_id).connack[2] is False

    @both_versions
    def test_what_was_not_acknowledged_comes_again(self, clients, version):
        topic, client_id = unique_topic(), uuid.uuid4().hex
        first = persistent(clients, version, client_id, manual_ack=True)
        first.subscribe(topic, 1)
        clients.mqtt(version).publish_many(topic, [b"1", b"2"])
        before = [first.receive(), first.receive()]
        first.ack(before[0])
        time.sleep(0.2)
        first.drop()
        again = persistent(clients, version, client_id)
        after = again.receive()
        assert (after.body, after.delivery_tag) == (b"2", before[1].delivery_tag)
        again.expect_silence()

    @both_versions
    def test_a_second_connection_takes_over(self, clients, version):
        client_id = uuid.uuid4().hex
        first = clients.mqtt(version, client_id=client_id)
        clients.mqtt(version, client_id=client_id)
        assert first.wait_disconnected() == (0x8E if version == V5 else first.disconnect_reason)

    def test_a_session_survives_a_restart(self, start_gateway, clients_of):
        gateway = start_gateway()
        clients = clients_of(gateway)
        persistent(clients, V5, "kept").subscribe("plant/#", 1)
        clients.close()
        clients_of(gateway).mqtt().publish("plant/x", b"x", qos=1)
        gateway.stop()
        gateway.start()
        again = persistent(clients_of(gateway), V5, "kept")
        assert again.connack[2] is True
        assert again.receive().body == b"x"


class TestVersion5:
    def test_a_client_without_an_id_is_given_one(self, clients):
        _, properties, _ = clients.mqtt(client_id="").connack
        assert properties.AssignedClientIdentifier

    def test_no_local(self, clients):
        topic, client = unique_topic(), clients.mqtt()
        client.subscribe(topic, noLocal=True)
        client.publish(topic, b"own")
        clients.mqtt().publish(topic, b"another's")
        assert client.receive().body == b"another's"

    def test_subscription_identifiers(self, clients):
        topic, client = unique_topic(), clients.mqtt()
        properties = Properties(PacketTypes.SUBSCRIBE)
        properties.SubscriptionIdentifier = 268435455
        seen = []
        client.client.on_message = lambda _c, _d, m: seen.append(m.properties.SubscriptionIdentifier)
        _, mid = client.client.subscribe(topic, options=paho.SubscribeOptions(qos=1), properties=properties)
        client._answer("suback", mid)
        client.publish(topic, b"x")
        deadline = time.monotonic() + 5
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
        assert seen == [[268435455]]

    def test_a_shared_subscription_gives_each_message_once(self, clients):
        topic, members = unique_topic(), [clients.mqtt(), clients.mqtt()]
        for member in members:
            member.subscribe(f"$share/group/{topic}", 1)
        clients.mqtt().publish_many(topic, [b"%d" % number for number in range(20)])
        bodies, per_member = [], [0, 0]
        deadline = time.monotonic() + 8
        while len(bodies) < 20 and time.monotonic() < deadline:
            for number, member in enumerate(members):
                while not member._messages.empty():
                    bodies.append(member.receive().body)
                    per_member[number] += 1
            time.sleep(0.01)
        assert sorted(bodies) == sorted(b"%d" % number for number in range(20))
        assert min(per_member) > 0
        for member in members:
            member.expect_silence(0.2)

    def test_a_topic_alias_stands_for_the_topic(self, clients):
        topic, publisher = unique_topic(), clients.mqtt()
        assert publisher.connack[1].TopicAliasMaximum >= 1
        subscriber = clients.mqtt()
        subscriber.subscribe(topic)
        for written in (topic, ""):
            properties = Properties(PacketTypes.PUBLISH)
            properties.TopicAlias = 1
            publisher.client.publish(written, b"x", 1, properties=properties)
            assert subscriber.receive().topic == topic

    def test_a_client_that_takes_aliases_gets_whole_topics_back(self, clients):
        topic = unique_topic()
        subscriber = clients.mqtt(connect_properties={"ReceiveMaximum": 2})
        subscriber.subscribe(topic)
        clients.mqtt().publish_many(topic, [b"%d" % number for number in range(20)])
        assert [subscriber.receive().body for _ in range(20)] == [b"%d" % number for number in range(20)]

    def test_a_message_over_the_clients_maximum_is_not_sent_to_it(self, clients):
        topic = unique_topic()
        subscriber = clients.mqtt(connect_properties={"MaximumPacketSize": 1000})
        subscriber.subscribe(topic)
        publisher = clients.mqtt()
        publisher.publish(topic, bytes(2000))
        publisher.publish(topic, b"small")
        assert subscriber.receive().body == b"small"

    def test_message_expiry_counts_down(self, clients):
        topic, client_id = unique_topic(), uuid.uuid4().hex
        first = persistent(clients, V5, client_id)
        first.subscribe(topic, 1)
        first.close()
        publisher = clients.mqtt()
        publisher.publish(topic, b"short", mqtt=MqttProperties([], expiry_s=1))
        publisher.publish(topic, b"long", mqtt=MqttProperties([], expiry_s=100))
        time.sleep(1.3)
        received = persistent(clients, V5, client_id).receive()
        assert received.body == b"long"
        assert 90 <= received.mqtt.expiry_s <= 99


class TestWire:
    """Exact bytes, where the specification leaves no choice."""

    def exchange(self, gateway, *packets: bytes, wait_s: float = 5) -> bytes:
        """Sends packets on a new connection and reads until the server closes it."""
        with socket.create_connection(("127.0.0.1", gateway.port("mqtt")), timeout=wait_s) as connection:
            for packet in packets:
                connection.sendall(packet)
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
            return answer

    CONNECT_311 = bytes.fromhex("100d 00044d515454 04 02 0000 0001 61".replace(" ", ""))

    def test_connect_ping_disconnect(self, gateway):
        packets = self.CONNECT_311, bytes.fromhex("c000"), bytes.fromhex("e000")
        assert self.exchange(gateway, *packets) == bytes.fromhex("20020000d000")

    def test_an_unknown_protocol_version_is_refused(self, gateway):
        connect = bytes.fromhex("100d00044d5154540902000000016100"[:30])
        assert self.exchange(gateway, connect)[:2] in (b"\x20\x02", b"\x20\x03")

    def test_reserved_flags_close_the_connection(self, gateway):
        subscribe_without_flags = bytes.fromhex("8006 0001 0001 61 00".replace(" ", ""))
        assert self.exchange(gateway, self.CONNECT_311, subscribe_without_flags) == bytes.fromhex("20020000")

    def test_silence_beyond_the_keep_alive_closes_the_connection(self, gateway):
        connect = bytearray(self.CONNECT_311)
        connect[11] = 1
        start = time.monotonic()
        assert self.exchange(gateway, bytes(connect)) == bytes.fromhex("20020000")
        assert 1.0 <= time.monotonic() - start <= 4.0
