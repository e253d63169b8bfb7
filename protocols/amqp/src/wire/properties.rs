//! The properties of a message, walked where they lie and only when somebody asks.
//!
//! ```text
//! | flags u16 | content-type s | content-encoding s | headers F | delivery-mode u8 | priority u8 |
//!   | correlation-id s | reply-to s | expiration s | message-id s | timestamp u64 | type s |
//!   | user-id s | app-id s | cluster-id s |      each only if its flag is set, the first is bit 15
//! ```
//!
//! AMQP 0-9-1 §4.2.6.1, §1.8.3. Short strings here may be any bytes, as in RabbitMQ. Bit 1 means
//! nothing and is kept as it came; bit 0 announces a second word of flags, which no peer sends and
//! which is refused.

use super::{
    Malformed, guard,
    reader::Reader,
    table::{FieldTable, Value},
};

const CONTINUATION: u16 = 1;
/// The flags that mean a property.
const KNOWN: u16 = 0xfffc;

/// The name of a property, in the order of flags and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// MIME type of the body.
    ContentType,
    /// MIME encoding of the body.
    ContentEncoding,
    /// The application's own fields.
    Headers,
    /// 2 is persistent, all else is not.
    DeliveryMode,
    /// 0 to 255.
    Priority,
    /// Names the request that this answers.
    CorrelationId,
    /// Where to answer to.
    ReplyTo,
    /// Time to live: milliseconds as decimal text.
    Expiration,
    /// The application's name for the message.
    MessageId,
    /// Seconds since the Unix epoch.
    Timestamp,
    /// The application's kind of message.
    Type,
    /// The publisher's login, checked by the server.
    UserId,
    /// The publishing application.
    AppId,
    /// Reserved by the standard, relayed.
    ClusterId,
}

const ORDER: [Property; 14] = [
    Property::ContentType,
    Property::ContentEncoding,
    Property::Headers,
    Property::DeliveryMode,
    Property::Priority,
    Property::CorrelationId,
    Property::ReplyTo,
    Property::Expiration,
    Property::MessageId,
    Property::Timestamp,
    Property::Type,
    Property::UserId,
    Property::AppId,
    Property::ClusterId,
];

impl Property {
    fn flag(self) -> u16 {
        0x8000 >> (self as u16)
    }
}

/// The value of a property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PropertyValue<'a> {
    /// Of delivery-mode and priority.
    Octet(u8),
    /// At most 255 bytes of any value.
    ShortString(&'a [u8]),
    /// Of headers: the inside of the table, not walked yet.
    Table(&'a [u8]),
    /// Of timestamp: seconds.
    Timestamp(u64),
}

/// Flags and values as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties<'a> {
    flags: u16,
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Takes flags and values; what follows is read on demand.
    ///
    /// # Errors
    /// [`Malformed::Fields`] without flags, [`Malformed::PropertyFlags`] with a second word of
    /// them.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let flags = Reader::new(bytes).u16().ok_or(Malformed::Fields)?;
        if flags & CONTINUATION != 0 {
            return Err(Malformed::PropertyFlags);
        }
        Ok(Self { flags, bytes })
    }

    /// Flags and values, verbatim.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the property is set.
    #[must_use]
    pub fn has(self, property: Property) -> bool {
        self.flags & property.flag() != 0
    }

    /// The properties that are set, in their order. Ends early where the bytes do; properties that
    /// passed [`check`](Self::check) do not.
    #[must_use]
    pub fn iter(self) -> PropertyIter<'a> {
        PropertyIter {
            flags: self.flags & KNOWN,
            reader: Reader::new(self.bytes.get(2..).unwrap_or_default()),
        }
    }

    /// Walks all of it, headers included, so that nothing malformed is stored or relayed; hands
    /// each property to `visit` on the way.
    ///
    /// # Errors
    /// [`Malformed::Properties`] when values and flags do not match, or what is wrong with the
    /// headers. Their number of values is bound by the frame, as nothing is allocated for them.
    pub fn check(
        self,
        mut visit: impl FnMut(Property, PropertyValue<'a>),
    ) -> Result<(), Malformed> {
        let mut iter = self.iter();
        for (property, value) in iter.by_ref() {
            if let PropertyValue::Table(inside) = value {
                guard::check_table(inside, usize::MAX)?;
            }
            visit(property, value);
        }
        let is_whole = iter.flags == 0 && iter.reader.is_empty();
        if is_whole {
            Ok(())
        } else {
            Err(Malformed::Properties)
        }
    }

    /// The value of one property. Costs a walk over those before it.
    #[must_use]
    pub fn value(self, property: Property) -> Option<PropertyValue<'a>> {
        if !self.has(property) {
            return None;
        }
        self.iter()
            .find(|(found, _)| *found == property)
            .map(|(_, value)| value)
    }

    /// A property of text.
    #[must_use]
    pub fn short_string(self, property: Property) -> Option<&'a [u8]> {
        match self.value(property)? {
            PropertyValue::ShortString(string) => Some(string),
            _ => None,
        }
    }

    /// The headers; empty if there are none.
    #[must_use]
    pub fn headers(self) -> FieldTable<'a> {
        match self.value(Property::Headers) {
            Some(PropertyValue::Table(inside)) => FieldTable::new(inside),
            _ => FieldTable::default(),
        }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(self, name: &[u8]) -> Option<Value<'a>> {
        self.headers().value(name)
    }
}

