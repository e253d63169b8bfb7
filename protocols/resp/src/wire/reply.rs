//! The reply writer: one method per type, in the version that the connection speaks.
//!
//! | method | RESP2 | RESP3 |
//! |---|---|---|
//! | `simple` | `+OK` | same |
//! | `error` | `-ERR text` | same |
//! | `integer` | `:1` | same |
//! | `bulk` | `$2 hi` | same |
//! | `null`, `null_array` | `$-1`, `*-1` | `_` |
//! | `array` | `*n` | same |
//! | `map` | `*2n` | `%n` |
//! | `set` | `*n` | `~n` |
//! | `push` | `*n` | `>n` |
//! | `boolean` | `:1`, `:0` | `#t`, `#f` |
//! | `double` | `$3 1.5` | `,1.5` |
//! | `verbatim` | `$2 hi` | `=6 txt:hi` |
//!
//! The aggregate methods write the header alone; the caller writes that many elements after it.
//! The writer never recurses and never allocates beyond the buffer's growth.

use routing::OutBuf;

use super::Version;

#[cfg(test)]
mod tests;

/// Writes replies of one protocol version to the end of a buffer.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    version: Version,
    out: &'a mut OutBuf,
}

impl<'a> ReplyWriter<'a> {
    /// A writer that appends to `out`.
    pub const fn new(version: Version, out: &'a mut OutBuf) -> Self {
        Self { version, out }
    }

    /// The version that this writer speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Goes on in another version, as after `HELLO`.
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// A simple string. `text` is the server's own and must hold no line end.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(
            !text.bytes().any(is_line_end),
            "a line end would end the reply early"
        );
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.put_slice(b"+OK\r\n");
    }

    /// An error: `text` begins with its code (`ERR`, `NOAUTH`, ...) and may quote the peer's
    /// bytes, so line ends in it become spaces.
    pub fn error(&mut self, text: &[u8]) {
        self.out.put_u8(b'-');
        for byte in text {
            self.out
                .put_u8(if is_line_end(*byte) { b' ' } else { *byte });
        }
        self.end_line();
    }

    /// A 64-bit signed integer.
    pub fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// A count as an integer; one above 2^63 - 1 is written as that.
    pub fn count(&mut self, value: usize) {
        self.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A bulk string: any bytes.
    pub fn bulk(&mut self, value: &[u8]) {
        self.bulk_header(value.len());
        self.out.put_slice(value);
        self.end_line();
    }

    /// The header of a bulk string whose `bytes` octets and line end the caller writes.
    pub fn bulk_header(&mut self, bytes: usize) {
        self.header(b'$', bytes);
    }

    /// The absence of a string.
    pub fn null(&mut self) {
        match self.version {
            Version::Resp2 => self.out.put_slice(b"$-1\r\n"),
            Version::Resp3 => self.out.put_slice(b"_\r\n"),
        }
    }

    /// The absence of an array.
    pub fn null_array(&mut self) {
        match self.version {
            Version::Resp2 => self.out.put_slice(b"*-1\r\n"),
            Version::Resp3 => self.out.put_slice(b"_\r\n"),
        }
    }

    /// The header of an array of `count` elements.
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }

    /// The header of a map of `pairs` keys and values.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => self.header(b'*', pairs.saturating_mul(2)),
            Version::Resp3 => self.header(b'%', pairs),
        }
    }

    /// The header of a set of `count` elements.
    pub fn set(&mut self, count: usize) {
        match self.version {
            Version::Resp2 => self.header(b'*', count),
            Version::Resp3 => self.header(b'~', count),
        }
    }

    /// The header of an out-of-band frame of `count` elements.
    pub fn push(&mut self, count: usize) {
        match self.version {
            Version::Resp2 => self.header(b'*', count),
            Version::Resp3 => self.header(b'>', count),
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.out.put_slice(match (self.version, value) {
            (Version::Resp2, true) => b":1\r\n",
            (Version::Resp2, false) => b":0\r\n",
            (Version::Resp3, true) => b"#t\r\n",
            (Version::Resp3, false) => b"#f\r\n",
        });
    }

    /// A floating point number; infinities are `inf` and `-inf`, all NaNs `nan`.
    pub fn double(&mut self, value: f64) {
        let text = if value.is_nan() {
            "nan".to_owned()
        } else {
            value.to_string()
        };
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Text for a human, such as `INFO`'s.
    pub fn verbatim(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.header(b'=', text.len() + 4);
                self.out.put_slice(b"txt:");
                self.out.put_slice(text.as_bytes());
                self.end_line();
            }
        }
    }

    fn header(&mut self, kind: u8, count: usize) {
        self.number(kind, i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn number(&mut self, kind: u8, value: i64) {
        let mut line = [0; NUMBER_LINE_BYTES_MAX];
        self.out.put_slice(number_line(kind, value, &mut line));
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.put_u8(kind);
        self.out.put_slice(text);
        self.end_line();
    }

    fn end_line(&mut self) {
        self.out.put_slice(b"\r\n");
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The type's byte, a sign, 19 digits, and the line end.
pub(super) const NUMBER_LINE_BYTES_MAX: usize = 23;

/// The header of a bulk string: `$12\r\n`.
pub(super) fn bulk_header(bytes: usize, line: &mut [u8; NUMBER_LINE_BYTES_MAX]) -> &[u8] {
    number_line(b'$', i64::try_from(bytes).unwrap_or(i64::MAX), line)
}

/// Writes a whole line, such as `$12\r\n`, to the end of `line` and returns that part.
fn number_line(kind: u8, value: i64, line: &mut [u8; NUMBER_LINE_BYTES_MAX]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut start = NUMBER_LINE_BYTES_MAX;
    let mut put = |byte| {
        start -= 1;
        if let Some(slot) = line.get_mut(start) {
            *slot = byte;
        }
    };
    put(b'\n');
    put(b'\r');
    loop {
        put(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        put(b'-');
    }
    put(kind);
    line.get(start..).unwrap_or_default()
}
