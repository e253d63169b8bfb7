"""A subscriber that stops reading, under each policy: what it takes of the memory, what it costs the others, what it loses.

Where nothing goes to the disk, the others' rate is decided by the gateway's processor time for a message; that is compared,
because on a machine with other work the rate itself swings by half from one second to the next, and the least of several
rounds counts, because other work only adds to it. With `durable` it is the rate, and the middle round counts. All is
measured in turns, alone and beside the stalled subscriber.
"""

import re
import socket
import statistics
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.gateway import wait_until

from .test_bars import thread_ns

LIMIT_MIB = 8
# What the stalled one and the slowest of the readers may hold, and what allocator and kernel may add.
HELD_MIB, SLACK_MIB = 2 * LIMIT_MIB, 24
READERS, MESSAGES, ROUNDS, ATTEMPTS = 4, 40_000, 6, 3
RATE_ROUNDS = 3
BODY_BYTES = 1024
# Messages offered a second, and for how long; and how many go as fast as they can.
RATE, RATE_S, FLAT_OUT = 20_000, 2, 30_000
# The backlog of a durable subscriber, and what the gateway may keep of it in memory.
BACKLOG_MIB, BUDGET_MIB, ON_ITS_WAY_MIB = 192, 16, 32


def config(policy: str, more: str = "") -> str:
    """A subscriber that calls itself `slow` is treated by this policy; those who read are never cut off."""
    return (f'[resp]\noutput_bytes_hard = "{LIMIT_MIB}MiB"\n{more}'
            f'[[resp.subscribers]]\nname = "slow"\nwhen_full = "{policy}"\n'
            '[[resp.subscribers]]\nname = "reader"\nwhen_full = "pause-publisher"\n')


def body(number: int) -> bytes:
    """The body of a message, which says which one it is."""
    return b"%08d" % number + b"x" * (BODY_BYTES - 8)


def frame(channel: bytes, number: int) -> bytes:
    """How a subscriber sees a message."""
    return b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$1024\r\n%s\r\n" % (len(channel), channel, body(number))


def requests(channel: bytes, numbers: range) -> bytes:
    """PUBLISH for each number."""
    return b"".join(b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$1024\r\n%s\r\n" % (len(channel), channel, body(number))
                    for number in numbers)


def subscriber(gateway, channel: bytes, name: bytes = b"reader") -> socket.socket:
    """A connection that has subscribed. The kernel takes little for it, so that the gateway has to."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", gateway.port("resp")))
    connection.sendall(b"CLIENT SETNAME " + name + b"\r\nSUBSCRIBE " + channel + b"\r\n")
    seen = b""
    while not re.search(rb"subscribe\r\n\$\d+\r\n" + re.escape(channel) + rb"\r\n:1\r\n", seen):
        more = connection.recv(1)
        assert more, f"closed after {seen!r}"
        seen += more
    return connection


class Publisher:
    """Publishes by a thread, in one go or so many a second, and reads the answers: `refused` are the numbers whose
    answer was an error.
    """

    def __init__(self, gateway, channel: bytes, numbers: range, per_s: int | None = None):
        self._socket = socket.create_connection(("127.0.0.1", gateway.port("resp")), timeout=60)
        self.answered, self.refused, self._numbers = 0, [], numbers
        data = requests(channel, numbers)
        at_once = len(data) if per_s is None else len(data) // len(numbers) * (per_s // 200)
        self._sender = threading.Thread(target=self._send, args=(memoryview(data), at_once), daemon=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._sender.start()
        self._reader.start()

    def _send(self, data: memoryview, at_once: int) -> None:
        """A part every 5 ms, counted from the start: who is late catches up."""
        started = time.monotonic()
        try:
            for part, start in enumerate(range(0, len(data), at_once)):
                time.sleep(max(0.0, started + part * 0.005 - time.monotonic()))
                self._socket.sendall(data[start:start + at_once])
        except OSError:
            pass  # closed while it was held

    def _read(self) -> None:
        rest = b""
        try:
            while self.answered < len(self._numbers) and (more := self._socket.recv(1 << 16)):
                *replies, rest = (rest + more).split(b"\r\n")
                for reply in replies:
                    if not reply.startswith(b":"):
                        assert reply.startswith(b"-OOM "), reply
                        self.refused.append(self._numbers[self.answered])
                    self.answered += 1
        except OSError:
            pass

    def join(self, may_be_refused: bool = False) -> None:
        """Waits until all is answered. A publish that finds no room for two seconds is refused, and nobody gets it."""
        self._reader.join(60)
        assert self.answered == len(self._numbers), f"{self.answered} of {len(self._numbers)} answered"
        assert may_be_refused or not self.refused, f"{len(self.refused)} refused, from {self.refused[0]} on"
        self._sender.join()
        self._socket.close()

    def close(self) -> None:
        """Gives up."""
        self._socket.close()


def receive_all(connection: socket.socket, left: int) -> None:
    """Reads so many bytes."""
    while left > 0:
        data = connection.recv(1 << 18)
        assert data, "cut off"
        left -= len(data)


def numbers_in(data: bytes) -> list[int]:
    """Which messages are in what a subscriber received."""
    return [int(number) for number in re.findall(rb"\$1024\r\n(\d{8})x", data)]


def read_until(connection: socket.socket, last: int) -> list[int]:
    """The messages that come, up to one of that number."""
    data, mark, looked_at = bytearray(), b"$1024\r\n%08dx" % last, 0
    while data.find(mark, looked_at) < 0:
        looked_at = max(0, len(data) - len(mark))
        more = connection.recv(1 << 16)
        assert more, f"closed after {len(numbers_in(bytes(data)))} messages"
        data += more
    return numbers_in(bytes(data))


def metric(gateway, name: str) -> int:
    """A counter of /metrics."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{gateway.port('http')}/metrics", timeout=5).read().decode()
    return int(re.search(rf"^busbar_{name}(?:_total)? (\d+)$", text, re.MULTILINE)[1])


