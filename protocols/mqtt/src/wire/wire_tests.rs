//! Streams of packets: cut anywhere, mutated anywhere, and round trips of whatever can be said.

use std::num::NonZeroU16;

use proptest::prelude::*;

use super::hex::hex;
use super::property::{Place, Properties, Property};
use super::subscribe::{Subscription, SubscriptionOptions};
use super::*;

const LIMITS: SizeLimits = SizeLimits {
    packet: 4096,
    connect: 4096,
    subscribe: 4096,
    small: 4096,
};

/// One sound packet of each type that a client may send.
const CLIENT_V5: [&str; 12] = [
    "30 09 00 03 'a/b' 00 'xyz'",
    "3D 0C 00 01 't' 00 07 05 02 00 00 00 3C 'x'",
    "30 07 00 00 03 23 00 01 'x'",
    "40 02 00 01",
    "50 03 00 02 10",
    "62 04 00 03 92 00",
    "70 08 00 04 00 04 1F 00 01 'w'",
    "82 0B 00 05 02 0B 01 00 03 'a/#' 2E",
    "A2 08 00 06 00 00 03 'a/#'",
    "C0 00",
    "F0 06 18 04 15 00 01 'm'",
    "E0 07 00 05 11 00 00 00 00",
];

const CLIENT_V311: [&str; 8] = [
    "30 08 00 03 'a/b' 'xyz'",
    "35 07 00 01 't' 00 07 'xy'",
    "40 02 00 01",
    "62 02 00 03",
    "82 08 00 05 00 03 'a/#' 01",
    "A2 07 00 06 00 03 'a/#'",
    "C0 00",
    "E0 00",
];

const SERVER_V5: [&str; 6] = [
    "20 06 01 00 03 21 00 14",
    "30 0A 00 01 't' 04 0B 01 0B 02 'xy'",
    "90 05 00 05 00 01 87",
    "B0 04 00 06 00 11",
    "D0 00",
    "E0 01 8E",
];

fn decode_all(input: &mut BytesMut, version: Version, sender: Sender) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(packet) = decode(input, version, sender, &LIMITS).unwrap() {
        packets.push(packet);
    }
    packets
}

fn streams() -> [(Version, Sender, Vec<u8>, usize); 3] {
    let stream = |packets: &[&str]| packets.iter().flat_map(|packet| hex(packet)).collect();
    [
        (
            Version::V5,
            Sender::Client,
            stream(&CLIENT_V5),
            CLIENT_V5.len(),
        ),
        (
            Version::V311,
            Sender::Client,
            stream(&CLIENT_V311),
            CLIENT_V311.len(),
        ),
        (
            Version::V5,
            Sender::Server,
            stream(&SERVER_V5),
            SERVER_V5.len(),
        ),
    ]
}

#[test]
fn a_stream_may_be_cut_at_every_byte() {
    for (version, sender, bytes, count) in streams() {
        let whole = decode_all(&mut BytesMut::from(bytes.as_slice()), version, sender);
        assert_eq!(whole.len(), count);
        for cut in 0..=bytes.len() {
            let mut input = BytesMut::from(&bytes[..cut]);
            let mut packets = decode_all(&mut input, version, sender);
            input.extend_from_slice(&bytes[cut..]);
            packets.extend(decode_all(&mut input, version, sender));
            assert_eq!(packets, whole, "{version:?} cut at {cut}");
            assert!(input.is_empty());
        }
    }
}

#[test]
fn a_stream_may_come_byte_by_byte() {
    for (version, sender, bytes, _) in streams() {
        let whole = decode_all(&mut BytesMut::from(bytes.as_slice()), version, sender);
        let mut input = BytesMut::new();
        let mut packets = Vec::new();
        for byte in bytes {
            input.extend_from_slice(&[byte]);
            packets.extend(decode_all(&mut input, version, sender));
        }
        assert_eq!(packets, whole);
    }
}

#[test]
fn a_connect_may_come_byte_by_byte() {
    let bytes = hex("10 0E 00 04 'MQTT' 05 02 00 0A 00 00 01 'p' C0 00");
    let mut input = BytesMut::new();
    let mut connect = None;
    for byte in bytes {
        input.extend_from_slice(&[byte]);
        if connect.is_none() {
            connect = decode_connect(&mut input, &LIMITS).unwrap();
        }
    }
    assert_eq!(connect.unwrap().client_id.as_str(), "p");
    assert_eq!(input, PINGREQ.as_slice());
}

#[test]
fn a_stranger_who_speaks_something_else_is_turned_away_at_once() {
    for greeting in ["GET / HTTP/1.1\r\n", "AMQP\0\0\x09\x01", "PING\r\n"] {
        let mut input = BytesMut::from(&greeting.as_bytes()[..1]);
        let refusal = decode_connect(&mut input, &LIMITS).unwrap_err();
        assert_eq!(
            refusal,
            Refusal {
                version: None,
                why: Malformed::PacketType
            }
        );
        assert_eq!(refusal.answer(), None);
    }
}

#[test]
fn a_packet_that_is_not_there_yet_leaves_the_input_alone() {
    for partial in ["40 02 00", "30 09 00", "82", "C0", ""] {
        let bytes = hex(partial);
        let mut input = BytesMut::from(bytes.as_slice());
        assert_eq!(
            decode(&mut input, Version::V5, Sender::Client, &LIMITS),
            Ok(None)
        );
        assert_eq!(input, bytes);
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé/ ]{1,12}"
}

fn utf8(text: &str) -> Utf8String {
    Utf8String::checked(Bytes::copy_from_slice(text.as_bytes()))
}

