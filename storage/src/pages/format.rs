//! Every byte of a page file, encoding and checking.
//!
//! All integers are little endian. The file is `pages/<owner>-<first seq>.page`, both as 16
//! hexadecimal digits:
//!
//! ```text
//! header, 64 bytes                              record, padded with zeros to a multiple of 8
//!  0 crc32c  u32  over bytes 4..64               0 crc32c u32  over bytes 4..16 + body
//!  4 version u32  1                              4 len    u32  of the body
//!  8 magic   [u8; 8] "BUSBARPG"                  8 seq    u64  more than the one before
//! 16 log     [u8; 16]                           16 body
//! 32 owner   u64
//! 40 first   u64  seq of the first record       footer, only in a full file, at its end
//! 48 zeros                                       0 crc32c u32  over the rest of the footer
//!                                                4 magic  u32  "FOOT"
//! header, records, [footer]                      8 last   u64  seq of the last record
//!                                               16 bits   n * u64  bit i of word w: there is a
//!                                                               record first + 64 w + i
//!                                                 offset u64  of the footer in the file
//! ```
//!
//! With the footer a start needs not read the records. A file without one is read until the
//! first record that does not check: what follows was never reported as durable.
//!
//! A file's records end where the next file of the owner begins: records of an append that was
//! not completed may lie behind, in a file that was then left.

use super::Owner;
use crate::format::{FORMAT_VERSION, LogId, crc_fits, put_crc, u32_at, u64_at};
use crate::lsn::{u64_from, usize_from};

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const RECORD_HEADER_BYTES: usize = 16;
/// Numbers that one file can span: its bits take at most 64 KiB.
pub(crate) const SPAN_MAX: u64 = 1 << 19;
const FOOTER_BYTES_MIN: u64 = 24;
const MAGIC: &[u8; 8] = b"BUSBARPG";
const FOOTER_MAGIC: &[u8; 4] = b"FOOT";

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) log: LogId,
    pub(crate) owner: Owner,
    pub(crate) first: u64,
}

impl PageHeader {
    pub(crate) fn name(&self) -> String {
        format!("{:016x}-{:016x}.page", self.owner.0, self.first)
    }

    /// Owner and first number from a file's name.
    pub(crate) fn parse_name(name: &str) -> Option<(Owner, u64)> {
        let (owner, first) = name.strip_suffix(".page")?.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        Some((Owner(number(owner)?), number(first)?))
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.owner.0.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.resize(start + HEADER_BYTES, 0);
        if let Some(header) = out.get_mut(start..) {
            put_crc(header);
        }
    }

    /// The version of a header that has the right magic, whatever its checksum.
    pub(crate) fn version(bytes: &[u8]) -> Option<u32> {
        u32_at(bytes, 4).filter(|_| bytes.get(8..16) == Some(MAGIC))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        if Self::version(header) != Some(FORMAT_VERSION) || !crc_fits(header) {
            return None;
        }
        Some(Self {
            log: LogId(header.get(16..32)?.try_into().ok()?),
            owner: Owner(u64_at(header, 32)?),
            first: u64_at(header, 40)?,
        })
    }
}

/// Bytes that a body takes in a page file.
pub(crate) const fn record_bytes(body: usize) -> usize {
    (RECORD_HEADER_BYTES + body).next_multiple_of(8)
}

/// Appends one record.
pub(crate) fn put_record(out: &mut Vec<u8>, seq: u64, len: u32, body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(body);
    if let Some(record) = out.get_mut(start..) {
        put_crc(record);
    }
    out.resize(out.len().next_multiple_of(8), 0);
}

/// A record at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Record {
        seq: u64,
        body: &'a [u8],
        whole: usize,
    },
    /// It needs so many bytes, if it is one.
    Needs(usize),
    Bad,
}

impl<'a> Found<'a> {
    pub(crate) fn at(bytes: &'a [u8]) -> Self {
        let (Some(len), Some(seq)) = (u32_at(bytes, 4), u64_at(bytes, 8)) else {
            return Self::Needs(RECORD_HEADER_BYTES);
        };
        let len = usize_from(u64::from(len));
        let Some(record) = bytes.get(..RECORD_HEADER_BYTES + len) else {
            return Self::Needs(record_bytes(len));
        };
        match record.get(RECORD_HEADER_BYTES..) {
            Some(body) if crc_fits(record) => Self::Record {
                seq,
                body,
                whole: record_bytes(len),
            },
            _ => Self::Bad,
        }
    }
}

