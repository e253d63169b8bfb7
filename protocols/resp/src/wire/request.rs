//! The request parser: a flat array of bulk strings, or one inline line.
//!
//! ```text
//! *<args>\r\n  then <args> times  $<bytes>\r\n<bytes octets>\r\n
//! ```
//!
//! It keeps its place between reads, so a byte is looked at once however small the reads are, and
//! it never recurses: requests do not nest. Whole requests leave as one reference-counted slice of
//! the read buffer plus the range of each argument; nothing is copied. A request stays in the read
//! buffer until it is complete, which is what makes the ranges valid across reads.
//!
//! As in Redis, the two bytes after a bulk string and the byte after a header's `\r` are skipped
//! unread, and empty requests (`\r\n`, `*0\r\n`, `*-10\r\n`) are passed over in silence.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::{Malformed, inline};

#[cfg(test)]
mod tests;

/// How much one request may hold. The defaults are Redis's, except [`Limits::args_max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an inline request or of a `*` or `$` line, without its line end. 65,536.
    pub line_bytes_max: usize,
    /// Arguments of a request, the command's name included. 1,048,576, as Redis had it before
    /// version 7; since then it takes 2,147,483,647, each costing the server 16 bytes and more.
    pub args_max: usize,
    /// Bytes of one argument (`proto-max-bulk-len`). 536,870,912.
    pub bulk_bytes_max: usize,
    /// Bytes of a whole request (`client-query-buffer-limit`). 1,073,741,824.
    pub request_bytes_max: usize,
    /// [`Limits::args_max`] before authentication. 10.
    pub unauthenticated_args_max: usize,
    /// [`Limits::bulk_bytes_max`] before authentication. 16,384.
    pub unauthenticated_bulk_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 64 * 1024,
            args_max: 1024 * 1024,
            bulk_bytes_max: 512 * 1024 * 1024,
            request_bytes_max: 1024 * 1024 * 1024,
            unauthenticated_args_max: 10,
            unauthenticated_bulk_bytes_max: 16 * 1024,
        }
    }
}

/// One whole request: never empty once the parser has filled it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    frame: Bytes,
    args: Vec<Range<usize>>,
}

impl Request {
    /// The number of arguments, the command's name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether the parser has not filled it yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// The command's name, as the peer spelled it.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.arg(0).unwrap_or_default()
    }

    /// Argument `index`; 0 is the command's name.
    #[must_use]
    pub fn arg(&self, index: usize) -> Option<&[u8]> {
        self.frame.get(self.args.get(index)?.clone())
    }

    /// Argument `index` as a slice that shares the read buffer's memory; empty if there is none.
    #[must_use]
    pub fn bytes(&self, index: usize) -> Bytes {
        match self.args.get(index) {
            Some(range) if range.end <= self.frame.len() => self.frame.slice(range.clone()),
            _ => Bytes::new(),
        }
    }

    /// The arguments from `index` on.
    pub fn args_from(&self, index: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        let args = self.args.get(index..).unwrap_or_default();
        args.iter()
            .map(|range| self.frame.get(range.clone()).unwrap_or_default())
    }

    /// Lets go of the read buffer, so that it can be filled again, and of an unusually long list.
    pub fn clear(&mut self) {
        self.frame = Bytes::new();
        self.args.clear();
        self.args.shrink_to(ARGS_KEPT_MAX);
    }

    /// The same request in memory of its own: one that waits must not keep a read buffer.
    #[must_use]
    pub fn compact(&self) -> Self {
        Self {
            frame: Bytes::copy_from_slice(&self.frame),
            args: self.args.clone(),
        }
    }

    /// The request that the arguments from `count` on make.
    #[must_use]
    pub fn without_first(&self, count: usize) -> Self {
        let args = self.args.get(count..).unwrap_or_default().to_vec();
        Self {
            frame: self.frame.clone(),
            args,
        }
    }

    /// Bytes of the request's own memory, for accounting.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.frame.len() + self.args.len() * size_of::<Range<usize>>()
    }
}

