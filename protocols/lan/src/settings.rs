//! What one link is told; the values come from the gateway's configuration.

use routing::{OutboxLimits, Overflow, TopicFilter};

use crate::{Lcm, MqttSn, Raw, Rlan, TopicTemplate, Uadp};

/// How a message becomes a datagram.
#[derive(Debug)]
pub enum Codec {
    /// The payload is the datagram.
    Raw(Raw),
    /// MQTT-SN without a session.
    MqttSn(MqttSn),
    /// LCM's UDP multicast.
    Lcm(Lcm),
    /// OPC UA PubSub.
    Uadp(Uadp),
    /// Reliable multicast.
    Rlan(Box<Rlan>),
}

/// One link.
#[derive(Debug)]
pub struct Settings {
    /// How a message becomes a datagram.
    pub codec: Codec,
    /// The topic of what comes in.
    pub topic: TopicTemplate,
    /// What goes out; empty for a link that only receives.
    pub filters: Vec<TopicFilter>,
    /// The largest message in bytes, both ways.
    pub message_bytes_max: usize,
    /// Retained values that are sent again in a second, by turns; 0: none.
    pub carousel_per_second: u16,
    /// What may wait for the socket. The oldest gives way: on a link without acknowledgements the
    /// newest value is the one that counts.
    pub waiting: OutboxLimits,
}

/// Datagrams that may wait for the socket, of one link.
const WAITING_MAX: usize = 10_000;

/// Their bytes: 10,000 that fill an Ethernet frame.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// What an Ethernet frame holds: 1500 less the headers of IPv4 and UDP.
const ONE_FRAME_BYTES: usize = 1472;

impl Default for Settings {
    fn default() -> Self {
        Self {
            codec: Codec::Raw(Raw {
                payload_bytes_max: ONE_FRAME_BYTES,
                split_lines: false,
            }),
            topic: TopicTemplate::default(),
            filters: Vec::new(),
            message_bytes_max: ONE_FRAME_BYTES,
            carousel_per_second: 0,
            waiting: OutboxLimits {
                items_max: WAITING_MAX,
                bytes_max: WAITING_BYTES_MAX,
                overflow: Overflow::DropOldest,
            },
        }
    }
}
