//! rlan: reliable multicast with a seal, as `docs/rlan.md` says it to the byte.
//!
//! `endpoint` is one link's end; it drives `sender` (own stream, repairs, heartbeats) and a
//! `receiver` for each origin heard. `header`, `control`, `record` and `fragment` are the wire,
//! `seal` and `window` keep strangers and old datagrams out.

mod control;
mod endpoint;
mod fragment;
mod header;
mod receiver;
mod record;
mod retry;
mod ring;
mod seal;
mod sender;
mod snapshot;
mod window;

use std::net::SocketAddr;

use bytes::Bytes;

pub use endpoint::Rlan;
pub use record::{Record, decode_properties, encode_properties};
pub use seal::{RLAN_KEYS_MAX, RlanKey};

/// What one end is told.
#[derive(Debug)]
pub struct RlanSettings {
    /// Who this is, for ever; unlike any other's.
    pub origin: u64,
    /// Higher than at any start before. At 1, with a random origin, for one that never sends a
    /// stream.
    pub epoch: u32,
    /// The gateway's id, which its messages carry.
    pub node: u64,
    /// The first seals, all open; none: nothing is sealed.
    pub keys: Vec<RlanKey>,
    /// What cookies are made of: random, of this start.
    pub secret: [u8; 32],
    /// What back-offs are made of: random, need not be secret.
    pub seed: u64,
    /// Whether it sends a stream.
    pub sends: bool,
    /// Whether it delivers what others send.
    pub receives: bool,
    /// The largest datagram, in bytes.
    pub datagram_bytes_max: usize,
    /// The largest payload, in bytes.
    pub message_bytes_max: usize,
    /// What is kept for repairs, in bytes.
    pub repair_bytes_max: usize,
    /// The link's pace, of which each receiver's repairs may take an eighth; 0: none.
    pub bytes_per_second: u64,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To all.
    Group,
    /// To one.
    One(SocketAddr),
}

/// A datagram besides the stream's own: heartbeats, repairs, what receivers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub to: To,
    /// The bytes.
    pub datagram: Bytes,
}

/// A message that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The message.
    pub record: Record,
    /// Whether it is a retained value of a snapshot, and not of the stream.
    pub is_snapshot: bool,
    /// Where its sender was last heard from.
    pub source: SocketAddr,
}

/// What one end counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RlanCounts {
    /// Datagrams of streams that were found missing when later ones came; some are only late.
    pub missing: u64,
    /// Datagrams of streams that will never come.
    pub lost: u64,
    /// Datagrams of streams that came again.
    pub duplicates: u64,
    /// NAKs sent.
    pub naks_sent: u64,
    /// NAKs received.
    pub naks_received: u64,
    /// Datagrams sent again.
    pub repairs: u64,
    /// GONEs sent.
    pub gone: u64,
    /// Datagrams whose seal does not open.
    pub refused: u64,
    /// Datagrams of earlier epochs, and control datagrams seen before.
    pub replays: u64,
    /// Messages that came back to where they entered the LAN, or had gone too far.
    pub loops: u64,
    /// Blocks larger than the link takes.
    pub too_large: u64,
    /// Messages that cannot be read, of those who have the key.
    pub malformed: u64,
}

#[cfg(test)]
mod tests;
