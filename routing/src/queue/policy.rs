//! What a queue was declared as, and what that means for its messages.

use bytes::Bytes;

use crate::ids::ConnectionId;
use crate::name::Name;
use crate::value::Table;

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
    /// Their bytes, as [`crate::Message::cost_bytes`] counts them.
    pub bytes_max: Option<usize>,
    /// Their bodies' bytes alone.
    pub body_bytes_max: Option<usize>,
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
    /// Refuses the new one, and dead-letters it.
    RejectDeadLetter,
}

/// What a queue does with its messages and for how long it stays, as its arguments and the
/// policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How much it keeps.
    pub limits: QueueLimits,
    /// How long it keeps a message, in milliseconds (`x-message-ttl`).
    pub ttl_ms: Option<u64>,
    /// How long it stays unused, in milliseconds (`x-expires`).
    pub unused_max_ms: Option<u64>,
    /// How long it stays while it is empty and unused, in milliseconds (`x-empty-expires`).
    pub empty_max_ms: Option<u64>,
    /// Whether one consumer gets everything while it is there (`x-single-active-consumer`).
    pub is_single_active: bool,
    /// Whether receivers are told how often a message was handed out before (quorum queues).
    pub counts_deliveries: bool,
    /// How often a message may come back (`x-delivery-limit`).
    pub delivery_limit: Option<u32>,
    /// Where messages go that leave against their will.
    pub dead_letter: Option<DeadLetterTarget>,
    /// How long a receiver may take to settle a message, in milliseconds; 0 for ever, none as long
    /// as its protocol allows.
    pub consumer_timeout_ms: Option<u64>,
}

impl QueuePolicy {
    /// Whether a dead letter stays in the queue's books until somebody takes it. As in RabbitMQ
    /// only where the queue refuses what is too much; such letters count in that.
    #[must_use]
    pub fn dead_letters_must_arrive(&self) -> bool {
        let strategy = self.dead_letter.as_ref().map(|target| target.strategy);
        self.counts_deliveries
            && self.limits.overflow == QueueOverflow::Reject
            && strategy == Some(DeadLetterStrategy::AtLeastOnce)
    }
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTarget {
    /// The exchange (`x-dead-letter-exchange`).
    pub exchange: Name,
    /// The routing key, if not the message's own (`x-dead-letter-routing-key`).
    pub key: Option<Bytes>,
    /// What happens when nobody takes it (`x-dead-letter-strategy`).
    pub strategy: DeadLetterStrategy,
}

/// How sure a dead letter is to arrive (`x-dead-letter-strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadLetterStrategy {
    /// It is gone if nobody takes it.
    #[default]
    AtMostOnce,
    /// It stays in its queue's books until somebody takes it.
    AtLeastOnce,
}

/// What arguments or a policy say of a queue's messages; none where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueTerms {
    /// `message-ttl`, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// `expires`, in milliseconds.
    pub unused_max_ms: Option<u64>,
    /// `max-length`
    pub messages_max: Option<usize>,
    /// `max-length-bytes`
    pub body_bytes_max: Option<usize>,
    /// `overflow`
    pub overflow: Option<QueueOverflow>,
    /// `delivery-limit`; a negative one is no limit.
    pub delivery_limit: Option<i64>,
    /// `consumer-timeout`, in milliseconds; 0 is none.
    pub consumer_timeout_ms: Option<u64>,
    /// `dead-letter-exchange`
    pub dead_letter_exchange: Option<Name>,
    /// `dead-letter-routing-key`
    pub dead_letter_key: Option<Bytes>,
    /// `dead-letter-strategy`
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
}

impl QueueTerms {
    /// These, as arguments, beside a policy: the smaller number, the argument's word.
    #[must_use]
    pub fn and(self, policy: &Self) -> Self {
        Self {
            ttl_ms: smaller(self.ttl_ms, policy.ttl_ms),
            unused_max_ms: smaller(self.unused_max_ms, policy.unused_max_ms),
            messages_max: smaller(self.messages_max, policy.messages_max),
            body_bytes_max: smaller(self.body_bytes_max, policy.body_bytes_max),
            overflow: self.overflow.or(policy.overflow),
            delivery_limit: stricter(self.delivery_limit, policy.delivery_limit),
            consumer_timeout_ms: smaller(self.consumer_timeout_ms, policy.consumer_timeout_ms),
            dead_letter_exchange: self
                .dead_letter_exchange
                .or_else(|| policy.dead_letter_exchange.clone()),
            dead_letter_key: self
                .dead_letter_key
                .or_else(|| policy.dead_letter_key.clone()),
            dead_letter_strategy: self.dead_letter_strategy.or(policy.dead_letter_strategy),
        }
    }

    /// These under an operator's policy: the smaller number, the operator's word.
    #[must_use]
    pub fn under(self, operator: &Self) -> Self {
        let overflow = operator.overflow.or(self.overflow);
        Self {
            overflow,
            ..self.and(operator)
        }
    }
}

fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    a.into_iter().chain(b).min()
}

/// The smaller limit; but a negative number is no limit, and loses to any.
fn stricter(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) if a < 0 || b < 0 => Some(a.max(b)),
        (a, b) => smaller(a, b),
    }
}

impl From<QueueLimits> for QueuePolicy {
    fn from(limits: QueueLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}