/// Which numbers of a file are there, or still wanted: one bit each from `first` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) const fn from_words(words: Vec<u64>) -> Self {
        Self { words }
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn insert(&mut self, index: u64) {
        let word = usize_from(index / 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (index % 64);
        }
    }

    pub(crate) fn contains(&self, index: u64) -> bool {
        self.words
            .get(usize_from(index / 64))
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Keeps only what `keep` says, word by word; `keep` gets the word's number.
    pub(crate) fn retain(&mut self, keep: impl Fn(u64) -> u64) {
        for (number, word) in self.words.iter_mut().enumerate() {
            *word &= keep(u64_from(number));
        }
    }

    /// Removes `from..=to`.
    pub(crate) fn remove(&mut self, from: u64, to: u64) {
        let (low, high) = (from / 64, to / 64);
        self.retain_within(low, high, |number| {
            let above = if number == low {
                u64::MAX << (from % 64)
            } else {
                u64::MAX
            };
            let below = if number == high {
                u64::MAX >> (63 - to % 64)
            } else {
                u64::MAX
            };
            !(above & below)
        });
    }

    fn retain_within(&mut self, low: u64, high: u64, keep: impl Fn(u64) -> u64) {
        let range = usize_from(low)..usize_from(high).saturating_add(1).min(self.words.len());
        if let Some(words) = self.words.get_mut(range) {
            for (number, word) in (low..).zip(words) {
                *word &= keep(number);
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// The lowest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first_from(0)
    }

    /// The lowest number at or above `from`.
    pub(crate) fn first_from(&self, from: u64) -> Option<u64> {
        let words = (0..).zip(&self.words).skip(usize_from(from / 64));
        words
            .map(|(number, word)| {
                let above = if number == from / 64 {
                    u64::MAX << (from % 64)
                } else {
                    u64::MAX
                };
                (number, word & above)
            })
            .find(|(_, word)| *word != 0)
            .map(|(number, word)| number * 64 + u64::from(word.trailing_zeros()))
    }

    /// The highest number.
    pub(crate) fn last(&self) -> Option<u64> {
        let (number, word) = self
            .words
            .iter()
            .enumerate()
            .rfind(|(_, word)| **word != 0)?;
        Some(u64_from(number) * 64 + u64::from(63 - word.leading_zeros()))
    }
}

/// Appends the footer; `offset` is where it comes to lie.
pub(crate) fn put_footer(out: &mut Vec<u8>, offset: u64, last: u64, present: &Bits) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(FOOTER_MAGIC);
    out.extend_from_slice(&last.to_le_bytes());
    for word in present.words() {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&offset.to_le_bytes());
    if let Some(footer) = out.get_mut(start..) {
        put_crc(footer);
    }
}

/// Where the footer of a file of this size can be, from the file's last eight bytes.
pub(crate) fn footer_offset(size: u64, last_bytes: &[u8]) -> Option<u64> {
    let offset = u64_at(last_bytes, 0)?;
    let fits = offset >= u64_from(HEADER_BYTES)
        && offset.is_multiple_of(8)
        && offset
            .checked_add(FOOTER_BYTES_MIN)
            .is_some_and(|end| end <= size);
    fits.then_some(offset)
}

/// The footer: the last number, and which are there.
pub(crate) fn decode_footer(footer: &[u8]) -> Option<(u64, Bits)> {
    if footer.get(4..8)? != FOOTER_MAGIC || !crc_fits(footer) {
        return None;
    }
    let words = footer
        .get(16..footer.len().checked_sub(8)?)?
        .chunks_exact(8);
    let words = words
        .filter_map(|word| word.try_into().ok().map(u64::from_le_bytes))
        .collect();
    Some((u64_at(footer, 8)?, Bits::from_words(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: PageHeader = PageHeader {
        log: LogId([7; 16]),
        owner: Owner(3),
        first: 100,
    };

    #[test]
    fn header_and_record_are_these_bytes() {
        let mut out = Vec::new();
        HEADER.put(&mut out);
        assert_eq!(out.len(), 64);
        assert_eq!(out[4..16], *b"\x01\0\0\0BUSBARPG");
        assert_eq!(out[32..48], *b"\x03\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0");
        assert_eq!(PageHeader::decode(&out), Some(HEADER));
        assert_eq!(
            PageHeader::parse_name(&HEADER.name()),
            Some((Owner(3), 100))
        );
        out.clear();
        put_record(&mut out, 258, 3, b"abc");
        assert_eq!(out[4..], *b"\x03\0\0\0\x02\x01\0\0\0\0\0\0abc\0\0\0\0\0");
        assert_eq!(
            Found::at(&out),
            Found::Record {
                seq: 258,
                body: b"abc",
                whole: 24
            }
        );
        for len in 0..19 {
            let needed = if len < 16 { 16 } else { 24 };
            assert_eq!(Found::at(&out[..len]), Found::Needs(needed));
        }
        out[17] ^= 1;
        assert_eq!(Found::at(&out), Found::Bad);
    }

    #[test]
    fn a_footer_says_which_records_are_there() {
        let mut present = Bits::default();
        for index in [0, 3, 64, 200] {
            present.insert(index);
        }
        let mut footer = Vec::new();
        put_footer(&mut footer, 640, 300, &present);
        let size = 640 + u64_from(footer.len());
        let tail = &footer[footer.len() - 8..];
        assert_eq!(footer_offset(size, tail), Some(640));
        assert_eq!(footer_offset(650, tail), None);
        assert_eq!(decode_footer(&footer), Some((300, present)));
        for at in 0..footer.len() {
            let mut bad = footer.clone();
            bad[at] ^= 1;
            assert_eq!(decode_footer(&bad), None, "{at}");
        }
    }

    #[test]
    fn bits_remove_exactly_the_range() {
        for (from, to) in [
            (0, 0),
            (0, 63),
            (5, 64),
            (63, 64),
            (70, 130),
            (128, 500),
            (300, 400),
        ] {
            let mut bits = Bits::default();
            (0..200).for_each(|index| bits.insert(index));
            bits.remove(from, to);
            for index in 0..260 {
                let expected = index < 200 && !(from..=to).contains(&index);
                assert_eq!(bits.contains(index), expected, "{index} of {from}..={to}");
            }
            let left = (0..200).filter(|index| !(from..=to).contains(index));
            assert_eq!(bits.count(), u64_from(left.count()));
        }
    }
}
