//! The only bridge between datagrams and the core's words.
//!
//! | message | raw datagram |
//! | --- | --- |
//! | address | the link's template in; nothing out |
//! | payload | the datagram |
//! | QoS | 0 in |
//! | expiry | none in; an expired message is not sent |
//! | everything else | absent in; left out |

use std::sync::Arc;

use bytes::Bytes;
use routing::{Message, MessageBuilder, Origin, Properties, Resolved, SubscriberId};

/// LAN datagrams as a source of messages. They have no properties.
pub static ORIGIN: Origin = Origin {
    tag: 4,
    name: "lan",
    decode: no_properties,
};

fn no_properties(_: &Bytes) -> Properties {
    Properties::default()
}

/// The message of a payload that came in. It names the link as its publisher, so that the link's
/// own no-local subscriptions do not send it out again.
pub(crate) fn message(to: &Resolved, payload: Bytes, link: SubscriberId) -> Arc<Message> {
    let (address, exchange) = (to.address.clone(), to.exchange.name.clone());
    let mut builder = MessageBuilder::new(address, exchange, payload, &ORIGIN);
    builder.publisher = Some(link);
    builder.build()
}
