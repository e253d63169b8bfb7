//! What those without the key, and those who repeat what they heard, can do: nothing.

use bytes::Bytes;
use proptest::prelude::*;

use super::network::{Faults, Network, START, address, key, record, settings};
use crate::rlan::{Rlan, RlanSettings, To};

/// Two hosts that have talked, with losses, so that datagrams of all kinds were sent.
fn talk() -> Network {
    let faults = Faults {
        lost: 20,
        repeated: 0,
        delay_ms: 1,
    };
    let mut network = Network::new(2, 7, faults);
    network.retained = vec![record(0, 8)];
    network.run(50);
    for number in 0..200 {
        network.publish(0, &[record(number, 100)]);
        network.run(1);
    }
    let late = network.add(settings(100, 1));
    network.run(1000);
    network.faults = Faults::default();
    network.run(1000);
    assert_eq!(network.payloads(1).len(), 200);
    assert_eq!(network.snapshot(late).len(), 1);
    network
}

#[test]
fn all_kinds_of_datagrams_that_are_sent_again_deliver_nothing() {
    let mut network = talk();
    let sent = std::mem::take(&mut network.sent);
    let kinds: std::collections::BTreeSet<_> = sent.iter().map(|(.., it)| it[3]).collect();
    assert_eq!(Vec::from_iter(kinds), [1, 2, 3, 5, 6, 7]);
    let before = network.delivered.clone();
    for (from, to, datagram) in &sent {
        let to = to.map_or(To::Group, |host| To::One(address(host)));
        network.send(*from, to, datagram);
        network.run(1);
    }
    network.run(1000);
    assert_eq!(network.delivered, before);
    assert!(network.hosts.iter().all(|host| host.counts().replays > 0));
    // An old epoch is refused for all who have heard of a newer one.
    network.hosts[0] = Rlan::new(settings(1, 2));
    network.run(1000);
    let replays = network.hosts[1].counts().replays;
    let data = sent.iter().filter(|(from, _, it)| *from == 0 && it[3] == 1);
    for (from, _, datagram) in data {
        network.send(*from, To::Group, datagram);
    }
    network.run(100);
    assert_eq!(network.delivered, before);
    assert!(network.hosts[1].counts().replays > replays + 100);
}

#[test]
fn a_datagram_with_any_byte_changed_is_refused() {
    let mut network = talk();
    let mut receiver = Rlan::new(settings(200, 1));
    let sent = std::mem::take(&mut network.sent);
    for kind in 1..=7 {
        let Some((.., datagram)) = sent.iter().find(|(.., it)| it[3] == kind) else {
            continue;
        };
        for index in 0..datagram.len() {
            let mut forged = datagram.to_vec();
            forged[index] ^= 1;
            let taken = receiver.handle_datagram(START, &forged, address(0));
            assert!(taken.is_err(), "type {kind}, byte {index}");
        }
        for length in 0..datagram.len() {
            let taken = receiver.handle_datagram(START, &datagram[..length], address(0));
            assert!(taken.is_err(), "type {kind}, cut to {length}");
        }
    }
    assert!(receiver.counts().refused > 100);
    assert_eq!((receiver.bytes(), receiver.take_delivered().len()), (0, 0));
    assert_eq!(receiver.poll_outgoing(), None);
}

#[test]
fn keys_are_rolled_without_a_loss_and_others_are_refused() {
    let with = |origin, ids: &[u8]| RlanSettings {
        keys: ids.iter().map(|id| key(*id)).collect(),
        ..settings(origin, 1)
    };
    let heard = |sender: &[u8], receiver: &[u8]| {
        let mut network = Network::new(0, 1, Faults::default());
        let (from, to) = (network.add(with(1, sender)), network.add(with(2, receiver)));
        network.publish(from, &[record(1, 8)]);
        network.run(500);
        (
            network.payloads(to).len(),
            network.hosts[to].counts().refused > 0,
        )
    };
    assert_eq!(heard(&[1], &[1]), (1, false));
    assert_eq!(heard(&[1], &[1, 2]), (1, false));
    assert_eq!(heard(&[2, 1], &[1, 2]), (1, false));
    assert_eq!(heard(&[2], &[1]), (0, true));
    assert_eq!(heard(&[], &[1]), (0, true));
    assert_eq!(heard(&[1], &[]), (0, true));
    assert_eq!(heard(&[], &[]), (1, false));
}

