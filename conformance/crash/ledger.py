"""What was sent, what the gateway said is safe, and what a receiver must therefore find after a crash."""

import random
import threading
import zlib

BODY_BYTES = 200


def body_of(number: int) -> bytes:
    """The body of one message: its number, filler that differs per message, and a checksum."""
    filler = random.Random(number).randbytes(number % BODY_BYTES)
    data = b"%d:" % number + filler
    return data + zlib.crc32(data).to_bytes(4, "big")


def number_of(body: bytes) -> int:
    """The reverse; fails if a byte has changed."""
    data, checksum = body[:-4], body[-4:]
    assert zlib.crc32(data).to_bytes(4, "big") == checksum, f"damaged body {body[:40]!r}"
    return int(data[: data.index(b":")])


class Ledger:
    """Numbers of messages, written by a publisher's thread and read by the test."""

    def __init__(self):
        self._lock = threading.Lock()
        self.first_confirm = threading.Event()
        self.sent = 0
        self.confirmed: set[int] = set()
        self.settled: set[int] = set()

    def next(self) -> int:
        """The number of the next message to send."""
        with self._lock:
            self.sent += 1
            return self.sent

    def confirm(self, number: int) -> None:
        """The gateway said that this message is safe."""
        with self._lock:
            self.confirmed.add(number)
        self.first_confirm.set()

    def settle(self, numbers: list[int]) -> None:
        """A receiver acknowledged these: they need not come again."""
        self.settled.update(numbers)

    def check(self, received: list[int]) -> None:
        """Compares what a receiver got after a restart with what was promised."""
        lost = self.confirmed - self.settled - set(received)
        assert not lost, f"{len(lost)} confirmed messages are lost, the first is {min(lost)} of {self.sent}"
        assert len(received) == len(set(received)), "a message is in the queue twice"
        assert all(1 <= number <= self.sent for number in received), "a message that was never sent"
        assert received == sorted(received), "the order has changed"
