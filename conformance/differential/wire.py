"""AMQP 0-9-1 frames and methods, written down once more, so that nothing a client library does is in between.

    frame    type:u8 channel:u16 size:u32 payload[size] 0xCE
    method   class:u16 method:u16 arguments
    header   class:u16 weight:u16 body-size:u64 flags:u16 properties

A method's arguments are a string of `name:kind` words: `B H I Q` unsigned integers, `s` short string, `S` long string,
`F` table, `b` bit (neighbouring bits share an octet).
"""

import struct
from dataclasses import dataclass, field

from support.table import decode_short, decode_table, encode_short, encode_table

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE

# RabbitMQ's amqp-rabbitmq-0.9.1.json, as one table.
METHODS = {
    "connection.start": (10, 10, "version-major:B version-minor:B server-properties:F mechanisms:S locales:S"),
    "connection.start-ok": (10, 11, "client-properties:F mechanism:s response:S locale:s"),
    "connection.secure": (10, 20, "challenge:S"),
    "connection.secure-ok": (10, 21, "response:S"),
    "connection.tune": (10, 30, "channel-max:H frame-max:I heartbeat:H"),
    "connection.tune-ok": (10, 31, "channel-max:H frame-max:I heartbeat:H"),
    "connection.open": (10, 40, "virtual-host:s reserved-1:s reserved-2:b"),
    "connection.open-ok": (10, 41, "reserved-1:s"),
    "connection.close": (10, 50, "reply-code:H reply-text:s class-id:H method-id:H"),
    "connection.close-ok": (10, 51, ""),
    "connection.blocked": (10, 60, "reason:s"),
    "connection.unblocked": (10, 61, ""),
    "connection.update-secret": (10, 70, "new-secret:S reason:s"),
    "connection.update-secret-ok": (10, 71, ""),
    "channel.open": (20, 10, "reserved-1:s"),
    "channel.open-ok": (20, 11, "reserved-1:S"),
    "channel.flow": (20, 20, "active:b"),
    "channel.flow-ok": (20, 21, "active:b"),
    "channel.close": (20, 40, "reply-code:H reply-text:s class-id:H method-id:H"),
    "channel.close-ok": (20, 41, ""),
    "access.request": (30, 10, "realm:s exclusive:b passive:b active:b write:b read:b"),
    "access.request-ok": (30, 11, "ticket:H"),
    "exchange.declare": (
        40, 10, "ticket:H exchange:s type:s passive:b durable:b auto-delete:b internal:b nowait:b arguments:F"),
    "exchange.declare-ok": (40, 11, ""),
    "exchange.delete": (40, 20, "ticket:H exchange:s if-unused:b nowait:b"),
    "exchange.delete-ok": (40, 21, ""),
    "exchange.bind": (40, 30, "ticket:H destination:s source:s routing-key:s nowait:b arguments:F"),
    "exchange.bind-ok": (40, 31, ""),
    "exchange.unbind": (40, 40, "ticket:H destination:s source:s routing-key:s nowait:b arguments:F"),
    "exchange.unbind-ok": (40, 51, ""),
    "queue.declare": (
        50, 10, "ticket:H queue:s passive:b durable:b exclusive:b auto-delete:b nowait:b arguments:F"),
    "queue.declare-ok": (50, 11, "queue:s message-count:I consumer-count:I"),
    "queue.bind": (50, 20, "ticket:H queue:s exchange:s routing-key:s nowait:b arguments:F"),
    "queue.bind-ok": (50, 21, ""),
    "queue.purge": (50, 30, "ticket:H queue:s nowait:b"),
    "queue.purge-ok": (50, 31, "message-count:I"),
    "queue.delete": (50, 40, "ticket:H queue:s if-unused:b if-empty:b nowait:b"),
    "queue.delete-ok": (50, 41, "message-count:I"),
    "queue.unbind": (50, 50, "ticket:H queue:s exchange:s routing-key:s arguments:F"),
    "queue.unbind-ok": (50, 51, ""),
    "basic.qos": (60, 10, "prefetch-size:I prefetch-count:H global:b"),
    "basic.qos-ok": (60, 11, ""),
    "basic.consume": (
        60, 20, "ticket:H queue:s consumer-tag:s no-local:b no-ack:b exclusive:b nowait:b arguments:F"),
    "basic.consume-ok": (60, 21, "consumer-tag:s"),
    "basic.cancel": (60, 30, "consumer-tag:s nowait:b"),
    "basic.cancel-ok": (60, 31, "consumer-tag:s"),
    "basic.publish": (60, 40, "ticket:H exchange:s routing-key:s mandatory:b immediate:b"),
    "basic.return": (60, 50, "reply-code:H reply-text:s exchange:s routing-key:s"),
    "basic.deliver": (60, 60, "consumer-tag:s delivery-tag:Q redelivered:b exchange:s routing-key:s"),
    "basic.get": (60, 70, "ticket:H queue:s no-ack:b"),
    "basic.get-ok": (60, 71, "delivery-tag:Q redelivered:b exchange:s routing-key:s message-count:I"),
    "basic.get-empty": (60, 72, "cluster-id:s"),
    "basic.ack": (60, 80, "delivery-tag:Q multiple:b"),
    "basic.reject": (60, 90, "delivery-tag:Q requeue:b"),
    "basic.recover-async": (60, 100, "requeue:b"),
    "basic.recover": (60, 110, "requeue:b"),
    "basic.recover-ok": (60, 111, ""),
    "basic.nack": (60, 120, "delivery-tag:Q multiple:b requeue:b"),
    "tx.select": (90, 10, ""),
    "tx.select-ok": (90, 11, ""),
    "tx.commit": (90, 20, ""),
    "tx.commit-ok": (90, 21, ""),
    "tx.rollback": (90, 30, ""),
    "tx.rollback-ok": (90, 31, ""),
    "confirm.select": (85, 10, "nowait:b"),
    "confirm.select-ok": (85, 11, ""),
}
_BY_ID = {(class_id, method_id): name for name, (class_id, method_id, _) in METHODS.items()}

