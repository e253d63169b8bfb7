//! Sessions: what a client finds when it comes back, and who else may have it.

use super::support::{Bench, packet};
use crate::wire::hex::hex;

const PERSISTENT: &str = "00 04 'MQTT' 04 00 00 3C 00 01 's'";
const CLEAN: &str = "00 04 'MQTT' 04 02 00 3C 00 01 's'";
/// 5.0, clean start 0, session expiry 60 s.
const MINUTE: &str = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 's'";

fn connect(bench: &Bench, body: &str) -> (super::support::Client, bool) {
    let mut client = bench.client();
    let all = client.send(bench, &packet("10", body));
    (client, all[2] == 1)
}

#[test]
fn a_persistent_session_keeps_subscriptions_and_messages_mqtt_3_1_2_4() {
    let bench = Bench::new();
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    client.send(&bench, "E0 00");
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "32 06 00 01 't' 00 01 'x' 30 04 00 01 't' 'y'");
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", PERSISTENT));
    assert_eq!(all, hex("20 02 01 00 32 06 00 01 't' 00 01 'x'"));
    publisher.send(&bench, "32 06 00 01 't' 00 01 'z'");
    assert_eq!(client.recv(&bench), hex("32 06 00 01 't' 00 02 'z'"));
}

#[test]
fn unacknowledged_messages_are_sent_again_with_dup_and_their_identifiers_mqtt_4_4_0_1() {
    let bench = Bench::new();
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 02");
    let mut publisher = bench.v4("p");
    publisher.send(
        &bench,
        "32 06 00 01 't' 00 01 'a' 34 06 00 01 't' 00 02 'b'",
    );
    publisher.send(&bench, "62 02 00 02 34 06 00 01 't' 00 03 'c' 62 02 00 03");
    assert_eq!(client.recv(&bench).len(), 24);
    assert_eq!(client.send(&bench, "50 02 00 03"), hex("62 02 00 03"));
    client.lose(&bench);
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", PERSISTENT));
    let again = "3A 06 00 01 't' 00 01 'a' 3C 06 00 01 't' 00 02 'b' 62 02 00 03";
    assert_eq!(all, hex(&format!("20 02 01 00 {again}")));
    assert_eq!(
        client.send(&bench, "40 02 00 01 70 02 00 03 50 02 00 02"),
        hex("62 02 00 02")
    );
    assert_eq!(client.send(&bench, "70 02 00 02"), "");
    publisher.send(&bench, "32 06 00 01 't' 00 01 'd'");
    assert_eq!(client.recv(&bench), hex("32 06 00 01 't' 00 04 'd'"));
}

#[test]
fn what_is_sent_again_keeps_to_the_receive_maximum() {
    let bench = Bench::new();
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    let mut publisher = bench.v4("p");
    for payload in ["a", "b", "c"] {
        publisher.send(&bench, &format!("32 06 00 01 't' 00 01 '{payload}'"));
    }
    client.recv(&bench);
    client.lose(&bench);
    let two = "00 04 'MQTT' 05 00 00 3C 08 11 00 00 00 3C 21 00 02 00 01 's'";
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", two));
    let first = "3A 07 00 01 't' 00 01 00 'a' 3A 07 00 01 't' 00 02 00 'b'";
    assert_eq!(all[16..], hex(first));
    assert_eq!(
        client.send(&bench, "40 02 00 01"),
        hex("3A 07 00 01 't' 00 03 00 'c'")
    );
    publisher.send(&bench, "32 06 00 01 't' 00 01 'd'");
    assert_eq!(client.recv(&bench), "");
    assert_eq!(
        client.send(&bench, "40 02 00 02"),
        hex("32 07 00 01 't' 00 04 00 'd'")
    );
}

#[test]
fn a_received_qos_2_identifier_is_remembered_by_the_session() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("r");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "34 06 00 01 't' 00 07 'x'");
    client.lose(&bench);
    let mut client = bench.connected(PERSISTENT);
    assert_eq!(
        client.send(&bench, "3C 06 00 01 't' 00 07 'x'"),
        hex("50 02 00 07")
    );
    assert_eq!(client.send(&bench, "62 02 00 07"), hex("70 02 00 07"));
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'x'"));
}

