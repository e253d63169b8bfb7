//! What a run does: who publishes what to whom, how fast, how long.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// AMQP 0-9-1.
    #[default]
    Amqp,
    /// MQTT 3.1.1.
    Mqtt3,
    /// MQTT 5.
    Mqtt5,
    /// Redis publish/subscribe.
    Resp,
}

/// Where AMQP messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// One queue per topic; its consumers share the messages.
    #[default]
    Queue,
    /// A fanout exchange; each subscriber has a queue of its own.
    Fanout,
    /// A topic exchange; each subscriber has a queue of its own.
    Topic,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// The server's process; none: not measured.
    pub(crate) server_pid: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) vhost: String,

    /// Independent copies of everything below: pairs are groups of one and one.
    pub(crate) groups: usize,
    /// Publishers of a group.
    pub(crate) publishers: usize,
    /// Subscribers of a group; each receives all of the group's messages.
    pub(crate) subscribers: usize,
    /// Topics of a group, dealt out to its publishers.
    pub(crate) topics: usize,
    /// Whether subscribers take all topics by one pattern.
    pub(crate) wildcard: bool,
    /// Connections that are open and do nothing.
    pub(crate) idle: usize,
    /// Subscriptions of all idle connections together, to topics without publishers.
    pub(crate) idle_subscriptions: usize,

    pub(crate) payload_bytes: usize,
    /// MQTT: of publishes and subscriptions.
    pub(crate) qos: u8,
    pub(crate) target: Target,
    /// AMQP: durable queues, persistent messages.
    pub(crate) durable: bool,
    /// AMQP: publisher confirms.
    pub(crate) confirm: bool,
    /// AMQP: consumers acknowledge.
    pub(crate) acknowledges: bool,
    pub(crate) ack_every: u32,
    pub(crate) prefetch: u16,
    /// AMQP: messages put into the queues before anybody consumes, per publisher.
    pub(crate) prefill: u32,

    /// Messages of one publisher under way at a time.
    pub(crate) window: u32,
    /// Messages of one write.
    pub(crate) batch: u32,
    /// Messages per second of one publisher; none: as many as the window lets through.
    pub(crate) rate: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Connections that may be in their handshake at a time.
    pub(crate) connecting_max: usize,
    /// New connections per second; none: as fast as they are answered.
    pub(crate) ramp: Option<u32>,
    /// How long nothing may happen before the run is given up.
    pub(crate) patience: Duration,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            protocol: Protocol::Amqp,
            address: SocketAddr::from(([127, 0, 0, 1], 5672)),
            server_pid: None,
            user: None,
            password: None,
            vhost: "/".to_owned(),
            groups: 1,
            publishers: 1,
            subscribers: 1,
            topics: 1,
            wildcard: false,
            idle: 0,
            idle_subscriptions: 0,
            payload_bytes: 64,
            qos: 0,
            target: Target::Queue,
            durable: false,
            confirm: false,
            acknowledges: false,
            ack_every: 1,
            prefetch: 200,
            prefill: 0,
            window: 1000,
            batch: 50,
            rate: None,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            connecting_max: 32,
            ramp: None,
            patience: Duration::from_secs(10),
        }
    }
}

impl Scenario {
    /// Whether the server tells the publisher that it has a message.
    pub(crate) const fn has_confirms(&self) -> bool {
        match self.protocol {
            Protocol::Amqp => self.confirm,
            Protocol::Mqtt3 | Protocol::Mqtt5 => self.qos > 0,
            Protocol::Resp => true,
        }
    }

    /// Whether the subscribers of a group share its messages.
    pub(crate) fn is_shared(&self) -> bool {
        self.protocol == Protocol::Amqp && self.target == Target::Queue
    }

    /// Whether all messages of a publisher come to a subscriber through one ordered place.
    pub(crate) fn is_order_known(&self) -> bool {
        !self.is_shared() || (self.subscribers <= 1 && self.topics <= self.publishers)
    }

    /// How many receive each message.
    pub(crate) fn receivers(&self) -> usize {
        if self.is_shared() {
            self.subscribers.min(1)
        } else {
            self.subscribers
        }
    }

    /// What a publisher writes at once: never more than its window.
    pub(crate) fn batch(&self) -> u32 {
        self.batch.clamp(1, self.window.max(1))
    }
}
