//! The limits of an MQTT listener. Plain values: the gateway's configuration fills them in, and
//! says what each key is called.

use std::sync::Arc;

use routing::{Name, OutboxLimits};

use crate::counters::Counters;
use crate::wire::SizeLimits;

/// How long and how deep the topics and filters of clients may be. The standard's own limits are
/// 65,535 bytes and none; the core's is [`routing::address::LEVELS_MAX`] levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Levels: one more than there are slashes. Each may cost a node of the trie.
    pub levels_max: usize,
    /// Bytes in UTF-8.
    pub bytes_max: usize,
}

impl Default for TopicLimits {
    /// Mosquitto's.
    fn default() -> Self {
        Self {
            levels_max: 201,
            bytes_max: 65_535,
        }
    }
}

impl TopicLimits {
    /// Whether a topic or filter is within them.
    #[must_use]
    pub fn allow(&self, topic: &[u8]) -> bool {
        // Most topics have fewer bytes than they may have levels: nothing is counted.
        topic.len() <= self.bytes_max
            && (topic.len() < self.levels_max
                || topic.iter().filter(|byte| **byte == b'/').count() < self.levels_max)
    }
}

/// Limits and defaults of all connections of one listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The virtual host of every client; `None` lets the user name or the user decide.
    pub vhost: Option<Name>,
    /// Sizes of packets, in bytes.
    pub sizes: SizeLimits,
    /// Length and depth of topics and filters: beyond them 0x8F in SUBACK, 0x90 for a PUBLISH or a
    /// will.
    pub topics: TopicLimits,
    /// QoS 1 and 2 messages that a 5.0 client may have unacknowledged: the Receive Maximum of
    /// CONNACK. A client that exceeds it is disconnected with 0x93.
    pub receive_max: u16,
    /// QoS 1 and 2 messages that a client is sent before it acknowledges some, if its own
    /// Receive Maximum is not lower.
    pub inflight_max: u16,
    /// Topic aliases that a client may set: the Topic Alias Maximum of CONNACK. 0 is none.
    pub topic_alias_max: u16,
    /// Topic aliases used towards a client, if its own maximum is not lower. 0 is none.
    pub topic_alias_out_max: u16,
    /// The longest a session may outlive its connection, in seconds; `u32::MAX` is for ever.
    pub session_expiry_max_secs: u32,
    /// The longest keep alive, in seconds; a client that asks for more, or for none, is given this
    /// one (Server Keep Alive). 0 leaves it to the client.
    pub keep_alive_max_secs: u16,
    /// How long a connection may take to send its CONNECT and be authenticated, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a packet may take to arrive once it has begun, in milliseconds; a large one is
    /// given one more for each byte that has come.
    pub packet_timeout_ms: u64,
    /// Filters that one session may be subscribed to; one more is answered with 0x97.
    pub subscriptions_max: usize,
    /// QoS 1 and 2 messages that wait for acknowledgement by the journal, in 3.x, where no Receive
    /// Maximum holds a client back.
    pub unconfirmed_max: usize,
    /// What the Response Information of CONNACK begins with; the client identifier follows. `None`
    /// gives none.
    pub response_prefix: Option<Name>,
    /// Whether 5.0 clients are told in words why something was refused, unless they ask not to be.
    pub reason_strings: bool,
    /// Whether 5.0 clients are told that a right is missing (0x87), or only that they are refused
    /// (0x80).
    pub tell_missing_rights: bool,
    /// What the assigned client identifiers begin with.
    pub client_id_prefix: Name,
    /// Messages that wait for one slow client.
    pub outbox: OutboxLimits,
    /// What all connections count together.
    pub counters: Arc<Counters>,
}

impl Default for Settings {
    /// Mosquitto's numbers where it has one.
    fn default() -> Self {
        Self {
            vhost: None,
            sizes: SizeLimits::default(),
            topics: TopicLimits::default(),
            receive_max: 20,
            inflight_max: 512,
            topic_alias_max: 10,
            topic_alias_out_max: 10,
            session_expiry_max_secs: u32::MAX,
            keep_alive_max_secs: 0,
            connect_timeout_ms: 10_000,
            packet_timeout_ms: 60_000,
            subscriptions_max: 10_000,
            unconfirmed_max: 65_535,
            response_prefix: None,
            reason_strings: false,
            tell_missing_rights: true,
            client_id_prefix: "auto-".into(),
            outbox: OutboxLimits::default(),
            counters: Arc::default(),
        }
    }
}
