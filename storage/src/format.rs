//! Every byte of a segment file, encoding and checking. Separate so that nothing else knows one.
//!
//! All integers are little endian. A segment file is `journal/<base as 16 hex digits>.seg`:
//!
//! ```text
//! byte 0                   4096
//! +------------------------+---------+---------+-- - - --+---------------------------+
//! | header page            | frame   | frame   |         | zeros or stale bytes      |
//! +------------------------+---------+---------+-- - - --+---------------------------+
//! ^ position `base` in the log                             position `base + size` ^
//!
//! header page, 4096 bytes                       frame header, 32 bytes
//!  0 crc32c   u32  over bytes 4..4096            0 crc32c u32  over bytes 0..8 of each record,
//!                                                             then bytes 4..32
//!  4 version  u32  1                             4 len    u32  bytes of records, 8-aligned
//!  8 magic    [u8; 8] "BUSBARJL"                 8 lsn    u64  position of this header
//! 16 log      [u8; 16] same in all files        16 synced u64  positions below were synced
//! 32 base     u64  position of byte 0           24 salt   u32  the segment's
//! 40 size     u64  of the file                  28 kind   u8   1 records, 2 seal, 3 close, 4 gap
//! 48 prev_end u64  where the log before ended   29 more   u8   1: the next frame belongs to it
//! 56 salt     u32  random per use of the file   30 before u8   1: it belongs to the one before
//! 60 zeros                                      31 zero
//!                                               32 records
//!
//! record, padded with zeros to a multiple of 8
//!  0 crc32c u32  over body, then len, then lsn
//!  4 len    u32  of the body
//!  8 body
//! ```
//!
//! * A frame is what one write leaves behind: it is valid as a whole or not at all, and never
//!   crosses a segment's end.
//! * Frames that say `more`, up to and with the next one that does not, are valid together or not
//!   at all: a log that ends before that one ends before the first of them.
//! * Stale bytes of a recycled file never pass for a frame: `lsn` and `salt` are in its checksum.
//! * `synced` tells a torn tail from damage: a frame that is unreadable, followed by a valid one
//!   that says positions beyond were synced, had been acknowledged.
//! * `prev_end` does the same across files. A file gets its header only after all before it was
//!   synced, so what lies below `prev_end` must be readable. What lies between `prev_end` and
//!   `base` was cut off by a recovery (or never used) and is no part of the log.
//! * A seal (written when the log goes idle) and a close are frames without records: they only
//!   carry `synced`. A gap holds zeros; `salvage` puts it where it could not read.
//! * The record's own checksum includes its address, for reading by address. The frame's covers
//!   it instead of the body: no byte of a body is summed twice.

use crate::lsn::{Lsn, u64_from, usize_from};

/// The newest format this release reads and the one it writes.
pub const FORMAT_VERSION: u32 = 1;
pub(crate) const HEADER_PAGE_BYTES: usize = 4096;
pub(crate) const FRAME_HEADER_BYTES: usize = 32;
pub(crate) const RECORD_HEADER_BYTES: usize = 8;
const MAGIC: &[u8; 8] = b"BUSBARJL";
const RECORD_ALIGN: usize = 8;

/// Identity of one log: random, in every file, so that files of two logs never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogId(pub(crate) [u8; 16]);

/// What the header page of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log: LogId,
    pub(crate) base: u64,
    pub(crate) size: u64,
    pub(crate) prev_end: u64,
    pub(crate) salt: u32,
}

/// Why a header page is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Newer(u32),
    Invalid,
}

