//! One message on its way to one receiver.

use std::sync::Arc;

use crate::ids::{ConsumerId, Seq};
use crate::message::{Message, QoS};
use crate::queue::Queue;
use crate::topic::Glob;

/// A message handed to a connection.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// What made it come here.
    pub source: Source,
}

/// Why a connection receives a message.
#[derive(Clone, Debug)]
pub enum Source {
    /// A live subscription: nothing to settle.
    Subscription(Arc<Matched>),
    /// A queue.
    Queue(QueueDelivery),
}

/// What a queue says of a message that it hands out.
#[derive(Clone, Debug)]
pub struct QueueDelivery {
    /// The queue, to settle with.
    pub queue: Arc<Queue>,
    /// The consumer that receives it.
    pub consumer: ConsumerId,
    /// The front's own key of that consumer.
    pub token: u64,
    /// The message's place in the queue; what is settled.
    pub seq: Seq,
    /// How often it came back since the start.
    pub redeliveries: u32,
    /// Whether it may have been handed out before, in this run or an earlier one.
    pub is_redelivered: bool,
    /// Whether the queue waits for a settlement.
    pub acknowledges: bool,
    /// The guarantee for this receiver.
    pub qos: QoS,
    /// The subscription that put it in the queue, for a subscriber's own queue.
    pub matched: Option<Arc<Matched>>,
}

/// The subscription or subscriptions that a message matched for one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// MQTT filters: all that matched, as one.
    Filters {
        /// The highest QoS granted among them.
        qos: QoS,
        /// Whether one of them keeps the RETAIN flag as published.
        retain_as_published: bool,
        /// All their subscription identifiers.
        subscription_ids: Vec<u32>,
    },
    /// Redis `SUBSCRIBE`: this very channel.
    Channel,
    /// Redis `PSUBSCRIBE`.
    Glob(Glob),
    /// Redis `SSUBSCRIBE`.
    ShardChannel,
}
