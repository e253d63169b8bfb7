//! Acknowledgements wait for the journal.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use routing::journal::Appended;
use routing::vhost::Recovery;
use routing::{Broker, Journal, Lsn, Timestamp, Urgency};

use super::support::{Bench, Client, packet};
use crate::wire::hex::hex;
use crate::{ORIGIN, VOUCHED_ORIGIN};

/// A journal whose durable position moves when it is told to.
#[derive(Debug, Default)]
pub(super) struct SlowJournal {
    records: Mutex<Vec<(Lsn, Bytes)>>,
    durable: AtomicU64,
    /// Nothing but what comes from the reserve is taken.
    is_full: AtomicBool,
    /// Nothing is taken.
    is_exhausted: AtomicBool,
}

impl SlowJournal {
    fn end(&self) -> Lsn {
        let records = self.records.lock().unwrap();
        records
            .last()
            .map_or(Lsn(0), |(at, last)| Lsn(at.0 + last.len() as u64))
    }

    /// The journal that a crash leaves, and a broker on it.
    pub(super) fn crash(&self, now: Timestamp) -> (Bench, Arc<Self>) {
        let durable = self.durable.load(Ordering::Relaxed);
        let mut records = self.records.lock().unwrap().clone();
        records.retain(|(at, record)| at.0 + record.len() as u64 <= durable);
        let journal = Arc::new(Self {
            records: Mutex::new(records.clone()),
            durable: AtomicU64::new(durable),
            ..Self::default()
        });
        let bench = bench(&journal);
        let mut recovery = Recovery::new(&bench.broker);
        for (at, record) in records {
            recovery.apply(record, at).unwrap();
        }
        assert_eq!(recovery.finish(now), Ok(0));
        (bench, journal)
    }
}

impl Journal for SlowJournal {
    fn append(&self, record: &[&[u8]], urgency: Urgency) -> Appended {
        if !self.takes_records() || (!self.has_room() && urgency == Urgency::Sync) {
            return Appended::REFUSED;
        }
        let record = Bytes::from(record.concat());
        let start = self.end();
        let end = Lsn(start.0 + record.len() as u64);
        self.records.lock().unwrap().push((start, record));
        Appended { start, end }
    }

    fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Relaxed))
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    fn takes_records(&self) -> bool {
        !self.is_exhausted.load(Ordering::Relaxed)
    }

    fn end(&self) -> Lsn {
        Self::end(self)
    }

    fn read(&self, at: Lsn) -> Option<Bytes> {
        let records = self.records.lock().unwrap();
        let found = records.iter().find(|(start, _)| *start == at);
        found.map(|(_, record)| record.clone())
    }
}

pub(super) fn slow() -> (Bench, Arc<SlowJournal>) {
    let journal = Arc::new(SlowJournal::default());
    (bench(&journal), journal)
}

fn bench(journal: &Arc<SlowJournal>) -> Bench {
    let broker = Broker::new(
        routing::Settings::default(),
        Arc::clone(journal) as Arc<dyn Journal>,
        vec![&ORIGIN, &VOUCHED_ORIGIN],
        Box::new(|| {}),
    );
    Bench::with(broker)
}

pub(super) fn sync(bench: &Bench, journal: &SlowJournal) {
    let end = journal.end();
    journal.durable.store(end.0, Ordering::Relaxed);
    bench.broker.handle_durable(end);
}

/// A durable session that subscribes to `t` and is away.
fn absent_subscriber(bench: &Bench, journal: &SlowJournal) {
    let mut client = bench.connected("00 04 'MQTT' 04 00 00 3C 00 01 's'");
    client.send(bench, "82 06 00 01 00 01 't' 02");
    sync(bench, journal);
    assert_eq!(client.recv(bench), hex("90 03 00 01 02"));
    client.lose(bench);
}

#[test]
fn puback_waits_for_the_message_to_be_durable() {
    let (bench, journal) = slow();
    absent_subscriber(&bench, &journal);
    let mut publisher = bench.v4("p");
    assert_eq!(publisher.send(&bench, "32 06 00 01 't' 00 07 'x'"), "");
    assert_eq!(
        publisher.send(&bench, "32 06 00 01 'u' 00 08 'x' C0 00"),
        hex("D0 00")
    );
    sync(&bench, &journal);
    assert_eq!(publisher.recv(&bench), hex("40 02 00 07 40 02 00 08"));
}

#[test]
fn pubrec_and_pubcomp_wait_too() {
    let (bench, journal) = slow();
    absent_subscriber(&bench, &journal);
    let mut publisher = bench.connected("00 04 'MQTT' 04 00 00 3C 00 01 'p'");
    assert_eq!(publisher.send(&bench, "34 06 00 01 't' 00 07 'x'"), "");
    sync(&bench, &journal);
    assert_eq!(publisher.recv(&bench), hex("50 02 00 07"));
    assert_eq!(publisher.send(&bench, "62 02 00 07"), "");
    sync(&bench, &journal);
    assert_eq!(publisher.recv(&bench), hex("70 02 00 07"));
}

