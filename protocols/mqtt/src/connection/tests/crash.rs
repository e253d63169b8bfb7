//! Sessions, QoS 2 and wills across a crash of the gateway: what was durable comes back, the rest
//! does not, and nothing leaves that a crash could make a lie of.

use bytes::Bytes;

use super::durability::{SlowJournal, slow, sync};
use super::support::{Bench, Client};
use crate::wire::hex::hex;

const SUBSCRIBER: &str = "10 0D 00 04 'MQTT' 04 00 00 3C 00 01 's'";

/// A subscriber of `t` at QoS 2 whose session outlives its connections.
fn subscriber(bench: &Bench, journal: &SlowJournal) -> Client {
    let mut client = bench.client();
    assert_eq!(client.send(bench, SUBSCRIBER), hex("20 02 00 00"));
    client.send(bench, "82 06 00 01 00 01 't' 02");
    sync(bench, journal);
    assert_eq!(client.recv(bench), hex("90 03 00 01 02"));
    client
}

/// The subscriber is back; what it is sent behind CONNACK.
fn back(bench: &Bench) -> (Client, Bytes) {
    let mut client = bench.client();
    let received = client.send(bench, SUBSCRIBER);
    assert_eq!(received.get(..4), Some(&*hex("20 02 01 00")));
    (client, received.slice(4..))
}

/// Somebody publishes one byte at QoS 2.
fn publish(bench: &Bench, journal: &SlowJournal, byte: char) {
    let mut publisher = bench.v4("p");
    publisher.send(bench, &format!("34 06 00 01 't' 00 07 '{byte}'"));
    sync(bench, journal);
    assert_eq!(publisher.recv(bench), hex("50 02 00 07"));
    assert_eq!(publisher.send(bench, "62 02 00 07"), hex("70 02 00 07"));
}

#[test]
fn a_message_leaves_when_its_identifier_is_durable_and_has_it_again_after_a_crash() {
    let (bench, journal) = slow();
    let mut client = subscriber(&bench, &journal);
    publish(&bench, &journal, 'x');
    assert_eq!(client.recv(&bench), "", "the identifier is not durable");
    let (early, _) = journal.crash(bench.now);
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("34 06 00 01 't' 00 01 'x'"));
    // Not said to anybody, so not kept: it goes out as new.
    assert_eq!(back(&early).1, "");
    for _ in 0..2 {
        let (bench, _) = journal.crash(bench.now);
        assert_eq!(back(&bench).1, hex("3C 06 00 01 't' 00 01 'x'"));
    }
}

#[test]
fn pubrel_leaves_when_the_receipt_is_durable_and_again_after_a_crash() {
    let (bench, journal) = slow();
    let mut client = subscriber(&bench, &journal);
    publish(&bench, &journal, 'x');
    client.recv(&bench);
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("34 06 00 01 't' 00 01 'x'"));
    assert_eq!(client.send(&bench, "50 02 00 01"), "", "not durable");
    let (early, _) = journal.crash(bench.now);
    assert_eq!(back(&early).1, hex("3C 06 00 01 't' 00 01 'x'"));
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("62 02 00 01"));

    let (bench, journal) = journal.crash(bench.now);
    let (mut client, received) = back(&bench);
    assert_eq!(received, hex("62 02 00 01"), "and not the message");
    publish(&bench, &journal, 'y');
    client.recv(&bench);
    sync(&bench, &journal);
    let other = hex("34 06 00 01 't' 00 02 'y'");
    assert_eq!(client.recv(&bench), other, "1 is not free");
    assert_eq!(client.send(&bench, "70 02 00 01"), "");
    sync(&bench, &journal);

    let (bench, _) = journal.crash(bench.now);
    assert_eq!(back(&bench).1, hex("3C 06 00 01 't' 00 02 'y'"));
}

#[test]
fn an_exchange_that_ended_leaves_nothing_behind() {
    let (bench, journal) = slow();
    let mut client = subscriber(&bench, &journal);
    publish(&bench, &journal, 'x');
    for packet in ["", "50 02 00 01", "70 02 00 01"] {
        client.send(&bench, packet);
        sync(&bench, &journal);
        client.recv(&bench);
    }
    sync(&bench, &journal);
    let (bench, journal) = journal.crash(bench.now);
    assert_eq!(back(&bench).1, "");
    assert_eq!(journal.crash(bench.now).0.broker.vhosts().count(), 1);
}

