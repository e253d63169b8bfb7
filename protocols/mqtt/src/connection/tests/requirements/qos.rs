//! Chapters 4.3, 4.4, 4.9: the QoS protocols, what is sent again, flow control.

use super::super::support::{Bench, packet};
use crate::wire::hex::hex;

/// 5.0, clean start 0, session expiry 60 s.
const MINUTE: &str = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 's'";
const MINUTE_CONNACK: usize = 16;

#[test]
fn a_client_that_takes_no_more_is_answered_all_the_same_mqtt_4_9_0_3() {
    let bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 3C 03 21 00 01 00 01 's'");
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    let mut publisher = bench.v4("p");
    publisher.send(
        &bench,
        "32 06 00 01 't' 00 01 'a' 34 06 00 01 't' 00 02 'b'",
    );
    assert_eq!(client.recv(&bench), hex("32 07 00 01 't' 00 01 00 'a'"));
    assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
    assert_eq!(
        client.send(&bench, "82 07 00 02 00 00 01 'u' 00"),
        hex("90 04 00 02 00 00")
    );
    publisher.send(&bench, "30 04 00 01 'u' 'c'");
    assert_eq!(client.recv(&bench), hex("30 05 00 01 'u' 00 'c'"));
    assert_eq!(
        client.send(&bench, "34 07 00 01 'v' 00 03 00 'd'").as_ref()[..1],
        hex("50")
    );
    assert_eq!(client.send(&bench, "62 02 00 03"), hex("70 02 00 03"));
    // The quota: one PUBREC without PUBCOMP holds it as long as one PUBLISH does.
    assert_eq!(
        client.send(&bench, "40 02 00 01"),
        hex("34 07 00 01 't' 00 02 00 'b'")
    );
    publisher.send(&bench, "32 06 00 01 't' 00 03 'e'");
    assert_eq!(client.send(&bench, "50 02 00 02"), hex("62 02 00 02"));
    assert_eq!(
        client.send(&bench, "70 02 00 02"),
        hex("32 07 00 01 't' 00 03 00 'e'")
    );
}

#[test]
fn an_acknowledged_identifier_is_a_new_message_even_with_dup_mqtt_4_3_2_5() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v4("p");
    for publish in ["32 06 00 01 't' 00 07 'x'", "3A 06 00 01 't' 00 07 'x'"] {
        assert_eq!(publisher.send(&bench, publish), hex("40 02 00 07"));
        assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'x'"));
    }
}

#[test]
fn a_refused_qos_2_identifier_is_free_again_mqtt_4_3_3_9() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v5("p");
    let refused = publisher.send(&bench, "34 0B 00 06 '$SYS/x' 00 07 00");
    assert_eq!(refused[..5], hex("50 03 00 07 87"));
    let taken = publisher.send(&bench, "34 07 00 01 't' 00 07 00 'y'");
    assert_eq!(taken, hex("50 02 00 07"));
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'y'"));
}

#[test]
fn a_message_under_way_does_not_expire_mqtt_4_3_3_7() {
    let mut bench = Bench::new();
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    bench
        .v5("p")
        .send(&bench, "34 0C 00 01 't' 00 09 05 02 00 00 00 01 'x'");
    assert_eq!(
        client.recv(&bench),
        hex("34 0C 00 01 't' 00 01 05 02 00 00 00 01 'x'")
    );
    client.lose(&bench);
    bench.pass(10_000);
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", MINUTE));
    let again = &all[MINUTE_CONNACK..];
    assert_eq!(again[..7], hex("3C 0C 00 01 't' 00 01"), "{again:02x?}");
    assert_eq!(client.send(&bench, "50 02 00 01"), hex("62 02 00 01"));
    assert_eq!(client.send(&bench, "70 02 00 01"), "");
}

#[test]
fn a_qos_2_exchange_goes_on_after_its_message_has_expired_mqtt_4_3_3_13() {
    let mut bench = Bench::new();
    let mut publisher = bench.v5("p");
    let publish = "34 0C 00 01 't' 00 09 05 02 00 00 00 01 'x'";
    assert_eq!(publisher.send(&bench, publish), hex("50 03 00 09 10"));
    bench.pass(10_000);
    assert_eq!(publisher.send(&bench, "62 02 00 09"), hex("70 02 00 09"));
}

#[test]
fn a_refused_message_is_not_sent_again_mqtt_4_4_0_2() {
    let bench = Bench::new();
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    let mut publisher = bench.v4("p");
    publisher.send(
        &bench,
        "32 06 00 01 't' 00 01 'a' 34 06 00 01 't' 00 02 'b'",
    );
    assert_eq!(client.recv(&bench).len(), 18);
    assert_eq!(client.send(&bench, "40 03 00 01 80 50 03 00 02 80"), "");
    client.lose(&bench);
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", MINUTE));
    assert_eq!(all.len(), MINUTE_CONNACK, "{all:02x?}");
}

#[test]
fn nothing_is_sent_again_on_an_open_connection_mqtt_4_4_0_1() {
    let mut bench = Bench::new();
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    let mut publisher = bench.v4("p");
    publisher.send(
        &bench,
        "32 06 00 01 't' 00 01 'a' 34 06 00 01 't' 00 02 'b'",
    );
    assert_eq!(client.recv(&bench).len(), 18);
    assert_eq!(client.send(&bench, "50 02 00 02"), hex("62 02 00 02"));
    for _ in 0..100 {
        bench.pass(60_000);
        assert_eq!(client.timeout(&bench), "");
        assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
    }
}

#[test]
fn a_publish_is_not_sent_again_after_its_pubrel_mqtt_4_3_3_6() {
    let bench = Bench::new();
    let mut client = bench.connected(MINUTE);
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    bench.v4("p").send(&bench, "34 06 00 01 't' 00 02 'b'");
    client.recv(&bench);
    assert_eq!(client.send(&bench, "50 02 00 01"), hex("62 02 00 01"));
    for _ in 0..2 {
        client.lose(&bench);
        client = bench.client();
        let all = client.send(&bench, &packet("10", MINUTE));
        assert_eq!(all[MINUTE_CONNACK..], hex("62 02 00 01"));
    }
    assert_eq!(client.send(&bench, "70 02 00 01"), "");
}

#[test]
fn pubrels_leave_in_the_order_of_their_pubrecs_mqtt_4_6_0_4() {
    let bench = Bench::new();
    let mut client = bench.v4("s");
    client.send(&bench, "82 06 00 01 00 01 't' 02");
    let mut publisher = bench.v4("p");
    for id in 1..=3 {
        publisher.send(&bench, &format!("34 06 00 01 't' 00 0{id} 'x'"));
    }
    client.recv(&bench);
    let pubrels = client.send(&bench, "50 02 00 02 50 02 00 03 50 02 00 01");
    assert_eq!(pubrels, hex("62 02 00 02 62 02 00 03 62 02 00 01"));
}
