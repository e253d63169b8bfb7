"""Each codec against programs that nobody here wrote, between two hosts."""

import pytest

from lan.conftest import PEERS, TOPIC

PUBLISHERS = ["amqp", "mqtt5", "redis3"]


def _heard_topic(codec: str) -> str | None:
    return {"raw": None, "mqtt-sn": "1:7", "uadp": "2234:100:7"}.get(codec, TOPIC)


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_what_each_protocol_publishes_reaches_each_codec(lan_clients, codec, peer, publisher):
    lan_clients.publisher(publisher).publish(TOPIC, b"21.5")
    heard = peer.hear()
    assert (heard["topic"], heard["body"]) == (_heard_topic(codec), "21.5")


def test_what_each_codec_sends_reaches_each_protocol(lan_clients, codec, peer):
    topic = f"from/{codec}/" + ("fixed" if codec == "raw" else "a/b")
    consumers = [lan_clients.consumer(name, topic) for name in PUBLISHERS]
    peer.say(PEERS[codec][1], b"21.5")
    for consumer in consumers:
        assert consumer.receive().body == b"21.5"


@pytest.mark.parametrize("codec", ["lcm"], indirect=True)
def test_a_message_larger_than_a_datagram_is_cut_and_joined_both_ways(lan_clients, codec, peer):
    body = b"0123456789" * 5000
    lan_clients.publisher("mqtt5").publish("plant/image", body)
    heard = peer.hear()
    assert (heard["topic"], heard["body"]) == ("plant/image", body.decode())
    consumer = lan_clients.consumer("mqtt5", "from/lcm/image")
    peer.say("image", body)
    assert consumer.receive().body == body


@pytest.mark.parametrize("codec", ["mqtt-sn", "mqtt-sn-2"], indirect=True)
def test_mqtt_sn_says_what_is_to_be_retained(lan_clients, codec, peer):
    publisher = lan_clients.mqtt()
    for body, retain in [(b"1", True), (b"2", False), (b"", True)]:
        publisher.publish(TOPIC, body, retain=retain)
        heard = peer.hear()
        assert (heard["body"], heard["retain"]) == (body.decode(), int(retain))


@pytest.mark.parametrize("codec", ["mqtt-sn-2"], indirect=True)
def test_what_a_datagram_retains_is_retained(lan_clients, codec, peer):
    live = lan_clients.consumer("mqtt5", "from/mqtt-sn-2/kept")
    peer.say("!kept", b"21.5")
    assert live.receive().body == b"21.5"
    assert lan_clients.consumer("mqtt5", "from/mqtt-sn-2/kept").receive().body == b"21.5"