#[test]
fn suback_of_a_durable_session_waits_and_retained_messages_follow_it() {
    let (bench, journal) = slow();
    bench.v4("p").send(&bench, "31 04 00 01 't' 'x'");
    let mut client = bench.connected("00 04 'MQTT' 04 00 00 3C 00 01 's'");
    assert_eq!(client.send(&bench, "82 06 00 01 00 01 't' 00"), "");
    sync(&bench, &journal);
    assert_eq!(
        client.recv(&bench),
        hex("90 03 00 01 00 31 04 00 01 't' 'x'")
    );
}

#[test]
fn own_messages_follow_their_pubrec_and_precede_their_puback() {
    let (bench, journal) = slow();
    let mut client = bench.v4("p");
    client.send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(client.send(&bench, "35 06 00 01 't' 00 07 'x'"), "");
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("50 02 00 07 30 04 00 01 't' 'x'"));
    assert_eq!(client.send(&bench, "62 02 00 07"), hex("70 02 00 07"));
    assert_eq!(
        client.send(&bench, "33 06 00 01 't' 00 08 'y'"),
        hex("30 04 00 01 't' 'y'")
    );
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("40 02 00 08"));
}

#[test]
fn what_no_journal_needs_to_keep_is_acknowledged_at_once() {
    let (bench, _journal) = slow();
    let mut subscriber = bench.v4("s");
    let suback = subscriber.send(&bench, "82 06 00 01 00 01 't' 01");
    assert_eq!(suback, hex("90 03 00 01 01"));
    assert_eq!(publish(&bench, &mut bench.v4("p")), hex("40 02 00 07"));
}

fn publish(bench: &Bench, publisher: &mut Client) -> Bytes {
    publisher.send(bench, "32 06 00 01 't' 00 07 'x'")
}

#[test]
fn a_full_disk_is_told_in_5_0_and_closes_3_x() {
    let (bench, journal) = slow();
    absent_subscriber(&bench, &journal);
    journal.is_full.store(true, Ordering::Relaxed);
    let mut v5 = bench.v5("p");
    assert_eq!(
        v5.send(&bench, "32 07 00 01 't' 00 07 00 'x'"),
        hex("40 03 00 07 97")
    );
    assert_eq!(
        v5.send(&bench, "34 07 00 01 't' 00 07 00 'x'"),
        hex("50 03 00 07 97")
    );
    assert!(!v5.is_closed());
    let mut v4 = bench.v4("q");
    assert_eq!(publish(&bench, &mut v4), "");
    assert!(v4.is_closed());
}

#[test]
fn what_makes_room_or_is_small_is_kept_in_the_reserve_of_a_full_disk() {
    let (bench, journal) = slow();
    let mut client = bench.connected("00 04 'MQTT' 04 00 00 3C 00 01 's'");
    client.send(&bench, "34 06 00 01 'x' 00 07 'x'");
    sync(&bench, &journal);
    assert_eq!(client.recv(&bench), hex("50 02 00 07"));
    journal.is_full.store(true, Ordering::Relaxed);
    for (packet, answer) in [
        ("82 06 00 01 00 01 't' 01", "90 03 00 01 01"),
        ("A2 05 00 03 00 01 't'", "B0 02 00 03"),
        ("62 02 00 07", "70 02 00 07"),
    ] {
        assert_eq!(client.send(&bench, packet), "", "{packet}");
        sync(&bench, &journal);
        assert_eq!(client.recv(&bench), hex(answer), "{packet}");
    }
}

#[test]
fn without_any_room_what_must_outlive_the_connection_is_refused_at_once() {
    let (bench, journal) = slow();
    let mut v4 = bench.connected("00 04 'MQTT' 04 00 00 3C 00 01 's'");
    let mut v5 = bench.connected("00 04 'MQTT' 05 02 00 3C 05 11 00 00 00 3C 00 01 'd'");
    sync(&bench, &journal);
    journal.is_full.store(true, Ordering::Relaxed);
    journal.is_exhausted.store(true, Ordering::Relaxed);
    let subscribed = v4.send(&bench, "82 06 00 02 00 01 'u' 01");
    assert_eq!(subscribed, hex("90 03 00 02 80"));
    let subscribed = v5.send(&bench, "82 07 00 01 00 00 01 'u' 00");
    assert_eq!(subscribed, hex("90 04 00 01 00 97"));
    for (connect, connack) in [
        ("00 04 'MQTT' 04 00 00 3C 00 01 'm'", "20 02 00 03"),
        (
            "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 'n'",
            "20 03 00 97 00",
        ),
    ] {
        let mut new = bench.client();
        assert_eq!(new.send(&bench, &packet("10", connect)), hex(connack));
        assert!(new.is_closed());
    }
    // What ends with its connection needs no room.
    let subscribed = bench.v5("t").send(&bench, "82 07 00 01 00 00 01 'u' 00");
    assert_eq!(subscribed, hex("90 04 00 01 00 00"));
}
