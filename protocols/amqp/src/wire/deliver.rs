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
    frame::{ChannelId, FRAME_END, FrameType, put_frame_header},
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

    fn put(self, out: &mut OutBuf) {
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
    put_method_start(out, channel, MethodId::BASIC_DELIVER, len);
    put_short_string(out, consumer_tag);
    out.put_u64(tag.0);
    out.put_u8(u8::from(redelivered == Redelivered::Yes));
    published.put(out);
    out.put_u8(FRAME_END);
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
    put_method_start(
        out,
        channel,
        MethodId::BASIC_GET_OK,
        9 + published.len() + 4,
    );
    out.put_u64(tag.0);
    out.put_u8(u8::from(redelivered == Redelivered::Yes));
    published.put(out);
    out.put_u32(messages);
    out.put_u8(FRAME_END);
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
    put_method_start(out, channel, MethodId::BASIC_RETURN, len);
    out.put_u16(code);
    put_short_string(out, text);
    published.put(out);
    out.put_u8(FRAME_END);
}

fn put_method_start(out: &mut OutBuf, channel: ChannelId, id: MethodId, arguments_len: usize) {
    // At most three short strings and fourteen octets, so the sum is far below 4 GiB.
    let size = u32::try_from(METHOD_ID_LEN + arguments_len).unwrap_or(u32::MAX);
    put_frame_header(out, FrameType::Method, channel, size);
    out.put_u16(id.class);
    out.put_u16(id.method);
}

/// The part of `string` that a short string can hold. Names are checked where they enter, so this
/// cuts nothing; it keeps a frame well-formed should one slip through.
fn short(string: &[u8]) -> &[u8] {
    string.get(..SHORT_STRING_MAX).unwrap_or(string)
}

fn short_len(string: &[u8]) -> usize {
    1 + short(string).len()
}

fn put_short_string(out: &mut OutBuf, string: &[u8]) {
    let string = short(string);
    out.put_u8(u8::try_from(string.len()).unwrap_or(u8::MAX));
    out.put_slice(string);
}

#[cfg(test)]
mod tests;
