//! The only bridge between AMQP's words and the core's: properties, tables, names and errors.
//!
//! Conversions follow the rules of the project's conversion page, named here by their ids. A
//! message that AMQP wrote is never converted on its way to AMQP: its bytes are relayed
//! (C-properties-4).

mod dead_letter;
mod inbound;
mod outbound;

use bytes::Bytes;
use routing::{
    Access, Error, Identity, Message, Origin, Timestamp, VHost, WireForm, delay::DELAY_HEADER,
    error::Kind,
};

use crate::{
    error::{Refused, ReplyCode},
    wire::{
        properties::{Properties, Property, with_headers},
        table::{TableBuf, Value},
    },
};

pub use inbound::{header_says_true, table_of};

/// AMQP 0-9-1 as the source of messages: the raw property bytes are flags and values of the content
/// header.
pub static ORIGIN: Origin = Origin {
    tag: 1,
    name: "amqp",
    decode: inbound::decode,
};

/// Longest short string in bytes: routing keys, names, properties.
pub const SHORT_STRING_BYTES_MAX: usize = 255;

/// Flags and values for the content header of `message` to an AMQP receiver.
#[must_use]
pub fn content_properties(now: Timestamp, message: &Message) -> Bytes {
    if message.origin.tag == ORIGIN.tag {
        if message.deaths.is_none() && !message.is_delayed {
            return message.raw_properties.clone();
        }
        let form = message.wire_form(WireForm::AmqpHeader, || rewritten(message));
        return form.clone();
    }
    // The time left changes with each delivery, so such a form cannot be shared (C-expiry-1).
    if message.expires_at.is_some() {
        return outbound::encode(now, message).into();
    }
    message
        .wire_form(WireForm::AmqpHeader, || {
            outbound::encode(now, message).into()
        })
        .clone()
}

/// An AMQP publisher's own properties after what happened to its message on the way.
fn rewritten(message: &Message) -> Bytes {
    let raw = &message.raw_properties;
    // They were checked when they were published; damaged ones are relayed as they are.
    let Ok(properties) = Properties::new(raw) else {
        return raw.clone();
    };
    let mut headers = TableBuf::from(properties.headers());
    if message.is_delayed {
        turn_delay(&mut headers);
    }
    let Some(deaths) = &message.deaths else {
        return with_headers(properties, headers.table(), &[]).into();
    };
    if deaths.is_readdressed {
        headers.remove(b"CC");
    }
    dead_letter::put_headers(&mut headers, deaths);
    // A dead letter has no time to live.
    with_headers(properties, headers.table(), &[Property::Expiration]).into()
}

/// The delay as who has waited for it sees it: negative, so that nobody delays the message again.
fn turn_delay(headers: &mut TableBuf) {
    let delay_ms = match headers.table().value(DELAY_HEADER.as_bytes()) {
        Some(Value::I8(number)) => i64::from(number),
        Some(Value::U8(number)) => i64::from(number),
        Some(Value::I16(number)) => i64::from(number),
        Some(Value::U16(number)) => i64::from(number),
        Some(Value::I32(number)) => i64::from(number),
        Some(Value::U32(number)) => i64::from(number),
        Some(Value::I64(number)) => number,
        Some(Value::LongString(text)) => {
            let number = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok());
            number.unwrap_or(0)
        }
        _ => 0,
    };
    // The name is short, so it fits.
    let _fits = headers.set(
        DELAY_HEADER.as_bytes(),
        Value::I64(delay_ms.saturating_neg()),
    );
}

/// The same properties with RabbitMQ's headers that count earlier deliveries (quorum queues): by
/// its version 4 `x-acquired-count`, and `x-delivery-count` as all versions have it.
#[must_use]
pub fn with_delivery_count(properties: &Bytes, count: u32) -> Bytes {
    let Ok(parsed) = Properties::new(properties) else {
        return properties.clone();
    };
    let mut headers = TableBuf::from(parsed.headers());
    for name in ["x-acquired-count", "x-delivery-count"] {
        // The names are short, so they fit.
        let _fits = headers.set(name.as_bytes(), Value::I64(count.into()));
    }
    with_headers(parsed, headers.table(), &[]).into()
}

/// Writes the routing key of `message` into `key`, cut to what a short string holds (C-address-6).
pub fn put_routing_key(message: &Message, key: &mut Vec<u8>) {
    key.clear();
    message.address.put_routing_key(key);
    if key.len() > SHORT_STRING_BYTES_MAX {
        key.truncate(outbound::cut_len(key));
    }
}

