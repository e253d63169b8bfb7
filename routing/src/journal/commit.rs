//! Several records that count together or not at all: a commit over several queues.
//!
//! ```text
//! 128, commit u64 LE, record    a part of that commit
//! 129, commit u64 LE            the commit is whole: it follows its last part
//! ```
//!
//! What a thread appends during [`Commits::run`] are parts. After a crash the parts of a commit
//! without its end are undone ([`crate::vhost::Recovery`]). This stands between the core and its
//! journal, so that queues need not know whether they take part in a commit.

use std::cell::Cell;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Appended, Journal, Lsn, Urgency};
use crate::sync::{Mutex, Rank};

const PART: u8 = 128;
const END: u8 = 129;
/// Bytes before the record in a part.
const HEAD: usize = 9;

thread_local! {
    /// The commit that this thread is at.
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Current {
    commit: CommitId,
    has_parts: bool,
}

/// The identity of a commit; never used again in the life of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CommitId(pub(crate) u64);

/// What a record is to commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: it counts by itself.
    Single(Bytes),
    /// The record is a part of a commit.
    Part(CommitId, Bytes),
    /// All parts of a commit are there.
    End(CommitId),
}

impl Role {
    /// The role of a record.
    pub(crate) fn of(mut record: Bytes) -> Self {
        let kind = record.first().copied();
        if !matches!(kind, Some(PART | END)) || record.len() < HEAD {
            return Self::Single(record);
        }
        record.advance(1);
        let commit = CommitId(record.get_u64_le());
        match kind {
            Some(PART) => Self::Part(commit, record),
            _ => Self::End(commit),
        }
    }
}

fn head(kind: u8, CommitId(commit): CommitId) -> [u8; HEAD] {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = commit.to_le_bytes();
    [kind, b0, b1, b2, b3, b4, b5, b6, b7]
}

/// The core's journal, which knows of commits.
#[derive(Debug)]
pub(crate) struct Commits {
    journal: Arc<dyn Journal>,
    /// Held during a commit: one at a time, and no checkpoint ends amid one.
    running: Mutex<()>,
}

impl Commits {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        let running = Mutex::new(Rank::Commit, ());
        Arc::new(Self { journal, running })
    }

    /// Does `act`, and makes all that it appends count together. Returns where that ends, none if
    /// it appended nothing.
    pub(crate) fn run<R>(&self, commit: CommitId, act: impl FnOnce() -> R) -> (R, Option<Lsn>) {
        let running = self.running.lock();
        let has_parts = false;
        CURRENT.set(Some(Current { commit, has_parts }));
        let result = act();
        let is_used = CURRENT.take().is_some_and(|current| current.has_parts);
        let end = is_used.then(|| {
            self.journal
                .append(&[&head(END, commit)], Urgency::Sync)
                .end
        });
        drop(running);
        (result, end)
    }

    /// Waits for a commit that is being made. A checkpoint may hold some of its parts, and is to
    /// be used only with a journal that has its end.
    pub(crate) fn wait_for_end(&self) {
        drop(self.running.lock());
    }
}

impl Journal for Commits {
    fn append(&self, record: &[&[u8]], urgency: Urgency) -> Appended {
        let Some(Current { commit, .. }) = CURRENT.get() else {
            return self.journal.append(record, urgency);
        };
        let has_parts = true;
        CURRENT.set(Some(Current { commit, has_parts }));
        let head = head(PART, commit);
        let pieces = std::iter::once(&head[..]).chain(record.iter().copied());
        // The commit's end is what somebody waits for.
        self.journal
            .append(&pieces.collect::<Vec<_>>(), Urgency::Lazy)
    }

    fn begin_batch(&self) {
        self.journal.begin_batch();
    }

    fn end_batch(&self) {
        self.journal.end_batch();
    }

    fn begin_group(&self) {
        self.journal.begin_group();
    }

    fn end_group(&self) {
        self.journal.end_group();
    }

    fn durable(&self) -> Lsn {
        self.journal.durable()
    }

    fn takes_records(&self) -> bool {
        self.journal.takes_records()
    }

    fn end(&self) -> Lsn {
        self.journal.end()
    }

    fn wait_durable(&self, end: Lsn) -> bool {
        self.journal.wait_durable(end)
    }

    fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    fn read(&self, start: Lsn) -> Option<Bytes> {
        match Role::of(self.journal.read(start)?) {
            Role::Single(record) | Role::Part(_, record) => Some(record),
            Role::End(_) => None,
        }
    }
}
