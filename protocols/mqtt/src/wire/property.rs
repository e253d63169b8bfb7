//! The properties of MQTT 5 (§2.2.2): one type for all 27, the table of which packet may carry
//! which, and the walk that checks a block once so that later readers need not.
//!
//! ```text
//! +----------------------+----------+-------+----------+-------+ ...
//! | property length (VBI)| id (VBI) | value | id (VBI) | value |
//! +----------------------+----------+-------+----------+-------+ ...
//! ```

use bytes::Bytes;

use super::{Malformed, Reader, VARINT_MAX, topic, writer};

/// One property, borrowed from its block. MQTT 5 §2.2.2.2, in the order of the identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the standard's own name")]
pub enum Property<'a> {
    PayloadFormatIndicator(u8),
    /// Seconds.
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionIdentifier(u32),
    /// Seconds; `u32::MAX` never expires.
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    /// Seconds.
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(u8),
    /// Seconds.
    WillDelayInterval(u32),
    RequestResponseInformation(u8),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQos(u8),
    RetainAvailable(u8),
    UserProperty(&'a str, &'a str),
    /// Bytes, the fixed header included.
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(u8),
    SubscriptionIdentifierAvailable(u8),
    SharedSubscriptionAvailable(u8),
}

/// The packets that have properties; the will of CONNECT counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "each variant is the standard's own name")]
pub enum Place {
    Connect = 1 << 0,
    Will = 1 << 1,
    Connack = 1 << 2,
    /// PUBLISH as a server sends it. A client may not send subscription identifiers; see
    /// [`Place::PublishToServer`].
    Publish = 1 << 3,
    PublishToServer = 1 << 4,
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    Ack = 1 << 5,
    Subscribe = 1 << 6,
    Suback = 1 << 7,
    Unsubscribe = 1 << 8,
    Unsuback = 1 << 9,
    Disconnect = 1 << 10,
    Auth = 1 << 11,
}

/// The identifiers that are looked up by name. MQTT 5 table 2-4
#[allow(missing_docs, reason = "each constant is the standard's own name")]
pub mod id {
    pub const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
    pub const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const USER_PROPERTY: u8 = 0x26;
}

/// The bit of `id` in a set of identifiers; every identifier is below 64.
const fn bit(id: u8) -> u64 {
    1 << (id & 63)
}

