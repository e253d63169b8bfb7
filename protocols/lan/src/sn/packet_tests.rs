//! Packets as the bytes that the specification draws (MQTT-SN 1.2 §5.4).

use proptest::prelude::*;

use super::*;

fn flags(dup: bool, qos: u8, retain: bool, topic: TopicType) -> Flags {
    Flags {
        dup,
        qos,
        retain,
        topic,
        ..Flags::NONE
    }
}

type Row = (Packet<'static>, &'static [u8]);

fn sessions() -> Vec<Row> {
    let will = Flags {
        will: true,
        clean: true,
        ..Flags::NONE
    };
    let flags = flags(false, 2, true, TopicType::Normal);
    let client = b"dev";
    vec![
        (
            Packet::Advertise {
                gateway: 7,
                seconds: 900,
            },
            b"\x05\x00\x07\x03\x84",
        ),
        (Packet::SearchGateway, b"\x03\x01\x00"),
        (Packet::GatewayInfo { gateway: 7 }, b"\x03\x02\x07"),
        (
            Packet::Connect {
                flags: will,
                protocol: 1,
                seconds: 60,
                client,
            },
            b"\x09\x04\x0c\x01\x00\x3cdev",
        ),
        (Packet::Connack(ReturnCode::Congestion), b"\x03\x05\x01"),
        (Packet::WillTopicRequest, b"\x02\x06"),
        (Packet::WillTopic { flags, topic: b"w" }, b"\x04\x07\x50w"),
        (
            Packet::WillTopic {
                flags: Flags::NONE,
                topic: b"",
            },
            b"\x02\x07",
        ),
        (Packet::WillMessageRequest, b"\x02\x08"),
        (Packet::WillMessage(b"gone"), b"\x06\x09gone"),
        (Packet::Pingreq { client }, b"\x05\x16dev"),
        (Packet::Pingresp, b"\x02\x17"),
        (Packet::Disconnect { seconds: None }, b"\x02\x18"),
        (
            Packet::Disconnect { seconds: Some(300) },
            b"\x04\x18\x01\x2c",
        ),
        (
            Packet::WillTopicUpdate { flags, topic: b"w" },
            b"\x04\x1a\x50w",
        ),
        (
            Packet::WillTopicResponse(ReturnCode::Accepted),
            b"\x03\x1b\x00",
        ),
        (Packet::WillMessageUpdate(b"bye"), b"\x05\x1cbye"),
        (
            Packet::WillMessageResponse(ReturnCode::NotSupported),
            b"\x03\x1d\x03",
        ),
    ]
}

fn messages() -> Vec<Row> {
    let (code, invalid) = (ReturnCode::Accepted, ReturnCode::InvalidTopic);
    let publish = flags(true, 1, true, TopicType::Predefined);
    let qos_1 = flags(false, 1, false, TopicType::Normal);
    vec![
        (
            Packet::Register {
                topic: 1,
                id: 2,
                name: b"a/b",
            },
            b"\x09\x0a\x00\x01\x00\x02a/b",
        ),
        (
            Packet::Regack {
                topic: 1,
                id: 2,
                code,
            },
            b"\x07\x0b\x00\x01\x00\x02\x00",
        ),
        (
            Packet::Publish {
                flags: publish,
                topic: 9,
                id: 3,
                payload: b"x",
            },
            b"\x08\x0c\xb1\x00\x09\x00\x03x",
        ),
        (
            Packet::Puback {
                topic: 9,
                id: 3,
                code: invalid,
            },
            b"\x07\x0d\x00\x09\x00\x03\x02",
        ),
        (Packet::Pubcomp(3), b"\x04\x0e\x00\x03"),
        (Packet::Pubrec(3), b"\x04\x0f\x00\x03"),
        (Packet::Pubrel(3), b"\x04\x10\x00\x03"),
        (
            Packet::Subscribe {
                flags: qos_1,
                id: 4,
                topic: b"a/#",
            },
            b"\x08\x12\x20\x00\x04a/#",
        ),
        (
            Packet::Suback {
                qos: 1,
                topic: 0,
                id: 4,
                code,
            },
            b"\x08\x13\x20\x00\x00\x00\x04\x00",
        ),
        (
            Packet::Unsubscribe {
                flags: Flags::NONE,
                id: 5,
                topic: b"a",
            },
            b"\x06\x14\x00\x00\x05a",
        ),
        (Packet::Unsuback(5), b"\x04\x15\x00\x05"),
    ]
}

#[test]
fn each_packet_is_the_bytes_of_the_specification() {
    for (packet, bytes) in sessions().into_iter().chain(messages()) {
        assert_eq!(packet.encode(), bytes, "{packet:?}");
        assert_eq!(Packet::decode(bytes), Ok(packet));
    }
}

#[test]
fn long_packets_have_three_bytes_of_length() {
    let payload = [7; 249];
    let packet = Packet::Publish {
        flags: Flags::NONE,
        topic: 1,
        id: 0,
        payload: &payload,
    };
    let bytes = packet.encode();
    assert_eq!((bytes.len(), &bytes[..4]), (258, &[1, 1, 2, 0x0C][..]));
    assert_eq!(Packet::decode(&bytes), Ok(packet));
}

#[test]
fn what_is_not_served_is_told_from_what_is_malformed() {
    // Forwarder encapsulation; a type of nobody's.
    for unknown in [&b"\x05\xfe\x01ab"[..], b"\x02\x03", b"\x02\x1e"] {
        assert_eq!(Packet::decode(unknown), Err(Fault::Unknown), "{unknown:?}");
    }
    for malformed in [
        &b""[..],
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x03\x05\x00\x00",
        b"\x04\x05\x00\x00",
        b"\x08\x0c\xb1\x00\x09\x00\x03",
        b"\x03\x18\x01",
        b"\x08\x0c\x03\x00\x09\x00\x03x",
    ] {
        assert_eq!(
            Packet::decode(malformed),
            Err(Fault::Malformed),
            "{malformed:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_again(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut datagram = vec![u8::try_from(bytes.len() + 1).unwrap()];
        datagram.extend(&bytes);
        if let Ok(packet) = Packet::decode(&datagram) {
            let again = packet.encode();
            prop_assert_eq!(Packet::decode(&again), Ok(packet));
        }
    }
}