#[test]
fn no_two_datagrams_are_sealed_under_one_nonce() {
    let network = talk();
    let mut seen = std::collections::HashMap::new();
    for (.., datagram) in &network.sent {
        let space = u8::from(datagram[3] != 1);
        let nonce = (space, datagram[8..28].to_vec());
        let first = seen.entry(nonce).or_insert(datagram);
        assert_eq!(first, &datagram, "the same, or another nonce");
    }
}

/// A link without keys: anybody can say anything.
fn unkeyed(origin: u64) -> RlanSettings {
    RlanSettings {
        keys: Vec::new(),
        ..settings(origin, 1)
    }
}

/// Bytes that each host has answered to one that never showed a cookie, and what it sent.
fn answered(host: &mut Rlan, datagram: &[u8]) -> usize {
    // Refusals are no answers.
    host.handle_datagram(START, datagram, address(9))
        .unwrap_or_default();
    if host.wants_snapshot() {
        host.take_snapshot(START, (0..100).map(|number| record(number, 500)));
    }
    let answers = std::iter::from_fn(|| host.poll_outgoing());
    answers.map(|outgoing| outgoing.datagram.len()).sum()
}

fn sender() -> Rlan {
    let mut host = Rlan::new(unkeyed(1));
    let mut out = std::collections::VecDeque::new();
    for number in 0..300 {
        host.publish(&record(number, 1300), &mut out).unwrap();
        host.flush(START, &mut out);
    }
    host
}

/// A NAK or `SNAPSHOT_REQUEST` for the stream of host 1, from origin 2.
fn request(kind: u8, number: u64, tail: &[u8]) -> Vec<u8> {
    let mut bytes = [b'R', b'L', 1, kind, 0, 0, 0, 0].to_vec();
    bytes.extend(2_u64.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(tail);
    bytes
}

#[test]
fn who_shows_no_cookie_gets_fewer_bytes_than_he_sent() {
    let mut host = sender();
    let everything = [
        [0; 16].as_slice(),
        &1_u64.to_be_bytes(),
        &300_u64.to_be_bytes(),
    ]
    .concat();
    let new = [[0; 16].as_slice(), &[0xff; 8], &[0; 4]].concat();
    for (kind, tail) in [(3, everything), (5, new)] {
        let datagram = request(kind, kind.into(), &tail);
        let bytes = answered(&mut host, &datagram);
        assert!((1..datagram.len()).contains(&bytes), "type {kind}: {bytes}");
    }
    // With the cookie, up to 256 at once.
    let datagram = request(3, 100, &[0; 32]);
    assert_eq!(answered(&mut host, &datagram), 0, "no such range");
    let asked = request(
        3,
        101,
        &[[0; 16].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 1].repeat(2)].concat(),
    );
    host.handle_datagram(START, &asked, address(9)).unwrap();
    let cookie = host.poll_outgoing().unwrap().datagram.slice(28..);
    let tail = [&cookie[..], &1_u64.to_be_bytes(), &300_u64.to_be_bytes()].concat();
    assert!(answered(&mut host, &request(3, 102, &tail)) > 256 * 1300);
}

proptest! {
    #[test]
    fn nobody_without_a_cookie_is_answered_with_more_than_he_sent(
        datagrams in proptest::collection::vec(
            (1..=7_u8, 0..3_u8, proptest::collection::vec(any::<u8>(), 0..120)), 1..30
        )
    ) {
        let mut host = sender();
        for (number, (kind, flags, body)) in datagrams.into_iter().enumerate() {
            let mut datagram = request(kind, u64::try_from(number).unwrap() + 1, &body);
            datagram[4] = flags;
            prop_assert!(answered(&mut host, &datagram) <= datagram.len());
        }
    }

    #[test]
    fn any_body_of_any_type_is_taken_without_panic_and_within_bounds(
        datagrams in proptest::collection::vec(
            (1..=7_u8, 0..4_u8, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..60
        )
    ) {
        let mut host = Rlan::new(unkeyed(1));
        let mut now = START;
        for (kind, flags, number, body) in datagrams {
            let mut datagram = [b'R', b'L', 1, kind, flags, 0, 0, 0].to_vec();
            datagram.extend((number % 3).to_be_bytes());
            datagram.extend(1_u32.to_be_bytes());
            datagram.extend((number.rotate_left(u32::from(flags) * 16)).to_be_bytes());
            datagram.extend(body);
            host.handle_datagram(now, &Bytes::from(datagram), address(3)).unwrap_or_default();
            now = now.plus_ms(number % 12_000);
            host.handle_timeout(now);
        }
        prop_assert!(host.bytes() < 1 << 20);
    }
}
