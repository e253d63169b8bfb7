//! Bytes of PUBLISH, and that reading one costs no allocation.

use std::hint::black_box;

use bytes::BytesMut;

use super::super::hex::hex;
use super::super::{ReasonCode, SizeLimits, decode};
use super::*;

fn read(first_byte: u8, version: Version, body: &str) -> Result<Publish, Malformed> {
    Publish::decode(first_byte, version, Sender::Client, hex(body).into())
}

#[test]
fn every_part_is_a_slice_of_the_frame() {
    let body = "00 05 'topic' 04 D2 05 02 00 00 00 3C 'payload'";
    let frame = Bytes::from(hex(body));
    let start = frame.as_ptr() as usize;
    let end = start + frame.len();
    let publish = Publish::decode(0x3B, Version::V5, Sender::Client, frame).unwrap();
    assert_eq!(publish.topic.as_str(), "topic");
    assert_eq!(publish.packet_id.unwrap().get(), 1234);
    assert_eq!(publish.properties.block(), &hex("02 00 00 00 3C"));
    assert_eq!(publish.message_expiry_secs(), Some(60));
    assert_eq!(publish.payload, "payload");
    assert!(publish.dup && publish.retain);
    for part in [
        publish.topic.as_bytes(),
        publish.properties.block(),
        &publish.payload,
    ] {
        assert!((start..end).contains(&(part.as_ptr() as usize)));
    }
}

#[test]
fn the_property_block_is_kept_verbatim() {
    let block = "26 00 01 'b' 00 01 '2' 03 00 04 'text' 26 00 01 'a' 00 01 '1' 01 01";
    let bytes = hex(block);
    let body = format!("00 01 't' {:02X} {block} 'x'", bytes.len());
    assert_eq!(
        read(0x30, Version::V5, &body).unwrap().properties.block(),
        &bytes
    );
}

#[test]
fn a_payload_may_be_empty_and_any_bytes() {
    assert_eq!(read(0x30, Version::V311, "00 01 't'").unwrap().payload, "");
    assert_eq!(read(0x30, Version::V5, "00 01 't' 00").unwrap().payload, "");
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let mut body = hex("00 01 't'");
    body.extend(&all);
    let publish = Publish::decode(0x30, Version::V311, Sender::Client, body.into()).unwrap();
    assert_eq!(publish.payload, all);
}

#[test]
fn broken_publishes_are_refused() {
    let table = [
        (0x30, "00 00 00 'payload'", Malformed::TopicName),
        (0x38, "00 01 't' 00 'payload'", Malformed::DupWithoutQos),
        (0x36, "00 01 't' 04 D2 00 'payload'", Malformed::Qos),
        (0x3E, "00 01 't' 04 D2 00 'payload'", Malformed::Qos),
        (
            0x32,
            "00 01 't' 00 00 00 'payload'",
            Malformed::PacketIdZero,
        ),
        (
            0x34,
            "00 01 't' 00 00 00 'payload'",
            Malformed::PacketIdZero,
        ),
        (0x32, "00 01 't'", Malformed::Truncated),
        (0x32, "00 01 't' 04", Malformed::Truncated),
        (0x30, "00 01 't'", Malformed::Truncated),
        (0x30, "", Malformed::Truncated),
        (0x30, "00", Malformed::Truncated),
        (0x30, "00 05 'top'", Malformed::Truncated),
        (0x30, "00 05 'top' 00 00 00", Malformed::Utf8),
        (0x30, "00 05 'to' ED A0 80 00", Malformed::Utf8),
        (0x30, "00 05 'top' C2 9F 00", Malformed::Utf8),
        (0x30, "00 05 '+opic' 00", Malformed::TopicName),
        (0x30, "00 05 '#opic' 00", Malformed::TopicName),
        (0x30, "00 05 'top/#' 00", Malformed::TopicName),
        (0x30, "00 01 't' 02 01 02", Malformed::PropertyValue),
        (
            0x30,
            "00 01 't' 04 01 01 01 01",
            Malformed::DuplicateProperty,
        ),
        (0x30, "00 01 't' 03 08 00 01 '#'", Malformed::Truncated),
        (0x30, "00 01 't' 04 08 00 01 '#'", Malformed::PropertyValue),
        (0x30, "00 01 't' 02 0B 7F", Malformed::PropertyNotAllowed),
        (0x30, "00 01 't' 03 0B 80 01", Malformed::PropertyNotAllowed),
        (0x30, "00 01 't' 02 35 01", Malformed::PropertyUnknown),
        (
            0x30,
            "00 01 't' 04 1F 00 01 'p'",
            Malformed::PropertyNotAllowed,
        ),
        (0x30, "00 01 't' 80 00", Malformed::NotMinimal),
    ];
    for (first_byte, body, why) in table {
        assert_eq!(
            read(first_byte, Version::V5, body),
            Err(why),
            "{first_byte:02x} {body}"
        );
    }
}

