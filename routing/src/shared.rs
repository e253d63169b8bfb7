//! Shared subscriptions: several sessions under `$share/group/filter` of which one receives each
//! message (MQTT 5 §4.8.2).
//!
//! Whoever was chosen keeps the message: it is in its session's queue, so a message of QoS 2 stays
//! bound to it. When its session ends, what it had not acknowledged goes to another member, but for
//! messages of QoS 2 that were being sent `[MQTT-4.8.2-5]`.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::delivery::Matched;
use crate::ids::SubscriberId;
use crate::message::{Message, QoS};
use crate::queue::{Enqueue, Enqueued};
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;

/// How the members of a group are chosen. Whatever the rule, somebody who is connected comes
/// before somebody who is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedStrategy {
    /// In turn; who is behind is passed over while another is not.
    #[default]
    RoundRobin,
    /// The same member, until it leaves or disconnects.
    Sticky,
    /// All messages of one publisher to the same member.
    HashPublisher,
    /// All messages of one topic to the same member.
    HashTopic,
}

/// The members of one group on one filter, and whose turn it is.
#[derive(Debug)]
pub(crate) struct SharedGroup {
    strategy: SharedStrategy,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    /// The member to ask next, or the one that sticks.
    turn: usize,
}

#[derive(Clone, Debug)]
struct Member {
    subscriber: Arc<Subscriber>,
    matched: Arc<Matched>,
}

/// How well a member could do with a message now, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It is sent at once.
    Ready,
    /// It waits for acknowledgements or for the socket.
    Behind,
    /// It waits for the client to come back.
    Away,
}

impl SharedGroup {
    pub(crate) fn new(strategy: SharedStrategy) -> Arc<Self> {
        // Before a queue's lock: members are looked at under this one, then delivered to.
        Arc::new(Self {
            strategy,
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
        let Some(index) = members.list.iter().position(|m| m.subscriber.id == id) else {
            return false;
        };
        members.list.remove(index);
        if members.turn > index {
            members.turn -= 1;
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.lock().list.is_empty()
    }

    /// Gives the message to one member. Returns what became of it there; none without members.
    pub(crate) fn deliver(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> Option<Enqueued> {
        let chosen = self.choose(message)?;
        let outcome = chosen.deliver(now, message, enqueue);
        if outcome.is_accepted() {
            return Some(outcome);
        }
        // It went away or its queue is full: anybody else is better than nobody.
        let others = self.members.lock().list.clone();
        let others = others
            .iter()
            .filter(|other| other.subscriber.id != chosen.subscriber.id);
        let mut outcomes = others.map(|other| other.deliver(now, message, enqueue));
        let accepted = outcomes.find(|outcome| outcome.is_accepted());
        Some(accepted.unwrap_or(outcome))
    }

    fn choose(&self, message: &Message) -> Option<Member> {
        let mut members = self.members.lock();
        let index = match self.strategy {
            SharedStrategy::RoundRobin => {
                let index = members.best_from(members.turn, |m| m.standing(message))?;
                members.turn = index + 1;
                index
            }
            SharedStrategy::Sticky => {
                let index = members.best_from(members.turn, Member::presence)?;
                members.turn = index;
                index
            }
            SharedStrategy::HashPublisher => {
                let publisher = message.publisher.map_or(0, |publisher| publisher.0);
                members.best_from(spread(&publisher.to_be_bytes()), Member::presence)?
            }
            SharedStrategy::HashTopic => {
                members.best_from(spread(message.address.as_bytes()), Member::presence)?
            }
        };
        members.list.get(index).cloned()
    }
}

/// A number that is the same for the same key at every start.
fn spread(key: &[u8]) -> usize {
    let hash = foldhash::fast::FixedState::default().hash_one(key);
    usize::try_from(hash >> 32).unwrap_or(0)
}

impl Members {
    /// The member of the best standing that comes first from `start` on, all round.
    fn best_from(&self, start: usize, standing: impl Fn(&Member) -> Standing) -> Option<usize> {
        let count = self.list.len();
        let mut best = None;
        for offset in 0..count {
            let index = (start % count + offset) % count;
            let Some(found) = self.list.get(index).map(&standing) else {
                continue;
            };
            if found == Standing::Ready {
                return Some(index);
            }
            if best.is_none_or(|(_, known)| found < known) {
                best = Some((index, found));
            }
        }
        best.map(|(index, _)| index)
    }
}

impl Member {
    fn deliver(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> Enqueued {
        self.subscriber
            .deliver(now, message, &self.matched, enqueue)
    }

    fn presence(&self) -> Standing {
        if self.subscriber.outbox.owner().is_some() {
            Standing::Ready
        } else {
            Standing::Away
        }
    }

    fn standing(&self, message: &Message) -> Standing {
        let is_kept = self.matched.qos().min(message.qos) > QoS::AtMostOnce;
        let queue = self.subscriber.queue.get().filter(|_| is_kept);
        if self.subscriber.outbox.owner().is_none() {
            Standing::Away
        } else if self.subscriber.outbox.has_room() && queue.is_none_or(|q| q.hands_out_at_once()) {
            Standing::Ready
        } else {
            Standing::Behind
        }
    }
}
