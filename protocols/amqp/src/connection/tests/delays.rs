//! The delayed exchange as an AMQP client sees it, byte for byte.

use super::*;
use crate::wire::properties::{PropertiesBuf, Property, PropertyValue};
use crate::wire::replies::ExchangeReply;

fn headers(entries: &[(&str, Value<'_>)]) -> Vec<u8> {
    let inside = table(entries);
    let mut properties = PropertiesBuf::new();
    let inside = inside.table().as_bytes();
    properties.push(Property::Headers, PropertyValue::Table(inside));
    properties.finish()
}

fn declare_exchange(kind: &str, arguments: &TableBuf) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short("x")
        .short(kind)
        .u8(0)
        .long(arguments.table().as_bytes());
    method(MethodId::EXCHANGE_DECLARE, args)
}

#[test]
fn a_delayed_message_arrives_late_and_says_so() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    let arguments = table(&[("x-delayed-type", Value::LongString(b"fanout"))]);
    let declared = reply(Reply::Exchange(ExchangeReply::DeclareOk));
    let declare = declare_exchange("x-delayed-message", &arguments);
    assert_eq!(client.send(&declare), declared);
    let bind = Args::default()
        .u16(0)
        .short("q")
        .short("x")
        .short("")
        .u8(0)
        .long([]);
    client.send(&method(MethodId::QUEUE_BIND, bind));
    client.send(&consume("q", "t", 0));
    let sent = headers(&[("x-delay", Value::I32(500)), ("kept", Value::U8(1))]);
    // Mandatory: it is not returned, as it has not failed to arrive.
    assert_eq!(client.send(&publish_to(("x", "k"), 1, &sent, b"late")), b"");
    broker.handle_timeout(NOW.plus_ms(499));
    assert_eq!(client.receive(), b"");
    broker.handle_timeout(NOW.plus_ms(500));
    let delivered = Delivered {
        tag: 1,
        redelivered: Redelivered::No,
        exchange: "x",
        key: "k",
        properties: &headers(&[("x-delay", Value::I64(-500)), ("kept", Value::U8(1))]),
        body: b"late",
    };
    assert_eq!(client.receive(), delivered.bytes());
    // Without a delay, and with a negative one, it arrives at once.
    let sent = headers(&[("x-delay", Value::I64(-500))]);
    let arrived = client.send(&publish_to(("x", "k"), 0, &sent, b"now"));
    assert!(arrived.ends_with(b"now\xce"));
}

#[test]
fn a_delayed_exchange_without_a_type_is_refused_in_the_plugins_words() {
    let mut client = Client::open(&broker());
    assert_eq!(
        client.send(&declare_exchange("x-delayed-message", &TableBuf::new())),
        channel_closed(
            406,
            "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing \
             exchange type",
            MethodId::EXCHANGE_DECLARE
        )
    );
}
