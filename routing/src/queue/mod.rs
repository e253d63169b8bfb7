//! A queue: messages in order, consumers with credit, one short lock.
//!
//! A message goes straight to a consumer that has credit and room, and is stored only when there
//! is none. What is handed out is remembered until it is settled; what comes back goes to its old
//! place.

mod backlog;
mod consumer;
mod entry;
mod recovery;
#[cfg(test)]
mod tests;

pub use consumer::{Consumer, Credit};
pub(crate) use recovery::Restored;

use std::collections::HashMap;
use std::sync::Arc;

use crate::delivery::{Delivery, Matched, QueueDelivery, Source};
use crate::error::Error;
use crate::ids::{ConnectionId, ConsumerId, QueueId, Seq};
use crate::journal::{self, Journal, Lsn, Urgency};
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::outbox::{Event, Wakes};
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;
use crate::value::Table;
use backlog::Backlog;
use consumer::Consumers;
use entry::Entry;

/// The attributes of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueOptions {
    /// Survives a restart, with its persistent messages.
    pub durable: bool,
    /// Is deleted with its last consumer.
    pub auto_delete: bool,
    /// Belongs to this connection alone, and is deleted with it.
    pub exclusive: Option<ConnectionId>,
    /// All arguments, as declared.
    pub arguments: Table,
}

/// How much a queue keeps. A message handed out and not settled does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages ready for delivery.
    pub messages_max: Option<usize>,
    /// Their bytes, as [`Message::cost_bytes`] counts them.
    pub bytes_max: Option<usize>,
    /// Priorities above 0 that are told apart; 0 for a plain queue.
    pub priority_max: u8,
    /// What happens when a limit is reached.
    pub overflow: QueueOverflow,
}

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOverflow {
    /// Drops the oldest ready message.
    #[default]
    DropHead,
    /// Refuses the new one.
    Reject,
}

/// What `queue.declare-ok` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Messages ready for delivery.
    pub messages: usize,
    /// Consumers.
    pub consumers: usize,
}

/// What becomes of a message that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done.
    Ack,
    /// Back to its place in the queue.
    Requeue,
    /// Not wanted.
    Discard,
}

/// What became of a message offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue or on its way to a consumer.
    Accepted,
    /// The queue is full and refuses.
    Rejected,
    /// The queue is deleted.
    Gone,
}

impl Enqueued {
    /// Whether the queue took it.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }
}

/// One publish on its way through several queues: the body is journalled once.
#[derive(Debug)]
pub struct Enqueue<'a> {
    /// Gathers whom to wake.
    pub wakes: &'a mut Wakes,
    /// The record that holds the body, once there is one.
    body: Option<Lsn>,
    /// Where the last record of this publish ends.
    pub end: Option<Lsn>,
}

impl<'a> Enqueue<'a> {
    /// A publish that nobody has stored yet.
    pub const fn new(wakes: &'a mut Wakes) -> Self {
        Self {
            wakes,
            body: None,
            end: None,
        }
    }
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Its identity.
    pub id: QueueId,
    /// Its name.
    pub name: Name,
    /// Its attributes.
    pub options: QueueOptions,
    limits: QueueLimits,
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next_seq: u64,
    ready: Backlog,
    unsettled: HashMap<Seq, Unsettled, foldhash::fast::RandomState>,
    consumers: Consumers,
    is_deleted: bool,
    /// Reused for encoding journal records.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Unsettled {
    entry: Entry,
    consumer: ConsumerId,
}

impl Queue {
    /// A queue without messages.
    #[must_use]
    pub fn new(
        id: QueueId,
        name: Name,
        options: QueueOptions,
        limits: QueueLimits,
        journal: Arc<dyn Journal>,
    ) -> Arc<Self> {
        let state = State {
            next_seq: 0,
            ready: Backlog::new(limits.priority_max),
            unsettled: HashMap::default(),
            consumers: Consumers::default(),
            is_deleted: false,
            scratch: Vec::new(),
        };
        let state = Mutex::new(Rank::Queue, state);
        Arc::new(Self {
            id,
            name,
            options,
            limits,
            journal,
            state,
        })
    }

