//! What one LAN link counts, for the metrics: each reason for which a datagram or a message is not
//! passed on has its own number.

use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of one link, each since it was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams that were understood. One may be several messages, or a piece of one.
    pub received: AtomicU64,
    /// Datagrams that were given to the network.
    pub sent: AtomicU64,
    /// Datagrams larger than the link takes.
    pub received_too_large: AtomicU64,
    /// Datagrams that came faster than the link takes them.
    pub received_too_fast: AtomicU64,
    /// Messages larger than the link takes.
    pub sent_too_large: AtomicU64,
    /// Datagrams from senders outside `allow_sources`.
    pub refused_sources: AtomicU64,
    /// Datagrams that are not what the codec says they are.
    pub malformed: AtomicU64,
    /// Datagrams that are of no use here: other packets, ids without a topic.
    pub unknown: AtomicU64,
    /// Messages on topics that the codec has no name for.
    pub unnamed: AtomicU64,
    /// Messages whose payload does not hold the topic's fields.
    pub unfit: AtomicU64,
    /// Messages that senders have counted and that did not come.
    pub gaps: AtomicU64,
    /// rlan: datagrams found missing when later ones came; some are only late.
    pub missing: AtomicU64,
    /// rlan: datagrams that came again.
    pub duplicates: AtomicU64,
    /// rlan: requests for what is missing, sent.
    pub naks_sent: AtomicU64,
    /// rlan: and received.
    pub naks_received: AtomicU64,
    /// rlan: datagrams sent again.
    pub repairs: AtomicU64,
    /// rlan: times that a receiver was told it has lost something for good.
    pub gone: AtomicU64,
    /// rlan: datagrams whose seal no key of the link opens.
    pub refused_seals: AtomicU64,
    /// rlan: datagrams that were shown again later.
    pub replays: AtomicU64,
    /// rlan: messages that came back to where they entered the LAN.
    pub loops: AtomicU64,
    /// Datagrams that the kernel had no room for.
    pub kernel_drops: AtomicU64,
    /// How often the group was joined again.
    pub rejoins: AtomicU64,
    /// The link's own datagrams, which came back to it.
    pub echoes: AtomicU64,
    /// Messages that expired before they could be sent.
    pub expired: AtomicU64,
    /// Messages that gave way to newer ones because the network did not take them fast enough.
    pub dropped: AtomicU64,
    /// Datagrams that the system refused to send, and failed attempts to receive.
    pub failed: AtomicU64,
}

/// Adds to a number that nobody orders anything by.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
