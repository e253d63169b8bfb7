//! Shared subscriptions: who gets what, and what becomes of it when they leave.

use std::sync::Arc;

use routing::{Broker, MemoryJournal, SharedStrategy};

use super::support::{Bench, Client, packet, string};
use crate::wire::hex::hex;

fn bench(shared_strategy: SharedStrategy) -> Bench {
    let settings = routing::Settings {
        shared_strategy,
        ..routing::Settings::default()
    };
    let journal = Arc::new(MemoryJournal::default());
    Bench::with(Broker::new(
        settings,
        journal,
        vec![&crate::ORIGIN],
        Box::new(|| {}),
    ))
}

/// A clean 5.0 client that takes `receive_max` messages at a time, in group `g` on all topics.
fn member(bench: &Bench, client_id: &str, receive_max: u8) -> Client {
    let connect = "00 04 'MQTT' 05 02 00 3C 03 21 00";
    let connect = format!("{connect} {receive_max:02X} {}", string(client_id));
    let mut client = bench.connected(&connect);
    let subscribe = packet("82", &format!("00 01 00 {} 02", string("$share/g/#")));
    assert_eq!(client.send(bench, &subscribe), hex("90 04 00 01 00 02"));
    client
}

/// Publishes at QoS 1, the payload being one letter.
fn publish(bench: &Bench, topic: char, payloads: &str) {
    for payload in payloads.chars() {
        let sent = format!("32 07 00 01 '{topic}' 00 01 00 '{payload}'");
        bench.v5("p").send(bench, &sent);
    }
}

/// The last byte of each PUBLISH of QoS 1 or 2 to the topic of one letter.
fn payloads(client: &mut Client, bench: &Bench) -> String {
    let received = client.recv(bench);
    received
        .chunks(9)
        .map(|publish| char::from(publish[8]))
        .collect()
}

#[test]
fn who_is_behind_is_passed_over() {
    let bench = bench(SharedStrategy::RoundRobin);
    let mut slow = member(&bench, "slow", 1);
    let mut quick = member(&bench, "quick", 100);
    publish(&bench, 't', "abcdef");
    assert_eq!(payloads(&mut slow, &bench).len(), 1);
    assert_eq!(payloads(&mut quick, &bench).len(), 5);
    // It takes part again as soon as it has acknowledged.
    slow.send(&bench, "40 02 00 01");
    publish(&bench, 't', "gh");
    assert_eq!(payloads(&mut slow, &bench).len(), 1);
}

#[test]
fn when_all_are_behind_they_share_what_waits() {
    let bench = bench(SharedStrategy::RoundRobin);
    let mut members = ["a", "b"].map(|name| member(&bench, name, 1));
    publish(&bench, 't', "abcdef");
    for member in &mut members {
        let mut got = payloads(member, &bench).len();
        for packet_id in 1..10 {
            got += member
                .send(&bench, &format!("40 02 00 {packet_id:02X}"))
                .len()
                / 9;
        }
        assert_eq!(got, 3);
    }
}

#[test]
fn a_sticky_group_stays_with_one_until_it_is_gone() {
    let bench = bench(SharedStrategy::Sticky);
    let mut members = ["a", "b"].map(|name| member(&bench, name, 100));
    publish(&bench, 't', "abc");
    let got = members.each_mut().map(|member| payloads(member, &bench));
    assert_eq!(got, ["abc", ""]);
    let [first, mut second] = members;
    first.lose(&bench);
    // What the first had not acknowledged comes as well.
    publish(&bench, 't', "d");
    assert_eq!(payloads(&mut second, &bench), "abcd");
}

#[test]
fn a_hash_keeps_topics_and_publishers_together() {
    for strategy in [SharedStrategy::HashTopic, SharedStrategy::HashPublisher] {
        let mut bench = bench(strategy);
        // Whoever gets many of the topics must not be held back.
        bench.settings.inflight_max = 200;
        let mut clients = ["a", "b", "c", "d"].map(|name| member(&bench, name, 200));
        let mut holders = std::collections::HashSet::new();
        for topic in 'a'..='p' {
            let mut publisher = bench.v5("p");
            for _ in 0..3 {
                publisher.send(&bench, &format!("32 07 00 01 '{topic}' 00 01 00 'x'"));
            }
            let got = clients
                .iter_mut()
                .map(|client| payloads(client, &bench).len());
            let got = got.collect::<Vec<_>>();
            assert_eq!(got.iter().filter(|count| **count > 0).count(), 1, "{got:?}");
            holders.insert(got.iter().position(|count| *count == 3));
        }
        assert!(holders.len() > 1, "all went to one: {strategy:?}");
    }
}

