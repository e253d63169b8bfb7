//! What each payload begins with, so that whoever receives it can tell loss, order and latency.
//!
//! ```text
//! | publisher u32 | sequence u32 | sent u64: nanoseconds since the program started | filler |
//! ```

use crate::cursor::Cursor;

/// The shortest payload, in bytes.
pub(crate) const STAMP_BYTES: usize = 16;

/// The first bytes of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Whose message it is; publishers of all groups are counted together.
    pub(crate) publisher: u32,
    /// Its number among that publisher's, from 0.
    pub(crate) sequence: u32,
    /// When it was sent, in nanoseconds since the program started.
    pub(crate) sent_ns: u64,
}

impl Stamp {
    pub(crate) fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let all = (u128::from(self.publisher) << 96)
            | (u128::from(self.sequence) << 64)
            | u128::from(self.sent_ns);
        all.to_be_bytes()
    }

    /// `None`: the payload is not one of ours.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(payload);
        Some(Self {
            publisher: cursor.u32()?,
            sequence: cursor.u32()?,
            sent_ns: cursor.u64()?,
        })
    }

    /// Writes itself into a prebuilt frame whose payload starts at `at`.
    pub(crate) fn patch(self, frame: &mut [u8], at: usize) {
        if let Some(place) = frame.get_mut(at..at + STAMP_BYTES) {
            place.copy_from_slice(&self.to_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let stamp = Stamp {
            publisher: 7,
            sequence: u32::MAX,
            sent_ns: 1 << 40,
        };
        assert_eq!(Stamp::read(&stamp.to_bytes()), Some(stamp));
        assert_eq!(Stamp::read(&[0; 15]), None);
    }
}