/// What the parser waits for.
///
/// ```text
///            '*'                      args > 0              '$'
/// Request ────────► ArrayLength ────────────────► BulkLength ──► Bulk ──► whole request
///    │    ▲ args <= 0   │                              ▲   args left │
///    │    └─────────────┘                              └─────────────┘
///    └──────────► Line ──► whole request, or empty: Request
/// ```
#[derive(Clone, Copy, Debug)]
enum Awaits {
    Request,
    Line,
    ArrayLength,
    BulkLength { left: usize },
    Bulk { left: usize, bytes: usize },
}

/// Parses one connection's requests; see the module's text.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    is_authenticated: bool,
    awaits: Awaits,
    /// Where the part of the unfinished request that is not parsed yet begins.
    position: usize,
    /// How many bytes from `position` on are known to hold no line end.
    searched: usize,
    args: Vec<Range<usize>>,
}

/// The way nearly every publisher begins: the array header and the name are one comparison.
const PUBLISH: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n";
const PUBLISH_NAME: Range<usize> = 8..15;

/// Longest text of a 64-bit number, with its sign.
const NUMBER_BYTES_MAX: usize = 20;

/// A list of ranges that grew beyond this is not kept for the next request.
const ARGS_KEPT_MAX: usize = 1024;

impl RequestParser {
    /// A parser at the start of a connection.
    #[must_use]
    pub const fn new(limits: Limits, is_authenticated: bool) -> Self {
        Self {
            limits,
            is_authenticated,
            awaits: Awaits::Request,
            position: 0,
            searched: 0,
            args: Vec::new(),
        }
    }

    /// Chooses between the limits for peers that have and have not authenticated.
    pub const fn set_authenticated(&mut self, is_authenticated: bool) {
        self.is_authenticated = is_authenticated;
    }

    /// Moves the next whole request from `input` to `request`; `false` if it is not all there yet.
    ///
    /// `input` may only grow at its end between calls that return `false`. `request`'s old memory
    /// is used again.
    ///
    /// # Errors
    /// [`Malformed`]: the connection must close. Asking again gives the same error.
    pub fn parse(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request,
    ) -> Result<bool, Malformed> {
        loop {
            match self.awaits {
                Awaits::Request => {
                    let Some(first) = input.first() else {
                        return Ok(false);
                    };
                    self.begin(*first, input);
                }
                Awaits::Line => {
                    let Some(is_whole) = self.read_inline(input, request)? else {
                        return Ok(false);
                    };
                    if is_whole {
                        return Ok(true);
                    }
                }
                Awaits::ArrayLength => {
                    if !self.read_array_length(input)? {
                        return Ok(false);
                    }
                }
                Awaits::BulkLength { left } => {
                    if !self.read_bulk_length(input, left)? {
                        return Ok(false);
                    }
                }
                Awaits::Bulk { left, bytes } => {
                    let end = self.position.saturating_add(bytes).saturating_add(2);
                    if input.len() < end {
                        return Ok(false);
                    }
                    self.args.push(self.position..end - 2);
                    self.position = end;
                    if left == 1 {
                        self.finish(input.split_to(end).freeze(), request);
                        return Ok(true);
                    }
                    self.awaits = Awaits::BulkLength { left: left - 1 };
                }
            }
        }
    }

    fn begin(&mut self, first: u8, input: &[u8]) {
        self.position = 0;
        self.searched = 0;
        self.args.clear();
        self.awaits = if first != b'*' {
            Awaits::Line
        } else if input.starts_with(PUBLISH) {
            self.args.push(PUBLISH_NAME);
            self.position = PUBLISH.len();
            Awaits::BulkLength { left: 2 }
        } else {
            Awaits::ArrayLength
        };
    }

    /// Hands the finished request over and takes its old list of ranges for the next one.
    fn finish(&mut self, frame: Bytes, request: &mut Request) {
        request.frame = frame;
        std::mem::swap(&mut request.args, &mut self.args);
        self.awaits = Awaits::Request;
        if self.args.capacity() > ARGS_KEPT_MAX {
            self.args = Vec::new();
        }
    }

