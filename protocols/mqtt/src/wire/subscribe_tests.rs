//! Bytes of SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK.

use super::super::hex::hex;
use super::*;

fn decode(version: Version, body: &str) -> Result<Subscribe, Malformed> {
    Subscribe::decode(version, &hex(body).into())
}

#[test]
fn a_subscribe_of_each_version_is_read_and_written() {
    let table = [
        (Version::V311, "82 06 04 D2 00 01 'p' 02"),
        (Version::V5, "82 07 04 D2 00 00 01 'p' 02"),
        (Version::V5, "82 0A 04 D2 02 0B 05 00 02 'p/' 2E"),
    ];
    for (version, packet) in table {
        let bytes = hex(packet);
        let read = Subscribe::decode(version, &Bytes::copy_from_slice(&bytes[2..])).unwrap();
        assert_eq!(read.packet_id.get(), 1234);
        assert_eq!(read.subscriptions[0].options.qos, Qos::ExactlyOnce);
        let mut out = Vec::new();
        read.encode(version, &mut out);
        assert_eq!(out, bytes);
    }
}

#[test]
fn the_options_of_5_0() {
    let read = decode(Version::V5, "00 01 02 0B 05 00 01 'a' 2D 00 01 'b' 10").unwrap();
    assert_eq!(read.subscription_identifier(), Some(5));
    let expected = SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::Never,
    };
    assert_eq!(read.subscriptions[0].options, expected);
    let second = &read.subscriptions[1];
    assert_eq!(second.filter.as_str(), "b");
    assert_eq!(
        second.options.retain_handling,
        RetainHandling::OnNewSubscription
    );
}

#[test]
fn broken_subscribes_of_5_0_are_refused() {
    let table = [
        ("", Malformed::Truncated),
        ("04", Malformed::Truncated),
        ("04 D2", Malformed::Truncated),
        ("04 D2 00", Malformed::EmptyFilterList),
        ("04 D2 00 00", Malformed::Truncated),
        ("04 D2 00 00 00", Malformed::TopicFilter),
        ("04 D2 00 00 00 00", Malformed::TopicFilter),
        ("04 D2 00 00 01 'p'", Malformed::Truncated),
        ("04 D2 00 00 01 'p' 00 00", Malformed::Truncated),
        ("04 D2 00 00 01 'q' 00 00 00 00", Malformed::TopicFilter),
        ("00 00 00 00 01 'p' 00", Malformed::SubscriptionHeader),
        ("04 D2 00 00 05 'ab/+e' 00", Malformed::TopicFilter),
        ("04 D2 00 00 05 'top' 00 00 00", Malformed::Utf8),
        ("04 D2 00 00 0A '$share/p/p' 04", Malformed::NoLocalShared),
        (
            "04 D2 00 00 0A '$share/+/p' 00",
            Malformed::SharedSubscription,
        ),
        ("04 D2 00 00 0A '$share/#/p' 00", Malformed::TopicFilter),
        (
            "04 D2 00 00 09 '$share/p/' 00",
            Malformed::SharedSubscription,
        ),
        (
            "04 D2 00 00 08 '$share/p' 00",
            Malformed::SharedSubscription,
        ),
        ("00 01 02 0B 00 00 01 'p' 00", Malformed::SubscriptionHeader),
        (
            "00 01 04 0B 01 0B 01 00 01 'p' 00",
            Malformed::DuplicateProperty,
        ),
        ("00 01 03 0B 80 00 00 01 'p' 00", Malformed::NotMinimal),
        (
            "00 01 06 0B 80 80 80 80 01 00 01 'p' 00",
            Malformed::VarintTooLong,
        ),
        ("00 01 02 01 00 00 01 'p' 00", Malformed::SubscriptionHeader),
    ];
    for (body, why) in table {
        assert_eq!(decode(Version::V5, body), Err(why), "{body}");
    }
}

#[test]
fn mosquitto_answers_0x81_to_the_header_of_a_subscription() {
    assert_eq!(
        Malformed::SubscriptionHeader.answer(),
        Some(ReasonCode::MALFORMED_PACKET)
    );
    assert_eq!(
        Malformed::DuplicateProperty.answer(),
        Some(ReasonCode::PROTOCOL_ERROR)
    );
    assert_eq!(
        Malformed::NoLocalShared.answer(),
        Some(ReasonCode::PROTOCOL_ERROR)
    );
    assert_eq!(
        Malformed::SharedSubscription.answer(),
        Some(ReasonCode::PROTOCOL_ERROR)
    );
}

