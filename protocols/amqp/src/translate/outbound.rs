//! A message of another protocol as an AMQP content header: flags and values.

use bytes::Bytes;
use routing::reply::TOPIC_PREFIX;
use routing::{Address, Message, Properties as Neutral, QoS, ReplyTo, Timestamp, Value};

use super::{SHORT_STRING_BYTES_MAX, dead_letter};
use crate::wire::{
    properties::{PropertiesBuf, Property, PropertyValue},
    table::{self, ArrayBuf, NameTooLong, TableBuf},
};

/// Tables inside each other, should another protocol ever make some; MQTT makes arrays of texts.
const DEPTH_MAX: usize = 8;

/// The content header of `message`, with the time it has left at `now`.
pub(super) fn encode(now: Timestamp, message: &Message) -> Vec<u8> {
    let neutral = message.properties();
    let mut out = PropertiesBuf::new();
    put_text(
        &mut out,
        Property::ContentType,
        neutral.content_type.as_ref(),
    );
    put_text(
        &mut out,
        Property::ContentEncoding,
        neutral.content_encoding.as_ref(),
    );
    let mut headers = headers(message, neutral);
    if let Some(deaths) = &message.deaths {
        dead_letter::put_headers(&mut headers, deaths);
    }
    if !headers.table().is_empty() {
        out.push(
            Property::Headers,
            PropertyValue::Table(headers.table().as_bytes()),
        );
    }
    let mode = if message.qos == QoS::AtMostOnce { 1 } else { 2 };
    out.push(Property::DeliveryMode, PropertyValue::Octet(mode));
    if let Some(priority) = neutral.priority {
        out.push(Property::Priority, PropertyValue::Octet(priority));
    }
    let correlation = neutral
        .correlation_id
        .as_ref()
        .filter(|id| is_plain_text(id));
    put_text(&mut out, Property::CorrelationId, correlation);
    put_text(&mut out, Property::ReplyTo, reply_to(neutral).as_ref());
    if let Some(at) = message.expires_at {
        let left_ms = at.since_ms(now).to_string();
        out.push(
            Property::Expiration,
            PropertyValue::ShortString(left_ms.as_bytes()),
        );
    }
    put_text(&mut out, Property::MessageId, neutral.message_id.as_ref());
    if let Some(seconds) = neutral.timestamp {
        out.push(Property::Timestamp, PropertyValue::Timestamp(seconds));
    }
    put_text(&mut out, Property::Type, neutral.message_type.as_ref());
    put_text(&mut out, Property::UserId, neutral.user_id.as_ref());
    put_text(&mut out, Property::AppId, neutral.app_id.as_ref());
    out.finish()
}

/// Longer texts are none: the rules have put what can be longer into headers.
fn put_text(out: &mut PropertiesBuf, property: Property, text: Option<&Bytes>) {
    if let Some(text) = text.filter(|text| text.len() <= SHORT_STRING_BYTES_MAX) {
        out.push(property, PropertyValue::ShortString(text));
    }
}

/// C-correlation-1: UTF-8 of at most 255 bytes without control characters.
fn is_plain_text(bytes: &[u8]) -> bool {
    bytes.len() <= SHORT_STRING_BYTES_MAX
        && std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// C-reply-3.
fn reply_to(neutral: &Neutral) -> Option<Bytes> {
    match neutral.reply_to.as_ref()? {
        ReplyTo::Queue(name) => Some(name.clone()),
        ReplyTo::Address(topic) => Some([TOPIC_PREFIX.as_bytes(), topic].concat().into()),
    }
}

fn headers(message: &Message, neutral: &Neutral) -> TableBuf {
    let mut headers = TableBuf::new();
    for (name, value) in &neutral.headers.0 {
        put_header(&mut headers, name, value);
    }
    // The names below are short, so they always fit.
    let mut put = |name: &str, value: table::Value<'_>| {
        let put: Result<(), NameTooLong> = headers.push(name.as_bytes(), value);
        debug_assert!(put.is_ok());
    };
    if let Some(long) = neutral
        .content_type
        .as_ref()
        .filter(|t| t.len() > SHORT_STRING_BYTES_MAX)
    {
        put("x-content-type", table::Value::LongString(long));
    }
    if let Some(bytes) = neutral
        .correlation_id
        .as_ref()
        .filter(|id| !is_plain_text(id))
    {
        put("x-correlation-id", table::Value::Binary(bytes));
    }
    if let Some(ReplyTo::Address(topic)) = &neutral.reply_to {
        let key: Vec<u8> = Address::new(topic.clone()).routing_key().collect();
        put("x-reply-to-topic", table::Value::LongString(&key));
    }
    if message.address.as_bytes().len() > SHORT_STRING_BYTES_MAX {
        put(
            "x-topic",
            table::Value::LongString(message.address.as_bytes()),
        );
    }
    if message.retain {
        put("x-mqtt-retain", table::Value::Bool(true));
    }
    headers
}

/// C-headers-1 and C-headers-2. A name that no field table can hold is left out (C-headers-7).
fn put_header(headers: &mut TableBuf, name: &[u8], value: &Value) {
    with_value(value, DEPTH_MAX, &mut |value| {
        let _left_out = headers.push(name, value).is_err();
    });
}

/// Hands the table's form of `value` to `put`. It calls itself for what is inside, at most
/// [`DEPTH_MAX`] times: these values were made by our own protocols, not by a peer.
fn with_value(value: &Value, depth: usize, put: &mut dyn FnMut(table::Value<'_>)) {
    match value {
        Value::Array(values) if depth > 0 => {
            let mut array = ArrayBuf::new();
            for value in values {
                with_value(value, depth - 1, &mut |value| array.push(value));
            }
            put(table::Value::Array(array.array()));
        }
        Value::Table(entries) if depth > 0 => {
            let mut inner = TableBuf::new();
            for (name, value) in &entries.0 {
                with_value(value, depth - 1, &mut |value| {
                    let _left_out = inner.push(name, value).is_err();
                });
            }
            put(table::Value::Table(inner.table()));
        }
        leaf => put(of_leaf(leaf)),
    }
}

fn of_leaf(value: &Value) -> table::Value<'_> {
    match value {
        Value::Bool(flag) => table::Value::Bool(*flag),
        Value::I8(number) => table::Value::I8(*number),
        Value::U8(number) => table::Value::U8(*number),
        Value::I16(number) => table::Value::I16(*number),
        Value::U16(number) => table::Value::U16(*number),
        Value::I32(number) => table::Value::I32(*number),
        Value::U32(number) => table::Value::U32(*number),
        Value::I64(number) => table::Value::I64(*number),
        Value::F32(number) => table::Value::F32(*number),
        Value::F64(number) => table::Value::F64(*number),
        Value::Decimal { scale, value } => table::Value::Decimal {
            scale: *scale,
            unscaled: *value,
        },
        Value::Text(bytes) => table::Value::LongString(bytes),
        Value::Binary(bytes) => table::Value::Binary(bytes),
        Value::Timestamp(seconds) => table::Value::Timestamp(*seconds),
        Value::Array(_) | Value::Table(_) | Value::Void => table::Value::Void,
    }
}

/// How many bytes of a routing key a short string can hold: whole characters only.
pub(super) fn cut_len(key: &[u8]) -> usize {
    let start = key.get(..SHORT_STRING_BYTES_MAX).unwrap_or(key);
    match std::str::from_utf8(start) {
        Ok(_) => start.len(),
        // A character cut in two ends the text; bytes that are no text are cut where they are.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => start.len(),
    }
}
