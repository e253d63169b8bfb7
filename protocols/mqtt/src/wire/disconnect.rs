//! DISCONNECT and AUTH: a reason code and properties, each of which may be left out.
//!
//! ```text
//! | E0 | 00 |                                   3.x, and 5.0 for normal disconnection
//! | E0 | 01 | reason code |                     5.0 without properties
//! | E0 | len | reason code | properties |       5.0
//! | F0 | len | reason code | properties |       AUTH, 5.0; F0 00 is success
//! ```

use bytes::Bytes;

use super::property::{Place, Properties, Property, id};
use super::{Malformed, PacketType, Reader, ReasonCode, Version, writer};

/// A DISCONNECT. MQTT 5 §3.14
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// [`ReasonCode::SUCCESS`] is normal disconnection.
    pub reason: ReasonCode,
    /// Empty in 3.x.
    pub properties: Properties,
}

impl Disconnect {
    /// Says why, and nothing else.
    #[must_use]
    pub fn because(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: Properties::default(),
        }
    }

    /// Parses the body. Any reason code is taken: the connection ends whatever it says.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(version: Version, frame: &Bytes) -> Result<Self, Malformed> {
        let (reason, properties) = decode_optional(version, frame, Place::Disconnect)?;
        Ok(Self { reason, properties })
    }

    /// The session expiry the client changes to, in seconds. MQTT 5 §3.14.2.2.2
    #[must_use]
    pub fn session_expiry_secs(&self) -> Option<u32> {
        match self.properties.find(id::SESSION_EXPIRY_INTERVAL) {
            Some(Property::SessionExpiryInterval(secs)) => Some(secs),
            _ => None,
        }
    }

    /// Appends the packet in its shortest form.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let first = PacketType::Disconnect.first_byte();
        encode_optional(version, first, self.reason, &self.properties, out);
    }
}

/// An AUTH. MQTT 5 §3.15
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue or re-authenticate.
    pub reason: ReasonCode,
    /// Method and data.
    pub properties: Properties,
}

impl Auth {
    /// Parses the body.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields; [`Malformed::Reason`] for a
    /// reason code that AUTH does not have. \[MQTT-3.15.2-1\]
    pub fn decode(version: Version, frame: &Bytes) -> Result<Self, Malformed> {
        if !version.has_properties() {
            return Err(Malformed::PacketType);
        }
        let (reason, properties) = decode_optional(version, frame, Place::Auth)?;
        let is_allowed = matches!(
            reason,
            ReasonCode::SUCCESS | ReasonCode::CONTINUE_AUTHENTICATION | ReasonCode::REAUTHENTICATE
        );
        if is_allowed {
            Ok(Self { reason, properties })
        } else {
            Err(Malformed::Reason)
        }
    }

    /// Appends the packet in its shortest form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let first = PacketType::Auth.first_byte();
        encode_optional(Version::V5, first, self.reason, &self.properties, out);
    }
}

fn decode_optional(
    version: Version,
    frame: &Bytes,
    place: Place,
) -> Result<(ReasonCode, Properties), Malformed> {
    let mut reader = Reader::new(frame);
    let mut reason = ReasonCode::SUCCESS;
    let mut properties = Properties::default();
    if version.has_properties() && !reader.is_empty() {
        reason = ReasonCode(reader.u8()?);
        if !reader.is_empty() {
            properties = Properties::read(&mut reader, frame, place)?;
        }
    }
    reader.finish()?;
    Ok((reason, properties))
}

fn encode_optional(
    version: Version,
    first_byte: u8,
    reason: ReasonCode,
    properties: &Properties,
    out: &mut Vec<u8>,
) {
    writer::packet(out, first_byte, |body| {
        if !version.has_properties() {
            return;
        }
        if reason != ReasonCode::SUCCESS || !properties.is_empty() {
            body.push(reason.0);
        }
        if !properties.is_empty() {
            properties.encode(body);
        }
    });
}

#[cfg(test)]
#[path = "disconnect_tests.rs"]
mod tests;
