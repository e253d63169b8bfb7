//! Identities that the core hands out. Each is its own type so that none is taken for another.

use std::sync::atomic::{AtomicU64, Ordering};

/// One client connection (or LAN link) for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One consumer of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(pub u64);

/// One queue, for ever: a queue declared again under an old name has a new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

/// One MQTT session, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One receiving party of subscriptions: an MQTT session, a Redis connection, a LAN link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u64);

/// A message's place in its queue: rises by one with each message enqueued, never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One source for all identities that need to be unique within the process only.
static UNIQUE: IdSource = IdSource::starting_at(1);

impl ConnectionId {
    /// An identity that nobody else in this process has.
    #[must_use]
    pub fn unique() -> Self {
        Self(UNIQUE.next())
    }
}

impl ConsumerId {
    /// An identity that nobody else in this process has.
    #[must_use]
    pub fn unique() -> Self {
        Self(UNIQUE.next())
    }
}

impl SubscriberId {
    /// An identity that nobody else in this process has.
    #[must_use]
    pub fn unique() -> Self {
        Self(UNIQUE.next())
    }
}

/// Hands out rising numbers.
#[derive(Debug)]
pub(crate) struct IdSource(AtomicU64);

impl IdSource {
    pub(crate) const fn starting_at(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Never hands out `used` or anything below it again.
    pub(crate) fn skip(&self, used: u64) {
        self.0.fetch_max(used + 1, Ordering::Relaxed);
    }
}
