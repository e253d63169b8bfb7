"""Messages out: get, consume, prefetch, settling, priorities, single active consumer, direct reply-to."""

from differential import wire
from differential.session import Script


def getting(s: Script) -> None:
    """basic.get, its counts and the redelivered flag."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("q")
    ch.get("q")
    ch.get("nothing")
    for number in range(4):
        ch.publish("", "q", b"%d" % number)
    ch.get("q", no_ack=False)
    ch.get("q", no_ack=False)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.settles("q", 3)
    ch.get("q", no_ack=False)
    ch.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    ch.settles("q", 4)
    for _ in range(5):
        ch.get("q", no_ack=False)
    ch.send("basic.ack", delivery_tag=5)
    ch.send("basic.ack", delivery_tag=7, multiple=True)
    ch.fails("basic.ack", delivery_tag=7)
    ch.fails("basic.ack", delivery_tag=0)
    ch.send("basic.ack", delivery_tag=0, multiple=True)
    ch.fails("basic.reject", delivery_tag=1)
    ch.fails("basic.nack", delivery_tag=1)
    ch.fails("basic.nack", delivery_tag=9, multiple=True)
    ch.fails("basic.reject", delivery_tag=0)
    ch.declare("q", passive=True)
    ch.publish("", "q", b"kept by the channel")
    ch.get("q", no_ack=False)
    ch.call("channel.close", reply_code=200, reply_text="")
    ch.call("channel.open")
    ch.settles("q", 1)
    ch.get("q")
    ch.call("queue.delete", queue="q")


def consuming(s: Script) -> None:
    """Tags, cancelling both ways, exclusive consumers."""
    a = s.connect("a")
    ch, other = a.channel(1), a.channel(2)
    ch.declare("q")
    ch.consume("q", "")
    ch.consume("q", "mine", no_ack=True)
    other.consume("q", "mine", no_ack=True)
    ch.call("basic.cancel", consumer_tag="mine")
    ch.call("basic.cancel", consumer_tag="unknown")
    ch.send("basic.cancel", consumer_tag="unknown", nowait=True)
    other.call("basic.cancel", consumer_tag="mine")
    ch.call("channel.close", reply_code=200, reply_text="")
    ch.call("channel.open")
    ch.consume("q", "alone", exclusive=True)
    other.consume("q", "second")
    ch.consume("q", "alone2")
    ch.consume("nothing", "t")
    ch.consume("q", "twice")
    ch.consume("q", "twice")
    ch.consume("q", "first")
    ch.consume("q", "wants alone", exclusive=True)
    ch.call("queue.delete", queue="q")
    ch.declare("q")
    ch.consume("q", "local", no_local=True)
    ch.publish("", "q", b"no-local is not looked at")
    a.receive(1)
    ch.send("basic.consume", queue="q", consumer_tag="quiet", nowait=True)
    ch.declare("q", passive=True)
    ch.consume("q", "bad", arguments={"x-priority": "high"})
    ch.consume("q", "t")
    a.receive(1)
    ch.call("queue.delete", queue="q")
    a.receive(1)
    ch.declare("")
    ch.consume("", "last declared", no_ack=True)
    ch.publish("", "amq.nobody", b"x")
    a.silence()


def prefetch(s: Script) -> None:
    """Credit per consumer and per channel."""
    a = s.connect("a")
    ch, feed = a.channel(1), a.channel(2)
    ch.declare("q")
    ch.call("basic.qos", prefetch_count=2)
    ch.consume("q", "two")
    for number in range(5):
        feed.publish("", "q", b"%d" % number)
    a.receive(2)
    a.silence()
    ch.send("basic.ack", delivery_tag=1)
    a.receive(1)
    ch.send("basic.ack", delivery_tag=3, multiple=True)
    a.receive(2)
    ch.send("basic.nack", delivery_tag=5, requeue=True)
    a.receive(1)
    ch.call("basic.cancel", consumer_tag="two")
    ch.send("basic.ack", delivery_tag=0, multiple=True)
    ch.call("basic.qos", prefetch_size=1)
    ch.call("basic.qos", prefetch_count=0)
    ch.call("basic.qos", prefetch_count=3, global_=True)
    ch.consume("q", "c1")
    ch.consume("q", "c2")
    for number in range(6):
        feed.publish("", "q", b"g%d" % number)
    a.receive(3, order="by channel")
    a.silence()
    ch.send("basic.ack", delivery_tag=3, multiple=True)
    a.receive(3, order="by channel")
    ch.call("channel.flow", active=True)
    ch.call("channel.flow", active=False)
    ch.call("queue.delete", queue="q")


def round_robin(s: Script) -> None:
    """Fair turns; no-ack and manual side by side."""
    a = s.connect("a")
    ch, feed = a.channel(1), a.channel(2)
    ch.declare("q")
    for tag in ("c1", "c2", "c3"):
        ch.consume("q", tag, no_ack=True)
    for number in range(6):
        feed.publish("", "q", b"%d" % number)
    a.receive(6, order="by channel")
    ch.call("basic.cancel", consumer_tag="c2")
    for number in range(4):
        feed.publish("", "q", b"then %d" % number)
    a.receive(4, order="by channel")
    ch.call("queue.delete", queue="q")
    a.receive(2, order="by channel")


def priorities(s: Script) -> None:
    """Consumers with x-priority, messages with priority."""
    a = s.connect("a")
    ch, feed = a.channel(1), a.channel(2)
    ch.declare("q")
    ch.call("basic.qos", prefetch_count=1)
    ch.consume("q", "low", arguments={"x-priority": -5})
    ch.consume("q", "high", arguments={"x-priority": 10})
    ch.consume("q", "plain")
    for number in range(4):
        feed.publish("", "q", b"%d" % number)
    a.receive(3)
    a.silence()
    ch.send("basic.ack", delivery_tag=2)
    a.receive(1)
    ch.call("queue.delete", queue="q")
    a.receive(3, order="by channel")
    ch.declare("p", {"x-max-priority": 5})
    for number, priority in enumerate([0, 5, 3, 9, 3, None]):
        ch.publish("", "p", b"%d" % number, **({} if priority is None else {"priority": priority}))
    for _ in range(7):
        ch.get("p")
    ch.publish("", "p", b"a", priority=1)
    ch.publish("", "p", b"b", priority=4)
    ch.get("p", no_ack=False)
    ch.send("basic.nack", delivery_tag=11, requeue=True)
    ch.settles("p", 2)
    ch.get("p")
    ch.get("p")
    ch.call("queue.delete", queue="p")


def single_active(s: Script) -> None:
    """One consumer at a time, the next when it goes."""
    a = s.connect("a")
    one, two = a.channel(1), a.channel(2)
    one.declare("sac", {"x-single-active-consumer": True})
    one.consume("sac", "first")
    two.consume("sac", "second")
    two.consume("sac", "alone", exclusive=True)
    one.publish("", "sac", b"1")
    one.publish("", "sac", b"2")
    a.receive(2)
    one.call("basic.cancel", consumer_tag="first")
    one.publish("", "sac", b"3")
    a.silence()
    two.consume("sac", "again")
    a.receive(1)
    one.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    a.receive(2)
    two.get("sac")
    for tag in ("second", "again"):
        two.call("basic.cancel", consumer_tag=tag)
    one.call("queue.delete", queue="sac")


def recovering(s: Script) -> None:
    """basic.recover, sync and async."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("q")
    for number in range(3):
        ch.publish("", "q", b"%d" % number)
    ch.consume("q", "c")
    a.receive(3)
    ch.send("basic.ack", delivery_tag=2)
    ch.call("basic.recover", requeue=True)
    a.receive(2)
    ch.send("basic.recover-async", requeue=True)
    a.receive(2)
    ch.call("basic.recover", requeue=False)
    ch.call("queue.delete", queue="q")


