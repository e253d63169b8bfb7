//! A publish whose method, content header and body lie side by side: how nearly all of them come.
//! It is read in one go, where it lies; all else is read frame by frame.
//!
//! ```text
//! | 1, channel, size | 60, 40 | exchange, key | CE | 2, channel, size | 60, 0, body size |
//!   | properties | CE | 3, channel, size | body | CE |     no third frame without a body
//! ```

use super::{
    content::CLASS_BASIC,
    frame::{ChannelId, HEADER_LEN},
    properties::Properties,
    publish::Publish,
};

/// Octets of the method's number, and of a content header before its properties.
const METHOD_ID_LEN: usize = 4;
const FIXED_LEN: usize = 12;

/// A publish, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholePublish<'a> {
    /// The channel of all its frames.
    pub channel: ChannelId,
    /// The method's arguments.
    pub publish: Publish<'a>,
    /// Flags and values, not walked.
    pub properties: Properties<'a>,
    /// All of the body.
    pub body: &'a [u8],
    /// Octets of its frames together.
    pub len: usize,
}

impl<'a> WholePublish<'a> {
    /// Reads the publish at the front of `bytes`, which are complete frames. None if there is
    /// anything else, something malformed included: frame by frame it comes out what that is.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let [1, c1, c0, s3, s2, s1, s0, 0, 60, 0, 40] = *bytes.first_chunk()? else {
            return None;
        };
        let (method, rest) = cut_payload(bytes, [s3, s2, s1, s0])?;
        let publish = Publish::parse(method.get(METHOD_ID_LEN..)?).ok()?;
        let [2, h1, h0, s3, s2, s1, s0] = *rest.first_chunk()? else {
            return None;
        };
        let (header, rest) = cut_payload(rest, [s3, s2, s1, s0])?;
        let [k1, k0, _, _, body_len @ ..] = *header.first_chunk::<FIXED_LEN>()?;
        if [h1, h0] != [c1, c0] || [k1, k0] != CLASS_BASIC.to_be_bytes() {
            return None;
        }
        let properties = Properties::new(header.get(FIXED_LEN..)?).ok()?;
        let (body, rest) = match u64::from_be_bytes(body_len) {
            0 => (Default::default(), rest),
            len => body_of(rest, [c1, c0], len)?,
        };
        Some(Self {
            channel: ChannelId(u16::from_be_bytes([c1, c0])),
            publish,
            properties,
            body,
            len: bytes.len().checked_sub(rest.len())?,
        })
    }
}

/// The body, if one frame of that channel is all of it.
fn body_of(bytes: &[u8], channel: [u8; 2], len: u64) -> Option<(&[u8], &[u8])> {
    let [3, c1, c0, s3, s2, s1, s0] = *bytes.first_chunk()? else {
        return None;
    };
    let (body, rest) = cut_payload(bytes, [s3, s2, s1, s0])?;
    (channel == [c1, c0] && u64::try_from(body.len()) == Ok(len)).then_some((body, rest))
}

/// The payload of the frame at the front, and what comes behind its end octet.
#[inline]
fn cut_payload(bytes: &[u8], size: [u8; 4]) -> Option<(&[u8], &[u8])> {
    let size = usize::try_from(u32::from_be_bytes(size)).ok()?;
    let (payload, rest) = bytes.get(HEADER_LEN..)?.split_at_checked(size)?;
    Some((payload, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::wire::{
        OutBuf,
        content::put_content,
        frame::{Batch, FrameLimit},
    };

    const METHOD: &[u8] = b"\x01\0\x07\0\0\0\x0f\0\x3c\0\x28\0\0\x02ex\x04a.b.\x01\xce";
    const PRIORITY: &[u8] = &[0x08, 0, 5];

    fn frames(body: &'static [u8], frame_max: u32) -> Vec<u8> {
        let mut out = OutBuf::default();
        out.put_slice(METHOD);
        let body = Bytes::from_static(body);
        put_content(&mut out, ChannelId(7), PRIORITY, &body, frame_max);
        out.to_vec()
    }

    #[test]
    fn a_publish_of_two_or_three_frames_is_read_where_it_lies() {
        for body in [&b"21.5"[..], b""] {
            let bytes = [&frames(body, 8192)[..], b"more"].concat();
            let whole = WholePublish::read(&bytes).unwrap();
            assert_eq!(whole.channel, ChannelId(7));
            assert_eq!(whole.publish.exchange, b"ex");
            assert_eq!(whole.publish.routing_key, b"a.b.");
            assert!(whole.publish.mandatory && !whole.publish.immediate);
            assert_eq!(whole.properties.as_bytes(), PRIORITY);
            assert_eq!(whole.body, body);
            assert_eq!(&bytes[whole.len..], b"more");
        }
    }

    #[test]
    fn what_is_cut_short_is_not_whole() {
        let bytes = frames(b"21.5", 8192);
        for len in 0..bytes.len() {
            assert_eq!(WholePublish::read(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn any_other_octet_in_a_fixed_place_is_left_to_the_slow_path() {
        let bytes = frames(b"21.5", 8192);
        let header = METHOD.len();
        let body = header + 7 + 12 + PRIORITY.len() + 1;
        // Types, channels and sizes of the frames, numbers of method and class, size of the body.
        let method_places = [0, 1, 2, 3, 6, 7, 8, 9, 10];
        let header_places = [0, 1, 2, 3, 6, 7, 8, 11, 18].map(|at| header + at);
        let body_places = [0, 1, 2, 3, 6].map(|at| body + at);
        for at in [&method_places[..], &header_places, &body_places].concat() {
            let mut other = bytes.clone();
            other[at] ^= 0x21;
            assert_eq!(WholePublish::read(&other), None, "octet {at}");
        }
    }

    #[test]
    fn a_body_in_two_frames_is_left_to_the_slow_path() {
        assert_eq!(WholePublish::read(&frames(b"21.5", 8 + 3)), None);
    }

    #[test]
    fn a_batch_steps_over_what_was_read_whole() {
        let mut input = BytesMut::from(&frames(b"21.5", 8192).repeat(2)[..]);
        let limit = FrameLimit {
            frame_max: 8192,
            frames_max: usize::MAX,
        };
        let mut batch = Batch::cut(&mut input, limit);
        for _ in 0..2 {
            let whole = batch.whole_publish().unwrap();
            assert_eq!(whole.body, b"21.5");
            let len = whole.len;
            batch.skip(len);
        }
        assert_eq!(batch.whole_publish(), None);
        assert!(batch.is_empty());
        assert_eq!(batch.next_frame(), Ok(None));
    }
}
