//! An AMQP message's property bytes as the core's neutral properties: what other protocols read of
//! it, and what the headers exchange matches on.

use bytes::Bytes;
use routing::{Properties as Neutral, ReplyTo, Table, Value};

use crate::wire::{
    properties::{Properties, Property, PropertyValue},
    table::{self, Entries, FieldTable, Values},
};

/// Reads property bytes that were checked when they were published; damaged ones end early.
pub(super) fn decode(raw: &Bytes) -> Neutral {
    let mut neutral = Neutral::default();
    let Ok(properties) = Properties::new(raw) else {
        return neutral;
    };
    for (property, value) in properties.iter() {
        match value {
            PropertyValue::ShortString(text) => {
                put_text(&mut neutral, property, raw.slice_ref(text));
            }
            PropertyValue::Table(inside) => {
                neutral.headers = table_of(FieldTable::new(inside), Some(raw));
                neutral.copies = copies(&neutral.headers);
            }
            PropertyValue::Timestamp(seconds) => neutral.timestamp = Some(seconds),
            PropertyValue::Octet(octet) if property == Property::Priority => {
                neutral.priority = Some(octet);
            }
            // The delivery mode is the message's QoS.
            PropertyValue::Octet(_) => {}
        }
    }
    neutral
}

/// The keys in the header `CC`.
fn copies(headers: &Table) -> Vec<Bytes> {
    let Some(Value::Array(keys)) = headers.get("CC") else {
        return Vec::new();
    };
    let keys = keys.iter().filter_map(|key| match key {
        Value::Text(key) => Some(key.clone()),
        _ => None,
    });
    keys.collect()
}

/// The cluster id is left out (C-properties-1).
fn put_text(neutral: &mut Neutral, property: Property, text: Bytes) {
    match property {
        Property::ContentType => neutral.content_type = Some(text),
        Property::ContentEncoding => neutral.content_encoding = Some(text),
        Property::CorrelationId => neutral.correlation_id = Some(text),
        Property::ReplyTo => neutral.reply_to = Some(ReplyTo::Queue(text)),
        Property::MessageId => neutral.message_id = Some(text),
        Property::Type => neutral.message_type = Some(text),
        Property::UserId => neutral.user_id = Some(text),
        Property::AppId => neutral.app_id = Some(text),
        Property::Expiration => {
            neutral.expiration_ms = std::str::from_utf8(&text)
                .ok()
                .and_then(|ms| ms.parse().ok());
        }
        Property::Headers
        | Property::DeliveryMode
        | Property::Priority
        | Property::Timestamp
        | Property::ClusterId => {}
    }
}

/// Whether a header's value means yes: true, an integer other than 0, or the text `true`
/// (C-retain-1).
#[must_use]
pub fn header_says_true(value: table::Value<'_>) -> bool {
    match value {
        table::Value::Bool(flag) => flag,
        table::Value::LongString(text) => text == b"true",
        table::Value::I8(number) => number != 0,
        table::Value::U8(number) => number != 0,
        table::Value::I16(number) => number != 0,
        table::Value::U16(number) => number != 0,
        table::Value::I32(number) => number != 0,
        table::Value::U32(number) => number != 0,
        table::Value::I64(number) => number != 0,
        _ => false,
    }
}

/// The core's form of a table. Texts are slices of `owner`, if the table lies in it, else copies.
///
/// A loop over a stack of open tables and arrays, because a peer decides how deep they are.
#[must_use]
pub fn table_of(table: FieldTable<'_>, owner: Option<&Bytes>) -> Table {
    let mut open = Open::table(Bytes::new(), table);
    let mut outer: Vec<Open<'_>> = Vec::new();
    loop {
        match open.next(owner) {
            Some((name, table::Value::Table(inner))) => {
                outer.push(std::mem::replace(&mut open, Open::table(name, inner)));
            }
            Some((name, table::Value::Array(inner))) => {
                outer.push(std::mem::replace(&mut open, Open::array(name, inner)));
            }
            Some((name, value)) => open.add(name, leaf(value, owner)),
            None => {
                let Some(parent) = outer.pop() else {
                    return open.into_table();
                };
                let inner = std::mem::replace(&mut open, parent);
                let (name, value) = inner.close();
                open.add(name, value);
            }
        }
    }
}

/// A table or an array that is being read, and what was read of it so far.
struct Open<'a> {
    /// Its name in its parent; empty in an array.
    name: Bytes,
    rest: Rest<'a>,
}

enum Rest<'a> {
    Array(Values<'a>, Vec<Value>),
    Table(Entries<'a>, Table),
}

impl<'a> Open<'a> {
    fn table(name: Bytes, table: FieldTable<'a>) -> Self {
        Self {
            name,
            rest: Rest::Table(table.entries(), Table::default()),
        }
    }

    fn array(name: Bytes, array: table::FieldArray<'a>) -> Self {
        Self {
            name,
            rest: Rest::Array(array.values(), Vec::new()),
        }
    }

    fn next(&mut self, owner: Option<&Bytes>) -> Option<(Bytes, table::Value<'a>)> {
        match &mut self.rest {
            Rest::Array(values, _) => values.next().map(|value| (Bytes::new(), value)),
            Rest::Table(entries, _) => entries
                .next()
                .map(|entry| (bytes_of(entry.name, owner), entry.value)),
        }
    }

    fn add(&mut self, name: Bytes, value: Value) {
        match &mut self.rest {
            Rest::Array(_, values) => values.push(value),
            Rest::Table(_, table) => table.push(name, value),
        }
    }

    fn close(self) -> (Bytes, Value) {
        let value = match self.rest {
            Rest::Array(_, values) => Value::Array(values),
            Rest::Table(_, table) => Value::Table(table),
        };
        (self.name, value)
    }

    fn into_table(self) -> Table {
        match self.rest {
            Rest::Array(..) => Table::default(),
            Rest::Table(_, table) => table,
        }
    }
}

fn bytes_of(bytes: &[u8], owner: Option<&Bytes>) -> Bytes {
    owner.map_or_else(
        || Bytes::copy_from_slice(bytes),
        |owner| owner.slice_ref(bytes),
    )
}

/// A value that holds no others.
fn leaf(value: table::Value<'_>, owner: Option<&Bytes>) -> Value {
    match value {
        table::Value::Binary(bytes) => Value::Binary(bytes_of(bytes, owner)),
        table::Value::Bool(flag) => Value::Bool(flag),
        table::Value::Decimal { scale, unscaled } => Value::Decimal {
            scale,
            value: unscaled,
        },
        table::Value::F64(number) => Value::F64(number),
        table::Value::F32(number) => Value::F32(number),
        table::Value::I8(number) => Value::I8(number),
        table::Value::I16(number) => Value::I16(number),
        table::Value::I32(number) => Value::I32(number),
        table::Value::I64(number) => Value::I64(number),
        table::Value::LongString(bytes) => Value::Text(bytes_of(bytes, owner)),
        table::Value::Timestamp(seconds) => Value::Timestamp(seconds),
        table::Value::U8(number) => Value::U8(number),
        table::Value::U16(number) => Value::U16(number),
        table::Value::U32(number) => Value::U32(number),
        table::Value::Array(_) | table::Value::Table(_) | table::Value::Void => Value::Void,
    }
}