    /// `None`: more is needed. `Some(false)`: the line held nothing and is gone.
    fn read_inline(
        &mut self,
        input: &mut BytesMut,
        request: &mut Request,
    ) -> Result<Option<bool>, Malformed> {
        let Some(length) = self.line_length(input, b'\n', Malformed::InlineTooLong)? else {
            return Ok(None);
        };
        let mut unquoted = Vec::with_capacity(length);
        let line = input.get(..length).unwrap_or_default();
        inline::split(line, &mut unquoted, &mut self.args)?;
        input.advance(length + 1);
        self.awaits = Awaits::Request;
        if self.args.is_empty() {
            return Ok(Some(false));
        }
        self.finish(Bytes::from(unquoted), request);
        Ok(Some(true))
    }

    fn read_array_length(&mut self, input: &mut BytesMut) -> Result<bool, Malformed> {
        let Some(digits) = self.header_line(input, Malformed::ArrayHeaderTooLong)? else {
            return Ok(false);
        };
        let number = input.get(digits.clone()).and_then(parse_number);
        let count = number.ok_or(Malformed::ArrayLength)?;
        let Ok(count @ 1..) = usize::try_from(count) else {
            input.advance(digits.end + 2);
            self.awaits = Awaits::Request;
            return Ok(true);
        };
        if count > self.limits.args_max {
            return Err(Malformed::ArrayLength);
        }
        if !self.is_authenticated && count > self.limits.unauthenticated_args_max {
            return Err(Malformed::UnauthenticatedArrayLength);
        }
        self.position = digits.end + 2;
        self.awaits = Awaits::BulkLength { left: count };
        Ok(true)
    }

    fn read_bulk_length(&mut self, input: &[u8], left: usize) -> Result<bool, Malformed> {
        let Some(digits) = self.header_line(input, Malformed::BulkHeaderTooLong)? else {
            return Ok(false);
        };
        match input.get(self.position) {
            Some(b'$') => {}
            found => return Err(Malformed::ElementType(found.copied().unwrap_or_default())),
        }
        let number = input.get(digits.clone()).and_then(parse_number);
        let bytes = number.and_then(|number| usize::try_from(number).ok());
        let bytes = bytes.ok_or(Malformed::BulkLength)?;
        if bytes > self.limits.bulk_bytes_max {
            return Err(Malformed::BulkLength);
        }
        if !self.is_authenticated && bytes > self.limits.unauthenticated_bulk_bytes_max {
            return Err(Malformed::UnauthenticatedBulkLength);
        }
        let body = digits.end + 2;
        // Judged by what is announced, so that the answer does not depend on how reads fall.
        if body.saturating_add(bytes) > self.limits.request_bytes_max {
            return Err(Malformed::RequestTooLarge);
        }
        self.position = body;
        self.awaits = Awaits::Bulk { left, bytes };
        Ok(true)
    }

    /// The range between a header's first byte and its `\r`, once the byte after that is here too.
    fn header_line(
        &mut self,
        input: &[u8],
        too_long: Malformed,
    ) -> Result<Option<Range<usize>>, Malformed> {
        let Some(length) = self.line_length(input, b'\r', too_long)? else {
            return Ok(None);
        };
        let end = self.position + length;
        if input.len() < end + 2 {
            // The `\r` itself is looked for again when its successor arrives.
            self.searched = length;
            return Ok(None);
        }
        // A line that begins with its end (`\r\n` in place of `$3\r\n`) has no digits.
        Ok(Some((self.position + 1).min(end)..end))
    }

    /// Bytes from `position` to the next `end` byte, which is not counted.
    fn line_length(
        &mut self,
        input: &[u8],
        end: u8,
        too_long: Malformed,
    ) -> Result<Option<usize>, Malformed> {
        let fresh = input
            .get(self.position + self.searched..)
            .unwrap_or_default();
        let found = fresh.iter().position(|byte| *byte == end);
        let length = self.searched + found.unwrap_or(fresh.len());
        if length > self.limits.line_bytes_max {
            return Err(too_long);
        }
        self.searched = if found.is_some() { 0 } else { length };
        Ok(found.map(|_| length))
    }
}

/// Reads a number as Redis does: no `+`, no leading zero, no `-0`, no spaces.
#[must_use]
pub fn parse_number(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !is_negative => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= NUMBER_BYTES_MAX => {}
        _ => return None,
    }
    // Counts downwards: the negative range is the larger one.
    let mut value: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_sub(i64::from(digit - b'0'))?;
    }
    if is_negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}
