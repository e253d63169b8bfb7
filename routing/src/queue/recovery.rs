//! A queue's messages from journal entries, and as entries of a checkpoint.

use std::sync::Arc;

use super::backlog::Total;
use super::{Body, Entry as Queued, FIRST_SEQ, Queue, State};
use crate::delivery::Matched;
use crate::ids::Seq;
use crate::journal::{self, Entry, Lsn, Urgency};
use crate::message::{Message, QoS};
use crate::pages::{LineId, PageError};
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

    /// Whether a message of that number, if it is in page files, is in those of the only line.
    pub(crate) fn may_page(&self, seq: Seq) -> bool {
        seq.0 >= FIRST_SEQ && self.policy().limits.priority_max == 0
    }

    /// Brings a message back.
    pub(crate) fn restore(&self, restored: Restored, message: &Arc<Message>) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Restored {
            seq,
            qos,
            expires_at,
            matched,
            body,
        } = restored;
        state.next_seq = state.next_seq.max(seq.0 + 1);
        state.first_seq = state.first_seq.min(seq.0);
        let expires_at = message.expires_at.into_iter().chain(expires_at).min();
        // Whether it had been handed out is not known: it may be a redelivery.
        let entry = Queued {
            seq,
            message: Arc::clone(message),
            qos,
            matched,
            body: Body::Journal(body),
            redeliveries: 0,
            expires_at,
        };
        state.memory.add(message.cost_bytes());
        // What was put before the head has a place of its own.
        state.ready.put_back(entry);
    }

    /// Forgets messages that had been settled; they may be in page files too.
    pub(crate) fn restore_settled(&self, lines: &[LineId], seqs: &[Seq]) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        for seq in seqs {
            if let Some(entry) = state.ready.remove(*seq) {
                state.memory.subtract(entry.message.cost_bytes());
            }
            for line in lines {
                self.store.paging.pages.settle(*line, *seq, *seq);
            }
        }
    }

    /// A line is in its page files up to here; `each` is what a message there takes on average.
    pub(crate) fn restore_paged(
        &self,
        priority: u8,
        through: Seq,
        each: (u64, u64),
        wanted: &[u8],
    ) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        for entry in state.ready.forget_paged(priority, through) {
            state.memory.subtract(entry.message.cost_bytes());
        }
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(0);
        if let Some(line) = state.ready.line_mut(priority) {
            line.paged = Total {
                len: 1,
                bytes: bytes(each.0),
                body_bytes: bytes(each.1),
            };
            line.paged_through = line.paged_through.max(Some(through));
        }
        state.next_seq = state.next_seq.max(through.0 + 1);
        if !wanted.is_empty() {
            self.store.paging.pages.restore(self.line(priority), wanted);
        }
    }

    /// Takes over what is in page files, now that everything else is known.
    ///
    /// # Errors
    /// When something is missing there.
    pub(crate) fn restore_cold(&self, found: &[LineId]) -> Result<(), PageError> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.born_at = Seq(state.next_seq);
        let known = state.ready.lines();
        let known = known.filter(|(_, line)| line.paged_through.is_some());
        let mut lines = known
            .map(|(priority, _)| self.line(priority))
            .collect::<Vec<_>>();
        lines.extend(found);
        lines.sort_unstable();
        lines.dedup();
        for line in lines {
            let through = state.ready.paged_through(line.priority);
            let wanted = self.store.paging.pages.confirm(line, through)?;
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
            state.ready.begin_cold(line.priority, wanted);
        }
        self.tell_cold(state);
        Ok(())
    }

    /// Goes on from these sequence numbers.
    pub(crate) fn restore_position(&self, first: Seq, next: Seq, delivered: Seq) {
        let mut state = self.state.lock();
        state.first_seq = state.first_seq.min(first.0);
        state.next_seq = state.next_seq.max(next.0);
        state.delivered = state.delivered.max(delivered);
    }

    /// The durable messages as entries that name their bodies' records. Bodies below `copy_below`
    /// are journalled anew first, so that what is below can be given up. Returns the position
    /// from which on the journal is needed.
    pub(crate) fn checkpoint(&self, copy_below: Lsn, entry: &mut dyn FnMut(&Entry)) -> Lsn {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.copy_forward(state, copy_below);
        let mut all = state
            .in_memory()
            .filter_map(|queued| match queued.body {
                Body::Journal(body) => Some((queued, body)),
                Body::Memory | Body::Paged => None,
            })
            .collect::<Vec<_>>();
        // In the order in which they came: what was put before the head, last one first.
        all.sort_unstable_by_key(|(queued, _)| match queued.seq.0.checked_sub(FIRST_SEQ) {
            Some(behind) => (false, behind),
            None => (true, FIRST_SEQ - queued.seq.0),
        });
        let needed = all.iter().map(|(_, body)| *body).min();
        for (queued, body) in all {
            entry(&Entry::Enqueue {
                queue: self.id,
                seq: queued.seq,
                qos: queued.qos,
                expires_at: queued.place(self.id).expires_at,
                matched: queued.matched.as_deref().cloned(),
                body,
            });
        }
        for (priority, _) in state.ready.lines() {
            if state.ready.paged_through(priority).is_some() {
                let wanted = self.store.paging.pages.snapshot(self.line(priority));
                let paged = self.paged_record(&state.ready, priority, wanted);
                paged.iter().for_each(&mut *entry);
            }
        }
        entry(&Entry::QueuePosition {
            queue: self.id,
            first: Seq(state.first_seq),
            next: Seq(state.next_seq),
            delivered: state.delivered,
        });
        for (seq, at) in state.ages.samples() {
            entry(&Entry::Noted {
                queue: self.id,
                seq,
                at,
            });
        }
        needed.unwrap_or(Lsn(u64::MAX))
    }

    fn copy_forward(&self, state: &mut State, below: Lsn) {
        let unsettled = state
            .unsettled
            .values_mut()
            .map(|unsettled| &mut unsettled.entry);
        let handed_out = unsettled.chain(state.dying.values_mut());
        for queued in state.ready.iter_mut().chain(handed_out) {
            if queued.is_below(below) {
                state.scratch.clear();
                let message = &queued.message;
                journal::put_publish(&mut state.scratch, &queued.place(self.id), message);
                let record = [state.scratch.as_slice(), &message.payload];
                let copied = self.store.journal.append(&record, Urgency::Lazy);
                if copied.is_refused() {
                    // The old one is kept, and the journal with it.
                    return;
                }
                queued.body = Body::Journal(copied.start);
            }
        }
    }
}
