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

/// What a queue does with its messages and for how long it stays, as its arguments say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How much it keeps.
    pub limits: QueueLimits,
    /// How long it keeps a message, in milliseconds (`x-message-ttl`).
    pub ttl_ms: Option<u64>,
    /// How long it stays unused, in milliseconds (`x-expires`).
    pub unused_max_ms: Option<u64>,
    /// Whether one consumer gets everything while it is there (`x-single-active-consumer`).
    pub is_single_active: bool,
    /// Whether receivers are told how often a message was handed out before (quorum queues).
    pub counts_deliveries: bool,
    /// How often a message may come back (`x-delivery-limit`).
    pub delivery_limit: Option<u32>,
    /// Where messages go that leave against their will.
    pub dead_letter: Option<DeadLetterTarget>,
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTarget {
    /// The exchange (`x-dead-letter-exchange`).
    pub exchange: Name,
    /// The routing key, if not the message's own (`x-dead-letter-routing-key`).
    pub key: Option<Bytes>,
}

impl From<QueueLimits> for QueuePolicy {
    fn from(limits: QueueLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}
