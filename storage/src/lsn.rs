//! Positions in the log. Separate because every other file speaks of them and none owns them.

use std::fmt;

/// A byte position in the endless log, counted from the log's first byte, never reused.
///
/// It names two things, and each use says which: the *address* of a record (its first byte,
/// [`Appended::start`]) and a *watermark* (the first byte that is not yet included,
/// [`Appended::end`], `Journal::durable`). A record is durable when `durable() >= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The beginning of the log.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Lsn {
    /// As in file names: 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where an appended record lies. Final at once: what is not yet written has its place already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record's address, for `Journal::read`.
    pub start: Lsn,
    /// The position just past it: the record is durable when `Journal::durable() >= end`.
    pub end: Lsn,
}

/// Widens a length in memory to a length on disk.
pub(crate) const fn u64_from(length: usize) -> u64 {
    length as u64
}

/// Narrows a length on disk to one in memory.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the assertion rules 32-bit targets out"
)]
pub(crate) const fn usize_from(length: u64) -> usize {
    const { assert!(usize::BITS == 64, "lengths on disk are 64 bits wide") };
    length as usize
}
