"""Messages that leave a queue by themselves: time limits, length limits, dead letters with their history."""

from differential.session import Script


def time_limits(s: Script) -> None:
    """x-message-ttl and expiration: the shorter counts."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("ttl", {"x-message-ttl": 300})
    ch.publish("", "ttl", b"by the queue")
    ch.publish("", "ttl", b"by itself", expiration="100")
    ch.publish("", "ttl", b"asks for more", expiration="60000")
    s.sleep(0.7)
    ch.get("ttl")
    ch.declare("own")
    ch.publish("", "own", b"at once", expiration="0")
    ch.get("own")
    ch.publish("", "own", b"stays")
    ch.publish("", "own", b"waits behind", expiration="100")
    s.sleep(0.3)
    ch.declare("own", passive=True)
    ch.get("own")
    ch.settles("own", 0)
    ch.get("own")
    ch.declare("zero", {"x-message-ttl": 0})
    ch.publish("", "zero", b"nobody there")
    ch.get("zero")
    ch.consume("zero", "t", no_ack=True)
    ch.publish("", "zero", b"somebody there")
    a.receive(1)
    for queue in ("ttl", "own", "zero"):
        ch.call("queue.delete", queue=queue)


def length_limits(s: Script) -> None:
    """drop-head, reject-publish, reject-publish-dlx; by count and by octets."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("dl")
    ch.call("confirm.select")
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dl"}
    for queue, more in [("head", {"x-max-length": 2}), ("octets", {"x-max-length-bytes": 10}),
                        ("reject", {"x-max-length": 2, "x-overflow": "reject-publish"}),
                        ("rejectdlx", {"x-max-length": 2, "x-overflow": "reject-publish-dlx"}),
                        ("none", {"x-max-length": 0})]:
        ch.declare(queue, {**more, **dead})
        for number in range(4):
            ch.publish("", queue, b"%s%d" % (queue[:4].encode(), number))
        a.confirms(4)
        ch.declare(queue, passive=True)
        for _ in range(3):
            ch.get(queue)
        for _ in range(5):
            ch.get("dl")
        ch.call("queue.delete", queue=queue)
    ch.call("queue.delete", queue="dl")


def dead_letters(s: Script) -> None:
    """Every reason, with its history."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("exchange.declare", exchange="dlx", type="topic")
    ch.declare("graves")
    ch.call("queue.bind", queue="graves", exchange="dlx", routing_key="#")
    ch.declare("q", {"x-dead-letter-exchange": "dlx"})
    ch.publish("", "q", b"rejected", headers={"mine": 1}, content_type="text/plain", message_id="7")
    ch.get("q", no_ack=False)
    ch.send("basic.reject", delivery_tag=1, requeue=False)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.publish("", "q", b"expired", expiration="50")
    ch.settles("graves", 1)
    ch.get("graves")
    ch.publish("", "q", b"nacked", headers={"CC": ["copy"], "BCC": ["secret"]})
    ch.get("q", no_ack=False)
    ch.send("basic.nack", delivery_tag=4, requeue=False)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.declare("keyed", {"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "new.key"})
    ch.publish("", "keyed", b"keyed", headers={"CC": ["graves2"]})
    ch.get("keyed", no_ack=False)
    ch.send("basic.nack", delivery_tag=6, requeue=False)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.publish("", "q", b"with a strange history", headers={"x-death": "nonsense"})
    ch.get("q", no_ack=False)
    ch.send("basic.nack", delivery_tag=8, requeue=False)
    ch.settles("graves", 1)
    ch.get("graves")
    ch.declare("lost", {"x-dead-letter-exchange": "no such exchange"})
    ch.publish("", "lost", b"to nowhere")
    ch.get("lost", no_ack=False)
    ch.send("basic.nack", delivery_tag=10, requeue=False)
    ch.declare("lost", passive=True)
    for queue in ("q", "keyed", "lost", "graves"):
        ch.call("queue.delete", queue=queue)
    ch.call("exchange.delete", exchange="dlx")


def histories(s: Script) -> None:
    """Round and round: counts rise, a cycle without a rejection ends."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("work", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "wait"})
    ch.declare("wait", {"x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"})
    ch.publish("", "work", b"retried", headers={"try": 1}, expiration="30000")
    for tag in range(1, 4):
        ch.settles("work", 1)
        ch.get("work", no_ack=False)
        ch.send("basic.nack", delivery_tag=tag, requeue=False)
    ch.settles("work", 1)
    ch.get("work")
    ch.declare("c1", {"x-message-ttl": 30, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "c2"})
    ch.declare("c2", {"x-message-ttl": 30, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "c1"})
    ch.publish("", "c1", b"falls out of the cycle")
    s.sleep(0.5)
    ch.declare("c1", passive=True)
    ch.declare("c2", passive=True)
    for queue in ("work", "wait", "c1", "c2"):
        ch.call("queue.delete", queue=queue)


def of_other_ends(s: Script) -> None:
    """What does not make a dead letter: purge, delete, expiry of the queue."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("graves")
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graves"}
    ch.declare("q", dead)
    ch.publish("", "q", b"purged")
    ch.call("queue.purge", queue="q")
    ch.publish("", "q", b"deleted")
    ch.call("queue.delete", queue="q")
    ch.declare("graves", passive=True)
    ch.declare("q2", {**dead, "x-message-ttl": 1000})
    ch.publish("", "q2", b"held by a consumer")
    ch.get("q2", no_ack=False)
    s.sleep(1.3)
    ch.declare("graves", passive=True)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.settles("graves", 1)
    ch.get("graves")
    for queue in ("graves", "q2"):
        ch.call("queue.delete", queue=queue)


def requeued_to_its_place(s: Script) -> None:
    """Order after requeues."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("q")
    for number in range(6):
        ch.publish("", "q", b"%d" % number)
    for _ in range(4):
        ch.get("q", no_ack=False)
    ch.send("basic.nack", delivery_tag=3, requeue=True)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.settles("q", 4)
    ch.publish("", "q", b"new")
    for _ in range(6):
        ch.get("q")
    ch.send("basic.ack", delivery_tag=2)
    ch.send("basic.ack", delivery_tag=4)
    ch.call("queue.delete", queue="q")


THEMES = [time_limits, length_limits, dead_letters, histories, of_other_ends, requeued_to_its_place]
