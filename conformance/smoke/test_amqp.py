"""AMQP 0-9-1 as an application that was written for RabbitMQ uses it, by pika."""

import time
import uuid

import pika
import pytest
from pika.exceptions import (
    AuthenticationError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)

from support.amqp import connect
from support.gateway import wait_until


@pytest.fixture
def connection(gateway):
    """A connection as guest."""
    opened = connect(gateway.port("amqp"))
    yield opened
    if opened.is_open:
        opened.close()


@pytest.fixture
def channel(connection):
    """Its first channel."""
    return connection.channel()


def unique(prefix: str = "smoke") -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def new_queue(channel, **options) -> str:
    """Declares a queue that goes with its connection."""
    return channel.queue_declare("", exclusive=True, **options).method.queue


def get(channel, queue: str) -> bytes | None:
    """The next body by basic.get, waiting a little for it."""
    bodies = []

    def taken():
        body = channel.basic_get(queue, auto_ack=True)[2]
        if body is not None:
            bodies.append(body)
        return bool(bodies)

    wait_until(taken, what=f"a message in {queue}")
    return bodies[0]


def depth(channel, queue: str) -> int:
    """Ready messages, by passive declare."""
    return channel.queue_declare(queue, passive=True).method.message_count


def collect(connection, channel, queue: str, count: int, **options) -> list:
    """Consumes until `count` deliveries are here: (method, properties, body)."""
    taken = []
    tag = channel.basic_consume(queue, lambda _c, *delivery: taken.append(delivery), **options)
    deadline = time.monotonic() + 8
    while len(taken) < count and time.monotonic() < deadline:
        connection.process_data_events(time_limit=0.05)
    channel.basic_cancel(tag)
    assert len(taken) == count
    return taken


def refused(code: int, text: str, action) -> None:
    """Checks that the server closes the channel with this code and a text that contains `text`."""
    with pytest.raises(ChannelClosedByBroker) as closed:
        action()
    assert closed.value.reply_code == code
    assert text in closed.value.reply_text


# A client that answers nothing is waited for so long.
SHORT_DRAIN = '[shutdown]\ndrain_timeout = "500ms"\n'


class TestConnection:
    def test_server_properties_say_what_clients_look_for(self, connection):
        properties = connection._impl.server_properties
        assert properties["product"] == "RabbitMQ"
        for name in ("publisher_confirms", "basic.nack", "consumer_cancel_notify", "connection.blocked"):
            assert properties["capabilities"][name] is True

    def test_many_channels_open_and_close(self, connection):
        channels = [connection.channel() for _ in range(200)]
        assert len({channel.channel_number for channel in channels}) == 200
        for channel in channels:
            channel.close()
        assert connection.channel().is_open

    def test_a_channel_error_leaves_the_other_channels_alone(self, connection, channel):
        other = connection.channel()
        refused(404, "NOT_FOUND - no queue 'nosuch' in vhost '/'",
                lambda: channel.queue_declare("nosuch", passive=True))
        queue = new_queue(other)
        other.basic_publish("", queue, b"alive")
        assert get(other, queue) == b"alive"

    def test_a_wrong_password_is_refused(self, gateway):
        with pytest.raises((ProbableAuthenticationError, AuthenticationError, ConnectionClosedByBroker)) as failed:
            connect(gateway.port("amqp"), password="wrong")
        assert "403" in str(failed.value) or "ACCESS_REFUSED" in str(failed.value)

    def test_an_unknown_virtual_host_is_refused(self, gateway):
        with pytest.raises(ProbableAccessDeniedError, match=r"\(530\) 'NOT_ALLOWED - .*nosuch"):
            connect(gateway.port("amqp"), vhost="nosuch")

    def test_heartbeats_keep_an_idle_connection(self, gateway):
        parameters = pika.ConnectionParameters("127.0.0.1", gateway.port("amqp"), heartbeat=1)
        connection = pika.BlockingConnection(parameters)
        connection.sleep(3.5)
        assert connection.channel().is_open
        connection.close()


