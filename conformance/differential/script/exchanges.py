"""Exchanges: declaring, routing by each type, bindings, exchange to exchange, alternates."""

from differential.session import Channel, Script


def declaring(s: Script) -> None:
    """What a declaration answers, and when it does not."""
    a = s.connect("a")
    ch = a.channel()
    for kind in ("direct", "fanout", "topic", "headers"):
        ch.call("exchange.declare", exchange=f"e-{kind}", type=kind)
    ch.call("exchange.declare", exchange="e-direct", type="direct")
    ch.call("exchange.declare", exchange="e-direct", type="topic")
    ch.call("exchange.declare", exchange="e-direct", type="direct", durable=True)
    ch.call("exchange.declare", exchange="e-direct", type="direct", auto_delete=True)
    ch.call("exchange.declare", exchange="e-direct", type="direct", internal=True)
    ch.call("exchange.declare", exchange="e-direct", type="direct", arguments={"alternate-exchange": "amq.fanout"})
    ch.call("exchange.declare", exchange="e-direct", type="direct", arguments={"x-unknown": 1})
    ch.call("exchange.declare", exchange="e-direct", passive=True)
    ch.call("exchange.declare", exchange="e-direct", type="no such type", passive=True)
    ch.call("exchange.declare", exchange="nothing", passive=True)
    ch.call("exchange.declare", exchange="odd", type="no such type")
    ch.call("exchange.declare", exchange="amq.mine", type="direct")
    ch.call("exchange.declare", exchange="amq.direct", type="direct", durable=True)
    ch.call("exchange.declare", exchange="amq.direct", type="direct")
    ch.call("exchange.declare", exchange="amq.direct", passive=True)
    ch.call("exchange.declare", exchange="", type="direct", durable=True)
    ch.call("exchange.declare", exchange="", passive=True)
    ch.call("exchange.declare", exchange="bad-ae", type="direct", arguments={"alternate-exchange": 5})
    ch.send("exchange.declare", exchange="quiet", type="direct", nowait=True)
    ch.call("exchange.declare", exchange="quiet", passive=True)
    ch.call("exchange.delete", exchange="amq.topic")
    ch.call("exchange.delete", exchange="")
    ch.call("exchange.delete", exchange="nothing")
    ch.declare("ex-used")
    ch.call("queue.bind", queue="ex-used", exchange="quiet", routing_key="k")
    ch.call("exchange.delete", exchange="quiet", if_unused=True)
    ch.call("exchange.delete", exchange="quiet")
    ch.call("queue.delete", queue="ex-used", if_unused=True)
    for kind in ("direct", "fanout", "topic", "headers"):
        ch.call("exchange.delete", exchange=f"e-{kind}", if_unused=True)
    for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"):
        ch.call("exchange.declare", exchange=name, passive=True)


