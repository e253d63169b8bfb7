//! An MQTT-SN 1.2 gateway: devices that speak datagrams are MQTT clients by it. Each has an MQTT
//! connection of its own (a [`Line`]), so that sessions, wills, rights and exactly-once are MQTT's
//! and are written once; here is what MQTT-SN adds: ids for topics, sleep, repetition, discovery.
//!
//! No socket and no clock: `gateway/src/net/mqtt_sn` has them. Begin reading at `client`.

mod client;
mod effects;
mod gateway;
mod ids;
mod inbound;
mod names;
mod outbound;
mod outstanding;
mod packet;
mod session;
mod settings;
mod words;

pub use effects::{Counts, Receivers, Transmit};
pub use gateway::Gateway;
pub use packet::ReturnCode;
pub use settings::Settings;
pub use words::{Connect, Downward, Line, Publish, Upward, Will};
