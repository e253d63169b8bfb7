//! Reading records by their address: what was read last is kept, because a start asks for one
//! record after another.

use bytes::Bytes;

use crate::error::Error;
use crate::format::{self, FRAME_HEADER_BYTES, HEADER_PAGE_BYTES, RECORD_HEADER_BYTES};
use crate::lsn::{Lsn, u64_from, usize_from};
use crate::segment::Segment;

/// Read for a record somewhere: most are smaller, and a page is the least a disk reads.
const ALONE_BYTES: usize = 4096;
/// Read for one not far behind what was read last.
const AHEAD_BYTES: usize = 256 << 10;

/// A piece of the log in memory. What is in it may be older than the file: a record that is not
/// whole here is read anew.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    start: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// The body of the record at `start`, if its checksum holds.
    pub(crate) fn record(&mut self, segment: &Segment, start: Lsn) -> Result<Option<Bytes>, Error> {
        if let Some(body) = self.find(start) {
            return Ok(Some(body));
        }
        let header = &segment.header;
        let first = header.base + u64_from(HEADER_PAGE_BYTES + FRAME_HEADER_BYTES);
        let room = header.end().saturating_sub(start.0);
        if start.0 < first || room < u64_from(RECORD_HEADER_BYTES) {
            return Ok(None);
        }
        let end = self.start + u64_from(self.bytes.len());
        let is_ahead = (end.saturating_sub(u64_from(AHEAD_BYTES))..end + u64_from(AHEAD_BYTES))
            .contains(&start.0);
        let bytes = if is_ahead { AHEAD_BYTES } else { ALONE_BYTES };
        self.load(segment, start, bytes.min(usize_from(room)))?;
        let len = format::record_header(&self.bytes).map(|(len, _)| len);
        let Some(len) = len.filter(|len| *len <= usize_from(room) - RECORD_HEADER_BYTES) else {
            return Ok(None);
        };
        let whole = RECORD_HEADER_BYTES + len;
        if whole > self.bytes.len() {
            self.load(segment, start, whole)?;
        }
        Ok(self.find(start))
    }

    fn load(&mut self, segment: &Segment, start: Lsn, bytes: usize) -> Result<(), Error> {
        self.start = start.0;
        self.bytes.resize(bytes, 0);
        let offset = start.0 - segment.header.base;
        let read = segment.file.read_at(&mut self.bytes, offset);
        let read = read.map_err(Error::io("read", &segment.path));
        // Also when it failed: nothing of it is taken for the log's.
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.bytes.shrink_to(AHEAD_BYTES);
        read.map(drop)
    }

    /// The record's body, in its own allocation: a small one must not hold all of this.
    fn find(&self, start: Lsn) -> Option<Bytes> {
        let offset = usize_from(start.0.checked_sub(self.start)?);
        let record = self.bytes.get(offset..)?;
        let (len, crc) = format::record_header(record)?;
        let body = record.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES.checked_add(len)?)?;
        format::record_fits(body, crc, start).then(|| Bytes::copy_from_slice(body))
    }
}
