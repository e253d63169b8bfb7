//! What the core wants to do later: expire sessions, send delayed wills and messages, drop expired
//! queue heads, delete unused queues. The gateway sleeps until the first of them; an idle core has
//! none.

use std::collections::BTreeMap;
use std::sync::Weak;

use crate::delay::Delays;
use crate::queue::Queue;
use crate::session::Session;
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;

/// Something to look at again when its time has come. Looking too early or in vain does no harm.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// A will's delay or a session's expiry has passed.
    Session(Weak<Session>),
    /// A delayed message's time has come.
    Delays(Weak<Delays>),
    /// A message at a queue's head has expired, or nobody has used the queue for long.
    Queue(Weak<Queue>),
}

/// A timer that was set, to take it back. Timers of one moment are told apart by their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    pub(crate) at: Timestamp,
    order: u64,
}

/// All timers of a broker.
pub(crate) struct Timers {
    all: Mutex<(u64, BTreeMap<TimerKey, Due>)>,
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
            all: Mutex::new(Rank::Leaf, (0, BTreeMap::new())),
            earlier,
        }
    }

    pub(crate) fn set(&self, at: Timestamp, due: Due) -> TimerKey {
        let (key, is_first) = {
            let mut guard = self.all.lock();
            let (order, timers) = &mut *guard;
            *order += 1;
            let key = TimerKey { at, order: *order };
            let is_first = timers
                .first_key_value()
                .is_none_or(|(first, _)| at < first.at);
            timers.insert(key, due);
            (key, is_first)
        };
        if is_first {
            (self.earlier)();
        }
        key
    }

    /// Takes a timer back, unless its time has come already.
    pub(crate) fn cancel(&self, key: TimerKey) {
        self.all.lock().1.remove(&key);
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let guard = self.all.lock();
        guard.1.first_key_value().map(|(first, _)| first.at)
    }

    /// Takes one timer whose time has come.
    pub(crate) fn pop(&self, now: Timestamp) -> Option<Due> {
        let timers = &mut self.all.lock().1;
        let first = timers.first_entry()?;
        (first.key().at <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_and_can_be_taken_back() {
        let timers = Timers::new(Box::new(|| {}));
        let due = || Due::Queue(Weak::new());
        let early = timers.set(Timestamp(5), due());
        let late = timers.set(Timestamp(9), due());
        assert_eq!(timers.next_at(), Some(Timestamp(5)));
        timers.cancel(early);
        assert_eq!(timers.next_at(), Some(late.at));
        assert!(timers.pop(Timestamp(8)).is_none());
        assert!(timers.pop(Timestamp(9)).is_some());
        assert_eq!(timers.next_at(), None);
    }
}