    /// Puts a message in. `qos` is the guarantee for this queue's receivers; at
    /// [`QoS::AtLeastOnce`] and above a durable queue journals it, and `enqueue.end` says where.
    pub fn enqueue(
        self: &Arc<Self>,
        now: Timestamp,
        message: &Arc<Message>,
        qos: QoS,
        matched: Option<&Arc<Matched>>,
        enqueue: &mut Enqueue<'_>,
    ) -> Enqueued {
        let mut state = self.state.lock();
        if state.is_deleted {
            return Enqueued::Gone;
        }
        let goes_out = state.ready.is_empty() && state.consumers.have_credit();
        if !goes_out && !self.make_room(&mut state, message) {
            return Enqueued::Rejected;
        }
        let seq = Seq(state.next_seq);
        state.next_seq += 1;
        let mut entry = Entry {
            seq,
            message: Arc::clone(message),
            qos,
            matched: matched.cloned(),
            body: None,
            redeliveries: 0,
        };
        self.journal_message(&mut state.scratch, &mut entry, enqueue);
        let stays = if goes_out {
            self.hand_out(&mut state, entry, enqueue.wakes)
        } else {
            Some(entry)
        };
        if let Some(mut entry) = stays {
            entry.message = entry.message.compact();
            state.ready.push(entry);
            self.drop_expired(&mut state, now);
        }
        Enqueued::Accepted
    }

    /// Adds a consumer and gives it what it may have.
    ///
    /// # Errors
    /// [`Error::ExclusiveUse`] when it or another consumer is exclusive; [`Error::NotFound`] when
    /// the queue is deleted.
    pub fn consume(
        self: &Arc<Self>,
        now: Timestamp,
        consumer: Consumer,
        wakes: &mut Wakes,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.is_deleted {
            return Err(Error::NotFound {
                kind: crate::error::Kind::Queue,
                name: self.name.clone(),
            });
        }
        if !state.consumers.add(consumer) {
            return Err(Error::ExclusiveUse {
                name: self.name.clone(),
            });
        }
        self.pump_locked(&mut state, now, wakes);
        Ok(())
    }

    /// Removes a consumer; what it has and has not settled stays with it. Returns how many
    /// consumers remain, or none when it was not there.
    pub fn cancel(self: &Arc<Self>, id: ConsumerId) -> Option<usize> {
        let mut state = self.state.lock();
        state.consumers.remove(id).then(|| state.consumers.len())
    }

    /// Takes everything back that this consumer has not settled, to its old place.
    pub fn release(self: &Arc<Self>, now: Timestamp, id: ConsumerId, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        let seqs = state
            .unsettled
            .iter()
            .filter(|(_, u)| u.consumer == id)
            .map(|(seq, _)| *seq);
        let seqs = seqs.collect::<Vec<_>>();
        self.settle_locked(&mut state, &seqs, Settlement::Requeue);
        self.pump_locked(&mut state, now, wakes);
    }

    /// Settles messages that were handed out; unknown ones are ignored. The consumer's credit is
    /// its front's to give back *before* this. Returns where the record of it ends, if there is
    /// one.
    pub fn settle(
        self: &Arc<Self>,
        now: Timestamp,
        seqs: &[Seq],
        settlement: Settlement,
        wakes: &mut Wakes,
    ) -> Option<Lsn> {
        let mut state = self.state.lock();
        let lsn = self.settle_locked(&mut state, seqs, settlement);
        self.pump_locked(&mut state, now, wakes);
        lsn
    }

    /// Takes messages back that were offered to a connection and never reached its peer: as if
    /// they had not been handed out.
    pub fn untake(self: &Arc<Self>, now: Timestamp, seqs: &[Seq], wakes: &mut Wakes) {
        let mut state = self.state.lock();
        let back = seqs
            .iter()
            .filter_map(|seq| state.unsettled.remove(seq))
            .collect::<Vec<_>>();
        back.into_iter()
            .for_each(|unsettled| state.ready.put_back(unsettled.entry));
        self.pump_locked(&mut state, now, wakes);
    }

    /// Takes one message without a consumer (`basic.get`). `owner` is whom it is unsettled for.
    /// Returns it with the number of messages left.
    pub fn get(
        self: &Arc<Self>,
        now: Timestamp,
        owner: ConsumerId,
        acknowledges: bool,
    ) -> Option<(Delivery, usize)> {
        let mut state = self.state.lock();
        self.drop_expired(&mut state, now);
        let entry = state.ready.pop()?;
        let delivery = self.delivery(&entry, owner, 0, acknowledges);
        self.taken(&mut state, entry, owner, acknowledges);
        Some((delivery, state.ready.len()))
    }

    /// Gives consumers what they may have: call it after credit or room was given back.
    pub fn pump(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        self.pump_locked(&mut self.state.lock(), now, wakes);
    }

    /// Removes all ready messages; returns how many.
    pub fn purge(self: &Arc<Self>) -> usize {
        let mut state = self.state.lock();
        let entries = state.ready.drain();
        let gone = entries
            .iter()
            .filter(|e| e.body.is_some())
            .map(|e| e.seq)
            .collect::<Vec<_>>();
        self.journal_settled(&mut state, &gone);
        entries.len()
    }

