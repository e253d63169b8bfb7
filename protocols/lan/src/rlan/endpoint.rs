//! One link's end of rlan: seals and opens, keeps the peers apart, and gives each datagram to the
//! state machine that it is for. No sockets, no clock.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use super::control::{AS_OF_ANY, COOKIE_BYTES, Cookie, Nak, SnapshotRequest, decode_heartbeat};
use super::header::{Header, Kind, StreamId};
use super::receiver::{Shared, Stream};
use super::retry::Random;
use super::seal::{Cipher, hmac};
use super::sender::{Budget, OUTGOING_MAX, Outbound, body_bytes_max};
use super::snapshot::Snapshot;
use super::window::Window;
use super::{Delivered, Outgoing, Record, RlanCounts, RlanSettings, To};
use crate::{Unread, Unsendable};

/// Origins that are kept.
const PEERS_MAX: usize = 1024;

/// How long one must be silent before a new one takes its place.
const SILENT_MS: u64 = 10_000;

/// How long a cookie is good, at least; twice that at most.
const COOKIE_MS: u64 = 64_000;

/// Receivers that wait for one snapshot to be taken.
const ASKING_MAX: usize = 64;

/// What a block may have besides a message's payload: its topic, properties and lengths.
const OVERHEAD_BYTES: usize = 128 * 1024;

/// What is known of one origin.
#[derive(Debug)]
struct Peer {
    epoch: u32,
    cipher: Cipher,
    window: Window,
    heard_at: Timestamp,
    /// Where its last datagram came from.
    address: SocketAddr,
    /// What it wants to be shown.
    cookie: Cookie,
    budget: Budget,
    stream: Option<Stream>,
}

/// One link's end.
#[derive(Debug)]
pub struct Rlan {
    settings: RlanSettings,
    own: StreamId,
    cipher: Cipher,
    /// The last control number used.
    control: u64,
    outbound: Option<Outbound>,
    snapshot: Option<Snapshot>,
    asking: Vec<SocketAddr>,
    peers: HashMap<u64, Peer>,
    shared: Shared,
    outgoing: VecDeque<Outgoing>,
}

impl Rlan {
    /// An end that has sent nothing and heard nothing.
    #[must_use]
    pub fn new(settings: RlanSettings) -> Self {
        let own = StreamId {
            origin: settings.origin,
            epoch: settings.epoch,
        };
        let id = settings.keys.first().map_or(0, |key| key.id);
        let cipher = Cipher::new(&settings.keys, id, own).unwrap_or_else(Cipher::none);
        Self {
            own,
            cipher,
            control: 0,
            outbound: settings.sends.then(|| Outbound::new(own, &settings)),
            snapshot: None,
            asking: Vec::new(),
            peers: HashMap::new(),
            shared: Shared {
                block_bytes_max: settings.message_bytes_max.saturating_add(OVERHEAD_BYTES),
                held_bytes: 0,
                random: Random::new(settings.seed),
                counts: RlanCounts::default(),
                delivered: Vec::new(),
                source: SocketAddr::from(([0; 4], 0)),
            },
            outgoing: VecDeque::new(),
            settings,
        }
    }

    /// The gateway's own id, as messages name it.
    #[must_use]
    pub const fn node(&self) -> u64 {
        self.settings.node
    }

    /// What has been counted.
    #[must_use]
    pub const fn counts(&self) -> &RlanCounts {
        &self.shared.counts
    }

    /// A message that has come round to where it entered the LAN, or too far, was dropped.
    pub(crate) const fn count_loop(&mut self) {
        self.shared.counts.loops += 1;
    }