impl SegmentHeader {
    /// The first position behind this segment.
    pub(crate) const fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// The position of the first frame.
    pub(crate) const fn first_frame(&self) -> u64 {
        self.base.saturating_add(u64_from(HEADER_PAGE_BYTES))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEADER_PAGE_BYTES);
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&self.log.0);
        page.extend_from_slice(&self.base.to_le_bytes());
        page.extend_from_slice(&self.size.to_le_bytes());
        page.extend_from_slice(&self.prev_end.to_le_bytes());
        page.extend_from_slice(&self.salt.to_le_bytes());
        page.resize(HEADER_PAGE_BYTES, 0);
        put_crc(&mut page);
        page
    }

    /// The header at the beginning of a segment. Version before checksum: a later release may
    /// have moved the checksum.
    pub(crate) fn decode(segment: &[u8]) -> Result<Self, BadHeader> {
        let page = segment.get(..HEADER_PAGE_BYTES).ok_or(BadHeader::Invalid)?;
        let field = |at| u64_at(page, at).ok_or(BadHeader::Invalid);
        if page.get(8..16) != Some(MAGIC) {
            return Err(BadHeader::Invalid);
        }
        match u32_at(page, 4) {
            Some(version) if version > FORMAT_VERSION => return Err(BadHeader::Newer(version)),
            Some(FORMAT_VERSION) if crc_fits(page) => {}
            _ => return Err(BadHeader::Invalid),
        }
        let log = page.get(16..32).and_then(|id| id.try_into().ok());
        Ok(Self {
            log: LogId(log.ok_or(BadHeader::Invalid)?),
            base: field(32)?,
            size: field(40)?,
            prev_end: field(48)?,
            salt: u32_at(page, 56).ok_or(BadHeader::Invalid)?,
        })
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Records,
    /// Nothing, written when the log goes idle.
    Seal,
    /// Nothing, written by a clean stop.
    Close,
    /// Zeros, in the place of what `salvage` could not read.
    Gap,
}

impl FrameKind {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Seal => 2,
            Self::Close => 3,
            Self::Gap => 4,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Records),
            2 => Some(Self::Seal),
            3 => Some(Self::Close),
            4 => Some(Self::Gap),
            _ => None,
        }
    }
}

/// What a frame says of itself in its header's last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameEnd {
    pub(crate) kind: FrameKind,
    /// It is valid only together with the next frame.
    pub(crate) has_more: bool,
    /// The one before it says so: for `salvage`, which may not find that one.
    pub(crate) goes_on: bool,
}

impl From<FrameKind> for FrameEnd {
    /// A frame that is valid by itself.
    fn from(kind: FrameKind) -> Self {
        Self {
            kind,
            has_more: false,
            goes_on: false,
        }
    }
}

/// Bytes that a body takes in a frame.
pub(crate) const fn record_bytes(body: usize) -> usize {
    (RECORD_HEADER_BYTES + body).next_multiple_of(RECORD_ALIGN)
}

/// The part of a record's checksum that needs no address, for computing it outside the lock.
pub(crate) fn body_crc(parts: &[&[u8]]) -> u32 {
    parts
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part))
}

fn record_crc(body_crc: u32, len: u32, start: Lsn) -> u32 {
    let crc = crc32c::crc32c_append(body_crc, &len.to_le_bytes());
    crc32c::crc32c_append(crc, &start.0.to_le_bytes())
}

/// Appends one record to a frame being built; `start` is where it will lie in the log. Returns
/// `frame_crc`, that of the records before it, with this one.
pub(crate) fn put_record(
    (frame, frame_crc): (&mut Vec<u8>, u32),
    start: Lsn,
    body_crc: u32,
    len: u32,
    parts: &[&[u8]],
) -> u32 {
    let before = frame.len();
    frame.extend_from_slice(&record_crc(body_crc, len, start).to_le_bytes());
    frame.extend_from_slice(&len.to_le_bytes());
    let frame_crc = crc32c::crc32c_append(frame_crc, frame.get(before..).unwrap_or_default());
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame.resize(frame.len().next_multiple_of(RECORD_ALIGN), 0);
    frame_crc
}

/// The header of the record at `start`: length of its body and its checksum, not yet checked.
pub(crate) fn record_header(bytes: &[u8]) -> Option<(usize, u32)> {
    Some((usize_from(u64::from(u32_at(bytes, 4)?)), u32_at(bytes, 0)?))
}

/// Whether `body` is the one that was appended at `start`.
pub(crate) fn record_fits(body: &[u8], crc: u32, start: Lsn) -> bool {
    u32::try_from(body.len()).is_ok_and(|len| record_crc(crc32c::crc32c(body), len, start) == crc)
}

/// Begins a frame: room for its header.
pub(crate) fn begin_frame(frame: &mut Vec<u8>) {
    frame.clear();
    frame.resize(FRAME_HEADER_BYTES, 0);
}

