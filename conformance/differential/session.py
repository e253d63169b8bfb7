"""The script's hands: connections and channels whose every answer goes into the trace.

A step sends one method and waits for what must follow. A channel or connection that the server closes is closed
properly and opened again at once, which is part of the trace, so that the script goes on.
"""

import select
import socket
import time

from differential import wire
from differential.trace import Trace, show
from differential.wire import Incoming, Method

ANSWER_TIMEOUT_S = 10
# How long nothing must come where nothing is expected.
SILENCE_S = 0.25

_CLIENT = {
    "product": "differential",
    "capabilities": {
        "publisher_confirms": True,
        "exchange_exchange_bindings": True,
        "basic.nack": True,
        "consumer_cancel_notify": True,
        "connection.blocked": True,
        "authentication_failure_close": True,
    },
}
CLIENT_PROPERTIES = wire.typed_table(_CLIENT)
_NO_ANSWER = ("basic.publish", "basic.ack", "basic.nack", "basic.reject", "basic.recover-async")


class Script:
    """Runs against one server; counts what was done."""

    def __init__(self, port: int):
        self.port = port
        self.trace = Trace()
        self.theme = ""
        self.operations = 0
        self._open: list[Connection] = []

    def run(self, theme) -> None:
        """Runs one theme (a function that takes the script) and closes what it left open."""
        self.theme = theme.__name__
        try:
            theme(self)
        finally:
            while self._open:
                self._open.pop().disconnect()

    def connect(self, name: str = "a", **options) -> "Connection":
        """A connection that is open."""
        return self.dial(name).open(**options)

    def dial(self, name: str) -> "Connection":
        """A TCP connection without a word said."""
        connection = Connection(self, name)
        self._open.append(connection)
        return connection

    def step(self, text: str) -> None:
        """Begins a step, and counts it."""
        self.operations += 1
        self.trace.step(self.theme, text)

    def sleep(self, seconds: float) -> None:
        """Lets a time limit pass."""
        time.sleep(seconds)


