//! `[resp]`: what Redis clients are told and held to.

use std::time::Duration;

use super::section::Section;
use super::value::DAY;

/// `[resp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resp {
    /// The Redis version that HELLO and INFO report: clients behave by it.
    pub version: String,
    /// A client that is subscribed to nothing and says nothing for so long is disconnected; zero:
    /// never.
    pub idle_timeout: Duration,
    /// The largest single argument in bytes, Redis's `proto-max-bulk-len`.
    pub bulk_bytes_max: u64,
    /// The largest whole request in bytes, Redis's `client-query-buffer-limit`.
    pub request_bytes_max: u64,
    /// The bytes of requests that MULTI may queue.
    pub transaction_bytes_max: u64,
    /// Keys that one client may WATCH.
    pub watched_keys_max: u32,
    /// A subscriber with more bytes than this waiting is cut off at once, as Redis's
    /// `client-output-buffer-limit pubsub` does.
    pub output_bytes_hard: u64,
    /// A subscriber with more bytes than this waiting all through `output_soft_time` is cut
    /// off.
    pub output_bytes_soft: u64,
    /// See `output_bytes_soft`.
    pub output_soft_time: Duration,
    /// Any other client with more bytes than this waiting is cut off at once.
    pub normal_output_bytes_hard: u64,
    /// Channels, patterns and shard channels of one client together.
    pub subscriptions_max: u32,
    /// Databases that SELECT may choose from.
    pub databases: u8,
    /// Volatile keys (SET, GET) of all databases together; zero: none are kept.
    pub strings_max: u32,
    /// The bytes of these keys and their values.
    pub strings_bytes_max: u64,
    /// How long the queue behind an empty list stays when nobody uses it.
    pub list_empty_expires: Duration,
    /// Queues of a virtual host beyond which a push to a new key is refused.
    pub queues_max: u32,
    /// Whether answers to pushes, and to what durable subscribers are to receive, wait for the
    /// disk.
    pub waits_for_disk: bool,
    /// Whether DEBUG SLEEP and DEBUG LOG are allowed.
    pub debug_commands: bool,
    /// What becomes of a subscriber that does not keep up.
    pub when_full: WhenFull,
    /// Other rules for some subscribers.
    pub subscribers: Vec<Subscribers>,
    /// Messages that wait for one durable subscriber.
    pub durable_messages_max: u32,
    /// Their bytes.
    pub durable_bytes_max: u64,
    /// How long a durable subscriber may be away.
    pub durable_expiry: Duration,
    /// What was sent to a durable subscriber so many bytes ago has been read.
    pub durable_window_bytes: u64,
    /// What was sent so long ago on a living connection has been read; zero: that proves nothing.
    pub durable_settle_time: Duration,
}

/// What becomes of a subscriber that does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// `disconnect`, as Redis.
    Disconnect,
    /// `drop-oldest`.
    DropOldest,
    /// `pause-publisher`.
    PausePublisher,
    /// `durable`.
    Durable,
}

/// The words of [`WhenFull`].
const WHEN_FULL: [(&str, WhenFull); 4] = [
    ("disconnect", WhenFull::Disconnect),
    ("drop-oldest", WhenFull::DropOldest),
    ("pause-publisher", WhenFull::PausePublisher),
    ("durable", WhenFull::Durable),
];

/// `[[resp.subscribers]]`: what holds for some subscribers; the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribers {
    /// Redis glob over names of users.
    pub user: String,
    /// Redis glob over the names that connections give themselves.
    pub name: String,
    /// What holds for them.
    pub when_full: WhenFull,
}

impl Subscribers {
    fn read(of: &mut Section<'_>) -> Self {
        of.require("when_full", "\"durable\"");
        Self {
            user: of.text("user", "*"),
            name: of.text("name", "*"),
            when_full: of.choice("when_full", &WHEN_FULL, WhenFull::Disconnect),
        }
    }
}

