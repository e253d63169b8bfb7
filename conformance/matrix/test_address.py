"""One address space in three spellings."""

import uuid

import pytest

from support.address import key_of, pattern_of
from support.clients import unique_topic

TAILS = ["line1/temp", "v1.2/x", "a.b/c", "a/b.c", "/a//b/", "Grüße/°C", "$inside/x", "with space"]


def topics() -> list[str]:
    """Topics of every shape, each unique, one of them with an empty first level."""
    made = [unique_topic(tail, root="hall") for tail in TAILS]
    return [*made, "/" + unique_topic("absolute", root="hall")]


@pytest.mark.rule("C-address-1")
def test_an_mqtt_topic_is_a_routing_key_with_dot_and_slash_changed(clients):
    publisher = clients.publisher("mqtt5")
    for topic in topics():
        consumer = clients.queue(pattern=key_of(topic))
        publisher.publish(topic, b"x")
        received = consumer.receive()
        assert (received.exchange, received.address) == ("amq.topic", key_of(topic))


@pytest.mark.rule("C-address-1")
@pytest.mark.parametrize("version", ["mqtt311", "mqtt5"])
def test_a_routing_key_is_an_mqtt_topic_with_dot_and_slash_changed(clients, version):
    publisher = clients.publisher("amqp")
    for topic in topics():
        consumer = clients.consumer(version, topic)
        publisher.publish("", b"x", key=key_of(topic))
        assert consumer.receive().address == topic


@pytest.mark.rule("C-address-2")
@pytest.mark.parametrize("redis", ["redis2", "redis3"])
def test_a_redis_channel_is_the_mqtt_topic(clients, redis):
    from_redis, from_mqtt = clients.publisher(redis), clients.publisher("mqtt311")
    for topic in topics():
        channel = clients.consumer(redis, topic)
        subscriber = clients.consumer("mqtt311", topic)
        queue = clients.queue(pattern=key_of(topic))
        assert from_redis.publish(topic, b"1") == 3
        from_mqtt.publish(topic, b"2")
        for body in (b"1", b"2"):
            assert (channel.receive().address, subscriber.receive().address) == (topic.encode(), topic)
            received = queue.receive()
            assert (received.address, received.body) == (key_of(topic), body)


@pytest.mark.rule("C-address-3")
def test_an_address_that_is_no_topic_stays_with_redis_and_amqp(clients):
    root = unique_topic("", root="hall").encode()
    subscriber = clients.consumer("mqtt5", "#")
    pattern = clients.redis_pattern(root + b"*")
    queue = clients.queue(pattern="hall.#")
    publisher = clients.publisher("redis3")
    for tail in (b"a+", b"a#b", b"nul\0", b"bell\x07", b"\xff\xfe"):
        assert publisher.publish(root + tail, b"odd") == 2
        assert pattern.receive().address == root + tail
        key = queue.receive().address
        assert (key if isinstance(key, bytes) else key.encode()) == root.replace(b"/", b".") + tail
    clients.publisher("amqp").publish("", b"odd", key=key_of(root.decode()) + "+")
    assert pattern.receive().address == root + b"+"
    publisher.publish(root + b"end", b"plain")
    assert subscriber.receive().address == (root + b"end").decode(), "MQTT saw an address that is no topic name"


@pytest.mark.rule("C-address-3")
def test_the_empty_address_is_seen_by_redis_and_amqp(clients):
    subscriber = clients.consumer("mqtt5", "#")
    channel, queue = clients.consumer("redis3", ""), clients.queue(pattern="")
    assert clients.publisher("redis3").publish("", b"1") == 2
    assert (channel.receive().body, queue.receive().address) == (b"1", "")
    subscriber.expect_silence()


FILTERS = {
    "plus": ("{root}/+/temp", ["{root}/a/temp", "{root}//temp"], ["{root}/temp", "{root}/a/b/temp", "{root}/a/tempo"]),
    "hash": ("{root}/#", ["{root}", "{root}/a", "{root}/a/b", "{root}/"], ["{root}x"]),
    "both": ("{root}/+/x/#", ["{root}/a/x", "{root}/a/x/y/z"], ["{root}/x", "{root}/a/b/x"]),
    "dots": ("{root}/+/v1.2", ["{root}/a/v1.2", "{root}/a.b/v1.2"], ["{root}/a/v1/2", "{root}/a/b/v1.2"]),
}


