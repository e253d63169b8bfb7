//! Reasons in words, where the client takes them and they fit.

use super::support::{Bench, packet};
use crate::wire::hex::hex;

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.settings.reason_strings = true;
    bench
}

/// A 5.0 CONNECT with these properties.
fn connect(properties: &str) -> String {
    let length = hex(properties).len();
    format!("00 04 'MQTT' 05 02 00 3C {length:02X} {properties} 00 01 'c'")
}

#[test]
fn a_refused_publish_is_explained() {
    let bench = bench();
    let mut client = bench.connected(&connect(""));
    let words = "1F 00 0E 'not authorized'";
    let puback = packet("40", &format!("00 01 87 11 {words}"));
    assert_eq!(
        client.send(&bench, "32 08 00 02 '$x' 00 01 00 'x'"),
        hex(&puback)
    );
    let pubrec = packet("50", &format!("00 02 87 11 {words}"));
    assert_eq!(
        client.send(&bench, "34 08 00 02 '$x' 00 02 00 'x'"),
        hex(&pubrec)
    );
    assert_eq!(
        client.send(&bench, "34 07 00 01 'x' 00 02 00 'x'"),
        hex("50 03 00 02 10")
    );
}

#[test]
fn a_refused_subscription_is_explained() {
    let bench = bench();
    let mut client = bench.connected(&connect(""));
    let subscribe = packet("82", "00 01 00 00 01 'a' 00 00 08 '$reply/q' 00");
    let suback = packet("90", "00 01 11 1F 00 0E 'not authorized' 00 87");
    assert_eq!(client.send(&bench, &subscribe), hex(&suback));
}

#[test]
fn a_client_that_asks_not_to_be_told_is_not_mqtt_3_1_2_29() {
    let bench = bench();
    let mut client = bench.connected(&connect("17 00"));
    let puback = client.send(&bench, "32 08 00 02 '$x' 00 01 00 'x'");
    assert_eq!(puback, hex("40 03 00 01 87"));
    let suback = client.send(&bench, &packet("82", "00 01 00 00 08 '$reply/q' 00"));
    assert_eq!(suback, hex("90 04 00 01 00 87"));
    // CONNACK and DISCONNECT may explain all the same.
    let goodbye = packet("E0", "94 1B 1F 00 18 'topic alias out of range'");
    assert_eq!(
        client.send(&bench, "30 08 00 01 't' 03 23 00 0B 'x'"),
        hex(&goodbye)
    );
}

#[test]
fn words_that_do_not_fit_are_left_out_mqtt_3_1_2_24() {
    let bench = bench();
    let mut client = bench.connected(&connect("27 00 00 00 14"));
    let puback = client.send(&bench, "32 08 00 02 '$x' 00 01 00 'x'");
    assert_eq!(puback, hex("40 03 00 01 87"));
    let suback = client.send(&bench, &packet("82", "00 01 00 00 08 '$reply/q' 00"));
    assert_eq!(suback, hex("90 04 00 01 00 87"));
    assert_eq!(client.send(&bench, "C1 00"), hex("E0 01 81"));
}

#[test]
fn a_refused_connect_is_explained() {
    let bench = bench();
    let refused = |properties: &str| {
        let connect = connect(&format!("15 00 01 'x' {properties}"));
        bench.client().send(&bench, &packet("10", &connect))
    };
    let words = "26 1F 00 23 'authentication method not supported'";
    assert_eq!(refused(""), hex(&packet("20", &format!("00 8C {words}"))));
    assert_eq!(refused("27 00 00 00 14"), hex("20 03 00 8C 00"));
    let old = bench
        .client()
        .send(&bench, &packet("10", "00 04 'MQTT' 04 00 00 00 00 00"));
    assert_eq!(old, hex("20 02 00 02"));
}

#[test]
fn an_answer_larger_than_the_client_takes_ends_the_connection_mqtt_3_1_2_24() {
    let bench = Bench::new();
    let mut client = bench.connected(&connect("27 00 00 00 14"));
    let filters = "00 01 'a' 00 ".repeat(17);
    let subscribe = packet("82", &format!("00 01 00 {filters}"));
    assert_eq!(client.send(&bench, &subscribe), hex("E0 01 95"));
    assert!(client.is_closed());
}

#[test]
fn without_the_key_there_are_codes_alone() {
    let bench = Bench::new();
    let mut client = bench.connected(&connect(""));
    let puback = client.send(&bench, "32 08 00 02 '$x' 00 01 00 'x'");
    assert_eq!(puback, hex("40 03 00 01 87"));
    assert_eq!(client.send(&bench, "C1 00"), hex("E0 01 81"));
}

#[test]
fn that_a_right_is_missing_may_stay_untold() {
    let mut bench = Bench::new();
    bench.settings.tell_missing_rights = false;
    bench.rights = ("^$", "^$");
    let mut client = bench.connected(&connect(""));
    let suback = client.send(&bench, &packet("82", "00 01 00 00 01 't' 02 00 02 'a#' 02"));
    assert_eq!(suback, hex("E0 01 81"), "what is malformed is not hidden");
    let mut client = bench.connected(&connect(""));
    let suback = client.send(&bench, &packet("82", "00 01 00 00 01 't' 02"));
    assert_eq!(suback, hex("90 04 00 01 00 80"));
    let puback = client.send(&bench, "32 07 00 01 't' 00 01 00 'x'");
    assert_eq!(puback, hex("40 03 00 01 80"));
    let pubrec = client.send(&bench, "34 07 00 01 't' 00 02 00 'x'");
    assert_eq!(pubrec, hex("50 03 00 02 80"));
}
