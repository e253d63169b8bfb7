//! Replies that promise durability, and all that follow them, until the disk has what they promise.

use std::collections::VecDeque;

use routing::{Lsn, OutBuf};

/// Output that may not leave yet, in order.
#[derive(Debug, Default)]
pub(super) struct HeldReplies {
    parts: VecDeque<(Lsn, OutBuf)>,
}

impl HeldReplies {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len()).sum()
    }

    /// Where the next reply goes, if one before it is held.
    pub(super) fn last(&mut self) -> Option<&mut OutBuf> {
        self.parts.back_mut().map(|(_, part)| part)
    }

    /// Holds a reply, and those after it, until the journal is durable up to `lsn`.
    pub(super) fn hold(&mut self, lsn: Lsn, reply: OutBuf) {
        // Positions only rise, so what waits for less leaves no later.
        self.parts.push_back((lsn, reply));
    }

    /// What the first part waits for.
    pub(super) fn first(&self) -> Option<Lsn> {
        self.parts.front().map(|(lsn, _)| *lsn)
    }

    /// Lets go of what the journal has by now.
    pub(super) fn release(&mut self, durable: Lsn, out: &mut OutBuf) {
        while let Some((_, part)) = self.parts.pop_front_if(|(lsn, _)| *lsn <= durable) {
            out.append(&part);
        }
    }
}
