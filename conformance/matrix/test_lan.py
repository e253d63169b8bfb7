"""What only a LAN link has: a datagram's size, and no way back for what came in."""

import pytest

from support import lan
from support.clients import Clients, unique_topic


@pytest.mark.rule("C-lan-2")
def test_a_message_too_large_for_the_link_reaches_all_others(clients):
    topic = unique_topic()
    heard, queued = clients.consumer("lan", topic), clients.consumer("amqp", topic)
    publisher = clients.publisher("mqtt5")
    publisher.publish(topic, bytes(lan.DATAGRAM_MAX + 1))
    publisher.publish(topic, b"next")
    assert len(queued.receive().body) == lan.DATAGRAM_MAX + 1
    assert heard.receive().body == b"next"


@pytest.mark.rule("C-lan-3")
def test_a_link_neither_repeats_nor_hears_itself(start_gateway):
    port = lan.free_udp_port()
    config = lan.link("both", "239.255.0.3", port, "both", topic="line/in", filters=["line/#"])
    clients = Clients(start_gateway(config))
    heard, sender = lan.LanConsumer(port, "239.255.0.3"), lan.LanPublisher(port, "239.255.0.3")
    subscriber = clients.consumer("mqtt5", "line/#")
    try:
        sender.publish(lan.IN_TOPIC, b"from the line")
        assert (heard.receive().body, subscriber.receive().topic) == (b"from the line", "line/in")
        clients.publisher("mqtt5").publish("line/out", b"to the line")
        assert (heard.receive().body, subscriber.receive().topic) == (b"to the line", "line/out")
        heard.expect_silence()
        subscriber.expect_silence()
    finally:
        for client in (heard, sender, clients):
            client.close()
