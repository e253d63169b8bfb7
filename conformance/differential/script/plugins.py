"""Exchange types that RabbitMQ has as plugins, of those that Debian ships: x-consistent-hash and x-random."""

from differential.session import Channel, Script

HASH = "x-consistent-hash"


def consistent_hash(s: Script) -> None:
    """Weights, what is hashed, and that a key stays where it is. Where it goes is each server's own choice."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("exchange.declare", exchange="ring", type=HASH)
    ch.call("exchange.declare", exchange="ring", type=HASH)
    ch.call("exchange.declare", exchange="ring", type="direct")
    for name in ("r0", "r1", "r2"):
        ch.declare(name)
    for weight in ("0", "-1", "heavy", "", "1.5"):
        ch.call("queue.bind", queue="r0", exchange="ring", routing_key=weight)
    ch.publish("ring", "lonely", b"x", mandatory=True)
    a.receive(1)
    ch.call("queue.bind", queue="r0", exchange="ring", routing_key="1")
    ch.publish("ring", "any key", b"x", mandatory=True)
    ch.get("r0")
    for name in ("r1", "r2"):
        ch.call("queue.bind", queue=name, exchange="ring", routing_key="2")
    for key in ("one", "two", "three", ""):
        _publish_often(ch, "ring", key)
    ch.call("queue.unbind", queue="r0", exchange="ring", routing_key="1")
    _publish_often(ch, "ring", "one")
    for name in ("r1", "r2"):
        ch.call("queue.unbind", queue=name, exchange="ring", routing_key="2")
    ch.publish("ring", "one", b"x", mandatory=True)
    a.receive(1)
    for name in ("r0", "r1", "r2"):
        ch.call("queue.delete", queue=name)
    ch.call("exchange.delete", exchange="ring")


def hash_arguments(s: Script) -> None:
    """A header or a property in place of the routing key."""
    a = s.connect("a")
    ch = a.channel()
    both = {"hash-header": "h", "hash-property": "message_id"}
    for number, arguments in enumerate([both, {"hash-property": "priority"}, {"hash-property": "message_id"},
                                        {"hash-property": "correlation_id"}, {"hash-property": "timestamp"},
                                        {"hash-header": "h"}]):
        ch.call("exchange.declare", exchange=f"ring{number}", type=HASH, arguments=arguments)
    for name in ("r0", "r1", "r2"):
        ch.declare(name)
        ch.call("queue.bind", queue=name, exchange="ring2", routing_key="3")
        ch.call("queue.bind", queue=name, exchange="ring5", routing_key="3")
    _publish_often(ch, "ring2", None, message_id="m1")
    _publish_often(ch, "ring2", None, message_id="m2")
    _publish_often(ch, "ring2", None)
    _publish_often(ch, "ring5", None, headers={"h": "v"})
    _publish_often(ch, "ring5", None, headers={"other": "v"})
    for number in range(2, 6):
        ch.call("exchange.delete", exchange=f"ring{number}")
    for name in ("r0", "r1", "r2"):
        ch.call("queue.delete", queue=name)


def random(s: Script) -> None:
    """One of the bound queues, whatever the key."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("exchange.declare", exchange="dice", type="x-random")
    ch.publish("dice", "k", b"x", mandatory=True)
    a.receive(1)
    for name in ("r0", "r1", "r2"):
        ch.declare(name)
        ch.call("queue.bind", queue=name, exchange="dice", routing_key=name)
    for _ in range(12):
        ch.publish("dice", "k", b"x")
    ch.script.trace.say(f"{sum(_purged(ch))} arrived")
    for name in ("r1", "r2"):
        ch.call("queue.unbind", queue=name, exchange="dice", routing_key=name)
    ch.publish("dice", "k", b"x")
    ch.get("r0")
    for name in ("r0", "r1", "r2"):
        ch.call("queue.delete", queue=name)
    ch.call("exchange.delete", exchange="dice")


def _publish_often(ch: Channel, exchange: str, key: str | None, **properties) -> None:
    """Six messages that hash alike, under different routing keys if the key does not count: one queue has all."""
    for number in range(6):
        ch.publish(exchange, f"key {number}" if key is None else key, b"x", **properties)
    counts = [count for count in _purged(ch) if count]
    ch.script.trace.say(f"{counts} arrived together")


def _purged(ch: Channel) -> list[int]:
    """How many messages each of the queues had."""
    counts = []
    for name in ("r0", "r1", "r2"):
        ch.connection.put(ch.number, "queue.purge", {"queue": name})
        counts.append(ch.connection.take().arguments["message-count"])
    return counts


THEMES = [consistent_hash, hash_arguments, random]
