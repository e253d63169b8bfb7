//! A message in a queue.

use std::sync::Arc;

use crate::delivery::Matched;
use crate::ids::{QueueId, Seq};
use crate::journal::{Lsn, Place};
use crate::message::{Message, QoS};
use crate::time::Timestamp;

/// Where a message can be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Nowhere but in memory.
    Memory,
    /// In this record of the journal.
    Journal(Lsn),
    /// In the page files of its line.
    Paged,
}

/// A message and its place in one queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    pub(super) matched: Option<Arc<Matched>>,
    pub(super) body: Body,
    pub(super) redeliveries: u32,
    /// The earlier of the message's own expiry and the queue's.
    pub(super) expires_at: Option<Timestamp>,
}

impl Entry {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it is in the journal below this position, and needed there.
    pub(super) fn is_below(&self, position: Lsn) -> bool {
        matches!(self.body, Body::Journal(body) if body < position)
    }

    /// Its place as the journal has it. The expiry is there only if it is the queue's doing.
    pub(super) fn place(&self, queue: QueueId) -> Place<'_> {
        Place {
            queue,
            seq: self.seq,
            qos: self.qos,
            expires_at: self
                .expires_at
                .filter(|_| self.expires_at != self.message.expires_at),
            matched: self.matched.as_deref(),
        }
    }
}
