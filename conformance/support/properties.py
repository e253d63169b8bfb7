"""The properties of an AMQP message, with typed headers, and how pika is made to send and keep them byte for byte.

pika reads headers into a dict (types and repetitions are lost). So `AmqpProperties` is encoded here, and every
`BasicProperties` that pika decodes remembers the bytes it came from.
"""

import struct
from dataclasses import dataclass, fields

import pika

from support.table import Table, decode_short, decode_table, encode_short, encode_table


@dataclass
class AmqpProperties:
    """Basic properties in the order of the wire format; `None` is a property that is absent."""

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Table | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None

    def encode(self) -> bytes:
        """The property flags and the property list of a content header (AMQP 0-9-1 §4.2.6.1)."""
        flags, out = 0, b""
        for bit, field in zip(range(15, 1, -1), fields(self), strict=True):
            value = getattr(self, field.name)
            if value is not None:
                flags |= 1 << bit
                out += _encode(field.name, value)
        return struct.pack(">H", flags) + out

    @classmethod
    def decode(cls, data: bytes) -> "AmqpProperties":
        """The reverse of `encode`."""
        (flags,) = struct.unpack_from(">H", data)
        at, found = 2, cls()
        for bit, field in zip(range(15, 1, -1), fields(cls), strict=True):
            if flags & 1 << bit:
                value, at = _decode(field.name, data, at)
                setattr(found, field.name, value)
        assert at == len(data), f"{len(data) - at} bytes after the properties"
        return found

    def header(self, name: str) -> tuple[str, object] | None:
        """Kind and value of the one header of this name, if it is there."""
        found = [(kind, value) for key, kind, value in self.headers or [] if key == name]
        assert len(found) <= 1, f"header {name} occurs {len(found)} times"
        return found[0] if found else None


class EncodedProperties(pika.BasicProperties):
    """What pika is given to publish: it writes our bytes."""

    def __init__(self, properties: AmqpProperties):
        super().__init__()
        self._encoded = properties.encode()

    def encode(self) -> list[bytes]:
        """Called by pika for the content header frame."""
        return [self._encoded]


def remember_received_bytes() -> None:
    """Makes pika keep the bytes of the properties that it decodes, for `received`."""
    decode = pika.BasicProperties.decode
    if getattr(decode, "remembers", False):
        return

    def decode_and_remember(self, encoded, offset=0):
        self.received_bytes = bytes(encoded[offset:])
        return decode(self, encoded, offset)

    decode_and_remember.remembers = True
    pika.BasicProperties.decode = decode_and_remember


def received(properties: pika.BasicProperties) -> AmqpProperties:
    """The properties of a delivery, types and all."""
    return AmqpProperties.decode(properties.received_bytes)


def _encode(name: str, value: object) -> bytes:
    if name == "headers":
        return encode_table(value)
    if name in ("delivery_mode", "priority"):
        return struct.pack("B", value)
    if name == "timestamp":
        return struct.pack(">Q", value)
    return encode_short(value)


def _decode(name: str, data: bytes, at: int) -> tuple[object, int]:
    if name == "headers":
        return decode_table(data, at)
    if name in ("delivery_mode", "priority"):
        return data[at], at + 1
    if name == "timestamp":
        return struct.unpack_from(">Q", data, at)[0], at + 8
    return decode_short(data, at)
