//! The words of `lan::sn` as MQTT 5 packets and back: the one place where the two protocols meet.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use lan::sn::{Connect, Downward, Publish, ReturnCode, Upward};
use mqtt::wire::property::{Place, Properties, Property};
use mqtt::wire::subscribe::{Subscription, SubscriptionOptions};
use mqtt::wire::{
    self, Ack, Disconnect, Malformed, Packet, PacketType, PublishHead, Qos, ReasonCode, Sender,
    SizeLimits, Subscribe, Unsubscribe, Utf8String, Version,
};

/// How long the session of a client without one outlives its connection: long enough to connect
/// again with another will.
const SHORT_SESSION_SECS: u32 = 5;

/// Appends the packet of a word. A word that has none (an identifier of 0, a name that is no text)
/// appends nothing; the state machine lets none through.
pub(super) fn encode(word: &Upward, prefix: &str, receive_max: u16, out: &mut Vec<u8>) {
    let ack = |id: &u16, kind: PacketType, out: &mut Vec<u8>| {
        if let Some(id) = NonZeroU16::new(*id) {
            out.extend(Ack::success(id).encode(kind, Version::V5).as_bytes());
        }
    };
    match word {
        Upward::Connect(connect) => {
            if let Ok(packet) = connect_packet(connect, prefix, receive_max) {
                packet.encode(out);
            }
        }
        Upward::Publish(message) => publish(message, out),
        Upward::Puback(id) => ack(id, PacketType::Puback, out),
        Upward::Pubrec(id) => ack(id, PacketType::Pubrec, out),
        Upward::Pubrel(id) => ack(id, PacketType::Pubrel, out),
        Upward::Pubcomp(id) => ack(id, PacketType::Pubcomp, out),
        Upward::Subscribe { id, filter, qos } => {
            if let (Some(packet_id), Ok(filter)) = (NonZeroU16::new(*id), text(filter)) {
                let options = SubscriptionOptions {
                    qos: Qos::of(*qos).unwrap_or_default(),
                    ..SubscriptionOptions::default()
                };
                let packet = Subscribe {
                    packet_id,
                    properties: Properties::default(),
                    subscriptions: vec![Subscription { filter, options }],
                };
                packet.encode(Version::V5, out);
            }
        }
        Upward::Unsubscribe { id, filter } => {
            if let (Some(packet_id), Ok(filter)) = (NonZeroU16::new(*id), text(filter)) {
                let packet = Unsubscribe {
                    packet_id,
                    properties: Properties::default(),
                    filters: vec![filter],
                };
                packet.encode(Version::V5, out);
            }
        }
        Upward::Disconnect { keeps_session } => {
            let mut packet = Disconnect::because(ReasonCode::SUCCESS);
            if !keeps_session {
                let none = Property::SessionExpiryInterval(0);
                packet.properties = Properties::of(none, Place::Disconnect);
            }
            packet.encode(Version::V5, out);
        }
        Upward::Lost => {}
    }
}

fn text(bytes: &Bytes) -> Result<Utf8String, Malformed> {
    Utf8String::try_from(bytes.clone())
}

fn connect_packet(
    connect: &Connect,
    prefix: &str,
    receive_max: u16,
) -> Result<wire::Connect, Malformed> {
    let expiry_secs = if connect.is_short {
        SHORT_SESSION_SECS
    } else {
        // As long as the gateway's settings let it.
        u32::MAX
    };
    let mut properties = Vec::new();
    Property::SessionExpiryInterval(expiry_secs).write(&mut properties);
    Property::ReceiveMaximum(receive_max).write(&mut properties);
    let mut client_id = BytesMut::from(prefix);
    client_id.extend_from_slice(&connect.client);
    let will = connect.will.as_ref().map(|will| {
        Ok(wire::Will {
            topic: text(&will.topic)?,
            payload: will.payload.clone(),
            qos: Qos::of(will.qos).unwrap_or_default(),
            retain: will.retain,
            properties: Properties::default(),
        })
    });
    Ok(wire::Connect {
        version: Version::V5,
        is_bridge: false,
        clean_start: connect.clean,
        // Who is silent is found out on this side.
        keep_alive_secs: 0,
        properties: Properties::from_block(properties.into(), Place::Connect)?,
        client_id: text(&client_id.freeze())?,
        will: will.transpose()?,
        user_name: None,
        password: None,
    })
}

fn publish(message: &Publish, out: &mut Vec<u8>) {
    let head = PublishHead {
        dup: message.dup,
        qos: Qos::of(message.qos).unwrap_or_default(),
        retain: message.retain,
        topic: &message.topic,
        packet_id: NonZeroU16::new(message.id),
        payload_len: message.payload.len(),
        ..PublishHead::default()
    };
    head.encode(Version::V5, out);
    out.extend_from_slice(&message.payload);
}

/// Takes the next packet off `input` that says something to a client; `Ok(None)` until there is
/// one.
///
/// # Errors
/// [`Malformed`], which our own side never is.
pub(super) fn decode(
    input: &mut BytesMut,
    sizes: &SizeLimits,
) -> Result<Option<Downward>, Malformed> {
    while let Some(packet) = wire::decode(input, Version::V5, Sender::Server, sizes)? {
        let word = match packet {
            Packet::Connack(connack) => Downward::Connack(code(connack.reason)),
            Packet::Publish(it) => Downward::Publish(Publish {
                topic: it.topic.as_bytes().clone(),
                payload: it.payload,
                qos: it.qos.bits(),
                retain: it.retain,
                dup: it.dup,
                id: it.packet_id.map_or(0, NonZeroU16::get),
            }),
            Packet::Puback(ack) => Downward::Puback(ack.packet_id.get(), code(ack.reason)),
            Packet::Pubrec(ack) => Downward::Pubrec(ack.packet_id.get(), code(ack.reason)),
            Packet::Pubrel(ack) => Downward::Pubrel(ack.packet_id.get()),
            Packet::Pubcomp(ack) => Downward::Pubcomp(ack.packet_id.get()),
            Packet::Suback(ack) => {
                let reason = ack.codes.first().copied();
                let reason = reason.unwrap_or(ReasonCode::UNSPECIFIED_ERROR);
                let granted = match reason.is_failure() {
                    true => Err(code(reason)),
                    false => Ok(reason.0),
                };
                Downward::Suback(ack.packet_id.get(), granted)
            }
            Packet::Unsuback(ack) => Downward::Unsuback(ack.packet_id.get()),
            // The end of the stream follows.
            Packet::Disconnect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::Pingreq
            | Packet::Pingresp
            | Packet::Auth(_) => continue,
        };
        return Ok(Some(word));
    }
    Ok(None)
}

/// What MQTT-SN has for a reason.
fn code(reason: ReasonCode) -> ReturnCode {
    match reason {
        reason if !reason.is_failure() => ReturnCode::Accepted,
        ReasonCode::QUOTA_EXCEEDED
        | ReasonCode::SERVER_BUSY
        | ReasonCode::SERVER_UNAVAILABLE
        | ReasonCode::RECEIVE_MAXIMUM_EXCEEDED => ReturnCode::Congestion,
        ReasonCode::TOPIC_NAME_INVALID | ReasonCode::TOPIC_FILTER_INVALID => {
            ReturnCode::InvalidTopic
        }
        _ => ReturnCode::NotSupported,
    }
}
