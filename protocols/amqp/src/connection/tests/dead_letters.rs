//! Dead letters and returned messages as an AMQP client sees them, byte for byte.

use routing::{Address, MessageBuilder, QoS};

use super::*;
use crate::wire::properties::{PropertiesBuf, Property, PropertyValue};
use crate::wire::replies::{BasicReply, QueueReply};
use crate::wire::table::{ArrayBuf, FieldTable};

const DURABLE: u8 = 2;

static OTHER: routing::Origin = routing::Origin {
    tag: 9,
    name: "other",
    decode: |_| routing::Properties::default(),
};

fn text(text: &str) -> Value<'_> {
    Value::LongString(text.as_bytes())
}

fn keys(keys: &[&str]) -> ArrayBuf {
    let mut array = ArrayBuf::new();
    keys.iter().for_each(|key| array.push(text(key)));
    array
}

fn headers(table: FieldTable<'_>) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    properties.push(Property::Headers, PropertyValue::Table(table.as_bytes()));
    properties.finish()
}

/// `x-death` and its companions for one death of a message published to the default exchange.
fn push_death(table: &mut TableBuf, reason: &str, death: &TableBuf) {
    let mut deaths = ArrayBuf::new();
    deaths.push(Value::Table(death.table()));
    for (name, value) in [
        ("x-death", Value::Array(deaths.array())),
        ("x-first-death-exchange", text("")),
        ("x-first-death-queue", text("q")),
        ("x-first-death-reason", text(reason)),
        ("x-last-death-exchange", text("")),
        ("x-last-death-queue", text("q")),
        ("x-last-death-reason", text(reason)),
    ] {
        table.push(name.as_bytes(), value).unwrap();
    }
}

