"""A raw AMQP client as fast as Python can be: whole batches of frames as bytes, numbered bodies, everything counted.

It is for queues of millions of messages, where a real client library would be what is measured.
"""

import socket
import struct
import time

BODY_BYTES = 1024
BATCH = 500
FRAME_END = b"\xce"


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One AMQP frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


def method(class_id: int, method_id: int, arguments: bytes = b"", channel: int = 1) -> bytes:
    """One method frame."""
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments)


def short(text: str) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text.encode()


class Raw:
    """One connection with one channel."""

    def __init__(self, port: int, timeout_s: float = 60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = bytearray()
        self.socket.sendall(b"AMQP\0\0\x09\x01")
        self._expect(10, 10)
        login = b"\0guest\0guest"
        start_ok = struct.pack(">I", 0) + short("PLAIN") + struct.pack(">I", len(login)) + login + short("en_US")
        self.socket.sendall(method(10, 11, start_ok, 0))
        self._expect(10, 30)
        self.socket.sendall(method(10, 31, struct.pack(">HIH", 2047, 131072, 0), 0))
        self.socket.sendall(method(10, 40, short("/") + b"\0\0", 0))
        self._expect(10, 41)
        self.call(20, 10, b"\0", 11)

    def call(self, class_id: int, method_id: int, arguments: bytes, answer: int) -> bytes:
        """Sends a method and waits for its answer, whose arguments it returns."""
        self.socket.sendall(method(class_id, method_id, arguments))
        return self._expect(class_id, answer)

    def declare(self, queue: str) -> int:
        """Declares a durable queue; how many messages are in it."""
        arguments = b"\0\0" + short(queue) + b"\x02" + struct.pack(">I", 0)
        answer = self.call(50, 10, arguments, 11)
        return struct.unpack_from(">I", answer, 1 + answer[0])[0]

    def confirm(self) -> None:
        """Turns publisher confirms on."""
        self.call(85, 10, b"\0", 11)

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close()

    def _expect(self, class_id: int, method_id: int) -> bytes:
        while True:
            kind, payload = self.read_frame()
            if kind == 1 and struct.unpack_from(">HH", payload) == (class_id, method_id):
                return payload[4:]

    def read_frame(self) -> tuple[int, bytes]:
        """The next frame: its type and payload."""
        while True:
            if len(self._input) >= 7:
                kind, _, size = struct.unpack_from(">BHI", self._input)
                if len(self._input) >= size + 8:
                    payload = bytes(self._input[7 : 7 + size])
                    del self._input[: size + 8]
                    return kind, payload
            self.fill()

    def fill(self) -> None:
        """Reads what there is."""
        data = self.socket.recv(1 << 20)
        assert data, "the gateway closed the connection"
        self._input += data


class Publisher(Raw):
    """Publishes numbered persistent messages to a queue, with confirms and a window of two batches."""

    def __init__(self, port: int, queue: str, body_bytes: int = BODY_BYTES):
        super().__init__(port)
        self.confirm()
        publish = method(60, 40, b"\0\0" + short("") + short(queue) + b"\0")
        header = frame(2, 1, struct.pack(">HHQHB", 60, 0, body_bytes, 0x1000, 2))
        body = frame(3, 1, bytes(body_bytes))
        one = publish + header + body
        self._stride, self._offset = len(one), len(publish) + len(header) + 7
        self._batch = bytearray(one * BATCH)
        self.sent = self.confirmed = self.refused = 0

    @property
    def acked(self) -> int:
        """How many were accepted: answered, and not by a nack."""
        return self.confirmed - self.refused

    def publish(self, count: int, first: int = 0) -> float:
        """Publishes so many; returns how many seconds it took until all were confirmed."""
        start = time.monotonic()
        target = self.sent + count
        number = first
        while self.sent < target:
            for at in range(BATCH):
                struct.pack_into(">Q", self._batch, self._offset + at * self._stride, number + at)
            size = min(BATCH, target - self.sent)
            self.socket.sendall(memoryview(self._batch)[: size * self._stride])
            number += size
            self.sent += size
            self._wait(self.sent - 4 * BATCH)
        self._wait(self.sent)
        return time.monotonic() - start

    def _wait(self, until: int) -> None:
        while self.confirmed < until:
            kind, payload = self.read_frame()
            if kind == 1 and struct.unpack_from(">HH", payload)[0] == 60:
                answer, tag, flags = struct.unpack_from(">HQB", payload, 2)
                assert answer in (80, 120), f"basic method {answer}"
                assert flags & 1 or tag == self.confirmed + 1, "one queue confirms in order"
                self.refused += (tag - self.confirmed) * (answer == 120)
                self.confirmed = tag


class Consumer(Raw):
    """Consumes numbered messages and acknowledges them in batches."""

    def __init__(self, port: int, queue: str, prefetch: int = 2000, body_bytes: int = BODY_BYTES):
        super().__init__(port)
        self.call(60, 10, struct.pack(">IHB", 0, prefetch, 0), 11)
        self._ack_every = prefetch // 4
        consume = b"\0\0" + short(queue) + short("c") + b"\0" + struct.pack(">I", 0)
        self.socket.sendall(method(60, 20, consume))
        self._expect(60, 21)
        routing_key = len(queue)
        self._deliver_bytes = 8 + 4 + 2 + 8 + 1 + 1 + 1 + routing_key
        self._body_bytes = body_bytes
        self.last_tag = 0

    def take(self, count: int) -> tuple[float, list[int]]:
        """Takes so many; how many seconds it took, and the numbers in their order."""
        start = time.monotonic()
        numbers = []
        stride = None
        acked = self.last_tag
        while len(numbers) < count:
            if stride is None:
                stride = self._stride()
            at = 0
            while stride and len(self._input) - at >= stride and len(numbers) < count:
                numbers.append(struct.unpack_from(">Q", self._input, at + stride - 1 - self._body_bytes)[0])
                at += stride
                self.last_tag += 1
            del self._input[:at]
            if self.last_tag - acked >= self._ack_every or len(numbers) >= count:
                self.socket.sendall(method(60, 80, struct.pack(">QB", self.last_tag, 1)))
                acked = self.last_tag
            if len(numbers) < count:
                self.fill()
        return time.monotonic() - start, numbers

    def _stride(self) -> int | None:
        """All deliveries are of one size: deliver, header, body."""
        at = 0
        for _ in range(3):
            if len(self._input) < at + 7:
                return None
            at += struct.unpack_from(">I", self._input, at + 3)[0] + 8
        return at
