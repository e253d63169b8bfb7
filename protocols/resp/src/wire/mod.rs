//! The Redis serialization protocol as bytes: requests in, replies and pushed frames out.
//!
//! Nothing here knows what a command means.
//!
//! ```text
//! request   *3\r\n  $7\r\nPUBLISH\r\n  $4\r\nnews\r\n  $2\r\nhi\r\n     array of bulk strings, or
//!           PUBLISH news "hi"\r\n                                     one inline line
//! reply     +OK\r\n   -ERR text\r\n   :1\r\n   $2\r\nhi\r\n   *2\r\n...   RESP2
//!           _\r\n   #t\r\n   ,1.5\r\n   %1\r\n...   ~1\r\n...   =6\r\ntxt:hi\r\n   added by RESP3
//! push      *3\r\n$7\r\nmessage\r\n...   RESP2        >3\r\n$7\r\nmessage\r\n...   RESP3
//! ```

mod inline;
pub mod push;
pub mod reply;
pub mod request;

/// Which of the two versions of the protocol a connection speaks; RESP2 until `HELLO 3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Five types; pushed frames are arrays. RESP: protocol version 2.
    #[default]
    Resp2,
    /// Adds null, boolean, double, map, set, verbatim string and push. RESP: protocol version 3.
    Resp3,
}

impl Version {
    /// The number that `HELLO` takes and reports: 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// A request that breaks the protocol. The connection answers with the text and closes.
///
/// The texts are Redis 7.2's, byte for byte; they follow `-ERR ` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An inline request longer than [`request::Limits::line_bytes_max`].
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    /// A `*` line longer than [`request::Limits::line_bytes_max`].
    #[error("Protocol error: too big mbulk count string")]
    ArrayHeaderTooLong,
    /// A `$` line longer than [`request::Limits::line_bytes_max`].
    #[error("Protocol error: too big bulk count string")]
    BulkHeaderTooLong,
    /// The number after `*` is none, or above [`request::Limits::args_max`].
    #[error("Protocol error: invalid multibulk length")]
    ArrayLength,
    /// More than [`request::Limits::unauthenticated_args_max`] before authentication.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedArrayLength,
    /// The number after `$` is none, negative, or above [`request::Limits::bulk_bytes_max`].
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// More than [`request::Limits::unauthenticated_bulk_bytes_max`] before authentication.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// An element of the array is no bulk string; this byte stands in place of `$`.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ElementType(u8),
    /// A quote in an inline request is not closed, or something is glued to the closing one.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The whole request is longer than [`request::Limits::request_bytes_max`]. Redis closes such
    /// a client without a word, so the text is only for the log.
    #[error("query buffer limit reached")]
    RequestTooLarge,
}

impl Malformed {
    /// Whether the peer is told before the connection closes.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::RequestTooLarge)
    }
}
