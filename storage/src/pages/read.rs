//! Reading an owner's records in order, ahead, and only those still wanted.

use bytes::Bytes;

use super::format::{Found, HEADER_BYTES};
use super::owner::{Book, Page};
use crate::files::File;
use crate::lsn::{u64_from, usize_from};

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// What one call of `read` gathers.
pub(super) struct Batch {
    /// Everything below was looked at.
    pub(super) from: u64,
    pub(super) bytes_max: usize,
    pub(super) bytes: usize,
    pub(super) records: Vec<(u64, Bytes)>,
}

pub(super) enum State {
    Full,
    End,
    Bad,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max && !self.records.is_empty()
    }

    /// Takes the wanted records of one file.
    pub(super) fn fill(
        &mut self,
        first: u64,
        page: &Page,
        reader: &mut Reader<'_>,
    ) -> std::io::Result<State> {
        while !self.is_full() {
            let (seq, body) = match reader.next()? {
                Next::Record(seq, _) if seq > page.last => return Ok(State::End),
                Next::Record(seq, body) => (seq, body),
                Next::End => return Ok(State::End),
                Next::Bad => return Ok(State::Bad),
            };
            if seq < self.from {
                continue;
            }
            self.from = seq.saturating_add(1);
            if page.live.contains(seq.saturating_sub(first)) {
                self.bytes += body.len();
                // Its own allocation: one body must not hold the whole read.
                self.records.push((seq, Bytes::copy_from_slice(body)));
            }
        }
        Ok(State::Full)
    }
}

/// The file that holds the first wanted record at or behind `from`, and where to begin in it.
pub(super) fn find_next(book: &mut Book, from: u64) -> Option<(u64, Page, u64)> {
    let start = book.page_of(from).unwrap_or(from);
    let wanted = |(first, page): &(&u64, &Page)| {
        page.last >= from && page.live.first_from(from.saturating_sub(**first)).is_some()
    };
    let (first, page) = book.pages.range(start..).find(wanted)?;
    let offset = match book.cursor {
        Some((file, offset, read)) if file == *first && read <= from => offset,
        _ => u64_from(HEADER_BYTES),
    };
    Some((*first, page.clone(), offset))
}

/// Reads a file's records one after another, ahead.
pub(super) struct Reader<'a> {
    file: &'a dyn File,
    end: u64,
    /// Where `bytes` begins in the file.
    offset: u64,
    bytes: Vec<u8>,
    /// How many of `bytes` were given out.
    used: usize,
}

enum Next<'a> {
    Record(u64, &'a [u8]),
    End,
    Bad,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(file: &'a dyn File, offset: u64, end: u64) -> Self {
        Self {
            file,
            end,
            offset,
            bytes: Vec::new(),
            used: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.offset + u64_from(self.used)
    }

    fn next(&mut self) -> std::io::Result<Next<'_>> {
        if self.position() >= self.end {
            return Ok(Next::End);
        }
        if let Found::Needs(bytes) = Found::at(self.rest()) {
            self.load(bytes)?;
            // The first read may only have shown how long the record is.
            if let Found::Needs(bytes) = Found::at(self.rest()) {
                self.load(bytes)?;
            }
        }
        let from = self.used;
        match Found::at(self.bytes.get(from..).unwrap_or(&[])) {
            Found::Record { seq, body, whole } => {
                self.used += whole;
                Ok(Next::Record(seq, body))
            }
            Found::Needs(_) | Found::Bad => Ok(Next::Bad),
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or(&[])
    }

    /// Reads at least so many bytes from the position on, as far as there are any.
    fn load(&mut self, bytes: usize) -> std::io::Result<()> {
        self.offset = self.position();
        self.used = 0;
        let left = usize_from(self.end - self.offset);
        self.bytes.resize(bytes.max(READ_BYTES).min(left), 0);
        let read = self.file.read_at(&mut self.bytes, self.offset)?;
        self.bytes.truncate(read);
        Ok(())
    }
}
