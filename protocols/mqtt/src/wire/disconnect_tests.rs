//! Bytes of DISCONNECT and AUTH.

use super::super::hex::hex;
use super::*;

fn decode(body: &str) -> Result<u8, Malformed> {
    Disconnect::decode(Version::V5, &hex(body).into()).map(|packet| packet.reason.0)
}

fn encoded(disconnect: &Disconnect, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    disconnect.encode(version, &mut out);
    out
}

#[test]
fn a_server_says_why_in_three_bytes() {
    let malformed = Disconnect::because(ReasonCode::MALFORMED_PACKET);
    assert_eq!(encoded(&malformed, Version::V5), hex("E0 01 81"));
    let normal = Disconnect::because(ReasonCode::SUCCESS);
    assert_eq!(encoded(&normal, Version::V5), hex("E0 00"));
    assert_eq!(encoded(&malformed, Version::V311), hex("E0 00"));
}

#[test]
fn a_normal_disconnect_may_carry_properties() {
    let block = Bytes::from(hex("11 00 00 00 3C"));
    let properties = Properties::from_block(block, Place::Disconnect).unwrap();
    let sent = Disconnect {
        reason: ReasonCode::SUCCESS,
        properties,
    };
    assert_eq!(
        encoded(&sent, Version::V5),
        hex("E0 07 00 05 11 00 00 00 3C")
    );
    let read = Disconnect::decode(Version::V5, &hex("00 05 11 00 00 00 3C").into()).unwrap();
    assert_eq!(read, sent);
    assert_eq!(read.session_expiry_secs(), Some(60));
}

#[test]
fn every_short_form_is_read() {
    assert_eq!(decode(""), Ok(0));
    assert_eq!(decode("00"), Ok(0));
    assert_eq!(decode("04"), Ok(4));
    assert_eq!(decode("82 00"), Ok(0x82));
    assert_eq!(
        Disconnect::decode(Version::V311, &Bytes::new()).map(|d| d.reason.0),
        Ok(0)
    );
}

#[test]
fn broken_bodies_are_refused() {
    let table = [
        ("00 01 00", Malformed::PropertyUnknown),
        ("00 01 11", Malformed::Truncated),
        ("00 02 11 00", Malformed::Truncated),
        ("00 04 11 00 00 00", Malformed::Truncated),
        ("00 00 00", Malformed::TrailingBytes),
        (
            "00 0A 11 00 00 00 00 11 00 00 00 00",
            Malformed::DuplicateProperty,
        ),
        ("00 05 02 00 00 00 01", Malformed::PropertyNotAllowed),
        ("00 02 0B 01", Malformed::PropertyNotAllowed),
    ];
    for (body, why) in table {
        assert_eq!(decode(body), Err(why), "{body}");
    }
}

#[test]
fn auth_has_three_reason_codes() {
    let decode = |body| Auth::decode(Version::V5, &hex(body).into()).map(|auth| auth.reason.0);
    assert_eq!(decode(""), Ok(0x00));
    assert_eq!(decode("18 04 15 00 01 'm'"), Ok(0x18));
    assert_eq!(decode("19 08 15 00 01 'm' 16 00 01 FF"), Ok(0x19));
    assert_eq!(decode("01"), Err(Malformed::Reason));
    assert_eq!(decode("18 02 01 00"), Err(Malformed::PropertyNotAllowed));
    assert_eq!(
        Auth::decode(Version::V311, &Bytes::new()),
        Err(Malformed::PacketType)
    );
}

#[test]
fn auth_round_trips() {
    let block = Bytes::from(hex("15 00 01 'm' 16 00 01 FF"));
    let properties = Properties::from_block(block, Place::Auth).unwrap();
    let sent = Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties,
    };
    let mut out = Vec::new();
    sent.encode(&mut out);
    assert_eq!(out, hex("F0 0A 18 08 15 00 01 'm' 16 00 01 FF"));
    assert_eq!(
        Auth::decode(Version::V5, &Bytes::copy_from_slice(&out[2..])),
        Ok(sent)
    );
}
