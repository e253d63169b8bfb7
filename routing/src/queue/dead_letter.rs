//! Messages that leave a queue against their will, on their way to its dead letter exchange.
//!
//! A queue gathers them under its lock and publishes them when it has released it, in a loop: a
//! dead letter may push others out of the queue that it enters.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::Entry;
use super::policy::DeadLetterTarget;
use super::{Enqueue, Queue, State};
use crate::address::Address;
use crate::death::{Death, DeathReason, Deaths};
use crate::ids::Seq;
use crate::message::Message;
use crate::outbox::Wakes;
use crate::time::Timestamp;

/// How long a dead letter that must arrive waits after an attempt, as in RabbitMQ.
const RETRY_MS: u64 = 180_000;

/// Dead letters that must arrive and have not.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    letters: Vec<(Seq, DeathReason)>,
    pub(super) retry_at: Option<Timestamp>,
}

/// A message that has left its queue and is not published yet.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    queue: Arc<Queue>,
    message: Arc<Message>,
    reason: DeathReason,
    /// Its place, while the queue keeps it in its books so that it survives a crash on the way.
    kept: Option<Seq>,
}

/// Publishes dead letters, and those that they cause. No lock of a session or queue is held.
pub(crate) fn publish(now: Timestamp, dead: Vec<DeadLetter>, wakes: &mut Wakes) {
    let mut waiting = VecDeque::from(dead);
    while let Some(letter) = waiting.pop_front() {
        let mut enqueue = Enqueue::new(wakes);
        let is_done = letter.send(now, &mut enqueue);
        waiting.append(&mut enqueue.dead.into());
        // The new place is journalled before the old one is given up: no crash loses the message.
        match letter.kept {
            Some(seq) if is_done => letter.queue.bury(seq),
            Some(seq) => letter.queue.retry_later(now, seq, letter.reason),
            None => {}
        }
    }
}

impl DeadLetter {
    /// Gives the message to whom the dead letter exchange leads; nowhere when there is none. False
    /// if it must be tried again, as it is to arrive and has not.
    fn send(&self, now: Timestamp, enqueue: &mut Enqueue<'_>) -> bool {
        let policy = self.queue.policy();
        let (Some(home), Some(target)) = (self.queue.home.upgrade(), &policy.dead_letter) else {
            return true;
        };
        let Some(copy) = self.copy(now, target) else {
            return true;
        };
        let Some(mut route) = home.route_by_keys(&target.exchange, &keys(&copy), &copy) else {
            return !policy.dead_letters_must_arrive();
        };
        let queues = route.queues.len();
        if self.reason != DeathReason::Rejected
            && let Some(deaths) = &copy.deaths
        {
            route.queues.retain(|queue| !deaths.is_cycle(&queue.name));
        }
        let is_cycle = route.queues.len() < queues;
        let published = route.hand_over(now, &copy, enqueue);
        let has_arrived = published.receivers > 0 && !published.rejected;
        has_arrived || is_cycle || !policy.dead_letters_must_arrive()
    }

    /// The message as it goes on: its deaths added, its expiry gone; none when it has died too
    /// often.
    fn copy(&self, now: Timestamp, target: &DeadLetterTarget) -> Option<Arc<Message>> {
        let message = &self.message;
        let death = Death {
            queue: self.queue.name.clone(),
            reason: self.reason,
            count: 1,
            first_at: now,
            exchange: message.exchange.clone(),
            routing_keys: keys(message),
            expiration_ms: message
                .properties()
                .expiration_ms
                .filter(|_| message.deaths.is_none()),
        };
        let mut deaths = match &message.deaths {
            Some(deaths) => deaths.and(death)?,
            None => Deaths::first(death),
        };
        let mut copy = message.to_builder();
        copy.exchange = target.exchange.clone();
        copy.expires_at = None;
        if let Some(key) = &target.key {
            copy.address = Address::from_routing_key(key);
            deaths.is_readdressed = true;
        }
        copy.deaths = Some(Arc::new(deaths));
        Some(copy.build())
    }
}

/// All keys that a message has: its own first, then those that its publisher added.
pub(crate) fn keys(message: &Message) -> Vec<Bytes> {
    let mut keys = vec![message.address.routing_key().collect()];
    let is_readdressed = message
        .deaths
        .as_ref()
        .is_some_and(|deaths| deaths.is_readdressed);
    if !is_readdressed {
        keys.extend_from_slice(&message.properties().copies);
    }
    keys
}

impl Queue {
    /// Takes a message out for good; to be dead-lettered when the lock is released.
    pub(super) fn let_die(self: &Arc<Self>, state: &mut State, entry: Entry, reason: DeathReason) {
        if self.policy().dead_letter.is_none() {
            return self.journal_gone(state, &entry);
        }
        let is_kept = self.is_kept(&entry) || self.policy().dead_letters_must_arrive();
        let kept = is_kept.then_some(entry.seq);
        state
            .dead
            .push(self.dead_letter(&entry.message, reason, kept));
        if kept.is_some() {
            state.dying.insert(entry.seq, entry);
        } else {
            self.leave(state, &entry);
        }
    }

    /// A message that is to be dead-lettered.
    pub(super) fn dead_letter(
        self: &Arc<Self>,
        message: &Arc<Message>,
        reason: DeathReason,
        kept: Option<Seq>,
    ) -> DeadLetter {
        DeadLetter {
            queue: Arc::clone(self),
            message: Arc::clone(message),
            reason,
            kept,
        }
    }

    /// Forgets a message that has been dead-lettered.
    fn bury(&self, seq: Seq) {
        let mut state = self.state.lock();
        // Not there: the queue was deleted meanwhile.
        if let Some(entry) = state.dying.remove(&seq) {
            self.journal_gone(&mut state, &entry);
        }
    }

    /// Keeps a message that nobody has taken, and tries it again in a while.
    fn retry_later(self: &Arc<Self>, now: Timestamp, seq: Seq, reason: DeathReason) {
        let mut state = self.state.lock();
        if state.dying.contains_key(&seq) {
            let later = now.plus_ms(RETRY_MS);
            state.stuck.retry_at.get_or_insert(later);
            state.stuck.letters.push((seq, reason));
            self.set_timer(&mut state);
        }
    }

    /// Sends those off again that have waited long enough.
    pub(super) fn retry_stuck(self: &Arc<Self>, state: &mut State, now: Timestamp) {
        if state.stuck.retry_at.is_none_or(|at| at > now) {
            return;
        }
        for (seq, reason) in std::mem::take(&mut state.stuck).letters {
            if let Some(entry) = state.dying.get(&seq) {
                let letter = self.dead_letter(&entry.message, reason, Some(seq));
                state.dead.push(letter);
            }
        }
    }
}
