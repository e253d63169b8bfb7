//! Splits a connection's bytes into frames, without copying and without looking inside.
//!
//! ```text
//! 0      1         3             7                  size+7
//! +------+---------+-------------+----- - - - ------+------+
//! | type | channel |    size     |     payload      | 0xCE |   integers big endian
//! +------+---------+-------------+----- - - - ------+------+
//!   u8      u16         u32          size octets       u8        AMQP 0-9-1 §4.2.3
//!
//! protocol header, once, first:  'A' 'M' 'Q' 'P'  0 0 9 1        AMQP 0-9-1 §4.2.2
//! ```
//!
//! All complete frames of a read are cut off the read buffer at once and frozen, so that a frame
//! costs no reference count: only a payload that stays takes one, by [`Batch::share`].

use bytes::{Bytes, BytesMut};

use super::{Malformed, OutBuf, properties::Properties, whole::WholePublish};

/// The octet after each payload.
pub const FRAME_END: u8 = 0xCE;
/// Octets of a frame besides its payload: 7 before it, 1 after it.
pub const FRAME_OVERHEAD: u32 = 8;
/// The lowest `frame_max` that may be negotiated, and the limit before it is: RabbitMQ >= 4.1.
pub const FRAME_MAX_LOWEST: u32 = 8192;

/// Octets before a payload.
pub const HEADER_LEN: usize = 7;
/// A few clients exceed `frame_max` by one frame's overhead; RabbitMQ lets them.
const FRAME_SIZE_FUDGE: u32 = FRAME_OVERHEAD;
const PROTOCOL_HEADER_LEN: usize = 8;

/// What a frame carries, by its first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// 3: a piece of a message's body.
    Body,
    /// 2: a message's size and properties.
    Header,
    /// 8: nothing; the peer is alive.
    Heartbeat,
    /// 1: a method and its arguments.
    Method,
}

impl FrameType {
    /// The type octet.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Body => 3,
            Self::Header => 2,
            Self::Heartbeat => 8,
            Self::Method => 1,
        }
    }

    fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// The number of a channel; 0 is the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u16);

impl ChannelId {
    /// Channel 0, where the methods of the class connection live.
    pub const CONNECTION: Self = Self(0);
}

/// One frame, borrowed from its [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameType,
    /// The channel it belongs to.
    pub channel: ChannelId,
    /// The bytes between header and end octet.
    pub payload: &'a [u8],
}

/// How much may be cut from the read buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimit {
    /// `frame_max` in force, in bytes with overhead; 0 means no limit (negotiable only if the
    /// server itself offers 0).
    pub frame_max: u32,
    /// Frames in one batch. One while the handshake lasts, because `tune-ok` changes `frame_max`
    /// for the frame right behind it.
    pub frames_max: usize,
}

/// Complete frames, frozen, in the order they came.
#[derive(Debug)]
pub struct Batch {
    bytes: Bytes,
    position: usize,
    fault: Option<Malformed>,
}

impl Batch {
    /// Cuts all complete frames off the front of `input`, or as many as `limit` allows. An
    /// oversized frame is seen from its header, long before its payload is buffered; the frames
    /// before it are still handed out, then the fault.
    #[must_use]
    pub fn cut(input: &mut BytesMut, limit: FrameLimit) -> Self {
        let mut end = 0;
        let mut fault = None;
        for _ in 0..limit.frames_max {
            match frame_len(input.get(end..).unwrap_or_default(), limit.frame_max) {
                Ok(Some(len)) => end += len,
                Ok(None) => break,
                Err(malformed) => {
                    fault = Some(malformed);
                    break;
                }
            }
        }
        Self {
            bytes: input.split_to(end).freeze(),
            position: 0,
            fault,
        }
    }

    /// True when nothing is left, not even a fault.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position == self.bytes.len() && self.fault.is_none()
    }

    /// The next frame as a range of this batch; `None` at the end.
    ///
    /// # Errors
    /// [`Malformed::FrameType`] for an unknown type (later frames can still be read);
    /// [`Malformed::FrameEnd`] and [`Malformed::FrameTooLarge`] when the border is lost: reported
    /// once, after which the batch is at its end.
    pub fn next_frame(&mut self) -> Result<Option<FrameSpan>, Malformed> {
        let Some(header) = self.bytes.get(self.position..).and_then(FrameHeader::read) else {
            return self.fault.take().map_or(Ok(None), Err);
        };
        let start = self.position + HEADER_LEN;
        let end = start + header.payload_len;
        self.position = end + 1;
        let kind =
            FrameType::from_octet(header.kind).ok_or(Malformed::FrameType { kind: header.kind })?;
        Ok(Some(FrameSpan {
            kind,
            channel: header.channel,
            start,
            end,
        }))
    }

    /// The publish that comes next, if it does and all of its frames lie side by side;
    /// [`Batch::skip`] its length then.
    #[inline]
    #[must_use]
    pub fn whole_publish(&self) -> Option<WholePublish<'_>> {
        WholePublish::read(self.bytes.get(self.position..)?)
    }

    /// Steps over frames that were read otherwise, `len` octets of them.
    pub fn skip(&mut self, len: usize) {
        self.position += len;
    }

    /// The frame at `span`.
    #[must_use]
    pub fn frame(&self, span: FrameSpan) -> Frame<'_> {
        let payload = self.bytes.get(span.start..span.end).unwrap_or_default();
        Frame {
            kind: span.kind,
            channel: span.channel,
            payload,
        }
    }

    /// A counted reference to `part`, which must be a piece of a frame of this batch: it keeps the
    /// whole read alive, so what stays long and is small should be copied instead.
    #[inline]
    #[must_use]
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }

    /// The same for flags and values of properties. The ones that most messages have, none but the
    /// delivery mode, are constants, and need no count.
    #[inline]
    #[must_use]
    pub fn share_properties(&self, properties: Properties<'_>) -> Bytes {
        match properties.as_bytes() {
            [0, 0] => Bytes::from_static(&[0, 0]),
            [0x10, 0, 1] => Bytes::from_static(&[0x10, 0, 1]),
            [0x10, 0, 2] => Bytes::from_static(&[0x10, 0, 2]),
            other => self.share(other),
        }
    }
}

