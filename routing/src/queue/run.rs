//! Runs: messages that one publisher sent one after the other go into each queue under one lock,
//! and to a consumer that does not acknowledge as one item.

use std::sync::Arc;

use super::{Enqueue, Queue, QueueOverflow, State, dead_letter};
use crate::ids::Seq;
use crate::message::{Message, QoS};
use crate::outbox::Wakes;
use crate::run::Run;
use crate::time::Timestamp;

impl Queue {
    /// Whether what becomes of such a message here is known without putting it in: it is neither
    /// journalled nor refused.
    pub(crate) fn takes_runs_of(&self, message: &Message) -> bool {
        let is_journalled = self.options.durable && message.qos != QoS::AtMostOnce;
        !is_journalled && self.policy().limits.overflow == QueueOverflow::DropHead
    }

    /// Puts the messages of a run in, for which [`Queue::takes_runs_of`] holds.
    pub(crate) fn enqueue_run(self: &Arc<Self>, now: Timestamp, run: &Arc<Run>, wakes: &mut Wakes) {
        let mut enqueue = Enqueue::new(wakes);
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if state.is_deleted || self.hand_out_run(state, now, run, enqueue.wakes) {
                return;
            }
            for message in run.messages() {
                self.enqueue_locked(state, now, (message, message.qos), None, &mut enqueue);
            }
            self.finish(state, now);
            enqueue.dead.append(&mut state.dead);
        }
        dead_letter::publish(now, std::mem::take(&mut enqueue.dead), enqueue.wakes);
    }

    /// Gives the whole run to the only consumer, if it takes what comes and acknowledges nothing.
    fn hand_out_run(
        &self,
        state: &mut State,
        now: Timestamp,
        run: &Arc<Run>,
        wakes: &mut Wakes,
    ) -> bool {
        let (Some(consumer), Some(first)) = (state.consumers.sole(), run.messages().first()) else {
            return false;
        };
        let is_plain = !consumer.acknowledges && state.ready.is_empty() && !self.may_expire(run);
        if !is_plain || !consumer.outbox.offer_run(run, consumer.token, wakes) {
            return false;
        }
        self.note(state, Seq(state.next_seq), now, first.qos);
        // No run has more messages than a number can say.
        state.next_seq += u64::try_from(run.messages().len()).unwrap_or(u64::MAX);
        state.delivered = Seq(state.next_seq);
        true
    }

    /// A message that expires is looked at by itself.
    fn may_expire(&self, run: &Run) -> bool {
        run.can_expire() || self.policy().ttl_ms.is_some()
    }
}
