"""Messages in: content, mandatory, confirms, transactions, and what is refused."""

from differential import wire
from differential.session import Script

EVERY_PROPERTY = {
    "content_type": "text/plain", "content_encoding": "utf-8", "delivery_mode": 2, "priority": 7,
    "correlation_id": "c-1", "reply_to": "answers", "expiration": "60000", "message_id": "m-1", "timestamp": 1700000000,
    "type": "kind", "user_id": "guest", "app_id": "app", "cluster_id": "cluster",
}
EVERY_TYPE = {
    "bool": True, "i8": ("b", -8), "u8": ("B", 200), "i16": ("s", -16), "u16": ("u", 60000), "i32": -32,
    "u32": ("i", 4000000000), "i64": 2**40, "f32": ("f", 0.5), "f64": 0.25, "decimal": ("D", (2, 314)), "text": "é",
    "bytes": ("x", b"\0\xff"), "time": ("T", 1700000000), "void": None, "list": [1, "two", [3]],
    "table": {"a": {"b": 1}}, "": "empty name", "twice": 1,
}


def content(s: Script) -> None:
    """Bodies and properties come out as they went in."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("q")
    ch.publish("", "q", b"")
    ch.get("q")
    ch.publish("", "q", b"x" * 100)
    ch.get("q")
    ch.publish("", "q", b"every property", **EVERY_PROPERTY)
    ch.get("q")
    ch.publish("", "q", b"every type", headers=EVERY_TYPE)
    ch.get("q")
    ch.publish("", "q", b"empty", headers={}, content_type="", message_id="")
    ch.get("q")
    body = bytes(range(256)) * 2000
    pieces = b"".join(wire.frame(wire.BODY, 1, body[at : at + 100000]) for at in range(0, len(body), 100000))
    method = wire.frame(wire.METHOD, 1, wire.encode_method("basic.publish", {"routing-key": "q"}))
    header = wire.frame(wire.HEADER, 1, wire.encode_header(len(body), {"delivery-mode": 1}))
    a.raw("publishes half a megabyte in pieces", method + header + pieces, end="silence")
    ch.get("q")
    pieces = b"".join(wire.frame(wire.BODY, 1, body[at : at + 1]) for at in range(10))
    header = wire.frame(wire.HEADER, 1, wire.encode_header(10, {}))
    a.raw("publishes ten octets in ten frames", method + header + pieces, end="silence")
    ch.get("q")
    pieces = wire.frame(wire.BODY, 1, b"") + wire.frame(wire.BODY, 1, b"ab")
    header = wire.frame(wire.HEADER, 1, wire.encode_header(2, {}))
    a.raw("publishes with an empty body frame", method + header + pieces, end="silence")
    ch.get("q")
    ch.call("queue.delete", queue="q")


def interleaving(s: Script) -> None:
    """The contents of two channels in turns, and a method of another channel between."""
    a = s.connect("a")
    one, two = a.channel(1), a.channel(2)
    for queue in ("q1", "q2"):
        one.declare(queue)
    two.call("confirm.select")

    def publish(channel: int) -> bytes:
        method = wire.encode_method("basic.publish", {"routing-key": f"q{channel}"})
        return wire.frame(wire.METHOD, channel, method)

    def header(channel: int) -> bytes:
        return wire.frame(wire.HEADER, channel, wire.encode_header(4, {"message-id": str(channel)}))

    a.raw("publishes on two channels in turns",
          publish(1) + publish(2) + header(2) + wire.frame(wire.BODY, 2, b"ab") + header(1)
          + wire.frame(wire.BODY, 1, b"1234") + wire.frame(wire.BODY, 2, b"cd"), end="silence")
    for queue in ("q1", "q2"):
        one.settles(queue, 1)
        one.get(queue)
        one.call("queue.delete", queue=queue)


def mandatory(s: Script) -> None:
    """Returned with its reason; without the flag lost silently."""
    a = s.connect("a")
    ch = a.channel()
    ch.publish("", "nobody", b"back", mandatory=True, content_type="text/plain", headers={"a": 1})
    a.receive(1)
    ch.publish("amq.topic", "no.body", b"", mandatory=True)
    a.receive(1)
    ch.publish("amq.fanout", "", b"lost")
    a.silence()
    ch.publish_fails("nothing", "k", b"no such exchange")
    ch.publish_fails("", "nobody", b"immediate", immediate=True)
    ch.publish_fails("", "nobody", b"immediate and mandatory", immediate=True, mandatory=True)


def refused(s: Script) -> None:
    """Properties that the server looks at."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("q")
    for expiration in ("soon", "-1", "1.5", "", " 5", "5 ", "99999999999", "4294967295"):
        ch.publish("", "q", b"e", expiration=expiration)
        ch.call("queue.purge", queue="q")
    ch.publish_fails("", "q", b"u", user_id="somebody")
    ch.publish("", "q", b"u", user_id="guest")
    ch.publish("", "q", b"p", priority=255)
    for _ in range(2):
        ch.get("q")
    for mode in (0, 3):
        ch.publish("", "q", b"d", delivery_mode=mode)
        ch.call("queue.purge", queue="q")
    ch.call("queue.delete", queue="q")


