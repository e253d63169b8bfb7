//! What the framer lets through, byte by byte, and what it answers otherwise.

use super::super::hex::hex;
use super::super::{ReasonCode, VARINT_MAX};
use super::*;

const CLIENT_V5: Expect = Expect {
    version: Some(Version::V5),
    sender: Sender::Client,
};
const CLIENT_V311: Expect = Expect {
    version: Some(Version::V311),
    sender: Sender::Client,
};
const CLIENT_V31: Expect = Expect {
    version: Some(Version::V31),
    sender: Sender::Client,
};
const STRANGER: Expect = Expect {
    version: None,
    sender: Sender::Client,
};

fn judge(bytes: &str, expect: Expect) -> Result<Option<usize>, Malformed> {
    let header = read(&hex(bytes), expect, &SizeLimits::default())?;
    Ok(header.map(|header| header.packet_len))
}

#[test]
fn a_header_is_read_before_its_body_has_arrived() {
    assert_eq!(judge("", CLIENT_V5), Ok(None));
    assert_eq!(judge("30", CLIENT_V5), Ok(None));
    assert_eq!(judge("30 80", CLIENT_V5), Ok(None));
    assert_eq!(judge("30 FF FF", CLIENT_V5), Ok(None));
    assert_eq!(judge("30 80 01", CLIENT_V5), Ok(Some(131)));
}

#[test]
fn packet_type_0_is_refused_at_its_first_byte() {
    for first in ["00", "01", "0A", "0F"] {
        assert_eq!(judge(first, CLIENT_V5), Err(Malformed::PacketType));
        assert_eq!(judge(first, STRANGER), Err(Malformed::PacketType));
    }
    assert_eq!(
        Malformed::PacketType.answer(),
        Some(ReasonCode::PROTOCOL_ERROR)
    );
}

#[test]
fn the_first_packet_is_connect_and_no_later_one_mqtt_3_1_0_1() {
    for first in 2..=15_u8 {
        let bytes = format!("{:02X}", first << 4);
        assert_eq!(
            judge(&bytes, STRANGER),
            Err(Malformed::PacketType),
            "{bytes}"
        );
    }
    assert_eq!(judge("10 0D", STRANGER), Ok(Some(15)));
    assert_eq!(judge("10", CLIENT_V311), Err(Malformed::PacketType));
    assert_eq!(judge("10 0D", CLIENT_V5), Err(Malformed::PacketType));
}

#[test]
fn five_bytes_of_remaining_length_close_without_a_word() {
    for first in ["30", "40", "82", "90", "C0", "E0", "F0"] {
        let bytes = format!("{first} 80 80 80 80 01");
        assert_eq!(
            judge(&bytes, CLIENT_V5),
            Err(Malformed::RemainingLength),
            "{bytes}"
        );
    }
    assert_eq!(
        judge("30 FF FF FF FF", CLIENT_V5),
        Err(Malformed::RemainingLength)
    );
    assert_eq!(Malformed::RemainingLength.answer(), None);
}

#[test]
fn a_remaining_length_that_is_not_minimal_is_malformed_mqtt_1_5_5_1() {
    for bytes in ["C0 80 00", "30 83 00", "30 80 80 00", "30 FF FF FF 00"] {
        assert_eq!(
            judge(bytes, CLIENT_V5),
            Err(Malformed::NotMinimal),
            "{bytes}"
        );
    }
}

#[test]
fn a_packet_over_the_limit_is_refused_before_its_body_mqtt_3_2_2_15() {
    let limits = SizeLimits {
        packet: 100,
        ..SizeLimits::default()
    };
    let judge = |bytes| read(&hex(bytes), CLIENT_V5, &limits).map(|header| header.is_some());
    assert_eq!(judge("30 62"), Ok(true));
    assert_eq!(judge("30 63"), Err(Malformed::PacketTooLarge));
    assert_eq!(judge("82 63"), Err(Malformed::PacketTooLarge));
    assert_eq!(judge("30 FF FF FF 7F"), Err(Malformed::PacketTooLarge));
    assert_eq!(
        Malformed::PacketTooLarge.answer(),
        Some(ReasonCode::PACKET_TOO_LARGE)
    );
}

#[test]
fn each_packet_type_has_a_limit_of_its_own() {
    let limits = SizeLimits {
        packet: VARINT_MAX,
        connect: 50,
        subscribe: 60,
        small: 70,
    };
    let table = [
        ("10", 50),
        ("82", 60),
        ("A2", 60),
        ("40", 70),
        ("50", 70),
        ("62", 70),
        ("E0", 70),
    ];
    for (first, limit) in table {
        let expect = if first == "10" { STRANGER } else { CLIENT_V5 };
        let at = |length: u32| {
            let bytes = format!("{first} {:02X}", length - 2);
            read(&hex(&bytes), expect, &limits).map(|header| header.is_some())
        };
        assert_eq!(at(limit), Ok(true), "{first}");
        assert_eq!(at(limit + 1), Err(Malformed::PacketTooLarge), "{first}");
    }
}

