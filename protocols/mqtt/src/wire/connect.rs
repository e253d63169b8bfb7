//! CONNECT, the only packet that is read before the version is known, and so the only one whose
//! faults are answered in a form of their own.
//!
//! ```text
//! +-------------------+-------+-------+------------+-------------+   variable header
//! | protocol name     | level | flags | keep alive | properties  |   (properties: 5.0)
//! +-------------------+-------+-------+------------+-------------+
//! | client identifier | will properties | will topic | will payload | user name | password |
//! +-------------------+-----------------+------------+--------------+-----------+----------+
//!
//! flags: user name 80  password 40  will retain 20  will QoS 18  will 04  clean start 02  0 01
//! ```

use bytes::Bytes;

use super::property::{Place, Properties, id};
use super::{
    Malformed, PacketType, Qos, Reader, ReasonCode, Utf8String, Version, topic, utf8, writer,
};

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The bit that a Mosquitto bridge sets in the protocol level to say that it is one.
const BRIDGE: u8 = 0x80;

/// A CONNECT. MQTT 5 §3.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Protocol name and level.
    pub version: Version,
    /// The sender is another server that forwards messages; non-normative, as in Mosquitto: it
    /// wants RETAIN as published and none of its own messages back.
    pub is_bridge: bool,
    /// Clean Start of 5.0, Clean Session of 3.x.
    pub clean_start: bool,
    /// Seconds; 0 is off.
    pub keep_alive_secs: u16,
    /// Empty in 3.x.
    pub properties: Properties,
    /// May be empty.
    pub client_id: Utf8String,
    /// What to publish when the connection is lost.
    pub will: Option<Will>,
    /// `None` without the flag; an empty name is a name.
    pub user_name: Option<Utf8String>,
    /// Any bytes.
    pub password: Option<Bytes>,
}

/// The will of a [`Connect`]. MQTT 5 §3.1.2.5
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// A checked topic name.
    pub topic: Utf8String,
    /// At most 65,535 bytes.
    pub payload: Bytes,
    /// The QoS it is published with.
    pub qos: Qos,
    /// It becomes a retained message.
    pub retain: bool,
    /// Empty in 3.x.
    pub properties: Properties,
}

/// A CONNECT that is turned away, and in which version to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `None` while the packet has not told it.
    pub version: Option<Version>,
    /// What is wrong.
    pub why: Malformed,
}

impl Refusal {
    /// The reason code of the CONNACK; `None` closes without one. 3.x is told only what it has a
    /// return code for. \[MQTT-3.1.4-1\], MQTT 3.1.1 §3.2.2.3
    #[must_use]
    pub fn answer(&self) -> Option<ReasonCode> {
        match (self.version?, self.why) {
            (Version::V5, why) => why.answer(),
            (_, why @ (Malformed::ProtocolVersion | Malformed::ClientIdEmpty)) => why.answer(),
            _ => None,
        }
    }
}

impl Connect {
    /// Parses the body behind the fixed header that began with `first_byte`.
    ///
    /// # Errors
    /// [`Refusal`] with the first fault in the order of the fields.
    pub fn decode(first_byte: u8, frame: &Bytes) -> Result<Self, Refusal> {
        let mut reader = Reader::new(frame);
        let (version, is_bridge) = read_version(&mut reader)?;
        decode_versioned(version, is_bridge, first_byte, frame, &mut reader).map_err(|why| {
            Refusal {
                version: Some(version),
                why,
            }
        })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        writer::packet(out, PacketType::Connect.first_byte(), |body| {
            writer::string(body, self.version.protocol_name());
            body.push(self.version.level() | if self.is_bridge { BRIDGE } else { 0 });
            body.push(self.flags());
            writer::u16(body, self.keep_alive_secs);
            if self.version.has_properties() {
                self.properties.encode(body);
            }
            writer::binary(body, self.client_id.as_bytes());
            if let Some(will) = &self.will {
                will.encode(self.version, body);
            }
            if let Some(user_name) = &self.user_name {
                writer::binary(body, user_name.as_bytes());
            }
            if let Some(password) = &self.password {
                writer::binary(body, password);
            }
        });
    }

    fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| {
            WILL | will.qos.bits() << 3 | if will.retain { WILL_RETAIN } else { 0 }
        });
        let clean_start = if self.clean_start { CLEAN_START } else { 0 };
        let user_name = if self.user_name.is_some() {
            USER_NAME
        } else {
            0
        };
        let password = if self.password.is_some() { PASSWORD } else { 0 };
        will | clean_start | user_name | password
    }
}

impl Will {
    fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version.has_properties() {
            self.properties.encode(out);
        }
        writer::binary(out, self.topic.as_bytes());
        writer::binary(out, &self.payload);
    }

    fn decode(
        version: Version,
        flags: u8,
        frame: &Bytes,
        reader: &mut Reader<'_>,
    ) -> Result<Self, Malformed> {
        let properties = properties(version, reader, frame, Place::Will)?;
        let name = reader.string()?;
        topic::check_name(name)?;
        Ok(Self {
            topic: Utf8String::checked(frame.slice_ref(name.as_bytes())),
            payload: frame.slice_ref(reader.binary()?),
            qos: Qos::of(flags >> 3).ok_or(Malformed::WillFlags)?,
            retain: flags & WILL_RETAIN != 0,
            properties,
        })
    }
}

