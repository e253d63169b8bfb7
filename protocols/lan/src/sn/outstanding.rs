//! What the gateway has sent to a client and is not answered yet. One at a time: so messages keep
//! their order, and small devices are never asked to hold two.

use bytes::Bytes;
use routing::Timestamp;

use super::packet::{Flags, Packet, TopicType};
use super::words::Publish;

/// What is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// WILLTOPIC.
    WillTopic,
    /// WILLMSG.
    WillMessage,
    /// REGACK of this id.
    Regack { topic: u16, name: Bytes },
    /// PUBACK or PUBREC.
    Taken { message: Publish, name: TopicName },
    /// The MQTT side's PUBREL, for which nothing is sent again.
    Release(u16),
    /// PUBCOMP.
    Completed(u16),
}

/// How a topic is called in PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicName {
    pub(super) kind: TopicType,
    pub(super) field: u16,
}

/// Something that was sent, and when it is sent again.
#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    pub(super) awaited: Awaited,
    pub(super) due: Option<Timestamp>,
    /// How often it was sent again.
    pub(super) retries: u8,
}

impl Outstanding {
    /// What was just sent.
    pub(super) fn new(awaited: Awaited, now: Timestamp, retry_ms: u64) -> Self {
        let is_sent = !matches!(awaited, Awaited::Release(_));
        Self {
            awaited,
            due: is_sent.then(|| now.plus_ms(retry_ms)),
            retries: 0,
        }
    }
}

impl Awaited {
    /// The datagram that asks for it, if one does.
    pub(super) fn encode(&self, is_again: bool) -> Option<Bytes> {
        let packet = match self {
            Self::WillTopic => Packet::WillTopicRequest,
            Self::WillMessage => Packet::WillMessageRequest,
            // One registration at a time, so any identifier will do.
            Self::Regack { topic, name } => Packet::Register {
                topic: *topic,
                id: *topic,
                name,
            },
            Self::Taken { message, name } => return Some(publish(message, *name, is_again)),
            Self::Release(_) => return None,
            Self::Completed(id) => Packet::Pubrel(*id),
        };
        Some(packet.encode())
    }
}

/// A PUBLISH.
pub(super) fn publish(message: &Publish, name: TopicName, is_again: bool) -> Bytes {
    let flags = Flags {
        dup: (message.dup || is_again) && message.qos > 0,
        qos: message.qos,
        retain: message.retain,
        topic: name.kind,
        ..Flags::NONE
    };
    let packet = Packet::Publish {
        flags,
        topic: name.field,
        id: if message.qos > 0 { message.id } else { 0 },
        payload: &message.payload,
    };
    packet.encode()
}