impl Default for Resp {
    fn default() -> Self {
        Self {
            version: "7.2.4".to_owned(),
            idle_timeout: Duration::ZERO,
            bulk_bytes_max: 512 << 20,
            request_bytes_max: 1 << 30,
            transaction_bytes_max: 64 << 20,
            watched_keys_max: 1024,
            output_bytes_hard: 32 << 20,
            output_bytes_soft: 8 << 20,
            output_soft_time: Duration::from_secs(60),
            normal_output_bytes_hard: 256 << 20,
            subscriptions_max: 100_000,
            databases: 16,
            strings_max: 100_000,
            strings_bytes_max: 64 << 20,
            list_empty_expires: Duration::from_secs(60),
            queues_max: 100_000,
            waits_for_disk: true,
            debug_commands: false,
            when_full: WhenFull::Disconnect,
            subscribers: Vec::new(),
            durable_messages_max: 1_000_000,
            durable_bytes_max: 1 << 30,
            durable_expiry: 7 * DAY,
            durable_window_bytes: 16 << 20,
            durable_settle_time: Duration::from_secs(30),
        }
    }
}

impl Resp {
    pub(super) fn read(of: &mut Section<'_>) -> Self {
        let default = Self::default();
        let buffer = 64 << 10..=1 << 40;
        let life = |of: &mut Section<'_>, key, days_max, default| {
            of.duration(key, Duration::from_secs(1)..=days_max * DAY, default)
        };
        let output = |of: &mut Section<'_>, key, default| of.size(key, buffer.clone(), default);
        Self {
            version: of.text("version", &default.version),
            idle_timeout: of.duration(
                "idle_timeout",
                Duration::ZERO..=365 * DAY,
                default.idle_timeout,
            ),
            bulk_bytes_max: of.size("bulk_bytes_max", 1024..=512 << 20, default.bulk_bytes_max),
            request_bytes_max: output(of, "request_bytes_max", default.request_bytes_max),
            transaction_bytes_max: output(
                of,
                "transaction_bytes_max",
                default.transaction_bytes_max,
            ),
            watched_keys_max: of.integer(
                "watched_keys_max",
                1..=1_000_000,
                default.watched_keys_max,
            ),
            output_bytes_hard: output(of, "output_bytes_hard", default.output_bytes_hard),
            output_bytes_soft: output(of, "output_bytes_soft", default.output_bytes_soft),
            output_soft_time: of.duration(
                "output_soft_time",
                Duration::ZERO..=DAY,
                default.output_soft_time,
            ),
            normal_output_bytes_hard: output(
                of,
                "normal_output_bytes_hard",
                default.normal_output_bytes_hard,
            ),
            subscriptions_max: of.integer(
                "subscriptions_max",
                1..=10_000_000,
                default.subscriptions_max,
            ),
            databases: of.integer("databases", 1..=u8::MAX, default.databases),
            strings_max: of.integer("strings_max", 0..=100_000_000, default.strings_max),
            strings_bytes_max: of.size("strings_bytes_max", 0..=1 << 40, default.strings_bytes_max),
            list_empty_expires: life(of, "list_empty_expires", 30, default.list_empty_expires),
            queues_max: of.integer("queues_max", 1..=100_000_000, default.queues_max),
            waits_for_disk: of.boolean("waits_for_disk", default.waits_for_disk),
            debug_commands: of.boolean("debug_commands", default.debug_commands),
            when_full: of.choice("when_full", &WHEN_FULL, default.when_full),
            subscribers: of
                .tables("subscribers", Subscribers::read)
                .unwrap_or(default.subscribers),
            durable_messages_max: of.integer(
                "durable_messages_max",
                1..=1_000_000_000,
                default.durable_messages_max,
            ),
            durable_bytes_max: output(of, "durable_bytes_max", default.durable_bytes_max),
            durable_expiry: life(of, "durable_expiry", 3650, default.durable_expiry),
            durable_window_bytes: output(of, "durable_window_bytes", default.durable_window_bytes),
            durable_settle_time: of.duration(
                "durable_settle_time",
                Duration::ZERO..=DAY,
                default.durable_settle_time,
            ),
        }
    }
}
