//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK.
//!
//! ```text
//! SUBSCRIBE    | 82 | len | packet id | props (5.0) | { topic filter | options } one or more |
//! SUBACK       | 90 | len | packet id | props (5.0) | { code } one per filter                |
//! UNSUBSCRIBE  | A2 | len | packet id | props (5.0) | { topic filter } one or more           |
//! UNSUBACK     | B0 | len | packet id | props (5.0) | { code } one per filter, 5.0 only      |
//!
//! options: | 0 0 | retain handling (2) | retain as published | no local | QoS (2) |   3.x: QoS
//! only ```

use std::num::NonZeroU16;

use bytes::Bytes;

use super::property::{Place, Properties, Property, id};
use super::{Malformed, PacketType, Qos, Reader, ReasonCode, Utf8String, Version, topic, writer};

const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RESERVED: u8 = 0b1100_0000;

/// When retained messages are sent to a new subscription. MQTT 5 §3.8.3.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: always.
    #[default]
    OnSubscribe,
    /// 1: if the subscription did not exist.
    OnNewSubscription,
    /// 2: never.
    Never,
}

/// How a subscription wants its messages. MQTT 5 §3.8.3.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The highest QoS of a delivery.
    pub qos: Qos,
    /// Not what the same client publishes.
    pub no_local: bool,
    /// RETAIN as the publisher set it.
    pub retain_as_published: bool,
    /// Whether to send what is retained.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// # Errors
    /// [`Malformed::Qos`] for QoS 3, [`Malformed::SubscriptionOptions`] for reserved bits, which
    /// in 3.x are all but two. \[MQTT-3.8.3-5\], \[MQTT-3.8.3-4\] of 3.1.1
    fn decode(byte: u8, version: Version) -> Result<Self, Malformed> {
        let qos = Qos::of(byte).ok_or(Malformed::Qos)?;
        let reserved = if version.has_properties() {
            RESERVED
        } else {
            !0b11
        };
        if byte & reserved != 0 {
            return Err(Malformed::SubscriptionOptions);
        }
        let retain_handling = match byte >> 4 & 0b11 {
            0 => RetainHandling::OnSubscribe,
            1 => RetainHandling::OnNewSubscription,
            2 => RetainHandling::Never,
            _ => return Err(Malformed::SubscriptionOptions),
        };
        Ok(Self {
            qos,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    fn encode(self, version: Version) -> u8 {
        if !version.has_properties() {
            return self.qos.bits();
        }
        let no_local = if self.no_local { NO_LOCAL } else { 0 };
        let as_published = if self.retain_as_published {
            RETAIN_AS_PUBLISHED
        } else {
            0
        };
        self.qos.bits() | no_local | as_published | (self.retain_handling as u8) << 4
    }
}

/// One topic filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// A checked filter, `$share` included.
    pub filter: Utf8String,
    /// What is asked for.
    pub options: SubscriptionOptions,
}

/// A SUBSCRIBE. MQTT 5 §3.8
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// SUBACK carries it back.
    pub packet_id: NonZeroU16,
    /// Empty in 3.x.
    pub properties: Properties,
    /// At least one.
    pub subscriptions: Vec<Subscription>,
}

impl Subscribe {
    /// Parses the body.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(version: Version, frame: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let (packet_id, properties) = header(version, &mut reader, frame, Place::Subscribe)?;
        let mut subscriptions = Vec::new();
        while !reader.is_empty() {
            let (filter, shared) = filter(&mut reader, frame)?;
            let options = SubscriptionOptions::decode(reader.u8()?, version)?;
            if shared && options.no_local {
                return Err(Malformed::NoLocalShared);
            }
            subscriptions.push(Subscription { filter, options });
        }
        if subscriptions.is_empty() {
            return Err(Malformed::EmptyFilterList);
        }
        Ok(Self {
            packet_id,
            properties,
            subscriptions,
        })
    }

    /// The number that deliveries of these subscriptions carry. MQTT 5 §3.8.2.1.2
    #[must_use]
    pub fn subscription_identifier(&self) -> Option<u32> {
        match self.properties.find(id::SUBSCRIPTION_IDENTIFIER) {
            Some(Property::SubscriptionIdentifier(number)) => Some(number),
            _ => None,
        }
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(out, PacketType::Subscribe.first_byte(), |body| {
            put_header(body, version, self.packet_id, &self.properties);
            for subscription in &self.subscriptions {
                writer::binary(body, subscription.filter.as_bytes());
                body.push(subscription.options.encode(version));
            }
        });
    }
}