#[test]
fn what_a_gone_member_has_not_acknowledged_goes_to_another_mqtt_4_8_2() {
    let bench = bench(SharedStrategy::Sticky);
    let mut gone = member(&bench, "gone", 2);
    publish(&bench, 't', "abcd");
    assert_eq!(payloads(&mut gone, &bench), "ab");
    gone.send(&bench, "40 02 00 01");
    let mut other = member(&bench, "other", 100);
    gone.lose(&bench);
    assert_eq!(payloads(&mut other, &bench), "bcd");
}

#[test]
fn qos_2_that_was_being_sent_stays_with_its_member_mqtt_4_8_2_5() {
    let bench = bench(SharedStrategy::Sticky);
    let mut gone = member(&bench, "gone", 1);
    let mut publisher = bench.v5("p");
    for payload in ["a", "b"] {
        let sent = format!("34 07 00 01 't' 00 01 00 '{payload}' 62 02 00 01");
        publisher.send(&bench, &sent);
    }
    assert_eq!(payloads(&mut gone, &bench), "a");
    let mut other = member(&bench, "other", 100);
    gone.lose(&bench);
    // The second was not sent to anybody.
    assert_eq!(payloads(&mut other, &bench), "b");
}

#[test]
fn qos_2_is_completed_with_the_member_that_comes_back_mqtt_4_8_2_4() {
    let bench = bench(SharedStrategy::RoundRobin);
    let lasting = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 'm'";
    let mut away = bench.connected(lasting);
    let subscribe = packet("82", &format!("00 01 00 {} 02", string("$share/g/#")));
    away.send(&bench, &subscribe);
    bench
        .v5("p")
        .send(&bench, "34 07 00 01 't' 00 01 00 'a' 62 02 00 01");
    assert_eq!(away.recv(&bench), hex("34 07 00 01 't' 00 01 00 'a'"));
    away.lose(&bench);
    let mut other = member(&bench, "other", 100);
    let mut back = bench.client();
    let all = back.send(&bench, &packet("10", lasting));
    assert!(
        all.ends_with(&hex("3C 07 00 01 't' 00 01 00 'a'")),
        "{all:02x?}"
    );
    assert_eq!(other.recv(&bench), "");
}

#[test]
fn a_refusal_ends_it_for_all_mqtt_4_8_2_6() {
    let bench = bench(SharedStrategy::RoundRobin);
    let mut members = ["a", "b"].map(|name| member(&bench, name, 1));
    publish(&bench, 't', "x");
    let holder = members
        .iter_mut()
        .position(|m| !m.recv(&bench).is_empty())
        .unwrap();
    assert_eq!(members[holder].send(&bench, "40 03 00 01 83"), "");
    let got = members.each_mut().map(|member| payloads(member, &bench));
    assert_eq!(got, ["", ""]);
}

#[test]
fn who_is_connected_comes_before_who_is_away() {
    for strategy in [
        SharedStrategy::RoundRobin,
        SharedStrategy::Sticky,
        SharedStrategy::HashTopic,
        SharedStrategy::HashPublisher,
    ] {
        let bench = bench(strategy);
        let lasting = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 'm'";
        let mut away = bench.connected(lasting);
        let subscribe = packet("82", &format!("00 01 00 {} 02", string("$share/g/#")));
        away.send(&bench, &subscribe);
        let mut here = member(&bench, "here", 100);
        away.lose(&bench);
        publish(&bench, 't', "abc");
        assert_eq!(payloads(&mut here, &bench), "abc", "{strategy:?}");
        // Alone, the one that is away keeps it.
        here.lose(&bench);
        publish(&bench, 't', "d");
        let all = bench.client().send(&bench, &packet("10", lasting));
        assert_eq!(all.last(), Some(&b'd'), "{strategy:?} {all:02x?}");
    }
}
