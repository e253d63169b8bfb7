//! Clients that do not read, and clients that hardly write.

use routing::{Frontend, OutBuf};

use super::support::{Bench, packet};
use crate::Count;
use crate::wire::hex::hex;

#[test]
fn a_byte_a_second_does_not_keep_a_connection_open_mqtt_3_1_2_22() {
    let mut bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 00 00 01 's'");
    // PUBLISH of 127 bytes, one at a time.
    let mut bytes = hex("30 7F 00 01 't' 00").to_vec();
    bytes.resize(129, b'x');
    let mut answer = bytes::Bytes::new();
    let mut seconds = 0;
    for byte in bytes {
        bench.pass(1000);
        seconds += 1;
        answer = client.timeout(&bench);
        if client.is_closed() {
            break;
        }
        client.send_bytes(&bench, &[byte]);
    }
    assert_eq!((seconds, answer), (16, hex("E0 01 8D").into()));
}

#[test]
fn a_packet_that_never_ends_has_its_time_without_keep_alive_too() {
    let mut bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 00 00 00 01 's'");
    client.send(&bench, "30 7F");
    bench.pass(60_001);
    client.timeout(&bench);
    assert!(!client.is_closed());
    bench.pass(1);
    assert_eq!(client.timeout(&bench), hex("E0 01 83"));
    // One that says nothing at all may stay.
    let mut silent = bench.connected("00 04 'MQTT' 05 02 00 00 00 00 01 'q'");
    bench.pass(1_000_000);
    assert_eq!(silent.timeout(&bench), "");
    assert!(!silent.is_closed());
}

#[test]
fn a_full_session_loses_the_new_and_it_is_counted() {
    let mut bench = Bench::with_queues_of(2, None);
    bench.settings.inflight_max = 1;
    let mut slow = bench.v5("slow");
    slow.send(&bench, "82 07 00 01 00 00 01 't' 01");
    let mut publisher = bench.v5("p");
    for payload in ["a", "b", "c", "d", "e"] {
        let sent = format!("32 07 00 01 't' 00 01 00 '{payload}'");
        // That somebody is full is not that nobody is there.
        assert_eq!(publisher.send(&bench, &sent), hex("40 02 00 01"));
    }
    assert_eq!(bench.broker.core().counters().refused_count(), 2);
    assert_eq!(slow.recv(&bench).last(), Some(&b'a'));
    assert_eq!(slow.send(&bench, "40 02 00 01").last(), Some(&b'b'));
    assert_eq!(slow.send(&bench, "40 02 00 02").last(), Some(&b'c'));
    assert_eq!(slow.send(&bench, "40 02 00 03"), "");
}

#[test]
fn a_session_is_full_by_bytes_too() {
    let mut bench = Bench::with_queues_of(1000, Some(900));
    bench.settings.inflight_max = 1;
    let mut slow = bench.v5("slow");
    slow.send(&bench, "82 07 00 01 00 00 01 't' 01");
    let mut publisher = bench.v5("p");
    for _ in 0..5 {
        publisher.send(&bench, "32 07 00 01 't' 00 01 00 'x'");
    }
    // Each takes about 390 bytes with its bookkeeping.
    assert_eq!(bench.broker.core().counters().refused_count(), 2);
}

#[test]
fn who_does_not_read_is_written_no_more_than_a_bounded_amount() {
    let bench = Bench::new();
    let mut slow = bench.v4("slow");
    slow.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v4("p");
    let mut publish = hex("30 83 20 00 01 't'").to_vec();
    publish.resize(3 + 4099, b'x');
    for _ in 0..1000 {
        publisher.send_bytes(&bench, &publish);
    }
    let mut out = OutBuf::default();
    for _ in 0..100 {
        slow.connection.handle_outbox(bench.now, &mut out);
    }
    assert!(out.len() < 300_000, "{}", out.len());
}

#[test]
fn packets_and_bytes_are_counted_both_ways() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    bench
        .v4("p")
        .send(&bench, &packet("30", "00 01 't' 'hello'"));
    subscriber.recv(&bench);
    let total = |count| bench.settings.counters.total(count);
    // Two CONNECT of 15 bytes, one SUBSCRIBE of 8, one PUBLISH of 10.
    assert_eq!((total(Count::PacketsIn), total(Count::BytesIn)), (4, 48));
    // Two CONNACK of 4 bytes, one SUBACK of 5, the PUBLISH.
    assert_eq!((total(Count::PacketsOut), total(Count::BytesOut)), (4, 23));
    assert_eq!(
        (total(Count::PublishesIn), total(Count::PublishesOut)),
        (1, 1)
    );
    assert_eq!((total(Count::PayloadIn), total(Count::PayloadOut)), (5, 5));
}