#[test]
fn a_message_that_expired_meanwhile_is_released() {
    let (bench, journal) = slow();
    let mut client = subscriber(&bench, &journal);
    let mut publisher = bench.v5("p");
    publisher.send(&bench, "34 0C 00 01 't' 00 07 05 02 00 00 00 01 'x'");
    sync(&bench, &journal);
    client.recv(&bench);
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("34 06 00 01 't' 00 01 'x'"));

    let (mut bench, journal) = journal.crash(bench.now);
    bench.pass(5000);
    publish(&bench, &journal, 'y');
    let (mut client, _) = back(&bench);
    sync(&bench, &journal);
    let received = hex("62 02 00 01 34 06 00 01 't' 00 02 'y'");
    let mut all = client.recv(&bench).to_vec();
    sync(&bench, &journal);
    all.extend(client.recv(&bench));
    assert!(received.ends_with(&all) && !all.is_empty(), "{all:02x?}");
}

#[test]
fn a_repeated_publish_after_a_crash_is_not_handed_on_again() {
    let (bench, journal) = slow();
    subscriber(&bench, &journal).lose(&bench);
    let connect = "10 0D 00 04 'MQTT' 04 00 00 3C 00 01 'p'";
    let mut publisher = bench.client();
    publisher.send(&bench, connect);
    publisher.send(&bench, "34 06 00 01 't' 00 07 'x'");
    sync(&bench, &journal);
    let (bench, journal) = journal.crash(bench.now);
    let mut publisher = bench.client();
    publisher.send(&bench, connect);
    let answer = publisher.send(&bench, "3C 06 00 01 't' 00 07 'x'");
    assert_eq!(answer, hex("50 02 00 07"));
    let (mut client, _) = back(&bench);
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("34 06 00 01 't' 00 01 'x'"));
}

/// A will of QoS 1 on `t`, of a session that ends with its connection.
const WILL: &str = "00 04 'MQTT' 04 0E 00 3C 00 01 'c' 00 01 't' 00 04 'gone'";

#[test]
fn a_will_is_published_once_after_a_crash() {
    let (bench, journal) = slow();
    subscriber(&bench, &journal).lose(&bench);
    bench.connected(WILL);
    sync(&bench, &journal);
    let (bench, journal) = journal.crash(bench.now);
    sync(&bench, &journal);
    let (bench, _) = journal.crash(bench.now);
    assert_eq!(back(&bench).1, hex("32 09 00 01 't' 00 01 'gone'"));
}

#[test]
fn a_will_that_was_discarded_is_not_published_after_a_crash() {
    let (bench, journal) = slow();
    subscriber(&bench, &journal).lose(&bench);
    bench.connected(WILL).send(&bench, "E0 00");
    sync(&bench, &journal);
    let (bench, _) = journal.crash(bench.now);
    assert_eq!(back(&bench).1, "");
}

#[test]
fn a_delayed_will_waits_for_its_delay_after_a_crash_too() {
    let (bench, journal) = slow();
    subscriber(&bench, &journal).lose(&bench);
    // Session expiry 60 s, will delay 5 s.
    let connect = "00 04 'MQTT' 05 0C 00 3C 05 11 00 00 00 3C 00 01 'c' \
                   05 18 00 00 00 05 00 01 't' 00 04 'gone'";
    bench.connected(connect);
    sync(&bench, &journal);
    let (mut bench, journal) = journal.crash(bench.now);
    bench.pass(4000);
    let (mut client, received) = back(&bench);
    assert_eq!(received, "");
    bench.pass(1000);
    assert_eq!(client.recv(&bench), hex("32 09 00 01 't' 00 01 'gone'"));
    sync(&bench, &journal);
    let (mut bench, _) = journal.crash(bench.now);
    bench.pass(10_000);
    let again = back(&bench).1;
    assert_eq!(again, hex("32 09 00 01 't' 00 01 'gone'"), "and no second");
}
