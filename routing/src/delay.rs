//! Messages of a delayed exchange, waiting for their time (RabbitMQ: `x-delayed-message`).
//!
//! They wait in the order of their times, with one timer for the first of them. A durable one is in
//! the journal like a queue's: its record names the store's identity, and its expiry is its time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use crate::ids::{QueueId, Seq};
use crate::journal::{self, Entry, Journal, Lsn, Place, Urgency};
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::outbox::Wakes;
use crate::queue::{Enqueue, Home, Restored, message_keys, publish_dead};
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;
use crate::timer::{Due, TimerKey};
use crate::value::Value;

/// The header that asks for a delay, in milliseconds.
pub const DELAY_HEADER: &str = "x-delay";
/// A longer delay is none, as RabbitMQ has it: 2^32 - 1 ms, 49 days.
const DELAY_MAX_MS: u64 = 0xFFFF_FFFF;
/// How many are released under one lock.
const RELEASED_AT_ONCE: usize = 256;

/// How long a message asks to be delayed, in milliseconds; none once it has been.
#[must_use]
pub(crate) fn delay_ms(message: &Message) -> Option<u64> {
    if message.is_delayed {
        return None;
    }
    let delay_ms = match message.properties().headers.get(DELAY_HEADER)? {
        Value::Text(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        Value::F32(number) => whole(f64::from(*number))?,
        Value::F64(number) => whole(*number)?,
        value => u64::try_from(value.as_i64()?).ok()?,
    };
    Some(delay_ms).filter(|delay_ms| (1..=DELAY_MAX_MS).contains(delay_ms))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range"
)]
fn whole(number: f64) -> Option<u64> {
    (1.0..=4_294_967_295.0)
        .contains(&number)
        .then_some(number as u64)
}

/// The messages that wait.
#[derive(Debug)]
pub(crate) struct Delays {
    /// Its identity in the journal.
    pub(crate) id: QueueId,
    exchange: Name,
    /// Whether its messages survive a restart.
    is_durable: bool,
    journal: Arc<dyn Journal>,
    home: Weak<dyn Home>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_seq: u64,
    waiting: BTreeMap<(Timestamp, Seq), Delayed>,
    /// Those on their way, which are in the journal still.
    leaving: HashMap<Seq, (Timestamp, Delayed)>,
    timer: Option<TimerKey>,
    /// Deleted with its exchange.
    is_gone: bool,
}

#[derive(Clone, Debug)]
struct Delayed {
    message: Arc<Message>,
    /// The journal record with its body; none when the message need not survive.
    body: Option<Lsn>,
}

