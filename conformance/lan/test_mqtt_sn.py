"""The gateway as MQTT-SN gateway: a client that nobody here wrote, and scapy packet by packet."""

import time
import urllib.request

import pytest

from lan.conftest import not_tested
from support.clients import Clients
from support.gateway import Gateway
from support.network import OURS, Loopback
from support.wireshark import Wireshark

PORT, GROUP = 1884, "239.192.3.1"
# Retransmissions soon; everything else as it comes.
CONFIG = """
[[mqtt_sn]]
name = "devices"
bind = "0.0.0.0:{port}"
interface = "{interface}"
group = "{group}"
broadcast = "{broadcast}"
gateway_id = 9
advertise_interval = "1s"
retry_interval = "500ms"
user = "guest"

[[mqtt_sn.topics]]
topic = "plant/known"
id = 7
"""
# What gateways and devices tell the whole network, and how much of it a case may pass over.
TOLD, TOLD_MAX = ("Advertise", "GwInfo", "SearchGW"), 200
PROTOCOLS = ["amqp", "mqtt5", "redis3"]


@pytest.fixture(scope="module")
def place(network):
    """Where the gateway is, seen from the devices: its address and the broadcast address."""
    return ("127.0.0.1", "127.255.255.255") if isinstance(network, Loopback) else (OURS, "10.78.0.255")


@pytest.fixture(scope="module")
def sn_gateway(network, place, tmp_path_factory):
    """A gateway for devices."""
    config = CONFIG.format(port=PORT, interface=network.interface, group=GROUP, broadcast=place[1])
    gateway = Gateway(tmp_path_factory.mktemp("mqtt-sn"), config).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def sn_clients(sn_gateway):
    """Its TCP clients."""
    opened = Clients(sn_gateway)
    yield opened
    opened.close()


class Device:
    """The foreign client: `call` returns when the method has; what arrives meanwhile is kept.

    It never acknowledges what it receives with QoS 1 (it compares 1 with 0x20), so it subscribes with QoS 0, and scapy
    shows the rest.
    """

    def __init__(self, peer):
        self.peer, self.heard = peer, []

    def call(self, method: str, **arguments) -> None:
        """Calls a method of the library."""
        self.peer.order(call=method, arguments=arguments)
        while (line := self.peer.hear()) != {"did": method}:
            self.heard.append(line)

    def hear(self) -> dict:
        """The next message."""
        return self.heard.pop(0) if self.heard else self.peer.hear()


class Packets:
    """The packets of a device."""

    def __init__(self, peer):
        self.peer = peer

    def send(self, packet: str, to: str | None = None, **fields) -> None:
        """Sends a packet, to the gateway unless told otherwise."""
        self.peer.order(packet=packet, fields=fields, to=to)

    def expect(self, packet: str, **fields) -> dict:
        """The next packet of that name, with these fields; what the gateway tells the network is passed over."""
        for _ in range(TOLD_MAX):
            heard = self.peer.hear()
            if heard["packet"] == packet:
                break
            assert heard["packet"] in TOLD, heard
        else:
            raise AssertionError(f"no {packet}")
        assert {name: heard[name] for name in fields} == fields
        return heard

    def connect(self, client: str, **fields) -> None:
        """A session."""
        self.send("Connect", client_id=client, duration=60, **fields)
        self.expect("Connack", return_code=0)


@pytest.fixture
def device(network, sn_gateway, place):
    """The foreign client, connected; `device.name` is its name."""
    name = f"device-{time.monotonic_ns() % 10**9}"
    opened = Device(network.peer("sn_client", place[0], str(PORT), name))
    opened.call("send_connect")
    yield opened
    opened.peer.close()


@pytest.fixture
def packets(network, sn_gateway, place):
    """Scapy's packets."""
    opened = Packets(network.peer("sn_packets", place[0], str(PORT), GROUP))
    yield opened
    opened.peer.close()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_a_client_publishes_reaches_each_protocol(device, sn_clients, qos):
    topic = f"plant/sn/{qos}"
    consumers = [sn_clients.consumer(name, topic) for name in PROTOCOLS]
    device.call("send_publish", topic=topic, data="21.5", qos=qos)
    for consumer in consumers:
        assert consumer.receive().body == b"21.5"


