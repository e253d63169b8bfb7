"""The gateway with a link of each codec and direction, on a host of its own; the peers on another.

Where network namespaces are refused, what can be tested on loopback is tested there, and the summary of the run says what
was not. In CI that is a failure, unless the machine has no `unshare` at all.
"""

import os
import shutil
import warnings

import pytest

from support.clients import Clients
from support.gateway import Gateway
from support.network import Loopback, Network

TOPIC = "plant/line1/oven"

# Where the gateway sends to and where it listens, by codec.
GROUPS = {
    "raw": ("239.192.1.1", 5001, "239.192.2.1", 6001),
    "mqtt-sn": ("239.192.1.2", 5002, "239.192.2.2", 6002),
    "mqtt-sn-2": ("239.192.1.3", 5003, "239.192.2.3", 6003),
    "lcm": ("239.192.1.4", 5004, "239.192.2.4", 6004),
    "uadp": ("239.192.1.5", 5005, "239.192.2.5", 6005),
}
# The peer programs, and what they call a topic of theirs that the gateway hears as `from/<codec>/...`.
PEERS = {
    "raw": ("raw", ""),
    "mqtt-sn": ("mqtt_sn", "9"),
    "mqtt-sn-2": ("mqtt_sn_2", "a/b"),
    "lcm": ("lcm_peer", "a/b"),
    "uadp": ("uadp", "9"),
}


# The peers that need routes and interfaces, which loopback has not.
NEED_A_NETWORK = {"lcm"}


def _link(interface: str, codec: str, direction: str, group: str, port: int, keys: str) -> str:
    named = f'[[lan]]\nname = "{codec}-{direction}"\ninterface = "{interface}"\ngroup = "{group}"\nport = {port}\n'
    return named + f'direction = "{direction}"\ncodec = "{codec}"\n{keys}\n'


def links(interface: str) -> str:
    """The configuration."""
    text = ""
    for codec, (out, out_port, into, in_port) in GROUPS.items():
        fields = 'fields = "Double"\n' if codec == "uadp" else ""
        mapped = '[[lan.topics]]\ntopic = "{}"\nid = {}\n{}'
        going = 'filters = ["plant/#"]\npublisher_id = 2234\nwriter_group_id = 100\nmessage_bytes_max = "60000B"\n'
        level = "fixed" if codec == "raw" else "{topic}"
        coming = f'topic = "from/{codec}/{level}"\nmessage_bytes_max = "60000B"\n'
        # PUBWOS can carry the topic's name, which is what its peer reads and writes.
        out_topics, in_topics = ("", "") if codec == "mqtt-sn-2" else (
            mapped.format(TOPIC, 7, fields), mapped.format("a/b", 9, fields))
        text += _link(interface, codec, "out", out, out_port, going + out_topics)
        text += _link(interface, codec, "in", into, in_port, coming + in_topics)
    return text


def not_tested(what: str) -> None:
    """Skips a case that loopback cannot stand in for."""
    pytest.skip(f"NOT TESTED without network namespaces: {what}")


@pytest.fixture(scope="module")
def network():
    """Two hosts, or this one alone."""
    try:
        opened = Network().__enter__()
    except OSError as reason:
        if os.environ.get("CI") and shutil.which("unshare"):
            raise
        text = f"NOT TESTED: two hosts, routes, interfaces, LCM and slow networks; on loopback instead ({reason})"
        warnings.warn(text, stacklevel=1)
        opened = Loopback()
    yield opened
    opened.__exit__()


@pytest.fixture(scope="module")
def lan_gateway(network, tmp_path_factory):
    """The gateway of all cases here."""
    gateway = Gateway(tmp_path_factory.mktemp("lan"), links(network.interface)).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def lan_clients(lan_gateway):
    """Its TCP clients."""
    opened = Clients(lan_gateway)
    yield opened
    opened.close()


@pytest.fixture(params=list(PEERS))
def codec(request):
    """Each codec."""
    return request.param


@pytest.fixture
def peer(network, codec):
    """The codec's peer, listening."""
    if codec in NEED_A_NETWORK and isinstance(network, Loopback):
        not_tested(codec)
    out, out_port, into, in_port = GROUPS[codec]
    opened = network.peer(PEERS[codec][0], out, str(out_port), into, str(in_port))
    yield opened
    opened.close()