def cost_of_a_message_ns(gateway, channel: bytes = b"news") -> float:
    """The gateway's processor time for a message to the readers, each of whom gets every one."""
    readers = [subscriber(gateway, channel) for _ in range(READERS)]
    total, before = MESSAGES * len(frame(channel, 0)), thread_ns(gateway)
    with ThreadPoolExecutor(READERS) as pool:
        received = [pool.submit(receive_all, reader, total) for reader in readers]
        Publisher(gateway, channel, range(MESSAGES)).join()
        for one in received:
            one.result()
    spent = thread_ns(gateway) - before
    for reader in readers:
        reader.close()
    return spent / MESSAGES


def costs_little(gateway, policy: str, alone, beside) -> bool:
    """Whether a message to the readers costs at most a tenth more in the second setting than in the first."""
    cost_of_a_message_ns(gateway)
    costs = ([], [])
    for _ in range(ROUNDS):
        for setting, cost in zip((alone, beside), costs):
            leave = setting()
            cost.append(cost_of_a_message_ns(gateway))
            leave()
    first, second = (min(cost) for cost in costs)
    print(f"{policy}: a message to {READERS} readers costs {first:.0f} ns, beside a stalled one {second:.0f} ns")
    return second < first * 1.1


def nobody():
    """Only the readers."""
    return lambda: None


def stalled_at(gateway, channel: bytes):
    """A setting: a subscriber that reads nothing, and whose limit is reached."""
    def enter():
        connection = subscriber(gateway, channel, b"slow")
        filler = Publisher(gateway, channel, range(LIMIT_MIB * 1024 + 2000))
        time.sleep(0.3)

        def leave():
            connection.close()
            filler.close()
        return leave
    return enter


def grown_mib(gateway, before: float) -> float:
    """How far the memory has grown at its highest."""
    grown = gateway.memory_mib("VmHWM") - before
    print(f"the memory has grown by {grown:.1f} MiB")
    return grown


@pytest.mark.parametrize("policy, channel", [("disconnect", b"news"), ("drop-oldest", b"news"), ("pause-publisher", b"stalled")])
def test_a_stalled_subscriber_is_bounded_and_costs_the_others_nothing(start_gateway, policy, channel):
    def holds() -> bool:
        gateway = start_gateway(config(policy))
        before = gateway.memory_mib()
        is_cheap = costs_little(gateway, policy, nobody, stalled_at(gateway, channel))
        assert grown_mib(gateway, before) < HELD_MIB + SLACK_MIB
        return is_cheap

    assert any(holds() for _ in range(ATTEMPTS)), "a burst of other work spoils one attempt, not all"


def test_with_disconnect_it_is_cut_off_and_counted(start_gateway):
    gateway = start_gateway(config("disconnect"))
    stalled = subscriber(gateway, b"news", b"slow")
    Publisher(gateway, b"news", range(20_000)).join()
    with pytest.raises((AssertionError, ConnectionError)):
        read_until(stalled, 19_999)
    assert metric(gateway, "resp_cut_off") == 1


