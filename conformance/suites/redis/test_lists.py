"""Lists are queues: what one protocol puts in, another takes out, and what was pushed outlives the gateway."""

import threading
import uuid

import pika
import pytest
from support.amqp import AmqpConsumer, AmqpPublisher, connect as amqp_connect
from support.mqtt import V5, V311, MqttClient
from support.resp import connect


@pytest.fixture
def key():
    """A key that no other test uses."""
    return f"list-{uuid.uuid4().hex[:8]}"


class Waiting:
    """A blocking pop by a thread of its own."""

    def __init__(self, gateway, *request):
        self._client, self.answer = connect(gateway), None
        self._thread = threading.Thread(target=lambda: self._ask(request))
        self._thread.start()

    def _ask(self, request) -> None:
        self.answer = self._client.execute_command(*request)

    def join(self):
        """What it was answered."""
        self._thread.join(10)
        assert not self._thread.is_alive(), "still waiting"
        self._client.close()
        return self.answer


def blocked(gateway) -> int:
    """Clients that wait for an element."""
    return int(connect(gateway).info("clients")["blocked_clients"])


@pytest.mark.parametrize("version", [V311, V5])
def test_an_mqtt_publish_is_popped_by_who_waits(busbar, key, version):
    channel = amqp_connect(busbar.port("amqp")).channel()
    channel.queue_declare(key, durable=True)
    channel.queue_bind(key, "amq.topic", f"plant.{key}")
    waiting = Waiting(busbar, "BRPOP", key, 10)
    while not blocked(busbar):
        pass
    publisher = MqttClient(busbar, version)
    publisher.publish(f"plant/{key}", b"21.5\x00\xff", qos=1)
    assert waiting.join() == [key.encode(), b"21.5\x00\xff"]
    publisher.publish(f"plant/{key}", b"later", qos=0)
    assert connect(busbar).brpop(key, 5) == [key.encode(), b"later"]
    publisher.close()


def test_an_amqp_consumer_takes_what_is_pushed_oldest_first(busbar, key):
    client = connect(busbar)
    assert client.rpush(key, b"1", b"2") == 2
    consumer = AmqpConsumer(busbar, queue=key, auto_ack=False)
    client.rpush(key, b"3\x00\xff")
    taken = [consumer.receive() for _ in range(3)]
    assert [message.body for message in taken] == [b"1", b"2", b"3\x00\xff"]
    consumer.channel.basic_ack(taken[1].delivery_tag, multiple=True)
    consumer.close()
    assert client.lrange(key, 0, -1) == [b"3\x00\xff"], "what was not acknowledged is back"
    assert client.lpop(key) == b"3\x00\xff"


def test_lpush_and_an_amqp_consumer_are_a_queue_too(busbar, key):
    client = connect(busbar)
    client.lpush(key, b"1", b"2")
    assert client.lrange(key, 0, -1) == [b"2", b"1"]
    consumer = AmqpConsumer(busbar, queue=key)
    assert [consumer.receive().body for _ in range(2)] == [b"1", b"2"]
    consumer.close()


def test_an_amqp_publish_is_moved_to_a_second_list(busbar, key):
    waiting = Waiting(busbar, "BLMOVE", key, f"{key}-doing", "LEFT", "RIGHT", 10)
    while not blocked(busbar):
        pass
    publisher = AmqpPublisher(busbar)
    publisher.publish("", b"job", exchange="", key=key)
    assert waiting.join() == b"job"
    client = connect(busbar)
    assert client.lrange(f"{key}-doing", 0, -1) == [b"job"] and client.llen(key) == 0
    assert client.lrem(f"{key}-doing", 1, b"job") == 1 and not client.exists(f"{key}-doing")
    publisher.close()


def test_a_queue_of_amqp_is_a_list_and_an_exclusive_one_is_not(busbar, key):
    connection = amqp_connect(busbar.port("amqp"))
    channel = connection.channel()
    channel.queue_declare(key, durable=True)
    channel.queue_declare(f"{key}-own", exclusive=True)
    for name in (key, f"{key}-own"):
        channel.basic_publish("", name, b"x", pika.BasicProperties(delivery_mode=2))
    channel.queue_declare(key, passive=True)
    client = connect(busbar)
    assert client.type(key) == b"list" and client.type(f"{key}-own") == b"none"
    assert key.encode() in client.keys("list-*") and f"{key}-own".encode() not in client.keys("list-*")
    assert client.delete(key) == 1 and client.exists(key) == 0
    connection.close()


def test_what_was_pushed_is_there_after_kill_9(start_gateway, key):
    gateway = start_gateway()
    client = connect(gateway)
    for number in range(200):
        client.rpush(key, b"r%d" % number)
        client.lpush(key, b"l%d" % number)
    assert client.lpop(key) == b"l199" and client.rpop(key) == b"r199"
    assert client.lmove(key, f"{key}-doing", "LEFT", "RIGHT") == b"l198"
    client.ltrim(key, 1, -2)
    expected = [b"l%d" % number for number in range(196, -1, -1)] + [b"r%d" % number for number in range(198)]
    assert client.lrange(key, 0, -1) == expected
    client.rpush("last", b"x")
    gateway.kill()
    gateway.start()
    client = connect(gateway)
    assert client.lrange(key, 0, -1) == expected
    assert client.lrange(f"{key}-doing", 0, -1) == [b"l198"]
    assert client.lpush(key, b"new") == len(expected) + 1 and client.lindex(key, 0) == b"new"
