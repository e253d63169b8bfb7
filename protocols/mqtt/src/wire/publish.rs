//! PUBLISH, the hot path. Decoding splits nothing and copies nothing: topic, properties and payload
//! are slices of the one frame. Encoding writes the head only, so that the payload can follow as
//! shared bytes.
//!
//! ```text
//! +---------------------+------------+-------------------+------------------+---------+
//! | 0011 DUP QoS RETAIN | topic name | packet id (QoS>0) | properties (5.0) | payload |
//! +---------------------+------------+-------------------+------------------+---------+
//! ```

use std::num::NonZeroU16;

use bytes::{Buf, Bytes};

use super::property::{Place, Properties, Property, id};
use super::{Malformed, PacketType, Reader, Sender, Utf8String, Version, topic, writer};

const RETAIN: u8 = 0b0001;
const DUP: u8 = 0b1000;

/// Quality of service. MQTT 5 §4.3
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// 0: no acknowledgement.
    #[default]
    AtMostOnce,
    /// 1: PUBACK.
    AtLeastOnce,
    /// 2: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce,
}

impl Qos {
    /// The QoS in the low two bits; `None` for 3.
    #[must_use]
    pub fn of(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    pub fn bits(self) -> u8 {
        self as u8
    }
}

/// A PUBLISH as it was read. MQTT 5 §3.3
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// It may have been sent before.
    pub dup: bool,
    /// How it is acknowledged.
    pub qos: Qos,
    /// It replaces the retained message of its topic.
    pub retain: bool,
    /// A checked topic name; empty if a topic alias stands for it.
    pub topic: Utf8String,
    /// There is one above QoS 0.
    pub packet_id: Option<NonZeroU16>,
    /// The property block as it came, byte for byte; empty in 3.x.
    pub properties: Properties,
    /// Any bytes.
    pub payload: Bytes,
}

impl Publish {
    /// Parses the body behind the fixed header that began with `first_byte`.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(
        first_byte: u8,
        version: Version,
        sender: Sender,
        mut frame: Bytes,
    ) -> Result<Self, Malformed> {
        let dup = first_byte & DUP != 0;
        let qos = Qos::of(first_byte >> 1).ok_or(Malformed::Qos)?;
        if dup && qos == Qos::AtMostOnce {
            return Err(Malformed::DupWithoutQos);
        }
        let mut reader = Reader::new(&frame);
        let name = reader.string()?;
        let packet_id = if qos == Qos::AtMostOnce {
            None
        } else {
            Some(reader.packet_id()?)
        };
        let properties = if version.has_properties() {
            Properties::read(&mut reader, &frame, place(sender))?
        } else {
            Properties::default()
        };
        if !(name.is_empty() && properties.has(id::TOPIC_ALIAS)) {
            topic::check_name(name)?;
        }
        let topic = Utf8String::checked(frame.slice_ref(name.as_bytes()));
        let head_len = frame.len() - reader.rest().len();
        frame.advance(head_len);
        let retain = first_byte & RETAIN != 0;
        Ok(Self {
            dup,
            qos,
            retain,
            topic,
            packet_id,
            properties,
            payload: frame,
        })
    }

    /// The topic alias, 0 included, which no sender may use. MQTT 5 §3.3.2.3.4
    #[must_use]
    pub fn topic_alias(&self) -> Option<u16> {
        match self.properties.find(id::TOPIC_ALIAS) {
            Some(Property::TopicAlias(alias)) => Some(alias),
            _ => None,
        }
    }

    /// Seconds until the message is worthless. MQTT 5 §3.3.2.3.3
    #[must_use]
    pub fn message_expiry_secs(&self) -> Option<u32> {
        match self.properties.find(id::MESSAGE_EXPIRY_INTERVAL) {
            Some(Property::MessageExpiryInterval(secs)) => Some(secs),
            _ => None,
        }
    }
}

fn place(sender: Sender) -> Place {
    match sender {
        Sender::Client => Place::PublishToServer,
        Sender::Server => Place::Publish,
    }
}

/// Everything of an outgoing PUBLISH but its payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishHead<'a> {
    /// A delivery of the same packet identifier was sent before.
    pub dup: bool,
    /// The QoS of this delivery.
    pub qos: Qos,
    /// RETAIN of this delivery.
    pub retain: bool,
    /// May be empty next to a topic alias among `own`.
    pub topic: &'a [u8],
    /// There must be one above QoS 0; it is not written at QoS 0.
    pub packet_id: Option<NonZeroU16>,
    /// Encoded properties of this receiver alone: alias, expiry, subscription identifiers. 5.0
    /// only.
    pub own: &'a [u8],
    /// Encoded properties that all receivers share. 5.0 only.
    pub shared: &'a [u8],
    /// Bytes of the payload that will follow.
    pub payload_len: usize,
}

impl PublishHead<'_> {
    /// Bytes of the whole packet, payload included: what Maximum Packet Size is compared with.
    #[must_use]
    pub fn packet_len(&self, version: Version) -> usize {
        let body = self.body_len(version);
        1 + writer::varint_len(u32::try_from(body).unwrap_or(u32::MAX)) + body
    }

    /// Appends the packet up to its payload.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let dup = if self.dup { DUP } else { 0 };
        let retain = if self.retain { RETAIN } else { 0 };
        out.push(PacketType::Publish.first_byte() | dup | self.qos.bits() << 1 | retain);
        let body_len = u32::try_from(self.body_len(version)).unwrap_or(u32::MAX);
        writer::varint(out, body_len);
        writer::binary(out, self.topic);
        if let (Some(packet_id), true) = (self.packet_id, self.qos != Qos::AtMostOnce) {
            writer::u16(out, packet_id.get());
        }
        if version.has_properties() {
            writer::varint(out, self.properties_len());
            out.extend_from_slice(self.own);
            out.extend_from_slice(self.shared);
        }
    }

    fn body_len(&self, version: Version) -> usize {
        let packet_id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let properties = if version.has_properties() {
            let length = self.properties_len();
            writer::varint_len(length) + self.own.len() + self.shared.len()
        } else {
            0
        };
        2 + self.topic.len() + packet_id + properties + self.payload_len
    }

    fn properties_len(&self) -> u32 {
        u32::try_from(self.own.len() + self.shared.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
