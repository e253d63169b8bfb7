//! A queue as a list with two ends: what Redis's list commands are views onto.
//!
//! Consumers and `basic.publish` use the head and the tail as ever; here messages are also put
//! before the head and taken from the tail. What is put before the head gets a sequence number
//! below all others, so its place survives a restart like any other.

use std::sync::Arc;

use super::{Consumer, Enqueue, Enqueued, Entry, Queue, State};
use crate::death::DeathReason;
use crate::delivery::Delivery;
use crate::error::Error;
use crate::ids::{ConsumerId, Seq};
use crate::journal::Lsn;
use crate::message::Message;
use crate::outbox::Wakes;
use crate::time::Timestamp;

/// An end of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where consumers take from.
    Head,
    /// Where publishers put.
    Tail,
}

/// What became of messages that were put at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutAtEnd {
    /// Whether all were taken; those before the first that was refused are in the queue.
    pub outcome: Enqueued,
    /// Messages in the queue then, before any consumer took one.
    pub messages: usize,
    /// They are safe once the journal is durable up to here; none when nothing needs to be.
    pub lsn: Option<Lsn>,
}

impl Queue {
    /// Puts messages at an end, one after the other, before any consumer takes one. All are
    /// refused while messages take more memory than they may.
    pub fn put_at(
        self: &Arc<Self>,
        now: Timestamp,
        end: End,
        messages: &[Arc<Message>],
        wakes: &mut Wakes,
    ) -> PutAtEnd {
        if end == End::Head {
            self.become_list(now);
        }
        self.locked(now, wakes, |state, wakes| {
            let mut put = PutAtEnd {
                outcome: Enqueued::Accepted,
                messages: 0,
                lsn: None,
            };
            if state.is_deleted {
                put.outcome = Enqueued::Gone;
                return put;
            }
            state.used_at = now;
            for message in messages {
                // Its publisher cannot be held up, and what is put at the head stays in memory.
                let has_room = self.store.paging.has_room();
                if !has_room || self.refuses(state, message) {
                    put.outcome = Enqueued::Rejected;
                    break;
                }
                match self.put_one(state, now, end, message, wakes) {
                    Some(lsn) => put.lsn = lsn.or(put.lsn),
                    None => {
                        put.outcome = Enqueued::Rejected;
                        break;
                    }
                }
            }
            put.messages = state.ready.len();
            self.pump_locked(state, now, wakes);
            self.drop_surplus(state);
            put
        })
    }

    /// Puts one message there, and says where its record ends; none when the journal refuses it.
    fn put_one(
        &self,
        state: &mut State,
        now: Timestamp,
        end: End,
        message: &Arc<Message>,
        wakes: &mut Wakes,
    ) -> Option<Option<Lsn>> {
        let mut entry = match end {
            End::Tail => self.next_entry(state, now, message, message.qos),
            End::Head => {
                state.first_seq -= 1;
                self.entry_at(Seq(state.first_seq), now, message, message.qos)
            }
        };
        let mut enqueue = Enqueue::new(wakes);
        if !self.journal_message(&mut state.scratch, &mut entry, &mut enqueue) {
            return None;
        }
        entry.message = entry.message.compact();
        state.memory.add(entry.message.cost_bytes());
        match end {
            End::Tail => state.ready.push(entry),
            End::Head => state.ready.put_back(entry),
        }
        Some(enqueue.end)
    }

    /// Takes up to `count` messages from an end; they are gone.
    pub fn take_at(self: &Arc<Self>, now: Timestamp, end: End, count: usize) -> Vec<Arc<Message>> {
        let mut taken = Vec::new();
        self.with_end(now, end, |state| {
            let mut entries = Vec::new();
            while taken.len() + entries.len() < count
                && let Some(entry) = self.pop_at(state, now, end)
            {
                entries.push(entry);
            }
            self.forget(state, &entries);
            taken.extend(entries.into_iter().map(|entry| entry.message));
            taken.len() < count
        });
        taken
    }

    /// Takes one message from an end, unsettled for `owner`.
    pub fn hold_at(
        self: &Arc<Self>,
        now: Timestamp,
        end: End,
        owner: ConsumerId,
    ) -> Option<Delivery> {
        let mut held = None;
        self.with_end(now, end, |state| {
            let Some(entry) = self.pop_at(state, now, end) else {
                return true;
            };
            held = Some(self.delivery(&entry, owner, 0, true));
            self.taken(state, entry, owner, true);
            false
        });
        held
    }

