"""One raw RESP connection: sends a request as it is, reads frames, replies apart from what is pushed.

A frame is kept as nested tuples of its type byte and its value, so that a simple string, a bulk string and an integer
of the same text are different things.
"""

import socket

AGGREGATES = {b"*": 1, b">": 1, b"~": 1, b"%": 2}


class Incomplete(Exception):
    """The bytes end within a frame."""


class Connection:
    """A client that has no opinion on what it receives."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.is_closed = False

    def send(self, request: list[bytes]) -> None:
        """Sends one request as an array of bulk strings."""
        parts = [b"*%d\r\n" % len(request)]
        parts += [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in request]
        try:
            self._socket.sendall(b"".join(parts))
        except ConnectionError:
            self.is_closed = True

    def read(self, timeout_s: float) -> list:
        """The frames that arrive within the time; returns as soon as there is one."""
        frames = self._frames()
        if not frames and not self.is_closed:
            self._socket.settimeout(max(timeout_s, 0.000_01))
            try:
                data = self._socket.recv(1 << 20)
                self.is_closed = not data
                self._buffer += data
            except (TimeoutError, BlockingIOError):
                pass
            except ConnectionError:
                self.is_closed = True
            frames = self._frames()
        return frames

    def ask(self, *request: bytes):
        """Sends a request and gives its reply."""
        self.send(list(request))
        while not (frames := self.read(5)):
            assert not self.is_closed, f"closed after {request}"
        return frames[-1]

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _frames(self) -> list:
        frames, at = [], 0
        while at < len(self._buffer):
            try:
                frame, at, pushed = parse(self._buffer, at)
            except Incomplete:
                break
            frames += pushed
            frames.append(frame)
        self._buffer = self._buffer[at:]
        return frames


def parse(data: bytes, at: int):
    """One frame from `at`: the frame, where it ends, and what was pushed between its elements.

    Redis 7.0 writes a client's own publication between the elements of its EXEC; 7.2 and Busbar write it afterwards.
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, head = data[at:at + 1], data[at + 1:end]
    at = end + 2
    if kind in (b"$", b"="):
        size = int(head)
        if size < 0:
            return ("_",), at, []
        if len(data) < at + size + 2:
            raise Incomplete
        return (kind.decode(), data[at:at + size]), at + size + 2, []
    if kind not in AGGREGATES:
        return (kind.decode(), head), at, []
    size, items, pushed = int(head), [], []
    if size < 0:
        return ("_*",), at, []
    while len(items) < size * AGGREGATES[kind]:
        item, at, inner = parse(data, at)
        pushed += inner
        (pushed if item[0] == ">" else items).append(item)
    return (kind.decode(), tuple(items)), at, pushed
