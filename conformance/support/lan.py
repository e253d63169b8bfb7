"""The LAN side: datagrams on multicast groups of the loopback interface, by plain sockets.

The gateway under test has two links (see `links`): what matches `OUT_FILTERS` goes out to one group, and datagrams
to the other group come in at the topic `IN_TOPIC`.
"""

import socket
import struct

from support.received import RECEIVE_TIMEOUT_S, SILENCE_S, Received

LOOPBACK = "127.0.0.1"
OUT_GROUP, IN_GROUP = "239.255.0.1", "239.255.0.2"
IN_TOPIC = "lan/in"
OUT_FILTERS = ["plant/#", "lan/#"]
DATAGRAM_MAX = 60 * 1024


def free_udp_port() -> int:
    """A UDP port that nobody has at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def link(name: str, group: str, port: int, direction: str, **keys) -> str:
    """The configuration of one link. Keys: topic (text), filters (list)."""
    lines = [
        "[[lan]]",
        f'name = "{name}"',
        f'interface = "{LOOPBACK}"',
        f'group = "{group}"',
        f"port = {port}",
        f'direction = "{direction}"',
        'codec = "raw"',
        f'message_bytes_max = "{DATAGRAM_MAX}B"',
    ]
    # A list of plain texts is written the same way in Python and in TOML.
    lines += [f"{key} = {value!r}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def links(out_port: int, in_port: int) -> str:
    """The configuration of the two links of the matrix."""
    return link("line-out", OUT_GROUP, out_port, "out", filters=OUT_FILTERS) + link(
        "line-in", IN_GROUP, in_port, "in", topic=IN_TOPIC
    )


class LanPublisher:
    """Sends datagrams to a group."""

    name = "lan"

    def __init__(self, port: int, group: str = IN_GROUP):
        self._target = (group, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def publish(self, topic: str, body: bytes) -> None:
        """Sends one datagram. The topic is the link's, so it can only be that one."""
        assert topic == IN_TOPIC
        self._socket.sendto(body, self._target)

    def publish_many(self, topic: str, bodies: list[bytes]) -> None:
        """Sends one after the other."""
        for body in bodies:
            self.publish(topic, body)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class LanConsumer:
    """Hears the datagrams of a group."""

    name = "lan"

    def __init__(self, port: int, group: str = OUT_GROUP):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((group, port))
        membership = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton(LOOPBACK))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)

    def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> Received:
        """The next datagram; fails if none comes."""
        self._socket.settimeout(timeout_s)
        try:
            return Received(address="", body=self._socket.recv(65536))
        except TimeoutError:
            raise AssertionError(f"no datagram within {timeout_s} s") from None

    def expect_silence(self, seconds: float = SILENCE_S) -> None:
        """Fails if a datagram comes."""
        self._socket.settimeout(seconds)
        try:
            body = self._socket.recv(65536)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected datagram {body[:80]!r}")

    def close(self) -> None:
        """Leaves the group."""
        self._socket.close()
