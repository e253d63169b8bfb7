"""Disks that fail: a sync or a write that returns an error, power that is cut.

The errors are injected by strace; for the power cut, a file system in a file is copied while it is mounted, and the
copy is what the machine finds when it comes back. This needs root, and `POWER_CUTS` says how many cuts there are (3
if it says nothing; 20 for a thorough run).
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from crash.flood import Consumer, Publisher, Raw
from support.gateway import Gateway

POWER_CUTS = int(os.environ.get("POWER_CUTS", "3"))
SMALL = """
[storage]
segment_bytes = "1MiB"
segment_count_max = 4
message_memory_bytes = "1MiB"
pending_bytes_max = "8MiB"
disk_free_min = "4MiB"
[amqp]
message_bytes_max = "64KiB"
[mqtt]
packet_bytes_max = "64KiB"
"""
BODY_BYTES = 100

pytestmark = pytest.mark.timeout(60 + POWER_CUTS * 20)


class Flood(threading.Thread):
    """Publishes until it is told to stop or the gateway is gone."""

    def __init__(self, gateway: Gateway, count: int = 10_000_000):
        super().__init__(daemon=True)
        self.publisher = Publisher(gateway.port("amqp"), "q", BODY_BYTES)
        self._count, self._stops = count, False
        self.start()

    def run(self) -> None:
        try:
            while not self._stops and self.publisher.sent < self._count:
                self.publisher.publish(500, self.publisher.sent)
        except (OSError, AssertionError):
            pass

    def finish(self) -> int:
        """Stops; how many messages were confirmed."""
        self._stops = True
        self.join(30)
        assert not self.is_alive(), "the publisher waits for ever"
        return self.publisher.acked


def read_all(gateway: Gateway) -> list[int]:
    """The numbers of all messages in the queue, in their order."""
    count = Raw(gateway.port("amqp")).declare("q")
    consumer = Consumer(gateway.port("amqp"), "q", body_bytes=BODY_BYTES)
    _, numbers = consumer.take(count)
    consumer.close()
    return numbers


def check(numbers: list[int], confirmed: int, sent: int) -> None:
    """Lost 0, unexpected 0, in order."""
    assert numbers == list(range(len(numbers))), "lost in the middle, twice, or out of order"
    assert confirmed <= len(numbers) <= sent, f"{confirmed} confirmed, {len(numbers)} there, {sent} sent"


@pytest.mark.parametrize("nth", [30, 60, 150])
@pytest.mark.parametrize("fault", ["fdatasync:error=EIO", "pwritev:error=EIO", "pwritev:error=ENOSPC"])
def test_what_was_confirmed_before_an_error_is_there_after_it(tmp_path, fault, nth):
    call = fault.split(":")[0]
    inject = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}:when={nth}")
    # Segments of one piece: the calls that count are those of the thread that confirms, not of filling 64 MiB.
    gateway = Gateway(tmp_path, SMALL, wrapper=inject).start()
    try:
        Raw(gateway.port("amqp")).declare("q")
        flood = Flood(gateway)
        assert gateway.wait(30) != 0, "an error of the disk must end the process"
        confirmed = flood.finish()
        assert confirmed, "the error came too early to show anything"
        gateway.wrapper = ()
        gateway.start()
        check(read_all(gateway), confirmed, flood.publisher.sent)
        gateway.stop()
    finally:
        gateway.kill()
    print(f"{fault}, call {nth}: {confirmed} confirmed, none lost")


@pytest.fixture
def mounted(tmp_path):
    """Mounts something for the case: `mounted(name, *arguments of mount)`."""
    mounts = []

    def mount(name: str, *arguments: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        subprocess.run(["mount", *arguments, str(place)], check=True)
        mounts.append(place)
        return place

    yield mount
    for place in reversed(mounts):
        subprocess.run(["umount", "-q", str(place)], check=False, stderr=subprocess.DEVNULL)


def test_a_full_disk_holds_publishers_up_until_there_is_room(tmp_path, mounted):
    place = mounted("disk", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
    gateway = Gateway(tmp_path, SMALL, data_dir=place / "data").start()
    total = 200_000
    try:
        Raw(gateway.port("amqp")).declare("q")
        flood = Flood(gateway, total)
        first = wait_until_held(flood)
        assert 0 < first < total, "the disk did not fill"
        assert gateway.is_running(), gateway.log_tail()
        consumer = Consumer(gateway.port("amqp"), "q", body_bytes=BODY_BYTES)
        _, numbers = consumer.take(total)
        assert numbers == list(range(total))
        assert flood.finish() == total and flood.publisher.refused == 0
        consumer.close()
        gateway.kill()
        gateway.start()
        # What was acknowledged last may come again, at most a prefetch of it; nothing else does.
        left = read_all(gateway)
        assert left == list(range(total - len(left), total)) and len(left) <= 2000, len(left)
        gateway.stop()
    finally:
        gateway.kill()
    print(f"full after {first} messages; all {total} came through")


def wait_until_held(flood: Flood) -> int:
    """Waits until the publisher gets on no more; how far it got."""
    before, now = -1, flood.publisher.confirmed
    while before != now:
        time.sleep(1.5)
        before, now = now, flood.publisher.confirmed
    return now


def test_what_was_confirmed_before_a_power_cut_is_there_after_it(tmp_path, mounted):
    chance = random.Random(3)
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    gateway = Gateway(tmp_path, SMALL, data_dir=mounted("disk", "-o", "loop", str(image)) / "data").start()
    at_stake = 0
    try:
        Raw(gateway.port("amqp")).declare("q")
        flood = Flood(gateway)
        for number in range(POWER_CUTS):
            time.sleep(chance.uniform(0.1, 0.6))
            gateway.signal(signal.SIGSTOP)
            copy = tmp_path / f"cut{number}"
            subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
            # Confirms on their way had been sent before the process was stopped.
            time.sleep(0.1)
            confirmed, sent = flood.publisher.acked, flood.publisher.sent
            gateway.signal(signal.SIGCONT)
            at_stake = confirmed
            after_cut(tmp_path / f"after{number}", copy, confirmed, sent + 500, mounted)
        flood.finish()
        gateway.stop()
    finally:
        gateway.kill()
    print(f"{POWER_CUTS} power cuts, {at_stake} confirmed, none lost")


def after_cut(directory: Path, image: Path, confirmed: int, sent: int, mounted) -> None:
    """Starts a gateway on what the power cut left."""
    directory.mkdir()
    place = mounted(f"{image.name}.disk", "-o", "loop", str(image))
    gateway = Gateway(directory, SMALL, data_dir=place / "data").start()
    try:
        check(read_all(gateway), confirmed, sent)
        gateway.stop()
    finally:
        gateway.kill()
        subprocess.run(["umount", str(place)], check=True)
        image.unlink()
        shutil.rmtree(directory)
