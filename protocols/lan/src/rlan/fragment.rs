//! Messages packed into blocks, blocks cut into parts that fit a datagram, and the way back.

use bytes::{Bytes, BytesMut};

use super::header::{FIRST, LAST};

/// Bytes in front of each message of a block.
pub(super) const LENGTH_BYTES: usize = 4;

/// Packs messages into parts of blocks.
#[derive(Debug)]
pub(super) struct Packer {
    part_bytes_max: usize,
    /// Whole messages that wait for more, or for [`Packer::flush`].
    block: Vec<u8>,
}

impl Packer {
    pub(super) const fn new(part_bytes_max: usize) -> Self {
        Self {
            part_bytes_max,
            block: Vec::new(),
        }
    }

    /// Adds a message; `emit` takes the flags and bytes of each part that is full.
    pub(super) fn push(&mut self, message: &[u8], mut emit: impl FnMut(u8, &[u8])) {
        let bytes = LENGTH_BYTES + message.len();
        if self.block.len() + bytes > self.part_bytes_max {
            self.flush(&mut emit);
        }
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.block.extend_from_slice(&length.to_be_bytes());
        self.block.extend_from_slice(message);
        if bytes > self.part_bytes_max {
            self.flush(&mut emit);
        }
    }

    /// Ends the block.
    pub(super) fn flush(&mut self, mut emit: impl FnMut(u8, &[u8])) {
        let parts = self.block.chunks(self.part_bytes_max.max(1));
        let count = parts.len();
        for (index, part) in parts.enumerate() {
            let first = if index == 0 { FIRST } else { 0 };
            let last = if index + 1 == count { LAST } else { 0 };
            emit(first | last, part);
        }
        self.block.clear();
        // A large message must not cost its memory for ever.
        self.block.shrink_to(self.part_bytes_max);
    }
}

/// What came of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// The block is whole.
    Whole(Bytes),
    /// More is to come, or the part belongs to a block that is passed over.
    Not,
    /// The block is larger than it may be, and is passed over.
    TooLarge,
}

/// Puts the parts of a block together again.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// Empty unless FIRST has come and LAST has not.
    block: BytesMut,
    is_open: bool,
}

impl Assembly {
    /// Takes the next part.
    pub(super) fn push(&mut self, flags: u8, part: Bytes, bytes_max: usize) -> Assembled {
        if flags & FIRST != 0 {
            self.reset();
            if flags & LAST != 0 && part.len() <= bytes_max {
                return Assembled::Whole(part);
            }
            self.is_open = true;
        }
        if !self.is_open {
            return Assembled::Not;
        }
        if self.block.len() + part.len() > bytes_max {
            self.reset();
            return Assembled::TooLarge;
        }
        self.block.extend_from_slice(&part);
        if flags & LAST == 0 {
            return Assembled::Not;
        }
        self.is_open = false;
        Assembled::Whole(std::mem::take(&mut self.block).freeze())
    }

    /// Forgets what has come of a block.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.block.len()
    }
}

/// The next message of a block, cut off its front; `None` at its end, and for one that is cut
/// short, which ends the block.
pub(super) fn next_message(block: &mut Bytes) -> Option<Bytes> {
    let (length, rest) = block.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if rest.len() < length {
        block.clear();
        return None;
    }
    let mut message = block.split_to(LENGTH_BYTES + length);
    Some(message.split_off(LENGTH_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(messages: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
        let mut parts = Vec::new();
        let mut packer = Packer::new(16);
        for message in messages {
            packer.push(message, |flags, part| parts.push((flags, part.to_vec())));
        }
        packer.flush(|flags, part| parts.push((flags, part.to_vec())));
        parts
    }

    #[test]
    fn small_messages_share_a_part_and_a_large_one_has_several() {
        let both = FIRST | LAST;
        let packed = b"\0\0\0\x02ab\0\0\0\x02cd".to_vec();
        assert_eq!(parts(&[b"ab", b"cd"]), [(both, packed)]);
        let large = parts(&[b"ab", &[7; 30], b"cd"]);
        let flags: Vec<_> = large.iter().map(|(flags, _)| *flags).collect();
        assert_eq!(flags, [both, FIRST, 0, LAST, both]);
        assert!(large.iter().all(|(_, part)| part.len() <= 16));
    }

    #[test]
    fn what_was_packed_comes_out_and_a_block_without_its_start_does_not() {
        let messages: [&[u8]; 4] = [b"", b"ab", &[7; 100], b"end"];
        let mut assembly = Assembly::default();
        let mut seen = Vec::new();
        for (flags, part) in parts(&messages) {
            if let Assembled::Whole(mut block) = assembly.push(flags, part.into(), 200) {
                seen.extend(std::iter::from_fn(|| next_message(&mut block)));
            }
        }
        assert_eq!(seen, messages);
        assert_eq!(assembly.push(LAST, "x".into(), 10), Assembled::Not);
        assert_eq!(assembly.push(FIRST, "x".into(), 10), Assembled::Not);
        let too_large = assembly.push(0, "0123456789".into(), 10);
        assert_eq!((too_large, assembly.bytes()), (Assembled::TooLarge, 0));
    }
}
