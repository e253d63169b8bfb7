//! `client-output-buffer-limit`: how long a connection has had too much unread output.

use routing::Timestamp;

use crate::settings::OutputLimit;

/// Watches one connection's unread output.
#[derive(Debug, Default)]
pub(super) struct OutputWatch {
    /// Since when it has been above the soft limit without a break.
    above_soft_since: Option<Timestamp>,
}

impl OutputWatch {
    /// Takes note of `bytes` of unread output; true when the connection has to go.
    pub(super) fn is_exceeded(&mut self, now: Timestamp, bytes: usize, limit: OutputLimit) -> bool {
        if limit.soft_bytes == 0 || bytes <= limit.soft_bytes {
            self.above_soft_since = None;
        } else if self.above_soft_since.is_none() {
            self.above_soft_since = Some(now);
        }
        let is_above_hard = limit.hard_bytes > 0 && bytes > limit.hard_bytes;
        is_above_hard || self.deadline(limit).is_some_and(|at| at <= now)
    }

    /// When the connection has to go unless its output shrinks.
    pub(super) fn deadline(&self, limit: OutputLimit) -> Option<Timestamp> {
        self.above_soft_since
            .map(|since| since.plus_ms(limit.soft_ms))
    }
}
