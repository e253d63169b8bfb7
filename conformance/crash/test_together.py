"""kill -9 of one gateway that serves three protocols at once, with a ledger over all of them.

Publishers of AMQP (confirms), MQTT (QoS 1) and Redis (PUBLISH and RPUSH, whose answers wait for the disk) are at work;
everything but the pushes goes to one bus address that a durable AMQP queue, an MQTT session and a durable Redis
subscriber receive. After each restart each of them must have everything that was confirmed: lost 0, unexpected 0, in
each publisher's order. `CRASH_ROUNDS` says how often (20 if it says nothing; 200 for a thorough run).
"""

import contextlib
import os
import random
import socket
import threading
import time

import pika
import pytest

from crash.ledger import Ledger, body_of, number_of
from crash.publishers import AmqpFlood, MqttFlood
from support.amqp import connect
from support.mqtt import V5, MqttClient

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SECONDS_BEFORE_KILL = (0.05, 0.5)
PATIENCE_S = 30
REDIS_WINDOW = 50
CONFIG = """
[mqtt]
queued_max = 1000000
[resp]
when_full = "durable"
durable_window_bytes = "256KiB"
"""
SOURCES = ("amqp", "mqtt", "redis")

pytestmark = pytest.mark.timeout(60 + ROUNDS * 20)


