//! What is written together: groups, which are there after a crash as a whole or not at all, and
//! batches, which only spare syncs. Separate because both are about when the committer may take
//! what was laid out.

use std::cell::Cell;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::shared::{Shared, lock};
use crate::stats::Stopwatch;
use crate::tail::{Frame, Waiting};

/// How long a commit waits for a batch to end: what several hundred appends take.
const GATHER_MAX: Duration = Duration::from_micros(100);
/// How long the committer looks out for work before it sleeps: about what waking takes.
const SPIN_MAX: Duration = Duration::from_micros(20);

thread_local! {
    /// Whether this thread is in a batch: see [`Shared::begin_batch`].
    static BATCH: Cell<Batch> = const { Cell::new(Batch::None) };
}

/// A thread's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batch {
    None,
    /// Nothing was appended yet: nobody waits for it.
    Empty,
    /// It is counted in `Shared::batches`.
    Counted,
}

/// Whether frames may be taken for writing.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    open: usize,
    /// The committer waits for the open ones; no further one begins.
    is_taking: bool,
}

impl Shared {
    /// Whether this thread is in a batch, whose end wakes the committer: until then it would only
    /// be in the way.
    pub(crate) fn is_in_batch(&self) -> bool {
        if BATCH.get() == Batch::Empty {
            BATCH.set(Batch::Counted);
            self.batches.fetch_add(1, Ordering::AcqRel);
        }
        BATCH.get() == Batch::Counted
    }

    /// Begins a group: everything that is appended until its end is written at once.
    pub(crate) fn begin_group(&self) {
        let groups = lock(&self.groups.0);
        let mut groups = self
            .groups
            .1
            .wait_while(groups, |groups| groups.is_taking)
            .unwrap_or_else(PoisonError::into_inner);
        groups.open += 1;
        self.open_groups.store(groups.open, Ordering::Release);
    }

    /// Ends a group.
    pub(crate) fn end_group(&self) {
        let mut groups = lock(&self.groups.0);
        groups.open = groups.open.saturating_sub(1);
        self.open_groups.store(groups.open, Ordering::Release);
        if groups.open == 0 && groups.is_taking {
            self.groups.1.notify_all();
        }
    }

    /// Begins a batch: this thread is about to append several records.
    #[expect(clippy::unused_self, reason = "the end needs it")]
    pub(crate) fn begin_batch(&self) {
        BATCH.set(Batch::Empty);
    }

    /// Ends a batch.
    pub(crate) fn end_batch(&self) {
        if BATCH.replace(Batch::None) == Batch::Counted {
            self.batches.fetch_sub(1, Ordering::AcqRel);
            self.wake_committer(self.tail());
        }
    }

    /// Waits, shortly, for who is about to append more: a commit of the first record alone would
    /// keep the others waiting for two syncs.
    pub(crate) fn gather(&self) {
        let watch = Stopwatch::start();
        let mut tail = self.tail();
        while self.batches.load(Ordering::Acquire) > 0
            && let Some(left) = GATHER_MAX.checked_sub(watch.elapsed())
        {
            tail.waiting = Waiting::ForBatches;
            let waited = self.work.wait_timeout(tail, left);
            tail = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        tail.waiting = Waiting::Not;
    }

    /// Looks out for the next commit for a moment before sleeping: under load it is asked for
    /// sooner than a sleeping thread wakes.
    pub(crate) fn spin(&self) {
        let watch = Stopwatch::start();
        while !self.is_wanted.load(Ordering::Acquire) && watch.elapsed() < SPIN_MAX {
            std::hint::spin_loop();
        }
    }

    /// Takes everything laid out so far, between groups; see [`Tail::take`].
    pub(crate) fn take_frames(&self) -> (Vec<Frame>, bool) {
        let mut groups = lock(&self.groups.0);
        groups.is_taking = true;
        let waited = self.groups.1.wait_while(groups, |groups| groups.open > 0);
        let mut groups = waited.unwrap_or_else(PoisonError::into_inner);
        self.is_wanted.store(false, Ordering::Release);
        let taken = self.tail().take();
        groups.is_taking = false;
        drop(groups);
        self.groups.1.notify_all();
        taken
    }
}