def test_predefined_ids_and_short_names_need_no_registration(device, sn_clients):
    known, short = sn_clients.consumer("mqtt5", "plant/known"), sn_clients.consumer("mqtt5", "ab")
    device.call("send_publish_predefined", topic=7, data="1", qos=1)
    device.call("send_publish", topic="ab", data="2", qos=1)
    # Without a session's QoS too.
    device.call("send_publish_predefined", topic=7, data="3", qos=-1)
    assert [known.receive().body, short.receive().body, known.receive().body] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("publisher", PROTOCOLS)
def test_what_each_protocol_publishes_reaches_a_client(device, sn_clients, publisher):
    device.call("send_subscribe", filter=f"plant/{publisher}/#", qos=0)
    device.call("send_subscribe", filter=f"exact/{publisher}", qos=0)
    for topic in [f"plant/{publisher}/a", f"exact/{publisher}"]:
        sn_clients.publisher(publisher).publish(topic, b"21.5")
        heard = device.hear()
        assert (heard["topic"], heard["body"]) == (topic, "21.5")


def test_a_subscription_ends(device, sn_clients):
    device.call("send_subscribe", filter="plant/ends", qos=0)
    device.call("send_subscribe", filter="plant/stays", qos=0)
    device.call("send_unsubscribe", topic="plant/ends")
    for topic in ["plant/ends", "plant/stays"]:
        sn_clients.publisher("mqtt5").publish(topic, topic.encode())
    assert device.hear()["body"] == "plant/stays"


def test_retained_values_go_both_ways(device, sn_clients):
    device.call("send_publish", topic="plant/kept", data="21.5", qos=1, retain=True)
    assert sn_clients.consumer("mqtt5", "plant/kept").receive().body == b"21.5"
    device.call("send_subscribe", filter="plant/kept", qos=0)
    heard = device.hear()
    assert (heard["body"], heard["retain"]) == ("21.5", True)


def test_a_will_is_published_when_a_client_falls_silent_and_not_when_it_leaves(network, sn_clients, sn_gateway, place):
    listener = sn_clients.consumer("mqtt5", "plant/will")
    for leaves in [True, False]:
        device = Device(network.peer("sn_client", place[0], str(PORT), f"mortal-{leaves}"))
        device.call("set_will", topic="plant/will", message=f"{leaves}", qos=1, retain=False)
        device.call("set_keep_alive", seconds=1)
        device.call("send_connect")
        if leaves:
            device.call("send_disconnect")
        device.peer.close()
    assert listener.receive().body == b"False"


def test_a_will_is_changed_without_losing_the_session(network, sn_clients, sn_gateway, place):
    listener = sn_clients.consumer("mqtt5", "plant/other-will")
    device = Device(network.peer("sn_client", place[0], str(PORT), "changeable"))
    device.call("set_will", topic="plant/first-will", message="first", qos=1, retain=False)
    device.call("send_connect")
    device.call("send_subscribe", filter="plant/session", qos=0)
    device.call("send_will_topic_update", topic="plant/other-will")
    device.call("send_will_message_update", message="other")
    sn_clients.publisher("mqtt5").publish("plant/session", b"still there")
    assert device.hear()["body"] == "still there"
    # The next CONNECT of its name, from elsewhere, ends it without a goodbye.
    other = Device(network.peer("sn_client", place[0], str(PORT), "changeable"))
    other.call("send_connect")
    assert listener.receive().body == b"other"
    device.peer.close()
    other.peer.close()


