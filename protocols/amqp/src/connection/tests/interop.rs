//! What other protocols' messages look like here, and ours to them: the rules of the conversion
//! page by their ids.

use routing::{
    Address, KeyForm, Message, MessageBuilder, Origin, Properties, Publisher, QoS, ReplyTo, Table,
    reply::topic_of_queue,
};

use super::*;
use crate::wire::properties::Properties as WireProperties;
use crate::wire::properties::Property;

/// Another protocol, whose property bytes this test decodes by their first byte.
static OTHER: Origin = Origin {
    tag: 9,
    name: "other",
    decode,
};

fn decode(raw: &Bytes) -> Properties {
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let mut neutral = Properties::default();
    match raw.first() {
        Some(1) => {
            neutral.content_type = text("text/plain");
            neutral.correlation_id = text("id");
            neutral.priority = Some(3);
            neutral.message_id = text("m");
            neutral.timestamp = Some(5);
            neutral
                .headers
                .push("a", routing::Value::Text(Bytes::from_static(b"1")));
            let texts = ["x", "y"].map(|t| routing::Value::Text(Bytes::from_static(t.as_bytes())));
            neutral
                .headers
                .push("b", routing::Value::Array(texts.to_vec()));
        }
        Some(2) => {
            neutral.correlation_id = Some(Bytes::from_static(b"\xff"));
            neutral.reply_to = Some(ReplyTo::Address(Bytes::from_static(b"a/b.c")));
        }
        _ => {}
    }
    neutral
}

fn message(
    topic: &str,
    raw: &'static [u8],
    change: impl FnOnce(&mut MessageBuilder),
) -> Arc<Message> {
    let address = Address::new(Bytes::copy_from_slice(topic.as_bytes()));
    let payload = Bytes::from_static(b"body");
    let mut builder = MessageBuilder::new(address, "amq.topic".into(), payload, &OTHER);
    builder.raw_properties = Bytes::from_static(raw);
    change(&mut builder);
    builder.build()
}

/// Publishes on the bus as another protocol does; gives what a consumer of everything there
/// receives.
fn received(message: &Arc<Message>) -> Vec<u8> {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    let bind = Args::default()
        .u16(0)
        .short("q")
        .short("amq.topic")
        .short("#")
        .u8(0)
        .long([]);
    client.send(&method(MethodId::QUEUE_BIND, bind));
    client.send(&consume("q", "t", 2));
    let mut publisher = Publisher::new(Arc::clone(broker.vhost("/").unwrap()));
    let topic = message.address.as_bytes().clone();
    let to = publisher
        .resolve(b"amq.topic", &topic, KeyForm::Canonical)
        .unwrap();
    publisher.publish(NOW, &to, message);
    client.receive()
}

fn expected(key: &str, properties: &[u8]) -> Vec<u8> {
    let redelivered = Redelivered::No;
    Delivered {
        tag: 1,
        redelivered,
        exchange: "amq.topic",
        key,
        properties,
        body: b"body",
    }
    .bytes()
}

#[test]
fn c_address_1_and_c_qos_1() {
    let message = message("plant/v1.2/x", b"", |_| {});
    assert_eq!(received(&message), expected("plant.v1/2.x", &[0x10, 0, 1]));
    let persistent = self::message("a", b"", |builder| builder.qos = QoS::ExactlyOnce);
    assert_eq!(received(&persistent), expected("a", &[0x10, 0, 2]));
}

#[test]
fn c_address_6_cuts_a_long_key_between_characters() {
    let topic = format!("{}é/rest", "x".repeat(254));
    let headers = table(&[("x-topic", Value::LongString(topic.as_bytes()))]);
    let inside = headers.table().as_bytes();
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let properties = [&[0x30, 0][..], &len, inside, &[1]].concat();
    let message = message(&topic, b"", |_| {});
    assert_eq!(received(&message), expected(&"x".repeat(254), &properties));
}

#[test]
fn c_headers_1_and_2_c_content_type_c_correlation_1_c_properties_1() {
    let properties = b"\xbc\xc0\x0atext/plain\
        \0\0\0\x1b\x01aS\0\0\0\x011\x01bA\0\0\0\x0cS\0\0\0\x01xS\0\0\0\x01y\
        \x01\x03\x02id\x01m\0\0\0\0\0\0\0\x05";
    assert_eq!(
        received(&message("a", b"\x01", |_| {})),
        expected("a", properties)
    );
}

#[test]
fn c_correlation_2_and_c_reply_3() {
    let headers = table(&[
        ("x-correlation-id", Value::Binary(b"\xff")),
        ("x-reply-to-topic", Value::LongString(b"a.b/c")),
    ]);
    let inside = headers.table().as_bytes();
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let properties = [&[0x32, 0][..], &len, inside, b"\x01\x0c$topic/a/b.c"].concat();
    assert_eq!(
        received(&message("a", b"\x02", |_| {})),
        expected("a", &properties)
    );
}

