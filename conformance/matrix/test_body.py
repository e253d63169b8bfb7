"""Bodies cross byte for byte, from every publisher to every consumer."""

import pytest

from support.clients import CONSUMERS, PUBLISHERS, topic_for
from support.lan import DATAGRAM_MAX

BODIES = {
    "empty": b"",
    "text": "Grüße, 21.5 °C".encode(),
    "every-byte": bytes(range(256)),
    "large": bytes(range(256)) * 400,  # 100 KiB
}


@pytest.mark.rule("C-body-1", "C-lan-1")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("to", CONSUMERS)
@pytest.mark.parametrize("of", PUBLISHERS)
def test_a_body_arrives_byte_for_byte(clients, of, to, body):
    if "lan" in (of, to):
        body = body[:DATAGRAM_MAX]
    topic = topic_for(of)
    consumer = clients.consumer(to, topic)
    clients.publisher(of).publish(topic, body)
    received = consumer.receive()
    assert received.body == body
    if to != "lan":
        assert received.topic == topic
