"""Random requests of three clients, sent to Debian's Redis and to Busbar: both must answer the same.

A failure names the seed and the step; `SEEDS=17 conformance/run suites/redis -k differential` runs that one again, and
`SEEDS=0-999` runs a thousand.
"""

import contextlib
import os
import random

import pytest

from .compare import INTENDED, differences, text
from .grammar import request
from .pair import Pair

CLIENTS = 3
STEPS = 150

# What is mixed with what, so that families which share state meet often.
MIXES = {
    "pubsub": ["pubsub", "pubsub", "connection"],
    "strings": ["strings", "keys"],
    "lists": ["lists"],
    "transactions": ["transactions", "transactions", "strings", "pubsub"],
    "server": ["server", "connection", "pubsub"],
    "all": ["pubsub", "connection", "strings", "keys", "transactions", "server"],
    # Lists are the same in all databases, so nobody selects one here.
    "jobs": ["lists", "lists", "pubsub", "strings", "keys"],
}

HITS: set[int] = set()


def seeds() -> range:
    """`SEEDS=n` or `SEEDS=first-last`; otherwise a few."""
    first, _, last = os.environ.get("SEEDS", "1-25").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mix", MIXES)
def test_redis_and_busbar_answer_the_same(redis_port, busbar, mix):
    for seed in seeds():
        with contextlib.closing(Pair(redis_port, busbar.port("resp"), CLIENTS)) as pair:
            play(pair, MIXES[mix], random.Random(f"{mix} {seed}"), seed)


@pytest.mark.skipif("SEEDS" in os.environ, reason="chosen seeds need not meet every rule")
def test_each_intended_difference_was_met():
    unmet = [INTENDED[place].why for place in range(len(INTENDED)) if place not in HITS]
    assert not unmet, f"no request met these rules, so they are wrong or needless: {unmet}"


def play(pair: Pair, families: list[str], pick: random.Random, seed: int) -> None:
    """One seed: the same steps at both."""
    history = []
    queueing = set()
    for client in range(CLIENTS):
        if pick.random() < 0.5:
            pair.step(client, [b"HELLO", b"3"])
    for step in range(STEPS):
        client, asked = pick.randrange(CLIENTS), request(pick, pick.choice(families))
        if pair.clients[client][0].is_closed or is_unreadable(asked, client in queueing):
            continue
        history.append(f"{client}: {b' '.join(asked)!r}")
        received = pair.step(client, asked)
        found = [f"client {who} {line}" for who, (expected, actual) in enumerate(received)
                 for line in differences(asked, expected, actual, HITS)]
        assert not found, f"seed {seed} step {step}: {found}\nafter\n" + "\n".join(history[-30:])
        note_transaction(queueing, client, asked, received[client][0])
    assert not any(pair.leftovers()), f"seed {seed}: Busbar sent more than Redis: {pair.leftovers()}"


def note_transaction(queueing: set, client: int, asked: list[bytes], replies: list) -> None:
    """Remembers who is between MULTI and EXEC."""
    name = asked[0].upper()
    if name == b"MULTI" and any(text(reply) == "+OK" for reply in replies):
        queueing.add(client)
    elif name in (b"EXEC", b"DISCARD", b"RESET"):
        queueing.discard(client)


# What tells of the server as a whole, in fields of its own: the transcripts look at these.
TELLING = {b"COMMAND", b"COMMAND COUNT", b"COMMAND INFO", b"CLIENT LIST", b"CLIENT INFO", b"INFO", b"TIME"}


def is_unreadable(asked: list[bytes], is_queueing: bool) -> bool:
    """What cannot be compared: descriptions of the server; confirmations in EXEC, which cannot be told from replies;
    CLIENT REPLY in MULTI, after which EXEC's array is too short; and logins in MULTI, which Busbar refuses (they may
    take a moment, which EXEC has not).
    """
    name = asked[0].upper()
    is_odd = b"SUBSCRIBE" in name or name in (b"HELLO", b"AUTH") or b"REPLY" in asked
    return b" ".join(asked).upper() in TELLING or is_queueing and is_odd
