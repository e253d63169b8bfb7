//! Replies that promise durability, and all that follow them, until the disk has what they promise.

use std::collections::VecDeque;

use routing::{Lsn, OutBuf};

/// Output that may not leave yet, in order.
#[derive(Debug, Default)]
pub(super) struct HeldReplies {
    parts: VecDeque<(Lsn, OutBuf)>,
    /// Bytes of all parts but the last, which is still written to.
    closed_bytes: usize,
    /// Whether the last part began in the batch that is being handled.
    is_open: bool,
}

impl HeldReplies {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        let last = self.parts.back().map_or(0, |(_, part)| part.len());
        self.closed_bytes + last
    }

    /// Where the next reply goes, if one before it is held.
    pub(super) fn last(&mut self) -> Option<&mut OutBuf> {
        self.parts.back_mut().map(|(_, part)| part)
    }

    /// Holds the reply of `len` bytes that was just put behind the others. What a batch promises
    /// waits together: positions only rise, and one write makes all of it durable.
    pub(super) fn hold_last(&mut self, lsn: Lsn, len: usize) {
        let Some((waits_for, part)) = self.parts.back_mut() else {
            return;
        };
        if self.is_open {
            *waits_for = lsn.max(*waits_for);
        } else {
            let reply = part.take_back(len);
            self.hold(lsn, reply);
        }
    }

    /// Holds a reply, and those after it, until the journal is durable up to `lsn`.
    pub(super) fn hold(&mut self, lsn: Lsn, reply: OutBuf) {
        self.closed_bytes = self.bytes();
        self.is_open = true;
        self.parts.push_back((lsn, reply));
    }

    /// The batch is over: what the next one holds may have to wait for longer.
    pub(super) const fn end_batch(&mut self) {
        self.is_open = false;
    }

    /// What the first part waits for.
    pub(super) fn first(&self) -> Option<Lsn> {
        self.parts.front().map(|(lsn, _)| *lsn)
    }

    /// Lets go of what the journal has by now.
    pub(super) fn release(&mut self, durable: Lsn, out: &mut OutBuf) {
        while let Some((_, part)) = self.parts.pop_front_if(|(lsn, _)| *lsn <= durable) {
            out.append(&part);
            // The last one was not counted among the closed.
            self.closed_bytes = self.closed_bytes.saturating_sub(part.len());
        }
        if self.parts.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> OutBuf {
        let mut reply = OutBuf::default();
        reply.put_slice(text.as_bytes());
        reply
    }

    #[test]
    fn the_replies_of_a_batch_wait_together_and_leave_in_order() {
        let (mut held, mut out) = (HeldReplies::default(), OutBuf::default());
        held.hold(Lsn(1), reply("a"));
        held.last().unwrap().put_slice(b"b");
        held.hold_last(Lsn(2), 1);
        held.end_batch();
        held.last().unwrap().put_slice(b"cc");
        held.hold_last(Lsn(3), 2);
        held.last().unwrap().put_slice(b"d");
        assert_eq!(held.bytes(), 5);
        held.release(Lsn(1), &mut out);
        assert_eq!((out.len(), held.bytes()), (0, 5));
        held.release(Lsn(2), &mut out);
        assert_eq!((out.to_vec(), held.bytes()), (b"ab".to_vec(), 3));
        held.release(Lsn(3), &mut out);
        assert_eq!((out.to_vec(), held.bytes()), (b"abccd".to_vec(), 0));
        assert!(held.is_empty());
    }
}
