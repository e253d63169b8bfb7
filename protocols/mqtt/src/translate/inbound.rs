//! An MQTT 5 property block as the core's neutral properties: what AMQP reads of an MQTT message.

use bytes::Bytes;
use routing::{Properties as Neutral, ReplyTo, Value, reply};

use crate::wire::property::{Place, Properties, Property};

/// The longest AMQP short string, in bytes.
pub(super) const SHORT_STRING_BYTES_MAX: usize = 255;

/// What a CloudEvent must have, each once (rule C-cloudevents-2).
const CLOUD_EVENT_ATTRIBUTES: [&str; 4] = ["specversion", "id", "source", "type"];

/// User properties by name and value, in order.
type UserProperties<'a> = [(&'a str, &'a str)];

/// Reads a block whose `user-id`, if any, stays a header (rule C-properties-3).
pub(super) fn decode(raw: &Bytes) -> Neutral {
    decode_block(raw, false)
}

/// Reads a block whose `user-id` is the name that its publisher logged in with.
pub(super) fn decode_vouched(raw: &Bytes) -> Neutral {
    decode_block(raw, true)
}

fn decode_block(raw: &Bytes, is_user_vouched: bool) -> Neutral {
    let mut neutral = Neutral::default();
    // The block was checked when it was published; one from a damaged journal reads as empty.
    let Ok(block) = Properties::from_block(raw.clone(), Place::PublishToServer) else {
        return neutral;
    };
    let share = |text: &str| raw.slice_ref(text.as_bytes());
    let mut users = Vec::new();
    for property in &block {
        match property {
            Property::PayloadFormatIndicator(format) => neutral.payload_format = Some(format),
            Property::ContentType(text) => neutral.content_type = Some(share(text)),
            Property::ResponseTopic(topic) => neutral.reply_to = Some(reply_to(raw, topic)),
            Property::CorrelationData(data) => neutral.correlation_id = Some(raw.slice_ref(data)),
            Property::MessageExpiryInterval(seconds) => {
                neutral.expiration_ms = Some(u64::from(seconds) * 1000);
            }
            Property::UserProperty(name, value) => users.push((name, value)),
            _ => {}
        }
    }
    put_user_properties(raw, &users, is_user_vouched, &mut neutral);
    neutral
}

/// Rule C-reply-3.
fn reply_to(raw: &Bytes, topic: &str) -> ReplyTo {
    match reply::queue_of_topic(topic.as_bytes()) {
        Some(queue) => ReplyTo::Queue(queue),
        None => ReplyTo::Address(raw.slice_ref(topic.as_bytes())),
    }
}

fn put_user_properties(
    raw: &Bytes,
    users: &UserProperties<'_>,
    is_user_vouched: bool,
    neutral: &mut Neutral,
) {
    let is_cloud_event = CLOUD_EVENT_ATTRIBUTES
        .iter()
        .all(|name| occurs_once(users, name));
    for (index, (name, value)) in users.iter().enumerate() {
        let is_first = !users.iter().take(index).any(|(earlier, _)| earlier == name);
        let is_attribute = is_cloud_event && is_attribute_name(name);
        if !is_first || name.len() > SHORT_STRING_BYTES_MAX {
            continue;
        }
        let is_property = !is_attribute && occurs_once(users, name);
        if is_property && put_property(raw, name, value, is_user_vouched, neutral) {
            continue;
        }
        let header = if is_attribute {
            Bytes::from(format!("cloudEvents:{name}"))
        } else {
            raw.slice_ref(name.as_bytes())
        };
        neutral.headers.push(header, header_value(raw, users, name));
    }
}

fn occurs_once(users: &UserProperties<'_>, name: &str) -> bool {
    users.iter().filter(|(other, _)| *other == name).count() == 1
}

/// CloudEvents attribute names consist of lower-case letters and digits.
fn is_attribute_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Rules C-headers-1 and C-headers-2: one value, or all values of a repeated name in their order.
fn header_value(raw: &Bytes, users: &UserProperties<'_>, name: &str) -> Value {
    let text = |value: &str| Value::Text(raw.slice_ref(value.as_bytes()));
    let mut values: Vec<Value> = users
        .iter()
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| text(value))
        .collect();
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Value::Array(values)
        }
        None => Value::Array(values),
    }
}

/// Rule C-properties-2: true if it became a property and is no header.
fn put_property(
    raw: &Bytes,
    name: &str,
    value: &str,
    is_user_vouched: bool,
    neutral: &mut Neutral,
) -> bool {
    let slot = match name {
        "content-encoding" => &mut neutral.content_encoding,
        "message-id" => &mut neutral.message_id,
        "type" => &mut neutral.message_type,
        "app-id" => &mut neutral.app_id,
        "user-id" if is_user_vouched => &mut neutral.user_id,
        "priority" => {
            neutral.priority = parse_priority(value);
            return neutral.priority.is_some();
        }
        "timestamp" => {
            neutral.timestamp = value
                .parse()
                .ok()
                .filter(|secs: &u64| secs.to_string() == value);
            return neutral.timestamp.is_some();
        }
        _ => return false,
    };
    let fits = value.len() <= SHORT_STRING_BYTES_MAX;
    if fits {
        *slot = Some(raw.slice_ref(value.as_bytes()));
    }
    fits
}

/// A decimal of 0 to 255 as a program would write it, so that writing it again changes nothing.
pub(super) fn parse_priority(text: &str) -> Option<u8> {
    text.parse()
        .ok()
        .filter(|priority: &u8| priority.to_string() == text)
}

/// The priority and the claimed user that a publisher wrote as user properties, each if it occurs
/// once: what [`super::message`] needs to know before anybody decodes the block.
pub(super) fn claims(block: &Properties) -> (Option<u8>, Option<&str>) {
    let once = |wanted: &str| {
        let mut values = block.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) if name == wanted => Some(value),
            _ => None,
        });
        values.next().filter(|_| values.next().is_none())
    };
    (once("priority").and_then(parse_priority), once("user-id"))
}
