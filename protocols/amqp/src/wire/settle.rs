//! `basic.ack`, `basic.nack` and `basic.reject`, in both directions: with `publish` and `deliver`
//! the methods that come once a message.
//!
//! ```text
//! +--------------+------+   ack     60.80   bit 0 multiple
//! | delivery tag | bits |   nack    60.120  bit 0 multiple, bit 1 requeue
//! +--------------+------+   reject  60.90   bit 0 requeue
//!       u64         u8      AMQP 0-9-1 §1.8.3.13, §1.8.3.14; nack is RabbitMQ's
//! ```

use super::{
    Malformed, OutBuf,
    frame::{ChannelId, FRAME_END, FrameType, put_frame_header},
    method_id::MethodId,
    reader::Reader,
};

const PAYLOAD_LEN: u32 = 13;

/// A message's number on its channel: of a delivery, or of a publish on a confirming channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag(pub u64);

/// Whether a settlement covers one message or all up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Just the tag named.
    One,
    /// Every unsettled tag up to and with the one named; tag 0 is all of them.
    Multiple,
}

/// What becomes of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done with.
    Ack,
    /// Refused for good: dead-lettered or dropped.
    Discard,
    /// Back to the queue.
    Requeue,
}

/// A settlement by a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The delivery, or the last of them.
    pub tag: DeliveryTag,
    /// One or all up to the tag.
    pub extent: Extent,
    /// What becomes of them.
    pub verdict: Verdict,
}

impl Settle {
    /// Reads `ack`, `nack` or `reject`; `None` if `id` is another method.
    ///
    /// # Errors
    /// [`Malformed::Fields`] when the arguments are shorter or longer than they should be.
    pub fn parse(id: MethodId, arguments: &[u8]) -> Result<Option<Self>, Malformed> {
        let settle = match id {
            MethodId::BASIC_ACK | MethodId::BASIC_NACK | MethodId::BASIC_REJECT => {
                let (tag, bits) = tag_and_bits(arguments).ok_or(Malformed::Fields)?;
                Self::from_bits(id, tag, bits)
            }
            _ => return Ok(None),
        };
        Ok(Some(settle))
    }

    fn from_bits(id: MethodId, tag: DeliveryTag, bits: u8) -> Self {
        let requeue = |bit| {
            if bits & bit == 0 {
                Verdict::Discard
            } else {
                Verdict::Requeue
            }
        };
        let multiple = if bits & 1 == 0 {
            Extent::One
        } else {
            Extent::Multiple
        };
        let (extent, verdict) = match id {
            MethodId::BASIC_ACK => (multiple, Verdict::Ack),
            MethodId::BASIC_NACK => (multiple, requeue(2)),
            _ => (Extent::One, requeue(1)),
        };
        Self {
            tag,
            extent,
            verdict,
        }
    }
}

fn tag_and_bits(arguments: &[u8]) -> Option<(DeliveryTag, u8)> {
    let mut reader = Reader::new(arguments);
    let tag = DeliveryTag(reader.u64()?);
    let bits = reader.u8()?;
    reader.is_empty().then_some((tag, bits))
}

/// Confirms published messages: `basic.ack` to a publisher.
pub fn put_ack(out: &mut OutBuf, channel: ChannelId, tag: DeliveryTag, extent: Extent) {
    put_settlement(
        out,
        channel,
        MethodId::BASIC_ACK,
        tag,
        u8::from(extent == Extent::Multiple),
    );
}

const NACK_REQUEUE: u8 = 2;

/// Tells a publisher that messages were not taken. The bit `requeue` means nothing to a publisher;
/// it has its default, 1, as in RabbitMQ.
pub fn put_nack(out: &mut OutBuf, channel: ChannelId, tag: DeliveryTag, extent: Extent) {
    put_settlement(
        out,
        channel,
        MethodId::BASIC_NACK,
        tag,
        NACK_REQUEUE | u8::from(extent == Extent::Multiple),
    );
}

fn put_settlement(out: &mut OutBuf, channel: ChannelId, id: MethodId, tag: DeliveryTag, bits: u8) {
    put_frame_header(out, FrameType::Method, channel, PAYLOAD_LEN);
    out.put_u16(id.class);
    out.put_u16(id.method);
    out.put_u64(tag.0);
    out.put_u8(bits);
    out.put_u8(FRAME_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(id: MethodId, bits: u8) -> Settle {
        let arguments = [0, 0, 0, 0, 0, 0, 1, 2, bits];
        Settle::parse(id, &arguments).unwrap().unwrap()
    }

    #[test]
    fn the_bits_mean_what_each_method_says() {
        let cases = [
            (MethodId::BASIC_ACK, 0, Extent::One, Verdict::Ack),
            (MethodId::BASIC_ACK, 1, Extent::Multiple, Verdict::Ack),
            (MethodId::BASIC_NACK, 0, Extent::One, Verdict::Discard),
            (MethodId::BASIC_NACK, 1, Extent::Multiple, Verdict::Discard),
            (MethodId::BASIC_NACK, 2, Extent::One, Verdict::Requeue),
            (MethodId::BASIC_NACK, 3, Extent::Multiple, Verdict::Requeue),
            (MethodId::BASIC_REJECT, 0, Extent::One, Verdict::Discard),
            (MethodId::BASIC_REJECT, 1, Extent::One, Verdict::Requeue),
        ];
        for (id, bits, extent, verdict) in cases {
            assert_eq!(
                settle(id, bits),
                Settle {
                    tag: DeliveryTag(258),
                    extent,
                    verdict
                }
            );
        }
    }

    #[test]
    fn other_methods_and_wrong_lengths() {
        assert_eq!(Settle::parse(MethodId::BASIC_GET, &[]), Ok(None));
        assert_eq!(
            Settle::parse(MethodId::BASIC_ACK, &[0; 8]),
            Err(Malformed::Fields)
        );
        assert_eq!(
            Settle::parse(MethodId::BASIC_ACK, &[0; 10]),
            Err(Malformed::Fields)
        );
    }

    #[test]
    fn confirms_have_their_exact_bytes() {
        let mut out = OutBuf::default();
        put_ack(&mut out, ChannelId(1), DeliveryTag(5), Extent::Multiple);
        put_nack(&mut out, ChannelId(1), DeliveryTag(6), Extent::One);
        let expected = b"\x01\0\x01\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\x05\x01\xce\
            \x01\0\x01\0\0\0\x0d\0\x3c\0\x78\0\0\0\0\0\0\0\x06\x02\xce";
        assert_eq!(out.to_vec(), expected);
    }
}