#[test]
fn an_alias_may_stand_for_the_topic_in_5_0_only() {
    let publish = read(0x30, Version::V5, "00 00 03 23 00 05 'x'").unwrap();
    assert_eq!(
        (publish.topic.as_str(), publish.topic_alias()),
        ("", Some(5))
    );
    let zero = read(0x30, Version::V5, "00 01 't' 03 23 00 00 'x'").unwrap();
    assert_eq!(zero.topic_alias(), Some(0));
    assert_eq!(
        read(0x30, Version::V311, "00 00 'x'"),
        Err(Malformed::TopicName)
    );
}

#[test]
fn a_server_may_send_several_subscription_identifiers() {
    let body = Bytes::from(hex("00 01 't' 07 0B 01 0B 02 0B 80 01 'x'"));
    let publish = Publish::decode(0x30, Version::V5, Sender::Server, body).unwrap();
    let expected: Vec<_> = [1, 2, 128].map(Property::SubscriptionIdentifier).into();
    assert_eq!(publish.properties.iter().collect::<Vec<_>>(), expected);
    assert_eq!(publish.payload, "x");
}

#[test]
fn heads_have_their_bytes() {
    let head = PublishHead {
        topic: b"t",
        payload_len: 1,
        ..PublishHead::default()
    };
    let packet_id = NonZeroU16::new(10);
    let own = hex("23 00 02");
    let qos_1 = PublishHead {
        qos: Qos::AtLeastOnce,
        packet_id,
        ..head
    };
    let table = [
        (Version::V311, head, "30 04 00 01 't'"),
        (Version::V5, head, "30 05 00 01 't' 00"),
        (
            Version::V311,
            PublishHead {
                retain: true,
                ..head
            },
            "31 04 00 01 't'",
        ),
        (Version::V311, qos_1, "32 06 00 01 't' 00 0A"),
        (
            Version::V5,
            PublishHead { dup: true, ..qos_1 },
            "3A 07 00 01 't' 00 0A 00",
        ),
        (
            Version::V5,
            PublishHead {
                qos: Qos::ExactlyOnce,
                ..qos_1
            },
            "34 07 00 01 't' 00 0A 00",
        ),
        (
            Version::V5,
            PublishHead { packet_id, ..head },
            "30 05 00 01 't' 00",
        ),
        (
            Version::V5,
            PublishHead {
                topic: b"",
                own: &own,
                shared: b"\x01\x01",
                ..head
            },
            "30 09 00 00 05 23 00 02 01 01",
        ),
    ];
    for (version, head, bytes) in table {
        let mut out = Vec::new();
        head.encode(version, &mut out);
        assert_eq!(out, hex(bytes), "{head:?}");
        assert_eq!(head.packet_len(version), out.len() + 1);
    }
}

#[test]
fn the_length_of_a_packet_counts_its_length_field() {
    for payload_len in [
        0, 120, 121, 122, 123, 124, 16_376, 16_379, 16_380, 16_383, 2_097_151,
    ] {
        let head = PublishHead {
            topic: b"t",
            payload_len,
            ..PublishHead::default()
        };
        let mut out = Vec::new();
        head.encode(Version::V5, &mut out);
        assert_eq!(head.packet_len(Version::V5), out.len() + payload_len);
    }
}

#[test]
fn reading_a_publish_allocates_nothing() {
    let packet = hex("32 1E 00 0E 'plant/line1/t1' 04 D2 05 02 00 00 00 3C '21.5 C'");
    let mut input = BytesMut::from(packet.repeat(3).as_slice());
    let limits = SizeLimits::default();
    // The first split of a buffer makes it shared, once for all packets that were read into it.
    let first = decode(&mut input, Version::V5, Sender::Client, &limits).unwrap();
    let counted = allocation_counter::measure(|| {
        let second = decode(&mut input, Version::V5, Sender::Client, &limits);
        black_box(&second);
        drop(second);
    });
    assert_eq!(counted.count_total, 0);
    let third = decode(&mut input, Version::V5, Sender::Client, &limits).unwrap();
    assert!(first.is_some());
    assert_eq!(first, third);
    assert!(input.is_empty());
}

#[test]
fn mosquitto_calls_these_malformed_and_those_protocol_errors() {
    for why in [
        Malformed::TopicName,
        Malformed::DupWithoutQos,
        Malformed::Qos,
        Malformed::Utf8,
    ] {
        assert_eq!(why.answer(), Some(ReasonCode::MALFORMED_PACKET));
    }
    for why in [
        Malformed::PacketIdZero,
        Malformed::PropertyValue,
        Malformed::PropertyNotAllowed,
    ] {
        assert_eq!(why.answer(), Some(ReasonCode::PROTOCOL_ERROR));
    }
}
