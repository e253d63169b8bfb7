"""A queue larger than memory: rates against a short queue's, memory, and the time of a restart.

    BUSBAR_BIN=target/release/busbar python -m crash.big_queue [messages] [memory]   (in conformance/)
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from crash.flood import Consumer, Publisher, Raw


class Gateway:
    """The binary on a data directory of its own."""

    def __init__(self, data_dir: str, memory: str):
        self._command = [os.environ["BUSBAR_BIN"]]
        for setting in (
            'listeners.amqp.bind="127.0.0.1:0"',
            "listeners.mqtt.enabled=false",
            "listeners.resp.enabled=false",
            "listeners.http.enabled=false",
            f'storage.data_dir="{data_dir}"',
            f'storage.message_memory_bytes="{memory}"',
        ):
            self._command += ["--set", setting]

    def start(self) -> float:
        """Starts it; how many seconds until it was ready."""
        start = time.monotonic()
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout:
            if match := re.match(r"amqp listening on .*:(\d+)", line):
                self.port = int(match[1])
            if line.strip() == "ready":
                return time.monotonic() - start
        raise AssertionError("it did not start")

    def memory_mb(self) -> int:
        """Resident memory that is not shared with a file, and its peak."""
        with open(f"/proc/{self._process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssAnon"].split()[0]) // 1024

    def stop(self, how: int) -> float:
        """Ends it by a signal; how many seconds that took."""
        start = time.monotonic()
        self._process.send_signal(how)
        self._process.wait(120)
        return time.monotonic() - start


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    memory = sys.argv[2] if len(sys.argv) > 2 else "512MiB"
    data_dir = tempfile.mkdtemp(prefix="busbar-big-")
    gateway = Gateway(data_dir, memory)
    try:
        gateway.start()
        short = min(count, 200_000)
        publisher = Publisher(gateway.port, "short")
        publisher.declare("short")
        say("short queue, publish", short / publisher.publish(short))
        took, _ = Consumer(gateway.port, "short").take(short)
        say("short queue, consume", short / took)
        publisher = Publisher(gateway.port, "big")
        publisher.declare("big")
        done, peak = 0, 0
        step = max(count // 10, 1)
        while done < count:
            took = publisher.publish(step, done)
            done += step
            peak = max(peak, gateway.memory_mb())
            say(f"big queue, publish, {done} there", step / took, f"{gateway.memory_mb()} MB")
        assert publisher.refused == 0
        for how in (signal.SIGKILL, signal.SIGTERM):
            print(f"stop by {how.name}: {gateway.stop(how):.2f} s")
            print(f"restart to ready: {gateway.start():.2f} s, {gateway.memory_mb()} MB")
        there = Raw(gateway.port).declare("big")
        assert there == done, f"{there} of {done} are there"
        consumer = Consumer(gateway.port, "big")
        taken = 0
        while taken < done:
            took, numbers = consumer.take(step)
            wrong = next((at for at, number in enumerate(numbers) if number != taken + at), None)
            assert wrong is None, f"lost or out of order: {numbers[wrong - 2:wrong + 6]} behind {taken + wrong - 1}"
            taken += step
            peak = max(peak, gateway.memory_mb())
            say(f"big queue, consume, {done - taken} left", step / took, f"{gateway.memory_mb()} MB")
        print(f"peak memory {peak} MB; page files left: {len(os.listdir(data_dir + '/pages'))}")
        print(f"stop: {gateway.stop(signal.SIGTERM):.2f} s")
    finally:
        shutil.rmtree(data_dir)


def say(what: str, rate: float, more: str = "") -> None:
    print(f"{what}: {rate:,.0f} messages/s {more}", flush=True)


if __name__ == "__main__":
    main()
