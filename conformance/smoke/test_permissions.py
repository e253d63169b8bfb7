"""Users, permissions and virtual hosts are the same for all three protocols."""

import pika.exceptions
import pytest
import redis

from support.amqp import AmqpConsumer, AmqpPublisher, connect
from support.gateway import Gateway, hash_password
from support.mqtt import V5, V311, MqttClient
from support.resp import RedisConsumer, RedisPublisher

SENSOR = {"user": "sensor", "password": "sensor secret"}
BOARD = {"user": "board", "password": "board secret"}
ADMIN = {"user": "admin", "password": "admin secret"}
OTHER = {"user": "other", "password": "other secret"}

# configure, write, read
RIGHTS = {
    "sensor": ("/", "", "amq\\\\.topic", ""),
    "board": ("/", "amq\\\\.gen-.*", "amq\\\\.gen-.*", "amq\\\\.(topic|gen-.*)"),
    "admin": ("/", ".*", ".*", ".*"),
    "other": ("other", ".*", ".*", ".*"),
}


def config() -> str:
    """Users who may publish only, receive only, do all, and do all elsewhere. Nobody is anonymous."""
    text = '[[vhosts]]\nname = "/"\n[[vhosts]]\nname = "other"\n'
    for name, (vhost, configure, write, read) in RIGHTS.items():
        text += (
            f'[[users]]\nname = "{name}"\npassword_hash = "{hash_password(name + " secret")}"\n'
            f'default_vhost = "{vhost}"\n'
            f'[[users.permissions]]\nvhost = "{vhost}"\n'
            f'configure = "{configure}"\nwrite = "{write}"\nread = "{read}"\n'
        )
    return text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A gateway with these users."""
    gateway = Gateway(tmp_path_factory.mktemp("guarded"), config()).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def opened():
    """Clients to close: `opened(client)`."""
    clients = []

    def keep(client):
        clients.append(client)
        return client

    yield keep
    for client in reversed(clients):
        client.close()


def redis_login(login: dict) -> dict:
    """redis-py's words for a login."""
    return {"username": login["user"], "password": login["password"]}


class TestLogin:
    def test_a_wrong_password_is_refused_everywhere(self, guarded):
        wrong = {"user": "sensor", "password": "guess"}
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            connect(guarded.port("amqp"), **wrong)
        assert MqttClient(guarded, V5, **wrong).connack[0] in (0x86, 0x87)
        assert MqttClient(guarded, V311, **wrong).connack[0] in (0x86, 0x87), "paho gives 4 and 5 as 0x86 and 0x87"
        with pytest.raises(redis.AuthenticationError):
            RedisPublisher(guarded, 3, **redis_login(wrong))

    def test_an_unknown_user_is_refused_in_the_same_way(self, guarded):
        unknown = {"user": "nobody", "password": "guess"}
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            connect(guarded.port("amqp"), **unknown)
        with pytest.raises(redis.AuthenticationError, match=r"WRONGPASS|invalid username-password"):
            RedisPublisher(guarded, 3, **redis_login(unknown))

    def test_nobody_is_anonymous_when_guest_is_not_configured(self, guarded):
        assert MqttClient(guarded, V5).connack[0] in (0x86, 0x87)
        with pytest.raises(redis.AuthenticationError, match=r"NOAUTH|Authentication required"):
            RedisPublisher(guarded, 2)
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            connect(guarded.port("amqp"))


