"""The protocol itself: handshakes, frames out of place, channels, closing."""

import struct

from differential import wire
from differential.session import CLIENT_PROPERTIES, Script


def handshakes(s: Script) -> None:
    """What is said before anything is open."""
    for label, header in [("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("AMQP 0-8", b"AMQP\1\1\x08\0"),
                          ("AMQP 0-9", b"AMQP\1\1\0\x09"), ("version 0-10", b"AMQP\1\1\0\x0a"),
                          ("AMQP 0-9-2", b"AMQP\0\0\x09\x02")]:
        c = s.dial("h")
        c.raw(f"says {label}", header, end="silence")
        c.disconnect()
    c = s.dial("h")
    c.raw("says AMQP 0-9-1", b"AMQP\0\0\x09\x01", end="silence")
    c.disconnect()
    for mechanism, response in [("PLAIN", b"\0guest\0wrong"), ("PLAIN", b"\0nobody\0guest"), ("PLAIN", b"nonsense"),
                                ("CRAM-MD5", b""), ("AMQPLAIN", b"nonsense")]:
        c = s.dial("h")
        c.send_raw(b"AMQP\0\0\x09\x01")
        c.take()
        s.step(f"h logs in by {mechanism} with {response!r}")
        c.put(0, "connection.start-ok", {"client-properties": dict(
            (name, (kind, value)) for name, kind, value in CLIENT_PROPERTIES), "mechanism": mechanism,
            "response": response, "locale": "en_US"})
        c.until_closed()
        c.disconnect()
    for label, tune in [("frames of 1000", {"frame-max": 1000, "channel-max": 10, "heartbeat": 0}),
                        ("frames larger than offered", {"frame-max": 200000, "channel-max": 10, "heartbeat": 0}),
                        ("more channels than offered", {"frame-max": 131072, "channel-max": 3000, "heartbeat": 0})]:
        c = _started(s)
        s.step(f"h tunes {label}")
        c.put(0, "connection.tune-ok", tune)
        c.put(0, "connection.open", {"virtual-host": "/"})
        c.until_answer("connection.open")
        c.disconnect()
    c = _started(s)
    s.step("h opens a virtual host that is not there")
    c.put(0, "connection.tune-ok", {"frame-max": 131072, "channel-max": 10, "heartbeat": 0})
    c.put(0, "connection.open", {"virtual-host": "nosuch"})
    c.until_closed()
    c.disconnect()
    c = _started(s)
    s.step("h opens a channel before the connection")
    c.put(0, "connection.tune-ok", {"frame-max": 131072, "channel-max": 10, "heartbeat": 0})
    c.put(1, "channel.open", {})
    c.until_closed()
    c.disconnect()


def _started(s: Script):
    c = s.dial("h")
    c.send_raw(b"AMQP\0\0\x09\x01")
    c.take()
    c.start_ok()
    c.receive(1)
    return c


def channels(s: Script) -> None:
    """Opening, closing, and what is out of order."""
    a = s.connect("a", channel_max=5)
    ch = a.channel()
    ch.call("channel.open")
    ch = a.channel(2)
    a.call("connection.close-ok")
    late = a.channel(5)
    late.call("channel.close", reply_code=200, reply_text="bye")
    late.call("channel.close", reply_code=200, reply_text="bye")
    late = a.channel(6)
    a.raw("declares on a channel that is not open",
          wire.frame(wire.METHOD, 3, wire.encode_method("queue.declare", {"queue": "q"})))
    ch = a.channel(2)
    ch.call("access.request", realm="/data", active=True)
    ch.fails("channel.open-ok")
    ch = a.channel(2)
    ch.fails("queue.declare-ok")
    a.raw("says connection.start-ok again", wire.frame(wire.METHOD, 0, wire.encode_method("connection.start-ok", {
        "mechanism": "PLAIN", "response": b"\0guest\0guest", "locale": "en_US"})))
    a.raw("opens the connection again", wire.frame(wire.METHOD, 0, wire.encode_method("connection.open", {
        "virtual-host": "/"})))
    a.raw("says channel.open on channel 0", wire.frame(wire.METHOD, 0, wire.encode_method("channel.open", {})))
    a.raw("says connection.close on channel 1", wire.frame(wire.METHOD, 1, wire.encode_method("connection.close", {})))
    a.call("connection.update-secret", {"new-secret": b"s", "reason": "test"})
    a.call("connection.close", {"reply-code": 200, "reply-text": "bye"})


def frames(s: Script) -> None:
    """Frames that are not right: each costs the connection."""
    a = s.connect("a", frame_max=8192)
    a.channel()
    publish = wire.frame(wire.METHOD, 1, wire.encode_method("basic.publish", {"routing-key": "nobody"}))
    declare = wire.encode_method("queue.declare", {"queue": "never"})
    header = wire.encode_header(4, {})
    for label, data in [
        ("a frame with another end", wire.frame(wire.METHOD, 1, declare)[:-1] + b"\0"),
        ("a frame of type 9", wire.frame(9, 1, b"")),
        ("a frame that is too large", wire.frame(wire.BODY, 1, b"x" * 9000)),
        ("a method that does not exist", wire.frame(wire.METHOD, 1, struct.pack(">HH", 60, 99))),
        ("a class that does not exist", wire.frame(wire.METHOD, 1, struct.pack(">HH", 99, 10))),
        ("a method that ends early", wire.frame(wire.METHOD, 1, declare[:-2])),
        ("a method of two octets", wire.frame(wire.METHOD, 1, b"\0\x32")),
        ("an empty method", wire.frame(wire.METHOD, 1, b"")),
        ("a header without a method", wire.frame(wire.HEADER, 1, header)),
        ("a body without a method", wire.frame(wire.BODY, 1, b"abcd")),
        ("a body without a header", publish + wire.frame(wire.BODY, 1, b"abcd")),
        ("a method instead of a header", publish + wire.frame(wire.METHOD, 1, declare)),
        ("a method instead of a body", publish + wire.frame(wire.HEADER, 1, header)
         + wire.frame(wire.METHOD, 1, declare)),
        ("more body than announced", publish + wire.frame(wire.HEADER, 1, header)
         + wire.frame(wire.BODY, 1, b"abcdefgh")),
        ("a header of another class", publish + wire.frame(wire.HEADER, 1, b"\0\x32" + header[2:])),
        ("a header that ends early", publish + wire.frame(wire.HEADER, 1, header[:10])),
        ("properties that end early", publish + wire.frame(wire.HEADER, 1, header[:12] + b"\x80\0\x05a")),
        ("a heartbeat on channel 1", wire.frame(wire.HEARTBEAT, 1, b"")),
        ("a header on channel 0", wire.frame(wire.HEADER, 0, header)),
        ("a table of an unknown type", wire.frame(wire.METHOD, 1, declare[:-4] + b"\0\0\0\x03\x01aZ")),
    ]:
        a.raw(f"sends {label}", data)
    a.raw("sends a heartbeat", wire.frame(wire.HEARTBEAT, 0, b""), end="silence")


THEMES = [handshakes, channels, frames]
