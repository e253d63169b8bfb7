//! What a queue does without being asked: it drops expired heads in time, tries dead letters again
//! that must arrive, and ends when nobody has used it for long (`x-expires`). One timer, for the
//! earliest of them.

use std::sync::Arc;

use super::{Queue, State};
use crate::outbox::Wakes;
use crate::time::Timestamp;
use crate::timer::Due;

impl Queue {
    /// Somebody uses the queue: its life begins anew.
    pub(crate) fn touch(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        self.locked(now, wakes, |state, _| {
            state.used_at = now;
            state.ages.begin(now);
        });
    }

    /// Its timer has run out.
    pub(crate) fn handle_timeout(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        if let Some(home) = self.home.upgrade() {
            home.queue_due(now, self, wakes);
        }
    }

    /// Looks at what is due by now. Returns true when nobody has used the queue for as long as it
    /// may be unused: it takes no more, and is to be deleted.
    pub(crate) fn due(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) -> bool {
        self.locked(now, wakes, |state, _| {
            state.timer.take_if(|timer| timer.at <= now);
            self.retry_stuck(state, now);
            let is_over = self.unused_until(state).is_some_and(|end| end <= now);
            state.is_deleted |= is_over;
            is_over
        })
    }

    /// Sets a timer for what comes next, unless there is an earlier one.
    pub(super) fn set_timer(self: &Arc<Self>, state: &mut State) {
        let expiry = state.ready.next_expiry();
        let times = [expiry, self.unused_until(state), state.stuck.retry_at];
        let Some(at) = times.into_iter().flatten().min() else {
            return;
        };
        if state.timer.is_some_and(|timer| timer.at <= at) {
            return;
        }
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let timers = home.timers();
        let timer = timers.set(at, Due::Queue(Arc::downgrade(self)));
        if let Some(later) = state.timer.replace(timer) {
            timers.cancel(later);
        }
    }

    /// Until when the queue stays if nobody uses it.
    fn unused_until(&self, state: &State) -> Option<Timestamp> {
        if !state.consumers.is_empty() || state.is_deleted {
            return None;
        }
        let policy = self.policy();
        let is_empty = state.ready.is_empty() && state.unsettled.is_empty();
        let empty_max_ms = policy.empty_max_ms.filter(|_| is_empty);
        let limits_ms = policy.unused_max_ms.into_iter().chain(empty_max_ms);
        Some(state.used_at.plus_ms(limits_ms.min()?))
    }
}
