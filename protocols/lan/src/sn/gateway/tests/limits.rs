//! What strangers may not do, and where growth ends.

use proptest::prelude::*;

use super::*;

#[test]
fn who_has_no_session_is_told_so_and_answers_are_not_answered() {
    let mut bench = Bench::new(|_| {});
    for asks in [
        &b"\x08\x0c\x20\x00\x01\x00\x01x"[..],
        b"\x09\x0a\x00\x00\x00\x02a/b",
        b"\x08\x12\x20\x00\x01a/b",
        b"\x05\x16dev",
        b"\x02\x1a",
    ] {
        bench.send(asks);
        assert_eq!(bench.answers(), [&b"\x02\x18"[..]], "{asks:?}");
    }
    for answers in [
        &b"\x02\x18"[..],
        b"\x07\x0d\x00\x01\x00\x01\x00",
        b"\x02\x17",
        b"\x03\x05\x00",
    ] {
        bench.send(answers);
        bench.assert_quiet();
    }
    assert_eq!(
        (bench.heard(), bench.gateway.counts().unexpected),
        (vec![], 9)
    );
}

#[test]
fn a_session_is_between_two() {
    let mut bench = Bench::new(|_| {});
    let connect = b"\x09\x04\x04\x01\x00\x3cdev";
    bench
        .gateway
        .handle_datagram(START, device(1), connect, true);
    assert_eq!((bench.answers().len(), bench.gateway.clients()), (0, 0));
}

#[test]
fn clients_beyond_the_limit_are_told_of_congestion() {
    let mut bench = Bench::new(|settings| settings.clients_max = 1);
    bench.connect();
    let connect = b"\x09\x04\x04\x01\x00\x3cde2";
    bench
        .gateway
        .handle_datagram(START, device(2), connect, false);
    assert_eq!(
        bench.sent_to(Receivers::One(device(2))),
        [&b"\x03\x05\x01"[..]]
    );
    assert_eq!(
        (bench.gateway.clients(), bench.gateway.counts().refused),
        (1, 1)
    );
    // Another protocol; no name.
    for refused in [
        &b"\x09\x04\x04\x02\x00\x3cdev"[..],
        b"\x06\x04\x04\x01\x00\x3c",
    ] {
        bench.send(refused);
        assert_eq!(bench.answers(), [&b"\x03\x05\x03"[..]]);
    }
}

#[test]
fn topics_and_messages_on_their_way_have_their_limits() {
    let mut bench = Bench::new(|settings| {
        settings.topics_max = 1;
        settings.inflight_max = 1;
        settings.datagram_bytes_max = 12;
    });
    bench.connect();
    bench.send(b"\x09\x0a\x00\x00\x00\x02a/b");
    bench.send(b"\x09\x0a\x00\x00\x00\x03a/c");
    let registered = [
        &b"\x07\x0b\x00\x01\x00\x02\x00"[..],
        b"\x07\x0b\x00\x00\x00\x03\x01",
    ];
    assert_eq!(bench.answers(), registered);
    bench.send(b"\x08\x0c\x21\x00\x07\x00\x05x");
    bench.send(b"\x08\x0c\x21\x00\x07\x00\x06x");
    assert_eq!(bench.answers(), [&b"\x07\x0d\x00\x07\x00\x06\x01"[..]]);
    bench.heard();
    // Too large, and of a topic that no id is left for: settled and counted.
    bench.say(Downward::Publish(message("ab", "long", 1, 1)));
    bench.say(Downward::Publish(message("a/d", "x", 1, 2)));
    assert_eq!(bench.heard(), [Upward::Puback(1), Upward::Puback(2)]);
    let counts = bench.gateway.counts();
    assert_eq!((counts.too_large, counts.unnamed), (1, 1));
}

proptest! {
    /// Whatever strangers send, each is sent no more than he sent, and nobody grows the gateway
    /// beyond its limits.
    #[test]
    fn strangers_are_sent_no_more_than_they_sent(
        datagrams in prop::collection::vec(
            (0_u16..4, any::<bool>(), prop::collection::vec(any::<u8>(), 1..20)), 1..40),
    ) {
        let mut bench = Bench::new(|settings| settings.clients_max = 2);
        for (port, is_to_all, body) in datagrams {
            let mut datagram = vec![u8::try_from(body.len() + 1).unwrap()];
            datagram.extend(body);
            // Most types that there are.
            datagram[1] %= 0x20;
            let is_known = bench.gateway.clients.contains_key(&device(port));
            bench.gateway.handle_datagram(bench.now, device(port), &datagram, is_to_all);
            let sent: usize = std::iter::from_fn(|| bench.gateway.poll_transmit())
                .map(|transmit| transmit.datagram.len())
                .sum();
            prop_assert!(is_known || sent <= datagram.len(), "{} for {:?}", sent, datagram);
            prop_assert!(bench.gateway.clients() <= 2);
            let lines: Vec<Line> = std::iter::from_fn(|| bench.gateway.poll_upward())
                .filter(|(_, word)| matches!(word, Upward::Connect(_)))
                .map(|(line, _)| line)
                .collect();
            for line in lines {
                let word = Downward::Connack(ReturnCode::Accepted);
                bench.gateway.handle_downward(bench.now, line, word);
            }
            bench.pass(1000);
            while bench.gateway.poll_transmit().is_some() {}
        }
        bench.pass(100_000_000);
        prop_assert_eq!(bench.gateway.clients(), 0);
        prop_assert!(bench.gateway.by_line.is_empty() && bench.gateway.by_id.is_empty());
        prop_assert!(bench.gateway.deadlines.is_empty());
    }
}
