//! Limits in both directions, each reached.

use routing::{Frontend, OutboxLimits, Overflow};

use super::support::{Bench, packet};
use crate::TopicLimits;
use crate::wire::hex::hex;

#[test]
fn a_packet_over_the_maximum_is_refused_before_it_is_whole() {
    let mut bench = Bench::new();
    bench.settings.sizes.packet = 1000;
    let mut v5 = bench.v5("p");
    assert_eq!(v5.send(&bench, "30 E6 07"), hex("E0 01 95"));
    let mut v4 = bench.v4("q");
    assert_eq!(v4.send(&bench, "30 E6 07"), "");
    assert!(v4.is_closed() && v5.is_closed());
    assert!(!{
        let mut fits = bench.v5("r");
        fits.send(&bench, "30 E5 07");
        fits.is_closed()
    });
}

#[test]
fn more_than_the_receive_maximum_ends_the_connection_mqtt_3_3_4_9() {
    let mut bench = Bench::new();
    bench.settings.receive_max = 2;
    let mut client = bench.v5("p");
    let two = "34 07 00 01 't' 00 01 00 'x' 34 07 00 01 't' 00 02 00 'x'";
    assert_eq!(
        client.send(&bench, two),
        hex("50 03 00 01 10 50 03 00 02 10")
    );
    // A repetition is no new message.
    assert_eq!(
        client.send(&bench, "3C 07 00 01 't' 00 02 00 'x'"),
        hex("50 02 00 02")
    );
    client.send(&bench, "62 02 00 01");
    assert_eq!(
        client.send(&bench, "34 07 00 01 't' 00 03 00 'x'"),
        hex("50 03 00 03 10")
    );
    assert_eq!(
        client.send(&bench, "34 07 00 01 't' 00 04 00 'x'"),
        hex("E0 01 93")
    );
    assert!(client.is_closed());
}

#[test]
fn a_slow_qos_0_receiver_loses_messages_and_nobody_else_does() {
    let mut bench = Bench::new();
    bench.settings.outbox = OutboxLimits {
        items_max: 10,
        bytes_max: 1 << 20,
        overflow: Overflow::DropNewest,
    };
    let mut slow = bench.v4("slow");
    slow.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut quick = bench.v4("quick");
    quick.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v4("p");
    let mut received = 0;
    for _ in 0..100 {
        publisher.send(&bench, "30 04 00 01 't' 'x'");
        received += quick.recv(&bench).len() / 6;
    }
    assert_eq!(received, 100);
    assert_eq!(slow.recv(&bench).len() / 6, 10);
    assert_eq!(slow.connection.outbox().dropped(), 90);
}

#[test]
fn deliveries_stop_while_much_waits_to_be_written() {
    let bench = Bench::new();
    let mut client = bench.v4("s");
    client.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v4("p");
    let mut large = hex("30 83 80 04 00 01 't'");
    large.extend([7; 65_536]);
    for _ in 0..10 {
        publisher.send_bytes(&bench, &large);
    }
    client.connection.handle_outbox(bench.now, &mut client.out);
    let waiting = client.out.len();
    let high_water = routing::frontend::OUT_HIGH_WATER_BYTES;
    assert!(
        (high_water..high_water + 70_000).contains(&waiting),
        "{waiting}"
    );
    client.connection.handle_outbox(bench.now, &mut client.out);
    assert_eq!(client.out.len(), waiting);
    assert_eq!(client.recv(&bench).len(), 10 * large.len());
}

#[test]
fn a_receiver_that_is_to_be_disconnected_is_told() {
    let mut bench = Bench::new();
    bench.settings.outbox = OutboxLimits {
        items_max: 1,
        bytes_max: 1 << 20,
        overflow: Overflow::Disconnect,
    };
    let mut slow = bench.v5("slow");
    slow.send(&bench, "82 07 00 01 00 00 01 't' 00");
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "30 04 00 01 't' 'x' 30 04 00 01 't' 'x'");
    assert_eq!(slow.recv(&bench), hex("E0 01 97"));
    assert!(slow.is_closed());
}

/// Two levels and four bytes.
fn bench_of_short_topics() -> Bench {
    let mut bench = Bench::new();
    bench.settings.topics = TopicLimits {
        levels_max: 2,
        bytes_max: 4,
    };
    bench
}

#[test]
fn a_topic_beyond_the_limits_is_refused_where_it_can_be_and_else_ends_the_connection() {
    let bench = bench_of_short_topics();
    let mut v5 = bench.v5("p");
    for (sent, answer) in [
        ("32 0B 00 04 'a/bc' 00 01 00 'xy'", "40 03 00 01 10"),
        ("32 0B 00 05 'a/b/c' 00 02 00 'x'", "40 03 00 02 90"),
        ("34 0B 00 05 'abcde' 00 03 00 'x'", "50 03 00 03 90"),
        ("34 0A 00 04 'a//b' 00 04 00 'x'", "50 03 00 04 90"),
    ] {
        assert_eq!(v5.send(&bench, sent), hex(answer), "{sent}");
    }
    assert_eq!(v5.send(&bench, "30 08 00 05 'abcde' 00"), hex("E0 01 90"));
    assert!(v5.is_closed());
    for sent in ["30 07 00 05 'a/b/c'", "32 09 00 05 'a/b/c' 00 01"] {
        let mut v4 = bench.v4("q");
        assert_eq!(v4.send(&bench, sent), "");
        assert!(v4.is_closed(), "{sent}");
    }
}

#[test]
fn an_alias_for_a_topic_beyond_the_limits_does_not_help() {
    let bench = bench_of_short_topics();
    let mut v5 = bench.v5("p");
    let named = "32 0D 00 05 'abcde' 00 01 03 23 00 01";
    assert_eq!(v5.send(&bench, named), hex("40 03 00 01 90"));
    let by_alias = "32 08 00 00 00 02 03 23 00 01";
    assert_eq!(v5.send(&bench, by_alias), hex("40 03 00 02 90"));
}

#[test]
fn a_filter_beyond_the_limits_is_refused_and_the_others_are_not() {
    let bench = bench_of_short_topics();
    let two = "82 11 00 01 00 00 05 'a/+/c' 00 00 03 'a/#' 00";
    assert_eq!(bench.v5("s").send(&bench, two), hex("90 05 00 01 00 8F 00"));
    let two = "82 10 00 01 00 05 'abcde' 00 00 03 'a/#' 00";
    assert_eq!(bench.v4("t").send(&bench, two), hex("90 04 00 01 80 00"));
}

#[test]
fn a_will_beyond_the_limits_is_refused_at_connect() {
    let bench = bench_of_short_topics();
    for (connect, connack) in [
        (
            "00 04 'MQTT' 05 06 00 3C 00 00 01 'w' 00 00 05 'a/b/c' 00 01 'x'",
            "20 03 00 90 00",
        ),
        (
            "00 04 'MQTT' 04 06 00 3C 00 01 'w' 00 05 'a/b/c' 00 01 'x'",
            "20 02 00 03",
        ),
    ] {
        let mut client = bench.client();
        assert_eq!(client.send(&bench, &packet("10", connect)), hex(connack));
        assert!(client.is_closed());
    }
}