#[test]
fn reserved_flags_are_malformed_mqtt_2_1_3_1() {
    let table = [
        ("4", 0),
        ("5", 0),
        ("6", 2),
        ("7", 0),
        ("8", 2),
        ("A", 2),
        ("E", 0),
    ];
    for (packet_type, fixed) in table {
        for flags in 0..16 {
            let bytes = format!("{packet_type}{flags:X} 02");
            for expect in [CLIENT_V5, CLIENT_V311] {
                if packet_type == "E" && expect.version == Some(Version::V311) {
                    continue;
                }
                let verdict = judge(&bytes, expect);
                let expected = if flags == fixed {
                    Ok(Some(4))
                } else {
                    Err(Malformed::Flags)
                };
                assert_eq!(verdict, expected, "{bytes} {expect:?}");
            }
        }
    }
    for flags in 1..16 {
        assert_eq!(
            judge(&format!("C{flags:X} 00"), CLIENT_V5),
            Err(Malformed::Flags)
        );
        assert_eq!(
            judge(&format!("E{flags:X} 00"), CLIENT_V311),
            Err(Malformed::Flags)
        );
    }
    assert_eq!(
        Malformed::Flags.answer(),
        Some(ReasonCode::MALFORMED_PACKET)
    );
}

#[test]
fn version_3_1_may_set_dup_on_what_it_sends_again() {
    for bytes in ["6A 02", "8A 02", "AA 02", "62 02"] {
        assert_eq!(judge(bytes, CLIENT_V31), Ok(Some(4)), "{bytes}");
        let strict = judge(bytes, CLIENT_V311);
        assert_eq!(strict.is_err(), bytes.as_bytes()[1] == b'A', "{bytes}");
    }
    assert_eq!(judge("63 02", CLIENT_V31), Err(Malformed::Flags));
}

#[test]
fn pings_have_no_body_and_close_without_a_word() {
    for bytes in ["C0 01", "D0 01", "C1 01"] {
        assert_eq!(
            judge(bytes, CLIENT_V5),
            Err(Malformed::FixedLength),
            "{bytes}"
        );
        assert_eq!(
            judge(bytes, CLIENT_V311),
            Err(Malformed::FixedLength),
            "{bytes}"
        );
    }
    assert_eq!(Malformed::FixedLength.answer(), None);
}

#[test]
fn acknowledgements_of_3_x_have_one_length() {
    for first in ["40", "50", "62", "70", "B0", "20"] {
        for length in ["00", "01", "03"] {
            let bytes = format!("{first} {length}");
            assert_eq!(
                judge(&bytes, CLIENT_V311),
                Err(Malformed::FixedLength),
                "{bytes}"
            );
        }
    }
    assert_eq!(judge("E0 01", CLIENT_V311), Err(Malformed::FixedLength));
    assert_eq!(judge("E0 01", CLIENT_V5), Ok(Some(3)));
}

#[test]
fn packets_of_the_other_end_are_protocol_errors() {
    for bytes in ["20 03", "29 02", "90 00", "90 04", "B0 01", "D0 00"] {
        assert_eq!(
            judge(bytes, CLIENT_V5),
            Err(Malformed::PacketType),
            "{bytes}"
        );
    }
    for bytes in ["91 03", "B1 03", "D1 00"] {
        assert_eq!(judge(bytes, CLIENT_V5), Err(Malformed::Flags), "{bytes}");
    }
    let server = Expect {
        version: Some(Version::V5),
        sender: Sender::Server,
    };
    for bytes in ["82 02", "A2 02", "C0 00"] {
        assert_eq!(judge(bytes, server), Err(Malformed::PacketType), "{bytes}");
    }
    for bytes in ["20 03", "90 04", "B0 04", "D0 00", "E0 00", "30 03"] {
        assert!(judge(bytes, server).is_ok(), "{bytes}");
    }
}

#[test]
fn first_bytes_carry_their_fixed_flags() {
    let table = [
        (PacketType::Connect, 0x10),
        (PacketType::Connack, 0x20),
        (PacketType::Publish, 0x30),
        (PacketType::Puback, 0x40),
        (PacketType::Pubrec, 0x50),
        (PacketType::Pubrel, 0x62),
        (PacketType::Pubcomp, 0x70),
        (PacketType::Subscribe, 0x82),
        (PacketType::Suback, 0x90),
        (PacketType::Unsubscribe, 0xA2),
        (PacketType::Unsuback, 0xB0),
        (PacketType::Pingreq, 0xC0),
        (PacketType::Pingresp, 0xD0),
        (PacketType::Disconnect, 0xE0),
        (PacketType::Auth, 0xF0),
    ];
    for (packet_type, first_byte) in table {
        assert_eq!(packet_type.first_byte(), first_byte);
        assert_eq!(PacketType::of(first_byte), Some(packet_type));
    }
}
