//! `client-output-buffer-limit`: how long a connection has had too much unread output.

use routing::Timestamp;

use crate::settings::OutputLimit;

/// Watches one connection's unread output.
#[derive(Debug, Default)]
pub(super) struct OutputWatch {
    /// When it will have been above the soft limit for too long.
    deadline: Option<Timestamp>,
}

impl OutputWatch {
    /// Takes note of `bytes` of unread output; true when the connection has to go.
    pub(super) fn is_exceeded(&mut self, now: Timestamp, bytes: usize, limit: OutputLimit) -> bool {
        if limit.soft_bytes == 0 || bytes <= limit.soft_bytes {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(now.plus_ms(limit.soft_ms));
        }
        let is_above_hard = limit.hard_bytes > 0 && bytes > limit.hard_bytes;
        is_above_hard || self.deadline.is_some_and(|at| at <= now)
    }

    /// When the connection has to go unless its output shrinks.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
