"""What a message costs by clients that nobody here wrote: `conformance/.venv/bin/python -m speed.independent [ROUNDS]`, in
`conformance`, with `BUSBAR_BIN` set. It prints the table of docs/performance.md.

redis-benchmark and redis-cli, mosquitto_pub and mosquitto_sub, and amqplib for Node drive Busbar and the server that each
was made for, in turn. The figure is the server's CPU time, user and kernel, per delivered message of 64 bytes. These
clients write each message by itself, but for redis-benchmark (50 at a time) and amqplib, so a message costs more than by
`busbar-load`.
"""

import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from differential.rabbitmq import RabbitMq
from support.gateway import Gateway, wait_until

BODY = "x" * 64
# Clients that publish as fast as they can are ahead of those that print what they receive; nothing is dropped for it.
NO_LIMITS = """
[log]
level = "error"
[mqtt]
queued_max = 1000000
waiting_max = 1000000
waiting_bytes_max = "1GiB"
[resp]
output_bytes_hard = "1GiB"
output_bytes_soft = "1GiB"
"""
HERE = Path(__file__).parent


def cpu_s(pid: int) -> float:
    """What all threads of a process have run, those that have ended excepted."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def pid_at(port: int) -> int:
    """Who listens there."""
    listening = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return int(re.search(r"pid=(\d+)", listening.stdout)[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """Redis or Mosquitto on a free port."""

    def __init__(self, directory: Path, protocol: str):
        self.port_number = free_port()
        if protocol == "redis":
            command = ["redis-server", "--port", str(self.port_number), "--bind", "127.0.0.1", "--save", "",
                       "--client-output-buffer-limit", "pubsub 0 0 0"]
        else:
            config = directory / "mosquitto.conf"
            config.write_text(f"listener {self.port_number} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
                              "max_queued_messages 0\nset_tcp_nodelay true\nlog_dest none\n")
            command = [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=directory)
        wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", self.port_number)), what=command[0])

    def port(self, _protocol: str) -> int:
        return self.port_number

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def open_server(name: str, directory: Path):
    if name == "busbar":
        return Gateway(directory, NO_LIMITS).start()
    return RabbitMq(directory).start() if name == "rabbitmq" else Peer(directory, name)


def redis(server, subscribers: int, count: int, pipeline: int) -> Iterator[int | None]:
    """redis-benchmark to redis-cli. Yields when all is ready, and what was delivered."""
    port, directory = str(server.port("resp")), Path(tempfile.mkdtemp())
    files = [(directory / str(number)).open("wb") for number in range(subscribers)]
    command = ["redis-cli", "-p", port, "subscribe", "news"]
    readers = [subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL) for file in files]
    ask = ["redis-cli", "-p", port, "pubsub", "numsub", "news"]
    wait_until(lambda: subprocess.run(ask, capture_output=True, text=True).stdout.split()[-1] == str(subscribers),
               timeout_s=60, what="subscribers")
    yield
    benchmark = ["redis-benchmark", "-p", port, "-c", "1", "-P", str(pipeline), "-n", str(count), "-q", "publish", "news", BODY]
    subprocess.run(benchmark, check=True, stdout=subprocess.DEVNULL)
    # A message is three lines, the subscription too.
    lines = [0]
    wait_until(lambda: lines.append((directory / "0").read_bytes().count(b"\n")) or lines[-1] == lines[-2], timeout_s=60,
               what="the end")
    time.sleep(0.2)
    yield subscribers * count
    for reader in readers:
        reader.kill()
        reader.wait()
    heard = [file.read_bytes().count(b"news") - 1 for file in directory.iterdir()]
    assert heard == [count] * subscribers, f"{min(heard)} to {max(heard)} of {count} messages"
    shutil.rmtree(directory)


def mqtt(server, publishers: int, subscribers: int, count: int, qos: int) -> Iterator[int | None]:
    """mosquitto_pub to mosquitto_sub, which ends when it has had them all. Yields when all is ready, and what was delivered."""
    client, total = ["-p", str(server.port("mqtt")), "-q", str(qos)], publishers * count
    # A retained value tells a subscriber that it has subscribed.
    subprocess.run(["mosquitto_pub", *client, "-r", "-t", "plant/ready", "-m", "ready"], check=True)
    command = ["mosquitto_sub", *client, "-t", "plant/#", "-C", str(total + 1), "-W", "60"]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) for _ in range(subscribers)]
    for reader in readers:
        assert reader.stdout.readline() == b"ready\n"
        # What it prints from here on is read by nobody.
        subprocess.Popen(["cat"], stdin=reader.stdout, stdout=subprocess.DEVNULL)
        reader.stdout.close()
    yield
    lines = f"{BODY}\n" * count
    writers = []
    for number in range(publishers):
        writer = ["mosquitto_pub", *client, "-t", f"plant/{number}", "-l"]
        writers.append(subprocess.Popen(writer, stdin=subprocess.PIPE, text=True))
    for writer in writers:
        writer.stdin.write(lines)
        writer.stdin.close()
    assert all(writer.wait(120) == 0 for writer in writers)
    assert all(reader.wait(120) == 0 for reader in readers), "a subscriber lacks messages"
    yield subscribers * total


def amqp(server, kind: str, count: int) -> Iterator[int | None]:
    """amqplib to amqplib. Yields when all is ready, and what was delivered."""
    command = ["node", str(HERE / "amqplib.js"), str(server.port("amqp")), kind, str(count), BODY]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "ready\n"
    yield
    client.stdin.write("go\n")
    client.stdin.flush()
    yield int(client.stdout.readline())
    client.kill()
    client.wait()


CASES = [
    ("RESP 1:1", "resp", "redis", lambda server: redis(server, 1, 200_000, 50)),
    ("RESP 1:50", "resp", "redis", lambda server: redis(server, 50, 20_000, 50)),
    ("RESP 1:1000", "resp", "redis", lambda server: redis(server, 1000, 1000, 20)),
    ("MQTT QoS 0 1:1", "mqtt", "mosquitto", lambda server: mqtt(server, 1, 1, 100_000, 0)),
    ("MQTT QoS 0 1:50", "mqtt", "mosquitto", lambda server: mqtt(server, 1, 50, 4_000, 0)),
    ("MQTT QoS 0 1:1000", "mqtt", "mosquitto", lambda server: mqtt(server, 1, 1000, 200, 0)),
    ("MQTT 100:1 wildcard", "mqtt", "mosquitto", lambda server: mqtt(server, 100, 1, 1_000, 0)),
    ("MQTT QoS 1", "mqtt", "mosquitto", lambda server: mqtt(server, 1, 1, 50_000, 1)),
    ("MQTT QoS 2", "mqtt", "mosquitto", lambda server: mqtt(server, 1, 1, 30_000, 2)),
    ("AMQP transient", "amqp", "rabbitmq", lambda server: amqp(server, "transient", 100_000)),
    ("AMQP durable", "amqp", "rabbitmq", lambda server: amqp(server, "durable", 30_000)),
    ("AMQP fanout 1:50", "amqp", "rabbitmq", lambda server: amqp(server, "fanout", 4_000)),
]


def measure(name: str, protocol: str, run) -> float:
    """Microseconds of a fresh server per delivered message."""
    with tempfile.TemporaryDirectory() as directory:
        server = open_server(name, Path(directory))
        try:
            pid, steps = pid_at(server.port(protocol)), run(server)
            next(steps)
            before = cpu_s(pid)
            delivered = next(steps)
            spent = cpu_s(pid) - before
            assert next(steps, None) is None
            return spent / delivered * 1e6
        finally:
            server.stop()


def main(rounds: int) -> None:
    print("| case | Busbar | | peer here |\n| --- | --- | --- | --- |")
    for title, protocol, peer, run in CASES:
        costs = {"busbar": [], peer: []}
        for _ in range(rounds):
            for name, cost in costs.items():
                cost.append(measure(name, protocol, run))
        cells = [f"{statistics.median(cost):.2f} ({min(cost):.2f}–{max(cost):.2f})" for cost in costs.values()]
        print(f"| {title} | {cells[0]} | {peer} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
