//! A gateway between devices and an MQTT side that the tests play: exact packets in, exact packets
//! out, and what the MQTT side hears.

mod delivery;
mod limits;
mod sleep;

use std::sync::Arc;

use super::super::words::Will;
use super::*;
use crate::{MappedTopic, TopicMap};

pub(super) const START: Timestamp = Timestamp(1_000_000);

fn device(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 77, 0, 1], number))
}

/// A gateway, the time, and one device at port 1.
pub(super) struct Bench {
    pub(super) gateway: Gateway,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let topics = vec![MappedTopic {
            topic: Bytes::from_static(b"plant/known"),
            id: Some(7),
            ..MappedTopic::default()
        }];
        let mut settings = Settings {
            gateway: 9,
            advertise_ms: 0,
            topics: Arc::new(TopicMap::new(topics)),
            ..Settings::default()
        };
        change(&mut settings);
        let (gateway, now) = (Gateway::new(settings, START), START);
        Self { gateway, now }
    }

    /// With a device that has connected, with clean session, on line 1.
    pub(super) fn connected() -> Self {
        let mut bench = Self::new(|_| {});
        bench.connect();
        bench
    }

    pub(super) fn connect(&mut self) {
        self.send(b"\x09\x04\x04\x01\x00\x3cdev");
        assert_eq!(self.heard(), [up_connect("dev", true, None)]);
        self.say(Downward::Connack(ReturnCode::Accepted));
        assert_eq!(self.answers(), [&b"\x03\x05\x00"[..]]);
    }

    pub(super) fn send(&mut self, datagram: &[u8]) {
        self.gateway
            .handle_datagram(self.now, device(1), datagram, false);
    }

    /// The MQTT side speaks on line 1.
    pub(super) fn say(&mut self, word: Downward) {
        self.gateway.handle_downward(self.now, Line(1), word);
    }

    /// Datagrams to the device.
    pub(super) fn answers(&mut self) -> Vec<Bytes> {
        self.sent_to(Receivers::One(device(1)))
    }

    pub(super) fn sent_to(&mut self, to: Receivers) -> Vec<Bytes> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.gateway.poll_transmit() {
            assert_eq!(transmit.to, to);
            sent.push(transmit.datagram);
        }
        sent
    }

    /// Nobody was sent anything.
    pub(super) fn assert_quiet(&mut self) {
        assert_eq!(self.gateway.poll_transmit(), None);
    }

    pub(super) fn heard(&mut self) -> Vec<Upward> {
        std::iter::from_fn(|| self.gateway.poll_upward())
            .map(|(_, word)| word)
            .collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.gateway.handle_timeout(self.now);
    }
}

pub(super) fn up_connect(client: &'static str, clean: bool, will: Option<Will>) -> Upward {
    let client = Bytes::from_static(client.as_bytes());
    Upward::Connect(Connect {
        client,
        clean,
        is_short: clean,
        will,
    })
}

pub(super) fn message(topic: &'static str, payload: &'static str, qos: u8, id: u16) -> Publish {
    Publish {
        topic: topic.into(),
        payload: payload.into(),
        qos,
        id,
        ..Publish::default()
    }
}

#[test]
fn a_gateway_tells_of_itself_and_answers_who_asks() {
    let mut bench = Bench::new(|settings| settings.advertise_ms = 900_000);
    bench.pass(0);
    assert_eq!(
        bench.sent_to(Receivers::All),
        [&b"\x05\x00\x09\x03\x84"[..]]
    );
    assert_eq!(bench.gateway.poll_timeout(), Some(START.plus_ms(900_000)));
    // Many ask, one answer to all of them within a second.
    for port in 1..100 {
        bench
            .gateway
            .handle_datagram(START, device(port), b"\x03\x01\x00", true);
    }
    bench.assert_quiet();
    let at = bench.gateway.poll_timeout().unwrap();
    assert!((1..=1000).contains(&at.since_ms(START)));
    bench.pass(1000);
    assert_eq!(bench.sent_to(Receivers::All), [&b"\x03\x02\x09"[..]]);
    // And not another before a second has passed.
    bench
        .gateway
        .handle_datagram(bench.now, device(1), b"\x03\x01\x00", true);
    bench.pass(999);
    bench.assert_quiet();
    bench.pass(1001);
    assert_eq!(bench.sent_to(Receivers::All), [&b"\x03\x02\x09"[..]]);
    // Who asks this gateway alone is answered alone.
    bench.send(b"\x03\x01\x00");
    assert_eq!(bench.answers(), [&b"\x03\x02\x09"[..]]);
}

#[test]
fn qos_minus_1_needs_no_session_and_has_a_line_of_its_own() {
    let mut bench = Bench::new(|_| {});
    bench.send(b"\x09\x0c\x71\x00\x07\x00\x00ab");
    bench
        .gateway
        .handle_datagram(START, device(2), b"\x08\x0c\x62ab\x00\x00x", true);
    let kept = Publish {
        retain: true,
        ..message("plant/known", "ab", 0, 0)
    };
    assert_eq!(
        bench.heard(),
        [
            up_connect("qos-1-9", true, None),
            Upward::Publish(kept),
            Upward::Publish(message("ab", "x", 0, 0)),
        ]
    );
    // An id that nobody named; a session's id; a wildcard.
    bench.send(b"\x08\x0c\x61\x00\x08\x00\x00x");
    bench.send(b"\x08\x0c\x60\x00\x07\x00\x00x");
    bench.send(b"\x08\x0c\x62a#\x00\x00x");
    assert_eq!((bench.heard(), bench.answers().len()), (vec![], 0));
    assert_eq!(
        (
            bench.gateway.counts().unnamed,
            bench.gateway.counts().malformed
        ),
        (2, 1)
    );
    // The line is made anew when it was lost.
    bench.say(Downward::Closed);
    bench.send(b"\x08\x0c\x62ab\x00\x00x");
    assert_eq!(bench.heard().len(), 2);
}

