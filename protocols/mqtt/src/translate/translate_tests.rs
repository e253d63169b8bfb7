//! Each conversion rule that has MQTT on one side, by its id.

use bytes::Bytes;
use proptest::prelude::*;
use routing::{Properties as Neutral, ReplyTo, Table, Value};

use super::*;
use crate::wire::hex::hex;
use crate::wire::property::Place;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn text(value: &'static str) -> Value {
    Value::Text(bytes(value))
}

/// A block with these user properties.
fn users(pairs: &[(&str, &str)]) -> Bytes {
    let mut block = Vec::new();
    for (name, value) in pairs {
        Property::UserProperty(name, value).write(&mut block);
    }
    block.into()
}

/// The headers that AMQP reads of a message with these user properties.
fn headers(pairs: &[(&str, &str)]) -> Vec<(Bytes, Value)> {
    (ORIGIN.decode)(&users(pairs)).headers.0
}

/// What a 5.0 client reads of a message with these properties.
fn shown(neutral: &Neutral) -> Vec<String> {
    let block = outbound::encode(neutral);
    let properties = Properties::from_block(block.into(), Place::Publish).unwrap();
    properties
        .iter()
        .map(|property| match property {
            Property::UserProperty(name, value) => format!("{name}={value}"),
            Property::ContentType(text) => format!("content type {text}"),
            Property::ResponseTopic(topic) => format!("response topic {topic}"),
            Property::CorrelationData(data) => format!("correlation {data:02x?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn with_headers(headers: Vec<(&'static str, Value)>) -> Neutral {
    let table = headers
        .into_iter()
        .map(|(name, value)| (bytes(name), value))
        .collect();
    Neutral {
        headers: Table(table),
        ..Neutral::default()
    }
}

#[test]
fn user_properties_become_headers_in_order_c_headers_1() {
    let expected = vec![(bytes("b"), text("2")), (bytes("a"), text(""))];
    assert_eq!(headers(&[("b", "2"), ("a", "")]), expected);
}

#[test]
fn a_repeated_name_becomes_an_array_c_headers_2() {
    let repeated = headers(&[("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")]);
    let array = Value::Array(vec![text("1"), text("3"), text("1")]);
    assert_eq!(repeated, vec![(bytes("a"), array), (bytes("b"), text("2"))]);
}

#[test]
fn a_name_that_amqp_cannot_say_is_left_out_c_headers_7() {
    let (fits, too_long) = ("n".repeat(255), "n".repeat(256));
    assert_eq!(headers(&[(&too_long, "x"), (&fits, "y")]).len(), 1);
}

#[test]
fn headers_become_user_properties_in_order_c_headers_3() {
    let neutral = with_headers(vec![
        ("s", text("text")),
        ("b", Value::Bool(false)),
        ("n", Value::I32(-5)),
        ("f", Value::F64(2.0)),
        (
            "d",
            Value::Decimal {
                scale: 2,
                value: 1250,
            },
        ),
        ("t", Value::Timestamp(1_700_000_000)),
        ("v", Value::Void),
    ]);
    let expected = [
        "s=text",
        "b=false",
        "n=-5",
        "f=2.0",
        "d=12.50",
        "t=1700000000",
        "v=",
    ];
    assert_eq!(shown(&neutral), expected);
}

#[test]
fn arrays_are_taken_apart_and_nested_values_become_json_c_headers_4() {
    let inner = Table(vec![(bytes("k"), text("v")), (bytes("n"), Value::U8(1))]);
    let neutral = with_headers(vec![
        (
            "a",
            Value::Array(vec![
                text("1"),
                Value::I8(2),
                Value::Array(vec![Value::Bool(true)]),
            ]),
        ),
        ("e", Value::Array(vec![])),
        ("t", Value::Table(inner)),
    ]);
    assert_eq!(
        shown(&neutral),
        ["a=1", "a=2", "a=[true]", r#"t={"k":"v","n":1}"#]
    );
}

#[test]
fn bytes_become_base64_and_controls_spaces_c_headers_5() {
    let neutral = with_headers(vec![
        ("x", Value::Binary(Bytes::from_static(&[0, 255]))),
        ("y", Value::Text(Bytes::from_static(&[0xFF]))),
        ("z", text("a\nb")),
    ]);
    assert_eq!(shown(&neutral), ["x=AP8=", "y=/w==", "z=a b"]);
}

#[test]
fn headers_with_a_rule_of_their_own_are_left_out_c_headers_7() {
    let neutral = with_headers(vec![
        ("x-mqtt-retain", Value::Bool(true)),
        ("x-topic", text("t")),
        ("BCC", Value::Array(vec![text("q")])),
        ("CC", Value::Array(vec![text("q")])),
        ("a\tb", text("control in the name")),
    ]);
    assert_eq!(shown(&neutral), ["CC=q"]);
    let too_long = Value::Text(Bytes::from(vec![b'x'; 65_536]));
    assert_eq!(
        shown(&with_headers(vec![("long", too_long)])),
        Vec::<String>::new()
    );
}

#[test]
fn content_type_has_two_places_c_content_type() {
    let decoded = (ORIGIN.decode)(&hex("03 00 04 'text'").into());
    assert_eq!(decoded.content_type, Some(bytes("text")));
    assert_eq!(shown(&decoded), ["content type text"]);
    assert_eq!(
        shown(&with_headers(vec![("x-content-type", text("t"))])),
        ["content type t"]
    );
}

#[test]
fn the_payload_format_goes_along_c_payload_format() {
    assert_eq!(
        (ORIGIN.decode)(&hex("01 01").into()).payload_format,
        Some(1)
    );
}

#[test]
fn correlation_data_is_any_bytes_c_correlation_1_and_2() {
    let decoded = (ORIGIN.decode)(&hex("09 00 02 FF 00").into());
    assert_eq!(decoded.correlation_id, Some(Bytes::from_static(&[0xFF, 0])));
    assert_eq!(shown(&decoded), ["correlation [ff, 00]"]);
    for header in [Value::Binary(bytes("c")), text("c")] {
        let neutral = with_headers(vec![("x-correlation-id", header)]);
        assert_eq!(shown(&neutral), ["correlation [63]"]);
    }
}

#[test]
fn reply_addresses_are_translated_c_reply_1_3_and_5() {
    let decoded = |topic: &str| {
        let mut block = Vec::new();
        Property::ResponseTopic(topic).write(&mut block);
        (ORIGIN.decode)(&block.into()).reply_to
    };
    assert_eq!(decoded("a/b"), Some(ReplyTo::Address(bytes("a/b"))));
    assert_eq!(
        decoded("$reply/my%20queue"),
        Some(ReplyTo::Queue(bytes("my queue")))
    );
    let shown_for = |reply_to| {
        shown(&Neutral {
            reply_to: Some(reply_to),
            ..Neutral::default()
        })
    };
    let queue = |name: &'static str| ReplyTo::Queue(bytes(name));
    assert_eq!(
        shown_for(queue("my queue")),
        ["response topic $reply/my%20queue"]
    );
    assert_eq!(shown_for(queue("$topic/a/b")), ["response topic a/b"]);
    assert_eq!(
        shown_for(ReplyTo::Address(bytes("a/b"))),
        ["response topic a/b"]
    );
    let by_header = with_headers(vec![("x-reply-to-topic", text("a.b"))]);
    assert_eq!(shown(&by_header), ["response topic a/b"]);
    // A topic with a wildcard would make the receiver close the connection.
    assert_eq!(shown_for(queue("$topic/a/#")), Vec::<String>::new());
}

#[test]
fn amqp_properties_come_before_headers_c_properties_1() {
    let neutral = Neutral {
        content_encoding: Some(bytes("gzip")),
        priority: Some(5),
        message_id: Some(bytes("m")),
        timestamp: Some(7),
        message_type: Some(bytes("t")),
        user_id: Some(bytes("u")),
        app_id: Some(bytes("a")),
        ..with_headers(vec![("h", text("x"))])
    };
    let expected = [
        "content-encoding=gzip",
        "priority=5",
        "message-id=m",
        "timestamp=7",
        "type=t",
        "user-id=u",
        "app-id=a",
        "h=x",
    ];
    assert_eq!(shown(&neutral), expected);
}

#[test]
fn user_properties_of_those_names_become_properties_c_properties_2() {
    let pairs = [
        ("content-encoding", "gzip"),
        ("priority", "5"),
        ("message-id", "m"),
        ("timestamp", "7"),
        ("type", "t"),
        ("app-id", "a"),
    ];
    let neutral = (ORIGIN.decode)(&users(&pairs));
    assert!(neutral.headers.is_empty());
    assert_eq!((neutral.priority, neutral.timestamp), (Some(5), Some(7)));
    assert_eq!(neutral.content_encoding, Some(bytes("gzip")));
    assert_eq!(
        (neutral.message_id, neutral.message_type),
        (Some(bytes("m")), Some(bytes("t")))
    );
    assert_eq!(neutral.app_id, Some(bytes("a")));
}

#[test]
fn what_does_not_fit_a_property_stays_a_header_c_properties_2() {
    let long = "x".repeat(256);
    let pairs = [
        ("priority", "256"),
        ("priority", "1"),
        ("timestamp", "+7"),
        ("message-id", long.as_str()),
        ("type", ""),
    ];
    let neutral = (ORIGIN.decode)(&users(&pairs));
    assert_eq!(
        (neutral.priority, neutral.timestamp, &neutral.message_id),
        (None, None, &None)
    );
    assert_eq!(neutral.message_type, Some(Bytes::new()));
    let names: Vec<_> = neutral
        .headers
        .0
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(
        names,
        [bytes("priority"), bytes("timestamp"), bytes("message-id")]
    );
}

#[test]
fn a_user_id_is_vouched_for_or_a_header_c_properties_3() {
    let block = users(&[("user-id", "alice")]);
    assert_eq!((ORIGIN.decode)(&block).user_id, None);
    assert_eq!(
        (ORIGIN.decode)(&block).headers.0,
        [(bytes("user-id"), text("alice"))]
    );
    assert_eq!(
        (VOUCHED_ORIGIN.decode)(&block).user_id,
        Some(bytes("alice"))
    );
    assert!((VOUCHED_ORIGIN.decode)(&block).headers.is_empty());
}

/// The builder of a message with this block, published by alice.
fn built(block: Bytes) -> MessageBuilder {
    let properties = Properties::from_block(block, Place::PublishToServer).unwrap();
    let address = routing::Address::new(bytes("t"));
    let mut builder = MessageBuilder::new(address, "amq.topic".into(), Bytes::new(), &ORIGIN);
    put_properties(
        Timestamp(1000),
        &properties,
        Some(&"alice".into()),
        &mut builder,
    );
    builder
}

#[test]
fn the_origin_says_whether_the_user_id_is_the_publishers() {
    assert_eq!(
        built(users(&[("user-id", "alice")])).origin.tag,
        VOUCHED_ORIGIN.tag
    );
    assert_eq!(built(users(&[("user-id", "bob")])).origin.tag, ORIGIN.tag);
    let twice = built(users(&[("user-id", "alice"), ("user-id", "bob")]));
    assert_eq!(twice.origin.tag, ORIGIN.tag);
}

#[test]
fn priority_and_expiry_are_known_to_the_core() {
    assert_eq!(built(users(&[("priority", "9")])).priority, 9);
    assert_eq!(built(users(&[("priority", "high")])).priority, 0);
    let expiring = built(hex("02 00 00 00 3C").into());
    assert_eq!(expiring.expires_at, Some(Timestamp(61_000)));
}

#[test]
fn what_holds_for_one_hop_is_not_kept() {
    let block = "23 00 01 26 00 01 'n' 00 00 02 00 00 00 3C 01 01";
    assert_eq!(
        built(hex(block).into()).raw_properties,
        hex("26 00 01 'n' 00 00 01 01")
    );
    let lasting = Bytes::from(hex("01 01 26 00 01 'n' 00 00"));
    let kept = built(lasting.clone()).raw_properties;
    assert_eq!(
        (kept.as_ptr(), kept.len()),
        (lasting.as_ptr(), lasting.len())
    );
}

#[test]
fn a_cloud_event_loses_its_prefix_c_cloudevents_1() {
    for prefix in ["cloudEvents:", "cloudEvents_"] {
        let name = |attribute: &str| Bytes::from(format!("{prefix}{attribute}"));
        let neutral = Neutral {
            message_type: Some(bytes("left out")),
            app_id: Some(bytes("kept")),
            headers: Table(vec![
                (name("specversion"), text("1.0")),
                (bytes("id"), text("left out")),
                (name("id"), text("7")),
                (name("type"), text("t")),
                (bytes("other"), text("x")),
            ]),
            ..Neutral::default()
        };
        let expected = [
            "app-id=kept",
            "specversion=1.0",
            "id=7",
            "type=t",
            "other=x",
        ];
        assert_eq!(shown(&neutral), expected);
    }
    let no_event = with_headers(vec![("cloudEvents:id", text("7"))]);
    assert_eq!(shown(&no_event), ["cloudEvents:id=7"]);
}

#[test]
fn a_cloud_event_gets_its_prefix_c_cloudevents_2() {
    let event = [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "/s"),
        ("type", "t"),
        ("app-id", "a"),
    ];
    let neutral = (ORIGIN.decode)(&users(&event));
    let names: Vec<_> = neutral
        .headers
        .0
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let expected = [
        "cloudEvents:specversion",
        "cloudEvents:id",
        "cloudEvents:source",
        "cloudEvents:type",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (neutral.message_type, neutral.app_id),
        (None, Some(bytes("a")))
    );
    let not_once = (ORIGIN.decode)(&users(&[&event[..], &[("id", "8")]].concat()));
    assert_eq!(not_once.message_type, Some(bytes("t")));
}

#[test]
fn seconds_left_are_rounded_up_c_expiry_2() {
    let mut builder = built(Bytes::new());
    builder.expires_at = Some(Timestamp(10_000));
    let message = builder.build();
    for (now, secs) in [(0, 10), (1, 10), (9_000, 1), (9_001, 1), (9_999, 1)] {
        assert_eq!(
            expiry_secs_left(&message, Timestamp(now)),
            Some(secs),
            "{now}"
        );
    }
}

proptest! {
    #[test]
    fn any_neutral_properties_make_a_sound_block(
        names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..5),
        value in prop::collection::vec(any::<u8>(), 0..20),
        reply in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let value = Bytes::from(value);
        let values = [Value::Text(value.clone()), Value::Binary(value.clone())];
        let table = names.into_iter().enumerate().map(|(index, name)| {
            (Bytes::from(name), values[index % 2].clone())
        });
        let neutral = Neutral {
            content_type: Some(value.clone()),
            message_id: Some(value.clone()),
            correlation_id: Some(value),
            reply_to: Some(ReplyTo::Queue(reply.into())),
            headers: Table(table.collect()),
            ..Neutral::default()
        };
        let block = outbound::encode(&neutral);
        // Noncharacters may stand in a string, though this codec refuses them from clients.
        let is_strange = String::from_utf8_lossy(&block).chars().any(|c| {
            u32::from(c) & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&u32::from(c))
        });
        prop_assert!(is_strange || Properties::from_block(block.into(), Place::Publish).is_ok());
    }

    #[test]
    fn user_properties_that_are_unique_come_back_untouched(
        pairs in prop::collection::btree_map("[A-Zé]{1,5}", "[a-zé ]{0,9}", 0..6),
    ) {
        let mut block = Vec::new();
        for (name, value) in &pairs {
            Property::UserProperty(name, value).write(&mut block);
        }
        let neutral = (ORIGIN.decode)(&Bytes::from(block.clone()));
        prop_assert_eq!(outbound::encode(&neutral), block);
    }
}
