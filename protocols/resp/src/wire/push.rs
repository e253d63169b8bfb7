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
//! of both versions; a head is a constant, but for the pattern.

use std::sync::Arc;

use bytes::Bytes;
use routing::{Message, OutBuf};

use super::Version;
use super::reply::{NUMBER_LINE_BYTES_MAX, ReplyWriter, bulk_header};

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

/// Writes the head of a delivery for a pattern subscription.
pub fn put_pattern_head(version: Version, pattern: &[u8], out: &mut OutBuf) {
    out.put_slice(match version {
        Version::Resp2 => b"*4\r\n$8\r\npmessage\r\n",
        Version::Resp3 => b">4\r\n$8\r\npmessage\r\n",
    });
    ReplyWriter::new(version, out).bulk(pattern);
}

/// Writes the tail: channel and payload as bulk strings. A large payload is referenced.
pub fn put_tail(channel: &[u8], payload: &Bytes, out: &mut OutBuf) {
    // Bulk strings are the same in both versions.
    let mut writer = ReplyWriter::new(Version::Resp2, out);
    writer.bulk(channel);
    writer.bulk_header(payload.len());
    out.put_bytes(payload);
    out.put_slice(b"\r\n");
}

/// Messages of an exact channel in one piece, to be shared by all receivers.
#[must_use]
pub fn run(version: Version, messages: &[Arc<Message>]) -> Bytes {
    let mut out = OutBuf::default();
    for message in messages {
        out.put_slice(message_head(version));
        put_tail(message.address.as_bytes(), &message.payload, &mut out);
    }
    out.to_vec().into()
}

/// The tail in one piece, to be shared by all receivers.
#[must_use]
pub fn tail(channel: &[u8], payload: &[u8]) -> Bytes {
    let (mut first, mut second) = ([0; NUMBER_LINE_BYTES_MAX], [0; NUMBER_LINE_BYTES_MAX]);
    let first = bulk_header(channel.len(), &mut first);
    let second = bulk_header(payload.len(), &mut second);
    [first, channel, b"\r\n", second, payload, b"\r\n"]
        .concat()
        .into()
}