#[test]
fn every_option_byte_is_judged_mqtt_3_8_3_5() {
    for options in 0..=u8::MAX {
        let body = format!("00 01 00 00 01 'p' {options:02X}");
        let sound = options & 3 != 3 && options & 0x30 != 0x30 && options & 0xC0 == 0;
        assert_eq!(decode(Version::V5, &body).is_ok(), sound, "{options:02x}");
        let body = format!("00 01 00 01 'p' {options:02X}");
        assert_eq!(
            decode(Version::V311, &body).is_ok(),
            options < 3,
            "{options:02x}"
        );
    }
}

#[test]
fn an_unsubscribe_is_read_and_written() {
    let table = [
        (Version::V311, "A2 08 00 01 00 01 'p' 00 01 'q'"),
        (Version::V5, "A2 09 00 01 00 00 01 'p' 00 01 'q'"),
        (
            Version::V5,
            "A2 10 00 01 07 26 00 01 'n' 00 01 'v' 00 01 'p' 00 01 'q'",
        ),
    ];
    for (version, packet) in table {
        let bytes = hex(packet);
        let read = Unsubscribe::decode(version, &Bytes::copy_from_slice(&bytes[2..])).unwrap();
        assert_eq!(
            read.filters
                .iter()
                .map(Utf8String::as_str)
                .collect::<Vec<_>>(),
            ["p", "q"]
        );
        let mut out = Vec::new();
        read.encode(version, &mut out);
        assert_eq!(out, bytes);
    }
}

#[test]
fn broken_unsubscribes_are_refused() {
    let table = [
        ("", Malformed::Truncated),
        ("04 D2 00", Malformed::EmptyFilterList),
        ("04 D2 00 01", Malformed::Truncated),
        ("04 D2 00 00 01", Malformed::Truncated),
        ("04 D2 00 00 00 00 01 'q'", Malformed::TopicFilter),
        ("04 D2 00 00 01 'q' 00 00", Malformed::TopicFilter),
        ("00 00 00 00 01 'p'", Malformed::SubscriptionHeader),
        ("00 01 02 0B 01 00 01 'p'", Malformed::SubscriptionHeader),
    ];
    for (body, why) in table {
        let verdict = Unsubscribe::decode(Version::V5, &hex(body).into());
        assert_eq!(verdict, Err(why), "{body}");
    }
}

#[test]
fn subacks_and_unsubacks_have_their_bytes() {
    let ack = |codes: &[u8]| SubscriptionAck {
        packet_id: NonZeroU16::new(1).unwrap(),
        properties: Properties::default(),
        codes: codes.iter().copied().map(ReasonCode).collect(),
    };
    let table = [
        (
            PacketType::Suback,
            Version::V5,
            ack(&[0, 0x87]),
            "90 05 00 01 00 00 87",
        ),
        (
            PacketType::Suback,
            Version::V311,
            ack(&[2, 0]),
            "90 04 00 01 02 00",
        ),
        (
            PacketType::Unsuback,
            Version::V5,
            ack(&[0, 0x11]),
            "B0 05 00 01 00 00 11",
        ),
        (PacketType::Unsuback, Version::V311, ack(&[]), "B0 02 00 01"),
    ];
    for (packet_type, version, packet, bytes) in table {
        let mut out = Vec::new();
        packet.encode(packet_type, version, &mut out);
        assert_eq!(out, hex(bytes));
        let body = Bytes::copy_from_slice(&out[2..]);
        assert_eq!(
            SubscriptionAck::decode(packet_type, version, &body),
            Ok(packet)
        );
    }
}

#[test]
fn version_3_1_1_has_one_code_for_failure() {
    let ack = SubscriptionAck {
        packet_id: NonZeroU16::new(1).unwrap(),
        properties: Properties::default(),
        codes: vec![ReasonCode::NOT_AUTHORIZED],
    };
    let mut out = Vec::new();
    ack.encode(PacketType::Suback, Version::V311, &mut out);
    assert_eq!(out, hex("90 03 00 01 80"));
}
