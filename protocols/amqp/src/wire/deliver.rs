//! `basic.deliver`, `basic.get-ok` and `basic.return`: the methods that carry a message out.
//!
//! ```text
//! deliver 60.60:  consumer tag s | delivery tag u64 | redelivered u8 | exchange s | routing key s
//! get-ok  60.71:  delivery tag u64 | redelivered u8 | exchange s | routing key s | messages u32
//! return  60.50:  reply code u16 | reply text s | exchange s | routing key s
//! ```
//!
//! Each is written straight into the output, followed by the content of
//! [`put_content`](super::content::put_content); short strings may be any bytes.

use super::{
    OutBuf,
    frame::{ChannelId, FRAME_END, FrameType, HEADER_LEN, frame_header},
    method_id::MethodId,
    settle::DeliveryTag,
};

const METHOD_ID_LEN: usize = 4;
const SHORT_STRING_MAX: usize = 255;

/// Whether the message was given to a consumer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivered {
    /// Never that the queue knows of.
    No,
    /// At least once.
    Yes,
}

/// How the message was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedTo<'a> {
    /// Exchange name, at most 255 bytes.
    pub exchange: &'a [u8],
    /// Routing key, at most 255 bytes.
    pub routing_key: &'a [u8],
}

impl PublishedTo<'_> {
    fn len(self) -> usize {
        short_len(self.exchange) + short_len(self.routing_key)
    }

    fn put(self, out: &mut Vec<u8>) {
        put_short_string(out, self.exchange);
        put_short_string(out, self.routing_key);
    }
}

/// Writes the method frame of `basic.deliver`.
pub fn put_deliver(
    out: &mut OutBuf,
    channel: ChannelId,
    consumer_tag: &[u8],
    delivery: (DeliveryTag, Redelivered),
    published: PublishedTo<'_>,
) {
    let (tag, redelivered) = delivery;
    let len = short_len(consumer_tag) + 9 + published.len();
    put_method(out, channel, MethodId::BASIC_DELIVER, len, |out| {
        put_short_string(out, consumer_tag);
        put_tag(out, tag, redelivered);
        published.put(out);
    });
}

/// Writes the method frame of `basic.get-ok`; `messages` are those left in the queue.
pub fn put_get_ok(
    out: &mut OutBuf,
    channel: ChannelId,
    delivery: (DeliveryTag, Redelivered),
    published: PublishedTo<'_>,
    messages: u32,
) {
    let (tag, redelivered) = delivery;
    let len = 9 + published.len() + 4;
    put_method(out, channel, MethodId::BASIC_GET_OK, len, |out| {
        put_tag(out, tag, redelivered);
        published.put(out);
        out.extend_from_slice(&messages.to_be_bytes());
    });
}

/// Writes the method frame of `basic.return`, for instance `(312, b"NO_ROUTE")`.
pub fn put_return(
    out: &mut OutBuf,
    channel: ChannelId,
    reply: (u16, &[u8]),
    published: PublishedTo<'_>,
) {
    let (code, text) = reply;
    let len = 2 + short_len(text) + published.len();
    put_method(out, channel, MethodId::BASIC_RETURN, len, |out| {
        out.extend_from_slice(&code.to_be_bytes());
        put_short_string(out, text);
        published.put(out);
    });
}

/// Writes a method frame whose arguments `put` writes, into memory that is reserved once.
#[inline]
fn put_method(
    out: &mut OutBuf,
    channel: ChannelId,
    id: MethodId,
    arguments_len: usize,
    put: impl FnOnce(&mut Vec<u8>),
) {
    // At most three short strings and fourteen octets, so the sum is far below 4 GiB.
    let size = u32::try_from(METHOD_ID_LEN + arguments_len).unwrap_or(u32::MAX);
    let ([c1, c0], [m1, m0]) = (id.class.to_be_bytes(), id.method.to_be_bytes());
    let len = HEADER_LEN + METHOD_ID_LEN + arguments_len + 1;
    out.put_with(len, |out| {
        out.extend_from_slice(&frame_header(FrameType::Method, channel, size));
        out.extend_from_slice(&[c1, c0, m1, m0]);
        put(out);
        out.push(FRAME_END);
    });
}

#[inline]
fn put_tag(out: &mut Vec<u8>, tag: DeliveryTag, redelivered: Redelivered) {
    out.extend_from_slice(&tag.0.to_be_bytes());
    out.push(u8::from(redelivered == Redelivered::Yes));
}

/// The part of `string` that a short string can hold. Names are checked where they enter, so this
/// cuts nothing; it keeps a frame well-formed should one slip through.
fn short(string: &[u8]) -> &[u8] {
    string.get(..SHORT_STRING_MAX).unwrap_or(string)
}

fn short_len(string: &[u8]) -> usize {
    1 + short(string).len()
}

#[inline]
fn put_short_string(out: &mut Vec<u8>, string: &[u8]) {
    let string = short(string);
    out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests;
