//! The boundary to durability: what must survive is appended here, and is safe once the durable
//! position has passed it.
//!
//! The core decides *what* is durable ([`Entry`]); whoever implements [`Journal`] decides *how*:
//! local files today, a replicated log tomorrow. So there is nothing here that only files can do.

mod decode;
mod encode;
mod entry;

pub(crate) use decode::place_of;
pub use decode::{DecodeError, decode, tells_of_pages};
pub use encode::encode;
pub(crate) use encode::{Place, put_enqueue, put_publish, put_settled};
pub use entry::Entry;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::outbox::{Outbox, Wakes};
use crate::sync::{Mutex, Rank};

/// A position in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its address, to read it back.
    pub start: Lsn,
    /// It is safe once [`Journal::durable`] has reached this.
    pub end: Lsn,
}

impl Appended {
    /// The record is not in the journal and never will be.
    pub const REFUSED: Self = Self {
        start: Lsn(u64::MAX),
        end: Lsn(u64::MAX),
    };

    /// Whether the journal did not take the record.
    #[must_use]
    pub fn is_refused(self) -> bool {
        self == Self::REFUSED
    }
}

/// Whether somebody waits for a record to be safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A confirm waits: make it safe as soon as possible.
    Sync,
    /// Losing it costs a redelivery at most: it may ride along with the next urgent one.
    Lazy,
}

/// An append-only log of records with a durable position.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Appends one record, given in pieces. A copy into memory: it does not wait. A journal that
    /// has no room, or has failed, refuses it: see [`Appended::is_refused`].
    fn append(&self, record: &[&[u8]], urgency: Urgency) -> Appended;

    /// Begins a batch: this thread may append several records, and whoever makes them durable does
    /// well to wait for its end.
    fn begin_batch(&self) {}

    /// Ends a batch.
    fn end_batch(&self) {}

    /// Begins a group: what is appended until its end is there after a crash as a whole or not at
    /// all. Nothing becomes durable meanwhile, so it must be short and must not wait for the
    /// journal; a thread has one at a time, and holds no lock when it begins it.
    fn begin_group(&self) {}

    /// Ends a group.
    fn end_group(&self) {}

    /// Everything that ended at or before this position is safe.
    fn durable(&self) -> Lsn;

    /// False while there is no room for more messages: publishers are to be held up.
    fn has_room(&self) -> bool;

    /// False while even a lazy record is refused.
    fn takes_records(&self) -> bool {
        true
    }

    /// Where everything appended so far ends.
    fn end(&self) -> Lsn {
        self.durable()
    }

    /// Asks for what was appended so far to be made safe as soon as possible, though it may have
    /// been lazy. Does not wait.
    fn hasten(&self) {}

    /// Waits until everything up to here is safe; false when it never will be, because the
    /// journal has failed. Blocks.
    fn wait_durable(&self, end: Lsn) -> bool {
        self.durable() >= end
    }

    /// Reads a record back by its address; none when it is not there or damaged. May block.
    fn read(&self, start: Lsn) -> Option<Bytes>;
}

/// A group, until it is dropped: see [`Journal::begin_group`].
#[derive(Debug)]
pub struct Group<'a>(&'a dyn Journal);

impl<'a> Group<'a> {
    pub(crate) fn begin(journal: &'a dyn Journal) -> Self {
        journal.begin_group();
        Self(journal)
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.0.end_group();
    }
}

/// A batch, until it is dropped: see [`Journal::begin_batch`].
#[derive(Debug)]
pub struct Batch<'a>(&'a dyn Journal);

impl<'a> Batch<'a> {
    pub(crate) fn begin(journal: &'a dyn Journal) -> Self {
        journal.begin_batch();
        Self(journal)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.0.end_batch();
    }
}

/// Connections that wait for the durable position to pass a point.
#[derive(Debug)]
pub struct CommitWaiters {
    waiting: Mutex<Vec<(Lsn, Arc<Outbox>)>>,
}

impl Default for CommitWaiters {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Rank::Leaf, Vec::new()),
        }
    }
}

impl CommitWaiters {
    /// Wakes this outbox's owner once `lsn` is durable. A connection registers the first position
    /// it waits for, and again after each wake-up.
    pub fn register(&self, lsn: Lsn, outbox: &Arc<Outbox>) {
        self.waiting.lock().push((lsn, Arc::clone(outbox)));
    }

    /// Wakes everybody whose position is durable now.
    pub fn advance(&self, durable: Lsn) {
        let mut wakes = Wakes::default();
        let ready = self
            .waiting
            .lock()
            .extract_if(.., |(lsn, _)| *lsn <= durable)
            .collect::<Vec<_>>();
        ready.iter().for_each(|(_, outbox)| outbox.poke(&mut wakes));
    }
}

/// Publishers that wait for room.
#[derive(Debug)]
pub(crate) struct RoomWaiters {
    /// Weak: who is gone by then costs nothing.
    waiting: Mutex<Vec<Weak<Outbox>>>,
}

impl Default for RoomWaiters {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Rank::Leaf, Vec::new()),
        }
    }
}

impl RoomWaiters {
    /// Wakes this outbox's owner at the next [`RoomWaiters::wake_all`].
    pub(crate) fn register(&self, outbox: &Arc<Outbox>) {
        let mut waiting = self.waiting.lock();
        let new = Arc::downgrade(outbox);
        waiting.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&new));
        waiting.push(new);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    pub(crate) fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let mut wakes = Wakes::default();
        let there = waiting.iter().filter_map(Weak::upgrade);
        there.for_each(|outbox| outbox.poke(&mut wakes));
    }
}

/// A journal that keeps nothing: everything is "durable" at once. For tests, and for a gateway
/// that is told to forget.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    end: AtomicU64,
}

impl Journal for MemoryJournal {
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
        true
    }

    fn read(&self, _: Lsn) -> Option<Bytes> {
        None
    }
}
