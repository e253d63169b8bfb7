"""The consumer timeout of both servers, apart from the script: it would end what the script leaves unacknowledged."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from differential import rabbitmq
from differential.session import Script
from differential.trace import show

# RabbitMQ looks at its channels every minute unless told otherwise.
_RABBITMQ = "[{rabbit, [{consumer_timeout, 1500}, {channel_tick_interval, 500}]}].\n"
_BUSBAR = '[amqp]\nconsumer_timeout = "1500ms"\n'


def consumer_timeout(s: Script) -> None:
    """A delivery, then a message from basic.get, is not acknowledged in time; the channel closes and it goes back."""
    a, b = s.connect("a"), s.connect("b")
    ch, other = a.channel(), b.channel()
    ch.declare("ct")
    for body in (b"one", b"two"):
        ch.publish("", "ct", body)
    ch.consume("ct", "slow")
    a.receive(2)
    _waits(s, a)
    a.put(1, "channel.close-ok", {})
    other.settles("ct", 2)
    other.get("ct")
    other.get("ct")
    second = a.channel(2)
    second.publish("", "ct", b"got")
    second.settles("ct", 1)
    second.get("ct", no_ack=False)
    _waits(s, a)


def _waits(s: Script, connection) -> None:
    s.step("waits")
    closed = connection.take(10)
    s.trace.say(show(closed) if closed else "nothing")


def _run(port: int) -> list:
    script = Script(port)
    script.run(consumer_timeout)
    return script.trace.steps


@pytest.mark.timeout(120)
def test_an_unacknowledged_delivery_closes_its_channel_with_the_same_words(tmp_path, start_gateway):
    (tmp_path / "rabbitmq").mkdir()
    node = rabbitmq.RabbitMq(tmp_path / "rabbitmq", advanced=_RABBITMQ)
    try:
        with ThreadPoolExecutor() as threads:
            ports = [node.start().port("amqp"), start_gateway(_BUSBAR).port("amqp")]
            theirs, ours = threads.map(_run, ports)
    finally:
        node.stop()
    assert ours == theirs
    waits = [lines for name, lines in ours if "waits" in name]
    assert len(waits) == 2
    assert all("timed out. Timeout value used: 1500 ms" in lines[0] for lines in waits)