#[test]
fn a_clean_session_leaves_nothing_behind() {
    let bench = Bench::new();
    let mut client = bench.connected(CLEAN);
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    client.lose(&bench);
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 0);
    let (mut client, is_present) = connect(&bench, PERSISTENT);
    assert!(!is_present);
    bench.v4("p").send(&bench, "32 06 00 01 't' 00 01 'x'");
    assert_eq!(client.recv(&bench), "");
}

#[test]
fn a_clean_start_discards_an_existing_session_mqtt_3_1_2_4() {
    let bench = Bench::new();
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    client.lose(&bench);
    bench.v4("p").send(&bench, "32 06 00 01 't' 00 01 'x'");
    let mut client = bench.client();
    assert_eq!(
        client.send(&bench, &packet("10", CLEAN)),
        hex("20 02 00 00")
    );
}

#[test]
fn a_session_expires_after_its_interval_mqtt_3_1_2_23() {
    let mut bench = Bench::new();
    bench.connected(MINUTE).lose(&bench);
    bench.pass(59_999);
    let (client, is_present) = connect(&bench, MINUTE);
    assert!(is_present);
    client.lose(&bench);
    bench.pass(60_000);
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 0);
    assert!(!connect(&bench, MINUTE).1);
}

#[test]
fn disconnect_may_change_the_expiry() {
    let mut bench = Bench::new();
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "E0 07 00 05 11 00 00 00 05");
    bench.pass(5_000);
    assert!(!connect(&bench, MINUTE).1);
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "E0 07 00 05 11 00 00 00 00");
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 0);
}

#[test]
fn a_second_connection_takes_the_session_over_mqtt_3_1_4_3() {
    let bench = Bench::new();
    let mut first = bench.connected(MINUTE);
    first.send(&bench, "82 07 00 01 00 00 01 't' 01");
    let (mut second, is_present) = connect(&bench, MINUTE);
    assert!(is_present);
    assert_eq!(first.recv(&bench), hex("E0 01 8E"));
    assert!(first.is_closed());
    bench.v4("p").send(&bench, "32 06 00 01 't' 00 01 'x'");
    assert_eq!(second.recv(&bench), hex("32 07 00 01 't' 00 01 00 'x'"));
}

#[test]
fn a_version_3_client_is_taken_over_without_a_word() {
    let bench = Bench::new();
    let mut first = bench.connected(CLEAN);
    let (_second, is_present) = connect(&bench, CLEAN);
    assert!(!is_present);
    assert_eq!(first.recv(&bench), "");
    assert!(first.is_closed());
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 1);
}

#[test]
fn a_takeover_loses_no_message_and_doubles_none() {
    let bench = Bench::new();
    let mut first = bench.connected(PERSISTENT);
    first.send(&bench, "82 06 00 01 00 01 't' 01");
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "32 06 00 01 't' 00 01 'a'");
    assert_eq!(first.recv(&bench), hex("32 06 00 01 't' 00 01 'a'"));
    publisher.send(&bench, "32 06 00 01 't' 00 02 'b'");
    let mut second = bench.client();
    let all = second.send(&bench, &packet("10", PERSISTENT));
    let again = "3A 06 00 01 't' 00 01 'a' 32 06 00 01 't' 00 02 'b'";
    assert_eq!(all, hex(&format!("20 02 01 00 {again}")));
    assert_eq!(first.recv(&bench), "");
}

#[test]
fn a_full_session_takes_nothing_new_and_the_publisher_goes_on() {
    let bench = Bench::with_queues_of(2, None);
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    client.lose(&bench);
    let mut publisher = bench.v4("p");
    for payload in ["a", "b", "c"] {
        let puback = publisher.send(&bench, &format!("32 06 00 01 't' 00 01 '{payload}'"));
        assert_eq!(puback, hex("40 02 00 01"));
    }
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", PERSISTENT));
    let kept = "32 06 00 01 't' 00 01 'a' 32 06 00 01 't' 00 02 'b'";
    assert_eq!(all, hex(&format!("20 02 01 00 {kept}")));
}
