//! The receiving party of subscriptions: an MQTT session, a Redis connection, a LAN link.

use std::sync::{Arc, OnceLock};

use crate::delivery::{Delivery, Matched, Source};
use crate::ids::SubscriberId;
use crate::message::{Message, QoS};
use crate::outbox::{Outbox, Wakes};
use crate::queue::{Enqueue, Enqueued, Queue};
use crate::time::Timestamp;

/// A subscriber: where its live messages go, and where those that must not be lost wait.
#[derive(Debug)]
pub struct Subscriber {
    /// Its identity.
    pub id: SubscriberId,
    /// Takes live messages (QoS 0, Redis, LAN).
    pub outbox: Arc<Outbox>,
    /// Takes messages of QoS 1 and 2; none means that everything is live. A session gets it at its
    /// first subscription that asks for more than QoS 0, or at once if it is to last.
    pub queue: OnceLock<Arc<Queue>>,
}

/// What a subscription of an MQTT filter asks for (MQTT 5.0 §3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The highest QoS wanted.
    pub qos: QoS,
    /// Not to receive the subscriber's own messages.
    pub no_local: bool,
    /// Keep the RETAIN flag as published.
    pub retain_as_published: bool,
    /// The subscription identifier, 1 to 268,435,455.
    pub subscription_id: Option<u32>,
}

impl Subscriber {
    /// One whose messages wait in memory alone.
    #[must_use]
    pub fn live(outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            id: SubscriberId::unique(),
            outbox,
            queue: OnceLock::new(),
        })
    }

    /// Hands over a message; where it is not kept in a queue and the client is away, it is gone.
    pub(crate) fn deliver(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        matched: &Arc<Matched>,
        enqueue: &mut Enqueue<'_>,
    ) -> Enqueued {
        let qos = self.qos_of(message, matched);
        match self.queue.get() {
            Some(queue) if qos > QoS::AtMostOnce => {
                queue.enqueue(now, message, qos, Some(matched), enqueue)
            }
            _ if self.push(message, matched, enqueue.wakes) => Enqueued::Accepted,
            _ if self.outbox.owner().is_some() => Enqueued::Rejected,
            _ => Enqueued::Gone,
        }
    }

    /// Whether a message goes straight to the outbox.
    pub(crate) fn takes_live(&self, message: &Message, matched: &Matched) -> bool {
        self.queue.get().is_none() || self.qos_of(message, matched) == QoS::AtMostOnce
    }

    /// The guarantee for a message here.
    fn qos_of(&self, message: &Message, matched: &Matched) -> QoS {
        // A Redis subscriber that has a queue is one that is to miss nothing.
        let is_kept = matches!(matched, Matched::Channel | Matched::Glob(_));
        match is_kept && self.queue.get().is_some() {
            true => message.qos.max(QoS::AtLeastOnce),
            false => matched.qos().min(message.qos),
        }
    }

    fn push(&self, message: &Arc<Message>, matched: &Arc<Matched>, wakes: &mut Wakes) -> bool {
        let source = Source::Subscription(Arc::clone(matched));
        self.outbox.push(
            Delivery {
                message: Arc::clone(message),
                source,
            },
            wakes,
        )
    }
}

impl Matched {
    /// The highest QoS that the subscription accepts.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        match self {
            Self::Filters { qos, .. } => *qos,
            Self::Channel | Self::Glob(_) | Self::ShardChannel => QoS::AtMostOnce,
        }
    }
}
