//! No room for what is to survive: publishers wait, then are told, and go on when there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use resp::{Settings, WhenFull};
use routing::journal::Appended;
use routing::{Broker, Journal, Lsn, Urgency};

use crate::world::World;

/// A journal that is always durable, and full when it is told to be.
#[derive(Debug, Default)]
struct FullJournal {
    end: AtomicU64,
    is_full: AtomicBool,
}

impl Journal for FullJournal {
    fn append(&self, record: &[&[u8]], _: Urgency) -> Appended {
        let bytes = record.iter().map(|part| part.len() as u64).sum::<u64>();
        let start = self.end.fetch_add(bytes, Ordering::Relaxed);
        Appended {
            start: Lsn(start),
            end: Lsn(start + bytes),
        }
    }

    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    fn read(&self, _: Lsn) -> Option<Bytes> {
        None
    }
}

/// A durable subscriber to `a` that is away, and a publisher `p` that has met the full journal.
fn full() -> (World, Arc<FullJournal>) {
    let mut world = World::new(Settings {
        when_full: WhenFull::Durable,
        ..Settings::default()
    });
    let journal = Arc::new(FullJournal::default());
    world.broker = Arc::new(Broker::new(
        routing::Settings::default(),
        Arc::clone(&journal) as Arc<dyn Journal>,
        vec![&resp::ORIGIN],
        Box::new(|| {}),
    ));
    world.ask("s", "CLIENT SETNAME s");
    world.ask("s", "SUBSCRIBE a");
    world.disconnect("s");
    journal.is_full.store(true, Ordering::Relaxed);
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":1\\r\\n");
    (world, journal)
}

/// Lets the connections handle what they have not wanted yet.
fn received(world: &mut World, name: &str) -> String {
    let all = world.drain();
    let found = all.into_iter().find(|(client, ..)| client == name);
    found.map_or_else(String::new, |(_, bytes, _)| {
        bytes.escape_ascii().to_string()
    })
}

const OOM: &str = "-OOM command not allowed when used memory > \\'maxmemory\\'.\\r\\n";

#[test]
fn a_publisher_to_a_durable_subscriber_waits_for_room() {
    let (mut world, journal) = full();
    assert_eq!(world.ask("p", "PUBLISH a 2"), "", "held");
    world.wait_ms(1000);
    assert_eq!(received(&mut world, "p"), "", "still held");
    journal.is_full.store(false, Ordering::Relaxed);
    world.wait_ms(20);
    assert_eq!(received(&mut world, "p"), ":1\\r\\n");
}

#[test]
fn what_waits_too_long_is_refused_and_the_rest_is_served() {
    let (mut world, journal) = full();
    assert_eq!(world.ask("p", "PUBLISH a 2"), "");
    for _ in 0..101 {
        world.wait_ms(20);
    }
    assert_eq!(received(&mut world, "p"), OOM);
    assert_eq!(world.ask("p", "RPUSH list 1"), OOM);
    assert_eq!(world.ask("p", "PING"), "+PONG\\r\\n");
    journal.is_full.store(false, Ordering::Relaxed);
    world.wait_ms(20);
    assert_eq!(world.ask("p", "PUBLISH a 3"), ":1\\r\\n");
}

#[test]
fn a_connection_that_journals_nothing_does_not_wait() {
    let (mut world, _) = full();
    assert_eq!(world.ask("q", "PUBLISH other 1"), ":0\\r\\n");
    assert_eq!(world.ask("q", "PUBLISH other 2"), ":0\\r\\n");
}
