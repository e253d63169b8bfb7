//! A queue: messages in order, consumers with credit, one short lock.
//!
//! A message goes straight to a consumer that has credit and room, and is stored only when there
//! is none. What is handed out is remembered until it is settled; what comes back goes to its old
//! place.

mod age;
mod backlog;
mod consumer;
mod dead_letter;
mod enqueue;
mod entry;
mod handout;
mod home;
mod line;
mod list;
mod paging;
mod policy;
mod recovery;
mod run;
mod settle;
#[cfg(test)]
mod tests;
mod timing;

pub use consumer::{Consumer, Credit};
pub(crate) use dead_letter::{keys as message_keys, publish as publish_dead};
pub use enqueue::{Enqueue, Enqueued};
pub(crate) use home::Home;
pub use list::{End, PutAtEnd};
pub(crate) use paging::Store;
pub use policy::{
    DeadLetterStrategy, DeadLetterTarget, QueueLimits, QueueOptions, QueueOverflow, QueuePolicy,
    QueueTerms,
};
pub(crate) use recovery::Restored;
pub use settle::Settlement;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, Guard};

use crate::death::DeathReason;
use crate::delivery::{Delivery, Matched};
use crate::error::Error;
use crate::ids::{ConnectionId, ConsumerId, QueueId, Seq};
use crate::journal::{self, Lsn, Urgency};
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::outbox::{Event, Wakes};
use crate::paging::Gauge;
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;
use crate::timer::TimerKey;
use age::Ages;
use backlog::Backlog;
use consumer::Consumers;
use dead_letter::{DeadLetter, Stuck};
use entry::{Body, Entry};

/// Reads from disk that one `basic.get` waits for: what others take meanwhile makes it try again.
const GET_READS_MAX: usize = 8;

/// The sequence number of a queue's first message. There is room below it for what is put before
/// the head: 2^48 messages, which take years to put there.
const FIRST_SEQ: u64 = 1 << 48;