/// Where a frame lies in its [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    kind: FrameType,
    channel: ChannelId,
    start: usize,
    end: usize,
}

struct FrameHeader {
    kind: u8,
    channel: ChannelId,
    size: u32,
    payload_len: usize,
}

impl FrameHeader {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, c1, c0, s3, s2, s1, s0] = *bytes.first_chunk::<HEADER_LEN>()?;
        let size = u32::from_be_bytes([s3, s2, s1, s0]);
        let payload_len = usize::try_from(size).ok()?;
        Some(Self {
            kind,
            channel: ChannelId(u16::from_be_bytes([c1, c0])),
            size,
            payload_len,
        })
    }
}

/// The length of the frame at the front of `bytes` with its overhead, if all of it is there.
fn frame_len(bytes: &[u8], frame_max: u32) -> Result<Option<usize>, Malformed> {
    let Some(header) = FrameHeader::read(bytes) else {
        return Ok(None);
    };
    let limit = frame_max.saturating_sub(FRAME_OVERHEAD);
    if frame_max != 0 && header.size > limit.saturating_add(FRAME_SIZE_FUDGE) {
        return Err(Malformed::FrameTooLarge {
            kind: header.kind,
            size: header.size,
            limit,
        });
    }
    match bytes.get(HEADER_LEN + header.payload_len) {
        None => Ok(None),
        Some(&FRAME_END) => Ok(Some(HEADER_LEN + header.payload_len + 1)),
        Some(&found) => Err(Malformed::FrameEnd {
            kind: header.kind,
            found,
        }),
    }
}

/// The first eight octets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolHeader {
    /// AMQP 0-9-1, or 0-9, which RabbitMQ serves as if it were 0-9-1.
    Amqp091,
    /// Another AMQP, HTTP, TLS or noise: answer [`SUPPORTED_HEADER`] and close.
    Other,
}

/// The header this server answers to a header it does not serve (AMQP 0-9-1 §4.2.2).
pub const SUPPORTED_HEADER: [u8; PROTOCOL_HEADER_LEN] = *b"AMQP\x00\x00\x09\x01";

impl ProtocolHeader {
    /// Takes the header off the front of `input`; `None` while it is incomplete and still could
    /// become one.
    pub fn cut(input: &mut BytesMut) -> Option<Self> {
        if !input.starts_with(b"AMQP") && !b"AMQP".starts_with(input) {
            return Some(Self::Other);
        }
        let header: [u8; PROTOCOL_HEADER_LEN] = *input.first_chunk()?;
        let _header = input.split_to(PROTOCOL_HEADER_LEN);
        Some(match header {
            [_, _, _, _, 0, 0, 9, 1] | [_, _, _, _, 1, 1, 0, 9] => Self::Amqp091,
            _ => Self::Other,
        })
    }
}

/// The seven octets before a payload of `size` octets.
#[inline]
#[must_use]
pub fn frame_header(kind: FrameType, channel: ChannelId, size: u32) -> [u8; HEADER_LEN] {
    let ([c1, c0], [s3, s2, s1, s0]) = (channel.0.to_be_bytes(), size.to_be_bytes());
    [kind.octet(), c1, c0, s3, s2, s1, s0]
}

/// Writes the seven octets before a payload of `size` octets.
pub fn put_frame_header(out: &mut OutBuf, kind: FrameType, channel: ChannelId, size: u32) {
    out.put_slice(&frame_header(kind, channel, size));
}

/// Writes a heartbeat (AMQP 0-9-1 §4.2.7).
pub fn put_heartbeat(out: &mut OutBuf) {
    put_frame_header(out, FrameType::Heartbeat, ChannelId::CONNECTION, 0);
    out.put_u8(FRAME_END);
}

#[cfg(test)]
mod tests;