/// Iterates over the properties that are set; see [`Properties::iter`].
#[derive(Clone, Copy, Debug)]
pub struct PropertyIter<'a> {
    /// Those that are to come.
    flags: u16,
    reader: Reader<'a>,
}

impl<'a> PropertyIter<'a> {
    #[inline]
    fn read(&mut self, property: Property) -> Option<PropertyValue<'a>> {
        Some(match property {
            Property::Headers => PropertyValue::Table(self.reader.long_string()?),
            Property::DeliveryMode | Property::Priority => PropertyValue::Octet(self.reader.u8()?),
            Property::Timestamp => PropertyValue::Timestamp(self.reader.u64()?),
            _ => PropertyValue::ShortString(self.reader.short_string()?),
        })
    }
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = (Property, PropertyValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // The flags are in the order of the values, so the highest is next; after the last there is
        // none, and nothing at its place.
        let at = usize::try_from(self.flags.leading_zeros()).ok()?;
        let property = *ORDER.get(at)?;
        let value = self.read(property)?;
        self.flags &= !property.flag();
        Some((property, value))
    }
}

/// Properties that are being built, property by property in their order.
#[derive(Clone, Debug, Default)]
pub struct PropertiesBuf {
    flags: u16,
    values: Vec<u8>,
}

impl PropertiesBuf {
    /// No property set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `property`, which must come behind all that are set already: the caller writes them in
    /// the standard's order. A short string is cut at 255 bytes.
    pub fn push(&mut self, property: Property, value: PropertyValue<'_>) {
        debug_assert!(self.flags & (property.flag() | (property.flag() - 1)) == 0);
        self.flags |= property.flag();
        match value {
            PropertyValue::Octet(octet) => self.values.push(octet),
            PropertyValue::ShortString(string) => {
                let len = u8::try_from(string.len()).unwrap_or(u8::MAX);
                self.values.push(len);
                self.values.extend(string.iter().take(usize::from(len)));
            }
            PropertyValue::Table(inside) => {
                let len = u32::try_from(inside.len()).unwrap_or(u32::MAX);
                self.values.extend(len.to_be_bytes());
                self.values.extend(inside);
            }
            PropertyValue::Timestamp(seconds) => self.values.extend(seconds.to_be_bytes()),
        }
    }

    /// Flags and values, as [`Properties`] reads them.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.values.len());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.values);
        bytes
    }
}

/// The same properties with other headers (none if the table is empty) and without those in
/// `removed`. All else stays byte for byte.
#[must_use]
pub fn with_headers(
    properties: Properties<'_>,
    headers: FieldTable<'_>,
    removed: &[Property],
) -> Vec<u8> {
    let mut out = PropertiesBuf::new();
    for property in ORDER {
        if property == Property::Headers {
            if !headers.is_empty() {
                out.push(property, PropertyValue::Table(headers.as_bytes()));
            }
        } else if let Some(value) = properties.value(property)
            && !removed.contains(&property)
        {
            out.push(property, value);
        }
    }
    out.finish()
}

#[cfg(test)]
mod tests;
