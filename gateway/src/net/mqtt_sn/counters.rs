//! What one MQTT-SN gateway counts, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lan::sn::Counts;

/// The numbers of one gateway, each since it was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// What the state machine counts, and its clients.
    machine: Mutex<(Counts, usize)>,
    refused_sources: AtomicU64,
    failed: AtomicU64,
    rejoins: AtomicU64,
}

impl Counters {
    /// What the state machine has counted, and how many clients there are.
    #[must_use]
    pub fn machine(&self) -> (Counts, usize) {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Datagrams from senders outside `allow_sources`.
    #[must_use]
    pub fn refused_sources(&self) -> u64 {
        self.refused_sources.load(Ordering::Relaxed)
    }

    /// Datagrams that the system did not take, and words that found no room.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often the group was joined again.
    #[must_use]
    pub fn rejoins(&self) -> u64 {
        self.rejoins.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, counts: Counts, clients: usize) {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = (counts, clients);
    }

    pub(super) fn refuse_source(&self) {
        self.refused_sources.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejoin(&self) {
        self.rejoins.fetch_add(1, Ordering::Relaxed);
    }
}
