//! Handing messages to consumers, and what is known of those that were handed out before.
//!
//! Deliveries are not journalled. A stop that ends cleanly leaves the number up to which messages
//! were handed out; after any other, all that is left may have been, and is said to be (as
//! RabbitMQ's classic queues do).

use std::sync::Arc;

use super::{Entry, Queue, State, Unsettled};
use crate::delivery::{Delivery, QueueDelivery, Source};
use crate::ids::{ConsumerId, Seq};
use crate::outbox::Wakes;
use crate::time::Timestamp;

impl Queue {
    pub(super) fn pump_locked(
        self: &Arc<Self>,
        state: &mut State,
        now: Timestamp,
        wakes: &mut Wakes,
    ) {
        while !state.consumers.is_empty() {
            if self.serve_tail(state, now, wakes) {
                continue;
            }
            self.drop_expired(state, now);
            let Some(entry) = state.ready.pop() else {
                return;
            };
            if let Some(entry) = self.hand_out(state, entry, wakes) {
                return state.ready.put_back(entry);
            }
        }
    }

    /// Offers an entry to the consumers in turn; gives it back when none takes it.
    pub(super) fn hand_out(
        self: &Arc<Self>,
        state: &mut State,
        entry: Entry,
        wakes: &mut Wakes,
    ) -> Option<Entry> {
        let taker = state.consumers.offer(wakes, |consumer| {
            self.delivery(&entry, consumer.id, consumer.token, consumer.acknowledges)
        });
        let Some((id, acknowledges)) = taker else {
            return Some(entry);
        };
        self.taken(state, entry, id, acknowledges);
        None
    }

    pub(super) fn taken(
        &self,
        state: &mut State,
        entry: Entry,
        consumer: ConsumerId,
        acknowledges: bool,
    ) {
        state.delivered = state.delivered.max(Seq(entry.seq.0 + 1));
        if acknowledges {
            state
                .unsettled
                .insert(entry.seq, Unsettled { entry, consumer });
        } else {
            self.journal_gone(state, &entry);
        }
    }

    pub(super) fn delivery(
        self: &Arc<Self>,
        entry: &Entry,
        consumer: ConsumerId,
        token: u64,
        acknowledges: bool,
    ) -> Delivery {
        let source = Source::Queue(QueueDelivery {
            queue: Arc::clone(self),
            consumer,
            token,
            seq: entry.seq,
            redeliveries: entry.redeliveries,
            is_redelivered: entry.redeliveries > 0 || self.may_be_delivered(entry.seq),
            acknowledges,
            qos: entry.qos,
            matched: entry.matched.clone(),
        });
        Delivery {
            message: Arc::clone(&entry.message),
            source,
        }
    }

    /// At a start, when everything is known: what was handed out in an earlier run.
    pub(crate) fn restore_delivered(&self, was_clean: bool) {
        let state = self.state.lock();
        let end = match was_clean {
            true => state.delivered,
            false => Seq(state.next_seq),
        };
        let first = Seq(state.first_seq);
        // Once only: a start is.
        drop(self.delivered_before.set(first..end));
    }

    fn may_be_delivered(&self, seq: Seq) -> bool {
        let before = self.delivered_before.get();
        before.is_some_and(|before| before.contains(&seq))
    }
}