class Connection:
    """One connection of the script."""

    def __init__(self, script: Script, name: str):
        self.script = script
        self.name = name
        self._options: dict = {}
        self._channels: set[int] = set()
        self._incoming = Incoming()
        self._socket: socket.socket | None = None
        self._dial()

    def _dial(self) -> None:
        self._incoming = Incoming()
        self._waiting: list[Method] = []
        self._socket = socket.create_connection(("127.0.0.1", self.script.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._eof = False
        # By channel, the sequence numbers of publishes that are answered.
        self._confirmed: dict[int, set[int]] = {}

    def disconnect(self) -> None:
        """Closes the socket without a word."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def open(self, user: str = "guest", password: str = "guest", vhost: str = "/", frame_max: int = 131072,
             channel_max: int = 2047, heartbeat: int = 0) -> "Connection":
        """The handshake; only what goes wrong in it is part of the trace."""
        self._options = {"user": user, "password": password, "vhost": vhost, "frame_max": frame_max,
                         "channel_max": channel_max, "heartbeat": heartbeat}
        self.send_raw(b"AMQP\0\0\x09\x01")
        self._next("connection.start")
        self.start_ok(user, password)
        self._next("connection.tune")
        self.put(0, "connection.tune-ok", {"channel-max": channel_max, "frame-max": frame_max, "heartbeat": heartbeat})
        self.put(0, "connection.open", {"virtual-host": vhost})
        self._next("connection.open-ok")
        return self

    def start_ok(self, user: str = "guest", password: str = "guest", mechanism: str = "PLAIN") -> None:
        """Says who we are."""
        response = f"\0{user}\0{password}".encode()
        self.put(0, "connection.start-ok", {"client-properties": _CLIENT, "mechanism": mechanism,
                                            "response": response, "locale": "en_US"})

    def channel(self, number: int = 1) -> "Channel":
        """Opens a channel."""
        channel = Channel(self, number)
        channel.call("channel.open")
        return channel

    def put(self, channel: int, name: str, arguments: dict) -> None:
        """Sends a method; no step."""
        if name == "channel.open":
            self._channels.add(channel)
        self.send_raw(wire.frame(wire.METHOD, channel, wire.encode_method(name, arguments)))

    def send_raw(self, data: bytes) -> None:
        """Sends bytes; no step. A server that has hung up is noticed when reading."""
        try:
            self._socket.sendall(data)
        except OSError:
            self._eof = True

    def call(self, name: str, arguments: dict | None = None) -> None:
        """A method on channel 0, and its answer."""
        self.script.step(f"{self.name}/0 {_step_text(name, arguments or {})}")
        self.put(0, name, arguments or {})
        self.until_answer(name)

    def raw(self, label: str, data: bytes, end: str = "close") -> None:
        """Bytes as a step, and all that follows: until a close, or for a while."""
        self.script.step(f"{self.name} {label}")
        self.send_raw(data)
        if end == "close":
            self.until_closed()
        else:
            self.drain()

    def until_answer(self, name: str) -> Method | None:
        """Takes what comes up to the answer of `name`, or to a close.

        A consumer's cancellation by the server is kept for a later step: a queue and its channel are two processes in
        RabbitMQ, so whether it overtakes the answer is chance.
        """
        answers, cancels = _answers(name), []
        while (method := self.take()) is not None:
            if method.name in answers:
                self.script.trace.say(show(method))
                self._waiting = cancels + self._waiting
                return method
            if method.name == "basic.cancel":
                cancels.append(method)
                continue
            if self._closed_by(method):
                return None
            self.script.trace.say(show(method))
        self.script.trace.say("(no answer)" if not self._eof else "(disconnected)")
        return None

    def until_closed(self) -> None:
        """Takes what comes up to a close."""
        while (method := self.take()) is not None:
            if self._closed_by(method):
                return
            self.script.trace.say(show(method))
        self.script.trace.say("(disconnected)" if self._eof else "(no close)")
        self._reopen()

    def receive(self, count: int, order: str = "as it comes") -> list[Method]:
        """A step that takes so many methods. `order="by channel"` where servers are free in it."""
        self.script.step(f"{self.name} receives {count}")
        methods = []
        for _ in range(count):
            method = self.take()
            if method is None:
                break
            methods.append(method)
        if order == "by channel":
            methods.sort(key=lambda method: (method.channel, method.arguments.get("consumer-tag", "")))
        lines = [show(method) for method in methods]
        for line in lines:
            self.script.trace.say(line)
        if len(methods) < count:
            self.script.trace.say("(disconnected)" if self._eof else "(no more)")
        return methods

    def confirms(self, count: int) -> None:
        """A step that takes the answers to so many publishes; how they are bundled does not matter."""
        self.script.step(f"{self.name} gets {count} confirms")
        answers, returns = {}, []
        while len(answers) < count:
            method = self.take()
            if method is None:
                self.script.trace.say("(no more)")
                break
            if method.name not in ("basic.ack", "basic.nack"):
                if self._closed_by(method):
                    break
                returns.append(show(method))
                continue
            tag, known = method.arguments["delivery-tag"], self._confirmed.setdefault(method.channel, set())
            new = [tag] if not method.arguments["multiple"] else [n for n in range(1, tag + 1) if n not in known]
            known.update(new)
            answers.update({number: method.name for number in new})
        for line in returns:
            self.script.trace.say(line)
        words = " ".join(f"{tag}:{name.removeprefix('basic.')}" for tag, name in sorted(answers.items()))
        self.script.trace.say(words)

    def silence(self) -> None:
        """A step in which nothing may come (what comes is in the trace, of course)."""
        self.script.step(f"{self.name} hears nothing")
        self.drain()

    def drain(self) -> None:
        """Takes what comes until it is silent."""
        while (method := self.take(SILENCE_S)) is not None:
            if self._closed_by(method):
                return
            self.script.trace.say(show(method))
        if self._eof:
            self.script.trace.say("(disconnected)")

    def take(self, timeout_s: float = ANSWER_TIMEOUT_S) -> Method | None:
        """The next method; None when none comes in time or the server hung up."""
        deadline = time.monotonic() + timeout_s
        while not self._waiting:
            left = deadline - time.monotonic()
            if self._eof or left <= 0 or not select.select([self._socket], [], [], left)[0]:
                return None
            self._read()
        return self._waiting.pop(0)

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._eof = True
            return
        self._incoming.data += data
        if self._incoming.data.startswith(b"AMQP"):
            header, self._incoming.data = self._incoming.data[:8], self._incoming.data[8:]
            self._waiting.append(Method(0, "protocol header", {"bytes": header}))
        self._waiting += self._incoming.methods()

    def _next(self, name: str) -> Method:
        method = self.take()
        assert method is not None and method.name == name, f"{name} expected, {method and show(method)} came"
        return method

    def _closed_by(self, method: Method) -> bool:
        """Answers a close of the server and opens again what it closed."""
        if method.name == "channel.close":
            self.script.trace.say(show(method))
            self._confirmed.pop(method.channel, None)
            self.put(method.channel, "channel.close-ok", {})
            self.put(method.channel, "channel.open", {})
            self.until_answer("channel.open")
            return True
        if method.name != "connection.close":
            return False
        self.script.trace.say(show(method))
        self.put(0, "connection.close-ok", {})
        self._reopen()
        return True

    def _reopen(self) -> None:
        """Makes the connection again, with the channels that it had."""
        if not self._options:
            return
        self.disconnect()
        self._dial()
        self.open(**self._options)
        for channel in sorted(self._channels):
            self.put(channel, "channel.open", {})
            self._next("channel.open-ok")


class Channel:
    """One channel of the script."""

    def __init__(self, connection: Connection, number: int):
        self.connection = connection
        self.number = number
        self.script = connection.script

    def call(self, name: str, **arguments) -> Method | None:
        """A method that has an answer."""
        self._send(name, _spell(arguments))
        return self.connection.until_answer(name)

    def send(self, name: str, **arguments) -> None:
        """A method without an answer, or one that is sent with `nowait`."""
        self._send(name, _spell(arguments))

    def fails(self, name: str, **arguments) -> None:
        """A method without an answer that the server must take amiss."""
        self._send(name, _spell(arguments))
        self.connection.until_closed()

    def publish(self, exchange: str, key: str, body: bytes = b"", mandatory: bool = False, immediate: bool = False,
                **properties) -> None:
        """A publish in one frame each of method, header and (unless it is empty) body."""
        method = {"exchange": exchange, "routing-key": key, "mandatory": mandatory, "immediate": immediate}
        shown = _step_text("basic.publish", {key: value for key, value in method.items() if value}) + f" {body[:20]!r}"
        self.script.step(f"{self.connection.name}/{self.number} {shown} {_spell(properties) or ''}".rstrip())
        frames = [(wire.METHOD, wire.encode_method("basic.publish", method)),
                  (wire.HEADER, wire.encode_header(len(body), _spell(properties)))]
        frames += [(wire.BODY, body)] if body else []
        self.connection.send_raw(b"".join(wire.frame(kind, self.number, payload) for kind, payload in frames))

    def publish_fails(self, exchange: str, key: str, body: bytes = b"", **properties) -> None:
        """A publish that the server must take amiss."""
        self.publish(exchange, key, body, **properties)
        self.connection.until_closed()

    def get(self, queue: str, no_ack: bool = True) -> Method | None:
        """One `basic.get`."""
        return self.call("basic.get", queue=queue, no_ack=no_ack)

    def declare(self, queue: str, arguments: dict | None = None, **flags) -> Method | None:
        """`queue.declare`."""
        return self.call("queue.declare", queue=queue, arguments=arguments or {}, **flags)

    def consume(self, queue: str, tag: str, no_ack: bool = False, **more) -> None:
        """`basic.consume`."""
        self.call("basic.consume", queue=queue, consumer_tag=tag, no_ack=no_ack, **more)

    def settles(self, queue: str, count: int) -> None:
        """Waits, without a step, until a queue holds so many messages: what happens by itself takes a moment."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            self.connection.put(self.number, "queue.declare", {"queue": queue, "passive": True})
            method = self.connection.take()
            assert method is not None, f"no answer about {queue}"
            assert method.name == "queue.declare-ok", f"{show(method)} while waiting for {queue}"
            if method.arguments["message-count"] == count:
                return
            time.sleep(0.02)
        self.script.trace.say(f"(there were never {count} messages in {queue})")

    def _send(self, name: str, arguments: dict) -> None:
        self.script.step(f"{self.connection.name}/{self.number} {_step_text(name, arguments)}")
        self.connection.put(self.number, name, arguments)


def _spell(arguments: dict) -> dict:
    """Python's spelling of names to AMQP's; `class_` and `type` stay words."""
    return {name.rstrip("_").replace("_", "-"): value for name, value in arguments.items()}


def _step_text(name: str, arguments: dict) -> str:
    shown = [f"{key}={value!r}" for key, value in arguments.items() if value not in (None, "", False, {}, b"")]
    return " ".join([name, *shown])


def _answers(name: str) -> tuple[str, ...]:
    if name == "basic.get":
        return "basic.get-ok", "basic.get-empty"
    return (f"{name}-ok",)
