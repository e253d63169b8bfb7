//! Bytes of PUBACK, PUBREC, PUBREL and PUBCOMP, in both directions.

use super::super::hex::hex;
use super::*;

const TYPES: [PacketType; 4] = [
    PacketType::Puback,
    PacketType::Pubrec,
    PacketType::Pubrel,
    PacketType::Pubcomp,
];

fn decode(packet_type: PacketType, body: &str) -> Result<(u16, u8), Malformed> {
    let ack = Ack::decode(packet_type, Version::V5, &hex(body))?;
    Ok((ack.packet_id.get(), ack.reason.0))
}

#[test]
fn success_is_told_in_four_bytes() {
    let ack = Ack::success(NonZeroU16::new(0x0102).unwrap());
    let table = ["40 02 01 02", "50 02 01 02", "62 02 01 02", "70 02 01 02"];
    for (packet_type, bytes) in TYPES.into_iter().zip(table) {
        for version in [Version::V31, Version::V311, Version::V5] {
            assert_eq!(ack.encode(packet_type, version).as_bytes(), hex(bytes));
        }
    }
}

#[test]
fn a_reason_is_told_in_five_bytes_and_only_in_5_0() {
    let packet_id = NonZeroU16::new(7).unwrap();
    let ack = Ack {
        packet_id,
        reason: ReasonCode::NO_MATCHING_SUBSCRIBERS,
    };
    let v5 = ack.encode(PacketType::Puback, Version::V5);
    assert_eq!(v5.as_bytes(), hex("40 03 00 07 10"));
    let v311 = ack.encode(PacketType::Puback, Version::V311);
    assert_eq!(v311.as_bytes(), hex("40 02 00 07"));
}

#[test]
fn every_form_of_5_0_is_read() {
    for packet_type in TYPES {
        for body in [
            "00 01",
            "00 01 00",
            "00 01 00 00",
            "00 01 00 04 1F 00 01 'p'",
        ] {
            assert_eq!(
                decode(packet_type, body),
                Ok((1, 0)),
                "{packet_type:?} {body}"
            );
        }
        assert_eq!(
            decode(packet_type, "00 01 00 07 26 00 01 'p' 00 01 'q'"),
            Ok((1, 0))
        );
    }
}

#[test]
fn broken_bodies_are_refused() {
    let table = [
        ("", Malformed::Truncated),
        ("01", Malformed::Truncated),
        ("00 00", Malformed::PacketIdZero),
        ("00 00 00", Malformed::PacketIdZero),
        ("00 01 00 00 00", Malformed::TrailingBytes),
        ("00 01 00 01", Malformed::Truncated),
        ("00 01 FF", Malformed::Reason),
        ("00 01 FF 00", Malformed::Reason),
        ("00 01 20", Malformed::Reason),
        ("00 01 00 01 1F", Malformed::Truncated),
        ("00 01 00 02 01 00", Malformed::PropertyNotAllowed),
        (
            "00 01 00 08 1F 00 01 'p' 1F 00 01 'q'",
            Malformed::DuplicateProperty,
        ),
        ("00 01 00 02 04 01", Malformed::PropertyUnknown),
    ];
    for packet_type in TYPES {
        for (body, why) in table {
            assert_eq!(
                decode(packet_type, body),
                Err(why),
                "{packet_type:?} {body}"
            );
        }
    }
}

#[test]
fn each_packet_has_reason_codes_of_its_own() {
    let acknowledging = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let releasing = [0x00, 0x92];
    for packet_type in TYPES {
        let first_half = matches!(packet_type, PacketType::Puback | PacketType::Pubrec);
        for code in 0..=u8::MAX {
            let allowed = if first_half {
                acknowledging.contains(&code)
            } else {
                releasing.contains(&code)
            };
            let verdict = decode(packet_type, &format!("00 01 {code:02X}"));
            let expected = if allowed {
                Ok((1, code))
            } else {
                Err(Malformed::Reason)
            };
            assert_eq!(verdict, expected, "{packet_type:?} {code:02x}");
        }
    }
}

#[test]
fn a_reason_in_3_1_1_is_a_trailing_byte() {
    let verdict = Ack::decode(PacketType::Puback, Version::V311, &hex("00 01 00"));
    assert_eq!(verdict, Err(Malformed::TrailingBytes));
}
