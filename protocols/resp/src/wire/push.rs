//! Published messages on their way to subscribers.
//!
//! ```text
//! *3\r\n$7\r\nmessage\r\n                          $4\r\nnews\r\n$2\r\nhi\r\n
//! >3\r\n$8\r\nsmessage\r\n                         $4\r\nnews\r\n$2\r\nhi\r\n
//! *4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n            $4\r\nnews\r\n$2\r\nhi\r\n
//! └── head: by version, kind and pattern ──┘       └ tail: by message alone ┘
//! ```
//!
//! All frames of one message end alike, so the tail is encoded once and shared by every receiver
//! of both versions; a head is a constant, or is built once per pattern subscription.

use bytes::{Bytes, BytesMut};

use super::Version;
use super::reply::{NUMBER_BYTES_MAX, ReplyWriter};

#[cfg(test)]
mod tests;

/// The head of a delivery for an exact channel subscription.
#[must_use]
pub const fn message_head(version: Version) -> &'static [u8] {
    match version {
        Version::Resp2 => b"*3\r\n$7\r\nmessage\r\n",
        Version::Resp3 => b">3\r\n$7\r\nmessage\r\n",
    }
}

/// The head of a delivery for a shard channel subscription.
#[must_use]
pub const fn shard_message_head(version: Version) -> &'static [u8] {
    match version {
        Version::Resp2 => b"*3\r\n$8\r\nsmessage\r\n",
        Version::Resp3 => b">3\r\n$8\r\nsmessage\r\n",
    }
}

/// The head of every delivery for one pattern subscription.
#[must_use]
pub fn pattern_message_head(version: Version, pattern: &[u8]) -> Bytes {
    let mut head = BytesMut::with_capacity(16 + bulk_bytes(pattern.len()));
    let mut writer = ReplyWriter::new(version, &mut head);
    writer.push(4);
    writer.bulk(b"pmessage");
    writer.bulk(pattern);
    head.freeze()
}

/// The end of every delivery of one message: channel and payload as bulk strings.
#[must_use]
pub fn tail(channel: &[u8], payload: &[u8]) -> Bytes {
    let mut tail = BytesMut::with_capacity(bulk_bytes(channel.len()) + bulk_bytes(payload.len()));
    let mut writer = ReplyWriter::new(Version::Resp2, &mut tail);
    writer.bulk(channel);
    writer.bulk(payload);
    tail.freeze()
}

/// The end of a delivery up to the payload's first octet. The payload and `\r\n` follow: for a
/// payload too large to copy.
#[must_use]
pub fn tail_before_payload(channel: &[u8], payload_bytes: usize) -> Bytes {
    let mut tail = BytesMut::with_capacity(bulk_bytes(channel.len()) + HEADER_BYTES_MAX);
    let mut writer = ReplyWriter::new(Version::Resp2, &mut tail);
    writer.bulk(channel);
    writer.bulk_header(payload_bytes);
    tail.freeze()
}

/// Sign, number and line end.
const HEADER_BYTES_MAX: usize = NUMBER_BYTES_MAX + 3;

/// An upper limit for a bulk string's bytes on the wire.
const fn bulk_bytes(length: usize) -> usize {
    length + HEADER_BYTES_MAX + 2
}