/// An UNSUBSCRIBE. MQTT 5 §3.10
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// UNSUBACK carries it back.
    pub packet_id: NonZeroU16,
    /// Empty in 3.x.
    pub properties: Properties,
    /// Checked filters, at least one.
    pub filters: Vec<Utf8String>,
}

impl Unsubscribe {
    /// Parses the body.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(version: Version, frame: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let (packet_id, properties) = header(version, &mut reader, frame, Place::Unsubscribe)?;
        let mut filters = Vec::new();
        while !reader.is_empty() {
            filters.push(filter(&mut reader, frame)?.0);
        }
        if filters.is_empty() {
            return Err(Malformed::EmptyFilterList);
        }
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(out, PacketType::Unsubscribe.first_byte(), |body| {
            put_header(body, version, self.packet_id, &self.properties);
            for filter in &self.filters {
                writer::binary(body, filter.as_bytes());
            }
        });
    }
}

/// A SUBACK or an UNSUBACK: one code per filter, in their order. MQTT 5 §3.9, §3.11
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionAck {
    /// That of the packet it answers.
    pub packet_id: NonZeroU16,
    /// Empty in 3.x.
    pub properties: Properties,
    /// Granted QoS or failure. Empty in an UNSUBACK of 3.x.
    pub codes: Vec<ReasonCode>,
}

impl SubscriptionAck {
    /// Parses the body of a SUBACK or UNSUBACK.
    ///
    /// # Errors
    /// [`Malformed`] with the first fault in the order of the fields.
    pub fn decode(
        packet_type: PacketType,
        version: Version,
        frame: &Bytes,
    ) -> Result<Self, Malformed> {
        let place = match packet_type {
            PacketType::Unsuback => Place::Unsuback,
            _ => Place::Suback,
        };
        let mut reader = Reader::new(frame);
        let (packet_id, properties) = header(version, &mut reader, frame, place)?;
        let codes: Vec<_> = reader.rest().iter().copied().map(ReasonCode).collect();
        let has_codes = packet_type == PacketType::Suback || version.has_properties();
        match (has_codes, codes.is_empty()) {
            (true, true) => Err(Malformed::EmptyFilterList),
            (false, false) => Err(Malformed::TrailingBytes),
            _ => Ok(Self {
                packet_id,
                properties,
                codes,
            }),
        }
    }

    /// Appends the packet. In 3.1.1 a SUBACK has one code for every failure. MQTT 3.1.1 §3.9.3
    pub fn encode(&self, packet_type: PacketType, version: Version, out: &mut Vec<u8>) {
        writer::packet(out, packet_type.first_byte(), |body| {
            put_header(body, version, self.packet_id, &self.properties);
            if version.has_properties() {
                body.extend(self.codes.iter().map(|code| code.0));
            } else if packet_type == PacketType::Suback {
                body.extend(self.codes.iter().map(|code| code.0.min(0x80)));
            }
        });
    }
}

/// Packet identifier and properties.
fn header(
    version: Version,
    reader: &mut Reader<'_>,
    frame: &Bytes,
    place: Place,
) -> Result<(NonZeroU16, Properties), Malformed> {
    let packet_id = reader.packet_id().map_err(header_fault)?;
    let properties = if version.has_properties() {
        Properties::read(reader, frame, place).map_err(header_fault)?
    } else {
        Properties::default()
    };
    Ok((packet_id, properties))
}

/// In these packets alone Mosquitto answers 0x81 to what is 0x82 everywhere else.
fn header_fault(fault: Malformed) -> Malformed {
    match fault {
        Malformed::PacketIdZero | Malformed::PropertyNotAllowed | Malformed::PropertyValue => {
            Malformed::SubscriptionHeader
        }
        other => other,
    }
}

/// One filter, and whether it is a shared subscription.
fn filter(reader: &mut Reader<'_>, frame: &Bytes) -> Result<(Utf8String, bool), Malformed> {
    let text = reader.string()?;
    let parsed = topic::parse_filter(text)?;
    Ok((
        Utf8String::checked(frame.slice_ref(text.as_bytes())),
        parsed.share.is_some(),
    ))
}

fn put_header(out: &mut Vec<u8>, version: Version, packet_id: NonZeroU16, properties: &Properties) {
    writer::u16(out, packet_id.get());
    if version.has_properties() {
        properties.encode(out);
    }
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