def test_with_drop_oldest_the_newest_are_there_and_the_others_counted(start_gateway):
    gateway, count = start_gateway(config("drop-oldest")), 30_000
    stalled = subscriber(gateway, b"news", b"slow")
    Publisher(gateway, b"news", range(count)).join()
    received = read_until(stalled, count - 1)
    assert received == sorted(set(received)), "in order, each once"
    assert len(received) + metric(gateway, "resp_dropped") == count
    kept = len(received) - next(place for place, number in enumerate(received) if number != place)
    assert received[-kept:] == list(range(count - kept, count)) and kept > LIMIT_MIB * 1024 // 2
    stalled.close()


def test_with_pause_publisher_only_its_own_publishers_wait_and_nothing_is_lost(start_gateway):
    gateway, count = start_gateway(config("pause-publisher")), 40_000
    before = gateway.memory_mib()
    stalled = subscriber(gateway, b"held", b"slow")
    publisher = Publisher(gateway, b"held", range(count))
    cost_of_a_message_ns(gateway)
    assert publisher.answered < count / 2, "still held"
    assert grown_mib(gateway, before) < HELD_MIB + SLACK_MIB
    assert read_until(stalled, count - 1) == list(range(count))
    publisher.join()


def drain(connection: socket.socket) -> None:
    """Reads until it is closed."""
    try:
        while connection.recv(1 << 16):
            pass
    except OSError:
        pass


def rate_of_the_others(gateway, offered: int | None = None) -> float:
    """Messages a second that each of the readers receives, of so many offered a second or of as many as go."""
    readers = [subscriber(gateway, b"news") for _ in range(READERS)]
    numbers = range(offered * RATE_S if offered else FLAT_OUT)
    total, started = len(numbers) * len(frame(b"news", 0)), time.monotonic()
    with ThreadPoolExecutor(READERS) as pool:
        received = [pool.submit(receive_all, reader, total) for reader in readers]
        Publisher(gateway, b"news", numbers, offered).join()
        for one in received:
            one.result()
    took = time.monotonic() - started
    for reader in readers:
        reader.close()
    return len(numbers) / took


def rates(gateway, offered: int | None = None) -> tuple[float, float]:
    """The middle rates of the others without and with a durable subscriber that is stalled, measured in turns."""
    found = ([], [])
    for _ in range(RATE_ROUNDS):
        for setting, rate in zip((nobody, stalled_at(gateway, b"news")), found):
            leave = setting()
            rate.append(rate_of_the_others(gateway, offered))
            leave()
        forget(gateway)
    alone, beside = (statistics.median(rate) for rate in found)
    print(f"durable, {offered or 'all that go'} offered: the others get {alone:.0f}/s, beside a stalled one {beside:.0f}/s")
    return alone, beside


def forget(gateway) -> None:
    """Ends the durable subscription, and with it what waits for it."""
    connection = subscriber(gateway, b"news", b"slow")
    connection.sendall(b"UNSUBSCRIBE news\r\n")
    drain_until(connection, b"$11\r\nunsubscribe\r\n")
    connection.close()


def drain_until(connection: socket.socket, mark: bytes) -> None:
    """Reads and forgets up to a mark."""
    seen = b""
    while mark not in seen:
        more = connection.recv(1 << 16)
        assert more, "closed"
        seen = seen[-len(mark):] + more


@pytest.mark.timeout(300)
def test_with_durable_the_others_get_what_they_got_without_it(start_gateway):
    """At a rate of which the disk is no limit; what is beyond, is written down in docs/redis.md."""
    gateway = start_gateway(config("durable"))
    for _ in range(ATTEMPTS):
        # A slow machine is offered half of what it can do without the durable subscriber.
        offered = min(RATE, int(rate_of_the_others(gateway) / 2) // 200 * 200)
        alone, beside = rates(gateway, offered)
        if beside > alone * 0.9:
            return
    raise AssertionError(f"of {offered} messages a second the others get {alone:.0f}, beside a stalled one {beside:.0f}")


@pytest.mark.timeout(300)
def test_with_durable_the_others_keep_a_third_when_the_disk_is_the_limit(start_gateway):
    gateway = start_gateway(config("durable"))
    for _ in range(ATTEMPTS):
        alone, beside = rates(gateway)
        if beside > alone / 3:
            return
    raise AssertionError(f"the others get {alone:.0f} messages a second, beside a stalled one {beside:.0f}")


def small_memory(more: str = "") -> str:
    """A gateway that may keep little of what waits in memory."""
    return f'[storage]\nmessage_memory_bytes = "{BUDGET_MIB}MiB"\n' + config("durable", more)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["broken connection", "kill -9"])
