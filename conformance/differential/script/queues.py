"""Queues: declaring, equivalence, arguments, purging, deleting, exclusiveness."""

from differential.session import Script


def declaring(s: Script) -> None:
    """What a declaration answers, and when it does not."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("d1")
    ch.declare("d1")
    ch.declare("d1", durable=True)
    ch.declare("d2", durable=True)
    ch.declare("d2")
    ch.declare("d2", durable=True, auto_delete=True)
    ch.declare("d2", durable=True, exclusive=True)
    ch.declare("d2", passive=True)
    ch.declare("nothing", passive=True)
    ch.declare("")
    ch.publish("", "", b"to no queue", mandatory=True)
    a.receive(1)
    ch.declare("", passive=True)
    ch.call("queue.purge", queue="")
    ch.call("queue.delete", queue="")
    ch.call("queue.purge", queue="")
    ch.declare("amq.mine")
    ch.declare("amq.mine", passive=True)
    ch.declare("two\r\nlines")
    ch.declare("two", passive=True)
    ch.send("queue.declare", queue="quiet", nowait=True)
    ch.declare("quiet", passive=True)
    ch.call("queue.delete", queue="d1")
    ch.call("queue.delete", queue="d1")
    ch.call("queue.delete", queue="d2")
    ch.call("queue.delete", queue="quiet")


def arguments(s: Script) -> None:
    """Which arguments are taken, and the words for those that are not."""
    a = s.connect("a")
    ch = a.channel()
    for number, (name, value) in enumerate([
        ("x-message-ttl", -1), ("x-message-ttl", "soon"), ("x-message-ttl", 1.5), ("x-message-ttl", 2**40),
        ("x-expires", 0), ("x-expires", -5), ("x-expires", "later"),
        ("x-max-length", -1), ("x-max-length", "many"), ("x-max-length-bytes", -1),
        ("x-max-priority", 256), ("x-max-priority", -1), ("x-max-priority", "high"),
        ("x-overflow", "explode"), ("x-overflow", 5),
        ("x-dead-letter-exchange", 7), ("x-dead-letter-routing-key", 7),
        ("x-queue-mode", "lazier"), ("x-queue-type", "heap"), ("x-queue-type", 5),
        ("x-single-active-consumer", "yes"), ("x-queue-version", 3),
    ]):
        ch.declare(f"bad{number}", {name: value})
    ch.declare("bad", {"x-dead-letter-routing-key": "k"})
    taken = {
        "x-message-ttl": ("b", 100), "x-expires": ("l", 60000), "x-max-length": ("s", 5), "x-max-length-bytes": 100000,
        "x-overflow": "reject-publish", "x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "k",
        "x-max-priority": ("B", 3), "x-queue-mode": "lazy", "x-single-active-consumer": True, "x-unknown": [1, "two"],
    }
    ch.declare("taken", taken)
    ch.declare("taken", taken)
    ch.declare("taken", {**taken, "x-expires": 60000})
    ch.declare("taken", {**taken, "x-expires": 60001})
    ch.declare("taken", {**taken, "x-overflow": "drop-head"})
    ch.declare("taken", {**taken, "x-unknown": "other"})
    ch.declare("taken", {key: value for key, value in taken.items() if key != "x-message-ttl"})
    ch.declare("taken", {**taken, "x-extra": 1})
    ch.declare("taken")
    ch.call("queue.delete", queue="taken")
    ch.declare("typed", {"x-queue-type": "classic"})
    ch.declare("typed")
    ch.declare("typed", {"x-queue-type": "quorum"})
    ch.call("queue.delete", queue="typed")


def purging_and_deleting(s: Script) -> None:
    """Counts, conditions, and what stands in the way."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("p1")
    for number in range(5):
        ch.publish("", "p1", b"m%d" % number)
    ch.settles("p1", 5)
    ch.get("p1", no_ack=False)
    ch.declare("p1", passive=True)
    ch.call("queue.purge", queue="p1")
    ch.declare("p1", passive=True)
    ch.call("basic.recover", requeue=True)
    ch.settles("p1", 1)
    ch.call("queue.delete", queue="p1", if_empty=True)
    ch.call("queue.purge", queue="p1")
    ch.consume("p1", "t1")
    ch.call("queue.delete", queue="p1", if_unused=True)
    ch.consume("p1", "t1")
    ch.publish("", "p1", b"last")
    a.receive(1)
    ch.call("queue.delete", queue="p1")
    a.receive(1)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("queue.purge", queue="nothing")
    ch.call("queue.delete", queue="nothing")
    ch.send("queue.delete", queue="nothing", nowait=True)
    ch.declare("p2")
    ch.publish("", "p2", b"x")
    ch.send("queue.purge", queue="p2", nowait=True)
    ch.declare("p2", passive=True)
    ch.send("queue.delete", queue="p2", nowait=True)
    ch.declare("p2", passive=True)


def exclusive(s: Script) -> None:
    """A queue of one connection."""
    a, b = s.connect("a"), s.connect("b")
    mine, other = a.channel(), b.channel()
    mine.declare("x1", exclusive=True)
    mine.declare("x1", exclusive=True)
    mine.declare("x1")
    other.declare("x1", exclusive=True)
    other.declare("x1")
    other.declare("x1", passive=True)
    other.get("x1")
    other.consume("x1", "t")
    other.call("queue.purge", queue="x1")
    other.call("queue.delete", queue="x1")
    other.call("queue.bind", queue="x1", exchange="amq.direct", routing_key="k")
    other.call("queue.unbind", queue="x1", exchange="amq.direct", routing_key="k")
    other.publish("", "x1", b"anyone may publish")
    mine.settles("x1", 1)
    mine.get("x1")
    a.call("connection.close", {"reply-code": 200, "reply-text": "bye"})
    a.disconnect()
    s.sleep(0.3)
    other.declare("x1", passive=True)


def auto_delete(s: Script) -> None:
    """A queue that goes with its last consumer, not before the first."""
    a = s.connect("a")
    ch, second = a.channel(1), a.channel(2)
    ch.declare("ad", auto_delete=True)
    ch.consume("ad", "one")
    second.consume("ad", "two")
    ch.call("basic.cancel", consumer_tag="one")
    ch.declare("ad", passive=True)
    second.call("channel.close", reply_code=200, reply_text="done")
    s.sleep(0.3)
    ch.declare("ad", passive=True)
    ch.declare("ad2", auto_delete=True)
    ch.call("queue.delete", queue="ad2", if_unused=True)


def expiring(s: Script) -> None:
    """x-expires: gone when nobody used it."""
    a = s.connect("a")
    ch = a.channel()
    for queue in ("e1", "e2"):
        ch.declare(queue, {"x-expires": 2000})
    ch.consume("e2", "keeps")
    s.sleep(1.2)
    ch.get("e1")
    s.sleep(1.2)
    ch.declare("e1", passive=True)
    s.sleep(3)
    ch.call("queue.purge", queue="e1")
    ch.declare("e2", passive=True)


THEMES = [declaring, arguments, purging_and_deleting, exclusive, auto_delete, expiring]
