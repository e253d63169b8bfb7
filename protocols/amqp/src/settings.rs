//! The limits and the name plate of an AMQP listener. Plain values: the gateway fills them from its
//! configuration, `Default` is what holds without one, RabbitMQ's values throughout.

use routing::{Name, OutboxLimits};

/// What an AMQP connection is told when it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The virtual host of every connection of this listener, whatever the client asks for; none
    /// lets the client choose.
    pub vhost: Option<Name>,
    /// `product` in the server properties. Clients look for `RabbitMQ` there.
    pub product: String,
    /// `version` in the server properties. Clients choose semantics by it, kombu those of
    /// `basic.qos` for one.
    pub version: String,
    /// `cluster_name` in the server properties.
    pub cluster_name: String,
    /// Largest frame in bytes, overhead included; at least 8192, 0 is no limit.
    pub frame_bytes_max: u32,
    /// Channels of one connection; 0 is 65,535.
    pub channels_max: u16,
    /// Consumers of one channel.
    pub consumers_per_channel_max: usize,
    /// How long a delivery may stay unacknowledged, in milliseconds, unless its queue says; 0 is
    /// for ever.
    pub consumer_timeout_ms: u64,
    /// Bytes of one message's body.
    pub message_bytes_max: u64,
    /// Bytes of messages in one channel's uncommitted transaction.
    pub transaction_bytes_max: usize,
    /// Heartbeat interval that is offered, in seconds; 0 is none.
    pub heartbeat_secs: u16,
    /// From the accepted socket to `connection.open`, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How long the answer to `connection.close` is waited for, in milliseconds.
    pub close_timeout_ms: u64,
    /// What may wait for the connection to take it.
    pub outbox: OutboxLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vhost: None,
            product: "RabbitMQ".into(),
            version: "4.2.0".into(),
            cluster_name: "busbar".into(),
            frame_bytes_max: 131_072,
            channels_max: 2047,
            consumers_per_channel_max: 4096,
            consumer_timeout_ms: 30 * 60 * 1000,
            message_bytes_max: 16 * 1024 * 1024,
            transaction_bytes_max: 64 * 1024 * 1024,
            heartbeat_secs: 60,
            handshake_timeout_ms: 10_000,
            close_timeout_ms: 10_000,
            outbox: OutboxLimits::default(),
        }
    }
}
