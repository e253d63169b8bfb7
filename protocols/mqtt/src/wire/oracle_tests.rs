//! The same packets through mqttbytes, an independent codec, where it is right: 3.1.1 without
//! empty user names. What it gets wrong is in the tables of the other tests.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use mqttbytes::v4;
use proptest::prelude::*;

use super::hex::hex;
use super::{
    Ack, Connack, Packet, PacketType, Publish, PublishHead, Qos, ReasonCode, Sender, SizeLimits,
    Version, decode, decode_connect,
};

const LIMITS: SizeLimits = SizeLimits {
    packet: 4096,
    connect: 4096,
    subscribe: 4096,
    small: 4096,
};

fn ours(bytes: &BytesMut) -> Packet {
    let mut input = bytes.clone();
    let packet = decode(&mut input, Version::V311, Sender::Client, &LIMITS)
        .unwrap()
        .unwrap();
    assert!(input.is_empty());
    packet
}

fn theirs(bytes: &[u8]) -> v4::Packet {
    v4::read(&mut BytesMut::from(bytes), 4096).unwrap()
}

fn their_qos(bits: u8) -> mqttbytes::QoS {
    mqttbytes::qos(bits).unwrap()
}

proptest! {
    #[test]
    fn we_read_the_publish_that_they_write(
        topic in "[a-z/]{1,20}",
        qos in 0..3_u8,
        packet_id in 1..=u16::MAX,
        retain: bool,
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut publish = v4::Publish::new(&topic, their_qos(qos), payload.clone());
        publish.pkid = packet_id;
        publish.retain = retain;
        let mut bytes = BytesMut::new();
        publish.write(&mut bytes).unwrap();
        let Packet::Publish(read) = ours(&bytes) else { return Err(TestCaseError::fail("type")) };
        prop_assert_eq!(read.topic.as_str(), topic);
        prop_assert_eq!(read.qos.bits(), qos);
        prop_assert_eq!(read.retain, retain);
        let expected = NonZeroU16::new(packet_id).filter(|_| qos > 0);
        prop_assert_eq!(read.packet_id, expected);
        prop_assert_eq!(&read.payload, &payload);
        prop_assert_eq!(rewritten(&read), bytes);
    }

    #[test]
    fn we_read_the_subscribe_that_they_write(
        filters in prop::collection::vec(("[a-z/]{1,20}", 0..3_u8), 1..5),
    ) {
        let list = filters.iter()
            .map(|(filter, qos)| v4::SubscribeFilter::new(filter.clone(), their_qos(*qos)));
        let mut subscribe = v4::Subscribe::new_many(list);
        subscribe.pkid = 7;
        let mut bytes = BytesMut::new();
        subscribe.write(&mut bytes).unwrap();
        let Packet::Subscribe(read) = ours(&bytes) else { return Err(TestCaseError::fail("type")) };
        let got = read.subscriptions.iter()
            .map(|one| (one.filter.as_str().to_owned(), one.options.qos.bits()));
        prop_assert_eq!(got.collect::<Vec<_>>(), filters);
        let mut again = Vec::new();
        read.encode(Version::V311, &mut again);
        prop_assert_eq!(again, bytes.to_vec());
    }

    #[test]
    fn we_read_the_connect_that_they_write(
        client_id in "[a-z]{1,20}",
        keep_alive in any::<u16>(),
        clean_session: bool,
        will in proptest::option::of(("[a-z/]{1,9}", "[a-z]{0,9}", 0..3_u8, any::<bool>())),
        login in proptest::option::of(("[a-z]{1,9}", "[a-z]{1,9}")),
    ) {
        let mut connect = v4::Connect::new(client_id.clone());
        connect.keep_alive = keep_alive;
        connect.clean_session = clean_session;
        connect.last_will = will.clone().map(|(topic, message, qos, retain)| {
            v4::LastWill::new(topic, message, their_qos(qos), retain)
        });
        connect.login = login.clone().map(|(name, password)| v4::Login::new(name, password));
        let mut bytes = BytesMut::new();
        connect.write(&mut bytes).unwrap();
        let read = decode_connect(&mut bytes.clone(), &LIMITS).unwrap().unwrap();
        prop_assert_eq!(read.client_id.as_str(), client_id);
        prop_assert_eq!(read.keep_alive_secs, keep_alive);
        prop_assert_eq!(read.clean_start, clean_session);
        prop_assert_eq!(read.will.is_some(), will.is_some());
        prop_assert_eq!(read.user_name.is_some(), login.is_some());
        let mut again = Vec::new();
        read.encode(&mut again);
        prop_assert_eq!(again, bytes.to_vec());
    }

    #[test]
    fn they_read_the_publish_that_we_write(
        topic in "[a-z/]{1,20}",
        qos in 0..3_u8,
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let head = PublishHead {
            qos: Qos::of(qos).unwrap(),
            topic: topic.as_bytes(),
            packet_id: NonZeroU16::new(9),
            payload_len: payload.len(),
            ..PublishHead::default()
        };
        let mut bytes = Vec::new();
        head.encode(Version::V311, &mut bytes);
        bytes.extend_from_slice(&payload);
        let v4::Packet::Publish(read) = theirs(&bytes) else {
            return Err(TestCaseError::fail("type"));
        };
        prop_assert_eq!(read.topic, topic);
        prop_assert_eq!(read.qos as u8, qos);
        prop_assert_eq!(read.payload, Bytes::from(payload));
    }
}

fn rewritten(publish: &Publish) -> Vec<u8> {
    let head = PublishHead {
        dup: publish.dup,
        qos: publish.qos,
        retain: publish.retain,
        topic: publish.topic.as_bytes(),
        packet_id: publish.packet_id,
        own: &[],
        shared: &[],
        payload_len: publish.payload.len(),
    };
    let mut out = Vec::new();
    head.encode(Version::V311, &mut out);
    out.extend_from_slice(&publish.payload);
    out
}

#[test]
fn they_read_what_a_server_writes() {
    let packet_id = NonZeroU16::new(7).unwrap();
    let ack = |packet_type| Ack::success(packet_id).encode(packet_type, Version::V311);
    let bytes = ack(PacketType::Puback);
    assert!(matches!(theirs(bytes.as_bytes()), v4::Packet::PubAck(ack) if ack.pkid == 7));
    let bytes = ack(PacketType::Pubrel);
    assert!(matches!(theirs(bytes.as_bytes()), v4::Packet::PubRel(ack) if ack.pkid == 7));
    let mut connack = Vec::new();
    Connack::refusal(ReasonCode::NOT_AUTHORIZED).encode(Version::V311, &mut connack);
    let v4::Packet::ConnAck(read) = theirs(&connack) else {
        panic!("type")
    };
    assert_eq!(read.code, v4::ConnectReturnCode::NotAuthorized);
    assert!(matches!(theirs(&super::PINGRESP), v4::Packet::PingResp));
    assert!(matches!(
        theirs(&hex("90 04 00 07 01 80")),
        v4::Packet::SubAck(_)
    ));
}
