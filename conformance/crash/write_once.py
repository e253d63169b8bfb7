"""How much is written for a message that is consumed soon: to the journal, and to the disk.

    BUSBAR_BIN=target/release/busbar python -m crash.write_once [messages] [directory]   (in conformance/)

The directory should be on a file system of its own (one in a file will do: `mount -o loop`): what others write counts.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request

from crash.flood import BODY_BYTES, Consumer, Publisher


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600_000
    data_dir = tempfile.mkdtemp(prefix="busbar-once-", dir=sys.argv[2] if len(sys.argv) > 2 else None)
    command = [os.environ["BUSBAR_BIN"]]
    for setting in (
        'listeners.amqp.bind="127.0.0.1:0"',
        'listeners.http.bind="127.0.0.1:0"',
        "listeners.mqtt.enabled=false",
        "listeners.resp.enabled=false",
        f'storage.data_dir="{data_dir}"',
    ):
        command += ["--set", setting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ports = {}
        for line in process.stdout:
            if match := re.match(r"(\w+) listening on .*:(\d+)", line):
                ports[match[1]] = int(match[2])
            if line.strip() == "ready":
                break
        publisher = Publisher(ports["amqp"], "q")
        publisher.declare("q")
        consumer = Consumer(ports["amqp"], "q")
        # Segments are made first, zero-filled, and later used again: from about the second GiB on.
        for run in ("new segments", "some new", "used segments"):
            before = written(data_dir, ports["http"])
            taking = threading.Thread(target=consumer.take, args=(count,))
            taking.start()
            publisher.publish(count)
            taking.join()
            after = written(data_dir, ports["http"])
            for what, start, end in zip(("journal", "disk"), before, after, strict=True):
                each = (end - start) / count
                print(f"{run}, {what}: {each:.0f} bytes a message, {each / BODY_BYTES:.3f} of its body", flush=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(data_dir)


def written(data_dir: str, http: int) -> tuple[int, int]:
    """Bytes written to the journal, and to the disk at all."""
    os.sync()
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics") as answer:
        journal = re.search(r"^busbar_journal_written_bytes_total (\d+)", answer.read().decode(), re.MULTILINE)
    device = os.stat(data_dir).st_dev
    with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat") as stat:
        sectors = int(stat.read().split()[6])
    return int(journal[1]), sectors * 512


if __name__ == "__main__":
    main()
