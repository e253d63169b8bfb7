"""kill -9 between the packets of QoS 1 and QoS 2, in both directions, with the receiver away or at work.

A publisher and a subscriber keep their sessions; the gateway is killed at a random moment of the traffic and
started again. Then: every message that the publisher saw settled has arrived, one of QoS 2 exactly once, and each
QoS in its order. `SESSION_ROUNDS` says how often (20 if it says nothing; 100 for a thorough run).
"""

import os
import random
import time
from collections import Counter

import pytest

from crash.mqtt_peer import Publisher, Subscriber, qos_of

ROUNDS = int(os.environ.get("SESSION_ROUNDS", "20"))
SECONDS_BEFORE_KILL = (0.02, 0.3)
CONFIG = "[mqtt]\nqueued_max = 1000000\n"
TOPIC = "plant/history"


@pytest.mark.timeout(60 + ROUNDS * 20)
def test_sessions_lose_nothing_and_double_no_qos_2_message(start_gateway):
    gateway, chance = start_gateway(CONFIG), random.Random(4)
    publisher, subscriber = Publisher("publisher", TOPIC), Subscriber("subscriber")
    subscriber.attach(gateway.port("mqtt"))
    subscriber.subscribe(TOPIC)
    publisher.attach(gateway.port("mqtt"))
    for number in range(ROUNDS):
        is_away = number % 2 == 1
        crash(gateway, publisher, subscriber, is_away, chance)
        publisher.attach(gateway.port("mqtt"))
        subscriber.attach(gateway.port("mqtt"))
        publisher.wait(publisher.is_idle, "the end of its exchanges")
        subscriber.wait(lambda: publisher.settled <= set(subscriber.delivered), missing(publisher, subscriber))
        check(publisher, subscriber)
    print(f"{ROUNDS} kills, {publisher.sent} messages of QoS 1 and 2, none lost, no QoS 2 message twice")


def crash(gateway, publisher: Publisher, subscriber: Subscriber, is_away: bool, chance: random.Random) -> None:
    """Kills the gateway amid the traffic; every fourth time once more while it recovers."""
    if is_away:
        subscriber.detach()
    settled = len(publisher.settled)
    publisher.begin()
    publisher.wait(lambda: len(publisher.settled) > settled, "the first acknowledgement")
    time.sleep(chance.uniform(*SECONDS_BEFORE_KILL))
    gateway.kill()
    publisher.end()
    publisher.join()
    if not is_away:
        subscriber.join()
    if chance.random() < 0.25:
        gateway.launch()
        time.sleep(chance.uniform(0, 0.05))
        gateway.kill()
    gateway.start()


def missing(publisher: Publisher, subscriber: Subscriber) -> str:
    """Names what has not arrived, for the failure's message."""
    lost = sorted(publisher.settled - set(subscriber.delivered))
    return f"the arrival of {len(lost)} settled messages, the first is {lost[:1]} of {publisher.sent}, which"


def check(publisher: Publisher, subscriber: Subscriber) -> None:
    """Compares the two histories."""
    counts = Counter(subscriber.delivered)
    doubled = [number for number, count in counts.items() if count > 1 and qos_of(number) == 2]
    assert not doubled, f"QoS 2 messages delivered twice: {doubled[:5]} of {publisher.sent}"
    assert max(counts, default=0) <= publisher.sent, "a message that was never sent"
    for qos in (1, 2):
        firsts = [number for number in dict.fromkeys(subscriber.delivered) if qos_of(number) == qos]
        assert firsts == sorted(firsts), f"the order of QoS {qos} has changed"
