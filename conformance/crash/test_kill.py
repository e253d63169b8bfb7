"""kill -9 at a random moment, again and again: what was confirmed is there after the restart, once and in order.

`CRASH_ROUNDS` says how often (20 if it says nothing; 200 for a thorough run). The process is killed, not the
machine: that an fsync reaches the disk is the storage crate's own tests' to prove.
"""

import os
import random
import time

import pytest

from crash.ledger import Ledger, number_of
from crash.publishers import AmqpFlood, MqttFlood
from support.amqp import connect
from support.mqtt import V5, MqttClient

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SECONDS_BEFORE_KILL = (0.02, 0.4)
CONFIG = "[mqtt]\nqueued_max = 1000000\n"

pytestmark = pytest.mark.timeout(60 + ROUNDS * 15)


def crash_during(flood, gateway, ledger: Ledger, chance: random.Random) -> None:
    """Kills the gateway while a publisher is at work, and every fourth time also while it recovers."""
    ledger.first_confirm.clear()
    publisher = flood()
    assert ledger.first_confirm.wait(10), "nothing was confirmed"
    time.sleep(chance.uniform(*SECONDS_BEFORE_KILL))
    assert publisher.is_at_work(), f"the gateway cut the publisher off; its log ends:\n{gateway.log_tail()}"
    gateway.kill()
    publisher.join()
    if chance.random() < 0.25:
        gateway.launch()
        time.sleep(chance.uniform(0, 0.05))
        gateway.kill()
    gateway.start()


def test_confirmed_amqp_messages_survive(start_gateway):
    gateway, ledger, chance = start_gateway(CONFIG), Ledger(), random.Random(1)
    channel = connect(gateway.port("amqp")).channel()
    channel.queue_declare("ledger", durable=True)
    channel.queue_bind("ledger", "amq.topic", "plant.ledger")
    for _ in range(ROUNDS):
        crash_during(lambda: AmqpFlood(gateway.port("amqp"), "plant.ledger", ledger), gateway, ledger, chance)
        take_and_acknowledge_half(gateway, ledger)
    report("AMQP", ledger)


def take_and_acknowledge_half(gateway, ledger: Ledger) -> None:
    """Reads the whole queue, checks it, and leaves its second half there for the next crash."""
    connection = connect(gateway.port("amqp"))
    channel = connection.channel()
    waiting = channel.queue_declare("ledger", passive=True).method.message_count
    received = []
    channel.basic_consume("ledger", lambda _c, method, _p, body: received.append((method.delivery_tag, body)))
    deadline = time.monotonic() + 20
    while len(received) < waiting and time.monotonic() < deadline:
        connection.process_data_events(time_limit=0.1)
    numbers = [number_of(body) for _, body in received]
    ledger.check(numbers)
    half = len(received) // 2
    if half:
        channel.basic_ack(received[half - 1][0], multiple=True)
        ledger.settle(numbers[:half])
    connection.close()


def test_acknowledged_mqtt_messages_survive_for_an_offline_session(start_gateway):
    gateway, ledger, chance = start_gateway(CONFIG), Ledger(), random.Random(2)
    session = resume(gateway)
    session.subscribe("plant/ledger", 1)
    session.close()
    for number in range(ROUNDS):
        crash_during(lambda: MqttFlood(gateway.port("mqtt"), "plant/ledger", ledger), gateway, ledger, chance)
        take_all(gateway, ledger, b"end of round %d" % number)
    report("MQTT", ledger)


def resume(gateway) -> MqttClient:
    """Connects to the session that outlives the crashes."""
    return MqttClient(gateway, V5, client_id="ledger", clean=False, session_expiry_s=3600)


def take_all(gateway, ledger: Ledger, end: bytes) -> None:
    """Reads all that the session kept, up to a message that marks the end, and checks it."""
    session = resume(gateway)
    assert session.connack[2] is True, "the session is lost"
    session.publish("plant/ledger", end)
    numbers = []
    while (body := session.receive().body) != end:
        if not body.startswith(b"end of round"):
            numbers.append(number_of(body))
    session.close()
    ledger.check(numbers)
    ledger.settle(numbers)


def report(protocol: str, ledger: Ledger) -> None:
    """Says how much was at stake (shown with pytest -s, and if the test fails)."""
    print(f"{protocol}: {ROUNDS} kills, {ledger.sent} sent, {len(ledger.confirmed)} confirmed, none lost")
