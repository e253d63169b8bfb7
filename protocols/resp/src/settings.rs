//! The limits and names of the Redis side; the gateway's configuration fills them in.

use routing::Name;

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
    /// Milliseconds without a request after which a connection that is subscribed to nothing is
    /// closed. 0: never.
    pub idle_timeout_ms: u64,
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
            idle_timeout_ms: 0,
        }
    }
}