#[test]
fn a_will_is_asked_for_and_goes_along_with_connect() {
    let mut bench = Bench::new(|_| {});
    bench.send(b"\x09\x04\x08\x01\x00\x3cdev");
    assert_eq!(bench.answers(), [&b"\x02\x06"[..]]);
    // It is asked again, as long as nobody answers.
    bench.pass(10_000);
    assert_eq!(bench.answers(), [&b"\x02\x06"[..]]);
    bench.send(b"\x05\x07\x30ab");
    assert_eq!(bench.answers(), [&b"\x02\x08"[..]]);
    bench.send(b"\x06\x09gone");
    let will = Will {
        topic: "ab".into(),
        payload: "gone".into(),
        qos: 1,
        retain: true,
    };
    assert_eq!(
        bench.heard(),
        [up_connect("dev", false, Some(will.clone()))]
    );
    bench.say(Downward::Connack(ReturnCode::Accepted));
    assert_eq!(bench.answers(), [&b"\x03\x05\x00"[..]]);

    // Another message: the line is closed without the will, and opened with the new one.
    bench.send(b"\x05\x1cbye");
    assert_eq!(
        bench.heard(),
        [Upward::Disconnect {
            keeps_session: true
        }]
    );
    bench.say(Downward::Closed);
    let will = Will {
        payload: "bye".into(),
        ..will
    };
    assert_eq!(bench.heard(), [up_connect("dev", false, Some(will))]);
    bench
        .gateway
        .handle_downward(bench.now, Line(2), Downward::Connack(ReturnCode::Accepted));
    assert_eq!(bench.answers(), [&b"\x03\x1d\x00"[..]]);
    // No will any more.
    bench.send(b"\x02\x1a");
    bench
        .gateway
        .handle_downward(bench.now, Line(2), Downward::Closed);
    assert_eq!(bench.heard()[1], up_connect("dev", false, None));
    bench
        .gateway
        .handle_downward(bench.now, Line(3), Downward::Connack(ReturnCode::Accepted));
    assert_eq!(bench.answers(), [&b"\x03\x1b\x00"[..]]);
    bench.send(b"\x05\x1cbye");
    assert_eq!(bench.answers(), [&b"\x03\x1d\x03"[..]]);
}

#[test]
fn a_silent_client_is_lost_and_its_will_published() {
    let mut bench = Bench::connected();
    bench.pass(89_999);
    assert_eq!(bench.heard(), []);
    bench.send(b"\x02\x16");
    assert_eq!(bench.answers(), [&b"\x02\x17"[..]]);
    bench.pass(90_000);
    assert_eq!(
        (bench.heard(), bench.gateway.clients()),
        (vec![Upward::Lost], 0)
    );
    assert_eq!(bench.gateway.poll_timeout(), None);
}

#[test]
fn a_client_leaves_with_and_without_its_session() {
    let mut bench = Bench::connected();
    bench.send(b"\x02\x18");
    assert_eq!(bench.answers(), [&b"\x02\x18"[..]]);
    assert_eq!(
        bench.heard(),
        [Upward::Disconnect {
            keeps_session: false
        }]
    );
    assert_eq!(bench.gateway.clients(), 0);
    // What the line still says is nobody's.
    bench.say(Downward::Closed);
    bench.assert_quiet();

    bench.send(b"\x09\x04\x00\x01\x00\x3cdev");
    assert_eq!(bench.heard(), [up_connect("dev", false, None)]);
    bench.send(b"\x02\x18");
    assert_eq!(
        bench.heard(),
        [Upward::Disconnect {
            keeps_session: true
        }]
    );
}

#[test]
fn a_client_that_restarts_waits_until_its_old_line_is_closed() {
    let mut bench = Bench::connected();
    bench.send(b"\x09\x04\x04\x01\x00\x3cdev");
    assert_eq!(
        bench.heard(),
        [Upward::Disconnect {
            keeps_session: false
        }]
    );
    // It asks again meanwhile.
    bench.send(b"\x09\x04\x04\x01\x00\x3cdev");
    assert_eq!(bench.heard(), []);
    bench.say(Downward::Closed);
    assert_eq!(bench.heard(), [up_connect("dev", true, None)]);
    bench
        .gateway
        .handle_downward(bench.now, Line(2), Downward::Connack(ReturnCode::Accepted));
    assert_eq!(bench.answers(), [&b"\x03\x05\x00"[..]]);
}

#[test]
fn who_was_taken_over_is_told() {
    let mut bench = Bench::connected();
    bench.say(Downward::Closed);
    assert_eq!(bench.answers(), [&b"\x02\x18"[..]]);
    assert_eq!(bench.gateway.clients(), 0);
}