# In the order of their flags, from the highest bit.
PROPERTIES = [
    ("content-type", "s"), ("content-encoding", "s"), ("headers", "F"), ("delivery-mode", "B"), ("priority", "B"),
    ("correlation-id", "s"), ("reply-to", "s"), ("expiration", "s"), ("message-id", "s"), ("timestamp", "Q"),
    ("type", "s"), ("user-id", "s"), ("app-id", "s"), ("cluster-id", "s"),
]


@dataclass
class Method:
    """One method as it came, with its content if it carries one."""

    channel: int
    name: str
    arguments: dict
    properties: dict | None = None
    body: bytes = b""


@dataclass
class Incoming:
    """Cuts what comes into methods with their contents; the contents of channels may be interleaved."""

    data: bytes = b""
    _open: dict = field(default_factory=dict)
    heartbeats: int = 0

    def methods(self):
        """Every method that is complete, in the order in which they became so."""
        while len(self.data) >= 7:
            kind, channel, size = struct.unpack_from(">BHI", self.data)
            if len(self.data) < size + 8:
                return
            payload, end = self.data[7 : 7 + size], self.data[7 + size]
            assert end == FRAME_END, f"a frame ends with {end:#x}"
            self.data = self.data[size + 8 :]
            if (method := self._frame(kind, channel, payload)) is not None:
                yield method

    def _frame(self, kind: int, channel: int, payload: bytes) -> Method | None:
        if kind == HEARTBEAT:
            self.heartbeats += 1
            return None
        if kind == METHOD:
            method = decode_method(channel, payload)
            if method.name not in ("basic.deliver", "basic.get-ok", "basic.return"):
                return method
            self._open[channel] = [method, None]
            return None
        waiting = self._open[channel]
        if kind == HEADER:
            waiting[1], waiting[0].properties = decode_header(payload)
        else:
            waiting[0].body += payload
        return self._open.pop(channel)[0] if len(waiting[0].body) == waiting[1] else None


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([FRAME_END])


