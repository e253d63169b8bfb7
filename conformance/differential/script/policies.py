"""Policies and operator policies: what they say holds for queues and exchanges by their names.

Both servers have the same ones (`differential.policies`) before the script begins.
"""

from differential.session import Script


def user_policies(s: Script) -> None:
    """Each of them as if the queue had the argument; of two numbers the smaller one."""
    a = s.connect("a")
    ch = a.channel()
    ch.declare("pol-graves")
    ch.declare("pol-ttl")
    ch.publish("", "pol-ttl", b"expires by policy")
    s.sleep(0.6)
    ch.get("pol-graves")
    ch.declare("pol-ttl-own", arguments={"x-message-ttl": 100_000})
    ch.publish("", "pol-ttl-own", b"the policy's is smaller")
    s.sleep(0.6)
    ch.get("pol-graves")
    ch.declare("pol-max")
    ch.call("confirm.select")
    for number in range(3):
        ch.publish("", "pol-max", b"%d" % number)
        a.confirms(1)
    ch.call("queue.purge", queue="pol-max")
    ch.declare("pol-max-own", arguments={"x-max-length": 1, "x-overflow": "drop-head"})
    for number in range(3):
        ch.publish("", "pol-max-own", b"%d" % number)
        a.confirms(1)
    ch.call("queue.purge", queue="pol-max-own")
    ch.declare("pol-expires")
    s.sleep(1.2)
    ch.call("queue.declare", queue="pol-expires", passive=True)
    for name in ("pol-graves", "pol-ttl", "pol-ttl-own", "pol-max", "pol-max-own"):
        ch.call("queue.delete", queue=name)


def alternate_by_policy(s: Script) -> None:
    """Where an exchange's unroutable messages go."""
    a = s.connect("a")
    ch = a.channel()
    ch.call("exchange.declare", exchange="pol-first", type="direct")
    ch.declare("pol-saved")
    ch.call("queue.bind", queue="pol-saved", exchange="amq.fanout")
    ch.publish("pol-first", "unknown", b"saved by policy", mandatory=True)
    ch.get("pol-saved")
    ch.call("exchange.delete", exchange="pol-first")
    ch.call("queue.delete", queue="pol-saved")


def operator_policies(s: Script) -> None:
    """The operator's limit holds whatever a queue asks for, if it is the smaller one."""
    a = s.connect("a")
    ch = a.channel()
    for name, limit in (("op-none", None), ("op-more", 5), ("op-less", 1)):
        ch.declare(name, arguments={} if limit is None else {"x-max-length": limit})
        for number in range(6):
            ch.publish("", name, b"%d" % number)
        ch.call("queue.purge", queue=name)
        ch.call("queue.delete", queue=name)


THEMES = [user_policies, alternate_by_policy, operator_policies]
