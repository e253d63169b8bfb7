"""MQTT 3.1.1 by hand, with a session that outlives its connections: the client's half of QoS 1 and 2 to the letter.

A library would hide what the checker looks for: which packets crossed the wire before the gateway died.
"""

import contextlib
import socket
import struct
import threading

from crash.ledger import body_of, number_of

WINDOW = 20
PATIENCE_S = 20
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 5, 6, 7, 8, 9
DUP = 0x08


def qos_of(number: int) -> int:
    """Messages take turns: QoS 1 and QoS 2."""
    return 1 + number % 2


def packet(first_byte: int, body: bytes) -> bytes:
    """A packet of less than 16384 bytes."""
    length = len(body)
    head = bytes([first_byte, length]) if length < 128 else bytes([first_byte, length % 128 | 0x80, length // 128])
    return head + body


def text(value: str) -> bytes:
    """A string with its length."""
    return struct.pack(">H", len(value)) + value.encode()


class Peer:
    """One client's session. `attach` connects it, and a thread serves the connection to its end."""

    def __init__(self, client_id: str):
        self.client_id = client_id
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._is_known = False
        self._thread = self._socket = None

    def attach(self, port: int) -> None:
        """Connects with clean session 0. Fails when the gateway has forgotten the session."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(packet(CONNECT << 4, text("MQTT") + b"\x04\x00\x00\x00" + text(self.client_id)))
        stream = self._socket.makefile("rb")
        first, body = read_packet(stream)
        assert (first >> 4, body[1]) == (CONNACK, 0), f"{self.client_id}: CONNACK {body.hex()}"
        assert bool(body[0]) == self._is_known, f"{self.client_id}: session present {body[0]}"
        self._is_known = True
        with self.lock:
            self.resend()
        self._thread = threading.Thread(target=self._serve, args=(stream,), daemon=True)
        self._thread.start()

    def detach(self) -> None:
        """The connection breaks."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()

    def join(self) -> None:
        """Waits until the connection is gone."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), f"{self.client_id} did not notice that the gateway is gone"
        self._socket.close()

    def wait(self, condition, what: str) -> None:
        """Waits until a condition on the state is true."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), f"{self.client_id}: {what} did not come true"

    def send(self, data: bytes) -> None:
        """Writes; a connection that is gone is noticed by the reader."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def resend(self) -> None:
        """What a reconnected client sends again. [MQTT-4.4.0-1]"""

    def handle(self, first: int, body: bytes) -> None:
        """One packet from the gateway."""
        raise NotImplementedError

    def _serve(self, stream) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                first, body = read_packet(stream)
                with self.changed:
                    self.handle(first, body)
                    self.changed.notify_all()


def read_packet(stream) -> tuple[int, bytes]:
    """The next packet's first byte and body."""
    first = read_exactly(stream, 1)[0]
    length = shift = 0
    while True:
        byte = read_exactly(stream, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first, read_exactly(stream, length)


def read_exactly(stream, count: int) -> bytes:
    """As many bytes, or EOFError."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


class Publisher(Peer):
    """Publishes numbered messages, as many at once as the window allows; keeps each until it is settled."""

    def __init__(self, client_id: str, topic: str):
        super().__init__(client_id)
        self._topic = topic
        self._unsettled: dict[int, tuple[int, bool]] = {}  # identifier -> number, whether PUBREC has come
        self._last_id = self.sent = 0
        self.settled: set[int] = set()
        self.is_open = False

    def begin(self) -> None:
        """Keeps the window full from now on."""
        with self.lock:
            self.is_open = True
            self._fill()

    def end(self) -> None:
        """Publishes nothing new."""
        with self.lock:
            self.is_open = False

    def is_idle(self) -> bool:
        """Whether every message is settled."""
        return not self._unsettled

    def resend(self) -> None:
        for packet_id, (number, is_received) in self._unsettled.items():
            self.send(pubrel(packet_id) if is_received else self._publish(packet_id, number, DUP))

    def handle(self, first: int, body: bytes) -> None:
        kind, packet_id = first >> 4, int.from_bytes(body[:2], "big")
        entry = self._unsettled.get(packet_id)
        if kind == PUBREC:
            if entry:
                self._unsettled[packet_id] = (entry[0], True)
            self.send(pubrel(packet_id))
        elif kind in (PUBACK, PUBCOMP) and entry:
            assert (kind == PUBACK) == (qos_of(entry[0]) == 1), "the wrong acknowledgement"
            self.settled.add(entry[0])
            del self._unsettled[packet_id]
        self._fill()

    def _fill(self) -> None:
        while self.is_open and len(self._unsettled) < WINDOW:
            self.sent += 1
            self._last_id = self._last_id % 0xFFFF + 1
            self._unsettled[self._last_id] = (self.sent, False)
            self.send(self._publish(self._last_id, self.sent, 0))

    def _publish(self, packet_id: int, number: int, dup: int) -> bytes:
        body = text(self._topic) + struct.pack(">H", packet_id) + body_of(number)
        return packet(PUBLISH << 4 | dup | qos_of(number) << 1, body)


class Subscriber(Peer):
    """Notes what is delivered to it, and in which order."""

    def __init__(self, client_id: str):
        super().__init__(client_id)
        self._unreleased: set[int] = set()  # QoS 2 identifiers between PUBLISH and PUBREL
        self.delivered: list[int] = []
        self._is_subscribed = False

    def subscribe(self, topic: str) -> None:
        """At QoS 2, and waits for SUBACK."""
        self.send(packet(SUBSCRIBE << 4 | 2, b"\x00\x01" + text(topic) + b"\x02"))
        self.wait(lambda: self._is_subscribed, "SUBACK")

    def handle(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == PUBLISH:
            self._take(first, body)
        elif kind == PUBREL:
            self._unreleased.discard(int.from_bytes(body[:2], "big"))
            self.send(packet(PUBCOMP << 4, body[:2]))
        elif kind == SUBACK:
            self._is_subscribed = True

    def _take(self, first: int, body: bytes) -> None:
        qos = first >> 1 & 3
        topic_end = 2 + int.from_bytes(body[:2], "big")
        raw_id = body[topic_end:topic_end + 2]
        number, packet_id = number_of(body[topic_end + 2:]), int.from_bytes(raw_id, "big")
        assert qos == qos_of(number), f"message {number} came at QoS {qos}"
        if qos == 1:
            self.delivered.append(number)
            self.send(packet(PUBACK << 4, raw_id))
            return
        if packet_id not in self._unreleased:
            self._unreleased.add(packet_id)
            self.delivered.append(number)
        self.send(packet(PUBREC << 4, raw_id))


def pubrel(packet_id: int) -> bytes:
    """PUBREL."""
    return packet(PUBREL << 4 | 2, struct.pack(">H", packet_id))
