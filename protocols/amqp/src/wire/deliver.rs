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
/// Octets of a method frame besides its arguments.
const METHOD_OVERHEAD: usize = HEADER_LEN + METHOD_ID_LEN + 1;
/// Octets of a delivery tag and of whether the message is redelivered.
const TAG_LEN: usize = 9;
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
    #[inline]
    fn len(self) -> usize {
        short_len(self.exchange) + short_len(self.routing_key)
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        put_short_string(out, self.exchange);
        put_short_string(out, self.routing_key);
    }
}

/// Writes the method frame of `basic.deliver`. It is the frame that is written most, so all that
/// lies between two names is written at once.
pub fn put_deliver(
    out: &mut OutBuf,
    channel: ChannelId,
    consumer_tag: &[u8],
    delivery: (DeliveryTag, Redelivered),
    published: PublishedTo<'_>,
) {
    let consumer_tag = short(consumer_tag);
    let (exchange, key) = (short(published.exchange), short(published.routing_key));
    let arguments_len = 1 + consumer_tag.len() + TAG_LEN + published.len();
    let [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10] =
        method_start(channel, MethodId::BASIC_DELIVER, arguments_len);
    let [t0, t1, t2, t3, t4, t5, t6, t7, t8] = tag_octets(delivery);
    let (tag_len, exchange_len) = (len_octet(consumer_tag), len_octet(exchange));
    out.put_with(METHOD_OVERHEAD + arguments_len, |out| {
        out.extend_from_slice(&[h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, tag_len]);
        out.extend_from_slice(consumer_tag);
        out.extend_from_slice(&[t0, t1, t2, t3, t4, t5, t6, t7, t8, exchange_len]);
        out.extend_from_slice(exchange);
        out.push(len_octet(key));
        out.extend_from_slice(key);
        out.push(FRAME_END);
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
    let len = TAG_LEN + published.len() + 4;
    put_method(out, channel, MethodId::BASIC_GET_OK, len, |out| {
        out.extend_from_slice(&tag_octets(delivery));
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
    out.put_with(METHOD_OVERHEAD + arguments_len, |out| {
        out.extend_from_slice(&method_start(channel, id, arguments_len));
        put(out);
        out.push(FRAME_END);
    });
}

/// The octets before a method's arguments: the frame's header and the method's number.
#[inline]
fn method_start(
    channel: ChannelId,
    id: MethodId,
    arguments_len: usize,
) -> [u8; HEADER_LEN + METHOD_ID_LEN] {
    // At most three short strings and fourteen octets, so the sum is far below 4 GiB.
    let size = u32::try_from(METHOD_ID_LEN + arguments_len).unwrap_or(u32::MAX);
    let [h0, h1, h2, h3, h4, h5, h6] = frame_header(FrameType::Method, channel, size);
    let ([c1, c0], [m1, m0]) = (id.class.to_be_bytes(), id.method.to_be_bytes());
    [h0, h1, h2, h3, h4, h5, h6, c1, c0, m1, m0]
}

#[inline]
fn tag_octets((tag, redelivered): (DeliveryTag, Redelivered)) -> [u8; TAG_LEN] {
    let [t7, t6, t5, t4, t3, t2, t1, t0] = tag.0.to_be_bytes();
    let redelivered = u8::from(redelivered == Redelivered::Yes);
    [t7, t6, t5, t4, t3, t2, t1, t0, redelivered]
}

/// The part of `string` that a short string can hold. Names are checked where they enter, so this
/// cuts nothing; it keeps a frame well-formed should one slip through.
#[inline]
fn short(string: &[u8]) -> &[u8] {
    string.get(..SHORT_STRING_MAX).unwrap_or(string)
}

#[inline]
fn short_len(string: &[u8]) -> usize {
    1 + short(string).len()
}

/// The length of what [`short`] gave.
#[inline]
fn len_octet(string: &[u8]) -> u8 {
    u8::try_from(string.len()).unwrap_or(u8::MAX)
}

#[inline]
fn put_short_string(out: &mut Vec<u8>, string: &[u8]) {
    let string = short(string);
    out.push(len_octet(string));
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests;
