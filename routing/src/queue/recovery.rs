//! A queue's messages from journal entries, and as entries of a checkpoint.

use std::sync::Arc;

use super::{Entry as Queued, FIRST_SEQ, Queue, State};
use crate::delivery::Matched;
use crate::ids::Seq;
use crate::journal::{self, Entry, Lsn, Urgency};
use crate::message::{Message, QoS};
use crate::time::Timestamp;

/// A message's place in a queue, as the journal has it.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) seq: Seq,
    pub(crate) qos: QoS,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) matched: Option<Arc<Matched>>,
    pub(crate) body: Lsn,
}

impl Queue {
    /// Whether a message of that sequence number is still to be brought back.
    pub(crate) fn wants(&self, seq: Seq) -> bool {
        let state = self.state.lock();
        seq.0 >= state.next_seq || seq.0 < state.first_seq
    }

    /// Brings a message back.
    pub(crate) fn restore(&self, restored: Restored, message: &Arc<Message>) {
        let mut state = self.state.lock();
        let Restored {
            seq,
            qos,
            expires_at,
            matched,
            body,
        } = restored;
        state.next_seq = state.next_seq.max(seq.0 + 1);
        state.first_seq = state.first_seq.min(seq.0);
        let message = message.compact();
        let expires_at = message.expires_at.into_iter().chain(expires_at).min();
        // Whether it had been handed out is not known: it may be a redelivery.
        let entry = Queued {
            seq,
            message,
            qos,
            matched,
            body: Some(body),
            redeliveries: 0,
            expires_at,
        };
        // What was put before the head has a place of its own.
        state.ready.put_back(entry);
    }

    /// Forgets messages that had been settled.
    pub(crate) fn restore_settled(&self, seqs: &[Seq]) {
        let mut state = self.state.lock();
        seqs.iter().for_each(|seq| state.ready.remove(*seq));
    }

    /// Goes on from these sequence numbers.
    pub(crate) fn restore_position(&self, first: Seq, next: Seq) {
        let mut state = self.state.lock();
        state.first_seq = state.first_seq.min(first.0);
        state.next_seq = state.next_seq.max(next.0);
    }

    /// The durable messages as entries that name their bodies' records. Bodies below `copy_below`
    /// are journalled anew first, so that what is below can be given up.
    pub(crate) fn checkpoint(&self, copy_below: Lsn, entry: &mut dyn FnMut(&Entry)) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.copy_forward(state, copy_below);
        let unsettled = state.unsettled.values().map(|unsettled| &unsettled.entry);
        let handed_out = unsettled.chain(state.dying.values());
        let mut all = state.ready.iter().chain(handed_out).collect::<Vec<_>>();
        // In the order in which they came: what was put before the head, last one first.
        all.sort_unstable_by_key(|queued| match queued.seq.0.checked_sub(FIRST_SEQ) {
            Some(behind) => (false, behind),
            None => (true, FIRST_SEQ - queued.seq.0),
        });
        for queued in all {
            if let Some(body) = queued.body {
                entry(&Entry::Enqueue {
                    queue: self.id,
                    seq: queued.seq,
                    qos: queued.qos,
                    expires_at: queued.place(self.id).expires_at,
                    matched: queued.matched.as_deref().cloned(),
                    body,
                });
            }
        }
        entry(&Entry::QueuePosition {
            queue: self.id,
            first: Seq(state.first_seq),
            next: Seq(state.next_seq),
        });
    }

    fn copy_forward(&self, state: &mut State, below: Lsn) {
        let unsettled = state
            .unsettled
            .values_mut()
            .map(|unsettled| &mut unsettled.entry);
        let handed_out = unsettled.chain(state.dying.values_mut());
        for queued in state.ready.iter_mut().chain(handed_out) {
            if queued.body.is_some_and(|body| body < below) {
                state.scratch.clear();
                let message = &queued.message;
                journal::put_publish(&mut state.scratch, &queued.place(self.id), message);
                let record = [state.scratch.as_slice(), &message.payload];
                queued.body = Some(self.journal.append(&record, Urgency::Lazy).start);
            }
        }
    }
}
