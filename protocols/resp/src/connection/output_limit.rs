//! `client-output-buffer-limit`: how long a connection has had too much unread output.

use routing::{OutBuf, Timestamp};

use crate::settings::OutputLimit;

/// Watches one connection's unread output.
#[derive(Debug, Default)]
pub(super) struct OutputWatch {
    /// When it will have been above the soft limit, or stalled, for too long.
    deadline: Option<Timestamp>,
    /// What had been written when it stalled.
    written: u64,
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

    /// Takes note of output of which nothing is written for `time_ms`; true when the connection
    /// has to go. 0 is for ever.
    pub(super) fn is_stalled(&mut self, now: Timestamp, out: &OutBuf, time_ms: u64) -> bool {
        if out.is_empty() || time_ms == 0 {
            self.deadline = None;
        } else if self.deadline.is_none() || out.written() != self.written {
            self.written = out.written();
            self.deadline = Some(now.plus_ms(time_ms));
        }
        self.deadline.is_some_and(|at| at <= now)
    }

    /// When the connection has to go unless its output shrinks.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
