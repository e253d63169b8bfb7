"""MQTT-SN 2.0's PUBWOS. There is no independent implementation to be installed yet: this one is written from the text of
the draft (CSD01, 3.6.1), so it shows that both ends read the same text in the same way, and no more."""

import struct

import datagrams


def say(topic: str, body: bytes) -> None:
    """A name; with `!` before it, retained."""
    flags = 0x13 if topic.startswith("!") else 0x03
    name = topic.lstrip("!").encode()
    rest = struct.pack(">BBH", 0x12, flags, len(name)) + name + body
    datagrams.say(bytes([len(rest) + 1]) + rest)


datagrams.on_order(say)
for datagram in datagrams.hear():
    length, kind, flags, name = struct.unpack_from(">BBBH", datagram)
    assert (length, kind, flags & 0xEF) == (len(datagram), 0x12, 0x03)
    end = 5 + name
    datagrams.heard(datagram[5:end].decode(), datagram[end:], retain=flags >> 4)