    /// What is kept for others and of others, in bytes, besides what waits to be sent.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let streams = self.peers.values().filter_map(|peer| peer.stream.as_ref());
        let sent = self.outbound.as_ref().map_or(0, Outbound::bytes);
        let snapshot = self.snapshot.as_ref().map_or(0, Snapshot::bytes);
        sent + snapshot + streams.map(Stream::bytes).sum::<usize>()
    }

    /// Sends a message to the group: datagrams that are full go to `out`.
    ///
    /// # Errors
    /// [`Unsendable::NoName`] for a topic that is too long, or on a link that does not send.
    pub fn publish(
        &mut self,
        record: &Record,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), Unsendable> {
        let outbound = self.outbound.as_mut().ok_or(Unsendable::NoName)?;
        outbound.publish(&self.cipher, record, out)
    }

    /// Ends the batch: what was being packed goes to `out`.
    pub fn flush(&mut self, now: Timestamp, out: &mut VecDeque<Bytes>) {
        if let Some(outbound) = &mut self.outbound {
            outbound.flush(now, &self.cipher, out);
        }
    }

    /// Takes a datagram; what it delivers is had from [`Rlan::take_delivered`].
    ///
    /// # Errors
    /// [`Unread`]: why it was dropped.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Result<(), Unread> {
        let header = Header::decode(datagram).ok_or(Unread::Malformed)?;
        if header.stream.origin == self.own.origin {
            return Err(Unread::Unknown);
        }
        let body = self.open(now, &header, datagram, from)?;
        match header.kind {
            Kind::Nak => {
                let nak = Nak::decode(&body).ok_or(Unread::Malformed)?;
                self.handle_nak(now, &nak, (header.stream.origin, from))
            }
            Kind::SnapshotRequest => {
                let request = SnapshotRequest::decode(&body).ok_or(Unread::Malformed)?;
                self.handle_snapshot_request(now, request, (header.stream.origin, from))
            }
            Kind::Cookie => {
                let cookie = (*body).try_into().map_err(|_| Unread::Malformed)?;
                self.handle_cookie(now, header.stream.origin, cookie);
                Ok(())
            }
            Kind::Data | Kind::Heartbeat | Kind::Gone | Kind::Snapshot => {
                self.handle_stream(now, &header, body)
            }
        }
    }

    /// Refuses what is not sealed by a key of ours, and what has been seen.
    fn open(
        &mut self,
        now: Timestamp,
        header: &Header,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Result<Bytes, Unread> {
        let known = self.peers.get(&header.stream.origin);
        let is_control = header.kind != Kind::Data;
        let is_old = known.is_some_and(|peer| {
            let is_seen = is_control && !peer.window.is_new(header.number);
            header.stream.epoch < peer.epoch || (header.stream.epoch == peer.epoch && is_seen)
        });
        if is_old {
            self.shared.counts.replays += 1;
            return Err(Unread::Refused);
        }
        let cipher = known
            .filter(|peer| (peer.epoch, peer.cipher.id) == (header.stream.epoch, header.key))
            .map(|peer| &peer.cipher);
        let made = match cipher {
            Some(_) => None,
            None => Cipher::new(&self.settings.keys, header.key, header.stream),
        };
        let opened = cipher
            .or(made.as_ref())
            .and_then(|cipher| cipher.open(header, datagram));
        let Some(body) = opened else {
            self.shared.counts.refused += 1;
            return Err(Unread::Refused);
        };
        let peer = self.peer(now, header.stream, made, from)?;
        if is_control {
            peer.window.mark(header.number);
        }
        Ok(body)
    }

    /// The peer that has just shown that it has a key.
    fn peer(
        &mut self,
        now: Timestamp,
        stream: StreamId,
        cipher: Option<Cipher>,
        from: SocketAddr,
    ) -> Result<&mut Peer, Unread> {
        if !self.peers.contains_key(&stream.origin) {
            self.make_room(now)?;
        }
        let peer = match self.peers.entry(stream.origin) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Peer {
                epoch: stream.epoch,
                cipher: Cipher::none(),
                window: Window::default(),
                heard_at: now,
                address: from,
                cookie: [0; COOKIE_BYTES],
                budget: Budget::full(now),
                stream: None,
            }),
        };
        if stream.epoch > peer.epoch {
            peer.epoch = stream.epoch;
            peer.window = Window::default();
            if let Some(stream) = &mut peer.stream {
                stream.release(&mut self.shared);
                *stream = Stream::restarted(now);
            }
        }
        if let Some(cipher) = cipher {
            peer.cipher = cipher;
        }
        (peer.heard_at, peer.address) = (now, from);
        Ok(peer)
    }

    fn make_room(&mut self, now: Timestamp) -> Result<(), Unread> {
        if self.peers.len() < PEERS_MAX {
            return Ok(());
        }
        let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.heard_at);
        let oldest = oldest.filter(|(_, peer)| now.since_ms(peer.heard_at) >= SILENT_MS);
        let origin = oldest.map(|(origin, _)| *origin).ok_or(Unread::Unknown)?;
        if let Some(mut stream) = self.peers.remove(&origin).and_then(|peer| peer.stream) {
            stream.release(&mut self.shared);
        }
        Ok(())
    }

    /// What a sender says.
    fn handle_stream(
        &mut self,
        now: Timestamp,
        header: &Header,
        body: Bytes,
    ) -> Result<(), Unread> {
        let Some(peer) = self.peers.get_mut(&header.stream.origin) else {
            return Ok(());
        };
        if !self.settings.receives {
            return Err(Unread::Unknown);
        }
        let shared = &mut self.shared;
        shared.source = peer.address;
        match header.kind {
            Kind::Data => {
                let data = (header.flags, body);
                let stream = heard(&mut peer.stream, header.number, now, shared);
                stream.handle_data(now, header.number, data, shared);
            }
            Kind::Heartbeat => {
                let news = decode_heartbeat(&body).ok_or(Unread::Malformed)?;
                let stream = heard(&mut peer.stream, news.0.saturating_add(1), now, shared);
                stream.handle_heartbeat(now, news, shared);
            }
            Kind::Gone => {
                let next = (*body).try_into().map_err(|_| Unread::Malformed)?;
                if let Some(stream) = &mut peer.stream {
                    stream.handle_gone(now, u64::from_be_bytes(next), shared);
                }
            }
            Kind::Snapshot => {
                if let Some(stream) = &mut peer.stream {
                    stream.handle_snapshot(now, (header.flags, body), shared);
                }
            }
            Kind::Nak | Kind::SnapshotRequest | Kind::Cookie => {}
        }
        Ok(())
    }

    fn handle_cookie(&mut self, now: Timestamp, origin: u64, cookie: Cookie) {
        if let Some(peer) = self.peers.get_mut(&origin)
            && peer.cookie != cookie
        {
            peer.cookie = cookie;
            if let Some(stream) = &mut peer.stream {
                stream.handle_cookie(now);
            }
        }
    }

    fn handle_nak(
        &mut self,
        now: Timestamp,
        nak: &Nak,
        (origin, from): (u64, SocketAddr),
    ) -> Result<(), Unread> {
        if nak.stream != self.own || self.outbound.is_none() {
            return Err(Unread::Unknown);
        }
        self.shared.counts.naks_received += 1;
        if !self.check_cookie(now, from, nak.cookie) {
            return Ok(());
        }
        let (Some(outbound), Some(peer)) = (&mut self.outbound, self.peers.get_mut(&origin)) else {
            return Ok(());
        };
        let counts = &mut self.shared.counts;
        let outgoing = &mut self.outgoing;
        let gone = outbound.handle_nak(now, (nak, from), &mut peer.budget, outgoing, counts);
        if let Some(next) = gone {
            self.shared.counts.gone += 1;
            self.say(Kind::Gone, To::One(from), &[&next.to_be_bytes()]);
        }
        Ok(())
    }

    fn handle_snapshot_request(
        &mut self,
        now: Timestamp,
        request: SnapshotRequest,
        (origin, from): (u64, SocketAddr),
    ) -> Result<(), Unread> {
        if request.stream != self.own || self.outbound.is_none() {
            return Err(Unread::Unknown);
        }
        if !self.check_cookie(now, from, request.cookie) {
            return Ok(());
        }
        let is_new = request.as_of == AS_OF_ANY;
        let is_kept = self.snapshot.as_ref().is_some_and(|snapshot| {
            snapshot.as_of == request.as_of || (is_new && snapshot.is_fresh(now))
        });
        if is_kept {
            let index = if is_new { 0 } else { request.index };
            self.answer(now, index, (origin, from));
        } else if self.asking.len() < ASKING_MAX && !self.asking.contains(&from) {
            self.asking.push(from);
        }
        Ok(())
    }

    /// Whether somebody waits for a snapshot: [`Rlan::take_snapshot`] takes it.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        !self.asking.is_empty()
    }

    /// Takes a snapshot of these values and answers who asked for it; returns how many values it
    /// had no room for.
    pub fn take_snapshot(&mut self, now: Timestamp, values: impl Iterator<Item = Record>) -> u64 {
        let as_of = self.outbound.as_ref().map_or(0, Outbound::highest);
        let body = body_bytes_max(self.settings.datagram_bytes_max);
        let snapshot = Snapshot::new(now, as_of, values, body);
        let left_out = snapshot.left_out;
        self.snapshot = Some(snapshot);
        for from in std::mem::take(&mut self.asking) {
            let asking = self.peers.iter().find(|(_, peer)| peer.address == from);
            if let Some(origin) = asking.map(|(origin, _)| *origin) {
                self.answer(now, 0, (origin, from));
            }
        }
        left_out
    }

    fn answer(&mut self, now: Timestamp, index: u32, (origin, from): (u64, SocketAddr)) {
        let (Some(snapshot), Some(outbound)) = (&mut self.snapshot, &self.outbound) else {
            return;
        };
        let rate = outbound.budget_bytes_per_second;
        let parts: Vec<_> = snapshot.answer(now, index).collect();
        for (flags, head, part) in parts {
            let Some(peer) = self.peers.get_mut(&origin) else {
                return;
            };
            if self.outgoing.len() >= OUTGOING_MAX || !peer.budget.take(now, rate, part.len()) {
                return;
            }
            let datagram = self.seal(Kind::Snapshot, flags, &[&head.encode(), &part]);
            let to = To::One(from);
            self.outgoing.push_back(Outgoing { to, datagram });
        }
    }

    /// Whether the asker has shown that it receives at its address; if not, it is sent what it
    /// must show, in fewer bytes than it sent.
    fn check_cookie(&mut self, now: Timestamp, from: SocketAddr, shown: Cookie) -> bool {
        let slot = now.0 / COOKIE_MS;
        let right = self.cookie(slot, from);
        if shown == right || shown == self.cookie(slot.saturating_sub(1), from) {
            return true;
        }
        self.say(Kind::Cookie, To::One(from), &[&right]);
        false
    }

    fn cookie(&self, slot: u64, from: SocketAddr) -> Cookie {
        let address = from.to_string();
        let parts: [&[u8]; 2] = [&slot.to_be_bytes(), address.as_bytes()];
        let digest = hmac(&self.settings.secret, &parts).unwrap_or_default();
        let mut cookie = [0; COOKIE_BYTES];
        for (to, byte) in cookie.iter_mut().zip(digest) {
            *to = byte;
        }
        cookie
    }

    /// When [`Rlan::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let streams = self.peers.values().filter_map(|peer| peer.stream.as_ref());
        let heartbeat = self.outbound.as_ref().map(Outbound::due);
        streams.filter_map(Stream::due).chain(heartbeat).min()
    }

    /// Does what time asks for: heartbeats, and requests for what is missing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if let Some([highest, oldest]) = self
            .outbound
            .as_mut()
            .and_then(|outbound| outbound.take_heartbeat(now))
        {
            self.say(Kind::Heartbeat, To::Group, &[&highest, &oldest]);
        }
        if self.snapshot.as_ref().is_some_and(|it| it.is_over(now)) {
            self.snapshot = None;
        }
        let mut requests = Vec::new();
        for (origin, peer) in &mut self.peers {
            let Some(stream) = &mut peer.stream else {
                continue;
            };
            self.shared.source = peer.address;
            let (origin, epoch) = (*origin, peer.epoch);
            let (stream_id, cookie) = (StreamId { origin, epoch }, peer.cookie);
            if let Some((as_of, index)) = stream.take_snapshot_request(now, &mut self.shared) {
                let request = SnapshotRequest {
                    stream: stream_id,
                    cookie,
                    as_of,
                    index,
                };
                requests.push((Kind::SnapshotRequest, peer.address, request.encode()));
            }
            if stream.join.is_some() {
                continue;
            }
            let ranges = stream.take_nak(now, &mut self.shared);
            if !ranges.is_empty() {
                self.shared.counts.naks_sent += 1;
                let nak = Nak {
                    stream: stream_id,
                    cookie,
                    ranges,
                };
                requests.push((Kind::Nak, peer.address, nak.encode()));
            }
        }
        for (kind, to, body) in requests {
            self.say(kind, To::One(to), &[&body]);
        }
    }

    /// The next datagram besides the stream's own.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// What has been delivered since the last call.
    pub fn take_delivered(&mut self) -> Vec<Delivered> {
        std::mem::take(&mut self.shared.delivered)
    }

    fn say(&mut self, kind: Kind, to: To, body: &[&[u8]]) {
        if self.outgoing.len() < OUTGOING_MAX {
            let datagram = self.seal(kind, 0, body);
            self.outgoing.push_back(Outgoing { to, datagram });
        }
    }

    fn seal(&mut self, kind: Kind, flags: u8, body: &[&[u8]]) -> Bytes {
        self.control += 1;
        let header = Header {
            kind,
            flags,
            key: self.cipher.id,
            stream: self.own,
            number: self.control,
        };
        self.cipher.seal(&header, body)
    }
}

/// The stream of an origin, whose next datagram is `next` if it is heard of for the first time.
fn heard<'a>(
    stream: &'a mut Option<Stream>,
    next: u64,
    now: Timestamp,
    shared: &mut Shared,
) -> &'a mut Stream {
    stream.get_or_insert_with(|| Stream::first_contact(next, now, &mut shared.random))
}
