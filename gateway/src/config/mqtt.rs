//! `[mqtt]`: what MQTT 3.1, 3.1.1 and 5 announce to their clients and hold them to.

use std::time::Duration;

use routing::SharedStrategy;

use super::section::Section;
use super::value::{DAY, TIMEOUT};

/// `[mqtt]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    /// From the accepted connection to CONNECT, and that answered.
    pub connect_timeout: Duration,
    /// The longest keep alive; who asks for more, or for none, is given this. Zero: the client's.
    pub keep_alive_max: Duration,
    /// QoS 1 and 2 messages that a client may have unacknowledged: Receive Maximum
    /// (MQTT 5 §3.2.2.3.3).
    pub receive_max: u16,
    /// QoS 1 and 2 messages that a client is sent before it acknowledges some.
    pub inflight_max: u16,
    /// QoS 1 and 2 messages of one client that wait for the disk, where no Receive Maximum holds
    /// it back (MQTT 3).
    pub unconfirmed_max: u32,
    /// Messages kept for a session whose client is away or slow.
    pub queued_max: u32,
    /// Their bytes; zero: any.
    pub queued_bytes_max: u64,
    /// From a packet's first byte to its last, for small ones; large ones are given more.
    pub packet_timeout: Duration,
    /// The largest packet in bytes: Maximum Packet Size (MQTT 5 §3.2.2.3.6).
    pub packet_bytes_max: u64,
    /// The largest CONNECT in bytes; its sender is a stranger still.
    pub connect_bytes_max: u64,
    /// The largest SUBSCRIBE or UNSUBSCRIBE in bytes.
    pub subscribe_bytes_max: u64,
    /// Levels of a topic or filter.
    pub topic_levels_max: u16,
    /// Bytes of a topic or filter.
    pub topic_bytes_max: u64,
    /// Topic aliases that a client may set: Topic Alias Maximum (MQTT 5 §3.2.2.3.8); zero: none.
    pub topic_alias_max: u16,
    /// Topic aliases used towards a client; zero: none.
    pub topic_alias_out_max: u16,
    /// The longest Session Expiry Interval granted (MQTT 5 §3.2.2.3.2); zero: any.
    pub session_expiry_max: Duration,
    /// The filters that one session may be subscribed to.
    pub subscriptions_max: u32,
    /// The retained messages of one virtual host.
    pub retained_max: u32,
    /// Their bytes, with their bookkeeping.
    pub retained_bytes_max: u64,
    /// Who of a shared subscription's members gets a message.
    pub shared_strategy: SharedStrategy,
    /// QoS 0 messages that wait for one slow client.
    pub waiting_max: u32,
    /// Their bytes.
    pub waiting_bytes_max: u64,
    /// What assigned client identifiers begin with [MQTT-3.1.3-6].
    pub client_id_prefix: String,
    /// What the Response Information of CONNACK begins with (MQTT 5 §3.2.2.3.15); `None`: there is
    /// none.
    pub response_prefix: Option<String>,
    /// Whether MQTT 5 clients are told in words why something was refused.
    pub reason_strings: bool,
    /// Whether MQTT 5 clients are told that a right is missing (0x87) or only that they are refused
    /// (0x80).
    pub tell_missing_rights: bool,
    /// How often the values under `$SYS/` are published; zero: never.
    pub sys_interval: Duration,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            keep_alive_max: Duration::ZERO,
            receive_max: 20,
            inflight_max: 512,
            unconfirmed_max: 65_535,
            queued_max: 1000,
            queued_bytes_max: 0,
            packet_timeout: Duration::from_secs(60),
            packet_bytes_max: 2_000_000,
            connect_bytes_max: 512 << 10,
            subscribe_bytes_max: 100_000,
            topic_levels_max: 201,
            topic_bytes_max: 65_535,
            topic_alias_max: 10,
            topic_alias_out_max: 10,
            session_expiry_max: Duration::ZERO,
            subscriptions_max: 10_000,
            retained_max: 1_000_000,
            retained_bytes_max: 1 << 30,
            shared_strategy: SharedStrategy::RoundRobin,
            waiting_max: 65_536,
            waiting_bytes_max: 32 << 20,
            client_id_prefix: "auto-".to_owned(),
            response_prefix: None,
            reason_strings: false,
            tell_missing_rights: true,
            sys_interval: Duration::from_secs(10),
        }
    }
}