def binding(s: Script) -> None:
    """Bindings and their absence."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("b1")
    ch.call("queue.bind", queue="b1", exchange="nothing", routing_key="k")
    ch.call("queue.bind", queue="nothing", exchange="amq.direct", routing_key="k")
    ch.call("queue.bind", queue="b1", exchange="", routing_key="k")
    ch.call("queue.unbind", queue="b1", exchange="", routing_key="b1")
    ch.call("queue.bind", queue="b1", exchange="amq.direct", routing_key="k")
    ch.call("queue.bind", queue="b1", exchange="amq.direct", routing_key="k")
    ch.publish("amq.direct", "k", b"once although bound twice")
    ch.get("b1")
    ch.get("b1")
    ch.call("queue.unbind", queue="b1", exchange="amq.direct", routing_key="k")
    ch.call("queue.unbind", queue="b1", exchange="amq.direct", routing_key="k")
    ch.call("queue.unbind", queue="b1", exchange="nothing", routing_key="k")
    ch.call("queue.unbind", queue="nothing", exchange="amq.direct", routing_key="k")
    ch.publish("amq.direct", "k", b"nobody", mandatory=True)
    a.receive(1)
    ch.call("queue.bind", queue="b1", exchange="amq.fanout", routing_key="ignored", arguments={"x": 1})
    ch.call("queue.bind", queue="b1", exchange="amq.fanout", routing_key="ignored")
    ch.publish("amq.fanout", "anything", b"once")
    ch.get("b1")
    ch.get("b1")
    ch.declare("")
    ch.call("queue.bind", queue="", exchange="amq.direct", routing_key="")
    ch.send("queue.bind", queue="b1", exchange="amq.direct", routing_key="quiet", nowait=True)
    ch.publish("amq.direct", "quiet", b"heard")
    ch.get("b1")
    ch.call("queue.delete", queue="b1")


def topics(s: Script) -> None:
    """`*` is one word, `#` any number, words may be empty."""
    a = s.connect("a")
    ch = a.channel()
    patterns = ["a.b.c", "a.*.c", "a.#", "#", "*", "*.*", "#.c", "a.#.c", "*.#", "", ".", "a..c", "#.#"]
    for number, pattern in enumerate(patterns):
        ch.declare(f"t{number}")
        ch.call("queue.bind", queue=f"t{number}", exchange="amq.topic", routing_key=pattern)
    for key in ["a.b.c", "a", "", "a.c", "a..c", ".", "..", "x.y", "a.b.b.c", "*", "#", "a.*.c"]:
        ch.publish("amq.topic", key, key.encode())
        _who_got(ch, len(patterns), "t")
    for number in range(len(patterns)):
        ch.call("queue.delete", queue=f"t{number}")


def headers(s: Script) -> None:
    """all, any, with x-; types are compared; an argument without a value asks for presence."""
    a = s.connect("a")
    ch = a.channel()
    arguments = [
        {"x-match": "all", "a": 1, "b": "two"}, {"x-match": "any", "a": 1, "b": "two"}, {"a": 1}, {},
        {"x-match": "any"}, {"x-match": "all", "a": None}, {"x-match": "all", "a": "1"}, {"x-match": "all", "x-a": 1},
        {"x-match": "all-with-x", "x-a": 1}, {"x-match": "any-with-x", "x-a": 1, "b": "two"},
        {"x-match": "all", "a": True}, {"x-match": "all", "a": 1.0}, {"x-match": "all", "a": ("l", 1)},
    ]
    for number, wanted in enumerate(arguments):
        ch.declare(f"h{number}")
        ch.call("queue.bind", queue=f"h{number}", exchange="amq.headers", routing_key="k", arguments=wanted)
    for given in [{}, {"a": 1}, {"a": 1, "b": "two"}, {"b": "two", "c": 3}, {"a": "1"}, {"x-a": 1}, {"a": True},
                  {"a": 1.0}, {"a": ("b", 1)}, {"a": None}, {"a": [1]}]:
        ch.publish("amq.headers", "other", b"h", headers=given)
        _who_got(ch, len(arguments), "h")
    ch.publish("amq.headers", "k", b"no headers at all")
    _who_got(ch, len(arguments), "h")
    ch.call("queue.bind", queue="h0", exchange="amq.headers", arguments={"x-match": "some"})
    ch.call("queue.bind", queue="h0", exchange="amq.headers", arguments={"x-match": 5})
    for number in range(len(arguments)):
        ch.call("queue.delete", queue=f"h{number}")


def exchange_to_exchange(s: Script) -> None:
    """A message takes each way once, cycles included."""
    a = s.connect("a")
    ch = a.channel()
    for name in ("s1", "s2", "s3"):
        ch.call("exchange.declare", exchange=name, type="topic")
    ch.declare("eq")
    ch.call("queue.bind", queue="eq", exchange="s3", routing_key="#")
    ch.call("exchange.bind", destination="s2", source="s1", routing_key="a.#")
    ch.call("exchange.bind", destination="s3", source="s2", routing_key="#")
    ch.call("exchange.bind", destination="s3", source="s1", routing_key="a.b")
    ch.call("exchange.bind", destination="s1", source="s3", routing_key="#")
    ch.publish("s1", "a.b", b"once")
    ch.get("eq")
    ch.get("eq")
    ch.call("exchange.unbind", destination="s3", source="s2", routing_key="#")
    ch.publish("s1", "a.c", b"lost", mandatory=True)
    a.receive(1)
    ch.call("exchange.unbind", destination="s3", source="s2", routing_key="#")
    ch.call("exchange.bind", destination="nothing", source="s1", routing_key="#")
    ch.call("exchange.bind", destination="s1", source="nothing", routing_key="#")
    ch.call("exchange.bind", destination="", source="s1", routing_key="#")
    ch.call("exchange.bind", destination="s1", source="", routing_key="#")
    ch.call("exchange.delete", exchange="s1", if_unused=True)
    for name in ("s1", "s2", "s3"):
        ch.call("exchange.delete", exchange=name)
    ch.call("exchange.declare", exchange="going", type="fanout", auto_delete=True)
    ch.call("exchange.declare", exchange="source", type="fanout", auto_delete=True)
    ch.call("exchange.bind", destination="going", source="source")
    ch.call("queue.bind", queue="eq", exchange="going")
    ch.call("queue.unbind", queue="eq", exchange="going")
    ch.call("exchange.declare", exchange="going", passive=True)
    ch.call("exchange.declare", exchange="source", passive=True)
    ch.call("queue.delete", queue="eq")


def alternate_and_internal(s: Script) -> None:
    """Where the unroutable goes; who may not publish."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("exchange.declare", exchange="last", type="fanout")
    ch.call("exchange.declare", exchange="first", type="direct", arguments={"alternate-exchange": "last"})
    ch.declare("al")
    ch.call("queue.bind", queue="al", exchange="last")
    ch.publish("first", "unknown", b"saved", mandatory=True)
    ch.get("al")
    ch.call("queue.bind", queue="al", exchange="first", routing_key="known")
    ch.publish("first", "known", b"straight")
    ch.get("al")
    ch.get("al")
    ch.call("queue.delete", queue="al")
    ch.publish("first", "unknown", b"returned", mandatory=True)
    a.receive(1)
    ch.call("exchange.delete", exchange="last")
    ch.publish("first", "unknown", b"returned", mandatory=True)
    a.receive(1)
    ch.call("exchange.declare", exchange="inner", type="fanout", internal=True)
    ch.publish_fails("inner", "k", b"refused")
    ch.declare("in")
    ch.call("queue.bind", queue="in", exchange="inner")
    ch.call("exchange.bind", destination="inner", source="first", routing_key="deep")
    ch.publish("first", "deep", b"by a binding")
    ch.get("in")
    ch.call("exchange.delete", exchange="inner")
    ch.call("exchange.delete", exchange="first")
    ch.call("queue.delete", queue="in")


