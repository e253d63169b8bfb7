"""A thousand messages, in order, between all protocols."""

import pytest

from support.clients import CONSUMERS, PUBLISHERS, topic_for

COUNT = 1000
# A link has no flow control: what is on its way at once must fit a default socket buffer.
IN_FLIGHT = {"lan": 50}
IN_FLIGHT_DEFAULT = 200


@pytest.mark.rule("C-order")
@pytest.mark.parametrize("to", CONSUMERS)
@pytest.mark.parametrize("of", PUBLISHERS)
def test_a_thousand_messages_arrive_in_order(clients, of, to):
    topic = topic_for(of)
    consumer, publisher = clients.consumer(to, topic), clients.publisher(of)
    bodies = [b"%d" % number for number in range(COUNT)]
    step = min(IN_FLIGHT.get(name, IN_FLIGHT_DEFAULT) for name in (of, to))
    for first in range(0, COUNT, step):
        publisher.publish_many(topic, bodies[first : first + step])
        assert [consumer.receive().body for _ in range(step)] == bodies[first : first + step]
