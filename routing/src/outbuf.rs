//! What a connection still has to write: small pieces gathered in one buffer, large payloads kept
//! as they are, all of it written by one vectored write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Memory beyond this is not kept for the next: few ever need it.
const SPARE_BYTES_MAX: usize = 512 * 1024;

/// Of the tail, what may be written already before the rest is moved to its front.
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

/// The output of one connection, in order.
#[derive(Debug, Default)]
pub struct OutBuf {
    chunks: VecDeque<Bytes>,
    /// A plain vector: most of what is put is a few bytes long, and has to cost as little.
    tail: Vec<u8>,
    /// Bytes at the front of the tail that are written.
    tail_written: usize,
    len: usize,
    /// Bytes that have been written, ever.
    written: u64,
}

impl OutBuf {
    /// From this size on, a payload is referenced instead of copied: below it a copy is cheaper
    /// than one more slice in the vectored write.
    pub const REFERENCE_BYTES_MIN: usize = 4096;

    /// An empty buffer; allocates at the first write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Bytes that have been written to the peer, ever; with [`OutBuf::len`] added, the position at
    /// which the next byte is put.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Takes the last `len` bytes back, as if they had not been put.
    #[must_use]
    pub fn take_back(&mut self, len: usize) -> Self {
        let mut taken = Self::default();
        let mut left = len.min(self.len);
        self.len -= left;
        taken.len = left;
        let from_tail = left.min(self.tail().len());
        taken.tail = self.tail.split_off(self.tail.len() - from_tail);
        left -= from_tail;
        while left > 0
            && let Some(mut last) = self.chunks.pop_back()
        {
            if last.len() > left {
                taken.chunks.push_front(last.split_off(last.len() - left));
                self.chunks.push_back(last);
                break;
            }
            left -= last.len();
            taken.chunks.push_front(last);
        }
        taken
    }

    /// Appends what `write` appends to the vector, for which `len` bytes are reserved at once:
    /// cheaper than many small puts.
    #[inline]
    pub fn put_with(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.tail.reserve(len);
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len().saturating_sub(before);
    }

    /// Appends a copy.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends one byte.
    #[inline]
    pub fn put_u8(&mut self, value: u8) {
        self.tail.push(value);
        self.len += 1;
    }

    /// Appends two bytes, big endian.
    #[inline]
    pub fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends four bytes, big endian.
    #[inline]
    pub fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends eight bytes, big endian.
    #[inline]
    pub fn put_u64(&mut self, value: u64) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Appends bytes that are shared with others: copies a few, references many.
    pub fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < Self::REFERENCE_BYTES_MIN {
            return self.put_slice(bytes);
        }
        if self.tail.len() > self.tail_written {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            tail.advance(std::mem::take(&mut self.tail_written));
            self.chunks.push_back(tail);
        }
        self.len += bytes.len();
        self.chunks.push_back(bytes.clone());
    }

    /// Appends what another has.
    pub fn append(&mut self, other: &Self) {
        other.chunks.iter().for_each(|chunk| self.put_bytes(chunk));
        self.put_slice(other.tail());
    }

    /// Fills `slices` with what waits, first things first; returns how many it filled.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let waiting = self.chunks.iter().map(|chunk| chunk.as_ref());
        let waiting = waiting.chain(Some(self.tail()).filter(|tail| !tail.is_empty()));
        slices
            .iter_mut()
            .zip(waiting)
            .map(|(slot, bytes)| *slot = IoSlice::new(bytes))
            .count()
    }

    /// Forgets the first `written` bytes.
    pub fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        self.written += u64::try_from(written).unwrap_or(0);
        while let Some(first) = self.chunks.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.chunks.pop_front();
        }
        self.tail_written += written;
        if self.tail_written >= self.tail.len() {
            self.tail.clear();
            self.tail_written = 0;
        } else if self.tail_written > WRITTEN_BYTES_MAX {
            self.tail.drain(..std::mem::take(&mut self.tail_written));
        }
    }

    /// Takes the memory of an empty buffer away, for the next that has something to say.
    #[must_use]
    pub fn release(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() || self.tail.capacity() == 0 {
            return None;
        }
        self.tail_written = 0;
        self.chunks = VecDeque::new();
        Some(std::mem::take(&mut self.tail)).filter(|spare| spare.capacity() <= SPARE_BYTES_MAX)
    }

    /// Gives an empty buffer memory to write to.
    pub fn lend(&mut self, mut memory: Vec<u8>) {
        if self.is_empty() {
            memory.clear();
            self.tail = memory;
            self.tail_written = 0;
        }
    }

    fn tail(&self) -> &[u8] {
        self.tail.get(self.tail_written..).unwrap_or_default()
    }

    /// A copy of everything that waits, in one piece: for tests and for small captures.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        self.chunks
            .iter()
            .for_each(|chunk| all.extend_from_slice(chunk));
        all.extend_from_slice(self.tail());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_back_and_appended_again_is_in_its_place(
            pieces in prop::collection::vec((0usize..9000, any::<u8>()), 1..12),
            len in 0usize..40_000,
        ) {
            let mut out = OutBuf::default();
            for (len, byte) in pieces {
                out.put_bytes(&Bytes::from(vec![byte; len]));
            }
            let all = out.to_vec();
            let taken = out.take_back(len);
            prop_assert_eq!(taken.len(), len.min(all.len()));
            prop_assert_eq!([out.to_vec(), taken.to_vec()].concat(), &all[..]);
            prop_assert_eq!(out.len() + taken.len(), all.len());
            out.append(&taken);
            prop_assert_eq!(out.to_vec(), all);
        }
    }

    proptest! {
        #[test]
        fn keeps_order_over_partial_writes(
            pieces in prop::collection::vec((0usize..9000, any::<u8>()), 1..12),
            writes in prop::collection::vec(1usize..9000, 0..40),
        ) {
            let mut out = OutBuf::default();
            let mut expected = Vec::new();
            for (len, byte) in pieces {
                let piece = Bytes::from(vec![byte; len]);
                out.put_bytes(&piece);
                expected.extend_from_slice(&piece);
            }
            let mut written = Vec::new();
            for max in writes.into_iter().chain(std::iter::repeat_n(usize::MAX, 1000)) {
                let mut slices = [IoSlice::new(&[]); 4];
                let count = out.io_slices(&mut slices);
                let piece = slices[..count].iter().flat_map(|s| s.to_vec()).take(max)
                    .collect::<Vec<_>>();
                out.advance(piece.len());
                written.extend(piece);
                prop_assert_eq!(out.len(), expected.len() - written.len());
                if let Some(spare) = out.release() {
                    out.lend(spare);
                }
            }
            prop_assert_eq!(written, expected);
        }
    }
}