class TestDeclare:
    def test_a_queue_gets_a_name_and_is_counted(self, channel):
        queue = channel.queue_declare("", exclusive=True).method.queue
        assert queue.startswith("amq.gen-")
        for body in (b"1", b"2"):
            channel.basic_publish("", queue, body)
        wait_until(lambda: depth(channel, queue) == 2)
        assert channel.queue_purge(queue).method.message_count == 2

    def test_an_unequal_redeclaration_is_refused(self, channel):
        name = unique()
        channel.queue_declare(name, auto_delete=True)
        refused(406, f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{name}' in vhost '/': "
                     "received 'true' but current is 'false'",
                lambda: channel.queue_declare(name, durable=True, auto_delete=True))

    def test_another_connections_exclusive_queue_is_locked(self, gateway, channel):
        queue = new_queue(channel)
        other = connect(gateway.port("amqp"))
        refused(405, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}'",
                lambda: other.channel().queue_declare(queue, passive=True))
        other.close()

    def test_an_exclusive_queue_goes_with_its_connection(self, gateway, channel):
        other = connect(gateway.port("amqp"))
        queue = new_queue(other.channel())
        other.close()
        refused(404, "no queue", lambda: channel.queue_declare(queue, passive=True))

    def test_an_auto_delete_queue_goes_with_its_last_consumer(self, connection, channel):
        name = unique()
        channel.queue_declare(name, auto_delete=True)
        tag = channel.basic_consume(name, lambda *_: None)
        channel.basic_cancel(tag)
        refused(404, "no queue", lambda: channel.queue_declare(name, passive=True))

    def test_delete_respects_if_unused_and_if_empty(self, connection, channel):
        queue = new_queue(channel)
        channel.basic_publish("", queue, b"x")
        wait_until(lambda: depth(channel, queue) == 1)
        refused(406, "not empty", lambda: channel.queue_delete(queue, if_empty=True))
        channel = connection.channel()
        channel.basic_consume(queue, lambda *_: None)
        refused(406, "in use", lambda: channel.queue_delete(queue, if_unused=True))
        assert connection.channel().queue_delete(queue).method.message_count == 1

    def test_names_with_the_reserved_prefix_are_refused(self, channel):
        refused(403, "contains reserved prefix 'amq.*'", lambda: channel.queue_declare("amq.mine"))

    def test_an_unknown_exchange_closes_the_channel(self, channel):
        channel.basic_publish("nosuch", "k", b"x")
        refused(404, "NOT_FOUND - no exchange 'nosuch' in vhost '/'",
                lambda: channel.queue_declare("", exclusive=True))