/// The words for how members of a shared subscription are chosen.
const STRATEGIES: [(&str, SharedStrategy); 4] = [
    ("round-robin", SharedStrategy::RoundRobin),
    ("sticky", SharedStrategy::Sticky),
    ("hash-publisher", SharedStrategy::HashPublisher),
    ("hash-topic", SharedStrategy::HashTopic),
];

/// The largest remaining length and its header (MQTT 5 §1.5.5).
const PACKET_BYTES_MAX: u64 = 268_435_460;

impl Mqtt {
    pub(super) fn read(of: &mut Section<'_>) -> Self {
        let default = Self::default();
        let keep_alive = Duration::ZERO..=Duration::from_secs(u16::MAX.into());
        let expiry = Duration::ZERO..=Duration::from_secs(u32::MAX.into());
        let packet = 1024..=PACKET_BYTES_MAX;
        let waiting_bytes = 64 << 10..=1 << 40;
        let many = 1..=10_000_000;
        Self {
            connect_timeout: of.duration("connect_timeout", TIMEOUT, default.connect_timeout),
            keep_alive_max: of.duration("keep_alive_max", keep_alive, default.keep_alive_max),
            receive_max: of.integer("receive_max", 1..=u16::MAX, default.receive_max),
            inflight_max: of.integer("inflight_max", 1..=u16::MAX, default.inflight_max),
            unconfirmed_max: of.integer("unconfirmed_max", 1..=65_535, default.unconfirmed_max),
            queued_max: of.integer("queued_max", many.clone(), default.queued_max),
            queued_bytes_max: of.size("queued_bytes_max", 0..=1 << 40, default.queued_bytes_max),
            packet_timeout: of.duration("packet_timeout", TIMEOUT, default.packet_timeout),
            packet_bytes_max: of.size("packet_bytes_max", packet.clone(), default.packet_bytes_max),
            connect_bytes_max: of.size(
                "connect_bytes_max",
                packet.clone(),
                default.connect_bytes_max,
            ),
            subscribe_bytes_max: of.size(
                "subscribe_bytes_max",
                packet,
                default.subscribe_bytes_max,
            ),
            topic_levels_max: of.integer("topic_levels_max", 1..=256, default.topic_levels_max),
            topic_bytes_max: of.size("topic_bytes_max", 1..=65_535, default.topic_bytes_max),
            topic_alias_max: of.integer("topic_alias_max", 0..=u16::MAX, default.topic_alias_max),
            topic_alias_out_max: of.integer(
                "topic_alias_out_max",
                0..=u16::MAX,
                default.topic_alias_out_max,
            ),
            session_expiry_max: of.duration(
                "session_expiry_max",
                expiry,
                default.session_expiry_max,
            ),
            subscriptions_max: of.integer(
                "subscriptions_max",
                many.clone(),
                default.subscriptions_max,
            ),
            retained_max: of.integer("retained_max", 0..=1_000_000_000, default.retained_max),
            retained_bytes_max: of.size(
                "retained_bytes_max",
                waiting_bytes.clone(),
                default.retained_bytes_max,
            ),
            shared_strategy: of.choice("shared_strategy", &STRATEGIES, default.shared_strategy),
            waiting_max: of.integer("waiting_max", many, default.waiting_max),
            waiting_bytes_max: of.size(
                "waiting_bytes_max",
                waiting_bytes,
                default.waiting_bytes_max,
            ),
            client_id_prefix: of.text("client_id_prefix", &default.client_id_prefix),
            reason_strings: of.boolean("reason_strings", default.reason_strings),
            tell_missing_rights: of.boolean("tell_missing_rights", default.tell_missing_rights),
            sys_interval: of.duration("sys_interval", Duration::ZERO..=DAY, default.sys_interval),
            response_prefix: Some(of.text("response_prefix", "")).filter(|it| !it.is_empty()),
        }
    }
}