/// Finishes a frame begun by [`begin_frame`], just before it is written. `records_crc` is what
/// [`put_record`] returned last: it comes first so that it can grow with the frame, and the writer
/// need not look at the records again.
pub(crate) fn seal_frame(
    frame: &mut [u8],
    records_crc: u32,
    lsn: Lsn,
    synced: Lsn,
    salt: u32,
    end: FrameEnd,
) {
    let records = u32::try_from(frame.len() - FRAME_HEADER_BYTES).unwrap_or(u32::MAX);
    let mut header = [0; FRAME_HEADER_BYTES];
    let fields: [(usize, &[u8]); 7] = [
        (4, &records.to_le_bytes()),
        (8, &lsn.0.to_le_bytes()),
        (16, &synced.0.to_le_bytes()),
        (24, &salt.to_le_bytes()),
        (28, &[end.kind.to_byte()]),
        (29, &[u8::from(end.has_more)]),
        (30, &[u8::from(end.goes_on)]),
    ];
    for (at, bytes) in fields {
        if let Some(field) = header.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
    if let Some((crc, rest)) = header.split_first_chunk_mut::<4>() {
        *crc = crc32c::crc32c_append(records_crc, rest).to_le_bytes();
    }
    if let Some(room) = frame.first_chunk_mut() {
        *room = header;
    }
}

/// The checksum of a frame of this kind over `records`, which begin at `first`, if each of them is
/// what was appended there. What a gap holds is not looked at.
pub(crate) fn records_crc(records: &[u8], first: Lsn, kind: FrameKind) -> Option<u32> {
    let (mut crc, mut rest, mut start) = (0, records, first);
    while !rest.is_empty() && kind != FrameKind::Gap {
        let (len, record_crc) = record_header(rest)?;
        let (header, body) = rest.split_at_checked(RECORD_HEADER_BYTES)?;
        let (body, padding) = body.split_at_checked(len)?;
        let bytes = record_bytes(len);
        let mut padding = padding.get(..bytes - RECORD_HEADER_BYTES - len)?.iter();
        if padding.any(|byte| *byte != 0) || !record_fits(body, record_crc, start) {
            return None;
        }
        crc = crc32c::crc32c_append(crc, header);
        rest = rest.get(bytes..)?;
        start.0 += u64_from(bytes);
    }
    Some(crc)
}

/// Whether the frame at `position` is what was written there.
fn frame_fits(frame: &[u8], position: u64, kind: FrameKind) -> bool {
    let header = frame.split_first_chunk::<FRAME_HEADER_BYTES>();
    header.is_some_and(|(header, records)| {
        let first = Lsn(position + u64_from(FRAME_HEADER_BYTES));
        let records = records_crc(records, first, kind);
        let whole =
            records.map(|crc| crc32c::crc32c_append(crc, header.get(4..).unwrap_or_default()));
        whole.is_some() && whole == u32_at(header, 0)
    })
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameView<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) has_more: bool,
    pub(crate) goes_on: bool,
    pub(crate) synced: u64,
    pub(crate) end: u64,
    records: &'a [u8],
    first: u64,
}

impl<'a> FrameView<'a> {
    /// The valid frame at `position` of a whole segment file, if there is one.
    ///
    /// Looks at position and salt first, so asking at every position of a segment is cheap.
    pub(crate) fn at(segment: &'a [u8], header: &SegmentHeader, position: u64) -> Option<Self> {
        let offset = usize_from(position.checked_sub(header.base)?);
        let bytes = segment.get(offset..)?;
        if u64_at(bytes, 8)? != position || u32_at(bytes, 24)? != header.salt {
            return None;
        }
        let len = usize_from(u64::from(u32_at(bytes, 4)?));
        let frame = bytes.get(..FRAME_HEADER_BYTES.checked_add(len)?)?;
        let kind = FrameKind::from_byte(*frame.get(28)?)?;
        if !frame_fits(frame, position, kind) {
            return None;
        }
        Some(Self {
            kind,
            has_more: *frame.get(29)? == 1,
            goes_on: *frame.get(30)? == 1,
            synced: u64_at(frame, 16)?,
            end: position.checked_add(u64_from(frame.len()))?,
            records: frame.get(FRAME_HEADER_BYTES..)?,
            first: position + u64_from(FRAME_HEADER_BYTES),
        })
    }

    /// The records, in order: where each lies and its body.
    pub(crate) fn records(&self) -> Records<'a> {
        let rest = match self.kind {
            FrameKind::Gap => &[],
            _ => self.records,
        };
        Records {
            rest,
            position: self.first,
        }
    }
}

/// The records of one frame.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    position: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = (Lsn, Lsn, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, _) = record_header(self.rest)?;
        let body = self
            .rest
            .get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES.checked_add(len)?)?;
        let whole = record_bytes(len);
        let start = Lsn(self.position);
        self.rest = self.rest.get(whole..)?;
        self.position += u64_from(whole);
        Some((start, Lsn(self.position), body))
    }
}

