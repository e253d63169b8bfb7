//! The only bridge between datagrams and the core's words.
//!
//! | message | raw | mqtt-sn | lcm | uadp |
//! | --- | --- | --- | --- | --- |
//! | address | the link's template in; nothing out | topic or predefined id | channel | writer id |
//! | payload | the datagram | data | payload | fields, as JSON |
//! | QoS | 0 in | 0 in | 0 in | 0 in |
//! | retain | none | flag, both ways | none | none |
//! | expiry | an expired message is not sent | the same | the same | the same |
//! | everything else | left out | left out | left out | left out |

use std::sync::Arc;

use bytes::Bytes;
use routing::{Message, MessageBuilder, Origin, Properties, Resolved, SubscriberId};

use crate::Arrival;

/// LAN datagrams as a source of messages. They have no properties.
pub static ORIGIN: Origin = Origin {
    tag: 4,
    name: "lan",
    decode: no_properties,
};

fn no_properties(_: &Bytes) -> Properties {
    Properties::default()
}

/// The message of what came in. It names the link as its publisher, so that the link's own no-local
/// subscriptions do not send it out again.
pub(crate) fn message(to: &Resolved, arrival: Arrival, link: SubscriberId) -> Arc<Message> {
    let (address, exchange) = (to.address.clone(), to.exchange.name.clone());
    let mut builder = MessageBuilder::new(address, exchange, arrival.payload, &ORIGIN);
    builder.retain = arrival.retain;
    builder.publisher = Some(link);
    builder.build()
}
