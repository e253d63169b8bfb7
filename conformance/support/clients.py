"""The clients of the matrix by name, and their common end."""

import uuid

from support import lan
from support.amqp import AmqpConsumer, AmqpPublisher
from support.lan import LanConsumer, LanPublisher
from support.mqtt import V5, V311, MqttClient, MqttConsumer, MqttPublisher
from support.resp import RedisConsumer, RedisPublisher

PUBLISHERS = ["amqp", "mqtt311", "mqtt5", "redis2", "redis3", "lan"]
CONSUMERS = ["amqp", "mqtt311", "mqtt5", "redis2", "redis3", "lan"]


def unique_topic(tail: str = "value", root: str = "plant") -> str:
    """A topic that no other test uses. The outgoing LAN link carries those below `plant`."""
    return f"{root}/{uuid.uuid4().hex[:8]}/{tail}"


def topic_for(publisher: str) -> str:
    """A topic that this publisher can publish to: a LAN link has one, the others have all."""
    return lan.IN_TOPIC if publisher == "lan" else unique_topic()


class Clients:
    """Opens clients of one gateway, and closes them all at the end."""

    def __init__(self, gateway, lan_ports: tuple[int, int] = (0, 0)):
        self.gateway = gateway
        self._lan_out, self._lan_in = lan_ports
        self._open = []

    def publisher(self, name: str, **options):
        """A publisher: `publish(topic, body)`, `publish_many(topic, bodies)`."""
        if name == "amqp":
            return self._keep(AmqpPublisher(self.gateway, **options))
        if name.startswith("mqtt"):
            return self._keep(MqttPublisher(self.gateway, _version(name), **options))
        if name.startswith("redis"):
            return self._keep(RedisPublisher(self.gateway, int(name[-1]), **options))
        return self._keep(LanPublisher(self._lan_in))

    def consumer(self, name: str, topic_filter: str, **options):
        """A consumer that is subscribed when this returns: `receive()`, `expect_silence()`."""
        if name == "amqp":
            return self._keep(AmqpConsumer(self.gateway, topic_filter, **options))
        if name.startswith("mqtt"):
            return self._keep(MqttConsumer(self.gateway, topic_filter, _version(name), **options))
        if name.startswith("redis"):
            return self._keep(RedisConsumer(self.gateway, topic_filter, int(name[-1]), **options))
        return self._after_others(self._keep(LanConsumer(self._lan_out)))

    def queue(self, **options) -> AmqpConsumer:
        """A consumer of an AMQP queue that is not bound unless `options` say so."""
        return self._keep(AmqpConsumer(self.gateway, **options))

    def mqtt(self, version: int = V5, **options) -> MqttClient:
        """An MQTT client without subscriptions."""
        return self._keep(MqttClient(self.gateway, version, **options))

    def redis_pattern(self, pattern: str | bytes, protocol: int = 3) -> RedisConsumer:
        """A Redis client subscribed to a pattern."""
        return self._keep(RedisConsumer(self.gateway, protocol=protocol, pattern=pattern))

    def close(self) -> None:
        """Closes what is open, the last first."""
        while self._open:
            self._open.pop().close()

    def _after_others(self, listener: LanConsumer) -> LanConsumer:
        """Lets pass what the link still sends for an earlier test: everybody hears the one group."""
        marker = uuid.uuid4().bytes
        publisher = RedisPublisher(self.gateway)
        publisher.publish(unique_topic(), marker)
        publisher.close()
        while listener.receive().body != marker:
            pass
        return listener

    def _keep(self, client):
        self._open.append(client)
        return client


def _version(name: str) -> int:
    return V5 if name == "mqtt5" else V311
