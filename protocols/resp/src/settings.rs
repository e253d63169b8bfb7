//! The limits and names of the Redis side; the gateway's configuration fills them in.

use routing::{Glob, Name};

use crate::wire::request::Limits;

/// How fast an unread output buffer may grow before its connection is closed, as Redis's
/// `client-output-buffer-limit`. 0 switches that limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Above this many bytes the connection closes at once.
    pub hard_bytes: usize,
    /// Above this many bytes for [`OutputLimit::soft_ms`] without a break the connection closes.
    pub soft_bytes: usize,
    /// Milliseconds.
    pub soft_ms: u64,
}

/// What becomes of a subscriber whose unread messages reach
/// [`Settings::subscriber_output`]'s hard limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is disconnected, as Redis does; the soft limit holds too.
    #[default]
    Disconnect,
    /// Its oldest unread messages are dropped and counted.
    DropOldest,
    /// Its publishers are not read until it has caught up. A subscriber that reads nothing at all
    /// for the soft limit's time is disconnected.
    PausePublisher,
    /// What it cannot take waits on disk, also while it is not connected. It needs a name
    /// (`CLIENT SETNAME`) before it subscribes; without one it is disconnected as above.
    Durable,
}

/// A rule for subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberRule {
    /// Names of users that it is for.
    pub user: Glob,
    /// Names that clients give themselves that it is for; one without a name has the empty one.
    pub name: Glob,
    /// What it says.
    pub when_full: WhenFull,
}

/// What is kept for durable subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Messages that wait for one subscriber; beyond, its oldest are dropped.
    pub messages_max: usize,
    /// Bytes of messages that wait for one subscriber.
    pub bytes_max: usize,
    /// How long a subscriber may be away, in seconds.
    pub expiry_s: u32,
    /// Bytes of output beyond which what lies further back has been read: it does not fit into the
    /// sockets' buffers.
    pub window_bytes: u64,
    /// Milliseconds after which what was sent is taken as read while the connection lives. 0:
    /// never.
    pub settle_ms: u64,
}

/// What one listener for Redis clients allows, and what it says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The virtual host that clients enter here; none: each user's own.
    pub vhost: Option<Name>,
    /// Connections at once.
    pub clients_max: usize,
    /// How much one request may hold.
    pub requests: Limits,
    /// The version that `HELLO` and `INFO` report. Clients choose what to send by it; 7.2 is the
    /// last one that Redis and its forks share.
    pub version: String,
    /// The limit for connections that are subscribed to something. 32 MiB, 8 MiB for 60 s.
    pub subscriber_output: OutputLimit,
    /// The limit for all others. Redis has none; 256 MiB at once keeps one from taking the memory.
    pub normal_output: OutputLimit,
    /// Channels, patterns and shard channels that one connection may subscribe to, together.
    pub subscriptions_max: usize,
    /// Bytes of requests that `MULTI` may queue in one connection.
    pub transaction_bytes_max: usize,
    /// Keys that one connection may `WATCH`.
    pub watched_keys_max: usize,
    /// Databases that `SELECT` may choose from.
    pub databases: u8,
    /// Keys in the volatile map, all databases together.
    pub keys_max: usize,
    /// Bytes of keys and values in the volatile map.
    pub key_bytes_max: usize,
    /// Milliseconds that the queue of an empty list stays when nobody uses it.
    pub list_empty_expires_ms: u64,
    /// Queues of a virtual host beyond which a push to a new key is refused.
    pub queues_max: usize,
    /// Whether the replies to pushes, and to what a durable subscriber is to receive, wait until
    /// the journal is durable.
    pub waits_for_disk: bool,
    /// What becomes of a subscriber that does not keep up, unless a rule says otherwise.
    pub when_full: WhenFull,
    /// Rules for certain subscribers; the first that fits holds.
    pub subscriber_rules: Vec<SubscriberRule>,
    /// How much of what a durable subscriber was sent is sent again when its connection breaks.
    pub durable: Durable,
    /// Whether `DEBUG SLEEP` and `DEBUG LOG` are allowed.
    pub has_debug: bool,
    /// Milliseconds without a request after which a connection that is subscribed to nothing is
    /// closed. 0: never.
    pub idle_timeout_ms: u64,
}

impl Settings {
    /// What holds for a subscriber of this user and name.
    #[must_use]
    pub fn rule_for(&self, user: &str, name: &[u8]) -> WhenFull {
        let fits =
            |rule: &&SubscriberRule| rule.user.matches(user.as_bytes()) && rule.name.matches(name);
        let rule = self.subscriber_rules.iter().find(fits);
        rule.map_or(self.when_full, |rule| rule.when_full)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vhost: None,
            clients_max: 10_000,
            requests: Limits::default(),
            version: "7.2.4".to_owned(),
            subscriber_output: OutputLimit {
                hard_bytes: 32 * 1024 * 1024,
                soft_bytes: 8 * 1024 * 1024,
                soft_ms: 60_000,
            },
            normal_output: OutputLimit {
                hard_bytes: 256 * 1024 * 1024,
                soft_bytes: 0,
                soft_ms: 0,
            },
            subscriptions_max: 100_000,
            transaction_bytes_max: 64 * 1024 * 1024,
            watched_keys_max: 1024,
            databases: 16,
            keys_max: 100_000,
            key_bytes_max: 64 * 1024 * 1024,
            list_empty_expires_ms: 60_000,
            queues_max: 100_000,
            waits_for_disk: true,
            when_full: WhenFull::Disconnect,
            subscriber_rules: Vec::new(),
            durable: Durable {
                messages_max: 1_000_000,
                bytes_max: 1024 * 1024 * 1024,
                expiry_s: 7 * 24 * 3600,
                window_bytes: 16 * 1024 * 1024,
                settle_ms: 30_000,
            },
            has_debug: false,
            idle_timeout_ms: 0,
        }
    }
}