/// The stored properties of an AMQP message, to be read again.
///
/// # Errors
/// [`Refused`] with what is malformed.
pub fn parse_properties(raw: &Bytes) -> Result<Properties<'_>, Refused> {
    Properties::new(raw).map_err(Refused::from)
}

/// `queue 'q' in vhost '/'`
#[must_use]
pub fn described(kind: Kind, name: &str, vhost: &VHost) -> String {
    format!("{} '{name}' in vhost '{}'", kind.as_str(), vhost.name)
}

/// A refusal of the core in RabbitMQ's words.
#[must_use]
pub fn refused(error: Error, vhost: &VHost) -> Refused {
    let code = code_of(&error);
    let text = match error {
        Error::NotFound { kind, name } => format!("no {}", described(kind, &name, vhost)),
        Error::Inequivalent {
            kind,
            name,
            argument,
            received,
            current,
        } => format!(
            "inequivalent arg '{argument}' for {}: received {received} but current is {current}",
            described(kind, &name, vhost)
        ),
        Error::Locked { name } => format!(
            "cannot obtain exclusive access to locked {}. It could be originally declared on \
             another connection or the exclusive property value does not match that of the \
             original declaration.",
            described(Kind::Queue, &name, vhost)
        ),
        Error::ExclusiveUse { name } => {
            format!("{} in exclusive use", described(Kind::Queue, &name, vhost))
        }
        Error::InUse { kind, name } => format!("{} in use", described(kind, &name, vhost)),
        Error::NotEmpty { name } => format!("{} not empty", described(Kind::Queue, &name, vhost)),
        Error::Reserved { kind, name } => {
            format!(
                "{} name '{name}' contains reserved prefix 'amq.*'",
                kind.as_str()
            )
        }
        Error::DefaultExchange => "operation not permitted on the default exchange".into(),
        Error::Internal { name } => {
            format!(
                "cannot publish to internal {}",
                described(Kind::Exchange, &name, vhost)
            )
        }
        Error::InvalidArgument {
            kind,
            name,
            argument,
            reason,
        } => {
            format!(
                "invalid arg '{argument}' for {}: {reason}",
                described(kind, &name, vhost)
            )
        }
        Error::UnfitQueue {
            name,
            what,
            queue_type,
        } => {
            let queue = described(Kind::Queue, &name, vhost);
            let of_type = queue_type.map(|queue_type| format!(" of queue type {queue_type}"));
            format!("invalid {what} for {queue}{}", of_type.unwrap_or_default())
        }
        Error::Invalid { reason } => reason,
        Error::NotImplemented { what } => what.into(),
        Error::LimitReached { what, limit } => format!("the limit of {limit} {what} is reached"),
    };
    Refused::new(code, text)
}

fn code_of(error: &Error) -> ReplyCode {
    match error {
        Error::NotFound { .. } => ReplyCode::NotFound,
        Error::Locked { .. } => ReplyCode::ResourceLocked,
        Error::ExclusiveUse { .. }
        | Error::Reserved { .. }
        | Error::DefaultExchange
        | Error::Internal { .. } => ReplyCode::AccessRefused,
        Error::Inequivalent { .. }
        | Error::InUse { .. }
        | Error::NotEmpty { .. }
        | Error::InvalidArgument { .. }
        | Error::UnfitQueue { .. }
        | Error::Invalid { .. }
        | Error::LimitReached { .. } => ReplyCode::PreconditionFailed,
        Error::NotImplemented { .. } => ReplyCode::NotImplemented,
    }
}

/// Missing permission, in RabbitMQ's words. The default exchange is called `amq.default`.
#[must_use]
pub fn access_refused(
    access: Access,
    kind: Kind,
    name: &str,
    vhost: &VHost,
    identity: &Identity,
) -> Refused {
    let text = format!(
        "{} access to {} refused for user '{}'",
        access.as_str(),
        described(kind, name, vhost),
        identity.user
    );
    Refused::new(ReplyCode::AccessRefused, text)
}

/// A key that the user may not use at a topic exchange, in RabbitMQ's words.
#[must_use]
pub fn key_refused(
    access: Access,
    (exchange, key): (&str, &[u8]),
    vhost: &str,
    identity: &Identity,
) -> Refused {
    let text = format!(
        "{} access to topic '{}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{}'",
        access.as_str(),
        String::from_utf8_lossy(key),
        identity.user
    );
    Refused::new(ReplyCode::AccessRefused, text)
}

#[cfg(test)]
mod tests;
