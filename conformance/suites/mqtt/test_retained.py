"""100,000 retained messages and one subscriber of `#`: all arrive, however slowly it reads, and none
of them is copied to wait for it."""

import socket
import struct
import time

import pytest

from crash.mqtt_peer import CONNACK, PUBLISH, packet, read_packet, text

COUNT = 100_000
# What a subscriber that does not read may cost: what waits to be written to it, and what the allocator holds back.
WAITING_MB = 8
PINGREQ, PINGRESP = b"\xc0\x00", 13


def connect(gateway, client_id: str, receive_bytes: int | None = None):
    """A raw 3.1.1 client: its socket and its stream."""
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(60)
    raw.connect(("127.0.0.1", gateway.port("mqtt")))
    raw.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text(client_id)))
    stream = raw.makefile("rb", buffering=1 << 16)
    assert read_packet(stream)[0] >> 4 == CONNACK
    return raw, stream


def retain_all(gateway) -> None:
    """Publishes one retained value to each of the topics."""
    raw, stream = connect(gateway, "publisher")
    for first in range(0, COUNT, 1000):
        values = (packet(0x31, text(f"plant/{number:06}") + b"%d" % number) for number in range(first, first + 1000))
        raw.sendall(b"".join(values))
    raw.sendall(PINGREQ)
    assert read_packet(stream)[0] >> 4 == PINGRESP
    raw.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("pause_s", [0, 3], ids=["quick", "slow"])
def test_all_retained_messages_arrive(retaining_gateway, qos, pause_s):
    raw, stream = connect(retaining_gateway, f"subscriber-{qos}-{pause_s}", 4096 if pause_s else None)
    before = retaining_gateway.memory_mib()
    raw.sendall(packet(0x82, b"\x00\x01" + text("#") + bytes([qos])))
    time.sleep(pause_s)
    grown = retaining_gateway.memory_mib() - before
    assert grown < WAITING_MB, f"{grown:.0f} MB for one slow subscriber"
    seen: dict[bytes, bytes] = {}
    while len(seen) < COUNT:
        first, body = read_packet(stream)
        if first >> 4 != PUBLISH:
            continue
        assert first & 1, "RETAIN is missing"
        topic_end = 2 + struct.unpack(">H", body[:2])[0]
        payload_at = topic_end
        if first >> 1 & 3:
            payload_at += 2
            raw.sendall(packet(0x40, body[topic_end:payload_at]))
        topic = body[2:topic_end]
        assert topic not in seen, f"{topic} came twice"
        seen[topic] = body[payload_at:]
    assert seen == {b"plant/%06d" % number: b"%d" % number for number in range(COUNT)}
    raw.close()


@pytest.fixture(scope="module")
def retaining_gateway(tmp_path_factory):
    """A gateway that holds the values."""
    from support.gateway import Gateway

    gateway = Gateway(tmp_path_factory.mktemp("retaining")).start()
    retain_all(gateway)
    yield gateway
    gateway.stop()