def encode_method(name: str, arguments: dict) -> bytes:
    """A method's payload; an argument that is not given is 0, empty or false."""
    class_id, method_id, words = METHODS[name]
    kinds = dict(word.split(":") for word in words.split())
    unknown = set(arguments) - set(kinds)
    assert not unknown, f"{name} has no argument {unknown}"
    out, bits = struct.pack(">HH", class_id, method_id), []
    for argument, kind in kinds.items():
        if kind == "b":
            bits.append(bool(arguments.get(argument, False)))
            continue
        out, bits = out + _pack_bits(bits), []
        out += _encode(kind, arguments.get(argument))
    return out + _pack_bits(bits)


def decode_method(channel: int, payload: bytes) -> Method:
    """A method from its payload."""
    name = _BY_ID[struct.unpack_from(">HH", payload)]
    arguments, at, bit = {}, 4, 0
    for word in METHODS[name][2].split():
        argument, kind = word.split(":")
        if kind == "b":
            arguments[argument] = payload[at] >> bit & 1
            bit += 1
            continue
        at, bit = at + (bit > 0), 0
        arguments[argument], at = _decode(kind, payload, at)
    assert at + (bit > 0) == len(payload), f"{name} is longer than its arguments"
    return Method(channel, name, arguments)


def encode_header(size: int, properties: dict) -> bytes:
    """A content header's payload."""
    flags, out = 0, b""
    for place, (name, kind) in enumerate(PROPERTIES):
        if name in properties:
            flags |= 1 << 15 - place
            out += _encode(kind, properties[name])
    return struct.pack(">HHQH", 60, 0, size, flags) + out


def decode_header(payload: bytes) -> tuple[int, dict]:
    """The size of the body, and the properties that are set."""
    _, _, size, flags = struct.unpack_from(">HHQH", payload)
    properties, at = {}, 14
    for place, (name, kind) in enumerate(PROPERTIES):
        if flags & 1 << 15 - place:
            properties[name], at = _decode(kind, payload, at)
    assert at == len(payload), "the content header is longer than its properties"
    return size, properties


def typed(value: object) -> tuple[str, object]:
    """A value of a table with the type that RabbitMQ's own client gives it; a pair `(kind, value)` stays as it is."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, bool):
        return "t", value
    if isinstance(value, int):
        return ("I" if -(2**31) <= value < 2**31 else "l"), value
    if isinstance(value, float):
        return "d", value
    if isinstance(value, dict):
        return "F", typed_table(value)
    if isinstance(value, list):
        return "A", [typed(item) for item in value]
    if value is None:
        return "V", None
    return "S", value.encode() if isinstance(value, str) else value


def typed_table(values: dict) -> list:
    """A table as `support.table` writes it."""
    return [(name, *typed(value)) for name, value in values.items()]


def _pack_bits(bits: list[bool]) -> bytes:
    return bytes([sum(bit << place for place, bit in enumerate(bits))]) if bits else b""


def _encode(kind: str, value: object) -> bytes:
    if kind == "s":
        return encode_short(value or "")
    if kind == "S":
        return struct.pack(">I", len(value or b"")) + (value or b"")
    if kind == "F":
        return encode_table(typed_table(value or {}))
    return struct.pack(">" + kind, value or 0)


def _decode(kind: str, data: bytes, at: int) -> tuple[object, int]:
    if kind == "s":
        return decode_short(data, at)
    if kind == "F":
        return decode_table(data, at)
    if kind == "S":
        (length,) = struct.unpack_from(">I", data, at)
        return data[at + 4 : at + 4 + length], at + 4 + length
    return struct.unpack_from(">" + kind, data, at)[0], at + struct.calcsize(">" + kind)
