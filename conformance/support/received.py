"""What every consumer hands out, and the queue it waits on."""

import queue
from dataclasses import dataclass

from support.properties import AmqpProperties

# Long enough for a busy machine; a passing test never waits for it.
RECEIVE_TIMEOUT_S = 8.0
# How long silence is watched for.
SILENCE_S = 0.4


@dataclass
class MqttProperties:
    """The application's properties of an MQTT 5 PUBLISH; `None` is absent."""

    user_properties: list[tuple[str, str]]
    content_type: str | None = None
    correlation_data: bytes | None = None
    response_topic: str | None = None
    expiry_s: int | None = None
    payload_format: int | None = None

    def values(self, name: str) -> list[str]:
        """All values of a user property, in order."""
        return [value for key, value in self.user_properties if key == name]


@dataclass
class Received:
    """One message as a client got it. What its protocol does not have stays `None`."""

    address: str | bytes  # as the protocol says it: routing key, topic, channel
    body: bytes
    topic: str | None = None  # the address as MQTT writes it
    exchange: str | None = None
    amqp: AmqpProperties | None = None
    mqtt: MqttProperties | None = None
    qos: int | None = None
    retain: bool | None = None
    pattern: bytes | None = None
    redelivered: bool | None = None
    delivery_tag: int | None = None


class Inbox:
    """Messages handed over by a client's own thread."""

    def __init__(self):
        self._messages: queue.Queue[Received] = queue.Queue()

    def put(self, message: Received) -> None:
        """Called by the client's thread."""
        self._messages.put(message)

    def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> Received:
        """The next message; fails if none comes."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"no message within {timeout_s} s") from None

    def expect_silence(self, seconds: float = SILENCE_S) -> None:
        """Fails if a message comes."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected message {message}")