class TestPermissions:
    def test_who_may_only_write_publishes_and_does_not_receive(self, guarded, opened):
        topic = "plant/written"
        receivers = [opened(AmqpConsumer(guarded, topic, **ADMIN)), opened(subscribed(guarded, topic, ADMIN)),
                     opened(RedisConsumer(guarded, topic, **redis_login(ADMIN)))]
        opened(AmqpPublisher(guarded, **SENSOR)).publish(topic, b"amqp")
        sensor = opened(MqttClient(guarded, V5, **SENSOR))
        assert sensor.publish(topic, b"mqtt") == 0
        writer = opened(RedisPublisher(guarded, 3, **redis_login(SENSOR)))
        writer.publish(topic, b"redis")
        for receiver in receivers:
            assert [receiver.receive().body for _ in range(3)] == [b"amqp", b"mqtt", b"redis"]
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
            connect(guarded.port("amqp"), **SENSOR).channel().queue_declare("mine")
        assert closed.value.reply_code == 403
        assert sensor.subscribe(topic) == [0x87]
        assert opened(MqttClient(guarded, V311, **SENSOR)).subscribe(topic) == [0x80]
        for command in ("SUBSCRIBE", "PSUBSCRIBE"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                writer.client.execute_command(command, topic)

    def test_who_may_only_read_receives_and_does_not_publish(self, guarded, opened):
        topic = "plant/read"
        receivers = [opened(AmqpConsumer(guarded, topic, **BOARD)), opened(subscribed(guarded, topic, BOARD)),
                     opened(RedisConsumer(guarded, topic, **redis_login(BOARD)))]
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as closed:
            opened(AmqpPublisher(guarded, **BOARD)).publish(topic, b"refused")
        assert closed.value.reply_code == 403
        assert opened(MqttClient(guarded, V5, **BOARD)).publish(topic, b"refused") == 0x87
        with pytest.raises(redis.exceptions.NoPermissionError):
            opened(RedisPublisher(guarded, 3, **redis_login(BOARD))).publish(topic, b"refused")
        opened(AmqpPublisher(guarded, **ADMIN)).publish(topic, b"allowed")
        assert [receiver.receive().body for receiver in receivers] == [b"allowed"] * 3

    def test_a_reply_topic_needs_the_right_to_write_to_the_default_exchange(self, guarded, opened):
        queue = opened(AmqpConsumer(guarded, **ADMIN))
        assert opened(MqttClient(guarded, V5, **SENSOR)).publish("$reply/" + queue.queue, b"refused") == 0x87
        assert opened(MqttClient(guarded, V5, **ADMIN)).publish("$reply/" + queue.queue, b"allowed") == 0
        assert queue.receive().body == b"allowed"


class TestVirtualHosts:
    def test_virtual_hosts_hear_nothing_of_each_other(self, guarded, opened):
        topic, receivers = "plant/both", {}
        for login, vhost in ((ADMIN, "/"), (OTHER, "other")):
            receivers[vhost] = [opened(AmqpConsumer(guarded, topic, vhost=vhost, **login)),
                                opened(subscribed(guarded, topic, login)),
                                opened(RedisConsumer(guarded, topic, **redis_login(login)))]
        opened(AmqpPublisher(guarded, **OTHER, vhost="other")).publish(topic, b"to other")
        opened(MqttClient(guarded, V5, **ADMIN)).publish(topic, b"to /")
        for vhost, hearing in receivers.items():
            for receiver in hearing:
                assert receiver.receive().body == b"to " + vhost.encode()
                receiver.expect_silence(0.1)

    def test_an_mqtt_user_name_may_say_the_virtual_host(self, guarded, opened):
        login = {"user": "other:other", "password": OTHER["password"]}
        receiver = opened(AmqpConsumer(guarded, "plant/named", vhost="other", **OTHER))
        opened(MqttClient(guarded, V5, **login)).publish("plant/named", b"x")
        assert receiver.receive().body == b"x"

    def test_a_user_without_rights_in_a_virtual_host_does_not_get_in(self, guarded):
        with pytest.raises(pika.exceptions.ProbableAccessDeniedError, match=r"\(530\)"):
            connect(guarded.port("amqp"), vhost="other", **ADMIN)
        assert MqttClient(guarded, V5, user="other:admin", password=ADMIN["password"]).connack[0] in (0x86, 0x87)


def subscribed(gateway, topic: str, login: dict) -> MqttClient:
    """An MQTT client that is subscribed to one topic."""
    client = MqttClient(gateway, V5, **login)
    client.subscribe(topic)
    return client