class Redis:
    """A RESP2 connection with nothing between the test and its bytes."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._stream = self._socket.makefile("rb")

    def send(self, *commands: tuple) -> None:
        """Sends commands at once."""
        data = bytearray()
        for command in commands:
            data += b"*%d\r\n" % len(command)
            for part in command:
                part = part if isinstance(part, bytes) else part.encode()
                data += b"$%d\r\n%s\r\n" % (len(part), part)
        self._socket.sendall(data)

    def reply(self):
        """The next reply; EOFError when the connection is gone."""
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, text = line[:1], line[1:-2]
        if kind in b"+:":
            return text if kind == b"+" else int(text)
        assert kind in b"$*", f"Redis error {line!r}"
        count = int(text)
        if kind == b"*":
            return [self.reply() for _ in range(count)]
        if count < 0:
            return None
        data = self._stream.read(count + 2)
        if len(data) < count + 2:
            raise EOFError
        return data[:-2]

    def call(self, *command):
        """One command and its reply."""
        self.send(command)
        return self.reply()

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class RedisFlood(threading.Thread):
    """A window of publishes and pushes, each noted when its answer comes, until the gateway is gone."""

    def __init__(self, port: int, published: Ledger, pushed: Ledger):
        super().__init__(daemon=True)
        self._redis, self._published, self._pushed = Redis(port), published, pushed
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                numbers = [(ledger, ledger.next()) for ledger in (self._published, self._pushed) * (REDIS_WINDOW // 2)]
                self._redis.send(*(self._command(ledger, number) for ledger, number in numbers))
                for ledger, number in numbers:
                    assert self._redis.reply() >= 1, "nobody received it"
                    ledger.confirm(number)

    def _command(self, ledger: Ledger, number: int) -> tuple:
        verb = ("PUBLISH", "plant/redis") if ledger is self._published else ("RPUSH", "list")
        return (*verb, body_of(number))


class Receiver:
    """What one receiver has had of each publisher, over all rounds."""

    def __init__(self, name: str, ledgers: dict[str, Ledger], may_repeat: bool = False):
        self.name, self._ledgers, self._may_repeat = name, ledgers, may_repeat
        self._settled: dict[str, set[int]] = {source: set() for source in ledgers}
        self.repeated = 0

    def check(self, bodies: dict[str, list[bytes]]) -> None:
        """Compares what came in one round with what was confirmed so far."""
        for source, ledger in self._ledgers.items():
            numbers = [number_of(body) for body in bodies[source]]
            settled = self._settled[source]
            firsts = [number for number in dict.fromkeys(numbers) if number not in settled]
            self.repeated += len(numbers) - len(firsts)
            where = f"{self.name}, from {source}"
            lost = ledger.confirmed - settled - set(firsts)
            assert not lost, f"{where}: {len(lost)} confirmed are lost, the first is {min(lost)} of {ledger.sent}"
            assert all(1 <= number <= ledger.sent for number in firsts), f"{where}: never sent"
            assert firsts == sorted(firsts), f"{where}: the order has changed"
            assert self._may_repeat or len(firsts) == len(numbers), f"{where}: came twice"
            settled.update(firsts)


def test_three_protocols_on_one_gateway_lose_nothing(start_gateway):
    gateway, chance = start_gateway(CONFIG), random.Random(6)
    ledgers, pushed = {source: Ledger() for source in SOURCES}, Ledger()
    # To these, what Redis publishes is transient; docs/durability.md.
    persistent = {source: ledgers[source] for source in ("amqp", "mqtt")}
    by_amqp, by_mqtt = Receiver("AMQP queue", persistent), Receiver("MQTT session", persistent)
    # It has no acknowledgement: what its last connection may not have read comes again.
    by_redis = Receiver("Redis subscriber", ledgers, may_repeat=True)
    by_list = Receiver("Redis list", {"list": pushed})
    begin(gateway)
    for number in range(ROUNDS):
        crash(gateway, ledgers, pushed, chance)
        end = b"end of round %d" % number
        mark_end(gateway, end)
        by_amqp.check(take_amqp(gateway, end))
        by_mqtt.check(take_mqtt(gateway, end))
        by_redis.check(take_redis(gateway, end))
        by_list.check({"list": pop_all(gateway)})
    confirmed = {source: len(ledger.confirmed) for source, ledger in (ledgers | {"list": pushed}).items()}
    print(f"{ROUNDS} kills, confirmed {confirmed}: lost 0, unexpected 0; sent again to the Redis "
          f"subscriber: {by_redis.repeated}")


def begin(gateway) -> None:
    """Makes the three receivers, which are then away."""
    channel = connect(gateway.port("amqp")).channel()
    channel.queue_declare("together", durable=True)
    channel.queue_bind("together", "amq.topic", "plant.#")
    session = resume(gateway)
    session.subscribe("plant/#", 1)
    session.close()
    subscribe(gateway).close()


def crash(gateway, ledgers: dict[str, Ledger], pushed: Ledger, chance: random.Random) -> None:
    """Kills the gateway amid the traffic of all three, and every fourth time also while it recovers."""
    all_ledgers = [*ledgers.values(), pushed]
    for ledger in all_ledgers:
        ledger.first_confirm.clear()
    amqp = AmqpFlood(gateway.port("amqp"), "plant.amqp", ledgers["amqp"])
    mqtt = MqttFlood(gateway.port("mqtt"), "plant/mqtt", ledgers["mqtt"])
    redis = RedisFlood(gateway.port("resp"), ledgers["redis"], pushed)
    for ledger in all_ledgers:
        assert ledger.first_confirm.wait(PATIENCE_S), "nothing was confirmed"
    time.sleep(chance.uniform(*SECONDS_BEFORE_KILL))
    at_work = [amqp.is_at_work(), mqtt.is_at_work(), redis.is_alive()]
    assert all(at_work), f"a publisher was cut off: {at_work}; the log ends:\n{gateway.log_tail()}"
    gateway.kill()
    amqp.join()
    mqtt.join()
    redis.join(PATIENCE_S)
    assert not redis.is_alive(), "the Redis publisher did not notice that the gateway is gone"
    if chance.random() < 0.25:
        gateway.launch()
        time.sleep(chance.uniform(0, 0.05))
        gateway.kill()
    gateway.start()


def mark_end(gateway, end: bytes) -> None:
    """Sends what each receiver takes for the end of the round, behind all that was published."""
    connection = connect(gateway.port("amqp"))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", "plant.end", end, pika.BasicProperties(delivery_mode=2), mandatory=True)
    connection.close()


def until_end(messages, end: bytes) -> dict[str, list[bytes]]:
    """Sorts `(address, body)` by publisher, up to the end of the round."""
    bodies = {source: [] for source in SOURCES}
    for address, body in messages:
        if body == end:
            return bodies
        source = address.replace(".", "/").removeprefix("plant/")
        if source != "end":
            bodies[source].append(body)
    raise AssertionError(f"the end did not come; there were {[len(numbers) for numbers in bodies.values()]}")


def take_amqp(gateway, end: bytes) -> dict[str, list[bytes]]:
    """Empties the queue."""
    connection = connect(gateway.port("amqp"))
    channel = connection.channel()
    messages = channel.consume("together", inactivity_timeout=PATIENCE_S)
    last = None

    def all_of_them():
        nonlocal last
        for method, _properties, body in messages:
            assert method, "the queue gives nothing more"
            last = method.delivery_tag
            yield method.routing_key, body

    bodies = until_end(all_of_them(), end)
    channel.basic_ack(last, multiple=True)
    connection.close()
    return bodies


def resume(gateway) -> MqttClient:
    """Connects to the MQTT session."""
    return MqttClient(gateway, V5, client_id="together", clean=False, session_expiry_s=3600)


def take_mqtt(gateway, end: bytes) -> dict[str, list[bytes]]:
    """Takes what the session kept."""
    session = resume(gateway)
    assert session.connack[2] is True, "the session is lost"
    received = iter(lambda: session.receive(PATIENCE_S), None)
    bodies = until_end(((message.topic, message.body) for message in received), end)
    session.close()
    return bodies


def subscribe(gateway) -> Redis:
    """Connects the durable subscriber."""
    redis = Redis(gateway.port("resp"))
    assert redis.call("CLIENT", "SETNAME", "together") == b"OK"
    assert redis.call("PSUBSCRIBE", "plant/*") == [b"psubscribe", b"plant/*", 1]
    return redis


def take_redis(gateway, end: bytes) -> dict[str, list[bytes]]:
    """Takes what the durable subscriber missed."""
    redis = subscribe(gateway)
    received = iter(redis.reply, None)
    bodies = until_end(((channel.decode(), body) for _, _, channel, body in received), end)
    redis.close()
    return bodies


def pop_all(gateway) -> list[bytes]:
    """Empties the list."""
    redis = Redis(gateway.port("resp"))
    bodies = []
    while popped := redis.call("LPOP", "list", "1000"):
        bodies += popped
    redis.close()
    return bodies