#[test]
fn c_expiry_3_tells_the_time_left() {
    let message = message("a", b"", |builder| {
        builder.expires_at = Some(NOW.plus_ms(1500));
    });
    assert_eq!(received(&message), expected("a", b"\x11\0\x01\x041500"));
}

#[test]
fn c_retain_1_and_2() {
    let broker = broker();
    let mut client = Client::open(&broker);
    let headers = table(&[("x-mqtt-retain", Value::I8(1))]);
    let inside = headers.table().as_bytes();
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let properties = [&[0x20, 0][..], &len, inside].concat();
    client.send(&publish_to(
        ("amq.topic", "plant.temp"),
        0,
        &properties,
        b"21",
    ));
    client.send(&publish_to(("amq.fanout", "other"), 0, &properties, b"21"));
    let vhost = broker.vhost("/").unwrap();
    let filter = routing::TopicFilter::parse(Bytes::from_static(b"plant/#")).unwrap();
    let retained = vhost.retained(&filter).next(NOW).unwrap();
    assert_eq!(
        (&retained.payload[..], vhost.retained_count()),
        (&b"21"[..], 1)
    );
    let other = message("a", b"", |builder| builder.retain = true);
    let inside = b"\x0dx-mqtt-retaint\x01";
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let properties = [&[0x30, 0][..], &len, inside, &[1]].concat();
    assert_eq!(received(&other), expected("a", &properties));
}

#[test]
fn c_reply_2_and_4_lead_across() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&consume("q", "t", 2));
    let mut publisher = Publisher::new(Arc::clone(broker.vhost("/").unwrap()));
    let topic = topic_of_queue(b"q");
    let to = publisher
        .resolve(b"amq.topic", &topic, KeyForm::Canonical)
        .unwrap();
    let payload = Bytes::from_static(b"answer");
    let answer = MessageBuilder::new(
        to.address.clone(),
        to.exchange.name.clone(),
        payload,
        &OTHER,
    )
    .build();
    publisher.publish(NOW, &to, &answer);
    let redelivered = Redelivered::No;
    let properties: &[u8] = &[0x10, 0, 1];
    let expected = Delivered {
        tag: 1,
        redelivered,
        exchange: "",
        key: "q",
        properties,
        body: b"answer",
    };
    assert_eq!(client.receive(), expected.bytes());
    let bind = Args::default()
        .u16(0)
        .short("q")
        .short("amq.topic")
        .short("a.*")
        .u8(0)
        .long([]);
    client.send(&method(MethodId::QUEUE_BIND, bind));
    let said = client.send(&publish_to(("", "$topic/a/b"), 0, PLAIN, b"x"));
    let expected = Delivered {
        tag: 2,
        redelivered,
        exchange: "amq.topic",
        key: "a.b",
        properties: PLAIN,
        body: b"x",
    };
    assert_eq!(said, expected.bytes());
}

#[test]
fn other_protocols_read_all_properties() {
    let inner = table(&[("deep", Value::U16(7))]);
    let headers = table(&[
        ("t", Value::Table(inner.table())),
        (
            "x",
            Value::Decimal {
                scale: 2,
                unscaled: 1250,
            },
        ),
    ]);
    let inside = headers.table().as_bytes();
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let raw = [
        &[0xFF, 0xFC][..],
        b"\x02ct\x02ce",
        &len,
        inside,
        b"\x02\x09\x02ci\x02rt\x0210\x02mi\0\0\0\0\0\0\0\x05\x02ty\x02ui\x02ai\x02cl",
    ]
    .concat();
    assert!(WireProperties::new(&raw).unwrap().has(Property::ClusterId));
    let neutral = (ORIGIN.decode)(&Bytes::from(raw));
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let deep = Table(vec![(Bytes::from_static(b"deep"), routing::Value::U16(7))]);
    let expected = Properties {
        content_type: text("ct"),
        content_encoding: text("ce"),
        correlation_id: text("ci"),
        reply_to: Some(ReplyTo::Queue(Bytes::from_static(b"rt"))),
        message_id: text("mi"),
        timestamp: Some(5),
        message_type: text("ty"),
        user_id: text("ui"),
        app_id: text("ai"),
        payload_format: None,
        priority: Some(9),
        expiration_ms: Some(10),
        copies: Vec::new(),
        headers: Table(vec![
            (Bytes::from_static(b"t"), routing::Value::Table(deep)),
            (
                Bytes::from_static(b"x"),
                routing::Value::Decimal {
                    scale: 2,
                    value: 1250,
                },
            ),
        ]),
    };
    assert_eq!(neutral, expected);
}
