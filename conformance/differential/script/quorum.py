"""Quorum queues: what they refuse, how they count deliveries; and two ways to log in that clients rarely take."""

from differential.session import Script

QUORUM = {"x-queue-type": "quorum"}


def quorum(s: Script) -> None:
    """Declared, refused, delivered too often."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("bad", QUORUM)
    ch.declare("bad", QUORUM, durable=True, exclusive=True)
    ch.declare("auto", QUORUM, durable=True, auto_delete=True)
    ch.declare("", QUORUM, durable=True)
    for number, (name, value) in enumerate([
        ("x-max-priority", 5), ("x-queue-mode", "lazy"), ("x-queue-version", 2), ("x-overflow", "reject-publish-dlx"),
        ("x-overflow", "reject-publish"), ("x-delivery-limit", -2), ("x-delivery-limit", "often"),
        ("x-dead-letter-strategy", "perhaps"), ("x-expires", 0), ("x-message-ttl", 1000), ("x-max-length", 5),
        ("x-single-active-consumer", True), ("x-quorum-initial-group-size", 0), ("x-quorum-initial-group-size", 3),
        ("x-queue-leader-locator", "here"), ("x-max-in-memory-length", 5),
    ]):
        ch.declare(f"q{number}", {**QUORUM, name: value}, durable=True)
        ch.call("queue.delete", queue=f"q{number}")
    for name, value in [("x-delivery-limit", 2), ("x-dead-letter-strategy", "at-least-once"),
                        ("x-quorum-initial-group-size", 3), ("x-max-age", "1h"), ("x-queue-leader-locator", "here")]:
        ch.declare("classic", {"x-queue-type": "classic", name: value}, durable=True)
    ch.call("queue.delete", queue="classic")
    ch.declare("graves")
    limited = {**QUORUM, "x-delivery-limit": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graves"}
    ch.declare("qq", limited, durable=True)
    ch.declare("qq", limited, durable=True)
    ch.declare("qq", {**limited, "x-delivery-limit": 3}, durable=True)
    ch.declare("qq", durable=True)
    ch.call("confirm.select")
    ch.publish("", "qq", b"again and again", headers={"own": 1}, delivery_mode=2)
    a.confirms(1)
    for _ in range(3):
        ch.settles("qq", 1)
        ch.get("qq", no_ack=False)
        ch.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.publish("", "qq", b"rejected", delivery_mode=2)
    a.confirms(1)
    ch.settles("qq", 1)
    ch.get("qq", no_ack=False)
    ch.send("basic.nack", delivery_tag=0, multiple=True)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.call("basic.qos", prefetch_count=2, global_=True)
    ch.consume("qq", "global")
    for queue in ("qq", "auto", "graves"):
        ch.call("queue.delete", queue=queue)


THEMES = [quorum]