/// Protocol name and level. Nothing can be answered before both are known.
fn read_version(reader: &mut Reader<'_>) -> Result<(Version, bool), Refusal> {
    let unknown = |why| Refusal { version: None, why };
    let name = reader.binary().map_err(unknown)?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(unknown(Malformed::ProtocolName));
    }
    let level = reader.u8().map_err(unknown)?;
    let is_bridge = level & BRIDGE != 0;
    match (name, level & !BRIDGE) {
        (b"MQIsdp", 3) => Ok((Version::V31, is_bridge)),
        (b"MQTT", 4) => Ok((Version::V311, is_bridge)),
        (b"MQTT", 5) if !is_bridge => Ok((Version::V5, false)),
        // The name of one version with the level of another: such a client speaks 3.x.
        (_, 3 | 4) | (b"MQIsdp", 5) => Err(Refusal {
            version: Some(Version::V311),
            why: Malformed::ProtocolVersion,
        }),
        _ => Err(Refusal {
            version: Some(Version::V5),
            why: Malformed::ProtocolVersion,
        }),
    }
}

fn decode_versioned(
    version: Version,
    is_bridge: bool,
    first_byte: u8,
    frame: &Bytes,
    reader: &mut Reader<'_>,
) -> Result<Connect, Malformed> {
    let flags = read_flags(version, first_byte, reader)?;
    let keep_alive_secs = reader.u16().map_err(|_| Malformed::ConnectTruncated)?;
    let properties = properties(version, reader, frame, Place::Connect)?;
    let will_qos = Qos::of(flags >> 3).ok_or(Malformed::WillFlags)?;
    if properties.has(id::AUTHENTICATION_DATA) && !properties.has(id::AUTHENTICATION_METHOD) {
        return Err(Malformed::AuthenticationDataAlone);
    }
    let clean_start = flags & CLEAN_START != 0;
    let client_id = read_client_id(version, clean_start, frame, reader)?;
    let will = if flags & WILL != 0 {
        Some(Will::decode(version, flags, frame, reader)?)
    } else if version != Version::V31 && (will_qos != Qos::AtMostOnce || flags & WILL_RETAIN != 0) {
        return Err(Malformed::WillFlags);
    } else {
        None
    };
    let (user_name, password) = read_credentials(version, flags, frame, reader)?;
    reader.finish()?;
    Ok(Connect {
        version,
        is_bridge,
        clean_start,
        keep_alive_secs,
        properties,
        client_id,
        will,
        user_name,
        password,
    })
}

fn read_flags(version: Version, first_byte: u8, reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    let flags = reader.u8().map_err(|_| Malformed::ConnectTruncated)?;
    // 3.1 says nothing of either, and its clients set the low bits of the first byte.
    let is_reserved_set = flags & 0x01 != 0 || first_byte & 0x0F != 0;
    if version != Version::V31 && is_reserved_set {
        return Err(Malformed::ConnectFlags);
    }
    Ok(flags)
}

fn properties(
    version: Version,
    reader: &mut Reader<'_>,
    frame: &Bytes,
    place: Place,
) -> Result<Properties, Malformed> {
    if version.has_properties() {
        Properties::read(reader, frame, place)
    } else {
        Ok(Properties::default())
    }
}

/// \[MQTT-3.1.3-3\] to \[MQTT-3.1.3-8\]
fn read_client_id(
    version: Version,
    clean_start: bool,
    frame: &Bytes,
    reader: &mut Reader<'_>,
) -> Result<Utf8String, Malformed> {
    let bytes = reader.binary().map_err(|_| Malformed::ConnectTruncated)?;
    utf8::check(bytes).map_err(|_| Malformed::ClientId)?;
    let may_be_empty = match version {
        Version::V31 => false,
        Version::V311 => clean_start,
        Version::V5 => true,
    };
    if bytes.is_empty() && !may_be_empty {
        return Err(Malformed::ClientIdEmpty);
    }
    Ok(Utf8String::checked(frame.slice_ref(bytes)))
}

/// \[MQTT-3.1.2-16\] to \[MQTT-3.1.2-22\]
fn read_credentials(
    version: Version,
    flags: u8,
    frame: &Bytes,
    reader: &mut Reader<'_>,
) -> Result<(Option<Utf8String>, Option<Bytes>), Malformed> {
    let has_user_name = flags & USER_NAME != 0;
    let has_password = flags & PASSWORD != 0;
    // 5.0 allows a password alone.
    if has_password && !has_user_name && version != Version::V5 {
        return Err(Malformed::Credentials);
    }
    let mut user_name = None;
    let mut password = None;
    // In 3.1 a flag may be set and the field left out at the end. MQTT 3.1 §3.1
    let may_be_missing = |reader: &Reader<'_>| version == Version::V31 && reader.is_empty();
    if has_user_name && !may_be_missing(reader) {
        let name = reader.string().map_err(|_| Malformed::Credentials)?;
        user_name = Some(Utf8String::checked(frame.slice_ref(name.as_bytes())));
    }
    if has_password && !may_be_missing(reader) {
        let bytes = reader.binary().map_err(|_| Malformed::Credentials)?;
        password = Some(frame.slice_ref(bytes));
    }
    Ok((user_name, password))
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
