//! CONNACK.
//!
//! ```text
//! 3.x  | 20 | 02  | 0000000 session present | return code |
//! 5.0  | 20 | len | 0000000 session present | reason code | properties |
//! ```

use bytes::Bytes;

use super::property::{Place, Properties};
use super::{Malformed, PacketType, Reader, ReasonCode, Version, writer};

/// A CONNACK. MQTT 5 §3.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connack {
    /// The server still has a session for this client.
    pub session_present: bool,
    /// In 3.x the return code as it is on the wire: see [`ReasonCode::connect_return_code`].
    pub reason: ReasonCode,
    /// Empty in 3.x.
    pub properties: Properties,
}

impl Connack {
    /// Turns a client away.
    #[must_use]
    pub fn refusal(reason: ReasonCode) -> Self {
        Self {
            session_present: false,
            reason,
            properties: Properties::default(),
        }
    }

    /// Parses the body.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(version: Version, frame: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let flags = reader.u8()?;
        if flags & !1 != 0 {
            return Err(Malformed::ConnectFlags);
        }
        let reason = ReasonCode(reader.u8()?);
        let properties = if version.has_properties() {
            Properties::read(&mut reader, frame, Place::Connack)?
        } else {
            Properties::default()
        };
        reader.finish()?;
        Ok(Self {
            session_present: flags == 1,
            reason,
            properties,
        })
    }

    /// Appends the packet. For 3.x the reason is translated to a return code.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(out, PacketType::Connack.first_byte(), |body| {
            body.push(u8::from(self.session_present));
            if version.has_properties() {
                body.push(self.reason.0);
                self.properties.encode(body);
            } else {
                body.push(self.reason.connect_return_code());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::property::Property;
    use super::*;

    fn encoded(connack: &Connack, version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        connack.encode(version, &mut out);
        out
    }

    #[test]
    fn a_connack_of_5_0_always_has_a_property_length() {
        let accepted = Connack::refusal(ReasonCode::SUCCESS);
        assert_eq!(encoded(&accepted, Version::V5), [0x20, 3, 0, 0, 0]);
        let refused = Connack::refusal(ReasonCode::MALFORMED_PACKET);
        assert_eq!(encoded(&refused, Version::V5), [0x20, 3, 0, 0x81, 0]);
    }

    #[test]
    fn a_connack_of_3_x_has_return_codes() {
        let table = [
            (ReasonCode::SUCCESS, 0),
            (ReasonCode::UNSUPPORTED_PROTOCOL_VERSION, 1),
            (ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, 2),
            (ReasonCode::SERVER_BUSY, 3),
            (ReasonCode::BAD_USER_NAME_OR_PASSWORD, 4),
            (ReasonCode::NOT_AUTHORIZED, 5),
        ];
        for (reason, code) in table {
            let refused = Connack::refusal(reason);
            assert_eq!(encoded(&refused, Version::V311), [0x20, 2, 0, code]);
        }
    }

    #[test]
    fn a_connack_with_properties_round_trips() {
        let mut block = Vec::new();
        Property::TopicAliasMaximum(10).write(&mut block);
        Property::MaximumPacketSize(2_000_000).write(&mut block);
        Property::ReceiveMaximum(20).write(&mut block);
        let properties = Properties::from_block(block.into(), Place::Connack).unwrap();
        let sent = Connack {
            session_present: true,
            reason: ReasonCode::SUCCESS,
            properties,
        };
        let bytes = encoded(&sent, Version::V5);
        let expected = b"\x20\x0E\x01\x00\x0B\x22\x00\x0A\x27\x00\x1E\x84\x80\x21\x00\x14";
        assert_eq!(bytes, expected);
        let frame = Bytes::copy_from_slice(&bytes[2..]);
        assert_eq!(Connack::decode(Version::V5, &frame), Ok(sent));
    }

    #[test]
    fn reserved_bits_and_cut_packets_are_refused() {
        let table: [(&[u8], Malformed); 4] = [
            (&[0x02, 0, 0], Malformed::ConnectFlags),
            (&[0, 0], Malformed::Truncated),
            (&[0], Malformed::Truncated),
            (&[0, 0, 0, 0], Malformed::TrailingBytes),
        ];
        for (body, why) in table {
            let frame = Bytes::from_static(body);
            assert_eq!(Connack::decode(Version::V5, &frame), Err(why));
        }
    }
}
