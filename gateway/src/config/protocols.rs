//! `[amqp]`, `[mqtt]`, `[resp]`: the limits each protocol announces to its clients and holds them to.
//! Separate from the listeners because they are the protocol's words, not the socket's.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::Section;

const DAY: Duration = Duration::from_secs(86_400);

/// A timeout that cannot be switched off: it bounds what a silent peer may hold.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;

/// `[amqp]`: AMQP 0-9-1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amqp {
    /// The largest frame, in bytes, that `connection.tune` offers (AMQP 0-9-1 §4.2.3).
    pub frame_max: u32,
    /// The highest channel number that `connection.tune` offers.
    pub channel_max: u16,
    /// The heartbeat that `connection.tune` offers; zero: none.
    pub heartbeat: Duration,
    /// From the protocol header to `connection.open`.
    pub handshake_timeout: Duration,
    /// The largest message body in bytes.
    pub message_bytes_max: u64,
    /// `product` of the server properties: some clients behave by it.
    pub product: String,
    /// `version` of the server properties: some clients behave by it.
    pub version: String,
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            frame_max: 128 << 10,
            channel_max: 2047,
            heartbeat: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            message_bytes_max: 128 << 20,
            product: "RabbitMQ".to_owned(),
            version: "4.2.0".to_owned(),
        }
    }
}

impl Amqp {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        // 8192: what an AMQP client must be able to rely on before `tune`; RabbitMQ's minimum too.
        let frame_max = section.size("frame_max", 8192..=1 << 30, default.frame_max.into());
        let heartbeat = Duration::ZERO..=Duration::from_secs(u16::MAX.into());
        // 512 MiB is where RabbitMQ ends whatever is configured.
        let message_bytes_max = section.size(
            "message_bytes_max",
            1..=512 << 20,
            default.message_bytes_max,
        );
        Self {
            frame_max: u32::try_from(frame_max).unwrap_or(default.frame_max),
            channel_max: section.integer("channel_max", 1..=u16::MAX, default.channel_max),
            heartbeat: section.duration("heartbeat", heartbeat, default.heartbeat),
            handshake_timeout: section.duration(
                "handshake_timeout",
                TIMEOUT,
                default.handshake_timeout,
            ),
            message_bytes_max,
            product: section.text("product", &default.product),
            version: section.text("version", &default.version),
        }
    }
}

/// `[mqtt]`: MQTT 3.1, 3.1.1 and 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    /// From the connection to CONNECT.
    pub connect_timeout: Duration,
    /// The longest keep alive a client may ask for; zero: any, and none at all.
    pub keep_alive_max: Duration,
    /// Unacknowledged QoS 1 and 2 messages in each direction: Receive Maximum [MQTT-3.2.2.3.3].
    pub inflight_max: u16,
    /// Messages kept for a session whose client is away or slow.
    pub queued_max: u32,
    /// The largest packet in bytes: Maximum Packet Size [MQTT-3.2.2.3.6].
    pub packet_bytes_max: u32,
    /// Topic aliases in each direction: Topic Alias Maximum [MQTT-3.2.2.3.8]; zero: none.
    pub topic_alias_max: u16,
    /// The longest Session Expiry Interval granted [MQTT-3.2.2.3.2]; zero: any.
    pub session_expiry_max: Duration,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            keep_alive_max: Duration::ZERO,
            inflight_max: 20,
            queued_max: 1000,
            packet_bytes_max: 2_000_000,
            topic_alias_max: 10,
            session_expiry_max: Duration::ZERO,
        }
    }
}

impl Mqtt {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let keep_alive = Duration::ZERO..=Duration::from_secs(u16::MAX.into());
        let session_expiry = Duration::ZERO..=Duration::from_secs(u32::MAX.into());
        // 268,435,460: the largest remaining length and its header [MQTT-1.5.5].
        let packet_bytes_max = section.size(
            "packet_bytes_max",
            1024..=268_435_460,
            default.packet_bytes_max.into(),
        );
        Self {
            connect_timeout: section.duration("connect_timeout", TIMEOUT, default.connect_timeout),
            keep_alive_max: section.duration("keep_alive_max", keep_alive, default.keep_alive_max),
            inflight_max: section.integer("inflight_max", 1..=u16::MAX, default.inflight_max),
            queued_max: section.integer("queued_max", 1..=10_000_000, default.queued_max),
            packet_bytes_max: u32::try_from(packet_bytes_max).unwrap_or(default.packet_bytes_max),
            topic_alias_max: section.integer(
                "topic_alias_max",
                0..=u16::MAX,
                default.topic_alias_max,
            ),
            session_expiry_max: section.duration(
                "session_expiry_max",
                session_expiry,
                default.session_expiry_max,
            ),
        }
    }
}

/// `[resp]`: Redis pub/sub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resp {
    /// The Redis version that HELLO and INFO report: clients behave by it.
    pub version: String,
    /// A client that says nothing for so long is disconnected; zero: never.
    pub idle_timeout: Duration,
    /// The largest single argument in bytes, Redis's `proto-max-bulk-len`.
    pub bulk_bytes_max: u64,
    /// A subscriber with more bytes than this waiting is cut off at once, as Redis's
    /// `client-output-buffer-limit pubsub` does.
    pub output_bytes_hard: u64,
    /// A subscriber with more bytes than this waiting all through `output_soft_time` is cut off.
    pub output_bytes_soft: u64,
    /// See `output_bytes_soft`.
    pub output_soft_time: Duration,
    /// What the volatile string keys may hold together, in bytes; zero: none are kept.
    pub strings_bytes_max: u64,
}

impl Default for Resp {
    fn default() -> Self {
        Self {
            version: "7.2.4".to_owned(),
            idle_timeout: Duration::ZERO,
            bulk_bytes_max: 512 << 20,
            output_bytes_hard: 32 << 20,
            output_bytes_soft: 8 << 20,
            output_soft_time: Duration::from_secs(60),
            strings_bytes_max: 64 << 20,
        }
    }
}

impl Resp {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let buffer = 64 << 10..=1 << 40;
        Self {
            version: section.text("version", &default.version),
            idle_timeout: section.duration(
                "idle_timeout",
                Duration::ZERO..=365 * DAY,
                default.idle_timeout,
            ),
            bulk_bytes_max: section.size(
                "bulk_bytes_max",
                1024..=512 << 20,
                default.bulk_bytes_max,
            ),
            output_bytes_hard: section.size(
                "output_bytes_hard",
                buffer.clone(),
                default.output_bytes_hard,
            ),
            output_bytes_soft: section.size("output_bytes_soft", buffer, default.output_bytes_soft),
            output_soft_time: section.duration(
                "output_soft_time",
                Duration::ZERO..=DAY,
                default.output_soft_time,
            ),
            strings_bytes_max: section.size(
                "strings_bytes_max",
                0..=1 << 40,
                default.strings_bytes_max,
            ),
        }
    }
}
