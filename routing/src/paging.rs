//! Keeps the memory for messages within its budget: counts what queues hold, and remembers which
//! of them wait for messages from their page files. The work itself is done by two threads of the
//! gateway, which call [`crate::Broker::page_out`] and [`crate::Broker::page_in`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::message::Origin;
use crate::pages::{LineId, MemoryPages, Pages};
use crate::queue::Queue;
use crate::sync::{Guard, Mutex, Rank};

/// A queue tells of a change only when it is this large, so that queues do not fight for one
/// number at every message.
const REPORT_BYTES: i64 = 4 * 1024;

/// Messages read ahead of the consumers of one queue, in bytes: at most and at least.
const AHEAD_BYTES_MAX: usize = 2 << 20;
const AHEAD_BYTES_MIN: usize = 16 << 10;

/// Messages moved to page files in one go, in bytes: enough for one sync to be cheap.
const MOVE_BYTES_MAX: usize = 4 << 20;
const MOVE_BYTES_MIN: usize = 4 << 10;

/// Of less than this, what holds back the journal is journalled anew instead of moved.
const WORTHWHILE_BYTES_MAX: usize = 256 << 10;

/// The two kinds of work with page files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageWork {
    /// Messages must leave memory, or have left it so that there is room; or lines were dropped.
    Out,
    /// A queue waits for messages.
    In,
}

/// What the core needs to be told about page files.
pub struct PageSettings {
    /// The files.
    pub pages: Arc<dyn Pages>,
    /// Bytes that messages may take in memory, by [`crate::Message::cost_bytes`].
    pub budget_bytes: usize,
    /// Called when there is work; it may be called in vain and under a queue's lock.
    pub wake: Box<dyn Fn(PageWork) + Send + Sync>,
}

impl fmt::Debug for PageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSettings")
            .field("budget_bytes", &self.budget_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for PageSettings {
    /// Everything stays in memory.
    fn default() -> Self {
        Self {
            pages: Arc::new(MemoryPages::default()),
            budget_bytes: usize::MAX,
            wake: Box::new(|_| {}),
        }
    }
}

/// The broker's account of message memory.
pub(crate) struct Paging {
    pub(crate) pages: Arc<dyn Pages>,
    pub(crate) origins: Vec<&'static Origin>,
    budget_bytes: usize,
    wake: Box<dyn Fn(PageWork) + Send + Sync>,
    memory_bytes: AtomicI64,
    /// Lines with messages that are on disk only.
    cold_lines: AtomicUsize,
    waiting: Mutex<Waiting>,
    /// Held while messages are moved out, and while a checkpoint says where they are.
    moving: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    loads: VecDeque<Weak<Queue>>,
    dropped: Vec<LineId>,
}

impl fmt::Debug for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paging")
            .field("memory_bytes", &self.memory_bytes)
            .finish_non_exhaustive()
    }
}

impl Paging {
    pub(crate) fn new(settings: PageSettings, origins: Vec<&'static Origin>) -> Self {
        Self {
            pages: settings.pages,
            origins,
            budget_bytes: settings.budget_bytes,
            wake: settings.wake,
            memory_bytes: AtomicI64::new(0),
            cold_lines: AtomicUsize::new(0),
            waiting: Mutex::new(Rank::Leaf, Waiting::default()),
            moving: Mutex::new(Rank::Paging, ()),
        }
    }

    /// Bytes of messages in memory, as far as queues have told.
    pub(crate) fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether more messages may come in.
    pub(crate) fn has_room(&self) -> bool {
        self.memory_bytes() <= self.budget_bytes
    }

    /// Above this, messages leave memory; well below the budget, so that they have left before
    /// publishers must be held up.
    pub(crate) const fn high_bytes(&self) -> usize {
        self.budget_bytes / 8 * 5
    }

    /// They leave until this is reached.
    pub(crate) const fn low_bytes(&self) -> usize {
        self.budget_bytes / 2
    }

    /// How much of a line's front stays in memory, or is read ahead: an eighth of the budget is
    /// shared by all that are longer.
    pub(crate) fn ahead_bytes(&self) -> usize {
        let lines = self.cold_lines.load(Ordering::Relaxed).max(1);
        (self.budget_bytes / 8 / lines).clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX)
    }

    /// How much is moved in one go.
    pub(crate) fn move_bytes(&self) -> usize {
        (self.budget_bytes / 64).clamp(MOVE_BYTES_MIN, MOVE_BYTES_MAX)
    }

    /// How much of a line must lie in old journal segments for page files to be worth it.
    pub(crate) fn worthwhile_bytes(&self) -> usize {
        (self.budget_bytes / 256).min(WORTHWHILE_BYTES_MAX)
    }

    pub(crate) fn moving(&self) -> Guard<'_, ()> {
        self.moving.lock()
    }

    /// A queue had so many lines with messages on disk only, and now has so many.
    pub(crate) fn lines_are_cold(&self, before: usize, now: usize) {
        if now > before {
            self.cold_lines.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.cold_lines.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Asks for the next messages of a queue.
    pub(crate) fn load(&self, queue: &Arc<Queue>) {
        self.waiting.lock().loads.push_back(Arc::downgrade(queue));
        (self.wake)(PageWork::In);
    }

    pub(crate) fn next_load(&self) -> Option<Arc<Queue>> {
        loop {
            let next = self.waiting.lock().loads.pop_front()?;
            if let Some(queue) = next.upgrade() {
                return Some(queue);
            }
        }
    }

    /// These lines are not needed any more.
    pub(crate) fn drop_lines(&self, lines: impl IntoIterator<Item = LineId>) {
        self.waiting.lock().dropped.extend(lines);
        (self.wake)(PageWork::Out);
    }

    pub(crate) fn take_dropped(&self) -> Vec<LineId> {
        std::mem::take(&mut self.waiting.lock().dropped)
    }

    fn report(&self, change: i64) {
        let before = self.memory_bytes.fetch_add(change, Ordering::Relaxed);
        let high = i64::try_from(self.high_bytes()).unwrap_or(i64::MAX);
        let budget = i64::try_from(self.budget_bytes).unwrap_or(i64::MAX);
        let gives_room = before > budget && before + change <= budget;
        if gives_room || (change > 0 && before + change > high) {
            (self.wake)(PageWork::Out);
        }
    }
}

/// One queue's part of the account.
#[derive(Debug)]
pub(crate) struct Gauge {
    paging: Arc<Paging>,
    bytes: i64,
    reported: i64,
}

impl Gauge {
    pub(crate) const fn new(paging: Arc<Paging>) -> Self {
        Self {
            paging,
            bytes: 0,
            reported: 0,
        }
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.change(i64::try_from(bytes).unwrap_or(0));
    }

    pub(crate) fn subtract(&mut self, bytes: usize) {
        self.change(-i64::try_from(bytes).unwrap_or(0));
    }

    /// Nothing is held any more.
    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.report();
    }

    fn change(&mut self, change: i64) {
        self.bytes += change;
        if (self.bytes - self.reported).abs() >= REPORT_BYTES {
            self.report();
        }
    }

    fn report(&mut self) {
        self.paging.report(self.bytes - self.reported);
        self.reported = self.bytes;
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.clear();
    }
}
