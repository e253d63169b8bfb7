"""AMQP 0-9-1 by pika: one publisher and one consumer, on the bus exchange unless told otherwise."""

import time

import pika

from support import properties
from support.address import key_of, pattern_of, topic_of
from support.properties import AmqpProperties, EncodedProperties
from support.received import RECEIVE_TIMEOUT_S, SILENCE_S, Received

BUS = "amq.topic"

properties.remember_received_bytes()


def connect(port: int, user: str = "guest", password: str = "guest", vhost: str = "/") -> pika.BlockingConnection:
    """A connection to loopback, with every wait bounded."""
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host="127.0.0.1",
            port=port,
            virtual_host=vhost,
            credentials=pika.PlainCredentials(user, password),
            socket_timeout=10,
            stack_timeout=15,
            blocked_connection_timeout=20,
        )
    )


class AmqpPublisher:
    """Publishes with confirms."""

    name = "amqp"

    def __init__(self, gateway, **login):
        self.connection = connect(gateway.port("amqp"), **login)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def publish(
        self,
        topic: str,
        body: bytes,
        amqp: AmqpProperties | None = None,
        exchange: str = BUS,
        key: str | bytes | None = None,
        mandatory: bool = False,
    ) -> None:
        """Publishes to a topic of the bus, or to `key` as it stands; returns when it is confirmed."""
        self.channel.basic_publish(
            exchange,
            key_of(topic) if key is None else key,
            body,
            EncodedProperties(amqp) if amqp else pika.BasicProperties(),
            mandatory=mandatory,
        )

    def publish_many(self, topic: str, bodies: list[bytes]) -> None:
        """Publishes without waiting in between."""
        channel = self.connection.channel()
        for body in bodies:
            channel.basic_publish(BUS, key_of(topic), body)
        channel.close()

    def close(self) -> None:
        """Closes the connection, if the server has not."""
        if self.connection.is_open:
            self.connection.close()


class AmqpConsumer:
    """Consumes a queue: by default its own exclusive one, bound to the bus by an MQTT filter's meaning."""

    name = "amqp"

    def __init__(self, gateway, topic_filter: str | None = None, queue: str | None = None, pattern: str | None = None,
                 auto_ack: bool = True, **login):
        self.connection = connect(gateway.port("amqp"), **login)
        self.channel = self.connection.channel()
        self.queue = queue or self.channel.queue_declare("", exclusive=True).method.queue
        if topic_filter is not None or pattern is not None:
            binding = pattern if pattern is not None else pattern_of(topic_filter)
            self.channel.queue_bind(self.queue, BUS, binding)
        self._messages: list[Received] = []
        self.channel.basic_consume(self.queue, self._take, auto_ack=auto_ack)

    def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> Received:
        """The next delivery; fails if none comes."""
        deadline = time.monotonic() + timeout_s
        while not self._messages:
            assert time.monotonic() < deadline, f"no message within {timeout_s} s"
            self.connection.process_data_events(time_limit=0.05)
        return self._messages.pop(0)

    def expect_silence(self, seconds: float = SILENCE_S) -> None:
        """Fails if a delivery comes."""
        self.connection.sleep(seconds)
        assert not self._messages, f"unexpected message {self._messages[0]}"

    def close(self) -> None:
        """Closes the connection, if the server has not."""
        if self.connection.is_open:
            self.connection.close()

    def _take(self, _channel, method, basic_properties, body):
        key = method.routing_key
        self._messages.append(
            Received(
                address=key,
                topic=topic_of(key) if isinstance(key, str) else None,
                body=body,
                exchange=method.exchange,
                amqp=properties.received(basic_properties),
                redelivered=method.redelivered,
                delivery_tag=method.delivery_tag,
            )
        )
