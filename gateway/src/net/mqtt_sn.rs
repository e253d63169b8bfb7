//! MQTT-SN gateways: one task for each drives its socket and the state machine of `lan::sn`; each
//! device has an MQTT connection of its own (see `line`).

mod counters;
mod line;
mod socket;
mod words;

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lan::sn::{Downward, Gateway, Line, Receivers, Upward};
use routing::{Peer, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::config::MqttSnGateway;
use crate::connection::Conditions;

pub use counters::Counters;
use line::Terms;
use socket::Socket;

/// Reads in one turn, so that a flood does not keep devices from being answered.
const BATCH_MAX: usize = 64;

/// What one read may hold: the system may hand over many datagrams of one sender at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Words of all lines that may wait; then lines wait, and so does the MQTT side.
const WORDS_MAX: usize = 1024;

/// How often a named interface is looked at.
const INTERFACE_CHECK: Duration = Duration::from_secs(2);

/// Looks after which the group is joined again: once a minute.
const REJOIN_CHECKS: u32 = 30;

/// What devices may take to be told that the gateway stops.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// One gateway, ready to run.
#[derive(Debug)]
pub struct SnTask {
    config: MqttSnGateway,
    gateway: Gateway,
    terms: Arc<Terms>,
    /// With the port that was had, so that it is found there when it is opened anew.
    address: SocketAddr,
    socket: Option<Socket>,
    lines: HashMap<Line, mpsc::Sender<Upward>>,
    sender: mpsc::Sender<(Line, Downward)>,
    words: mpsc::Receiver<(Line, Downward)>,
    counters: Arc<Counters>,
    checks: u32,
}

impl SnTask {
    /// Opens the socket. Needs a running runtime.
    ///
    /// # Errors
    /// What the system says: the port is taken, there is no such interface.
    pub fn open(
        config: MqttSnGateway,
        settings: lan::sn::Settings,
        conditions: Arc<Conditions>,
        mqtt: mqtt::Settings,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let socket = Socket::open(&config, config.bind)?;
        let now = conditions.shared.clock.now();
        let (sender, words) = mpsc::channel(WORDS_MAX);
        let terms = Terms {
            conditions,
            mqtt: Arc::new(mqtt),
            client_id_prefix: config.client_id_prefix.clone(),
            receive_max: u16::try_from(settings.inflight_max).unwrap_or(u16::MAX),
        };
        Ok(Self {
            gateway: Gateway::new(settings, now),
            terms: Arc::new(terms),
            address: socket.address()?,
            socket: Some(socket),
            lines: HashMap::new(),
            sender,
            words,
            counters,
            checks: 0,
            config,
        })
    }

    /// Where devices reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until the gateway stops, and tells the devices so.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.terms.conditions.shared);
        let (clock, stop) = (shared.clock, shared.shutdown.token().clone());
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut interface_check = interval(INTERFACE_CHECK);
        interface_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let due = self.gateway.poll_timeout();
            let wait = due.map(|due| Duration::from_millis(due.since_ms(clock.now())));
            tokio::select! {
                () = stop.cancelled() => {}
                _ = interface_check.tick() => self.check_interface(),
                () = readable(self.socket.as_ref()) => self.receive(clock.now(), &mut buffer),
                Some((line, word)) = self.words.recv() => self.hear(clock.now(), line, word),
                () = pause(wait) => {}
            }
            let now = clock.now();
            self.gateway.handle_timeout(now);
            self.flush();
        }
        let telling = async {
            while !self.lines.is_empty() {
                let Some((line, word)) = self.words.recv().await else {
                    break;
                };
                self.hear(clock.now(), line, word);
                self.flush();
            }
        };
        // Who is not told finds out by himself.
        timeout(DRAIN_TIMEOUT, telling).await.unwrap_or_default();
    }

    fn receive(&mut self, now: Timestamp, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            let Some(socket) = &self.socket else {
                return;
            };
            let read = match socket.receive(&self.config, buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // The next look at the interface opens it anew.
                    tracing::warn!(gateway = self.config.name, %error, "MQTT-SN gateway cannot receive");
                    self.socket = None;
                    return;
                }
            };
            let allowed = &self.config.allow_sources;
            let ip = read.from.ip();
            let is_allowed = allowed.is_empty() || allowed.iter().any(|range| range.contains(ip));
            for datagram in buffer
                .get(..read.bytes)
                .unwrap_or_default()
                .chunks(read.stride)
            {
                if is_allowed {
                    let from = read.from;
                    self.gateway
                        .handle_datagram(now, from, datagram, read.is_to_all);
                } else {
                    self.counters.refuse_source();
                }
            }
            self.flush();
        }
    }

    fn hear(&mut self, now: Timestamp, line: Line, word: Downward) {
        if word == Downward::Closed {
            self.lines.remove(&line);
        }
        self.gateway.handle_downward(now, line, word);
    }

    /// Passes on what the state machine has to say, to both sides.
    fn flush(&mut self) {
        while let Some((line, word)) = self.gateway.poll_upward() {
            self.pass_up(line, word);
        }
        while let Some(transmit) = self.gateway.poll_transmit() {
            match transmit.to {
                Receivers::One(to) => self.send(&transmit.datagram, to),
                Receivers::All => {
                    let to_all = self.socket.as_ref().map(|socket| socket.to_all.clone());
                    for to in to_all.unwrap_or_default() {
                        self.send(&transmit.datagram, to);
                    }
                }
            }
        }
        self.counters
            .set(self.gateway.counts(), self.gateway.clients());
    }

    fn pass_up(&mut self, line: Line, word: Upward) {
        if matches!(word, Upward::Connect(_)) {
            let address = self.gateway.address(line);
            let peer = Peer {
                address,
                local: Some(self.address),
                is_loopback: address.is_some_and(|it| it.ip().to_canonical().is_loopback()),
            };
            let opened = line::open(&self.terms, line, peer, self.sender.clone());
            self.lines.insert(line, opened);
        }
        let Some(sender) = self.lines.get(&line) else {
            return;
        };
        let is_loose = matches!(&word, Upward::Publish(message) if message.qos == 0);
        if sender.try_send(word).is_err() {
            self.counters.fail();
            // Nothing else may be left out: the line ends, and the device is told.
            if !is_loose {
                self.lines.remove(&line);
            }
        }
    }

    /// A datagram that the system does not take is lost, as the network loses some.
    fn send(&self, datagram: &[u8], to: SocketAddr) {
        let sent = self.socket.as_ref().map(|socket| socket.send(datagram, to));
        if !matches!(sent, Some(Ok(()))) {
            self.counters.fail();
        }
    }

    /// Opens the socket anew when its interface is another one, and tells the switch from time to
    /// time that somebody listens. Devices notice nothing.
    fn check_interface(&mut self) {
        let is_current = |socket: &Socket| socket.is_current(&self.config);
        if !self.socket.as_ref().is_some_and(is_current) {
            self.socket = None;
            match Socket::open(&self.config, self.address) {
                Ok(socket) => {
                    tracing::info!(gateway = self.config.name, "MQTT-SN gateway opened anew");
                    self.socket = Some(socket);
                }
                Err(error) => {
                    tracing::debug!(gateway = self.config.name, %error, "MQTT-SN gateway cannot open");
                }
            }
            return;
        }
        self.checks += 1;
        if self.checks < REJOIN_CHECKS {
            return;
        }
        self.checks = 0;
        let joined = self
            .socket
            .as_ref()
            .map(|socket| socket.join_again(&self.config));
        match joined {
            Some(Err(_)) => self.socket = None,
            _ => self.counters.rejoin(),
        }
    }
}

async fn readable(socket: Option<&Socket>) {
    match socket {
        Some(socket) => socket.readable().await,
        None => pending().await,
    }
}

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep(wait).await,
        None => pending().await,
    }
}