@pytest.mark.rule("C-address-4")
@pytest.mark.parametrize("case", FILTERS.values(), ids=FILTERS.keys())
def test_mqtt_and_amqp_wildcards_match_the_same(clients, case):
    root = f"plant/{uuid.uuid4().hex[:8]}"
    topic_filter, matching, others = case[0].format(root=root), *([t.format(root=root) for t in c] for c in case[1:])
    subscriber = clients.consumer("mqtt5", topic_filter)
    queue = clients.queue(pattern=pattern_of(topic_filter))
    publisher = clients.publisher("mqtt5")
    for topic in others + matching:
        publisher.publish(topic, b"x")
    for topic in matching:
        assert (subscriber.receive().topic, queue.receive().topic) == (topic, topic)
    subscriber.expect_silence()
    queue.expect_silence()


@pytest.mark.rule("C-address-4")
def test_an_amqp_hash_may_stand_anywhere(clients):
    root = f"plant/{uuid.uuid4().hex[:8]}"
    queue = clients.queue(pattern=f"{key_of(root)}.#.temp")
    publisher = clients.publisher("mqtt5")
    for tail in ("a/tempo", "temp", "a/temp", "a/b/temp"):
        publisher.publish(f"{root}/{tail}", b"x")
    assert [queue.receive().topic for _ in range(3)] == [f"{root}/temp", f"{root}/a/temp", f"{root}/a/b/temp"]


@pytest.mark.rule("C-address-4")
def test_a_redis_pattern_is_a_glob_over_the_whole_text(clients):
    root = f"plant/{uuid.uuid4().hex[:8]}"
    pattern = clients.redis_pattern(f"{root}/*/te[mn]p")
    publisher = clients.publisher("amqp")
    for tail in ("a/texp", "a/temp", "a/b/tenp"):
        publisher.publish(f"{root}/{tail}", b"x")
    assert [pattern.receive().topic for _ in range(2)] == [f"{root}/a/temp", f"{root}/a/b/tenp"]


@pytest.mark.rule("C-address-4")
def test_a_leading_mqtt_wildcard_does_not_match_a_dollar_topic(clients):
    name = uuid.uuid4().hex[:8]
    leading, named = clients.consumer("mqtt5", f"+/{name}"), clients.consumer("mqtt5", f"$own/{name}")
    queue, pattern = clients.queue(pattern=f"*.{name}"), clients.redis_pattern(f"*{name}")
    publisher = clients.publisher("redis3")
    assert publisher.publish(f"$own/{name}", b"1") == 3
    publisher.publish(f"own/{name}", b"2")
    assert named.receive().body == b"1"
    assert [queue.receive().body, queue.receive().body] == [b"1", b"2"]
    assert [pattern.receive().body, pattern.receive().body] == [b"1", b"2"]
    assert leading.receive().body == b"2"


@pytest.mark.rule("C-address-5")
def test_only_the_bus_exchange_crosses_over(clients):
    topic = unique_topic()
    subscriber, channel = clients.consumer("mqtt5", topic), clients.consumer("redis3", topic)
    publisher = clients.publisher("amqp")
    exchange = f"orders-{uuid.uuid4().hex[:8]}"
    publisher.channel.exchange_declare(exchange, "topic", auto_delete=True)
    for other in ("amq.direct", "amq.fanout", "amq.headers", exchange):
        publisher.publish(topic, b"not on the bus", exchange=other)
    publisher.channel.exchange_bind("amq.topic", exchange, "#")
    publisher.publish(topic, b"on the bus", exchange=exchange)
    assert (subscriber.receive().body, channel.receive().body) == (b"on the bus", b"on the bus")
    publisher.channel.exchange_delete(exchange)


@pytest.mark.rule("C-address-6")
@pytest.mark.parametrize("of", ["mqtt5", "redis3"])
def test_a_long_topic_reaches_amqp_with_its_key_cut(clients, of):
    topic = unique_topic("x" * (254 - len(unique_topic(""))) + "ü" + "/tail" * 20)
    assert len(topic.encode()[:255].decode(errors="ignore").encode()) == 254, "the cut is inside a character"
    queue = clients.queue(pattern=key_of(topic[: len(unique_topic("")) - 1]) + ".#.tail")
    subscriber = clients.consumer("mqtt5", topic)
    clients.publisher(of).publish(topic, b"x")
    assert subscriber.receive().topic == topic
    received = queue.receive()
    assert received.address == key_of(topic[:254])
    assert received.amqp.header("x-topic") == ("S", topic.encode())
