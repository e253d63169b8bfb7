"""What clients cost that never read, or hardly write: the gateway's memory stays within the limits that are for them,
others go on, and the limit ends them."""

import contextlib
import re
import selectors
import socket
import time

import pytest

from crash.mqtt_peer import CONNACK, PUBACK, PUBLISH, packet, read_packet, text

PINGREQ, PINGRESP, SUBACK = b"\xc0\x00", 13, 9
MB = 1 << 20
CONFIG = """
[listeners.mqtt]
write_timeout = "3s"

[mqtt]
waiting_bytes_max = "4MiB"
queued_max = 200
connect_timeout = "2s"
packet_timeout = "2s"
"""
# What the gateway keeps beside the waiting messages: buffers of some connections, what the allocator holds back.
SLACK_MB = 24


def connect(gateway, client_id: str, keep_alive_s: int = 0, clean: bool = True, will: str = ""):
    """A raw 3.1.1 client: its socket, which holds little that is not read, and its stream."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(30)
    raw.connect(("127.0.0.1", gateway.port("mqtt")))
    flags = 2 * clean | (4 if will else 0)
    words = text("MQTT") + bytes([4, flags, 0, keep_alive_s]) + text(client_id)
    raw.sendall(packet(0x10, words + (text(will) + text("gone") if will else b"")))
    stream = raw.makefile("rb", buffering=1 << 16)
    assert read_packet(stream)[0] >> 4 == CONNACK
    return raw, stream


def subscribe(client, topic: str, qos: int) -> None:
    """SUBSCRIBE, and its SUBACK."""
    raw, stream = client
    raw.sendall(packet(0x82, b"\x00\x01" + text(topic) + bytes([qos])))
    assert read_packet(stream)[0] >> 4 == SUBACK


def flood(client, topic: str, qos: int, megabytes: int) -> None:
    """Publishes as much, each message of 10 kB answered before the next at QoS 1, and some at a time at QoS 0."""
    raw, stream = client
    body = text(topic) + (b"\x00\x01" if qos else b"") + bytes(10_000)
    for _ in range(megabytes * MB // (10 * len(body))):
        raw.sendall(packet(0x30 | qos << 1, body) * 10)
        raw.sendall(b"" if qos else PINGREQ)
        for _ in range(10 if qos else 1):
            assert read_packet(stream)[0] >> 4 == (PUBACK if qos else PINGRESP)


def expect_will(client, topic: str) -> None:
    """The will of the one that was cut off."""
    first, body = read_packet(client[1])
    assert (first >> 4, body) == (PUBLISH, text(topic) + b"gone")


@pytest.mark.parametrize("qos", [0, 1])
def test_who_never_reads_costs_what_may_wait_and_no_more(start_gateway, qos):
    gateway = start_gateway(CONFIG)
    # What is under way at QoS 1 fits into the sockets, so there it is the keep alive that ends it.
    deaf = connect(gateway, "deaf", keep_alive_s=qos, will="end")
    watcher, publisher = connect(gateway, "w"), connect(gateway, "p")
    subscribe(deaf, "t", qos)
    subscribe(watcher, "end", 0)
    flood(publisher, "other", qos, 4)  # what the publisher itself costs
    before = gateway.memory_mib()
    flood(publisher, "t", qos, 200 if qos == 0 else 40)
    grown = gateway.memory_mib("VmHWM") - before
    # QoS 0: 4 MiB; QoS 1: 200 messages of 10 kB.
    assert grown < 4 + SLACK_MB, f"{grown:.0f} MB for one client that never reads"
    expect_will(watcher, "end")


def test_who_never_reads_the_answers_is_listened_to_no_more(start_gateway):
    gateway = start_gateway(CONFIG)
    deaf, watcher = connect(gateway, "deaf", will="end"), connect(gateway, "w")
    subscribe(watcher, "end", 0)
    before = gateway.memory_mib()
    requests, sent = PINGREQ * 5000 + packet(0x82, b"\x00\x02" + text("a") + b"\x00"), 0
    with pytest.raises(OSError):
        while sent < 200 * MB:
            sent += deaf[0].send(requests)
    grown = gateway.memory_mib("VmHWM") - before
    assert grown < SLACK_MB, f"{grown:.0f} MB for one client that never reads its answers"
    expect_will(watcher, "end")


def test_a_thousand_that_send_a_byte_now_and_then_are_ended_and_cost_little(start_gateway):
    gateway = start_gateway(CONFIG)
    before, started = gateway.memory_mib(), time.monotonic()
    # Half of them never finish their CONNECT, half a PUBLISH.
    dripping = selectors.DefaultSelector()
    for number in range(500):
        stranger = socket.create_connection(("127.0.0.1", gateway.port("mqtt")))
        dripping.register(stranger, selectors.EVENT_READ, b"\x10\x7f\x00\x04MQTT\x04\x02")
        guest, _ = connect(gateway, f"guest{number}")
        dripping.register(guest, selectors.EVENT_READ, b"\x30\xff\xff\x01\x00\x01t")
    beat = 0
    while dripping.get_map() and time.monotonic() < started + 20:
        for key in list(dripping.get_map().values()):
            with contextlib.suppress(OSError):  # its end is found below
                key.fileobj.send(key.data[beat:beat + 1] or b"x")
        beat += 1
        for key, _ in dripping.select(0.2):
            assert key.fileobj.recv(100) == b"", "MQTT 3 has no words for it"
            dripping.unregister(key.fileobj)
            key.fileobj.close()
    assert not dripping.get_map(), f"{len(dripping.get_map())} are still there"
    assert beat > 5, "they were ended at once"
    grown = gateway.memory_mib("VmHWM") - before
    assert grown < 1000 * 0.02 + SLACK_MB, f"{grown:.0f} MB for a thousand clients that hardly write"