    /// Counts.
    #[must_use]
    pub fn status(&self) -> QueueStatus {
        let state = self.state.lock();
        QueueStatus {
            messages: state.ready.len(),
            consumers: state.consumers.len(),
        }
    }

    /// Messages handed out and not settled.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.state.lock().unsettled.len()
    }

    /// Whether messages wait for a consumer.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.state.lock().ready.is_empty()
    }

    /// Whether a connection may use it: an exclusive queue is its owner's alone.
    ///
    /// # Errors
    /// [`Error::Locked`].
    pub fn check_owner(&self, connection: ConnectionId) -> Result<(), Error> {
        match self.options.exclusive {
            Some(owner) if owner != connection => Err(Error::Locked {
                name: self.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Marks it deleted, tells its consumers, forgets its messages.
    pub(crate) fn delete(self: &Arc<Self>, wakes: &mut Wakes) -> usize {
        let mut state = self.state.lock();
        state.is_deleted = true;
        for consumer in state.consumers.drain() {
            let event = Event::ConsumerCancelled {
                token: consumer.token,
            };
            consumer.outbox.notify(event, wakes);
        }
        state.unsettled.clear();
        state.ready.drain().len()
    }

    fn make_room(&self, state: &mut State, message: &Message) -> bool {
        let bytes = message.cost_bytes();
        while state.ready.exceeds(&self.limits, bytes) {
            if self.limits.overflow == QueueOverflow::Reject {
                return false;
            }
            let Some(dropped) = state.ready.pop() else {
                break;
            };
            self.journal_gone(state, &dropped);
        }
        true
    }

    fn drop_expired(&self, state: &mut State, now: Timestamp) {
        while let Some(expired) = state.ready.pop_if(|entry| entry.message.is_expired(now)) {
            self.journal_gone(state, &expired);
        }
    }

    fn pump_locked(self: &Arc<Self>, state: &mut State, now: Timestamp, wakes: &mut Wakes) {
        while !state.consumers.is_empty() {
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
    fn hand_out(
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

    fn taken(&self, state: &mut State, entry: Entry, consumer: ConsumerId, acknowledges: bool) {
        if acknowledges {
            state
                .unsettled
                .insert(entry.seq, Unsettled { entry, consumer });
        } else {
            self.journal_gone(state, &entry);
        }
    }

    fn delivery(
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
            acknowledges,
            qos: entry.qos,
            matched: entry.matched.clone(),
        });
        Delivery {
            message: Arc::clone(&entry.message),
            source,
        }
    }

    fn settle_locked(
        &self,
        state: &mut State,
        seqs: &[Seq],
        settlement: Settlement,
    ) -> Option<Lsn> {
        let mut gone = Vec::new();
        for seq in seqs {
            let Some(Unsettled { mut entry, .. }) = state.unsettled.remove(seq) else {
                continue;
            };
            if settlement == Settlement::Requeue {
                entry.redeliveries += 1;
                entry.message = entry.message.compact();
                state.ready.put_back(entry);
            } else if entry.body.is_some() {
                gone.push(*seq);
            }
        }
        self.journal_settled(state, &gone)
    }

    /// Journals a message that must survive.
    fn journal_message(&self, scratch: &mut Vec<u8>, entry: &mut Entry, enqueue: &mut Enqueue<'_>) {
        if !self.options.durable || entry.qos == QoS::AtMostOnce {
            return;
        }
        let (seq, qos, matched) = (entry.seq, entry.qos, entry.matched.as_deref());
        scratch.clear();
        let appended = if let Some(body) = enqueue.body {
            journal::put_enqueue(scratch, self.id, seq, qos, matched, body);
            self.journal.append(&[scratch], Urgency::Sync)
        } else {
            journal::put_publish(scratch, self.id, seq, qos, matched, &entry.message);
            self.journal
                .append(&[scratch, &entry.message.payload], Urgency::Sync)
        };
        enqueue.end = Some(appended.end);
        entry.body = Some(*enqueue.body.get_or_insert(appended.start));
    }

    fn journal_gone(&self, state: &mut State, entry: &Entry) {
        if entry.body.is_some() {
            self.journal_settled(state, &[entry.seq]);
        }
    }

    fn journal_settled(&self, state: &mut State, seqs: &[Seq]) -> Option<Lsn> {
        if seqs.is_empty() {
            return None;
        }
        state.scratch.clear();
        journal::put_settled(&mut state.scratch, self.id, seqs);
        Some(self.journal.append(&[&state.scratch], Urgency::Lazy).end)
    }
}