/// A client with queue `dead`, which it consumes, and queue `q`, whose dead letters go there.
fn with_dead_letters(broker: &Arc<Broker>, more: &[(&str, Value<'_>)]) -> Client {
    let mut client = Client::open(broker);
    client.send(&declare("dead", 0, &TableBuf::new()));
    let mut arguments = table(more);
    arguments.push(b"x-dead-letter-exchange", text("")).unwrap();
    arguments
        .push(b"x-dead-letter-routing-key", text("dead"))
        .unwrap();
    client.send(&declare("q", 0, &arguments));
    client.send(&consume("dead", "t", 0));
    client
}

fn died(properties: &[u8]) -> Vec<u8> {
    Delivered {
        tag: 1,
        redelivered: Redelivered::No,
        exchange: "",
        key: "dead",
        properties,
        body: b"x",
    }
    .bytes()
}

fn get(queue: &str) -> Vec<u8> {
    let args = Args::default().u16(0).short(queue).u8(0);
    method(MethodId::BASIC_GET, args)
}

fn reject(tag: u64, requeue: u8) -> Vec<u8> {
    method(MethodId::BASIC_REJECT, Args::default().u64(tag).u8(requeue))
}

#[test]
fn an_expired_message_says_what_it_died_of_and_forgets_what_its_client_claimed() {
    let broker = broker();
    let mut client = with_dead_letters(&broker, &[]);
    let cc = keys(&["other"]);
    let sent = table(&[
        ("x-death", text("never")),
        ("CC", Value::Array(cc.array())),
        ("kept", Value::U8(1)),
    ]);
    let mut properties = PropertiesBuf::new();
    let inside = sent.table().as_bytes();
    properties.push(Property::Headers, PropertyValue::Table(inside));
    properties.push(Property::Expiration, PropertyValue::ShortString(b"50"));
    properties.push(Property::AppId, PropertyValue::ShortString(b"a"));
    client.send(&publish_to(("", "q"), 0, &properties.finish(), b"x"));
    broker.handle_timeout(NOW.plus_ms(50));

    let routing_keys = keys(&["q", "other"]);
    let death = table(&[
        ("original-expiration", text("50")),
        ("count", Value::I64(1)),
        ("reason", text("expired")),
        ("queue", text("q")),
        ("time", Value::Timestamp(1_000)),
        ("exchange", text("")),
        ("routing-keys", Value::Array(routing_keys.array())),
    ]);
    let mut expected = table(&[("kept", Value::U8(1))]);
    push_death(&mut expected, "expired", &death);
    let mut properties = PropertiesBuf::new();
    let inside = expected.table().as_bytes();
    properties.push(Property::Headers, PropertyValue::Table(inside));
    properties.push(Property::AppId, PropertyValue::ShortString(b"a"));
    assert_eq!(client.receive(), died(&properties.finish()));
}

#[test]
fn a_rejected_message_of_another_protocol_has_the_headers_too() {
    let broker = broker();
    let mut client = with_dead_letters(&broker, &[]);
    let vhost = Arc::clone(broker.vhost("/").unwrap());
    let mut publisher = routing::Publisher::new(Arc::clone(&vhost));
    let key = Bytes::from_static(b"q");
    let to = publisher
        .resolve(b"", &key, routing::KeyForm::RoutingKey)
        .unwrap();
    let address = Address::from_routing_key(&key);
    let mut builder = MessageBuilder::new(address, "".into(), Bytes::from_static(b"x"), &OTHER);
    builder.qos = QoS::AtMostOnce;
    assert_eq!(publisher.publish(NOW, &to, &builder.build()).receivers, 1);
    client.send(&get("q"));

    let routing_keys = keys(&["q"]);
    let death = table(&[
        ("count", Value::I64(1)),
        ("reason", text("rejected")),
        ("queue", text("q")),
        ("time", Value::Timestamp(1_000)),
        ("exchange", text("")),
        ("routing-keys", Value::Array(routing_keys.array())),
    ]);
    let mut expected = TableBuf::new();
    push_death(&mut expected, "rejected", &death);
    let mut properties = PropertiesBuf::new();
    let inside = expected.table().as_bytes();
    properties.push(Property::Headers, PropertyValue::Table(inside));
    properties.push(Property::DeliveryMode, PropertyValue::Octet(1));
    let expected = Delivered {
        tag: 2,
        redelivered: Redelivered::No,
        exchange: "",
        key: "dead",
        properties: &properties.finish(),
        body: b"x",
    };
    assert_eq!(client.send(&reject(1, 0)), expected.bytes());
}

#[test]
fn a_dead_letter_with_its_own_key_goes_to_the_copies_too() {
    let mut client = Client::open(&broker());
    let arguments = table(&[("x-dead-letter-exchange", text("amq.direct"))]);
    client.send(&declare("q", 0, &arguments));
    for (queue, key) in [("one", "q"), ("two", "other")] {
        client.send(&declare(queue, 0, &TableBuf::new()));
        let bind = Args::default().u16(0).short(queue).short("amq.direct");
        let bind = bind.short(key).u8(0).long([]);
        client.send(&method(MethodId::QUEUE_BIND, bind));
    }
    let cc = keys(&["other"]);
    let sent = table(&[("CC", Value::Array(cc.array()))]);
    client.send(&publish_to(("", "q"), 0, &headers(sent.table()), b"x"));
    client.send(&get("q"));
    client.send(&reject(1, 0));
    for queue in ["one", "two"] {
        let purge = Args::default().u16(0).short(queue).u8(0);
        let purged = client.send(&method(MethodId::QUEUE_PURGE, purge));
        let one = QueueReply::PurgeOk { message_count: 1 };
        assert_eq!(purged, reply(Reply::Queue(one)), "{queue}");
    }
}

#[test]
fn a_quorum_queue_counts_deliveries_from_the_second_on() {
    let mut client = Client::open(&broker());
    let quorum = table(&[("x-queue-type", text("quorum"))]);
    client.send(&declare("q", DURABLE, &quorum));
    client.send(&publish(b"x"));
    let first = client.send(&consume("q", "t", 0));
    let ok = BasicReply::ConsumeOk { consumer_tag: "t" };
    assert_eq!(
        first,
        [reply(Reply::Basic(ok)), delivered(1, b"x")].concat()
    );
    let count = table(&[
        ("x-acquired-count", Value::I64(1)),
        ("x-delivery-count", Value::I64(1)),
    ]);
    let again = Delivered {
        tag: 2,
        redelivered: Redelivered::Yes,
        exchange: "",
        key: "q",
        properties: &headers(count.table()),
        body: b"x",
    };
    assert_eq!(client.send(&reject(1, 1)), again.bytes());
}

#[test]
fn a_quorum_queue_with_a_single_active_consumer_has_no_get() {
    let mut client = Client::open(&broker());
    let quorum = ("x-queue-type", text("quorum"));
    let single = ("x-single-active-consumer", Value::Bool(true));
    client.send(&declare("q", DURABLE, &table(&[quorum, single])));
    let refused = "RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. \
                   basic.get operations are not supported by quorum queues with single active \
                   consumer";
    assert_eq!(
        client.send(&get("q")),
        channel_closed(405, refused, MethodId::BASIC_GET)
    );
}

#[test]
fn arguments_that_cannot_be_are_refused_in_rabbitmqs_words() {
    let refused = |bits, arguments: &[(&str, Value<'_>)]| {
        Client::open(&broker()).send(&declare("bt", bits, &table(arguments)))
    };
    let declare = MethodId::QUEUE_DECLARE;
    assert_eq!(
        refused(0, &[("x-message-ttl", Value::I32(-1))]),
        channel_closed(
            406,
            "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'bt' in vhost '/': \
             {value_negative,-1}",
            declare
        )
    );
    let quorum = ("x-queue-type", text("quorum"));
    assert_eq!(
        refused(DURABLE, &[quorum, ("x-max-priority", Value::I32(1))]),
        channel_closed(
            406,
            "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'bt' in vhost '/' of \
             queue type rabbit_quorum_queue",
            declare
        )
    );
    assert_eq!(
        refused(0, &[quorum]),
        channel_closed(
            406,
            "PRECONDITION_FAILED - invalid property 'non-durable' for queue 'bt' in vhost '/'",
            declare
        )
    );
    assert_eq!(
        refused(DURABLE, &[("x-queue-type", text("stream"))]),
        connection_closed(540, "NOT_IMPLEMENTED - queue type stream", declare)
    );
}
