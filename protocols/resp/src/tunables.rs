//! The settings that `CONFIG SET` changes while the server runs. All connections read them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::settings::{OutputLimit, Settings};

/// The present values.
#[derive(Debug)]
pub(crate) struct Tunables {
    clients_max: AtomicUsize,
    idle_timeout_ms: AtomicU64,
    subscriber_output: Limit,
    normal_output: Limit,
}

/// An [`OutputLimit`]; one that is read while it is changed may be half old, for once.
#[derive(Debug)]
struct Limit {
    hard_bytes: AtomicUsize,
    soft_bytes: AtomicUsize,
    soft_ms: AtomicU64,
}

impl Limit {
    const fn new(limit: OutputLimit) -> Self {
        Self {
            hard_bytes: AtomicUsize::new(limit.hard_bytes),
            soft_bytes: AtomicUsize::new(limit.soft_bytes),
            soft_ms: AtomicU64::new(limit.soft_ms),
        }
    }

    fn load(&self) -> OutputLimit {
        OutputLimit {
            hard_bytes: self.hard_bytes.load(Ordering::Relaxed),
            soft_bytes: self.soft_bytes.load(Ordering::Relaxed),
            soft_ms: self.soft_ms.load(Ordering::Relaxed),
        }
    }

    fn store(&self, limit: OutputLimit) {
        self.hard_bytes.store(limit.hard_bytes, Ordering::Relaxed);
        self.soft_bytes.store(limit.soft_bytes, Ordering::Relaxed);
        self.soft_ms.store(limit.soft_ms, Ordering::Relaxed);
    }
}

impl Tunables {
    pub(crate) const fn new(settings: &Settings) -> Self {
        Self {
            clients_max: AtomicUsize::new(settings.clients_max),
            idle_timeout_ms: AtomicU64::new(settings.idle_timeout_ms),
            subscriber_output: Limit::new(settings.subscriber_output),
            normal_output: Limit::new(settings.normal_output),
        }
    }

    pub(crate) fn clients_max(&self) -> usize {
        self.clients_max.load(Ordering::Relaxed)
    }

    pub(crate) fn set_clients_max(&self, clients: usize) {
        self.clients_max.store(clients, Ordering::Relaxed);
    }

    pub(crate) fn idle_timeout_ms(&self) -> u64 {
        self.idle_timeout_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle_timeout_ms(&self, ms: u64) {
        self.idle_timeout_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn subscriber_output(&self) -> OutputLimit {
        self.subscriber_output.load()
    }

    pub(crate) fn set_subscriber_output(&self, limit: OutputLimit) {
        self.subscriber_output.store(limit);
    }

    pub(crate) fn normal_output(&self) -> OutputLimit {
        self.normal_output.load()
    }

    pub(crate) fn set_normal_output(&self, limit: OutputLimit) {
        self.normal_output.store(limit);
    }
}
