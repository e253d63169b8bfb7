//! LAN links: one task for each drives its two sockets and the state machine of `protocols/lan`.
//!
//! In: datagrams are read in batches and published. Out: what waits in the link's outbox is sent,
//! one datagram a message. A network that takes none (no cable, no route) never holds up the bus:
//! the outbox drops its oldest. Interfaces that vanish and come back are opened anew.

mod counters;
mod socket;

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use lan::{Envelope, Link, Raw, Settings};
use routing::{Timestamp, VHost};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Codec, LanLink};

pub use counters::Counters;
use counters::add;

/// Datagrams read in one turn, so that a flood from the network does not keep the link from
/// sending, nor its receivers from being woken.
const BATCH_MAX: usize = 64;

/// The most that UDP over IPv4 carries.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// How often a named interface is looked at: one that was deleted and made again silently keeps
/// the old memberships, which receive nothing any more.
const INTERFACE_CHECK: Duration = Duration::from_secs(2);

/// What the network may take at the end for all that still waits; it takes a datagram in
/// microseconds.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// One LAN link, ready to run.
#[derive(Debug)]
pub struct LanTask {
    config: LanLink,
    link: Link,
    sockets: Sockets,
    /// The address that our own datagrams were last seen to come from.
    own_address: Option<Ipv4Addr>,
    waiting: VecDeque<Bytes>,
    counters: Arc<Counters>,
    health: Health,
}

#[derive(Debug)]
struct Sockets {
    receiver: Option<UdpSocket>,
    sender: Option<UdpSocket>,
    /// The named interface's index when they were opened.
    interface: Option<u32>,
}

/// Whether the link works, so that only changes are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Failing,
    Working,
}

impl LanTask {
    /// Opens the sockets and subscribes to what goes out. Needs a running runtime.
    ///
    /// # Errors
    /// What the system says, with what was tried: no such interface, port taken, no route.
    pub fn open(config: LanLink, vhost: Arc<VHost>) -> io::Result<Self> {
        let sockets = Sockets::open(&config)?;
        let Codec::Raw = config.codec;
        let bytes_max = usize::try_from(config.message_bytes_max).unwrap_or(DATAGRAM_BYTES_MAX);
        let mut waiting = Settings::default().waiting;
        waiting.items_max = usize::try_from(config.waiting_max).unwrap_or(usize::MAX);
        let settings = Settings {
            codec: Raw {
                payload_bytes_max: bytes_max,
            },
            topic: config.topic.clone(),
            filters: match config.direction.sends() {
                true => config.filters.clone(),
                false => Vec::new(),
            },
            waiting,
        };
        Ok(Self {
            link: Link::new(vhost, settings),
            sockets,
            config,
            own_address: None,
            waiting: VecDeque::new(),
            counters: Arc::default(),
            health: Health::Working,
        })
    }

