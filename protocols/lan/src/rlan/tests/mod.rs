//! rlan between hosts on a network that loses, repeats and reorders.

mod network;
mod strangers;

use bytes::Bytes;

use super::*;
use network::{Faults, Network, record, settings};

const HOSTS: usize = 8;
const MESSAGES: u64 = 240;

/// Sends `MESSAGES` from host 0, some of them larger than a datagram, in batches of four.
fn send_all(network: &mut Network, pause_ms: u64) -> Vec<Bytes> {
    let size = |number| match number % 40 {
        13 => 9000,
        number => usize::try_from(number).unwrap() * 10,
    };
    let messages: Vec<_> = (0..MESSAGES).map(|it| record(it, size(it))).collect();
    for batch in messages.chunks(4) {
        network.publish(0, batch);
        network.run(pause_ms);
    }
    messages.into_iter().map(|it| it.payload).collect()
}

fn everybody_gets_everything(seed: u64, lost: u64) {
    let faults = Faults {
        lost,
        repeated: 5,
        delay_ms: 3,
    };
    let mut network = Network::new(HOSTS, seed, faults);
    network.run(50);
    let sent = send_all(&mut network, 2);
    network.run(if lost > 2 { 6000 } else { 1000 });
    for host in 1..HOSTS {
        let got = network.payloads(host);
        assert_eq!(got.len(), sent.len(), "seed {seed}, {lost} %, host {host}");
        assert!(got == sent, "seed {seed}, {lost} %, host {host}: order");
        assert_eq!(network.hosts[host].counts().lost, 0);
    }
    assert!(network.payloads(0).is_empty(), "own datagrams come back");
    // 240 messages in the ring of one, and what the others hold out of order.
    assert!(network.bytes_most < 1 << 20, "{}", network.bytes_most);
}

#[test]
fn every_message_arrives_once_in_order_on_every_host_without_loss() {
    (1..=20).for_each(|seed| everybody_gets_everything(seed, 0));
}

#[test]
fn every_message_arrives_once_in_order_on_every_host_at_2_percent_loss() {
    (1..=20).for_each(|seed| everybody_gets_everything(seed, 2));
}

#[test]
fn every_message_arrives_once_in_order_on_every_host_at_20_percent_loss() {
    (1..=20).for_each(|seed| everybody_gets_everything(seed, 20));
}

#[test]
fn without_loss_nothing_is_asked_for_and_messages_share_datagrams() {
    let mut network = Network::new(3, 1, Faults::default());
    network.run(50);
    let before = network.sent.len();
    let messages: Vec<_> = (0..100).map(|number| record(number, 64)).collect();
    network.publish(0, &messages);
    // 100 of 64 bytes, a head of 31 each, in bodies of 1428.
    assert_eq!(network.sent.len() - before, 7);
    network.run(100);
    assert_eq!(network.payloads(1).len(), 100);
    assert_eq!(network.hosts[0].counts().naks_received, 0);
}

#[test]
fn what_the_last_datagrams_said_is_found_missing_by_the_heartbeat() {
    let mut network = Network::new(2, 1, Faults::default());
    network.run(50);
    network.faults.lost = 100;
    network.publish(0, &[record(1, 8)]);
    network.run(1);
    network.faults.lost = 0;
    network.run(30);
    assert_eq!(network.payloads(1).len(), 1);
}

#[test]
fn a_loss_that_three_receivers_share_is_repaired_for_the_group() {
    let mut network = Network::new(HOSTS, 3, Faults::default());
    network.run(50);
    network.faults.lost = 100;
    network.publish(0, &[record(1, 8)]);
    network.run(1);
    network.faults.lost = 0;
    let before = network.sent.len();
    network.run(60);
    let repairs = network.sent[before..]
        .iter()
        .filter(|(from, _, datagram)| *from == 0 && datagram[3] == 1);
    let to: Vec<_> = repairs.map(|(_, to, _)| *to).collect();
    assert!(to.contains(&None), "{to:?}");
    assert!(to.len() <= 5, "{to:?}");
    assert!((1..HOSTS).all(|host| network.payloads(host).len() == 1));
}

/// Retained values that take several requests.
fn values(count: u64) -> Vec<Record> {
    let value = |number: u64| Record {
        topic: format!("plant/{number}").into(),
        retain: true,
        ..record(number, 500)
    };
    (0..count).map(value).collect()
}

