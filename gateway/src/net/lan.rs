//! LAN links: one task for each drives its two sockets and the state machine of `protocols/lan`.
//!
//! In: datagrams are read in batches and published. Out: what waits in the link's outbox is sent,
//! in datagrams as its codec packs them. A network that takes none (no cable, no route) never
//! holds up the bus: the outbox drops its oldest. Interfaces that vanish and come back are opened
//! anew.

mod answers;
mod counters;
mod identity;
mod membership;
mod socket;

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use lan::{Link, Outgoing, Pacer, Taken, Unread};
use routing::{Timestamp, VHost};
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Codec, LanLink};
use crate::settings;

use answers::{answered, destination, has_sender};
pub use counters::Counters;
use counters::add;
pub use identity::Identity;

/// Datagrams read in one turn, so that a flood from the network does not keep the link from
/// sending, nor its receivers from being woken.
const BATCH_MAX: usize = 64;

/// The most that UDP over IPv4 carries.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// How often a named interface is looked at: one that was deleted and made again silently keeps
/// the old memberships, which receive nothing any more.
const INTERFACE_CHECK: Duration = Duration::from_secs(2);

/// How often the group is joined again. Switches that forget do so after 260 s.
const REJOIN_CHECKS: u32 = 30;

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
    own_address: Option<SocketAddr>,
    waiting: VecDeque<Bytes>,
    /// What goes out before that, taken from the link and not yet by the network.
    answer: Option<Outgoing>,
    pacer: Option<Pacer>,
    /// When the next datagram may leave, if it may not now.
    paced_until: Option<Timestamp>,
    counters: Arc<Counters>,
    health: Health,
    /// Looks at the interface since the group was last joined.
    checks: u32,
    /// What the kernel dropped of sockets that are closed.
    drops_before: u64,
    /// What may come in, in messages, since the first datagram.
    intake: Option<Pacer>,
    told: Told,
}

/// What has been said once, and is from then on only counted.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    unsendable: bool,
    received_too_large: bool,
    received_too_fast: bool,
}

#[derive(Debug)]
struct Sockets {
    receiver: Option<UdpSocket>,
    sender: Option<Sender>,
    /// The named interface's index when they were opened.
    interface: Option<u32>,
}

