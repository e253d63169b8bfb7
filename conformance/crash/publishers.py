"""Publishers that keep many messages unconfirmed at once and note each confirm, until the gateway is gone."""

import threading

import paho.mqtt.client as paho
import pika

from crash.ledger import Ledger, body_of

AMQP_WINDOW = 100
MQTT_WINDOW = 20  # the gateway's Receive Maximum, which paho does not heed by itself
JOIN_TIMEOUT_S = 10
MESSAGES_MAX = 20_000  # per round: what a very fast gateway may take before the kill


class AmqpFlood:
    """Persistent messages to a queue by way of the bus, with publisher confirms."""

    def __init__(self, port: int, key: str, ledger: Ledger):
        self._key, self._ledger = key, ledger
        self._numbers: dict[int, int] = {}  # delivery tag -> message, for those not confirmed yet
        self._next_tag = self._first_waiting = 1
        parameters = pika.ConnectionParameters("127.0.0.1", port, connection_attempts=1)
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda connection, _error: connection.ioloop.stop(),
            on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
        )
        self._thread = threading.Thread(target=self._connection.ioloop.start, daemon=True)
        self._thread.start()

    def is_at_work(self) -> bool:
        """Whether the connection stands."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Waits until the connection is lost."""
        self._thread.join(JOIN_TIMEOUT_S)
        assert not self._thread.is_alive(), "the publisher did not notice that the gateway is gone"

    def _opened(self, channel) -> None:
        self._channel = channel
        channel.confirm_delivery(self._confirmed, callback=lambda _frame: self._fill())

    def _fill(self) -> None:
        while len(self._numbers) < AMQP_WINDOW and self._next_tag < MESSAGES_MAX and self._channel.is_open:
            number = self._ledger.next()
            self._numbers[self._next_tag] = number
            self._next_tag += 1
            persistent = pika.BasicProperties(delivery_mode=2)
            self._channel.basic_publish("amq.topic", self._key, body_of(number), persistent)

    def _confirmed(self, frame) -> None:
        assert isinstance(frame.method, pika.spec.Basic.Ack), "a publish was refused"
        last = frame.method.delivery_tag
        first = self._first_waiting if frame.method.multiple else last
        for tag in range(first, last + 1):
            if (number := self._numbers.pop(tag, None)) is not None:
                self._ledger.confirm(number)
        if frame.method.multiple:
            self._first_waiting = last + 1
        self._fill()


class MqttFlood:
    """QoS 1 messages to one topic, each noted when its PUBACK comes."""

    def __init__(self, port: int, topic: str, ledger: Ledger):
        self._topic, self._ledger = topic, ledger
        self._numbers: dict[int, int] = {}
        self._count = 0
        self._lock = threading.RLock()
        self._gone = threading.Event()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        self._client.max_inflight_messages_set(MQTT_WINDOW)
        self._client.on_connect = lambda *_: self._fill()
        self._client.on_publish = self._confirmed
        self._client.on_disconnect = lambda *_: self._gone.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def is_at_work(self) -> bool:
        """Whether the connection stands."""
        return not self._gone.is_set()

    def join(self) -> None:
        """Waits until the connection is lost."""
        assert self._gone.wait(JOIN_TIMEOUT_S), "the publisher did not notice that the gateway is gone"
        self._client.loop_stop()

    def _fill(self) -> None:
        with self._lock:
            while len(self._numbers) < MQTT_WINDOW and self._count < MESSAGES_MAX:
                number = self._ledger.next()
                self._count += 1
                info = self._client.publish(self._topic, body_of(number), qos=1)
                self._numbers[info.mid] = number

    def _confirmed(self, _client, _data, mid, reason, _properties) -> None:
        assert not reason.is_failure, f"a publish was refused: {reason}"
        with self._lock:
            number = self._numbers.pop(mid)
        self._ledger.confirm(number)
        self._fill()