class TestRouting:
    ROUTES = {
        "direct": ({}, "k", {}, [("k", {}, True), ("kk", {}, False)]),
        "fanout": ({}, "", {}, [("any", {}, True)]),
        "topic": ({}, "a.*.#", {}, [("a.b", {}, True), ("a.b.c.d", {}, True), ("a", {}, False)]),
        "headers": ({}, "", {"x-match": "all", "a": 1, "b": "x"},
                    [("", {"a": 1, "b": "x"}, True), ("", {"a": 1}, False)]),
    }

    @pytest.mark.parametrize("kind", ROUTES)
    def test_an_exchange_routes_by_its_type(self, channel, kind):
        _, key, arguments, cases = self.ROUTES[kind]
        exchange, queue = unique(), new_queue(channel)
        channel.exchange_declare(exchange, kind, auto_delete=True)
        channel.queue_bind(queue, exchange, key, arguments)
        for number, (routing_key, headers, _) in enumerate(cases):
            channel.basic_publish(exchange, routing_key, b"%d" % number, pika.BasicProperties(headers=headers))
        expected = [b"%d" % number for number, case in enumerate(cases) if case[2]]
        assert [get(channel, queue) for _ in expected] == expected
        assert depth(channel, queue) == 0

    def test_any_header_may_match(self, channel):
        queue = new_queue(channel)
        channel.queue_bind(queue, "amq.headers", "", {"x-match": "any", "smoke-a": 1, "smoke-b": 2})
        for headers in ({"smoke-a": 1}, {"smoke-b": 2}, {"smoke-a": 3}):
            channel.basic_publish("amq.headers", "", repr(headers), pika.BasicProperties(headers=headers))
        assert [get(channel, queue), get(channel, queue)] == [b"{'smoke-a': 1}", b"{'smoke-b': 2}"]
        assert depth(channel, queue) == 0

    def test_unbind_stops_the_flow(self, channel):
        queue = new_queue(channel)
        channel.queue_bind(queue, "amq.direct", queue + "-k")
        channel.basic_publish("amq.direct", queue + "-k", b"1")
        channel.queue_unbind(queue, "amq.direct", queue + "-k")
        channel.basic_publish("amq.direct", queue + "-k", b"2")
        channel.basic_publish("", queue, b"3")
        assert [get(channel, queue), get(channel, queue)] == [b"1", b"3"]

    def test_an_exchange_bound_to_an_exchange_passes_on(self, channel):
        source, destination, queue = unique(), unique(), new_queue(channel)
        channel.exchange_declare(source, "direct", auto_delete=True)
        channel.exchange_declare(destination, "fanout", auto_delete=True)
        channel.exchange_bind(destination, source, "k")
        channel.queue_bind(queue, destination)
        channel.basic_publish(source, "k", b"x")
        assert get(channel, queue) == b"x"
        channel.exchange_delete(source)

    def test_an_alternate_exchange_gets_what_is_unroutable(self, channel):
        exchange, alternate, queue = unique(), unique(), new_queue(channel)
        channel.exchange_declare(alternate, "fanout", auto_delete=True)
        channel.exchange_declare(exchange, "direct", auto_delete=True, arguments={"alternate-exchange": alternate})
        channel.queue_bind(queue, alternate)
        channel.basic_publish(exchange, "nowhere", b"x")
        assert get(channel, queue) == b"x"
        channel.exchange_delete(exchange)

    def test_cc_routes_to_further_keys(self, channel):
        first, second, hidden = new_queue(channel), new_queue(channel), new_queue(channel)
        properties = pika.BasicProperties(headers={"CC": [second], "BCC": [hidden]})
        channel.basic_publish("", first, b"x", properties)
        for queue in (first, second, hidden):
            wait_until(lambda: depth(channel, queue) == 1)
            _, got, _ = channel.basic_get(queue, auto_ack=True)
            assert got.headers == {"CC": [second]}


class TestConsume:
    def test_ack_nack_and_reject(self, connection, channel):
        queue = new_queue(channel)
        for body in (b"ack", b"requeue", b"drop"):
            channel.basic_publish("", queue, body)
        tags = {body: method.delivery_tag for method, _, body in collect(connection, channel, queue, 3)}
        channel.basic_ack(tags[b"ack"])
        channel.basic_reject(tags[b"drop"], requeue=False)
        channel.basic_nack(tags[b"requeue"], requeue=True)
        ((method, _, body),) = collect(connection, channel, queue, 1, auto_ack=True)
        assert (method.redelivered, body) == (True, b"requeue")
        assert depth(channel, queue) == 0

    def test_prefetch_limits_what_is_unacknowledged(self, connection, channel):
        queue, taken = new_queue(channel), []
        for number in range(10):
            channel.basic_publish("", queue, b"%d" % number)
        channel.basic_qos(prefetch_count=3)
        channel.basic_consume(queue, lambda _c, method, _p, body: taken.append((method.delivery_tag, body)))
        connection.sleep(0.5)
        assert [body for _, body in taken] == [b"0", b"1", b"2"]
        channel.basic_ack(taken[1][0], multiple=True)
        connection.sleep(0.5)
        assert [body for _, body in taken] == [b"0", b"1", b"2", b"3", b"4"]

    def test_consumers_take_turns(self, connection, channel):
        queue, taken = new_queue(channel), {"a": [], "b": []}
        for tag in taken:
            channel.basic_consume(queue, lambda _c, m, _p, body: taken[m.consumer_tag].append(body),
                                  auto_ack=True, consumer_tag=tag)
        for number in range(10):
            channel.basic_publish("", queue, b"%d" % number)
        connection.sleep(0.5)
        assert (len(taken["a"]), len(taken["b"])) == (5, 5)

    def test_unacknowledged_messages_come_back_in_order(self, gateway, channel):
        name = unique()
        channel.queue_declare(name)
        for number in range(3):
            channel.basic_publish("", name, b"%d" % number)
        other = connect(gateway.port("amqp"))
        collect(other, other.channel(), name, 3)
        other.close()
        bodies = [get(channel, name) for _ in range(3)]
        assert bodies == [b"0", b"1", b"2"]
        channel.queue_delete(name)

    def test_recover_redelivers(self, connection, channel):
        queue = new_queue(channel)
        channel.basic_publish("", queue, b"x")
        collect(connection, channel, queue, 1)
        channel.basic_recover(requeue=True)
        ((method, _, _),) = collect(connection, channel, queue, 1, auto_ack=True)
        assert method.redelivered

    def test_deleting_the_queue_cancels_the_consumer(self, connection, channel):
        name, cancelled = unique(), []
        channel.queue_declare(name)
        channel.add_on_cancel_callback(cancelled.append)
        channel.basic_consume(name, lambda *_: None)
        connection.channel().queue_delete(name)
        connection.sleep(0.5)
        assert len(cancelled) == 1

    def test_an_exclusive_consumer_is_alone(self, connection, channel):
        name = unique()
        channel.queue_declare(name, auto_delete=True)
        channel.basic_consume(name, lambda *_: None, exclusive=True)
        refused(403, f"ACCESS_REFUSED - queue '{name}' in vhost '/' in exclusive use",
                lambda: connection.channel().basic_consume(name, lambda *_: None))

    def test_an_unknown_delivery_tag_closes_the_channel(self, channel):
        channel.basic_ack(99)
        refused(406, "unknown delivery tag 99", lambda: channel.queue_declare("", exclusive=True))

    @pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 1_000_000, 10_000_000])
    def test_bodies_larger_than_a_frame(self, channel, size):
        queue, body = new_queue(channel), b"\xce" * size
        channel.basic_publish("", queue, body)
        assert get(channel, queue) == body