impl<'a> Property<'a> {
    /// Reads one property.
    ///
    /// # Errors
    /// [`Malformed::PropertyUnknown`], and what [`Reader`] finds wrong with the value.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        // Every identifier fits one byte, so a longer one is unknown; its form is checked all the
        // same.
        let id = u8::try_from(reader.varint()?).map_err(|_| Malformed::PropertyUnknown)?;
        Ok(match id {
            0x01 => Self::PayloadFormatIndicator(reader.u8()?),
            0x02 => Self::MessageExpiryInterval(reader.u32()?),
            0x03 => Self::ContentType(reader.string()?),
            0x08 => Self::ResponseTopic(reader.string()?),
            0x09 => Self::CorrelationData(reader.binary()?),
            0x0B => Self::SubscriptionIdentifier(reader.varint()?),
            0x11 => Self::SessionExpiryInterval(reader.u32()?),
            0x12 => Self::AssignedClientIdentifier(reader.string()?),
            0x13 => Self::ServerKeepAlive(reader.u16()?),
            0x15 => Self::AuthenticationMethod(reader.string()?),
            0x16 => Self::AuthenticationData(reader.binary()?),
            0x17 => Self::RequestProblemInformation(reader.u8()?),
            0x18 => Self::WillDelayInterval(reader.u32()?),
            0x19 => Self::RequestResponseInformation(reader.u8()?),
            0x1A => Self::ResponseInformation(reader.string()?),
            0x1C => Self::ServerReference(reader.string()?),
            0x1F => Self::ReasonString(reader.string()?),
            0x21 => Self::ReceiveMaximum(reader.u16()?),
            0x22 => Self::TopicAliasMaximum(reader.u16()?),
            0x23 => Self::TopicAlias(reader.u16()?),
            0x24 => Self::MaximumQos(reader.u8()?),
            0x25 => Self::RetainAvailable(reader.u8()?),
            0x26 => Self::UserProperty(reader.string()?, reader.string()?),
            0x27 => Self::MaximumPacketSize(reader.u32()?),
            0x28 => Self::WildcardSubscriptionAvailable(reader.u8()?),
            0x29 => Self::SubscriptionIdentifierAvailable(reader.u8()?),
            0x2A => Self::SharedSubscriptionAvailable(reader.u8()?),
            _ => return Err(Malformed::PropertyUnknown),
        })
    }

    /// Appends the identifier and the value.
    pub fn write(self, out: &mut Vec<u8>) {
        out.push(self.id());
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::MaximumQos(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => out.push(value),
            Self::ServerKeepAlive(value)
            | Self::ReceiveMaximum(value)
            | Self::TopicAliasMaximum(value)
            | Self::TopicAlias(value) => writer::u16(out, value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value)
            | Self::MaximumPacketSize(value) => writer::u32(out, value),
            Self::SubscriptionIdentifier(value) => writer::varint(out, value),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => writer::string(out, text),
            Self::CorrelationData(bytes) | Self::AuthenticationData(bytes) => {
                writer::binary(out, bytes);
            }
            Self::UserProperty(name, value) => {
                writer::string(out, name);
                writer::string(out, value);
            }
        }
    }

    /// The identifier. MQTT 5 table 2-4
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Self::PayloadFormatIndicator(_) => 0x01,
            Self::MessageExpiryInterval(_) => 0x02,
            Self::ContentType(_) => 0x03,
            Self::ResponseTopic(_) => 0x08,
            Self::CorrelationData(_) => 0x09,
            Self::SubscriptionIdentifier(_) => 0x0B,
            Self::SessionExpiryInterval(_) => 0x11,
            Self::AssignedClientIdentifier(_) => 0x12,
            Self::ServerKeepAlive(_) => 0x13,
            Self::AuthenticationMethod(_) => 0x15,
            Self::AuthenticationData(_) => 0x16,
            Self::RequestProblemInformation(_) => 0x17,
            Self::WillDelayInterval(_) => 0x18,
            Self::RequestResponseInformation(_) => 0x19,
            Self::ResponseInformation(_) => 0x1A,
            Self::ServerReference(_) => 0x1C,
            Self::ReasonString(_) => 0x1F,
            Self::ReceiveMaximum(_) => 0x21,
            Self::TopicAliasMaximum(_) => 0x22,
            Self::TopicAlias(_) => 0x23,
            Self::MaximumQos(_) => 0x24,
            Self::RetainAvailable(_) => 0x25,
            Self::UserProperty(..) => 0x26,
            Self::MaximumPacketSize(_) => 0x27,
            Self::WildcardSubscriptionAvailable(_) => 0x28,
            Self::SubscriptionIdentifierAvailable(_) => 0x29,
            Self::SharedSubscriptionAvailable(_) => 0x2A,
        }
    }

    /// The packets this property may stand in, as bits of [`Place`]. MQTT 5 table 2-4
    fn places(self) -> u16 {
        use Place::{Ack, Auth, Connack, Connect, Disconnect, Publish, PublishToServer};
        use Place::{Suback, Subscribe, Unsuback, Will};
        let of = |places: &[Place]| places.iter().fold(0, |set, place| set | *place as u16);
        match self {
            Self::PayloadFormatIndicator(_)
            | Self::MessageExpiryInterval(_)
            | Self::ContentType(_)
            | Self::ResponseTopic(_)
            | Self::CorrelationData(_) => of(&[Publish, PublishToServer, Will]),
            Self::SubscriptionIdentifier(_) => of(&[Publish, Subscribe]),
            Self::SessionExpiryInterval(_) => of(&[Connect, Connack, Disconnect]),
            Self::AuthenticationMethod(_) | Self::AuthenticationData(_) => {
                of(&[Connect, Connack, Auth])
            }
            Self::AssignedClientIdentifier(_)
            | Self::ServerKeepAlive(_)
            | Self::ResponseInformation(_)
            | Self::MaximumQos(_)
            | Self::RetainAvailable(_)
            | Self::WildcardSubscriptionAvailable(_)
            | Self::SubscriptionIdentifierAvailable(_)
            | Self::SharedSubscriptionAvailable(_) => of(&[Connack]),
            Self::RequestProblemInformation(_) | Self::RequestResponseInformation(_) => {
                of(&[Connect])
            }
            Self::WillDelayInterval(_) => of(&[Will]),
            Self::ServerReference(_) => of(&[Connack, Disconnect]),
            Self::ReasonString(_) => of(&[Connack, Ack, Suback, Unsuback, Disconnect, Auth]),
            Self::ReceiveMaximum(_) | Self::TopicAliasMaximum(_) | Self::MaximumPacketSize(_) => {
                of(&[Connect, Connack])
            }
            Self::TopicAlias(_) => of(&[Publish, PublishToServer]),
            Self::UserProperty(..) => u16::MAX,
        }
    }

    /// True if the value is one the standard allows. MQTT 5 §3
    ///
    /// A topic alias of 0 is not refused here: it has a reason code of its own. \[MQTT-3.3.2-8\]
    fn is_in_range(self) -> bool {
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::MaximumQos(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => value <= 1,
            Self::ReceiveMaximum(value) => value != 0,
            Self::MaximumPacketSize(value) | Self::SubscriptionIdentifier(value) => value != 0,
            Self::ResponseTopic(text) => topic::check_name(text).is_ok(),
            _ => true,
        }
    }
}