def test_with_durable_a_backlog_far_beyond_the_memory_is_kept_whole(start_gateway, end):
    gateway, count = start_gateway(small_memory()), BACKLOG_MIB * 1024
    before = gateway.memory_mib()
    stalled = subscriber(gateway, b"news", b"slow")
    accepted = publish_what_goes(gateway, count)
    # In memory are the outbox, what the budget allows, and what is on its way to the disk.
    bound = LIMIT_MIB + BUDGET_MIB + ON_ITS_WAY_MIB + SLACK_MIB
    print(f"a backlog of {BACKLOG_MIB} MiB took {grown_mib(gateway, before):.0f} MiB of memory")
    assert grown_mib(gateway, before) < bound < len(accepted) / 1024 / 2
    stalled.close()
    if end == "kill -9":
        gateway.kill()
        gateway.start()
    before = gateway.memory_mib()
    check_kept(gateway, accepted)
    assert grown_mib(gateway, before) < bound


@pytest.mark.timeout(120)
def test_with_durable_what_a_disk_that_hangs_has_no_room_for_is_refused_and_all_else_kept(start_gateway):
    # Each thread's fourth sync takes three seconds: longer than a publish waits for room.
    hangs = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
             "-e", "inject=fdatasync:delay_enter=3s:when=4")
    gateway, count = start_gateway(small_memory(), wrapper=hangs), BACKLOG_MIB * 1024 // 2
    stalled = subscriber(gateway, b"news", b"slow")
    accepted = publish_what_goes(gateway, count)
    assert len(accepted) < count, "the disk was not slow enough to show anything"
    print(f"{count - len(accepted)} of {count} refused")
    stalled.close()
    gateway.kill()
    gateway.wrapper = ()
    gateway.start()
    check_kept(gateway, accepted)


def publish_what_goes(gateway, count: int) -> list[int]:
    """Publishes so many as fast as they go, and then one more; the numbers that were accepted."""
    publisher = Publisher(gateway, b"news", range(count))
    publisher.join(may_be_refused=True)
    refused = set(publisher.refused)
    accepted = [number for number in range(count) if number not in refused]
    # The first one of a connection is not looked at.
    Publisher(gateway, b"news", range(count, count + 1)).join()
    return [*accepted, count]


def check_kept(gateway, accepted: list[int]) -> None:
    """That the durable subscriber comes back to all that was accepted."""
    received = read_until(subscriber(gateway, b"news", b"slow"), accepted[-1])
    # What the kernel took for it longer ago than `durable_settle_time` counts as read.
    assert received[0] < LIMIT_MIB * 1024, "more than the kernel takes is missing at the front"
    assert received == accepted[accepted.index(received[0]):], "in order, each once"


def test_with_durable_what_waits_is_bounded(start_gateway):
    limits = f'durable_bytes_max = "{LIMIT_MIB}MiB"\n'
    gateway, count = start_gateway(small_memory(limits)), 60_000
    before = gateway.memory_mib()
    stalled = subscriber(gateway, b"news", b"slow")
    Publisher(gateway, b"news", range(count)).join()
    assert grown_mib(gateway, before) < LIMIT_MIB + BUDGET_MIB + ON_ITS_WAY_MIB + SLACK_MIB
    stalled.close()
    received = read_until(subscriber(gateway, b"news", b"slow"), count - 1)
    assert len(received) > LIMIT_MIB * 1024 // 3, "the newest are kept"


@pytest.mark.parametrize("end", ["broken connection", "kill -9"])
def test_with_durable_nothing_is_lost(start_gateway, end):
    gateway, count = start_gateway(config("durable")), 20_000
    connection = subscriber(gateway, b"news", b"slow")
    publisher = Publisher(gateway, b"news", range(count))
    first = read_until(connection, 500)
    publisher.join()
    if end == "kill -9":
        gateway.kill()
        gateway.start()
    connection.close()
    second = read_until(subscriber(gateway, b"news", b"slow"), count - 1)
    assert second == list(range(second[0], count)), "in order, each once after the connection was lost"
    assert second[0] <= first[-1] + 1, "nothing between what was read and what is sent again"