/// What `queue.declare-ok` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Messages ready for delivery.
    pub messages: usize,
    /// Consumers.
    pub consumers: usize,
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
    /// Replaced when the policies change.
    policy: ArcSwap<QueuePolicy>,
    store: Store,
    home: Weak<dyn Home>,
    /// What may have been handed out in an earlier run.
    delivered_before: OnceLock<Range<Seq>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The lowest number that was used: below [`FIRST_SEQ`] once something was put before the head.
    first_seq: u64,
    next_seq: u64,
    ready: Backlog,
    ages: Ages,
    /// What all messages here take in memory.
    memory: Gauge,
    /// Numbers below may have been handed out.
    delivered: Seq,
    /// Used from both ends: it stays in memory.
    is_list: bool,
    /// A read from the page files is asked for.
    is_loading: bool,
    /// How many lines with messages on disk only the broker knows of.
    told_cold: usize,
    /// How often messages came back that are on disk only now.
    redelivered: HashMap<Seq, u32, foldhash::fast::RandomState>,
    /// Numbers below are from before the last start.
    born_at: Seq,
    unsettled: HashMap<Seq, Unsettled, foldhash::fast::RandomState>,
    consumers: Consumers,
    is_deleted: bool,
    /// Dead letters to publish when the lock is released.
    dead: Vec<DeadLetter>,
    /// Those that must survive, until they are published.
    dying: HashMap<Seq, Entry, foldhash::fast::RandomState>,
    /// Those of them that nobody took.
    stuck: Stuck,
    /// When somebody last used the queue, for `x-expires`.
    used_at: Timestamp,
    timer: Option<TimerKey>,
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
    pub(crate) fn new(
        id: QueueId,
        name: Name,
        options: QueueOptions,
        policy: QueuePolicy,
        store: Store,
        home: Weak<dyn Home>,
    ) -> Arc<Self> {
        let state = State {
            first_seq: FIRST_SEQ,
            next_seq: FIRST_SEQ,
            ready: Backlog::new(policy.limits.priority_max),
            ages: Ages::default(),
            memory: Gauge::new(Arc::clone(&store.paging)),
            delivered: Seq(0),
            is_list: false,
            is_loading: false,
            told_cold: 0,
            redelivered: HashMap::default(),
            born_at: Seq(0),
            unsettled: HashMap::default(),
            consumers: Consumers::new(policy.is_single_active),
            is_deleted: false,
            dead: Vec::new(),
            dying: HashMap::default(),
            stuck: Stuck::default(),
            used_at: Timestamp::default(),
            timer: None,
            scratch: Vec::new(),
        };
        let state = Mutex::new(Rank::Queue, state);
        Arc::new(Self {
            id,
            name,
            options,
            policy: ArcSwap::from_pointee(policy),
            store,
            home,
            delivered_before: OnceLock::new(),
            state,
        })
    }

    /// What it does with its messages.
    #[must_use]
    pub fn policy(&self) -> Guard<Arc<QueuePolicy>> {
        self.policy.load()
    }

    /// Gives it another policy; what it has too much of by that is dropped. Times to live hold for
    /// messages to come. Its priorities and whether it has a single active consumer do not change.
    pub(crate) fn set_policy(
        self: &Arc<Self>,
        now: Timestamp,
        policy: QueuePolicy,
        wakes: &mut Wakes,
    ) {
        self.locked(now, wakes, |state, _| {
            self.policy.store(Arc::new(policy));
            self.drop_surplus(state);
        });
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
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let enqueued = self.enqueue_locked(state, now, (message, qos), matched, enqueue);
        if enqueued.is_accepted() {
            self.finish(state, now);
            enqueue.dead.append(&mut state.dead);
        }
        enqueued
    }

    /// [`Queue::enqueue`] without its end, which is [`Queue::finish`].
    fn enqueue_locked(
        self: &Arc<Self>,
        state: &mut State,
        now: Timestamp,
        (message, qos): (&Arc<Message>, QoS),
        matched: Option<&Arc<Matched>>,
        enqueue: &mut Enqueue<'_>,
    ) -> Enqueued {
        if state.is_deleted {
            return Enqueued::Gone;
        }
        let goes_out = state.ready.is_empty() && state.consumers.have_credit();
        if !goes_out && self.refuses(state, message) {
            if self.policy().limits.overflow == QueueOverflow::RejectDeadLetter {
                let letter = self.dead_letter(message, DeathReason::MaxLength, None);
                enqueue.dead.push(letter);
            }
            return Enqueued::Rejected;
        }
        let mut entry = self.next_entry(state, now, message, qos);
        entry.matched = matched.cloned();
        if !self.journal_message(&mut state.scratch, &mut entry, enqueue) {
            return Enqueued::Rejected;
        }
        state.memory.add(message.cost_bytes());
        let stays = if goes_out {
            self.hand_out(state, entry, enqueue.wakes)
        } else {
            Some(entry)
        };
        if let Some(mut entry) = stays {
            entry.message = entry.message.compact();
            state.ready.push(entry);
            self.drop_surplus(state);
        }
        Enqueued::Accepted
    }

    fn next_entry(
        &self,
        state: &mut State,
        now: Timestamp,
        message: &Arc<Message>,
        qos: QoS,
    ) -> Entry {
        let seq = Seq(state.next_seq);
        state.next_seq += 1;
        self.note(state, seq, now, qos);
        self.entry_at(seq, now, message, qos)
    }

    fn entry_at(&self, seq: Seq, now: Timestamp, message: &Arc<Message>, qos: QoS) -> Entry {
        let queue_expiry = self.policy().ttl_ms.map(|ttl_ms| now.plus_ms(ttl_ms));
        Entry {
            seq,
            message: Arc::clone(message),
            qos,
            matched: None,
            body: Body::Memory,
            redeliveries: 0,
            expires_at: message.expires_at.into_iter().chain(queue_expiry).min(),
        }
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
        self.consume_at(now, End::Head, consumer, wakes)
    }

    fn consume_at(
        self: &Arc<Self>,
        now: Timestamp,
        end: End,
        consumer: Consumer,
        wakes: &mut Wakes,
    ) -> Result<(), Error> {
        self.locked(now, wakes, |state, wakes| {
            if state.is_deleted {
                return Err(Error::NotFound {
                    kind: crate::error::Kind::Queue,
                    name: self.name.clone(),
                });
            }
            if !state.consumers.add(consumer, end) {
                return Err(Error::ExclusiveUse {
                    name: self.name.clone(),
                });
            }
            self.pump_locked(state, now, wakes);
            Ok(())
        })
    }

    /// Removes a consumer; what it has and has not settled stays with it. Returns how many
    /// consumers remain, or none when it was not there.
    pub fn cancel(
        self: &Arc<Self>,
        now: Timestamp,
        id: ConsumerId,
        wakes: &mut Wakes,
    ) -> Option<usize> {
        self.locked(now, wakes, |state, wakes| {
            let was_there = state.consumers.remove(id);
            if was_there {
                state.used_at = now;
                // Another may have become the active one.
                self.pump_locked(state, now, wakes);
            }
            was_there.then(|| state.consumers.len())
        })
    }

    /// Takes one message without a consumer (`basic.get`). `owner` is whom it is unsettled for.
    /// Returns it with the number of messages left.
    pub fn get(
        self: &Arc<Self>,
        now: Timestamp,
        owner: ConsumerId,
        acknowledges: bool,
    ) -> Option<(Delivery, usize)> {
        // Mostly the next message was read ahead; where it was not, nothing else will do but to
        // read it now.
        for _ in 0..GET_READS_MAX {
            let (taken, starves) = self.locked(now, &mut Wakes::default(), |state, _| {
                state.used_at = now;
                self.drop_expired(state, now);
                let Some(entry) = state.ready.pop() else {
                    return (None, state.ready.starves());
                };
                let delivery = self.delivery(&entry, owner, 0, acknowledges);
                self.taken(state, entry, owner, acknowledges);
                // What waited behind it is the head now, and is not counted if its time is over.
                self.drop_expired(state, now);
                (Some((delivery, state.ready.len())), false)
            });
            if !starves {
                return taken;
            }
            self.load(now, &mut Wakes::default());
        }
        None
    }

    /// Gives consumers what they may have: call it after credit or room was given back.
    pub fn pump(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        self.locked(now, wakes, |state, wakes| {
            self.pump_locked(state, now, wakes);
        });
    }

    /// Removes all ready messages; returns how many.
    pub fn purge(self: &Arc<Self>) -> usize {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let (entries, cold, count) = state.ready.drain();
        let gone = entries.iter().filter_map(|entry| self.leave(state, entry));
        let gone = gone.collect::<Vec<_>>();
        self.journal_settled(state, &gone);
        for (priority, from) in cold {
            self.leave_cold(state, priority, from);
        }
        count
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

    /// Whether a message that comes now goes straight to a consumer, as far as credit goes.
    #[must_use]
    pub fn hands_out_at_once(&self) -> bool {
        let state = self.state.lock();
        state.ready.is_empty() && state.consumers.have_credit()
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
        state.dying.clear();
        let timer = state.timer.take();
        if let (Some(timer), Some(home)) = (timer, self.home.upgrade()) {
            home.timers().cancel(timer);
        }
        self.drop_pages(&mut state);
        state.ready.drain().2
    }

    /// Does something under the lock, and after it what must not be done under it.
    fn locked<R>(
        self: &Arc<Self>,
        now: Timestamp,
        wakes: &mut Wakes,
        act: impl FnOnce(&mut State, &mut Wakes) -> R,
    ) -> R {
        let (result, dead) = {
            let mut state = self.state.lock();
            let result = act(&mut state, wakes);
            self.finish(&mut state, now);
            (result, std::mem::take(&mut state.dead))
        };
        dead_letter::publish(now, dead, wakes);
        result
    }

    /// Ends every change under the lock: nothing expired is left, and a timer is set for the rest.
    fn finish(self: &Arc<Self>, state: &mut State, now: Timestamp) {
        self.drop_expired(state, now);
        self.set_timer(state);
        self.read_ahead(state);
    }

    fn refuses(&self, state: &State, message: &Message) -> bool {
        let policy = self.policy();
        let limits = &policy.limits;
        let with_dying = state.ready.len() + state.dying.len();
        let is_full_with_dying = limits.messages_max.is_some_and(|max| with_dying >= max);
        limits.overflow != QueueOverflow::DropHead
            && (state.ready.is_over_with(limits, message)
                || (policy.dead_letters_must_arrive() && is_full_with_dying))
    }

    /// Drops the head while there is more than the limits allow.
    fn drop_surplus(self: &Arc<Self>, state: &mut State) {
        let policy = self.policy();
        let limits = &policy.limits;
        while limits.overflow == QueueOverflow::DropHead
            && state.ready.is_over(limits)
            && let Some(dropped) = state.ready.pop()
        {
            self.let_die(state, dropped, DeathReason::MaxLength);
        }
    }

    fn drop_expired(self: &Arc<Self>, state: &mut State, now: Timestamp) {
        while let Some(expired) = state.ready.pop_expired(now) {
            self.let_die(state, expired, DeathReason::Expired);
        }
    }

    /// Journals a message that must survive; false when the journal does not take it.
    fn journal_message(
        &self,
        scratch: &mut Vec<u8>,
        entry: &mut Entry,
        enqueue: &mut Enqueue<'_>,
    ) -> bool {
        if !self.is_kept(entry) {
            return true;
        }
        let place = entry.place(self.id);
        scratch.clear();
        let appended = if let Some(body) = enqueue.body {
            journal::put_enqueue(scratch, &place, body);
            self.store.journal.append(&[scratch], Urgency::Sync)
        } else {
            journal::put_publish(scratch, &place, &entry.message);
            self.store
                .journal
                .append(&[scratch, &entry.message.payload], Urgency::Sync)
        };
        if appended.is_refused() {
            return false;
        }
        enqueue.end = Some(appended.end);
        entry.body = Body::Journal(*enqueue.body.get_or_insert(appended.start));
        true
    }

    fn journal_gone(&self, state: &mut State, entry: &Entry) {
        if let Some(seq) = self.leave(state, entry) {
            self.journal_settled(state, &[seq]);
        }
    }

    fn journal_settled(&self, state: &mut State, seqs: &[Seq]) -> Option<Lsn> {
        if seqs.is_empty() {
            return None;
        }
        state.scratch.clear();
        journal::put_settled(&mut state.scratch, self.id, seqs);
        let appended = self.store.journal.append(&[&state.scratch], Urgency::Lazy);
        Some(appended.end)
    }
}