fn qos() -> impl Strategy<Value = Qos> {
    (0..3_u8).prop_map(|bits| Qos::of(bits).unwrap())
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)]
}

prop_compose! {
    fn publish_properties()(
        expiry in proptest::option::of(any::<u32>()),
        correlation in proptest::option::of(prop::collection::vec(any::<u8>(), 0..9)),
        users in prop::collection::vec((text(), text()), 0..4),
    ) -> Properties {
        let mut block = Vec::new();
        if let Some(secs) = expiry {
            Property::MessageExpiryInterval(secs).write(&mut block);
        }
        if let Some(data) = &correlation {
            Property::CorrelationData(data).write(&mut block);
        }
        for (name, value) in &users {
            Property::UserProperty(name, value).write(&mut block);
        }
        Properties::from_block(block.into(), Place::Publish).unwrap()
    }
}

prop_compose! {
    fn publishes()(
        version in version(),
        topic in text(),
        qos in qos(),
        (dup, retain) in any::<(bool, bool)>(),
        packet_id in 1..=u16::MAX,
        properties in publish_properties(),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) -> (Version, Publish) {
        let with_id = qos != Qos::AtMostOnce;
        let publish = Publish {
            dup: dup && with_id,
            qos,
            retain,
            topic: utf8(&topic),
            packet_id: NonZeroU16::new(packet_id).filter(|_| with_id),
            properties: if version == Version::V5 { properties } else { Properties::default() },
            payload: payload.into(),
        };
        (version, publish)
    }
}

prop_compose! {
    fn connects()(
        version in version(),
        (clean_start, has_will, retain) in any::<(bool, bool, bool)>(),
        keep_alive_secs in any::<u16>(),
        client_id in text(),
        topic in text(),
        qos in qos(),
        payload in prop::collection::vec(any::<u8>(), 0..40),
        user_name in proptest::option::of(text()),
        password in proptest::option::of(prop::collection::vec(any::<u8>(), 0..9)),
    ) -> Connect {
        let properties = Properties::default();
        let will_properties = properties.clone();
        let topic = utf8(&topic);
        let payload = payload.into();
        let will = Will { topic, payload, qos, retain, properties: will_properties };
        let may_stand_alone = user_name.is_some() || version == Version::V5;
        Connect {
            version,
            is_bridge: false,
            clean_start,
            keep_alive_secs,
            properties,
            client_id: utf8(&client_id),
            will: Some(will).filter(|_| has_will),
            user_name: user_name.as_deref().map(utf8),
            password: password.filter(|_| may_stand_alone).map(Bytes::from),
        }
    }
}

proptest! {
    #[test]
    fn every_publish_round_trips((version, publish) in publishes()) {
        let head = PublishHead {
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic: publish.topic.as_bytes(),
            packet_id: publish.packet_id,
            own: &[],
            shared: publish.properties.block(),
            payload_len: publish.payload.len(),
        };
        let mut bytes = Vec::new();
        head.encode(version, &mut bytes);
        bytes.extend_from_slice(&publish.payload);
        prop_assert_eq!(head.packet_len(version), bytes.len());
        let mut input = BytesMut::from(bytes.as_slice());
        let read = decode(&mut input, version, Sender::Client, &LIMITS);
        prop_assert_eq!(read, Ok(Some(Packet::Publish(publish))));
    }

    #[test]
    fn every_connect_round_trips(connect in connects()) {
        let mut bytes = Vec::new();
        connect.encode(&mut bytes);
        let mut input = BytesMut::from(bytes.as_slice());
        prop_assert_eq!(decode_connect(&mut input, &LIMITS), Ok(Some(connect)));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn every_subscribe_round_trips(
        version in version(),
        packet_id in 1..=u16::MAX,
        filters in prop::collection::vec((text(), qos(), any::<bool>()), 1..6),
    ) {
        let subscriptions = filters.iter().map(|(filter, qos, no_local)| {
            let no_local = *no_local && version == Version::V5;
            let options = SubscriptionOptions { qos: *qos, no_local, ..Default::default() };
            Subscription { filter: utf8(filter), options }
        });
        let subscribe = Subscribe {
            packet_id: NonZeroU16::new(packet_id).unwrap(),
            properties: Properties::default(),
            subscriptions: subscriptions.collect(),
        };
        let mut bytes = Vec::new();
        subscribe.encode(version, &mut bytes);
        let mut input = BytesMut::from(bytes.as_slice());
        let read = decode(&mut input, version, Sender::Client, &LIMITS);
        prop_assert_eq!(read, Ok(Some(Packet::Subscribe(subscribe))));
    }

    #[test]
    fn any_bytes_are_judged_without_panic(
        version in version(),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        for sender in [Sender::Client, Sender::Server] {
            let mut input = BytesMut::from(bytes.as_slice());
            while let Ok(Some(_)) = decode(&mut input, version, sender, &LIMITS) {}
        }
        let mut input = BytesMut::from(bytes.as_slice());
        let _verdict = decode_connect(&mut input, &LIMITS);
    }

    #[test]
    fn a_changed_byte_is_judged_without_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        for (version, sender, bytes, _) in streams() {
            let mut changed = bytes.clone();
            let at = at.index(changed.len());
            changed[at] = value;
            let start = which.index(changed.len());
            let mut input = BytesMut::from(&changed[start..]);
            while let Ok(Some(_)) = decode(&mut input, version, sender, &LIMITS) {}
        }
    }

    #[test]
    fn a_changed_connect_is_judged_without_panic(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        connect in connects(),
    ) {
        let mut bytes = Vec::new();
        connect.encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _verdict = decode_connect(&mut BytesMut::from(bytes.as_slice()), &LIMITS);
    }
}
