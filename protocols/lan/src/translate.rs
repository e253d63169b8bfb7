//! The only bridge between datagrams and the core's words.
//!
//! | message | raw | mqtt-sn | lcm | uadp | rlan |
//! | --- | --- | --- | --- | --- | --- |
//! | address | template in; nothing out | topic or predefined id | channel | writer id | topic |
//! | payload | the datagram | data | payload | fields, as JSON | payload |
//! | QoS | 0 in | 0 in | 0 in | 0 in | 0 in |
//! | retain | none | flag, both ways | none | none | flag, both ways |
//! | expiry | none goes out expired | the same | the same | the same | what is left, both ways |
//! | other properties | left out | left out | left out | left out | both ways |
//! | node, hops | none | none | none | none | `x-lan-node`, `x-lan-hops` |
//! | user id, what it died of | left out | left out | left out | left out | left out |

use std::sync::Arc;

use bytes::Bytes;
use routing::{
    Message, MessageBuilder, Origin, Properties, Resolved, SubscriberId, Timestamp, Value,
};

use crate::{Arrival, Record, decode_properties};

/// LAN datagrams as a source of messages. Only rlan's have properties: node (8 bytes), hops (1),
/// and the properties as they were on the wire.
pub static ORIGIN: Origin = Origin {
    tag: 4,
    name: "lan",
    decode: properties,
};

/// The headers that say how a message came.
const NODE: &str = "x-lan-node";
const HOPS: &str = "x-lan-hops";

fn properties(raw: &Bytes) -> Properties {
    let Some((head, _)) = raw.split_first_chunk::<9>() else {
        return Properties::default();
    };
    let [node @ .., hops] = *head;
    let node = format!("{:016x}", u64::from_be_bytes(node));
    let mut properties = decode_properties(&raw.slice(head.len()..));
    // In front, where they are found before any that the sender wrote.
    let own = [
        (
            Bytes::from_static(NODE.as_bytes()),
            Value::Text(node.into()),
        ),
        (Bytes::from_static(HOPS.as_bytes()), Value::U8(hops)),
    ];
    properties.headers.0.splice(0..0, own);
    properties
}

/// How a message came that has been on a LAN before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) node: u64,
    pub(crate) hops: u8,
}

impl Forwarded {
    /// What the headers say, if a LAN message has them: those that a client wrote count as well,
    /// so that a program that passes messages on does not hide where they came from.
    pub(crate) fn of(properties: &Properties) -> Option<Self> {
        let node = properties.headers.get(NODE)?.as_str()?;
        let hops = properties.headers.get(HOPS);
        let hops = hops.and_then(|hops| match hops.as_str() {
            Some(text) => text.parse().ok(),
            None => hops.as_i64().and_then(|hops| u8::try_from(hops).ok()),
        });
        Some(Self {
            node: u64::from_str_radix(node, 16).ok()?,
            hops: hops.unwrap_or(0),
        })
    }
}

/// The message of what came in by rlan, as [`message`].
pub(crate) fn record_message(
    now: Timestamp,
    to: &Resolved,
    record: Record,
    link: SubscriberId,
) -> Arc<Message> {
    let (address, exchange) = (to.address.clone(), to.exchange.name.clone());
    let mut raw = Vec::with_capacity(9 + record.properties.len());
    raw.extend_from_slice(&record.node.to_be_bytes());
    raw.push(record.hops);
    raw.extend_from_slice(&record.properties);
    let mut builder = MessageBuilder::new(address, exchange, record.payload, &ORIGIN);
    builder.raw_properties = raw.into();
    builder.retain = record.retain;
    builder.expires_at = record.expiry_ms.map(|left| now.plus_ms(left.into()));
    if !record.properties.is_empty() {
        let properties = decode_properties(&record.properties);
        builder.priority = properties.priority.unwrap_or(0);
    }
    builder.publisher = Some(link);
    builder.build()
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
