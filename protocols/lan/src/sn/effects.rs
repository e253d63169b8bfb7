//! What comes of an event: datagrams, words to the MQTT side, and numbers.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use super::packet::Packet;
use super::settings::Settings;
use super::words::{Line, Upward};

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: Receivers,
    /// One packet.
    pub datagram: Bytes,
}

/// Who is sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// One.
    One(SocketAddr),
    /// The whole network.
    All,
}

/// What was counted, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that were packets.
    pub received: u64,
    /// Datagrams given to be sent.
    pub sent: u64,
    /// Datagrams that are not what the specification says.
    pub malformed: u64,
    /// Packets that are not served: forwarder encapsulation, unknown types.
    pub unknown: u64,
    /// Packets that nobody was to send then.
    pub unexpected: u64,
    /// Clients turned away because there are too many.
    pub refused: u64,
    /// Datagrams sent again because they were not answered.
    pub repeated: u64,
    /// Clients given up because they were silent.
    pub lost: u64,
    /// Messages dropped because too many waited for one client.
    pub dropped: u64,
    /// Messages larger than a datagram.
    pub too_large: u64,
    /// Messages for which a client has no topic id left, or that it refused.
    pub unnamed: u64,
}

/// What an event may do.
#[derive(Debug)]
pub(super) struct Effects<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) out: &'a mut VecDeque<Transmit>,
    pub(super) up: &'a mut VecDeque<(Line, Upward)>,
    pub(super) counts: &'a mut Counts,
    pub(super) last_line: &'a mut u64,
}

impl Effects<'_> {
    pub(super) fn send(&mut self, to: SocketAddr, packet: &Packet<'_>) {
        self.transmit(to, packet.encode());
    }

    pub(super) fn transmit(&mut self, to: SocketAddr, datagram: Bytes) {
        self.counts.sent += 1;
        let to = Receivers::One(to);
        self.out.push_back(Transmit { to, datagram });
    }

    /// A line that nobody has had.
    pub(super) fn new_line(&mut self) -> Line {
        *self.last_line += 1;
        Line(*self.last_line)
    }
}