/// A block of properties that has been checked; a slice of the frame it came in, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    block: Bytes,
    /// One bit per identifier that occurs, so that a look-up for an absent one costs nothing.
    ids: u64,
}

impl Properties {
    /// Reads a property length and its block, and checks all of it for `place`. `frame` is the
    /// packet that `reader` reads.
    ///
    /// # Errors
    /// A broken structure anywhere in the block wins over a property that is merely not allowed,
    /// as in Mosquitto: [`Malformed::Truncated`], [`Malformed::PropertyUnknown`],
    /// [`Malformed::Utf8`]; then [`Malformed::PropertyValue`], [`Malformed::PropertyNotAllowed`],
    /// [`Malformed::DuplicateProperty`].
    pub fn read(reader: &mut Reader<'_>, frame: &Bytes, place: Place) -> Result<Self, Malformed> {
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed::Truncated)?;
        let block = reader.bytes(length)?;
        let ids = check(block, place)?;
        Ok(Self {
            block: frame.slice_ref(block),
            ids,
        })
    }

    /// Checks a property length and its block, and keeps nothing of them.
    ///
    /// # Errors
    /// As [`Properties::read`].
    pub fn check(reader: &mut Reader<'_>, place: Place) -> Result<(), Malformed> {
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed::Truncated)?;
        check(reader.bytes(length)?, place).map(drop)
    }

    /// Checks a block that comes from elsewhere, such as a journal.
    ///
    /// # Errors
    /// As [`Properties::read`].
    pub fn from_block(block: Bytes, place: Place) -> Result<Self, Malformed> {
        let ids = check(&block, place)?;
        Ok(Self { block, ids })
    }

    /// One property of our own.
    #[must_use]
    pub fn of(property: Property<'_>, place: Place) -> Self {
        let mut block = Vec::new();
        property.write(&mut block);
        Self::from_block(block.into(), place).unwrap_or_default()
    }

    /// Appends the property length and the block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.block.len()).unwrap_or(VARINT_MAX);
        writer::varint(out, length);
        out.extend_from_slice(&self.block);
    }

    /// The block as it came, without its length.
    #[must_use]
    pub fn block(&self) -> &Bytes {
        &self.block
    }

    /// True if there is no property.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// The properties in the order they were sent.
    #[must_use]
    pub fn iter(&self) -> PropertyIter<'_> {
        PropertyIter {
            reader: Reader::new(&self.block),
        }
    }

    /// True if a property with identifier `id` is there.
    #[must_use]
    pub fn has(&self, id: u8) -> bool {
        self.ids & bit(id) != 0
    }

    /// The first property with identifier `id`.
    #[must_use]
    pub fn find(&self, id: u8) -> Option<Property<'_>> {
        if !self.has(id) {
            return None;
        }
        self.iter().find(|property| property.id() == id)
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = Property<'a>;
    type IntoIter = PropertyIter<'a>;

    fn into_iter(self) -> PropertyIter<'a> {
        self.iter()
    }
}

/// Walks a checked block; each step decodes one property and allocates nothing.
#[derive(Clone, Debug)]
pub struct PropertyIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        if self.reader.is_empty() {
            return None;
        }
        Property::read(&mut self.reader).ok()
    }
}

/// Walks a block and returns the set of identifiers in it.
fn check(block: &[u8], place: Place) -> Result<u64, Malformed> {
    let mut reader = Reader::new(block);
    let mut ids = 0;
    let mut verdict = Ok(());
    while !reader.is_empty() {
        let property = Property::read(&mut reader)?;
        verdict = verdict.and_then(|()| check_one(property, place, ids));
        ids |= bit(property.id());
    }
    verdict.map(|()| ids)
}

fn check_one(property: Property<'_>, place: Place, seen: u64) -> Result<(), Malformed> {
    if !property.is_in_range() {
        return Err(Malformed::PropertyValue);
    }
    if property.places() & place as u16 == 0 {
        return Err(Malformed::PropertyNotAllowed);
    }
    let may_repeat = match property {
        Property::UserProperty(..) => true,
        // A message that matches several subscriptions carries one identifier for each. §3.3.2.3.8
        Property::SubscriptionIdentifier(_) => place == Place::Publish,
        _ => false,
    };
    if !may_repeat && seen & bit(property.id()) != 0 {
        return Err(Malformed::DuplicateProperty);
    }
    Ok(())
}

#[cfg(test)]
#[path = "property_tests.rs"]
mod tests;
