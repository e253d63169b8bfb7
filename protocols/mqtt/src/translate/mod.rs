//! The only bridge between MQTT's words and the core's: messages, properties, QoS, subscriptions
//! and errors. The rules for properties are those of the conversions page; the tests name them.

mod inbound;
mod outbound;
mod text;

use bytes::Bytes;
use routing::{AuthError, Error, Message, MessageBuilder, Name, Origin, QoS, Resolved, Timestamp};

use crate::wire::property::{Properties, Property, id};
use crate::wire::{Publish, Qos, ReasonCode};

/// Messages published by MQTT.
pub static ORIGIN: Origin = Origin {
    tag: 2,
    name: "mqtt",
    decode: inbound::decode,
};

/// Messages published by MQTT whose user property `user-id` is the name that the publisher logged
/// in with (rule C-properties-3). A kind of its own because the property bytes cannot tell, and a
/// claim that is not checked is to keep its place among the headers.
pub static VOUCHED_ORIGIN: Origin = Origin {
    tag: 5,
    name: "mqtt",
    decode: inbound::decode_vouched,
};

/// Every origin of this crate; recovery needs them all.
pub static ORIGINS: [&Origin; 2] = [&ORIGIN, &VOUCHED_ORIGIN];

/// A PUBLISH as the core's message for `to`.
pub(crate) fn message(
    now: Timestamp,
    publish: &Publish,
    to: &Resolved,
    user: Option<&Name>,
) -> MessageBuilder {
    let mut builder = MessageBuilder::new(
        to.address.clone(),
        to.exchange.name.clone(),
        publish.payload.clone(),
        &ORIGIN,
    );
    builder.qos = qos_in(publish.qos);
    builder.retain = publish.retain;
    put_properties(now, &publish.properties, user, &mut builder);
    builder
}

/// What a property block says of its message; the block itself goes along as it is, but for what
/// holds for one hop only.
pub(crate) fn put_properties(
    now: Timestamp,
    block: &Properties,
    user: Option<&Name>,
    builder: &mut MessageBuilder,
) {
    if block.is_empty() {
        return;
    }
    if let Some(Property::MessageExpiryInterval(secs)) = block.find(id::MESSAGE_EXPIRY_INTERVAL) {
        builder.expires_at = Some(now.plus_ms(u64::from(secs) * 1000));
    }
    if block.has(id::USER_PROPERTY) {
        let (priority, claimed) = inbound::claims(block);
        builder.priority = priority.unwrap_or(0);
        if claimed.is_some() && claimed == user.map(Name::as_str) {
            builder.origin = &VOUCHED_ORIGIN;
        }
    }
    builder.raw_properties = lasting(block);
}

/// The block without topic alias, message expiry and will delay: the first holds for one
/// connection, the second is kept as a moment, the third is over when the will is published. No
/// copy if none of them is there.
fn lasting(block: &Properties) -> Bytes {
    const PASSING: [u8; 3] = [
        id::TOPIC_ALIAS,
        id::MESSAGE_EXPIRY_INTERVAL,
        id::WILL_DELAY_INTERVAL,
    ];
    if !PASSING.iter().any(|passing| block.has(*passing)) {
        return block.block().clone();
    }
    let mut kept = Vec::new();
    let is_passing = |property: &Property<'_>| PASSING.contains(&property.id());
    block
        .iter()
        .filter(|property| !is_passing(property))
        .for_each(|property| {
            property.write(&mut kept);
        });
    kept.into()
}

/// True if the message's property bytes are MQTT's own.
pub(crate) fn is_native(message: &Message) -> bool {
    ORIGINS
        .iter()
        .any(|origin| origin.tag == message.origin.tag)
}

/// The properties that every 5.0 receiver of a message from another protocol gets.
pub(crate) fn foreign_properties(message: &Message) -> Vec<u8> {
    outbound::encode(message.properties())
}

/// The Message Expiry Interval to write: seconds left, rounded up (rule C-expiry-2).
pub(crate) fn expiry_secs_left(message: &Message, now: Timestamp) -> Option<u32> {
    let left_ms = message.expires_at?.since_ms(now);
    Some(u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX))
}

/// The core's word for a QoS.
pub(crate) fn qos_in(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

/// MQTT's word for a QoS.
pub(crate) fn qos_out(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// What a client is told of the core's refusal.
pub(crate) fn reason_code(error: &Error) -> ReasonCode {
    match error {
        Error::Locked { .. } | Error::Reserved { .. } | Error::Internal { .. } => {
            ReasonCode::NOT_AUTHORIZED
        }
        // Of the invalid, what reaches MQTT is what the disk has no room for.
        Error::LimitReached { .. } | Error::Invalid { .. } => ReasonCode::QUOTA_EXCEEDED,
        Error::NotFound { .. }
        | Error::Inequivalent { .. }
        | Error::ExclusiveUse { .. }
        | Error::InUse { .. }
        | Error::NotEmpty { .. }
        | Error::DefaultExchange
        | Error::InvalidArgument { .. }
        | Error::UnfitQueue { .. }
        | Error::NotImplemented { .. } => ReasonCode::IMPLEMENTATION_SPECIFIC,
    }
}

/// What a client is told when it is not let in.
pub(crate) fn connect_reason(error: AuthError) -> ReasonCode {
    match error {
        AuthError::BadCredentials => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        AuthError::LoopbackOnly | AuthError::AnonymousRefused => ReasonCode::NOT_AUTHORIZED,
    }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