#[derive(Debug)]
struct Sender {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Sender {
    fn open(config: &LanLink) -> io::Result<Self> {
        let (socket, to) = (socket::open_sender(config)?, socket::destination(config)?);
        Ok(Self { socket, to })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
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
    pub fn open(config: LanLink, vhost: Arc<VHost>, identity: &Identity) -> io::Result<Self> {
        let sockets = Sockets::open(&config)?;
        let settings = settings::lan(&config, identity);
        if config.codec == Codec::Rlan && config.keys.is_empty() {
            tracing::warn!(
                link = config.name,
                "LAN link has no keys: anybody on the network can read, forge and stop all of it"
            );
        }
        Ok(Self {
            link: Link::new(vhost, settings),
            sockets,
            config,
            own_address: None,
            waiting: VecDeque::new(),
            answer: None,
            pacer: None,
            paced_until: None,
            counters: Arc::default(),
            health: Health::Working,
            checks: 0,
            drops_before: 0,
            intake: None,
            told: Told::default(),
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
            let wait = self
                .due()
                .map(|due| Duration::from_millis(due.since_ms(now())));
            let has_some = !self.waiting.is_empty() || self.answer.is_some();
            let may_send = has_some && self.paced_until.is_none();
            let outbox = self.link.outbox();
            // Every branch only waits: nothing is read, taken or sent before it is chosen, so that
            // dropping the others loses nothing.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = interface_check.tick() => self.check_interface(),
                () = readable(&self.sockets) => {
                    let now = now();
                    self.receive(now, &mut buffer);
                    self.send_answers(now);
                }
                () = answered(&self.sockets, &self.config) => {
                    let now = now();
                    self.receive_answers(now, &mut buffer);
                    self.send_answers(now);
                }
                () = pause(wait) => self.handle_timeout(now()),
                () = writable(&self.sockets), if may_send => self.send(now()),
                () = poll_fn(|cx| outbox.poll_stirred(self.link.id(), cx)),
                    if self.waiting.is_empty() =>
                {
                    let now = now();
                    if self.take(now).is_err() {
                        break;
                    }
                    self.send(now);
                }
            }
        }
        // What is left after that time has no receiver: a network that takes nothing is down.
        timeout(DRAIN_TIMEOUT, self.drain(&now))
            .await
            .unwrap_or_default();
    }

    /// When something is to be done without the network or the bus asking for it.
    fn due(&self) -> Option<Timestamp> {
        let carousel = self.link.poll_timeout().filter(|_| self.waiting.is_empty());
        let reliable = self.link.poll_reliable_timeout();
        let due = self.paced_until.into_iter().chain(carousel);
        due.chain(reliable).min()
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_reliable_timeout(now);
        if self.waiting.is_empty() {
            let taken = self.link.handle_timeout(now, &mut self.waiting);
            self.count(&taken);
        }
        self.send(now);
    }

    /// Sends all that waits.
    async fn drain(&mut self, now: impl Fn() -> Timestamp) {
        while !self.link.outbox().is_empty() && self.take(now()).is_ok() {
            self.send(now());
            while !self.waiting.is_empty() {
                match self.paced_until {
                    Some(at) => sleep(Duration::from_millis(at.since_ms(now()))).await,
                    None => writable(&self.sockets).await,
                }
                self.send(now());
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
        if self.is_echo(from) {
            return add(&self.counters.echoes, 1);
        }
        let allowed = &self.config.allow_sources;
        if !allowed.is_empty() && !allowed.iter().any(|range| range.contains(from.ip())) {
            return add(&self.counters.refused_sources, 1);
        }
        if self.is_too_fast(now) {
            return;
        }
        let envelope = self.envelope(from);
        let counter = match self.link.handle_datagram(now, datagram, envelope) {
            Ok(messages) => {
                let messages = usize::try_from(messages).unwrap_or(usize::MAX);
                self.intake.iter_mut().for_each(|it| it.take(messages));
                &self.counters.received
            }
            Err(Unread::TooLarge { bytes, bytes_max }) => {
                if !std::mem::replace(&mut self.told.received_too_large, true) {
                    let link = self.config.name.as_str();
                    tracing::warn!(
                        link,
                        bytes,
                        bytes_max,
                        %from,
                        "LAN link received more than message_bytes_max and dropped it; \
                         the metrics count it from now on"
                    );
                }
                &self.counters.received_too_large
            }
            Err(Unread::Malformed) => &self.counters.malformed,
            Err(Unread::Refused) => return self.count_reliable(),
            Err(Unread::Unknown) => &self.counters.unknown,
        };
        add(counter, 1);
        self.counters
            .gaps
            .store(self.link.gaps(), Ordering::Relaxed);
        self.count_reliable();
    }

    /// Whether more came than `received_per_second_max`: counted, and said once.
    fn is_too_fast(&mut self, now: Timestamp) -> bool {
        let per_second_max = self.config.received_per_second_max;
        let intake = self
            .intake
            .get_or_insert_with(|| Pacer::of_messages(per_second_max, now));
        if intake.wait_until(now).is_none() {
            return false;
        }
        add(&self.counters.received_too_fast, 1);
        if !std::mem::replace(&mut self.told.received_too_fast, true) {
            tracing::warn!(
                link = self.config.name,
                per_second_max,
                "LAN link receives more than received_per_second_max and drops the rest; \
                 the metrics count it from now on"
            );
        }
        true
    }

    /// Whether we sent it: from our sending port, at an address of this machine. The address is
    /// asked for when it is new only, because it may change (DHCP) while the link is up.
    fn is_echo(&mut self, from: SocketAddr) -> bool {
        let sender = self.sockets.sender.as_ref();
        let own = sender.and_then(|sender| sender.local_addr().ok());
        if own.is_none_or(|own| own.port() != from.port()) {
            return false;
        }
        if self.own_address != Some(from) && socket::is_local(from) {
            self.own_address = Some(from);
        }
        self.own_address == Some(from)
    }

    /// Turns what waits in the outbox into datagrams; an error when the link was told to end.
    fn take(&mut self, now: Timestamp) -> Result<(), Ended> {
        let taken = self.link.poll_datagrams(now, &mut self.waiting);
        self.count(&taken);
        if taken.is_closed { Err(Ended) } else { Ok(()) }
    }

    fn count(&mut self, taken: &Taken) {
        let counters = &self.counters;
        add(&counters.sent_too_large, taken.too_large);
        add(&counters.unnamed, taken.unnamed);
        add(&counters.unfit, taken.unfit);
        add(&counters.expired, taken.expired);
        let dropped = self.link.outbox().dropped();
        counters.dropped.store(dropped, Ordering::Relaxed);
        if !self.told.unsendable && taken.too_large + taken.unnamed + taken.unfit > 0 {
            self.told.unsendable = true;
            tracing::warn!(
                link = self.config.name,
                too_large = taken.too_large,
                unnamed = taken.unnamed,
                unfit = taken.unfit,
                "LAN link cannot send some messages; the metrics count them from now on"
            );
        }
    }

    /// Sends what waits until the system takes no more, or the pace is kept.
    fn send(&mut self, now: Timestamp) {
        self.paced_until = None;
        let rate = (self.config.bytes_per_second, self.config.datagram_bytes_max);
        let pacer = self
            .pacer
            .get_or_insert_with(|| Pacer::new(rate.0, rate.1, now));
        while let Some(sender) = &self.sockets.sender {
            self.answer = self.answer.take().or_else(|| self.link.poll_outgoing());
            let (datagram, to) = match (&self.answer, self.waiting.front()) {
                (Some(answer), _) => (&answer.datagram, destination(sender, answer.to)),
                (None, Some(datagram)) => (datagram, sender.to),
                (None, None) => return,
            };
            if let Some(until) = pacer.wait_until(now) {
                self.paced_until = Some(until);
                return;
            }
            match sender.socket.try_send_to(datagram, to) {
                Ok(_) => {
                    add(&self.counters.sent, 1);
                    pacer.take(datagram.len());
                    if self.health == Health::Failing {
                        tracing::info!(link = self.config.name, "LAN link works again");
                        self.health = Health::Working;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    add(&self.counters.failed, 1);
                    if self.health == Health::Working {
                        tracing::warn!(link = self.config.name, %error, "LAN link cannot send");
                        self.health = Health::Failing;
                    }
                }
            }
            if self.answer.take().is_none() {
                self.waiting.pop_front();
            }
        }
        // Without a socket there is nobody to wait for: a datagram is of now or of nobody.
        let lost = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        add(&self.counters.failed, lost);
        self.waiting.clear();
        self.answer = None;
        while self.link.poll_outgoing().is_some() {}
    }

    /// Sends what the link has to say to what has come.
    fn send_answers(&mut self, now: Timestamp) {
        if self.config.codec.answers() {
            self.send(now);
        }
    }

    /// Opens the sockets anew when the interface is not the one they were opened on, or when they
    /// were lost.
    fn check_interface(&mut self) {
        let is_lost = (self.config.direction.receives() && self.sockets.receiver.is_none())
            || (has_sender(&self.config) && self.sockets.sender.is_none());
        let is_same = socket::interface_index(&self.config).ok() == Some(self.sockets.interface);
        self.count_kernel_drops();
        if is_same && !is_lost {
            return self.join_again();
        }
        self.drops_before = self.counters.kernel_drops.load(Ordering::Relaxed);
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

    /// Tells the switch that somebody listens, from time to time.
    fn join_again(&mut self) {
        self.checks += 1;
        if self.checks < REJOIN_CHECKS {
            return;
        }
        self.checks = 0;
        if let Some(receiver) = &self.sockets.receiver {
            let joined = membership::join_again(&SockRef::from(receiver), &self.config);
            match joined {
                Ok(()) => add(&self.counters.rejoins, 1),
                Err(error) => {
                    self.sockets.receiver = None;
                    self.fail("join again", &error);
                }
            }
        }
    }

    fn count_kernel_drops(&self) {
        let dropped = self
            .sockets
            .receiver
            .as_ref()
            .map_or(0, membership::kernel_drops);
        let all = self.drops_before + dropped;
        self.counters.kernel_drops.store(all, Ordering::Relaxed);
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
            sender: has_sender(config)
                .then(|| Sender::open(config))
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

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep(wait).await,
        None => pending().await,
    }
}

async fn writable(sockets: &Sockets) {
    match &sockets.sender {
        Some(sender) => sender.socket.writable().await.unwrap_or_default(),
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
