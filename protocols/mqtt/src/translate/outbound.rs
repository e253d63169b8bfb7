//! The core's neutral properties as an MQTT 5 property block: what MQTT reads of a message that
//! another protocol published.

use std::collections::HashSet;

use bytes::Bytes;
use routing::{Address, Properties as Neutral, ReplyTo, Table, Value, reply};

use super::text;
use crate::wire::property::Property;
use crate::wire::utf8;

/// Headers that another rule turns into something else, or that no receiver sees (C-headers-7).
const LEFT_OUT: [&str; 6] = [
    "x-mqtt-retain",
    "x-correlation-id",
    "x-reply-to-topic",
    "x-content-type",
    "x-topic",
    "BCC",
];

/// How the AMQP binding of CloudEvents marks its attributes.
const CLOUD_EVENT_PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];

/// The longest UTF-8 encoded string or binary data, in bytes. MQTT 5 §1.5.4
const STRING_BYTES_MAX: usize = 65_535;

/// The whole block, without anything that differs between receivers.
pub(super) fn encode(neutral: &Neutral) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(format) = neutral.payload_format {
        Property::PayloadFormatIndicator(format).write(&mut out);
    }
    if let Some(content_type) = content_type(neutral) {
        put_string(&content_type, Property::ContentType, &mut out);
    }
    if let Some(topic) = response_topic(neutral) {
        put_string(&topic, Property::ResponseTopic, &mut out);
    }
    if let Some(data) = correlation_data(neutral).filter(|data| data.len() <= STRING_BYTES_MAX) {
        Property::CorrelationData(data).write(&mut out);
    }
    put_user_properties(neutral, &mut out);
    out
}

fn put_string<'a>(text: &'a str, of: fn(&'a str) -> Property<'a>, out: &mut Vec<u8>) {
    if text.len() <= STRING_BYTES_MAX {
        of(text).write(out);
    }
}

/// Rule C-content-type.
fn content_type(neutral: &Neutral) -> Option<String> {
    let long = || match neutral.headers.get("x-content-type") {
        Some(Value::Text(bytes)) => Some(bytes),
        _ => None,
    };
    neutral
        .content_type
        .as_ref()
        .or_else(long)
        .map(|bytes| text::of_text(bytes))
}

/// Rules C-reply-1 and C-reply-5.
fn response_topic(neutral: &Neutral) -> Option<String> {
    let topic = match &neutral.reply_to {
        Some(ReplyTo::Address(topic)) => topic.clone(),
        Some(ReplyTo::Queue(name)) => match name.strip_prefix(reply::TOPIC_PREFIX.as_bytes()) {
            Some(topic) => name.slice_ref(topic),
            None => reply::topic_of_queue(name),
        },
        None => match neutral.headers.get("x-reply-to-topic") {
            Some(Value::Text(key)) => Address::from_routing_key(key).as_bytes().clone(),
            _ => return None,
        },
    };
    // A receiver would have to close the connection over a response topic that is none.
    let is_sound = Address::new(topic.clone()).is_topic() && utf8::check(&topic).is_ok();
    String::from_utf8(topic.into()).ok().filter(|_| is_sound)
}

/// Rules C-correlation-1 and C-correlation-2.
fn correlation_data(neutral: &Neutral) -> Option<&Bytes> {
    let in_header = || match neutral.headers.get("x-correlation-id") {
        Some(Value::Binary(bytes) | Value::Text(bytes)) => Some(bytes),
        _ => None,
    };
    neutral.correlation_id.as_ref().or_else(in_header)
}

/// Rules C-properties-1 and C-headers-3 to C-headers-7, C-cloudevents-1.
fn put_user_properties(neutral: &Neutral, out: &mut Vec<u8>) {
    let attributes = CloudEvent::of(&neutral.headers);
    for (name, value) in properties(neutral) {
        if !attributes.has(name) {
            put_user_property(name, &value, out);
        }
    }
    let mut written = HashSet::new();
    for (name, value) in &neutral.headers.0 {
        let Ok(name) = utf8::check(name) else {
            continue;
        };
        if LEFT_OUT.contains(&name) {
            continue;
        }
        match attributes.name_of(name) {
            Some(attribute) if written.insert(attribute) => put_header(attribute, value, out),
            None if !attributes.has(name) => put_header(name, value, out),
            _ => {}
        }
    }
}

/// The other AMQP properties, in the order of rule C-properties-1.
fn properties(neutral: &Neutral) -> impl Iterator<Item = (&'static str, String)> {
    let of_text = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| text::of_text(bytes));
    let all = [
        ("content-encoding", of_text(&neutral.content_encoding)),
        (
            "priority",
            neutral.priority.map(|priority| priority.to_string()),
        ),
        ("message-id", of_text(&neutral.message_id)),
        ("timestamp", neutral.timestamp.map(|secs| secs.to_string())),
        ("type", of_text(&neutral.message_type)),
        ("user-id", of_text(&neutral.user_id)),
        ("app-id", of_text(&neutral.app_id)),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}

/// An array is one user property per element (C-headers-4).
fn put_header(name: &str, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(values) => {
            values
                .iter()
                .for_each(|value| put_user_property(name, &text::of_value(value), out));
        }
        value => put_user_property(name, &text::of_value(value), out),
    }
}

fn put_user_property(name: &str, value: &str, out: &mut Vec<u8>) {
    if name.len() <= STRING_BYTES_MAX && value.len() <= STRING_BYTES_MAX {
        Property::UserProperty(name, value).write(out);
    }
}

/// The attributes of a CloudEvent in the AMQP binding; empty for any other message.
struct CloudEvent<'a> {
    names: HashSet<&'a str>,
}

impl<'a> CloudEvent<'a> {
    fn of(headers: &'a Table) -> Self {
        let is_event = CLOUD_EVENT_PREFIXES
            .iter()
            .any(|prefix| headers.get(&format!("{prefix}specversion")).is_some());
        let names = headers
            .0
            .iter()
            .filter(|_| is_event)
            .filter_map(|(name, _)| std::str::from_utf8(name).ok().and_then(without_prefix));
        Self {
            names: names.collect(),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The attribute that this header is.
    fn name_of<'n>(&self, header: &'n str) -> Option<&'n str> {
        without_prefix(header).filter(|name| self.has(name))
    }
}

fn without_prefix(header: &str) -> Option<&str> {
    CLOUD_EVENT_PREFIXES
        .iter()
        .find_map(|prefix| header.strip_prefix(prefix))
}
