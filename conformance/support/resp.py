"""Redis by redis-py, in RESP2 or RESP3: one publisher and one consumer. Channels and bodies are bytes."""

import time

import redis

from support.received import RECEIVE_TIMEOUT_S, SILENCE_S, Received


def connect(gateway, protocol: int = 3, **login) -> redis.Redis:
    """A client of one connection that neither decodes nor retries."""
    return redis.Redis(
        host="127.0.0.1",
        port=gateway.port("resp"),
        protocol=protocol,
        single_connection_client=True,
        socket_timeout=10,
        socket_connect_timeout=10,
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        **login,
    )


class RedisPublisher:
    """PUBLISH."""

    def __init__(self, gateway, protocol: int = 3, **login):
        self.name = f"redis{protocol}"
        self.client = connect(gateway, protocol, **login)
        self.client.ping()

    def publish(self, topic: str | bytes, body: bytes) -> int:
        """Publishes; gives the number of receivers."""
        return self.client.publish(topic, body)

    def publish_many(self, topic: str, bodies: list[bytes]) -> None:
        """Publishes without waiting in between."""
        pipeline = self.client.pipeline(transaction=False)
        for body in bodies:
            pipeline.publish(topic, body)
        pipeline.execute()

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()


class RedisConsumer:
    """SUBSCRIBE to a channel, or PSUBSCRIBE to a pattern."""

    def __init__(self, gateway, channel: str | bytes | None = None, protocol: int = 3,
                 pattern: str | bytes | None = None, **login):
        self.name = f"redis{protocol}"
        self.client = connect(gateway, protocol, **login)
        self.pubsub = self.client.pubsub()
        if channel is not None:
            self.pubsub.subscribe(channel)
            self._confirmation("subscribe")
        if pattern is not None:
            self.pubsub.psubscribe(pattern)
            self._confirmation("psubscribe")

    def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> Received:
        """The next message; fails if none comes."""
        message = self._next(timeout_s)
        assert message is not None, f"no message within {timeout_s} s"
        assert message["type"] in ("message", "pmessage"), message
        channel = message["channel"]
        return Received(
            address=channel,
            topic=channel.decode(errors="replace"),
            body=message["data"],
            pattern=message["pattern"],
        )

    def expect_silence(self, seconds: float = SILENCE_S) -> None:
        """Fails if a message comes."""
        message = self._next(seconds)
        assert message is None, f"unexpected message {message}"

    def close(self) -> None:
        """Closes both connections."""
        self.pubsub.close()
        self.client.close()

    def _confirmation(self, kind: str) -> None:
        message = self._next(RECEIVE_TIMEOUT_S)
        assert message is not None and message["type"] == kind, message

    def _next(self, timeout_s: float) -> dict | None:
        """redis-py answers None for what it handled itself, so ask until the time is over."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.pubsub.get_message(timeout=left)
            if message is not None:
                return message
        return None
