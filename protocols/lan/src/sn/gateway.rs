//! A whole MQTT-SN gateway on one port: who is who, who sleeps how long, and discovery.
//!
//! Nobody who has no session is answered with more bytes than he sent.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use super::client::{Client, State};
use super::effects::{Counts, Effects, Receivers, Transmit};
use super::inbound::topic_of;
use super::packet::{Fault, Flags, Packet, QOS_MINUS_1, ReturnCode, TopicType};
use super::settings::Settings;
use super::words::{Connect, Downward, Line, Publish, Upward};

/// The one protocol id there is. MQTT-SN 1.2 §5.3.8
const PROTOCOL: u8 = 1;

/// The specification says 23; more do no harm.
const CLIENT_ID_BYTES_MAX: usize = 64;

/// An answer to SEARCHGW comes after a random time up to this, so that many gateways do not answer
/// at once, and one gateway not to each of many questions.
const ANSWER_DELAY_MS: u64 = 1000;

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    clients: HashMap<SocketAddr, Client>,
    by_line: HashMap<Line, SocketAddr>,
    by_id: HashMap<Bytes, SocketAddr>,
    /// When each client is to be looked at.
    deadlines: BTreeSet<(Timestamp, SocketAddr)>,
    /// The line of those who publish without a session.
    loose: Option<Line>,
    last_line: u64,
    out: VecDeque<Transmit>,
    up: VecDeque<(Line, Upward)>,
    advertise_at: Option<Timestamp>,
    answer_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    random: u64,
    counts: Counts,
}

impl Gateway {
    /// A gateway without clients. It advertises itself at once.
    #[must_use]
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            random: settings.seed,
            advertise_at: (settings.advertise_ms > 0).then_some(now),
            settings,
            clients: HashMap::new(),
            by_line: HashMap::new(),
            by_id: HashMap::new(),
            deadlines: BTreeSet::new(),
            loose: None,
            last_line: 0,
            out: VecDeque::new(),
            up: VecDeque::new(),
            answer_at: None,
            answered_at: None,
            counts: Counts::default(),
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many clients there are, asleep ones included.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is a client at this address.
    #[must_use]
    pub fn has_client(&self, address: SocketAddr) -> bool {
        self.clients.contains_key(&address)
    }

    /// The client that a line is of; none if it is that of QoS -1.
    #[must_use]
    pub fn address(&self, line: Line) -> Option<SocketAddr> {
        self.by_line.get(&line).copied()
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next word to the MQTT side.
    pub fn poll_upward(&mut self) -> Option<(Line, Upward)> {
        self.up.pop_front()
    }

    /// When [`Gateway::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let client = self.deadlines.first().map(|(at, _)| *at);
        let timers = [client, self.advertise_at, self.answer_at];
        timers.into_iter().flatten().min()
    }