/// Writes the CRC32C of everything behind the first four bytes into them.
pub(crate) fn put_crc(bytes: &mut [u8]) {
    if let Some((room, rest)) = bytes.split_first_chunk_mut::<4>() {
        *room = crc32c::crc32c(rest).to_le_bytes();
    }
}

/// Whether the first four bytes are the CRC32C of the rest.
pub(crate) fn crc_fits(bytes: &[u8]) -> bool {
    bytes
        .split_first_chunk::<4>()
        .is_some_and(|(crc, rest)| u32::from_le_bytes(*crc) == crc32c::crc32c(rest))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| u32::from_le_bytes(*raw))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| u64::from_le_bytes(*raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        log: LogId([7; 16]),
        base: 8192,
        size: 8192,
        prev_end: 8000,
        salt: 5,
    };

    fn frame(salt: u32) -> Vec<u8> {
        let mut frame = Vec::new();
        begin_frame(&mut frame);
        let crc = put_record(
            (&mut frame, 0),
            Lsn(12288 + 32),
            body_crc(&[b"ab", b"c"]),
            3,
            &[b"ab", b"c"],
        );
        let end = FrameKind::Records.into();
        seal_frame(&mut frame, crc, Lsn(12288), Lsn(8000), salt, end);
        frame
    }

    #[test]
    fn a_header_page_is_these_bytes() {
        let page = HEADER.encode();
        assert_eq!(page.len(), 4096);
        assert_eq!(page[4..16], *b"\x01\0\0\0BUSBARJL");
        assert_eq!(page[16..32], [7; 16]);
        assert_eq!(page[32..48], *b"\0\x20\0\0\0\0\0\0\0\x20\0\0\0\0\0\0");
        assert_eq!(page[48..60], *b"\x40\x1f\0\0\0\0\0\0\x05\0\0\0");
        assert!(page[60..].iter().all(|byte| *byte == 0));
        assert_eq!(SegmentHeader::decode(&page), Ok(HEADER));
    }

    #[test]
    fn a_frame_is_these_bytes() {
        let frame = frame(5);
        assert_eq!(frame.len(), 32 + 16);
        assert_eq!(frame[4..16], *b"\x10\0\0\0\0\x30\0\0\0\0\0\0");
        assert_eq!(frame[16..32], *b"\x40\x1f\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0");
        assert_eq!(frame[36..], *b"\x03\0\0\0abc\0\0\0\0\0");
        let checked = [&frame[32..40], &frame[4..32]].concat();
        assert_eq!(u32_at(&frame, 0), Some(crc32c::crc32c(&checked)));
        let record = [&b"abc\x03\0\0\0"[..], &(12288_u64 + 32).to_le_bytes()].concat();
        assert_eq!(u32_at(&frame, 32), Some(crc32c::crc32c(&record)));
    }

    #[test]
    fn a_frame_is_valid_only_at_its_position_and_with_its_segments_salt() {
        let mut segment = vec![0; 8192];
        segment[4096..4096 + 48].copy_from_slice(&frame(5));
        segment[5000..5000 + 48].copy_from_slice(&frame(5));
        let found = FrameView::at(&segment, &HEADER, 12288).unwrap();
        assert_eq!(
            (found.kind, found.synced, found.end),
            (FrameKind::Records, 8000, 12336)
        );
        let records: Vec<_> = found.records().collect();
        assert_eq!(records, [(Lsn(12320), Lsn(12336), &b"abc"[..])]);
        assert!(FrameView::at(&segment, &HEADER, 8192 + 5000).is_none());
        assert!(FrameView::at(&segment, &SegmentHeader { salt: 6, ..HEADER }, 12288).is_none());
        // Also when the salt is right but the checksum was made with another.
        segment[4096 + 24] = 6;
        assert!(FrameView::at(&segment, &SegmentHeader { salt: 6, ..HEADER }, 12288).is_none());
    }

    #[test]
    fn frames_that_end_behind_the_segment_are_not_read() {
        let whole = frame(5);
        let mut segment = vec![0; 4096];
        segment.extend_from_slice(&whole);
        for len in 4096..segment.len() {
            assert!(FrameView::at(&segment[..len], &HEADER, 12288).is_none());
        }
        assert!(FrameView::at(&segment, &HEADER, 12288).is_some());
        assert!(
            FrameView::at(&segment, &HEADER, 4096).is_none(),
            "before the segment"
        );
    }
}