def carbon_copies(s: Script) -> None:
    """CC and BCC: further routing keys in headers."""
    a = s.connect("a")
    ch = a.channel()
    for name in ("c1", "c2", "c3"):
        ch.declare(name)
    ch.publish("", "c1", b"all", headers={"CC": ["c2", "c1"], "BCC": ["c3"], "kept": 1})
    for name in ("c1", "c2", "c3"):
        ch.get(name)
        ch.get(name)
    ch.publish("", "nobody", b"cc only", mandatory=True, headers={"CC": ["c2"]})
    ch.get("c2")
    ch.publish("", "nobody", b"none", mandatory=True, headers={"CC": ["nobody else"], "BCC": ["hidden"]})
    a.receive(1)
    ch.publish_fails("", "c1", b"bad", headers={"CC": "c2"})
    ch.publish_fails("", "c1", b"bad", headers={"BCC": 5})
    ch.publish("", "c1", b"odd", headers={"CC": [5, "c2"]})
    ch.get("c2")
    for name in ("c1", "c2", "c3"):
        ch.call("queue.delete", queue=name)


def _who_got(ch: Channel, count: int, prefix: str) -> None:
    """Which of the queues got the message: one line. One request empties a queue, so none is left over."""
    names = []
    for number in range(count):
        ch.connection.put(ch.number, "queue.purge", {"queue": f"{prefix}{number}"})
        method = ch.connection.take()
        names += [f"{prefix}{number}"] * method.arguments["message-count"]
    ch.script.trace.say(f"went to {' '.join(names) or 'nobody'}")


THEMES = [declaring, binding, topics, headers, exchange_to_exchange, alternate_and_internal, carbon_copies]
