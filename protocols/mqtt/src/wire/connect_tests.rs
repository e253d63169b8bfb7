//! Bytes of CONNECT, and how each way to get it wrong is answered.

use super::super::connack::Connack;
use super::super::hex::hex;
use super::*;

fn decode(first_byte: u8, body: &str) -> Result<Connect, Refusal> {
    Connect::decode(first_byte, &hex(body).into())
}

fn fault(body: &str) -> Malformed {
    decode(0x10, body).unwrap_err().why
}

/// What the client is told, in hex; empty closes without a word.
fn answer(body: &str) -> String {
    let refusal = decode(0x10, body).unwrap_err();
    let mut out = Vec::new();
    if let (Some(version), Some(reason)) = (refusal.version, refusal.answer()) {
        Connack::refusal(reason).encode(version, &mut out);
    }
    out.iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_connect_of_each_version_is_read_and_written() {
    let table = [
        (Version::V31, "00 06 'MQIsdp' 03 02 00 0A 00 01 'p'"),
        (Version::V311, "00 04 'MQTT' 04 02 00 0A 00 01 'p'"),
        (Version::V5, "00 04 'MQTT' 05 02 00 0A 00 00 01 'p'"),
        (
            Version::V5,
            "00 04 'MQTT' 05 02 00 0A 05 11 00 00 00 3C 00 01 'p'",
        ),
    ];
    for (version, body) in table {
        let read = decode(0x10, body).unwrap();
        assert_eq!(read.version, version);
        assert!(read.clean_start);
        assert_eq!(read.keep_alive_secs, 10);
        assert_eq!(read.client_id.as_str(), "p");
        assert_eq!(
            (&read.will, &read.user_name, &read.password),
            (&None, &None, &None)
        );
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(out[2..], hex(body));
    }
}

#[test]
fn a_connect_with_everything_is_read_and_written() {
    let body = "00 04 'MQTT' 05 EC 00 3C 03 21 00 14 00 03 'dev' \
                05 18 00 00 00 05 00 04 'gone' 00 03 00 FF 80 00 04 'user' 00 02 00 FF";
    let read = decode(0x10, body).unwrap();
    assert!(!read.clean_start);
    let will = read.will.clone().unwrap();
    assert_eq!((will.qos, will.retain), (Qos::AtLeastOnce, true));
    assert_eq!(will.topic.as_str(), "gone");
    assert_eq!(will.payload, hex("00 FF 80"));
    assert!(will.properties.has(id::WILL_DELAY_INTERVAL));
    assert_eq!(
        read.user_name.as_ref().map(Utf8String::as_str),
        Some("user")
    );
    assert_eq!(read.password.clone().unwrap(), hex("00 FF"));
    let mut out = Vec::new();
    read.encode(&mut out);
    assert_eq!(out[2..], hex(body));
}

#[test]
fn an_empty_user_name_is_a_user_name() {
    let read = decode(0x10, "00 04 'MQTT' 04 C2 00 0A 00 01 'p' 00 00 00 00").unwrap();
    assert_eq!(read.user_name.unwrap().as_str(), "");
    assert_eq!(read.password.unwrap(), "");
}

#[test]
fn version_5_may_send_a_password_alone() {
    let read = decode(0x10, "00 04 'MQTT' 05 42 00 0A 00 00 01 'p' 00 01 FF").unwrap();
    assert_eq!(
        (read.user_name, read.password.unwrap()),
        (None, hex("FF").into())
    );
    assert_eq!(
        fault("00 04 'MQTT' 04 42 00 0A 00 01 'p' 00 01 'p'"),
        Malformed::Credentials
    );
}

#[test]
fn version_3_1_is_read_leniently() {
    assert!(decode(0x14, "00 06 'MQIsdp' 03 01 00 0A 00 01 'p'").is_ok());
    let no_name = decode(0x10, "00 06 'MQIsdp' 03 C2 00 0A 00 01 'p'").unwrap();
    assert_eq!((no_name.user_name, no_name.password), (None, None));
    assert_eq!(answer("00 06 'MQIsdp' 03 02 00 0A 00 00"), "20 02 00 02");
}

#[test]
fn a_mosquitto_bridge_says_so_in_its_protocol_level() {
    let read = decode(0x10, "00 04 'MQTT' 84 02 00 0A 00 01 'p'").unwrap();
    assert_eq!((read.version, read.is_bridge), (Version::V311, true));
}

#[test]
fn other_versions_are_answered_in_a_form_their_client_may_read() {
    let table = [
        ("00 06 'MQIsdp' 02 00 00 0A 00 01 'p'", "20 03 00 84 00"),
        ("00 06 'MQIsdp' 04 00 00 0A 00 01 'p'", "20 02 00 01"),
        ("00 06 'MQIsdp' 06 00 00 0A 00 01 'p'", "20 03 00 84 00"),
        ("00 04 'MQTT' 03 02 00 0A 00 01 'p'", "20 02 00 01"),
        ("00 04 'MQTT' 02 02 00 0A 00 01 'p'", "20 03 00 84 00"),
        ("00 04 'MQTT' 06 02 00 0A 00 01 'p'", "20 03 00 84 00"),
    ];
    for (body, bytes) in table {
        assert_eq!(answer(body), bytes, "{body}");
    }
}

#[test]
fn an_empty_client_id_needs_a_clean_session_in_3_1_1_mqtt_3_1_3_8() {
    assert!(decode(0x10, "00 04 'MQTT' 04 02 00 0A 00 00").is_ok());
    assert_eq!(answer("00 04 'MQTT' 04 00 00 0A 00 00"), "20 02 00 02");
    assert!(decode(0x10, "00 04 'MQTT' 05 00 00 0A 00 00 00").is_ok());
}

#[test]
fn what_closes_without_a_word() {
    let table = [
        "",
        "00 03 'MQT' 04 02 00 0A 00 01 'p'",
        "00 00 04 02 00 0A 00 01 'p'",
        "00 05 'MQTTT' 04 02 00 0A 00 01 'p'",
        "00 04 'MQTU' 04 02 00 0A 00 01 'p'",
        "00 04",
        "00 04 'MQTT'",
        "00 04 'MQTT' 05",
        "00 04 'MQTT' 05 02",
        "00 04 'MQTT' 04 02 00 0A",
        "00 04 'MQTT' 05 03 00 0A 00 00 01 'p'",
        "00 04 'MQTT' 04 01 00 0A 00 01 'p'",
        "00 04 'MQTT' 04 02 00 0A 00 01 'p' 00",
        "00 04 'MQTT' 04 0A 00 0A 00 01 'p'",
        "00 04 'MQTT' 04 22 00 0A 00 01 'p'",
        "00 04 'MQTT' 05 22 00 0A 00 00 01 'p'",
        "00 04 'MQTT' 04 06 00 0A 00 01 'p'",
        "00 04 'MQTT' 04 06 00 0A 00 01 'p' 00 01 'p'",
        "00 04 'MQTT' 04 1E 00 0A 00 01 'p' 00 01 'p' 00 01 'p'",
        "00 04 'MQTT' 05 1E 00 0A 00 00 01 'p' 00 00 01 'p' 00 01 'p'",
        "00 04 'MQTT' 04 06 00 0A 00 01 'p' 00 05 'top' 00 00 00 01 'p'",
        "00 04 'MQTT' 04 02 00 0A 00 05 'top' 00 00",
        "00 04 'MQTT' 04 02 00 0A 00 05 'to' ED A0 80",
        "00 04 'MQTT' 04 82 00 0A 00 01 'p'",
        "00 04 'MQTT' 05 82 00 0A 00 00 01 'p'",
        "00 04 'MQTT' 05 82 00 0A 00 00 01 'p' 00 05 'top' C2 9F",
        "00 04 'MQTT' 05 C2 00 0A 00 00 01 'p' 00 01 'p'",
        "00 04 'MQTT' 04 42 00 0A 00 01 'p' 00 01 'p'",
    ];
    for body in table {
        assert_eq!(answer(body), "", "{body}");
    }
    for first_byte in [0x11, 0x12, 0x14, 0x18, 0x1F] {
        let refusal = decode(first_byte, "00 04 'MQTT' 04 02 00 0A 00 01 'p'").unwrap_err();
        assert_eq!(
            (refusal.why, refusal.answer()),
            (Malformed::ConnectFlags, None)
        );
    }
}

#[test]
fn what_version_5_is_told() {
    let table = [
        // A client identifier with a character that may not stand in it.
        ("02 00 0A 00 00 05 'top' 00 00", "85"),
        ("02 00 0A 00 00 05 'to' ED A0 80", "85"),
        ("02 00 0A 00 00 05 'to' EF BF BF", "85"),
        // A will without topic, without payload, with a bad topic, with an empty one.
        ("06 00 0A 00 00 01 'p'", "81"),
        ("06 00 0A 00 00 01 'p' 00 00 01 'p'", "81"),
        (
            "06 00 0A 00 00 01 'p' 00 00 05 'top' 01 'p' 00 01 'p'",
            "81",
        ),
        ("06 00 0A 00 00 01 'p' 00 00 00 00 01 'p'", "81"),
        ("06 00 0A 00 00 01 'p' 00 00 03 'a/#' 00 01 'p'", "81"),
        // Fields that no flag announced.
        ("02 00 0A 00 00 01 'q' 00 01 'q'", "81"),
        ("82 00 0A 00 00 01 'p' 00 01 'p' 00 01 'p'", "81"),
        // Properties.
        ("02 00 0A 0A 11 00 00 00 01 11 00 00 00 01 00 01 'p'", "82"),
        ("02 00 0A 01 11 00 01 'p'", "81"),
        ("02 00 0A 03 21 00 00 00 01 'p'", "82"),
        ("02 00 0A 05 27 00 00 00 00 00 01 'p'", "82"),
        ("02 00 0A 02 17 02 00 01 'p'", "82"),
        ("02 00 0A 02 24 01 00 01 'p'", "82"),
        ("02 00 0A 24 01 00 01 'p'", "81"),
        ("02 00 0A 02 04 01 00 01 'p'", "81"),
        ("02 00 0A 04 16 00 01 'd' 00 01 'p'", "82"),
        (
            "06 00 0A 00 00 01 'p' 05 11 00 00 00 01 00 01 'p' 00 01 'p'",
            "82",
        ),
        (
            "06 00 0A 00 00 01 'p' 04 01 01 01 01 00 01 'p' 00 01 'p'",
            "82",
        ),
        (
            "06 00 0A 00 00 01 'p' 03 08 00 00 00 01 'p' 00 01 'p'",
            "82",
        ),
    ];
    for (rest, reason) in table {
        let body = format!("00 04 'MQTT' 05 {rest}");
        assert_eq!(answer(&body), format!("20 03 00 {reason} 00"), "{body}");
    }
}

#[test]
fn a_connect_that_ends_early_is_refused_wherever_it_ends() {
    let body = hex("00 04 'MQTT' 05 EC 00 3C 03 21 00 14 00 03 'dev' \
         05 18 00 00 00 05 00 04 'gone' 00 03 00 FF 80 00 04 'user' 00 02 00 FF");
    for end in 0..body.len() {
        let cut = Bytes::copy_from_slice(&body[..end]);
        assert!(Connect::decode(0x10, &cut).is_err(), "{end}");
    }
}
