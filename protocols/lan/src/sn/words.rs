//! What the gateway's MQTT-SN side and its MQTT side say to each other, in neither's bytes.

use bytes::Bytes;

use super::packet::ReturnCode;

/// A connection of the MQTT side: one for each client, and a new one when its will changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line(pub u64);

/// What a client does, as MQTT's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upward {
    /// The first word of a [`Line`].
    Connect(Connect),
    /// A publication.
    Publish(Publish),
    /// A QoS 1 message arrived.
    Puback(u16),
    /// A QoS 2 message arrived.
    Pubrec(u16),
    /// A QoS 2 message's second step.
    Pubrel(u16),
    /// Its last.
    Pubcomp(u16),
    /// A subscription.
    Subscribe {
        /// The answer has it too.
        id: u16,
        /// A valid topic filter.
        filter: Bytes,
        /// 0 to 2.
        qos: u8,
    },
    /// Its end.
    Unsubscribe {
        /// The answer has it too.
        id: u16,
        /// A valid topic filter.
        filter: Bytes,
    },
    /// The client leaves, and its will is forgotten.
    Disconnect {
        /// Whether its subscriptions stay.
        keeps_session: bool,
    },
    /// The client is lost, and its will is published.
    Lost,
}

/// How a client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The client identifier, valid UTF-8 and not empty.
    pub client: Bytes,
    /// Whether an old session is forgotten.
    pub clean: bool,
    /// Whether the session ends with the connection.
    pub is_short: bool,
    /// What is published if it is lost.
    pub will: Option<Will>,
}

/// What is published for a client that is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Will {
    /// A valid topic name.
    pub topic: Bytes,
    /// The message.
    pub payload: Bytes,
    /// 0 to 2.
    pub qos: u8,
    /// Whether it becomes a retained value.
    pub retain: bool,
}

/// A message, either way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// A valid topic name.
    pub topic: Bytes,
    /// The message.
    pub payload: Bytes,
    /// 0 to 2.
    pub qos: u8,
    /// Whether it is, or becomes, a retained value.
    pub retain: bool,
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Not 0 above QoS 0.
    pub id: u16,
}

/// What the MQTT side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downward {
    /// Whether the client is let in.
    Connack(ReturnCode),
    /// A message.
    Publish(Publish),
    /// A QoS 1 message is taken, or not.
    Puback(u16, ReturnCode),
    /// A QoS 2 message is taken, or not.
    Pubrec(u16, ReturnCode),
    /// A QoS 2 message's second step.
    Pubrel(u16),
    /// Its last.
    Pubcomp(u16),
    /// A subscription is granted with this QoS, or not.
    Suback(u16, Result<u8, ReturnCode>),
    /// A subscription has ended.
    Unsuback(u16),
    /// The connection is over: taken over, refused, or the gateway stops.
    Closed,
}
