"""MQTT 3.1.1 and 5 by paho: one client class that can publish and subscribe, its network loop on paho's thread."""

import queue
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from support.received import RECEIVE_TIMEOUT_S, Inbox, MqttProperties, Received

V311, V5 = paho.MQTTv311, paho.MQTTv5


class MqttClient(Inbox):
    """A connected client. `connack` is `(reason, properties, session present)` of the connect."""

    def __init__(self, gateway, version: int = V5, client_id: str = "", user: str | None = None,
                 password: str | None = None, clean: bool = True, session_expiry_s: int | None = None,
                 will: paho.MQTTMessage | None = None, manual_ack: bool = False,
                 connect_properties: dict | None = None):
        super().__init__()
        self.version = version
        self._answers: queue.Queue = queue.Queue()
        self._disconnected = threading.Event()
        self.disconnect_reason = None
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean if version != V5 else None,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
        )
        if user is not None:
            self.client.username_pw_set(user, password)
        if will is not None:
            self.client.will_set(will.topic, will.payload, will.qos, will.retain, will.properties)
        self._install_callbacks()
        self.connack = self._connect(gateway.port("mqtt"), clean, session_expiry_s, connect_properties or {})

    def subscribe(self, topic_filter: str, qos: int = 2, **options) -> list[int]:
        """Subscribes and waits for the SUBACK; gives its reason codes."""
        if self.version == V5:
            options = paho.SubscribeOptions(qos=qos, **options)
            _, packet_id = self.client.subscribe(topic_filter, options=options)
        else:
            _, packet_id = self.client.subscribe(topic_filter, qos)
        return self._answer("suback", packet_id)

    def unsubscribe(self, topic_filter: str) -> list[int]:
        """Unsubscribes and waits for the UNSUBACK."""
        _, packet_id = self.client.unsubscribe(topic_filter)
        return self._answer("unsuback", packet_id)

    def publish(self, topic: str, body: bytes, qos: int = 1, retain: bool = False,
                mqtt: MqttProperties | None = None) -> int:
        """Publishes and waits until the flow is over; gives the reason code (0 for QoS 0 and MQTT 3.1.1)."""
        info = self.client.publish(topic, body, qos, retain, _publish_properties(mqtt))
        if qos == 0:
            info.wait_for_publish(RECEIVE_TIMEOUT_S)
            return 0
        return self._answer("published", info.mid)

    def publish_many(self, topic: str, bodies: list[bytes], qos: int = 1) -> None:
        """Publishes without waiting in between."""
        infos = [self.client.publish(topic, body, qos) for body in bodies]
        for info in infos:
            info.wait_for_publish(RECEIVE_TIMEOUT_S)
            assert info.is_published(), "no acknowledgement in time"
        if qos > 0:
            for info in infos:
                self._answer("published", info.mid)

    def ack(self, message: Received) -> None:
        """Acknowledges a delivery (only with `manual_ack`)."""
        self.client.ack(message.delivery_tag, message.qos)

    def close(self) -> None:
        """DISCONNECT, and waits for the thread."""
        self.client.disconnect()
        self.client.loop_stop()

    def drop(self) -> None:
        """Loses the connection without a DISCONNECT."""
        self.client.loop_stop()
        sock = self.client.socket()
        if sock is not None:
            sock.close()

    def wait_disconnected(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> int:
        """Waits until the server ends the connection; gives its reason code."""
        assert self._disconnected.wait(timeout_s), "still connected"
        return self.disconnect_reason

    def _connect(self, port: int, clean: bool, session_expiry_s: int | None, extra: dict):
        options = {}
        if self.version == V5:
            properties = Properties(PacketTypes.CONNECT)
            if session_expiry_s is not None:
                properties.SessionExpiryInterval = session_expiry_s
            for name, value in extra.items():
                setattr(properties, name, value)
            options = {"clean_start": clean, "properties": properties}
        self.client.connect("127.0.0.1", port, keepalive=30, **options)
        self.client.loop_start()
        return self._answer("connack", None)

    def _answer(self, kind: str, packet_id: int | None):
        """Waits for the answer to one request (each test asks one thing at a time)."""
        try:
            while True:
                got_kind, got_id, value = self._answers.get(timeout=RECEIVE_TIMEOUT_S)
                if (got_kind, got_id) == (kind, packet_id):
                    return value
                assert got_kind != "disconnect", f"disconnected, reason {value}"
        except queue.Empty:
            raise AssertionError(f"no {kind} within {RECEIVE_TIMEOUT_S} s") from None

    def _install_callbacks(self) -> None:
        client, answers = self.client, self._answers

        def on_connect(_client, _data, flags, reason, properties):
            answers.put(("connack", None, (reason.value, properties, flags.session_present)))

        def on_disconnect(_client, _data, _flags, reason, _properties):
            self.disconnect_reason = reason.value
            self._disconnected.set()
            answers.put(("disconnect", None, reason.value))

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_subscribe = lambda _c, _d, mid, codes, _p: answers.put(("suback", mid, [c.value for c in codes]))
        client.on_unsubscribe = lambda _c, _d, mid, codes, _p: answers.put(("unsuback", mid, [c.value for c in codes]))
        client.on_publish = lambda _c, _d, mid, code, _p: answers.put(("published", mid, code.value))
        client.on_message = lambda _c, _d, message: self.put(_received(message))


class MqttPublisher(MqttClient):
    """A publisher of the matrix."""

    def __init__(self, gateway, version: int = V5, **options):
        super().__init__(gateway, version, **options)
        self.name = "mqtt5" if version == V5 else "mqtt311"


class MqttConsumer(MqttClient):
    """A consumer of the matrix, subscribed."""

    def __init__(self, gateway, topic_filter: str, version: int = V5, qos: int = 2, **options):
        super().__init__(gateway, version, **options)
        self.name = "mqtt5" if version == V5 else "mqtt311"
        assert self.subscribe(topic_filter, qos) == [qos]


def _publish_properties(mqtt: MqttProperties | None) -> Properties | None:
    if mqtt is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)
    for pair in mqtt.user_properties:
        properties.UserProperty = pair
    for name, value in _names(mqtt).items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def _names(mqtt: MqttProperties) -> dict:
    return {
        "ContentType": mqtt.content_type,
        "CorrelationData": mqtt.correlation_data,
        "ResponseTopic": mqtt.response_topic,
        "MessageExpiryInterval": mqtt.expiry_s,
        "PayloadFormatIndicator": mqtt.payload_format,
    }


def _received(message: paho.MQTTMessage) -> Received:
    found = message.properties
    mqtt = None
    if found is not None:
        mqtt = MqttProperties(
            user_properties=list(getattr(found, "UserProperty", [])),
            content_type=getattr(found, "ContentType", None),
            correlation_data=getattr(found, "CorrelationData", None),
            response_topic=getattr(found, "ResponseTopic", None),
            expiry_s=getattr(found, "MessageExpiryInterval", None),
            payload_format=getattr(found, "PayloadFormatIndicator", None),
        )
    return Received(
        address=message.topic,
        topic=message.topic,
        body=message.payload,
        mqtt=mqtt,
        qos=message.qos,
        retain=message.retain,
        delivery_tag=message.mid,
    )
