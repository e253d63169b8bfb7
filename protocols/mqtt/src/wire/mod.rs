//! The codec: bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0. It knows no session and no
//! connection state; what it lets through is well formed, within limits, and sent by the right end.
//!
//! Reading order: [`fixed_header`] finds a packet, [`decode`] hands its body to the file of its
//! type, [`Reader`] and [`writer`] know the field types, [`property`] the property blocks.

pub mod ack;
pub mod connack;
pub mod connect;
pub mod disconnect;
pub mod fixed_header;
mod malformed;
pub mod property;
pub mod publish;
mod reader;
mod reason_code;
pub mod subscribe;
pub mod topic;
pub mod utf8;
mod version;
pub mod writer;

use bytes::{Buf, Bytes, BytesMut};

pub use ack::Ack;
pub use connack::Connack;
pub use connect::{Connect, Refusal, Will};
pub use disconnect::{Auth, Disconnect};
pub use fixed_header::{PacketType, Sender, SizeLimits};
pub use malformed::Malformed;
pub use publish::{Publish, PublishHead, Qos};
pub use reader::{Reader, VARINT_MAX};
pub use reason_code::ReasonCode;
pub use subscribe::{Subscribe, SubscriptionAck, Unsubscribe};
pub use utf8::Utf8String;
pub use version::Version;

use fixed_header::{Expect, FixedHeader};

/// Any packet but CONNECT, which only ever comes first and has [`decode_connect`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the standard's own name")]
pub enum Packet {
    Connack(Connack),
    Publish(Publish),
    Puback(Ack),
    Pubrec(Ack),
    Pubrel(Ack),
    Pubcomp(Ack),
    Subscribe(Subscribe),
    Suback(SubscriptionAck),
    Unsubscribe(Unsubscribe),
    Unsuback(SubscriptionAck),
    Pingreq,
    Pingresp,
    Disconnect(Disconnect),
    Auth(Auth),
}

/// PINGREQ. MQTT 5 §3.12
pub const PINGREQ: [u8; 2] = [0xC0, 0x00];

/// PINGRESP. MQTT 5 §3.13
pub const PINGRESP: [u8; 2] = [0xD0, 0x00];

/// Takes the first packet of a connection off `input`; `Ok(None)` until all of it has arrived.
///
/// # Errors
/// [`Refusal`] if it is not a CONNECT, or not a sound one.
pub fn decode_connect(
    input: &mut BytesMut,
    limits: &SizeLimits,
) -> Result<Option<Connect>, Refusal> {
    let expect = Expect {
        version: None,
        sender: Sender::Client,
    };
    let unknown = |why| Refusal { version: None, why };
    let Some(header) = fixed_header::read(input, expect, limits).map_err(unknown)? else {
        return Ok(None);
    };
    let Some(frame) = take_frame(input, &header) else {
        return Ok(None);
    };
    Connect::decode(header.first_byte, &frame).map(Some)
}

/// Takes one packet off `input`; `Ok(None)` until all of it has arrived.
///
/// # Errors
/// [`Malformed`]; `input` is then of no further use.
pub fn decode(
    input: &mut BytesMut,
    version: Version,
    sender: Sender,
    limits: &SizeLimits,
) -> Result<Option<Packet>, Malformed> {
    let expect = Expect {
        version: Some(version),
        sender,
    };
    let Some(header) = fixed_header::read(input, expect, limits)? else {
        return Ok(None);
    };
    if let Some(done) = decode_small(input, &header, version) {
        return done;
    }
    let Some(frame) = take_frame(input, &header) else {
        return Ok(None);
    };
    decode_frame(&header, version, sender, frame).map(Some)
}

/// Acknowledgements and pings keep nothing of the buffer, so they are read in place: splitting a
/// frame off costs more than parsing them.
fn decode_small(
    input: &mut BytesMut,
    header: &FixedHeader,
    version: Version,
) -> Option<Result<Option<Packet>, Malformed>> {
    let of: fn(Ack) -> Packet = match header.packet_type {
        PacketType::Puback => Packet::Puback,
        PacketType::Pubrec => Packet::Pubrec,
        PacketType::Pubrel => Packet::Pubrel,
        PacketType::Pubcomp => Packet::Pubcomp,
        PacketType::Pingreq => return Some(Ok(skip(input, header, Packet::Pingreq))),
        PacketType::Pingresp => return Some(Ok(skip(input, header, Packet::Pingresp))),
        _ => return None,
    };
    let Some(body) = input.get(header.header_len..header.packet_len) else {
        return Some(Ok(None));
    };
    let ack = Ack::decode(header.packet_type, version, body);
    input.advance(header.packet_len);
    Some(ack.map(|ack| Some(of(ack))))
}

fn skip(input: &mut BytesMut, header: &FixedHeader, packet: Packet) -> Option<Packet> {
    input.advance(header.packet_len);
    Some(packet)
}

/// The body of a packet that has arrived whole, as shared bytes.
fn take_frame(input: &mut BytesMut, header: &FixedHeader) -> Option<Bytes> {
    if input.len() < header.packet_len {
        return None;
    }
    let mut frame = input.split_to(header.packet_len).freeze();
    frame.advance(header.header_len);
    Some(frame)
}

fn decode_frame(
    header: &FixedHeader,
    version: Version,
    sender: Sender,
    frame: Bytes,
) -> Result<Packet, Malformed> {
    let packet_type = header.packet_type;
    Ok(match packet_type {
        PacketType::Publish => {
            Packet::Publish(Publish::decode(header.first_byte, version, sender, frame)?)
        }
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(version, &frame)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(version, &frame)?),
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(version, &frame)?),
        PacketType::Auth => Packet::Auth(Auth::decode(version, &frame)?),
        PacketType::Connack => Packet::Connack(Connack::decode(version, &frame)?),
        PacketType::Suback => {
            Packet::Suback(SubscriptionAck::decode(packet_type, version, &frame)?)
        }
        PacketType::Unsuback => {
            Packet::Unsuback(SubscriptionAck::decode(packet_type, version, &frame)?)
        }
        PacketType::Connect
        | PacketType::Puback
        | PacketType::Pubrec
        | PacketType::Pubrel
        | PacketType::Pubcomp
        | PacketType::Pingreq
        | PacketType::Pingresp => return Err(Malformed::PacketType),
    })
}

#[cfg(test)]
pub(crate) mod hex;

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod oracle_tests;

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
