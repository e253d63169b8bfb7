//! PUBACK, PUBREC, PUBREL and PUBCOMP: four names for one layout.
//!
//! ```text
//! +-----------+---------+---------------+-------------+
//! | type,flags| length  | packet id (2) |                       3.x, and 5.0 when it succeeded
//! | type,flags| length  | packet id (2) | reason code |         5.0, no properties
//! | type,flags| length  | packet id (2) | reason code | props | 5.0
//! +-----------+---------+---------------+-------------+
//! ```

use std::num::NonZeroU16;

use super::property::{Place, Properties, Property};
use super::{Malformed, PacketType, Reader, ReasonCode, Version, writer};

/// One step of an acknowledgement. MQTT 5 §3.4 to §3.7
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The message it is about.
    pub packet_id: NonZeroU16,
    /// [`ReasonCode::SUCCESS`] in 3.x.
    pub reason: ReasonCode,
}

impl Ack {
    /// A step that went well.
    #[must_use]
    pub fn success(packet_id: NonZeroU16) -> Self {
        Self {
            packet_id,
            reason: ReasonCode::SUCCESS,
        }
    }

    /// Parses the body. Reason string and user properties are checked and not kept.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields; [`Malformed::Reason`] for a
    /// reason code that `packet_type` does not have.
    pub fn decode(
        packet_type: PacketType,
        version: Version,
        body: &[u8],
    ) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut reason = ReasonCode::SUCCESS;
        if version.has_properties() && !reader.is_empty() {
            reason = ReasonCode(reader.u8()?);
            if !is_allowed(packet_type, reason) {
                return Err(Malformed::Reason);
            }
            if !reader.is_empty() {
                Properties::check(&mut reader, Place::Ack)?;
            }
        }
        reader.finish()?;
        Ok(Self { packet_id, reason })
    }

    /// The packet in its shortest form: 4 bytes, or 5 where the reason must be said.
    #[must_use]
    pub fn encode(self, packet_type: PacketType, version: Version) -> EncodedAck {
        let [hi, lo] = self.packet_id.get().to_be_bytes();
        let first = packet_type.first_byte();
        if version.has_properties() && self.reason != ReasonCode::SUCCESS {
            EncodedAck {
                bytes: [first, 3, hi, lo, self.reason.0],
                len: 5,
            }
        } else {
            EncodedAck {
                bytes: [first, 2, hi, lo, 0],
                len: 4,
            }
        }
    }
}

impl Ack {
    /// The packet of 5.0 with its reason in words.
    #[must_use]
    pub fn encode_with_reason(self, packet_type: PacketType, reason: &str) -> Vec<u8> {
        let mut packet = Vec::new();
        writer::packet(&mut packet, packet_type.first_byte(), |body| {
            writer::u16(body, self.packet_id.get());
            body.push(self.reason.0);
            Properties::of(Property::ReasonString(reason), Place::Ack).encode(body);
        });
        packet
    }
}

/// An acknowledgement on the stack.
#[derive(Clone, Copy, Debug)]
pub struct EncodedAck {
    bytes: [u8; 5],
    len: usize,
}

impl EncodedAck {
    /// The packet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// MQTT 5 tables 3-4 to 3-7
fn is_allowed(packet_type: PacketType, reason: ReasonCode) -> bool {
    match packet_type {
        PacketType::Puback | PacketType::Pubrec => matches!(
            reason,
            ReasonCode::SUCCESS
                | ReasonCode::NO_MATCHING_SUBSCRIBERS
                | ReasonCode::UNSPECIFIED_ERROR
                | ReasonCode::IMPLEMENTATION_SPECIFIC
                | ReasonCode::NOT_AUTHORIZED
                | ReasonCode::TOPIC_NAME_INVALID
                | ReasonCode::PACKET_IDENTIFIER_IN_USE
                | ReasonCode::QUOTA_EXCEEDED
                | ReasonCode::PAYLOAD_FORMAT_INVALID
        ),
        _ => matches!(
            reason,
            ReasonCode::SUCCESS | ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
        ),
    }
}

#[cfg(test)]
#[path = "ack_tests.rs"]
mod tests;