    /// Takes something from an end, again while it wants more and more can be read from disk.
    fn with_end(
        self: &Arc<Self>,
        now: Timestamp,
        end: End,
        mut wants_more: impl FnMut(&mut State) -> bool,
    ) {
        if end == End::Tail {
            self.become_list(now);
        }
        loop {
            let goes_on = self.locked(now, &mut Wakes::default(), |state, _| {
                state.used_at = now;
                wants_more(state) && state.ready.starves()
            });
            if !goes_on {
                return;
            }
            self.load(now, &mut Wakes::default());
        }
    }

    /// Adds a consumer that takes from the tail.
    ///
    /// # Errors
    /// As [`Queue::consume`].
    pub fn consume_from_tail(
        self: &Arc<Self>,
        now: Timestamp,
        consumer: Consumer,
        wakes: &mut Wakes,
    ) -> Result<(), Error> {
        self.become_list(now);
        self.consume_at(now, End::Tail, consumer, wakes)
    }

    /// Up to `count` messages in order from the head, after the first `start`, left where they
    /// are. When some of them are on disk only, the queue becomes a list. May block on the disk.
    #[must_use]
    pub fn peek(self: &Arc<Self>, now: Timestamp, start: usize, count: usize) -> Vec<Arc<Message>> {
        {
            let state = self.state.lock();
            let found = state.peek(start, count);
            let wanted = count.min(state.ready.len().saturating_sub(start));
            if found.len() >= wanted || !state.ready.can_load() {
                return found;
            }
        }
        self.become_list(now);
        self.state.lock().peek(start, count)
    }

    /// Removes up to `max` messages with this payload, looking from one end; returns how many.
    pub fn remove_equal(
        self: &Arc<Self>,
        now: Timestamp,
        from: End,
        max: usize,
        payload: &[u8],
    ) -> usize {
        self.become_list(now);
        self.locked(now, &mut Wakes::default(), |state, _| {
            state.used_at = now;
            let is_equal = |entry: &Entry| entry.message.payload == payload;
            let removed = state.ready.extract(from, max, is_equal);
            self.forget(state, &removed);
            removed.len()
        })
    }

    /// Removes so many messages from the head and so many from the tail.
    pub fn trim(self: &Arc<Self>, now: Timestamp, head: usize, tail: usize) {
        self.become_list(now);
        self.locked(now, &mut Wakes::default(), |state, _| {
            state.used_at = now;
            let mut removed = Vec::new();
            removed.extend((0..head.min(state.ready.len())).map_while(|_| state.ready.pop()));
            removed.extend((0..tail.min(state.ready.len())).map_while(|_| state.ready.pop_last()));
            self.forget(state, &removed);
        });
    }

    /// What changes with every message that comes or goes: to find out whether one did.
    #[must_use]
    pub fn revision(&self) -> (u64, u64, usize) {
        let state = self.state.lock();
        (state.first_seq, state.next_seq, state.ready.len())
    }

    fn pop_at(self: &Arc<Self>, state: &mut State, now: Timestamp, end: End) -> Option<Entry> {
        self.drop_expired(state, now);
        if end == End::Head {
            return state.ready.pop();
        }
        loop {
            let entry = state.ready.pop_last()?;
            if !entry.is_expired(now) {
                return Some(entry);
            }
            self.let_die(state, entry, DeathReason::Expired);
        }
    }

    /// Journals that these are gone.
    fn forget(&self, state: &mut State, entries: &[Entry]) {
        let seqs = entries.iter().filter_map(|entry| self.leave(state, entry));
        let seqs = seqs.collect::<Vec<_>>();
        self.journal_settled(state, &seqs);
    }

    /// Serves the next consumer if it takes from the tail; false when it does not, or cannot.
    pub(super) fn serve_tail(
        self: &Arc<Self>,
        state: &mut State,
        now: Timestamp,
        wakes: &mut Wakes,
    ) -> bool {
        let Some(consumer) = state.consumers.next_at_tail() else {
            return false;
        };
        let Some(entry) = self.pop_at(state, now, End::Tail) else {
            return false;
        };
        let given = consumer.try_give(wakes, &|consumer: &Consumer| {
            self.delivery(&entry, consumer.id, consumer.token, consumer.acknowledges)
        });
        if given {
            self.taken(state, entry, consumer.id, consumer.acknowledges);
        } else {
            state.ready.put_back(entry);
        }
        given
    }
}

impl State {
    /// What is in memory of such a range.
    fn peek(&self, start: usize, count: usize) -> Vec<Arc<Message>> {
        let entries = self.ready.range(start, count);
        let messages = entries.iter().map(|entry| Arc::clone(&entry.message));
        messages.collect()
    }
}

impl End {
    /// The opposite one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Head => Self::Tail,
            Self::Tail => Self::Head,
        }
    }
}
