"""rlan on a bad network: eight hosts on a switch that loses, repeats and reorders datagrams. Seven run a gateway, the
eighth the receiver that was written from docs/rlan.md.
"""

import os
import random
import shutil
import warnings

import pytest

from lan.conftest import not_tested
from support.clients import Clients
from support.gateway import Gateway
from support.network import Switch

GATEWAYS, SEEDS = 7, 20
PROTOCOLS = ["amqp", "mqtt5", "redis3"]
GROUP, PORT, KEY = "239.192.9.1", 5099, "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"
MESSAGES, LARGE_BYTES = 150, 4000
# The ring that repairs come from, and what a gateway may grow by beside it, over all seeds.
RING_MIB, SLACK_MIB = 1, 16


@pytest.fixture(scope="module")
def switch():
    """Eight hosts."""
    try:
        opened = Switch(GATEWAYS + 1)
    except OSError as reason:
        if os.environ.get("CI") and shutil.which("unshare"):
            raise
        text = f"NOT TESTED: rlan between hosts ({reason})"
        warnings.warn(text, stacklevel=1)
        not_tested("rlan between hosts")
    yield opened
    opened.close()


class Plant:
    """The gateways with a subscriber and a publisher each, and the receiver."""

    def __init__(self, switch: Switch, directory):
        self.switch, self.gateways, self.clients, self.subscribers, self.publishers = switch, [], [], [], []
        for number, host in enumerate(switch.hosts[:GATEWAYS]):
            here = directory / str(number)
            here.mkdir()
            with host:
                gateway = Gateway(here, _config()).start()
                clients = Clients(gateway)
                self.gateways.append(gateway)
                self.clients.append(clients)
                self.subscribers.append(clients.consumer("mqtt5", "plant/#"))
                self.publishers.append(clients.publisher("mqtt5"))
        last = switch.hosts[-1]
        self.receiver = last.peer("rlan", GROUP, str(PORT), last.address, f"1:{KEY}")

    def memory_mib(self) -> list[float]:
        """What each gateway has taken."""
        return [gateway.memory_mib() for gateway in self.gateways]

    def publisher(self, host: int, protocol: str):
        """A client of a protocol that publishes at a gateway."""
        with self.switch.hosts[host]:
            return self.clients[host].publisher(protocol)

    def consumer(self, host: int, protocol: str, topic: str):
        """A client of a protocol that consumes from a gateway."""
        with self.switch.hosts[host]:
            return self.clients[host].consumer(protocol, topic)

    def hear(self, count: int) -> list[list[tuple[str, bytes]]]:
        """The next messages at each host, the receiver's last."""
        heard = []
        for subscriber in self.subscribers:
            messages = (subscriber.receive(RECEIVE_S) for _ in range(count))
            heard.append([(message.topic, message.body) for message in messages])
        lines = (self.receiver.hear() for _ in range(count))
        return [*heard, [(line["topic"], line["body"].encode("latin-1")) for line in lines]]

    def expect_silence(self) -> None:
        """Fails if anything more comes anywhere."""
        assert self.receiver.is_silent(1), "the receiver heard something again"
        for subscriber in self.subscribers:
            subscriber.expect_silence(0.05)

    def close(self) -> None:
        """Stops everything."""
        for clients, gateway, host in zip(self.clients, self.gateways, self.switch.hosts):
            clients.close()
            with host:
                gateway.stop()
        self.receiver.close()


# At 20 % both ways, one datagram in a thousand takes a dozen requests of up to a third of a second.
RECEIVE_S = 20


def _config() -> str:
    return f"""
[[lan]]
name = "plant"
interface = "eth0"
group = "{GROUP}"
port = {PORT}
direction = "both"
codec = "rlan"
filters = ["plant/#"]
keys = ["1:{KEY}"]
repair_bytes_max = "{RING_MIB}MiB"
"""


@pytest.fixture(scope="module")
def plant(switch, tmp_path_factory):
    """All of it, after every host has heard of every other."""
    opened = Plant(switch, tmp_path_factory.mktemp("plant"))
    for number, publisher in enumerate(opened.publishers):
        publisher.publish(f"plant/{number}", b"hello")
        assert opened.hear(1) == [[(f"plant/{number}", b"hello")]] * (GATEWAYS + 1)
    yield opened
    opened.close()


def _bodies(seed: int, sender: int) -> list[bytes]:
    """Small ones, that share datagrams, and some that need three."""
    luck = random.Random(f"{seed} {sender}")
    sizes = (LARGE_BYTES if number % 10 == 9 else luck.randrange(20, 120) for number in range(MESSAGES))
    return [f"{seed} {number} ".encode().ljust(size, b".") for number, size in enumerate(sizes)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("loss", [0, 0.02, 0.2])
def test_each_message_arrives_once_and_in_order_on_every_host(plant, loss):
    before = plant.memory_mib()
    total = {"lost": 0, "repeated": 0, "held": 0}
    for seed in range(1, SEEDS + 1):
        plant.switch.lose(loss, seed)
        # Two at a time, so that streams cross.
        sent = {f"plant/{sender}": _bodies(seed, sender) for sender in (seed % GATEWAYS, (seed + 3) % GATEWAYS)}
        for topic, bodies in sent.items():
            plant.publishers[int(topic[-1])].publish_many(topic, bodies, qos=0)
        for host, heard in enumerate(plant.hear(2 * MESSAGES)):
            for topic, bodies in sent.items():
                assert [body for name, body in heard if name == topic] == bodies, f"host {host}, seed {seed}, {topic}"
        done = plant.switch.lose(0, 0)
        total = {word: count + done[word] for word, count in total.items()}
    plant.expect_silence()
    assert min(total.values()) > 0 if loss else total["lost"] == 0, total
    grown = [after - earlier for after, earlier in zip(plant.memory_mib(), before)]
    print(f"{SEEDS} seeds at {loss:.0%}: {total}; a gateway grew by {max(grown):.1f} MiB at most")
    assert max(grown) < RING_MIB + SLACK_MIB, grown


def test_what_each_protocol_publishes_reaches_all_on_all_hosts(plant):
    consumers = [plant.consumer(1, protocol, "plant/line1/oven") for protocol in PROTOCOLS]
    for publisher in PROTOCOLS:
        body = publisher.encode()
        plant.publisher(0, publisher).publish("plant/line1/oven", body)
        assert [consumer.receive().body for consumer in consumers] == [body] * len(consumers)
        assert plant.hear(1) == [[("plant/line1/oven", body)]] * (GATEWAYS + 1)