def confirms(s: Script) -> None:
    """Each publish is answered, a return comes before it."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("confirm.select")
    ch.call("confirm.select")
    ch.declare("q", durable=True)
    for number in range(10):
        ch.publish("", "q", b"%d" % number, delivery_mode=2)
    a.confirms(10)
    ch.publish("", "nobody", b"unroutable")
    a.confirms(1)
    ch.publish("", "nobody", b"unroutable", mandatory=True)
    a.receive(2)
    ch.publish("", "q", b"transient", delivery_mode=1)
    a.receive(1)
    ch.call("tx.select")
    ch.call("confirm.select")
    ch.publish("", "q", b"counted from one again")
    a.receive(1)
    ch.publish_fails("nothing", "k", b"no exchange")
    ch.declare("full", {"x-max-length": 1, "x-overflow": "reject-publish"})
    ch.call("confirm.select")
    ch.publish("", "full", b"fits")
    a.confirms(1)
    ch.publish("", "full", b"does not")
    a.confirms(1)
    ch.call("exchange.declare", exchange="both", type="fanout")
    for queue in ("q", "full"):
        ch.call("queue.bind", queue=queue, exchange="both")
    ch.publish("both", "", b"refused by one of two")
    a.confirms(1)
    ch.send("confirm.select", nowait=True)
    ch.declare("q", passive=True)
    ch.declare("q", durable=True)
    ch.call("queue.delete", queue="q")
    ch.call("queue.delete", queue="full")
    ch.call("exchange.delete", exchange="both")


def transactions(s: Script) -> None:
    """Publishes and settlements count at the commit."""
    a = s.connect("a")
    ch, look = a.channel(1), a.channel(2)
    ch.declare("q")
    ch.call("tx.commit")
    ch.call("tx.rollback")
    ch.call("tx.select")
    ch.call("tx.select")
    ch.call("tx.commit")
    ch.call("tx.rollback")
    ch.publish("", "q", b"one")
    ch.publish("", "q", b"two")
    look.get("q")
    ch.call("tx.commit")
    look.settles("q", 2)
    ch.publish("", "q", b"three")
    ch.call("tx.rollback")
    ch.call("tx.commit")
    look.declare("q", passive=True)
    ch.get("q", no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.rollback")
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.commit")
    look.declare("q", passive=True)
    ch.get("q", no_ack=False)
    ch.send("basic.nack", delivery_tag=2, requeue=True)
    look.get("q")
    ch.call("tx.commit")
    look.settles("q", 1)
    look.get("q")
    ch.publish("", "nobody", b"returned at the commit", mandatory=True)
    a.silence()
    ch.call("tx.commit")
    ch.publish("nothing", "k", b"no exchange")
    ch.call("tx.commit")
    ch.call("tx.select")
    ch.fails("basic.ack", delivery_tag=99)
    ch.call("tx.select")
    ch.call("confirm.select")
    ch.call("tx.select")
    ch.publish("", "q", b"lost with the channel")
    ch.call("channel.close", reply_code=200, reply_text="")
    look.declare("q", passive=True)
    look.call("queue.delete", queue="q")


THEMES = [content, interleaving, mandatory, refused, confirms, transactions]
