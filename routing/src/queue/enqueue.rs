//! A publish on its way into queues, and what became of it.

use super::dead_letter::DeadLetter;
use crate::journal::Lsn;
use crate::outbox::Wakes;

/// What became of a message offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue or on its way to a consumer.
    Accepted,
    /// The queue is full and refuses.
    Rejected,
    /// The queue is deleted.
    Gone,
}

impl Enqueued {
    /// Whether the queue took it.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }
}

/// One publish on its way through several queues: the body is journalled once.
#[derive(Debug)]
pub struct Enqueue<'a> {
    /// Gathers whom to wake.
    pub wakes: &'a mut Wakes,
    /// The record that holds the body, once there is one.
    pub(super) body: Option<Lsn>,
    /// Where the last record of this publish ends.
    pub end: Option<Lsn>,
    /// Messages that it pushed out, to be published next.
    pub(crate) dead: Vec<DeadLetter>,
}

impl<'a> Enqueue<'a> {
    /// A publish that nobody has stored yet.
    pub const fn new(wakes: &'a mut Wakes) -> Self {
        Self {
            wakes,
            body: None,
            end: None,
            dead: Vec::new(),
        }
    }
}