def test_a_sleeping_client_gets_what_came_meanwhile(packets, sn_clients):
    packets.connect("sleeper")
    packets.send("Subscribe", mid=1, qos=1, topic_name="plant/sleep")
    topic = packets.expect("Suback", mid=1, return_code=0, qos=1)["tid"]
    packets.send("Disconnect", duration=300)
    packets.expect("Disconnect")
    publisher = sn_clients.publisher("mqtt5")
    for body in [b"1", b"2"]:
        publisher.publish("plant/sleep", body)
    packets.send("PingReq", client_id="sleeper")
    for body in ["1", "2"]:
        heard = packets.expect("Publish", tid=topic, data=body)
        packets.send("Puback", tid=topic, mid=heard["mid"], return_code=0)
    packets.expect("PingResp")
    packets.send("Disconnect", duration=0)
    packets.expect("Disconnect")


def test_qos_2_reaches_a_client_exactly_once_although_every_packet_is_sent_twice(packets, sn_clients):
    packets.connect("exact")
    packets.send("Subscribe", mid=1, qos=2, topic_name="xy", tid_type=0)
    packets.expect("Suback", return_code=0, qos=2)
    sn_clients.mqtt().publish("xy", b"once", qos=2)
    first = packets.expect("Publish", data="once", qos=2, dup=0)
    # Unanswered, it comes again.
    again = packets.expect("Publish", data="once", qos=2, dup=1)
    assert first["mid"] == again["mid"]
    packets.send("Pubrec", mid=first["mid"])
    packets.expect("Pubrel", mid=first["mid"])
    packets.expect("Pubrel", mid=first["mid"])
    packets.send("Pubcomp", mid=first["mid"])
    packets.send("PingReq")
    packets.expect("PingResp")


def test_a_publication_without_a_session_comes_by_group_and_by_broadcast(packets, sn_clients, place):
    consumer = sn_clients.consumer("mqtt5", "plant/known")
    for to in [None, GROUP, place[1]]:
        packets.send("Publish", to, qos=3, tid_type=1, tid=7, data="21.5")
        assert consumer.receive().body == b"21.5"
    consumer.expect_silence()


def test_the_gateway_is_found_by_group_and_broadcast_and_tells_of_itself(packets, place):
    here = {"from": [place[0], PORT], "by": "group", "gw_id": 9}
    packets.expect("Advertise", duration=1, **here)
    for to in [GROUP, place[1]]:
        packets.send("SearchGW", to)
        # To everybody, so that who else asks need not.
        packets.expect("GwInfo", **here)


def test_who_has_no_session_is_told_and_encapsulated_packets_are_not_answered(packets):
    packets.send("Encaps", w_node_id="ab")
    packets.send("Publish", qos=1, tid=1, mid=1, data="x")
    packets.expect("Disconnect")


def test_the_numbers_are_at_metrics(packets, sn_gateway):


    packets.connect("counted")
    with urllib.request.urlopen(f"http://127.0.0.1:{sn_gateway.port('http')}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    assert int(lines['busbar_mqtt_sn_clients{gateway="devices"}']) >= 1
    assert int(lines['busbar_mqtt_sn_received_total{gateway="devices"}']) >= 1
    assert 'busbar_mqtt_sn_not_passed_total{gateway="devices",reason="unknown"}' in lines
    packets.send("Disconnect", duration=0)
    packets.expect("Disconnect")


def test_wireshark_reads_a_session(network, packets, sn_clients):
    if isinstance(network, Loopback):
        not_tested("tshark on a session")
    wireshark = Wireshark(network, PORT)
    try:
        wireshark.begin(lambda: packets.send("SearchGW"))
        packets.connect("seen")
        packets.send("Register", mid=1, topic_name="plant/seen")
        packets.expect("Regack", return_code=0)
        packets.send("Subscribe", mid=2, qos=1, topic_name="other/+")
        packets.expect("Suback", return_code=0)
        sn_clients.publisher("mqtt5").publish("other/a", b"21.5")
        packets.expect("Register")
        seen = {}
        for _ in range(200):
            read = wireshark.read()
            seen[int(read["msg.type"], 0)] = read
            if 0x0A in seen and seen[0x0A]["topic"] == "other/a":
                break
        for kind in [0x05, 0x0B, 0x13]:
            assert int(seen[kind]["return.code"], 0) == 0, seen
    finally:
        wireshark.close()
