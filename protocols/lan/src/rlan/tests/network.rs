//! A network in memory: it loses, repeats and reorders what its seed says, in both directions.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use crate::rlan::retry::Random;
use crate::rlan::{Delivered, Record, Rlan, RlanKey, RlanSettings, To};

pub(super) const START: Timestamp = Timestamp(1_000_000);

pub(super) const DATAGRAM_BYTES_MAX: usize = 1472;

pub(super) fn key(id: u8) -> RlanKey {
    RlanKey {
        id,
        secret: [id; 32],
    }
}

pub(super) fn settings(origin: u64, epoch: u32) -> RlanSettings {
    RlanSettings {
        origin,
        epoch,
        node: origin,
        keys: vec![key(1)],
        secret: [9; 32],
        seed: origin << 32 | u64::from(epoch),
        sends: true,
        receives: true,
        datagram_bytes_max: DATAGRAM_BYTES_MAX,
        message_bytes_max: 1 << 20,
        repair_bytes_max: 4 << 20,
        bytes_per_second: 0,
    }
}

pub(super) fn address(host: usize) -> SocketAddr {
    let port = u16::try_from(host).unwrap() + 4000;
    SocketAddr::from(([10, 77, 0, 1], port))
}

/// What befalls a datagram on its way to one host, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Up to so many milliseconds on the way, each its own.
    pub(super) delay_ms: u64,
}

pub(super) struct Network {
    pub(super) hosts: Vec<Rlan>,
    pub(super) delivered: Vec<Vec<Delivered>>,
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    /// The host that has retained values, and these.
    pub(super) retained_at: usize,
    pub(super) retained: Vec<Record>,
    /// Every datagram that was sent, with its sender and its receiver; none: the group.
    pub(super) sent: Vec<(usize, Option<usize>, Bytes)>,
    /// The most that one host has kept.
    pub(super) bytes_most: usize,
    random: Random,
    /// By the time of arrival, and by a number that makes it unique.
    on_the_way: BTreeMap<(Timestamp, u64), (usize, usize, Bytes)>,
    count: u64,
}

impl Network {
    pub(super) fn new(hosts: usize, seed: u64, faults: Faults) -> Self {
        let host = |index| Rlan::new(settings(u64::try_from(index).unwrap() + 1, 1));
        Self {
            hosts: (0..hosts).map(host).collect(),
            delivered: vec![Vec::new(); hosts],
            now: START,
            faults,
            retained_at: 0,
            retained: Vec::new(),
            sent: Vec::new(),
            bytes_most: 0,
            random: Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            on_the_way: BTreeMap::new(),
            count: 0,
        }
    }

    pub(super) fn add(&mut self, settings: RlanSettings) -> usize {
        self.hosts.push(Rlan::new(settings));
        self.delivered.push(Vec::new());
        self.hosts.len() - 1
    }

    /// Has a host send messages in one batch.
    pub(super) fn publish(&mut self, host: usize, records: &[Record]) {
        let mut out = VecDeque::new();
        for record in records {
            self.hosts[host].publish(record, &mut out).unwrap();
        }
        self.hosts[host].flush(self.now, &mut out);
        for datagram in out {
            self.send(host, To::Group, &datagram);
        }
    }

    /// Gives a datagram to the network, as if `from` had sent it.
    pub(super) fn send(&mut self, from: usize, to: To, datagram: &Bytes) {
        assert!(datagram.len() <= DATAGRAM_BYTES_MAX);
        match to {
            To::Group => {
                self.sent.push((from, None, datagram.clone()));
                (0..self.hosts.len()).for_each(|host| self.carry(from, host, datagram));
            }
            To::One(to) => {
                let host = usize::from(to.port() - 4000);
                self.sent.push((from, Some(host), datagram.clone()));
                self.carry(from, host, datagram);
            }
        }
    }

    fn carry(&mut self, from: usize, to: usize, datagram: &Bytes) {
        let copies = 1 + u64::from(self.random.below(100) < self.faults.repeated);
        for _ in 0..copies {
            if self.random.below(100) >= self.faults.lost {
                self.count += 1;
                let due = self
                    .now
                    .plus_ms(self.random.below(self.faults.delay_ms + 1));
                let what = (from, to, datagram.clone());
                self.on_the_way.insert((due, self.count), what);
            }
        }
    }

    /// Lets so much time pass.
    pub(super) fn run(&mut self, duration_ms: u64) {
        let end = self.now.plus_ms(duration_ms);
        while self.now < end {
            self.turn();
            self.now = self.now.plus_ms(1);
        }
    }

    fn turn(&mut self) {
        while let Some(entry) = self
            .on_the_way
            .first_entry()
            .filter(|it| it.key().0 <= self.now)
        {
            let (from, to, datagram) = entry.remove();
            // Refusals are counted by the host.
            let taken = self.hosts[to].handle_datagram(self.now, &datagram, address(from));
            taken.unwrap_or_default();
        }
        for host in 0..self.hosts.len() {
            let rlan = &mut self.hosts[host];
            if rlan.poll_timeout().is_some_and(|due| due <= self.now) {
                rlan.handle_timeout(self.now);
            }
            if rlan.wants_snapshot() {
                let count = if host == self.retained_at {
                    usize::MAX
                } else {
                    0
                };
                let values = self.retained.iter().take(count).cloned();
                rlan.take_snapshot(self.now, values);
            }
            self.bytes_most = self.bytes_most.max(rlan.bytes());
            self.delivered[host].append(&mut rlan.take_delivered());
            while let Some(outgoing) = self.hosts[host].poll_outgoing() {
                self.send(host, outgoing.to, &outgoing.datagram);
            }
        }
    }

    /// The payloads that a host got by the stream.
    pub(super) fn payloads(&self, host: usize) -> Vec<Bytes> {
        let streamed = self.delivered[host].iter().filter(|it| !it.is_snapshot);
        streamed.map(|it| it.record.payload.clone()).collect()
    }

    /// The topics of the retained values that a host got by a snapshot.
    pub(super) fn snapshot(&self, host: usize) -> Vec<Bytes> {
        let values = self.delivered[host].iter().filter(|it| it.is_snapshot);
        values.map(|it| it.record.topic.clone()).collect()
    }
}

/// The message number `number`, of so many bytes.
pub(super) fn record(number: u64, bytes: usize) -> Record {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(8), 7);
    Record {
        topic: "plant/line1".into(),
        payload: payload.into(),
        ..Record::default()
    }
}