    /// Takes a datagram. `is_to_all` says that it came by the group or by broadcast.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &[u8],
        is_to_all: bool,
    ) {
        let packet = match Packet::decode(datagram) {
            Ok(packet) => packet,
            Err(Fault::Malformed) => return self.counts.malformed += 1,
            Err(Fault::Unknown) => return self.counts.unknown += 1,
        };
        self.counts.received += 1;
        match packet {
            Packet::SearchGateway => self.search(now, from, is_to_all),
            // Other gateways'.
            Packet::Advertise { .. } | Packet::GatewayInfo { .. } => {}
            Packet::Publish {
                flags,
                topic,
                payload,
                ..
            } if flags.qos == QOS_MINUS_1 => {
                self.publish_loose(flags, topic, payload);
            }
            // A session is between two, not with a group.
            _ if is_to_all => self.counts.unexpected += 1,
            Packet::Connect {
                flags,
                protocol,
                seconds,
                client,
            } => {
                self.connect(now, from, (flags, protocol, seconds), client);
            }
            packet => {
                self.follow(from, &packet);
                if self.clients.contains_key(&from) {
                    self.with_client(now, from, |client, fx| client.handle_packet(&packet, fx));
                } else {
                    self.turn_away(from, &packet);
                }
            }
        }
    }

    /// What the MQTT side says on a line.
    pub fn handle_downward(&mut self, now: Timestamp, line: Line, word: Downward) {
        let is_closed = word == Downward::Closed;
        if self.loose == Some(line) && is_closed {
            self.loose = None;
        }
        let address = if is_closed {
            self.by_line.remove(&line)
        } else {
            self.by_line.get(&line).copied()
        };
        if let Some(address) = address {
            self.with_client(now, address, |client, fx| {
                if client.line == Some(line) {
                    client.handle_downward(word, fx);
                }
            });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.advertise_at.is_some_and(|at| at <= now) {
            self.advertise_at = Some(now.plus_ms(self.settings.advertise_ms));
            let seconds = self.settings.advertise_ms / 1000;
            let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
            let gateway = self.settings.gateway;
            self.send_all(&Packet::Advertise { gateway, seconds });
        }
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer_at = None;
            self.answered_at = Some(now);
            let gateway = self.settings.gateway;
            self.send_all(&Packet::GatewayInfo { gateway });
        }
        while let Some((at, address)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, address));
            self.with_client(now, address, |client, fx| client.handle_timeout(fx));
        }
    }

    /// A question to the group is answered to the group, soon, and at most once a second: what
    /// others ask meanwhile is answered too.
    fn search(&mut self, now: Timestamp, from: SocketAddr, is_to_all: bool) {
        if !is_to_all {
            let gateway = self.settings.gateway;
            let datagram = Packet::GatewayInfo { gateway }.encode();
            return self.transmit(Receivers::One(from), datagram);
        }
        let delay = 1 + self.next_random() % ANSWER_DELAY_MS;
        let earliest = self.answered_at.map(|at| at.plus_ms(ANSWER_DELAY_MS));
        let at = now.plus_ms(delay).max(earliest.unwrap_or(now));
        self.answer_at.get_or_insert(at);
    }

    /// QoS -1: from anybody, with a name that needs no session.
    fn publish_loose(&mut self, flags: Flags, topic: u16, payload: &[u8]) {
        let Some(topic) = topic_of(flags.topic, topic, &self.settings) else {
            return match flags.topic {
                TopicType::Normal => self.counts.malformed += 1,
                _ => self.counts.unnamed += 1,
            };
        };
        let line = self.loose_line();
        let message = Publish {
            topic,
            payload: Bytes::copy_from_slice(payload),
            retain: flags.retain,
            ..Publish::default()
        };
        self.up.push_back((line, Upward::Publish(message)));
    }

    fn loose_line(&mut self) -> Line {
        if let Some(line) = self.loose {
            return line;
        }
        self.last_line += 1;
        let line = Line(self.last_line);
        let connect = Connect {
            client: format!("qos-1-{}", self.settings.gateway).into(),
            clean: true,
            is_short: true,
            will: None,
        };
        self.up.push_back((line, Upward::Connect(connect)));
        *self.loose.insert(line)
    }

    fn connect(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        (flags, protocol, seconds): (Flags, u8, u16),
        id: &[u8],
    ) {
        let is_id = (1..=CLIENT_ID_BYTES_MAX).contains(&id.len())
            && std::str::from_utf8(id).is_ok_and(|id| !id.chars().any(char::is_control));
        let is_full = self.clients.len() >= self.settings.clients_max;
        let known = self.clients.get(&from).map(|client| client.id == id);
        let refused = match known {
            _ if protocol != PROTOCOL || !is_id => Some(ReturnCode::NotSupported),
            None if is_full => Some(ReturnCode::Congestion),
            _ => None,
        };
        if let Some(code) = refused {
            self.counts.refused += 1;
            let datagram = Packet::Connack(code).encode();
            return self.transmit(Receivers::One(from), datagram);
        }
        if known == Some(false) {
            // Another device has the address now.
            self.with_client(now, from, |client, fx| {
                client.up(Upward::Lost, fx);
                client.state = State::Gone;
            });
        }
        if known != Some(true) {
            let id = Bytes::copy_from_slice(id);
            self.clients.insert(from, Client::new(from, id, now));
        }
        self.with_client(now, from, |client, fx| client.connect(flags, seconds, fx));
    }

    /// A client that slept may come back from another port of its address: it says who it is.
    fn follow(&mut self, from: SocketAddr, packet: &Packet<'_>) {
        let Packet::Pingreq { client: id } = packet else {
            return;
        };
        let Some(old) = self.by_id.get(*id).copied() else {
            return;
        };
        let sleeps = |client: &Client| client.state == State::Asleep;
        let is_it = old != from && old.ip() == from.ip() && !self.clients.contains_key(&from);
        if !is_it || !self.clients.get(&old).is_some_and(sleeps) {
            return;
        }
        if let Some(mut client) = self.clients.remove(&old) {
            self.deadlines.remove(&(client.deadline(), old));
            client.address = from;
            self.by_id.insert(client.id.clone(), from);
            self.by_line.extend(client.line.map(|line| (line, from)));
            self.deadlines.insert((client.deadline(), from));
            self.clients.insert(from, client);
        }
    }

    /// Who believes to have a session is told that there is none. Answers are not answered, so
    /// that two gateways never talk to each other for ever.
    fn turn_away(&mut self, from: SocketAddr, packet: &Packet<'_>) {
        self.counts.unexpected += 1;
        let asks = matches!(
            packet,
            Packet::Register { .. }
                | Packet::Publish { .. }
                | Packet::Subscribe { .. }
                | Packet::Unsubscribe { .. }
                | Packet::Pingreq { .. }
                | Packet::WillTopicUpdate { .. }
                | Packet::WillMessageUpdate(_)
        );
        if asks {
            let datagram = Packet::Disconnect { seconds: None }.encode();
            self.transmit(Receivers::One(from), datagram);
        }
    }

    /// Tells a client something, and keeps the books that depend on it.
    fn with_client(
        &mut self,
        now: Timestamp,
        address: SocketAddr,
        act: impl FnOnce(&mut Client, &mut Effects<'_>),
    ) {
        let Some(client) = self.clients.get_mut(&address) else {
            return;
        };
        self.deadlines.remove(&(client.deadline(), address));
        let line = client.line;
        let mut effects = Effects {
            now,
            settings: &self.settings,
            out: &mut self.out,
            up: &mut self.up,
            counts: &mut self.counts,
            last_line: &mut self.last_line,
        };
        act(client, &mut effects);
        if client.line != line {
            if let Some(line) = line {
                self.by_line.remove(&line);
            }
            self.by_line.extend(client.line.map(|line| (line, address)));
        }
        if client.state != State::Gone {
            self.deadlines.insert((client.deadline(), address));
            if !self.by_id.contains_key(&client.id) || client.state != State::Asleep {
                self.by_id.insert(client.id.clone(), address);
            }
            return;
        }
        if let Some(client) = self.clients.remove(&address) {
            if let Some(line) = client.line {
                self.by_line.remove(&line);
            }
            if self.by_id.get(&client.id) == Some(&address) {
                self.by_id.remove(&client.id);
            }
        }
    }

    fn send_all(&mut self, packet: &Packet<'_>) {
        self.transmit(Receivers::All, packet.encode());
    }

    fn transmit(&mut self, to: Receivers, datagram: Bytes) {
        self.counts.sent += 1;
        self.out.push_back(Transmit { to, datagram });
    }

    /// Numbers that need only differ between gateways (splitmix64).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