impl Delays {
    pub(crate) fn new(
        id: QueueId,
        exchange: Name,
        is_durable: bool,
        journal: Arc<dyn Journal>,
        home: Weak<dyn Home>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            exchange,
            is_durable,
            journal,
            home,
            state: Mutex::new(Rank::Queue, State::default()),
        })
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Keeps a message for `delay_ms`; false when the exchange is gone.
    pub(crate) fn put(
        self: &Arc<Self>,
        now: Timestamp,
        (message, delay_ms): (&Arc<Message>, u64),
        enqueue: &mut Enqueue<'_>,
    ) -> bool {
        let due = now.plus_ms(delay_ms);
        let mut builder = message.to_builder();
        builder.is_delayed = true;
        // Its time to live begins when it reaches its queues.
        builder.expires_at = message.expires_at.map(|at| at.plus_ms(delay_ms));
        let message = builder.build().compact();
        let mut state = self.state.lock();
        if state.is_gone {
            return false;
        }
        let seq = Seq(state.next_seq);
        state.next_seq += 1;
        let body = (self.is_durable && message.qos != QoS::AtMostOnce).then(|| {
            let mut record = Vec::new();
            journal::put_publish(&mut record, &self.place(seq, due, &message), &message);
            let record: [&[u8]; 2] = [&record, &message.payload];
            let appended = self.journal.append(&record, Urgency::Sync);
            enqueue.end = Some(appended.end);
            appended.start
        });
        state.waiting.insert((due, seq), Delayed { message, body });
        self.set_timer(&mut state);
        true
    }

    /// Sends what is due by now on its way.
    pub(crate) fn release(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        while let Some(due) = self.take_due(now) {
            let Some(home) = self.home.upgrade() else {
                return;
            };
            let mut gone = Vec::new();
            for (seq, Delayed { message, body }) in due {
                let keys = message_keys(&message);
                let mut enqueue = Enqueue::new(wakes);
                if let Some(route) = home.route_by_keys(&self.exchange, &keys, &message) {
                    route.hand_over(now, &message, &mut enqueue);
                }
                let dead = std::mem::take(&mut enqueue.dead);
                publish_dead(now, dead, wakes);
                gone.extend(body.map(|_| seq));
            }
            self.forget(&gone);
        }
    }

    /// Forgets everything: the exchange is gone.
    pub(crate) fn delete(&self) {
        let mut state = self.state.lock();
        state.is_gone = true;
        state.waiting.clear();
        state.leaving.clear();
        if let (Some(timer), Some(home)) = (state.timer.take(), self.home.upgrade()) {
            home.timers().cancel(timer);
        }
    }

    /// Brings a message back.
    pub(crate) fn restore(&self, restored: &Restored, message: &Arc<Message>) {
        let mut state = self.state.lock();
        state.next_seq = restored.seq.0 + 1;
        let due = restored.expires_at.unwrap_or_default();
        let delayed = Delayed {
            message: message.compact(),
            body: Some(restored.body),
        };
        state.waiting.insert((due, restored.seq), delayed);
    }

    /// Whether a message of that sequence number is still to be brought back.
    pub(crate) fn wants(&self, seq: Seq) -> bool {
        seq.0 >= self.state.lock().next_seq
    }

    /// Forgets messages that had been sent on.
    pub(crate) fn restore_settled(&self, seqs: &[Seq]) {
        let mut state = self.state.lock();
        state.waiting.retain(|(_, seq), _| !seqs.contains(seq));
    }

    /// Goes on from this sequence number.
    pub(crate) fn restore_position(&self, next: Seq) {
        let mut state = self.state.lock();
        state.next_seq = state.next_seq.max(next.0);
    }

    /// Ends the recovery.
    pub(crate) fn wake_up(self: &Arc<Self>) {
        self.set_timer(&mut self.state.lock());
    }

    /// The durable messages as entries that name their bodies' records, as
    /// [`crate::Queue::checkpoint`] has it.
    pub(crate) fn checkpoint(&self, copy_below: Lsn, entry: &mut dyn FnMut(&Entry)) -> Lsn {
        let mut needed = Lsn(u64::MAX);
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let waiting = state
            .waiting
            .iter_mut()
            .map(|((due, seq), d)| (*seq, *due, d));
        let leaving = state
            .leaving
            .iter_mut()
            .map(|(seq, (due, d))| (*seq, *due, d));
        let mut all = waiting.chain(leaving).collect::<Vec<_>>();
        all.sort_unstable_by_key(|(seq, ..)| *seq);
        for (seq, due, delayed) in all {
            let Some(body) = &mut delayed.body else {
                continue;
            };
            let message = &delayed.message;
            if *body < copy_below {
                let mut record = Vec::new();
                journal::put_publish(&mut record, &self.place(seq, due, message), message);
                let record: [&[u8]; 2] = [&record, &message.payload];
                let copied = self.journal.append(&record, Urgency::Lazy);
                if !copied.is_refused() {
                    *body = copied.start;
                }
            }
            needed = needed.min(*body);
            entry(&Entry::Enqueue {
                queue: self.id,
                seq,
                qos: message.qos,
                expires_at: Some(due),
                matched: None,
                body: *body,
            });
        }
        entry(&Entry::QueuePosition {
            queue: self.id,
            first: Seq(0),
            next: Seq(state.next_seq),
            delivered: Seq(0),
        });
        needed
    }

    fn place(&self, seq: Seq, due: Timestamp, message: &Message) -> Place<'static> {
        Place {
            queue: self.id,
            seq,
            qos: message.qos,
            expires_at: Some(due),
            matched: None,
        }
    }

    /// Takes some of what is due, if anything is; sets the timer for the rest.
    fn take_due(self: &Arc<Self>, now: Timestamp) -> Option<Vec<(Seq, Delayed)>> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.timer.take_if(|timer| timer.at <= now);
        let mut due = Vec::new();
        while due.len() < RELEASED_AT_ONCE
            && let Some(first) = state.waiting.first_entry().filter(|e| e.key().0 <= now)
        {
            let ((at, seq), delayed) = first.remove_entry();
            if delayed.body.is_some() {
                state.leaving.insert(seq, (at, delayed.clone()));
            }
            due.push((seq, delayed));
        }
        self.set_timer(state);
        (!due.is_empty()).then_some(due)
    }

    /// Forgets what has its new places in the journal.
    fn forget(&self, seqs: &[Seq]) {
        let mut state = self.state.lock();
        seqs.iter().for_each(|seq| drop(state.leaving.remove(seq)));
        if !seqs.is_empty() && !state.is_gone {
            let mut record = Vec::new();
            journal::put_settled(&mut record, self.id, seqs);
            self.journal.append(&[&record], Urgency::Lazy);
        }
    }

    fn set_timer(self: &Arc<Self>, state: &mut State) {
        let Some(((at, _), _)) = state.waiting.first_key_value() else {
            return;
        };
        if state.timer.is_some_and(|timer| timer.at <= *at) {
            return;
        }
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let timer = home.timers().set(*at, Due::Delays(Arc::downgrade(self)));
        if let Some(later) = state.timer.replace(timer) {
            home.timers().cancel(later);
        }
    }
}
