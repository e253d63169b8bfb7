"""AMQP field tables with their types, which pika loses (it cannot write a float, and reads one as an integer).

A table is a list of `(name, kind, value)`; the kind is the type's letter on the wire, as RabbitMQ uses them:
`t` boolean, `b B s u I i l` integers, `f d` floats, `D` decimal as `(scale, unscaled)`, `S` long string and `x` byte
array as bytes, `T` timestamp, `V` void, `A` array as a list of `(kind, value)`, `F` table.
"""

import struct

Table = list[tuple[str, str, object]]

_FIXED = {"b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "f": "f", "d": "d", "T": "Q"}


def encode_short(text: str | bytes) -> bytes:
    """A short string: one length byte, at most 255 bytes."""
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("B", len(data)) + data


def decode_short(data: bytes, at: int) -> tuple[str | bytes, int]:
    """A short string as text, or as bytes if it is not UTF-8, and where it ends."""
    end = at + 1 + data[at]
    raw = data[at + 1 : end]
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        return raw, end


def encode_table(table: Table) -> bytes:
    """A table, with its length."""
    return _long(b"".join(encode_short(name) + encode_value(kind, value) for name, kind, value in table))


def encode_value(kind: str, value: object) -> bytes:
    """One value, with its type letter."""
    return kind.encode() + _value(kind, value)


def decode_table(data: bytes, at: int = 0) -> tuple[Table, int]:
    """A table, and where it ends."""
    (length,) = struct.unpack_from(">I", data, at)
    at, end = at + 4, at + 4 + length
    table: Table = []
    while at < end:
        name, at = decode_short(data, at)
        kind, value, at = decode_value(data, at)
        table.append((name, kind, value))
    return table, end


def decode_value(data: bytes, at: int) -> tuple[str, object, int]:
    """One value: its kind, itself, and where it ends."""
    kind, at = chr(data[at]), at + 1
    if kind in _FIXED:
        (value,) = struct.unpack_from(">" + _FIXED[kind], data, at)
        return kind, value, at + struct.calcsize(_FIXED[kind])
    if kind == "t":
        return kind, data[at] != 0, at + 1
    if kind == "V":
        return kind, None, at
    if kind == "D":
        return kind, struct.unpack_from(">Bi", data, at), at + 5
    if kind == "F":
        return kind, *decode_table(data, at)
    (length,) = struct.unpack_from(">I", data, at)
    at, end = at + 4, at + 4 + length
    if kind in "Sx":
        return kind, data[at:end], end
    assert kind == "A", f"unknown field type {kind!r}"
    items = []
    while at < end:
        item_kind, value, at = decode_value(data, at)
        items.append((item_kind, value))
    return kind, items, end


def _value(kind: str, value: object) -> bytes:
    if kind in _FIXED:
        return struct.pack(">" + _FIXED[kind], value)
    if kind == "t":
        return struct.pack("B", bool(value))
    if kind == "V":
        return b""
    if kind == "D":
        return struct.pack(">Bi", *value)
    if kind == "F":
        return encode_table(value)
    if kind == "A":
        return _long(b"".join(encode_value(*item) for item in value))
    assert kind in "Sx", f"unknown field type {kind!r}"
    return _long(value)


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
