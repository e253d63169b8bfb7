"""Which messages are called redelivered by the next run of both servers, after a kill and after a clean stop."""

import time

import pika
import pytest

from differential import rabbitmq
from support.amqp import connect

COUNT, TAKEN = 6, 2


def fill(server) -> pika.BlockingConnection:
    """Six persistent messages, of which a consumer has two that it has not acknowledged."""
    connection = connect(server.port("amqp"))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("redelivered", durable=True)
    for number in range(COUNT):
        channel.basic_publish("", "redelivered", b"%d" % number, pika.BasicProperties(delivery_mode=2))
    for number in range(TAKEN):
        method, _properties, body = channel.basic_get("redelivered")
        assert (method.redelivered, body) == (False, b"%d" % number)
    return connection


def flags(server) -> list[tuple[bytes, bool]]:
    """Takes everything: the bodies, and which are called redelivered."""
    connection = connect(server.port("amqp"))
    channel = connection.channel()
    found = []
    while (got := channel.basic_get("redelivered", auto_ack=True))[0]:
        found.append((got[2], got[0].redelivered))
    connection.close()
    return found


def after(server, end) -> list[tuple[bytes, bool]]:
    """What the next run says after this end of the one in which the messages came."""
    held = fill(server)
    # RabbitMQ forgets a queue that was declared less than some seconds before a kill.
    time.sleep(5)
    end()
    server.start()
    found = flags(server)
    assert not held.is_closed, "it was to hold its messages to the end"
    return found


@pytest.mark.timeout(240)
def test_after_a_kill_all_are_called_redelivered_after_a_clean_stop_those_that_were_taken(tmp_path, start_gateway):
    (tmp_path / "rabbitmq").mkdir()
    node, gateway = rabbitmq.RabbitMq(tmp_path / "rabbitmq"), start_gateway()
    try:
        node.start()
        by_kill = after(node, node.kill_9)
        by_stop = after(node, node.stop)
    finally:
        node.stop()
    bodies = [b"%d" % number for number in range(COUNT)]
    assert by_kill == [(body, True) for body in bodies]
    assert by_stop == [(body, number < TAKEN) for number, body in enumerate(bodies)]
    assert after(gateway, gateway.kill) == by_kill
    assert after(gateway, gateway.stop) == by_stop
