"""A network that takes 2 Mbit/s holds up nobody but its own link."""

import statistics
import subprocess
import time
import urllib.request

import pytest

from lan.conftest import GROUPS, not_tested
from support.clients import Clients
from support.gateway import Gateway
from support.network import Loopback

MESSAGES, BODY, ROUNDS = 3000, bytes(1000), 5


@pytest.fixture
def slow_gateway(network, tmp_path):
    """A gateway whose only link sends as fast as the system takes it, and the way to make the network slow."""
    if isinstance(network, Loopback):
        not_tested("a network of 2 Mbit/s")
    group, port, *_ = GROUPS["raw"]
    config = f'[[lan]]\nname = "slow"\ninterface = "{network.interface}"\ngroup = "{group}"\nport = {port}\n'
    config += 'direction = "out"\nfilters = ["slow/#"]\nbytes_per_second = "0B"\nwaiting_max = 100\n'
    gateway = Gateway(tmp_path, config).start()
    command = f"tc qdisc add dev {network.interface} root tbf rate 2mbit burst 3kb limit 20mb"
    subprocess.run(command.split(), check=True)
    yield gateway
    subprocess.run(f"tc qdisc del dev {network.interface} root".split(), check=True)
    gateway.stop()


def _seconds(publisher, consumer, topic: str) -> float:
    start = time.monotonic()
    publisher.publish_many(topic, [BODY] * MESSAGES)
    for _ in range(MESSAGES):
        consumer.receive()
    return time.monotonic() - start


def _dropped(gateway) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port('http')}/metrics") as answer:
        text = answer.read().decode()
    found = [line for line in text.splitlines() if "lan_not_passed" in line and 'reason="dropped"' in line]
    return int(float(found[0].rsplit(" ", 1)[1]))


def test_a_link_on_a_slow_network_does_not_slow_tcp_subscribers(slow_gateway):
    clients = Clients(slow_gateway)
    publisher, pairs = clients.publisher("redis3"), [("fast/value", []), ("slow/value", [])]
    try:
        consumers = {topic: clients.consumer("redis3", topic) for topic, _ in pairs}
        for _ in range(ROUNDS):
            for topic, seconds in pairs:
                seconds.append(_seconds(publisher, consumers[topic], topic))
        without, beside = (statistics.median(seconds) for _, seconds in pairs)
        assert _dropped(slow_gateway) > MESSAGES, "the network was not slow"
        assert beside < without * 1.5, f"{beside:.3f} s beside the slow link, {without:.3f} s without"
    finally:
        clients.close()
