//! What the core wants to do later: expire sessions, send delayed wills, drop expired queue heads.
//! The gateway sleeps until the first of them; an idle core has none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Weak;

use crate::session::Session;
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;

/// Something to look at again when its time has come. Looking too early or in vain does no harm.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// A will's delay or a session's expiry has passed.
    Session(Weak<Session>),
}

#[derive(Debug)]
struct Timer {
    at: Timestamp,
    order: u64,
    due: Due,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// All timers of a broker.
pub(crate) struct Timers {
    heap: Mutex<(u64, BinaryHeap<Reverse<Timer>>)>,
    /// Told when an earlier timer than all others is set.
    earlier: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").finish_non_exhaustive()
    }
}

impl Timers {
    pub(crate) fn new(earlier: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            heap: Mutex::new(Rank::Leaf, (0, BinaryHeap::new())),
            earlier,
        }
    }

    pub(crate) fn set(&self, at: Timestamp, due: Due) {
        let is_first = {
            let mut guard = self.heap.lock();
            let (order, heap) = &mut *guard;
            *order += 1;
            let is_first = heap.peek().is_none_or(|first| at < first.0.at);
            heap.push(Reverse(Timer {
                at,
                order: *order,
                due,
            }));
            is_first
        };
        if is_first {
            (self.earlier)();
        }
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.heap.lock().1.peek().map(|first| first.0.at)
    }

    /// Takes one timer whose time has come.
    pub(crate) fn pop(&self, now: Timestamp) -> Option<Due> {
        let heap = &mut self.heap.lock().1;
        heap.peek()
            .is_some_and(|first| first.0.at <= now)
            .then(|| heap.pop())?
            .map(|t| t.0.due)
    }
}
