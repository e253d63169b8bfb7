//! What the core counts because nobody else sees it: what it did not keep or pass on, and sessions
//! that ended by themselves.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the start.
#[derive(Debug, Default)]
pub struct Counters {
    unretained: AtomicU64,
    refused: AtomicU64,
    sessions_expired: AtomicU64,
}

impl Counters {
    /// Messages that did not become retained values, because there were too many.
    #[must_use]
    pub fn unretained_count(&self) -> u64 {
        self.unretained.load(Ordering::Relaxed)
    }

    /// Messages that a slow or full subscriber did not get, once per subscriber.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sessions that ended because their time was over.
    #[must_use]
    pub fn sessions_expired_count(&self) -> u64 {
        self.sessions_expired.load(Ordering::Relaxed)
    }

    pub(crate) fn unretained(&self) {
        self.unretained.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, count: u64) {
        if count > 0 {
            self.refused.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn session_expired(&self) {
        self.sessions_expired.fetch_add(1, Ordering::Relaxed);
    }
}