    /// The link's numbers, for the metrics.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until `stop`, then sends what waits and ends. `now` reads the
    /// clock, once per batch.
    pub async fn run(mut self, now: impl Fn() -> Timestamp, stop: CancellationToken) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut interface_check = interval(INTERFACE_CHECK);
        interface_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let outbox = self.link.outbox();
            // Every branch only waits: nothing is read, taken or sent before it is chosen, so that
            // dropping the others loses nothing.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = interface_check.tick() => self.check_interface(),
                () = readable(&self.sockets) => self.receive(now(), &mut buffer),
                () = writable(&self.sockets), if !self.waiting.is_empty() => self.send(),
                () = poll_fn(|cx| outbox.poll_stirred(self.link.id(), cx)),
                    if self.waiting.is_empty() =>
                {
                    if self.take(now()).is_err() {
                        break;
                    }
                    self.send();
                }
            }
        }
        // What is left after that time has no receiver: a network that takes nothing is down.
        timeout(DRAIN_TIMEOUT, self.drain(now()))
            .await
            .unwrap_or_default();
    }

    /// Sends all that waits.
    async fn drain(&mut self, now: Timestamp) {
        while !self.link.outbox().is_empty() && self.take(now).is_ok() {
            self.send();
            while !self.waiting.is_empty() {
                writable(&self.sockets).await;
                self.send();
            }
        }
    }

    /// Publishes one batch of datagrams.
    fn receive(&mut self, now: Timestamp, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            let Some(receiver) = &self.sockets.receiver else {
                break;
            };
            match receiver.try_recv_from(buffer) {
                Ok((bytes, from)) => {
                    let datagram = buffer.get(..bytes).unwrap_or_default();
                    self.handle_datagram(now, datagram, from);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    // The next check of the interface opens it anew.
                    self.sockets.receiver = None;
                    self.fail("receive", &error);
                }
            }
        }
        self.link.flush();
    }

    fn handle_datagram(&mut self, now: Timestamp, datagram: &[u8], from: SocketAddr) {
        let SocketAddr::V4(from) = from else { return };
        if self.is_echo(from) {
            return add(&self.counters.echoes, 1);
        }
        let allowed = &self.config.allow_sources;
        if !allowed.is_empty() && !allowed.iter().any(|range| range.contains(*from.ip())) {
            return add(&self.counters.refused_sources, 1);
        }
        let group = self.config.destination.address();
        let envelope = Envelope {
            group,
            port: self.config.port,
            source: *from.ip(),
        };
        match self.link.handle_datagram(now, datagram, envelope) {
            Ok(_) => add(&self.counters.received, 1),
            Err(_) => add(&self.counters.received_too_large, 1),
        }
    }

    /// Whether we sent it: from our sending port, at an address of this machine. The address is
    /// asked for when it is new only, because it may change (DHCP) while the link is up.
    fn is_echo(&mut self, from: SocketAddrV4) -> bool {
        let sender = self.sockets.sender.as_ref();
        let own = sender.and_then(|sender| sender.local_addr().ok());
        if own.is_none_or(|own| own.port() != from.port()) {
            return false;
        }
        if self.own_address != Some(*from.ip()) && socket::is_local(*from.ip()) {
            self.own_address = Some(*from.ip());
        }
        self.own_address == Some(*from.ip())
    }

    /// Turns what waits in the outbox into datagrams; an error when the link was told to end.
    fn take(&mut self, now: Timestamp) -> Result<(), Ended> {
        let taken = self.link.poll_datagrams(now, &mut self.waiting);
        add(&self.counters.sent_too_large, taken.too_large);
        add(&self.counters.expired, taken.expired);
        self.counters
            .dropped
            .store(self.link.outbox().dropped(), Ordering::Relaxed);
        if taken.is_closed { Err(Ended) } else { Ok(()) }
    }

    /// Sends what waits until the system takes no more.
    fn send(&mut self) {
        let to = SocketAddr::from((self.config.destination.address(), self.config.port));
        while let (Some(sender), Some(datagram)) = (&self.sockets.sender, self.waiting.front()) {
            match sender.try_send_to(datagram, to) {
                Ok(_) => {
                    add(&self.counters.sent, 1);
                    self.recover();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.fail("send", &error),
            }
            self.waiting.pop_front();
        }
        // Without a socket there is nobody to wait for: a datagram is of now or of nobody.
        let lost = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        add(&self.counters.failed, lost);
        self.waiting.clear();
    }

    /// Opens the sockets anew when the interface is not the one they were opened on, or when they
    /// were lost.
    fn check_interface(&mut self) {
        let is_lost = (self.config.direction.receives() && self.sockets.receiver.is_none())
            || (self.config.direction.sends() && self.sockets.sender.is_none());
        let is_same = socket::interface_index(&self.config).ok() == Some(self.sockets.interface);
        if is_same && !is_lost {
            return;
        }
        match Sockets::open(&self.config) {
            Ok(sockets) => {
                self.sockets = sockets;
                tracing::info!(link = self.config.name, "LAN link opened anew");
                self.recover();
            }
            Err(error) => {
                // What is left of the old sockets belongs to an interface that is gone.
                self.sockets = Sockets {
                    receiver: None,
                    sender: None,
                    interface: None,
                };
                self.fail("open", &error);
            }
        }
    }

    fn fail(&mut self, what: &str, error: &io::Error) {
        add(&self.counters.failed, 1);
        if self.health == Health::Working {
            tracing::warn!(link = self.config.name, %error, "LAN link cannot {what}");
        }
        self.health = Health::Failing;
    }

    fn recover(&mut self) {
        if self.health == Health::Failing {
            tracing::info!(link = self.config.name, "LAN link works again");
        }
        self.health = Health::Working;
    }
}

/// The link was told to end.
#[derive(Debug)]
struct Ended;

impl Sockets {
    fn open(config: &LanLink) -> io::Result<Self> {
        let direction = config.direction;
        Ok(Self {
            receiver: direction
                .receives()
                .then(|| socket::open_receiver(config))
                .transpose()?,
            sender: direction
                .sends()
                .then(|| socket::open_sender(config))
                .transpose()?,
            interface: socket::interface_index(config)?,
        })
    }
}

async fn readable(sockets: &Sockets) {
    match &sockets.receiver {
        // An error shows again when the socket is read.
        Some(receiver) => receiver.readable().await.unwrap_or_default(),
        None => pending().await,
    }
}

async fn writable(sockets: &Sockets) {
    match &sockets.sender {
        Some(sender) => sender.writable().await.unwrap_or_default(),
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