class TestPublish:
    def test_confirms_and_mandatory(self, channel):
        channel.confirm_delivery()
        queue = new_queue(channel)
        channel.basic_publish("", queue, b"x", mandatory=True)
        with pytest.raises(UnroutableError) as returned:
            channel.basic_publish("amq.direct", unique(), b"x", mandatory=True)
        (message,) = returned.value.messages
        assert (message.method.reply_code, message.method.reply_text) == (312, "NO_ROUTE")
        channel.basic_publish("amq.direct", unique(), b"x")

    def test_a_transaction_commits_or_rolls_back(self, channel):
        queue = new_queue(channel)
        channel.tx_select()
        channel.basic_publish("", queue, b"undone")
        channel.tx_rollback()
        channel.basic_publish("", queue, b"done")
        assert depth(channel, queue) == 0
        channel.tx_commit()
        assert get(channel, queue) == b"done"

    def test_a_foreign_user_id_is_refused(self, connection, channel):
        channel.basic_publish("amq.direct", "k", b"x", pika.BasicProperties(user_id="zed"))
        refused(406, "user_id property set to 'zed' but authenticated user was 'guest'",
                lambda: channel.queue_declare("", exclusive=True))

    def test_direct_reply_to(self, gateway, connection, channel):
        queue, answers = new_queue(channel), []
        channel.basic_consume("amq.rabbitmq.reply-to", lambda *delivery: answers.append(delivery), auto_ack=True)
        channel.basic_publish("", queue, b"ask", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        worker = connection.channel()
        wait_until(lambda: depth(worker, queue) == 1)
        _, properties, _ = worker.basic_get(queue, auto_ack=True)
        assert properties.reply_to.startswith("amq.rabbitmq.reply-to.")
        other = connect(gateway.port("amqp"))
        other.channel().basic_publish("", properties.reply_to, b"answer")
        connection.sleep(1)
        other.close()
        assert [answer[3] for answer in answers] == [b"answer"]


class TestQueueArguments:
    def test_queue_ttl_dead_letters_with_x_death(self, channel):
        dead = new_queue(channel)
        arguments = {"x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        queue = new_queue(channel, arguments=arguments)
        channel.basic_publish("", queue, b"x")
        wait_until(lambda: depth(channel, dead) == 1)
        _, properties, _ = channel.basic_get(dead, auto_ack=True)
        (death,) = properties.headers["x-death"]
        assert (death["queue"], death["reason"], death["count"], death["exchange"]) == (queue, "expired", 1, "")

    def test_reject_dead_letters(self, connection, channel):
        dead = new_queue(channel)
        queue = new_queue(channel, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        channel.basic_publish("", queue, b"x")
        ((method, _, _),) = collect(connection, channel, queue, 1)
        channel.basic_reject(method.delivery_tag, requeue=False)
        wait_until(lambda: depth(channel, dead) == 1)
        _, properties, _ = channel.basic_get(dead, auto_ack=True)
        assert properties.headers["x-first-death-reason"] == "rejected"

    def test_max_length_drops_the_head(self, channel):
        queue = new_queue(channel, arguments={"x-max-length": 2})
        for body in (b"1", b"2", b"3"):
            channel.basic_publish("", queue, body)
        assert [get(channel, queue), get(channel, queue)] == [b"2", b"3"]

    def test_reject_publish_nacks(self, channel):
        queue = new_queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"1")
        with pytest.raises(NackError):
            channel.basic_publish("", queue, b"2")

    def test_priorities(self, channel):
        queue = new_queue(channel, arguments={"x-max-priority": 5})
        for priority in (1, 5, 3, None):
            channel.basic_publish("", queue, repr(priority), pika.BasicProperties(priority=priority))
        wait_until(lambda: depth(channel, queue) == 4)
        assert [get(channel, queue) for _ in range(4)] == [b"5", b"3", b"1", b"None"]

    def test_a_single_active_consumer(self, connection, channel):
        queue, taken = new_queue(channel, arguments={"x-single-active-consumer": True}), []
        for tag in ("first", "second"):
            channel.basic_consume(queue, lambda _c, m, _p, _b: taken.append(m.consumer_tag),
                                  auto_ack=True, consumer_tag=tag)
        for _ in range(3):
            channel.basic_publish("", queue, b"x")
        connection.sleep(0.5)
        channel.basic_cancel("first")
        channel.basic_publish("", queue, b"x")
        connection.sleep(0.5)
        assert taken == ["first"] * 3 + ["second"]

    def test_an_unused_queue_expires(self, channel):
        name = unique()
        channel.queue_declare(name, arguments={"x-expires": 200})
        time.sleep(0.8)
        refused(404, "no queue", lambda: channel.queue_declare(name, passive=True))

    def test_a_quorum_queue_declares(self, channel):
        name = unique()
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery()
        channel.basic_publish("", name, b"x", pika.BasicProperties(delivery_mode=2))
        assert get(channel, name) == b"x"
        channel.queue_delete(name)

    def test_a_bad_argument_is_refused(self, channel):
        refused(406, "invalid arg 'x-message-ttl' for queue",
                lambda: channel.queue_declare(unique(), arguments={"x-message-ttl": -1}))


class TestRestart:
    def test_what_is_durable_survives_and_nothing_else_does(self, start_gateway):
        gateway = start_gateway(SHORT_DRAIN)
        connection = connect(gateway.port("amqp"))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare("kept-exchange", "direct", durable=True)
        channel.queue_declare("kept", durable=True)
        channel.queue_bind("kept", "kept-exchange", "k")
        channel.queue_declare("gone")
        for mode in (1, 2):
            channel.basic_publish("kept-exchange", "k", b"%d" % mode, pika.BasicProperties(delivery_mode=mode))
        gateway.stop()
        gateway.start()
        channel = connect(gateway.port("amqp")).channel()
        assert channel.basic_get("kept", auto_ack=True)[2] == b"2"
        channel.basic_publish("kept-exchange", "k", b"after")
        assert get(channel, "kept") == b"after"
        refused(404, "no queue", lambda: channel.queue_declare("gone", passive=True))

    def test_a_stop_tells_the_clients(self, start_gateway):
        gateway = start_gateway(SHORT_DRAIN)
        connection = connect(gateway.port("amqp"))
        gateway.stop()
        with pytest.raises(ConnectionClosedByBroker) as closed:
            connection.process_data_events(time_limit=5)
        assert closed.value.reply_code == 320
