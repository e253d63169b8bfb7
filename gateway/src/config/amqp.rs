//! `[amqp]`: what AMQP 0-9-1 announces to its clients and holds them to.

use std::time::Duration;

use super::section::Section;
use super::value::{DAY, TIMEOUT};

/// `[amqp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amqp {
    /// The largest frame, in bytes, that `connection.tune` offers (AMQP 0-9-1 §4.2.3).
    pub frame_max: u64,
    /// The highest channel number that `connection.tune` offers.
    pub channel_max: u16,
    /// The heartbeat that `connection.tune` offers; zero: none.
    pub heartbeat: Duration,
    /// From the accepted connection to `connection.open`.
    pub handshake_timeout: Duration,
    /// How long the answer to `connection.close` is waited for.
    pub close_timeout: Duration,
    /// How long a client may take to acknowledge a delivery, unless the queue says; zero: for ever.
    pub consumer_timeout: Duration,
    /// The largest message body in bytes.
    pub message_bytes_max: u64,
    /// The consumers of one channel.
    pub channel_consumers_max: u32,
    /// The bytes of messages in one channel's uncommitted transaction.
    pub transaction_bytes_max: u64,
    /// Deliveries that wait for one slow client.
    pub waiting_max: u32,
    /// Their bytes.
    pub waiting_bytes_max: u64,
    /// `product` of the server properties: some clients behave by it.
    pub product: String,
    /// `version` of the server properties: some clients behave by it.
    pub version: String,
    /// `cluster_name` of the server properties.
    pub cluster_name: String,
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            frame_max: 128 << 10,
            channel_max: 2047,
            heartbeat: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            consumer_timeout: Duration::from_secs(30 * 60),
            message_bytes_max: 128 << 20,
            channel_consumers_max: 4096,
            transaction_bytes_max: 64 << 20,
            waiting_max: 65_536,
            waiting_bytes_max: 32 << 20,
            product: "RabbitMQ".to_owned(),
            version: "4.2.0".to_owned(),
            cluster_name: "busbar".to_owned(),
        }
    }
}

impl Amqp {
    pub(super) fn read(of: &mut Section<'_>) -> Self {
        let default = Self::default();
        let heartbeat = Duration::ZERO..=Duration::from_secs(u16::MAX.into());
        // 512 MiB is where RabbitMQ ends whatever is configured.
        let message = 1..=512 << 20;
        Self {
            // 8 KiB is the least that RabbitMQ negotiates, and what clients send before `tune`.
            frame_max: of.size("frame_max", 8192..=1 << 30, default.frame_max),
            channel_max: of.integer("channel_max", 1..=u16::MAX, default.channel_max),
            heartbeat: of.duration("heartbeat", heartbeat, default.heartbeat),
            handshake_timeout: of.duration("handshake_timeout", TIMEOUT, default.handshake_timeout),
            close_timeout: of.duration("close_timeout", TIMEOUT, default.close_timeout),
            consumer_timeout: of.duration(
                "consumer_timeout",
                Duration::ZERO..=DAY * 49,
                default.consumer_timeout,
            ),
            message_bytes_max: of.size("message_bytes_max", message, default.message_bytes_max),
            channel_consumers_max: of.integer(
                "channel_consumers_max",
                1..=1_000_000,
                default.channel_consumers_max,
            ),
            transaction_bytes_max: of.size(
                "transaction_bytes_max",
                1..=1 << 40,
                default.transaction_bytes_max,
            ),
            waiting_max: of.integer("waiting_max", 1..=10_000_000, default.waiting_max),
            waiting_bytes_max: of.size(
                "waiting_bytes_max",
                64 << 10..=1 << 40,
                default.waiting_bytes_max,
            ),
            product: of.text("product", &default.product),
            version: of.text("version", &default.version),
            cluster_name: of.text("cluster_name", &default.cluster_name),
        }
    }
}
