//! AUTH before the CONNACK and after it, with a mechanism of two steps (see [`Bench`]).

use super::support::{Bench, Client, packet};
use crate::wire::hex::hex;

const METHOD: &str = "15 00 0D 'SCRAM-SHA-256'";

/// CONNECT of a clean session that names the method and itself.
fn connect() -> String {
    packet(
        "10",
        &format!("00 04 'MQTT' 05 02 00 3C 17 {METHOD} 16 00 04 'name' 00 01 'c'"),
    )
}

/// AUTH with a reason code and data of one byte.
fn auth(reason: &str, data: char) -> String {
    packet("F0", &format!("{reason} 14 {METHOD} 16 00 01 '{data}'"))
}

fn connected(bench: &Bench) -> Client {
    let mut client = bench.client();
    client.send(bench, &connect());
    let connack = client.send(bench, &auth("18", '!'));
    assert_eq!(connack.get(3), Some(&0), "{connack:02x?}");
    client
}

#[test]
fn connack_follows_the_exchange_and_names_the_method_mqtt_4_12_0_5() {
    let bench = Bench::new();
    let mut client = bench.client();
    assert_eq!(client.send(&bench, &connect()), hex(&auth("18", '?')));
    let settings = "22 00 0A 27 00 1E 84 80 21 00 14";
    let proof = format!("{METHOD} 16 00 02 'ok'");
    let connack = packet("20", &format!("00 00 20 {settings} {proof}"));
    assert_eq!(client.send(&bench, &auth("18", '!')), hex(&connack));
    assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
}

#[test]
fn another_method_is_refused_mqtt_4_12_0_1() {
    let bench = Bench::new();
    let mut client = bench.client();
    let connect = packet(
        "10",
        "00 04 'MQTT' 05 02 00 3C 08 15 00 05 'TOKEN' 00 01 'c'",
    );
    assert_eq!(client.send(&bench, &connect), hex("20 03 00 8C 00"));
    assert!(client.is_closed());
}

#[test]
fn only_auth_comes_before_the_connack_mqtt_3_1_2_30() {
    let other_method = packet("F0", "18 08 15 00 05 'TOKEN'");
    for (packet, answer) in [
        ("C0 00", "20 03 00 82 00"),
        ("30 05 00 01 't' 00 'x'", "20 03 00 82 00"),
        (&*other_method, "20 03 00 82 00"),
        (&*auth("19", '!'), "20 03 00 82 00"),
        ("F0 00", "20 03 00 82 00"),
        ("C1 00", "20 03 00 81 00"),
        ("E0 00", ""),
    ] {
        let bench = Bench::new();
        let mut client = bench.client();
        client.send(&bench, &connect());
        assert_eq!(client.send(&bench, packet), hex(answer), "{packet}");
        assert!(client.is_closed(), "{packet}");
    }
}

#[test]
fn a_wrong_proof_is_refused_mqtt_4_12_0_4() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(&bench, &connect());
    assert_eq!(client.send(&bench, &auth("18", '.')), hex("20 03 00 86 00"));
    assert!(client.is_closed());
}

#[test]
fn an_exchange_that_takes_too_long_ends() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.send(&bench, &connect());
    bench.pass(9_999);
    client.timeout(&bench);
    assert!(!client.is_closed());
    bench.pass(1);
    assert_eq!(client.timeout(&bench), "");
    assert!(client.is_closed());
}

#[test]
fn reauthentication_brings_the_rights_of_today() {
    let mut bench = Bench::new();
    let mut client = connected(&bench);
    bench.rights = (".*", "^nothing$");
    assert_eq!(client.send(&bench, &auth("19", 'n')), hex(&auth("18", '?')));
    // Other packets go on meanwhile, with the rights of before. MQTT 5 §4.12.1
    let subscribe = "82 07 00 01 00 00 01 't' 00";
    assert_eq!(client.send(&bench, subscribe), hex("90 04 00 01 00 00"));
    let done = packet("F0", &format!("00 15 {METHOD} 16 00 02 'ok'"));
    assert_eq!(client.send(&bench, &auth("18", '!')), hex(&done));
    assert_eq!(client.send(&bench, subscribe), hex("90 04 00 01 00 87"));
}

#[test]
fn a_failed_reauthentication_ends_the_connection_mqtt_4_12_1_2() {
    let bench = Bench::new();
    let mut client = connected(&bench);
    client.send(&bench, &auth("19", 'n'));
    assert_eq!(client.send(&bench, &auth("18", '.')), hex("E0 01 87"));
    assert!(client.is_closed());
}

#[test]
fn auth_out_of_turn_is_a_protocol_error_mqtt_4_12_1_1() {
    let other_method = packet("F0", "19 08 15 00 05 'TOKEN'");
    for packet in [
        &*auth("18", '!'),
        &*auth("00", '!'),
        &*other_method,
        "F0 00",
    ] {
        let bench = Bench::new();
        let mut client = connected(&bench);
        assert_eq!(client.send(&bench, packet), hex("E0 01 82"), "{packet}");
        assert!(client.is_closed());
    }
}

#[test]
fn auth_without_a_method_in_connect_is_a_protocol_error_mqtt_4_12_0_7() {
    let bench = Bench::new();
    let mut client = bench.v5("c");
    assert_eq!(client.send(&bench, &auth("19", 'n')), hex("E0 01 82"));
}
