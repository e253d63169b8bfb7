//! Content headers and bodies: what follows `publish`, `deliver`, `get-ok` and `return`.
//!
//! ```text
//! header frame:  | class | weight | body size | property flags | properties ... |
//!                   u16      u16       u64           u16               AMQP 0-9-1 §4.2.6.1
//! body frames:   | bytes | | bytes | ...   each payload at most frame_max - 8 octets
//! ```
//!
//! The properties, flags included, are kept as they came and given out as they came: what a
//! publisher wrote is what a consumer reads, types, order and duplicates of headers included.

use bytes::{Bytes, BytesMut};

use super::{
    Malformed, OutBuf,
    frame::{
        ChannelId, FRAME_END, FRAME_OVERHEAD, FrameType, HEADER_LEN, frame_header, put_frame_header,
    },
    properties::Properties,
    reader::Reader,
};

/// The class all content belongs to.
pub const CLASS_BASIC: u16 = 60;

const FIXED_LEN: u32 = 12;

/// A content header, borrowed from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// The class of the method before it; only 60 (basic) has content.
    pub class: u16,
    /// The length of the whole body in bytes.
    pub body_size: u64,
    /// Flags and values, to be kept verbatim.
    pub properties: Properties<'a>,
}

impl<'a> ContentHeader<'a> {
    /// Reads a header frame's payload. The properties are not walked here; see
    /// [`Properties::check`]. The weight is ignored, as every server does.
    ///
    /// # Errors
    /// [`Malformed::Fields`] when the payload is too short.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let header = (|| {
            let class = reader.u16()?;
            let _weight = reader.u16()?;
            Some((class, reader.u64()?))
        })();
        let (class, body_size) = header.ok_or(Malformed::Fields)?;
        Ok(Self {
            class,
            body_size,
            properties: Properties::new(reader.rest())?,
        })
    }
}

/// A body being put together from its frames. One frame that is the whole body is passed on as it
/// is; more are copied into one buffer, as a message is one piece everywhere else.
#[derive(Debug)]
pub struct Body {
    remaining: u64,
    pieces: BytesMut,
}

/// What a body frame completed.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// All of the body: the frame was its only one, so its payload is the body.
    Whole,
    /// The last of several frames; the body put together.
    Last(Bytes),
    /// More frames are to come.
    Partial,
}

impl Body {
    /// Expects `size` bytes, which the caller has checked against its limit. Nothing is reserved
    /// for them: a peer that announces much and sends little must not cost memory.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            remaining: size,
            pieces: BytesMut::new(),
        }
    }

    /// Takes the payload of a body frame.
    ///
    /// # Errors
    /// [`Malformed::BodyTooLong`] when the frames hold more than the header announced.
    pub fn push(&mut self, payload: &[u8]) -> Result<BodyPart, Malformed> {
        let len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        self.remaining = self
            .remaining
            .checked_sub(len)
            .ok_or(Malformed::BodyTooLong)?;
        if self.remaining == 0 && self.pieces.is_empty() {
            return Ok(BodyPart::Whole);
        }
        self.pieces.extend_from_slice(payload);
        if self.remaining > 0 {
            return Ok(BodyPart::Partial);
        }
        Ok(BodyPart::Last(self.pieces.split().freeze()))
    }
}

/// The largest payload that a header frame may have under `frame_max` (0: no limit).
#[must_use]
pub fn payload_max(frame_max: u32) -> u32 {
    if frame_max == 0 {
        u32::MAX
    } else {
        frame_max.saturating_sub(FRAME_OVERHEAD)
    }
}

/// Writes the header frame and the body frames of one message. `properties` are flags and values
/// as [`Properties`] reads them. Properties that do not fit a frame are sent in one nevertheless,
/// as RabbitMQ does: 0-9-1 cannot split a header frame.
pub fn put_content(
    out: &mut OutBuf,
    channel: ChannelId,
    properties: &[u8],
    body: &Bytes,
    frame_max: u32,
) {
    let body_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let is_one_piece = body.len() < OutBuf::REFERENCE_BYTES_MIN
        && (1..=payload_max(frame_max)).contains(&body_len);
    let copied: &[u8] = if is_one_piece { body } else { &[] };
    let len = HEADER_LEN + 12 + properties.len() + 1 + HEADER_LEN + copied.len() + 1;
    out.put_with(len, |out| {
        put_header(out, channel, properties, body.len());
        if is_one_piece {
            let [h0, h1, h2, h3, h4, h5, h6] = frame_header(FrameType::Body, channel, body_len);
            out.extend_from_slice(&[FRAME_END, h0, h1, h2, h3, h4, h5, h6]);
            out.extend_from_slice(copied);
        }
        out.push(FRAME_END);
    });
    if !is_one_piece {
        put_body(out, channel, body, payload_max(frame_max));
    }
}

/// Writes the header frame without its end, its fixed part in one go.
#[inline]
fn put_header(out: &mut Vec<u8>, channel: ChannelId, properties: &[u8], body_len: usize) {
    let properties_len = u32::try_from(properties.len()).unwrap_or(u32::MAX);
    let size = FIXED_LEN.saturating_add(properties_len);
    let [h0, h1, h2, h3, h4, h5, h6] = frame_header(FrameType::Header, channel, size);
    let [c1, c0] = CLASS_BASIC.to_be_bytes();
    let body_len = u64::try_from(body_len).unwrap_or(u64::MAX);
    let [b7, b6, b5, b4, b3, b2, b1, b0] = body_len.to_be_bytes();
    out.extend_from_slice(&[
        h0, h1, h2, h3, h4, h5, h6, c1, c0, 0, 0, b7, b6, b5, b4, b3, b2, b1, b0,
    ]);
    out.extend_from_slice(properties);
}

fn put_body(out: &mut OutBuf, channel: ChannelId, body: &Bytes, payload_max: u32) {
    let piece_max = usize::try_from(payload_max).unwrap_or(usize::MAX).max(1);
    let mut rest = body.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(piece_max.min(rest.len()));
        let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        put_frame_header(out, FrameType::Body, channel, size);
        out.put_bytes(&piece);
        out.put_u8(FRAME_END);
    }
}

#[cfg(test)]
mod tests;
