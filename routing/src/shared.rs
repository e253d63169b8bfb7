//! Shared subscriptions: several sessions under `$share/group/filter` take turns
//! `[MQTT-4.8.2]`.

use std::sync::Arc;

use crate::delivery::Matched;
use crate::ids::SubscriberId;
use crate::message::Message;
use crate::queue::Enqueue;
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;

/// The members of one group on one filter, and whose turn it is.
#[derive(Debug)]
pub(crate) struct SharedGroup {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    turn: usize,
}

#[derive(Clone, Debug)]
struct Member {
    subscriber: Arc<Subscriber>,
    matched: Arc<Matched>,
}

impl SharedGroup {
    pub(crate) fn new() -> Arc<Self> {
        // Not below a queue's lock: members are chosen first, then delivered to.
        Arc::new(Self {
            members: Mutex::new(Rank::Session, Members::default()),
        })
    }

    /// Adds or replaces a member.
    pub(crate) fn join(&self, subscriber: &Arc<Subscriber>, options: &SubscriptionOptions) {
        let subscriber = Arc::clone(subscriber);
        let member = Member {
            subscriber,
            matched: Matched::of_subscription(options),
        };
        let mut members = self.members.lock();
        match members
            .list
            .iter_mut()
            .find(|m| m.subscriber.id == member.subscriber.id)
        {
            Some(known) => *known = member,
            None => members.list.push(member),
        }
    }

    /// Removes a member; returns whether it was one.
    pub(crate) fn leave(&self, id: SubscriberId) -> bool {
        let mut members = self.members.lock();
        let before = members.list.len();
        members.list.retain(|m| m.subscriber.id != id);
        members.list.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.lock().list.is_empty()
    }

    /// Gives the message to one member: to the next that is connected and not behind, else to the
    /// next that keeps a queue. Returns whether somebody took it.
    pub(crate) fn deliver(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> bool {
        let candidates = self.in_turn();
        let (ready, others): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|m| m.subscriber.is_ready());
        ready
            .iter()
            .chain(&others)
            .any(|m| m.subscriber.deliver(now, message, &m.matched, enqueue))
    }

    /// All members, the one whose turn it is first; the turn passes on.
    fn in_turn(&self) -> Vec<Member> {
        let mut members = self.members.lock();
        let count = members.list.len().max(1);
        members.turn = (members.turn + 1) % count;
        let mut all = members.list.clone();
        let turn = members.turn.min(all.len());
        all.rotate_left(turn);
        all
    }
}

impl Subscriber {
    /// Whether it is connected and keeps up.
    fn is_ready(&self) -> bool {
        self.outbox.owner().is_some() && self.queue.as_ref().is_none_or(|q| !q.has_backlog())
    }
}
