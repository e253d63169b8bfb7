//! What has been sent and may be asked for again: whole datagrams, the newest that fit.

use std::collections::VecDeque;

use bytes::Bytes;

/// What a datagram costs besides its bytes.
const BOOKKEEPING_BYTES: usize = 64;

/// The datagrams of a stream, by sequence number.
#[derive(Debug)]
pub(super) struct Ring {
    bytes_max: usize,
    bytes: usize,
    datagrams: VecDeque<Bytes>,
    /// The sequence number of the newest; 0: none was ever sent.
    highest: u64,
}

impl Ring {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            datagrams: VecDeque::new(),
            highest: 0,
        }
    }

    /// The sequence number of the newest.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// The sequence number of the oldest that is kept; one more than the highest if none is.
    pub(super) fn oldest(&self) -> u64 {
        let count = u64::try_from(self.datagrams.len()).unwrap_or(u64::MAX);
        (self.highest + 1).saturating_sub(count)
    }

    /// Keeps the next.
    pub(super) fn push(&mut self, datagram: Bytes) {
        self.highest += 1;
        self.bytes += datagram.len() + BOOKKEEPING_BYTES;
        self.datagrams.push_back(datagram);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.datagrams.pop_front() else {
                break;
            };
            self.bytes -= oldest.len() + BOOKKEEPING_BYTES;
        }
    }

    /// One that is kept.
    pub(super) fn find(&self, sequence: u64) -> Option<&Bytes> {
        let index = sequence.checked_sub(self.oldest())?;
        self.datagrams.get(usize::try_from(index).ok()?)
    }

    /// What is kept, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_fit_are_kept() {
        let mut ring = Ring::new(3 * (BOOKKEEPING_BYTES + 1));
        assert_eq!((ring.highest(), ring.oldest()), (0, 1));
        for byte in 1..=5_u8 {
            ring.push(Bytes::from(vec![byte]));
        }
        assert_eq!((ring.highest(), ring.oldest()), (5, 3));
        assert_eq!(ring.find(3).unwrap(), &[3][..]);
        assert_eq!(
            (ring.find(2), ring.find(6), ring.find(0)),
            (None, None, None)
        );
        ring.push(Bytes::from(vec![0; 1000]));
        assert_eq!((ring.oldest(), ring.bytes()), (7, 0));
    }
}