#[test]
fn a_late_receiver_gets_the_retained_values_and_then_the_stream() {
    for lost in [0, 20] {
        let faults = Faults {
            lost,
            repeated: 5,
            delay_ms: 2,
        };
        let mut network = Network::new(2, 5, faults);
        network.retained = values(200);
        network.run(50);
        send_all(&mut network, 1);
        let late = network.add(settings(100, 1));
        network.run(5000);
        assert_eq!(network.snapshot(late).len(), 200, "{lost} %");
        let before = network.payloads(late).len();
        network.publish(0, &[record(7777, 8)]);
        network.run(1000);
        let got = network.payloads(late);
        assert_eq!(got[before..], [record(7777, 8).payload], "{lost} %");
        // What was sent before it came is in the snapshot's values, if anywhere.
        assert!(before < 5, "{before}");
    }
}

#[test]
fn a_receiver_without_an_answer_to_its_requests_takes_the_stream_as_it_comes() {
    let mut network = Network::new(1, 5, Faults::default());
    for number in 0..100 {
        network.publish(0, &[record(number, 8)]);
    }
    let deaf = network.add(settings(100, 1));
    network.publish(0, &[record(100, 8)]);
    network.run(1);
    network.faults.lost = 100;
    network.run(5000);
    assert_eq!(network.payloads(deaf), [record(100, 8).payload]);
}

#[test]
fn what_is_older_than_the_ring_is_gone_and_the_rest_arrives() {
    let mut network = Network::new(1, 5, Faults::default());
    let small_ring = RlanSettings {
        repair_bytes_max: 20_000,
        ..settings(50, 1)
    };
    let sender = network.add(small_ring);
    network.retained_at = sender;
    network.retained = values(3);
    network.run(50);
    network.faults.lost = 100;
    for number in 0..100 {
        network.publish(sender, &[record(number, 1000)]);
        assert!(network.hosts[sender].bytes() <= 22_000);
    }
    network.run(5);
    network.faults.lost = 0;
    network.run(2000);
    network.publish(sender, &[record(100, 8)]);
    network.run(100);
    let counts = *network.hosts[0].counts();
    let got = network.payloads(0);
    assert_eq!(u64::try_from(got.len()).unwrap() + counts.lost, 101);
    assert!(counts.lost > 80 && got.len() > 10, "{counts:?}");
    assert_eq!(got.last(), Some(&record(100, 8).payload));
    // At the first contact, and after the loss.
    assert_eq!(network.snapshot(0).len(), 6);
}

#[test]
fn a_receiver_that_always_lacks_everything_is_told_that_it_is_gone() {
    let mut network = Network::new(2, 5, Faults::default());
    let slow = RlanSettings {
        bytes_per_second: 8000,
        ..settings(50, 1)
    };
    let sender = network.add(slow);
    network.run(50);
    network.faults.lost = 100;
    let messages: Vec<_> = (0..1500).map(|number| record(number, 1300)).collect();
    network.publish(sender, &messages);
    network.run(5);
    network.faults.lost = 0;
    network.run(3000);
    assert!(network.hosts[sender].counts().gone > 0);
    let counts = *network.hosts[0].counts();
    let got = network.payloads(0).len();
    assert!(counts.lost > 0 && got > 700, "{counts:?} {got}");
}

#[test]
fn a_sender_that_starts_again_begins_a_new_epoch_and_loses_nothing() {
    let faults = Faults {
        lost: 20,
        repeated: 5,
        delay_ms: 2,
    };
    let mut network = Network::new(4, 11, faults);
    network.run(50);
    let mut sent = send_all(&mut network, 2);
    network.run(4000);
    network.hosts[0] = Rlan::new(settings(1, 2));
    sent.extend(send_all(&mut network, 2));
    network.run(4000);
    for host in 1..4 {
        assert!(network.payloads(host) == sent, "host {host}");
    }
}

#[test]
fn what_never_comes_is_given_up_after_ten_seconds() {
    let mut network = Network::new(2, 5, Faults::default());
    network.run(50);
    network.faults.lost = 100;
    network.publish(0, &[record(0, 8)]);
    network.run(1);
    network.faults.lost = 0;
    network.publish(0, &[record(1, 8)]);
    network.run(1);
    // The sender is dead from here on.
    network.faults.lost = 100;
    network.run(9000);
    assert_eq!(network.payloads(1).len(), 0);
    network.run(10_000);
    assert_eq!(network.payloads(1), [record(1, 8).payload]);
    assert_eq!(network.hosts[1].counts().lost, 1);
    let before = network.sent.len();
    network.run(10_000);
    let from = |(from, ..): &&(usize, Option<usize>, Bytes)| *from == 1;
    let beats = 10_000 / 500 + 1;
    assert!(network.sent[before..].iter().filter(from).count() <= beats);
}
