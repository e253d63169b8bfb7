//! Limits in both directions, each reached.

use routing::{Frontend, OutboxLimits, Overflow};

use super::support::Bench;
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