def direct_reply_to(s: Script) -> None:
    """amq.rabbitmq.reply-to, right and wrong."""
    a, b = s.connect("a"), s.connect("b")
    client, server = a.channel(), b.channel()
    server.declare("rpc")
    client.publish_fails("", "rpc", b"too early", reply_to="amq.rabbitmq.reply-to")
    client.consume("amq.rabbitmq.reply-to", "needs no-ack", no_ack=False)
    client.consume("amq.rabbitmq.reply-to", "answers", no_ack=True)
    client.consume("amq.rabbitmq.reply-to", "twice", no_ack=True)
    client.consume("amq.rabbitmq.reply-to", "answers", no_ack=True)
    client.declare("amq.rabbitmq.reply-to", passive=True)
    client.declare("amq.rabbitmq.reply-to")
    client.publish("", "rpc", b"question", reply_to="amq.rabbitmq.reply-to", correlation_id="1")
    server.settles("rpc", 1)
    server.connection.put(1, "basic.get", {"queue": "rpc", "no-ack": True})
    question = server.connection.take()
    address = question.properties["reply-to"]
    s.step("b/1 answers")
    s.trace.say(f"begins with amq.rabbitmq.reply-to.: {address.startswith('amq.rabbitmq.reply-to.')}")
    b.put(1, "basic.publish", {"routing-key": address})
    b.send_raw(wire.frame(wire.HEADER, 1, wire.encode_header(2, {"correlation-id": "1"})))
    b.send_raw(wire.frame(wire.BODY, 1, b"42"))
    s.step("a/1 hears the answer")
    answer = a.take()
    s.trace.say(f"{answer.arguments['consumer-tag']} {answer.arguments['exchange']!r} "
                f"key is the address: {answer.arguments['routing-key'] == address} {answer.properties} {answer.body!r}")
    s.step("b asks whether the requester is there")
    b.put(1, "queue.declare", {"queue": address, "passive": True})
    reply = b.take()
    s.trace.say(f"{reply.name} {[value for name, value in reply.arguments.items() if name != 'queue']}")
    client.get("amq.rabbitmq.reply-to")
    client.call("queue.delete", queue="amq.rabbitmq.reply-to")
    client.call("queue.bind", queue="amq.rabbitmq.reply-to", exchange="amq.direct", routing_key="k")
    client.call("basic.cancel", consumer_tag="answers")
    s.step("b answers nobody")
    b.put(1, "basic.publish", {"routing-key": address, "mandatory": True})
    b.send_raw(wire.frame(wire.HEADER, 1, wire.encode_header(0, {})))
    returned = b.take()
    s.trace.say(f"{returned.name} {[returned.arguments.get(name) for name in ('reply-code', 'reply-text')]}")
    server.call("queue.delete", queue="rpc")


THEMES = [getting, consuming, prefetch, round_robin, priorities, single_active, recovering, direct_reply_to]
