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
        letter.send(now, &mut enqueue);
        waiting.append(&mut enqueue.dead.into());
        // The new place is journalled before the old one is given up: no crash loses the message.
        if let Some(seq) = letter.kept {
            letter.queue.bury(seq);
        }
    }
}

impl DeadLetter {
    /// Gives the message to whom the dead letter exchange leads; nowhere when there is none.
    fn send(&self, now: Timestamp, enqueue: &mut Enqueue<'_>) -> Option<()> {
        let home = self.queue.home.upgrade()?;
        let target = self.queue.policy.dead_letter.as_ref()?;
        let copy = self.copy(now, target)?;
        let mut route = home.route_by_keys(&target.exchange, &keys(&copy), &copy)?;
        if self.reason != DeathReason::Rejected
            && let Some(deaths) = &copy.deaths
        {
            route.queues.retain(|queue| !deaths.is_cycle(&queue.name));
        }
        route.hand_over(now, &copy, enqueue);
        Some(())
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
fn keys(message: &Message) -> Vec<Bytes> {
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
        if self.policy.dead_letter.is_none() {
            return self.journal_gone(state, &entry);
        }
        let kept = entry.body.map(|_| entry.seq);
        state
            .dead
            .push(self.dead_letter(&entry.message, reason, kept));
        if kept.is_some() {
            state.dying.insert(entry.seq, entry);
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
        if state.dying.remove(&seq).is_some() {
            self.journal_settled(&mut state, &[seq]);
        }
    }
}
