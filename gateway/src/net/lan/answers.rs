//! The way back of a link whose receivers answer (`rlan`): its sending socket receives as well,
//! and what is said besides the messages has its own receiver each.

use std::io;

use lan::{Envelope, To, Unread};
use routing::Timestamp;
use tokio::net::UdpSocket;

use super::{BATCH_MAX, LanTask, Sender, Sockets};
use crate::config::LanLink;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

impl LanTask {
    /// Takes one batch of what was sent to this link alone.
    pub(super) fn receive_answers(&mut self, now: Timestamp, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            let Some(sender) = &self.sockets.sender else {
                break;
            };
            match sender.socket.try_recv_from(buffer) {
                Ok((bytes, from)) => {
                    let datagram = buffer.get(..bytes).unwrap_or_default();
                    self.handle_datagram(now, datagram, from);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A receiver that is gone answers so (ICMP); the next datagram shows what else is.
                Err(_) => super::add(&self.counters.failed, 1),
            }
        }
        self.link.flush();
    }

    /// Does what rlan's time asks for.
    pub(super) fn handle_reliable_timeout(&mut self, now: Timestamp) {
        let is_due = self
            .link
            .poll_reliable_timeout()
            .is_some_and(|due| due <= now);
        if !is_due {
            return;
        }
        let source = SocketAddr::new(self.config.destination.address(), self.config.port);
        let at = self.envelope(source);
        match self.link.handle_reliable_timeout(now, at) {
            Ok(_) => {}
            Err(Unread::TooLarge { .. }) => super::add(&self.counters.received_too_large, 1),
            Err(_) => super::add(&self.counters.malformed, 1),
        }
        self.link.flush();
        self.count_reliable();
    }

    pub(super) fn envelope(&self, source: SocketAddr) -> Envelope {
        Envelope {
            group: self.config.destination.address(),
            port: self.config.port,
            source,
        }
    }

    /// Brings what rlan has counted to the metrics.
    pub(super) fn count_reliable(&self) {
        let Some(counts) = self.link.rlan_counts() else {
            return;
        };
        let counters = &self.counters;
        for (counter, count) in [
            (&counters.gaps, counts.lost),
            (&counters.missing, counts.missing),
            (&counters.duplicates, counts.duplicates),
            (&counters.naks_sent, counts.naks_sent),
            (&counters.naks_received, counts.naks_received),
            (&counters.repairs, counts.repairs),
            (&counters.gone, counts.gone),
            (&counters.refused_seals, counts.refused),
            (&counters.replays, counts.replays),
            (&counters.loops, counts.loops),
        ] {
            counter.store(count, Ordering::Relaxed);
        }
    }
}

/// Whether a link needs a socket of its own to send from.
pub(super) fn has_sender(config: &LanLink) -> bool {
    config.direction.sends() || config.codec.answers()
}

/// Where a datagram goes that is no message.
pub(super) const fn destination(sender: &Sender, to: To) -> SocketAddr {
    match to {
        To::Group => sender.to,
        To::One(address) => address,
    }
}

/// Waits until a receiver has answered.
pub(super) async fn answered(sockets: &Sockets, config: &LanLink) {
    let socket: Option<&UdpSocket> = sockets.sender.as_ref().map(|sender| &sender.socket);
    match socket.filter(|_| config.codec.answers()) {
        Some(socket) => socket.readable().await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
