"""What must stay small: what patterns cost a publisher, and what a stranger may take."""

import os
import socket
import threading
import time

import pytest
from support.resp import connect

PATTERNS = 10_000
PUBLISHES = 20_000


def thread_ns(gateway) -> int:
    """The processor time of all threads of a gateway."""
    tasks = f"/proc/{gateway._process.pid}/task"
    return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks))


def raw(gateway) -> socket.socket:
    """A connection that nothing reads."""
    return socket.create_connection(("127.0.0.1", gateway.port("resp")), timeout=30)


def cost_of_a_publish_ns(gateway, publisher: socket.socket) -> float:
    """Processor time for one of many pipelined publishes that nobody receives."""
    request = b"*3\r\n$7\r\nPUBLISH\r\n$14\r\nplant/line1/temp\r\n$4\r\n21.5\r\n".replace(b"$14", b"$16")
    best = float("inf")
    for _ in range(5):
        before = thread_ns(gateway)
        left = PUBLISHES * len(b":0\r\n")
        sender = threading.Thread(target=publisher.sendall, args=(request * PUBLISHES,))
        sender.start()
        while left > 0:
            left -= len(publisher.recv(1 << 16))
        sender.join()
        best = min(best, (thread_ns(gateway) - before) / PUBLISHES)
    return best


@pytest.mark.parametrize("pattern", ["other/{}/*", "*/other/{}", "plant/line1/*/{}"])
def test_ten_thousand_other_patterns_cost_a_publish_less_than_a_microsecond(start_gateway, pattern):
    gateway = start_gateway()
    publisher, subscriber = raw(gateway), connect(gateway)
    alone = cost_of_a_publish_ns(gateway, publisher)
    pubsub = subscriber.pubsub()
    pubsub.psubscribe(*[pattern.format(number) for number in range(PATTERNS)])
    while connect(gateway).pubsub_numpat() < PATTERNS:
        pass
    among_patterns = cost_of_a_publish_ns(gateway, publisher)
    print(f"a PUBLISH costs {alone:.0f} ns, among {PATTERNS} patterns {among_patterns:.0f} ns")
    assert among_patterns - alone < 1000


def test_garbage_from_strangers_takes_less_than_two_mebibytes_each(start_gateway):
    gateway = start_gateway('[listeners.resp]\nallow_anonymous = false\n')
    strangers, seconds = 8, 3.0
    before = gateway.memory_mib()
    peaks, sent = [before], [0] * strangers

    def pour(which: int, garbage: bytes) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with raw(gateway) as connection:
                try:
                    while time.monotonic() < deadline:
                        connection.sendall(garbage)
                        sent[which] += len(garbage)
                except OSError:
                    pass  # cut off, as it should be: the next one

    kinds = [b"\xff\x00*$" * 16384, b"*3\r\n$16384\r\n" + b"x" * 65536, b"a" * 65536, b"*1\r\n" * 16384]
    threads = [threading.Thread(target=pour, args=(which, kinds[which % len(kinds)])) for which in range(strangers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peaks.append(gateway.memory_mib())
        time.sleep(0.02)
    print(f"{sum(sent) / seconds / 1e6:.0f} MB/s of garbage; memory grew by {max(peaks) - before:.1f} MiB")
    assert (max(peaks) - before) / strangers < 2
    assert connect(gateway).ping()
