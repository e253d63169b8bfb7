//! LAN datagrams: a datagram becomes a message on the bus, a message becomes a datagram. No
//! sockets and no clock; the sockets are in `gateway/src/net/lan`.
//!
//! `wire` holds the codecs, `template` and `topics` say which topic is called what, `connection` is
//! the link, [`sn`] a gateway for MQTT-SN clients, `pacing` how fast it sends, `translate` the only
//! bridge to the core's words.

mod connection;
mod pacing;
mod rlan;
mod settings;
pub mod sn;
mod template;
mod topics;
mod translate;
mod wire;

pub use connection::{Link, Taken};
pub use pacing::Pacer;
pub use rlan::{
    Delivered, Outgoing, RLAN_KEYS_MAX, Record, Rlan, RlanCounts, RlanKey, RlanSettings, To,
    decode_properties, encode_properties,
};
pub use settings::{Codec, Settings};
pub use template::{BadTemplate, Envelope, TEMPLATE_BYTES_MAX, TopicTemplate};
pub use topics::{MappedTopic, TopicMap};
pub use translate::ORIGIN;
pub use wire::{
    Arrival, BadField, CHANNEL_BYTES_MAX, Departure, Field, FieldType, Lcm, MqttSn, Raw, SnVersion,
    Uadp, Unread, Unsendable,
};
