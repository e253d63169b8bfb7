//! What one link is told; the values come from the gateway's configuration.

use routing::{OutboxLimits, Overflow, TopicFilter};

use crate::{Raw, TopicTemplate};

/// One link.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How a message becomes a datagram.
    pub codec: Raw,
    /// The topic of what comes in.
    pub topic: TopicTemplate,
    /// What goes out; empty for a link that only receives.
    pub filters: Vec<TopicFilter>,
    /// What may wait for the socket. The oldest gives way: on a link without acknowledgements the
    /// newest value is the one that counts.
    pub waiting: OutboxLimits,
}

/// Datagrams that may wait for the socket, of one link.
const WAITING_MAX: usize = 10_000;

/// Their bytes: 10,000 that fill an Ethernet frame.
const WAITING_BYTES_MAX: usize = 16 << 20;

impl Default for Settings {
    fn default() -> Self {
        Self {
            // What an Ethernet frame holds: 1500 less the headers of IPv4 and UDP.
            codec: Raw {
                payload_bytes_max: 1472,
            },
            topic: TopicTemplate::default(),
            filters: Vec::new(),
            waiting: OutboxLimits {
                items_max: WAITING_MAX,
                bytes_max: WAITING_BYTES_MAX,
                overflow: Overflow::DropOldest,
            },
        }
    }
}
