//! What a receiver knows of one origin's stream: what came, what is missing, and whether it is
//! joining. It is the only place where order is made.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use routing::Timestamp;

use super::control::{AS_OF_ANY, RANGES_MAX, SNAPSHOT_HEAD_BYTES, SnapshotHead};
use super::fragment::{Assembled, Assembly, next_message};
use super::retry::{Random, Retry};
use super::{Delivered, Record, RlanCounts};

/// A receiver that hears of a stream at or below this was there from its start, or nearly.
const START_WINDOW: u64 = 64;

/// How far ahead of what is missing a datagram may be and is kept.
const WINDOW: u64 = 8192;

/// What is held of one origin, in bytes.
const HELD_BYTES_MAX: usize = 8 << 20;

/// What is held of all origins.
pub(super) const HELD_BYTES_MAX_ALL: usize = 64 << 20;

/// What a datagram costs besides its bytes.
const BOOKKEEPING_BYTES: usize = 128;

/// Numbers of one NAK.
pub(super) const NAK_NUMBERS_MAX: u64 = 256;

/// How long a receiver asks for what does not come.
const GIVE_UP_MS: u64 = 10_000;

/// Requests for a snapshot without an answer.
const JOIN_TRIES_MAX: u32 = 10;

/// SNAPSHOTs of one request.
pub(super) const SNAPSHOT_PARTS: u32 = 16;

/// What every stream needs of the endpoint.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) block_bytes_max: usize,
    /// What all streams hold, in bytes.
    pub(super) held_bytes: usize,
    pub(super) random: Random,
    pub(super) counts: RlanCounts,
    pub(super) delivered: Vec<Delivered>,
    /// Where the stream that is being driven comes from.
    pub(super) source: SocketAddr,
}

/// One origin's stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// The next sequence number to deliver.
    expected: u64,
    /// The highest heard of.
    highest: u64,
    held: BTreeMap<u64, (u8, Bytes)>,
    held_bytes: usize,
    assembly: Assembly,
    pub(super) nak: Retry,
    pub(super) join: Option<Join>,
    /// When `expected` last moved, or something was first found missing.
    moved_at: Timestamp,
}

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Join {
    /// Whether the stream goes on at `expected`, and not where the snapshot ends.
    is_fixed: bool,
    pub(super) as_of: u64,
    pub(super) index: u32,
    /// The index that the last request named.
    asked: u32,
    tries: u32,
    pub(super) retry: Retry,
    assembly: Assembly,
}

impl Join {
    fn new(is_fixed: bool, now: Timestamp, random: &mut Random) -> Self {
        let mut retry = Retry::default();
        retry.start(now, random);
        Self {
            is_fixed,
            as_of: AS_OF_ANY,
            index: 0,
            asked: 0,
            tries: 0,
            retry,
            assembly: Assembly::default(),
        }
    }
}

impl Stream {
    /// A stream heard of for the first time, whose next datagram is `next`.
    pub(super) fn first_contact(next: u64, now: Timestamp, random: &mut Random) -> Self {
        let is_fixed = next <= START_WINDOW;
        let expected = if is_fixed { 1 } else { next };
        let join = Some(Join::new(is_fixed, now, random));
        Self {
            join,
            ..Self::at(expected, now)
        }
    }

    /// The stream of a sender that has started again.
    pub(super) fn restarted(now: Timestamp) -> Self {
        Self::at(1, now)
    }

    fn at(expected: u64, now: Timestamp) -> Self {
        Self {
            expected,
            highest: expected.saturating_sub(1),
            held: BTreeMap::new(),
            held_bytes: 0,
            assembly: Assembly::default(),
            nak: Retry::default(),
            join: None,
            moved_at: now,
        }
    }

    /// Takes DATA.
    pub(super) fn handle_data(
        &mut self,
        now: Timestamp,
        sequence: u64,
        (flags, part): (u8, Bytes),
        shared: &mut Shared,
    ) {
        if sequence < self.expected || self.held.contains_key(&sequence) {
            shared.counts.duplicates += 1;
            return;
        }
        self.hear_of(now, sequence, sequence.saturating_sub(1), shared);
        if sequence == self.expected && self.join.is_none() {
            self.accept(flags, part, shared);
            self.advance(now, shared);
        } else {
            self.hold(sequence, flags, part, shared);
        }
        self.ask(now, shared);
    }

    /// Takes a HEARTBEAT.
    pub(super) fn handle_heartbeat(
        &mut self,
        now: Timestamp,
        (highest, oldest): (u64, u64),
        shared: &mut Shared,
    ) {
        self.hear_of(now, highest, highest, shared);
        if oldest > self.expected {
            self.skip(now, oldest, shared);
        }
        self.ask(now, shared);
    }

    /// Takes a GONE.
    pub(super) fn handle_gone(&mut self, now: Timestamp, next: u64, shared: &mut Shared) {
        // Nobody can have lost what was never sent.
        let next = next.min(self.highest.saturating_add(1));
        if next > self.expected {
            self.skip(now, next, shared);
        }
        self.ask(now, shared);
    }

    /// Takes a SNAPSHOT.
    pub(super) fn handle_snapshot(
        &mut self,
        now: Timestamp,
        (flags, mut body): (u8, Bytes),
        shared: &mut Shared,
    ) {
        let (Some(head), Some(join)) = (SnapshotHead::decode(&body), &mut self.join) else {
            return;
        };
        body.advance(SNAPSHOT_HEAD_BYTES);
        if head.as_of != join.as_of && head.index == 0 {
            (join.as_of, join.index, join.asked) = (head.as_of, 0, 0);
            join.assembly.reset();
        }
        if (head.as_of, head.index) != (join.as_of, join.index) {
            return;
        }
        if head.total > 0 {
            let part = join.assembly.push(flags, body, shared.block_bytes_max);
            deliver(part, true, shared);
            join.index = join.index.saturating_add(1);
        }
        join.tries = 0;
        if join.index >= head.total {
            return self.end_join(now, Some(head.as_of), shared);
        }
        join.retry.progress(now, &mut shared.random);
        if join.index - join.asked >= SNAPSHOT_PARTS {
            join.retry.due = Some(now);
        }
    }

    /// What is missing, lowest first, when it is time to ask.
    pub(super) fn take_nak(&mut self, now: Timestamp, shared: &mut Shared) -> Vec<(u64, u64)> {
        if self.nak.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        if now.since_ms(self.moved_at) >= GIVE_UP_MS {
            let next = self.held.keys().next().copied();
            let next = next.unwrap_or_else(|| self.highest.saturating_add(1));
            self.skip(now, next, shared);
            return Vec::new();
        }
        let ranges = self.missing();
        match ranges.is_empty() {
            true => self.nak.stop(),
            false => self.nak.sent(now, &mut shared.random),
        }
        ranges
    }

    /// Whether a snapshot is to be asked for now, and from where.
    pub(super) fn take_snapshot_request(
        &mut self,
        now: Timestamp,
        shared: &mut Shared,
    ) -> Option<(u64, u32)> {
        let join = self.join.as_mut()?;
        if join.retry.due.is_none_or(|due| due > now) {
            return None;
        }
        if join.tries >= JOIN_TRIES_MAX {
            self.end_join(now, None, shared);
            return None;
        }
        join.tries += 1;
        join.asked = join.index;
        join.retry.sent(now, &mut shared.random);
        Some((join.as_of, join.index))
    }

    /// A cookie has come that was not known: what waits for one is due.
    pub(super) fn handle_cookie(&mut self, now: Timestamp) {
        match &mut self.join {
            Some(join) => {
                join.retry.due = Some(now);
                join.tries = 0;
            }
            None if self.nak.due.is_some() => self.nak.due = Some(now),
            None => {}
        }
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.join {
            Some(join) => join.retry.due,
            None => self.nak.due,
        }
    }

    /// What the stream keeps, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let joining = self.join.as_ref().map_or(0, |join| join.assembly.bytes());
        self.held_bytes + self.assembly.bytes() + joining
    }

    /// The stream is dropped: what it held is free.
    pub(super) fn release(&mut self, shared: &mut Shared) {
        shared.held_bytes = shared.held_bytes.saturating_sub(self.held_bytes);
        self.held_bytes = 0;
        self.held.clear();
    }

    /// Everything up to `highest` was sent, and what lies between the highest so far and `seen` has
    /// not come.
    fn hear_of(&mut self, now: Timestamp, highest: u64, seen: u64, shared: &mut Shared) {
        if highest <= self.highest {
            return;
        }
        if self.highest < self.expected {
            self.moved_at = now;
        }
        let missing = seen.saturating_sub(self.highest);
        shared.counts.missing = shared.counts.missing.saturating_add(missing);
        self.highest = highest;
    }

    fn hold(&mut self, sequence: u64, flags: u8, part: Bytes, shared: &mut Shared) {
        let cost = part.len() + BOOKKEEPING_BYTES;
        let is_near = sequence - self.expected < WINDOW;
        let has_room = self.held_bytes + cost <= HELD_BYTES_MAX
            && shared.held_bytes + cost <= HELD_BYTES_MAX_ALL;
        if is_near && has_room {
            self.held_bytes += cost;
            shared.held_bytes += cost;
            self.held.insert(sequence, (flags, part));
        }
    }

    fn unhold(&mut self, sequence: u64, shared: &mut Shared) -> Option<(u8, Bytes)> {
        let (flags, part) = self.held.remove(&sequence)?;
        let cost = part.len() + BOOKKEEPING_BYTES;
        self.held_bytes = self.held_bytes.saturating_sub(cost);
        shared.held_bytes = shared.held_bytes.saturating_sub(cost);
        Some((flags, part))
    }

    /// Takes the datagram `expected`.
    fn accept(&mut self, flags: u8, part: Bytes, shared: &mut Shared) {
        self.expected = self.expected.saturating_add(1);
        let part = self.assembly.push(flags, part, shared.block_bytes_max);
        deliver(part, false, shared);
    }

    /// Takes what is held and whose turn it is; `expected` has moved.
    fn advance(&mut self, now: Timestamp, shared: &mut Shared) {
        while let Some((flags, part)) = self.unhold(self.expected, shared) {
            self.accept(flags, part, shared);
        }
        self.moved_at = now;
        self.nak.progress(now, &mut shared.random);
    }

    /// What is below `next` is lost. The state is asked for anew.
    fn skip(&mut self, now: Timestamp, next: u64, shared: &mut Shared) {
        let held = self.held.range(..next).map(|(sequence, _)| *sequence);
        let held: Vec<_> = held.collect();
        let count = u64::try_from(held.len()).unwrap_or(0);
        for sequence in held {
            self.unhold(sequence, shared);
        }
        let lost = next.saturating_sub(self.expected).saturating_sub(count);
        shared.counts.lost = shared.counts.lost.saturating_add(lost);
        self.expected = next;
        self.assembly.reset();
        self.nak.stop();
        self.moved_at = now;
        match &mut self.join {
            Some(join) => join.is_fixed = true,
            None => self.join = Some(Join::new(true, now, &mut shared.random)),
        }
    }

    fn end_join(&mut self, now: Timestamp, as_of: Option<u64>, shared: &mut Shared) {
        let is_fixed = self.join.take().is_none_or(|join| join.is_fixed);
        if let Some(as_of) = as_of.filter(|as_of| !is_fixed && *as_of >= self.expected) {
            self.expected = as_of.saturating_add(1);
            self.highest = self.highest.max(as_of);
            let held = self.held.range(..self.expected);
            for sequence in held.map(|(sequence, _)| *sequence).collect::<Vec<_>>() {
                self.unhold(sequence, shared);
            }
        }
        self.advance(now, shared);
        self.ask(now, shared);
    }

    /// Sees to it that what is missing is asked for.
    fn ask(&mut self, now: Timestamp, shared: &mut Shared) {
        match self.expected <= self.highest && self.join.is_none() {
            true => self.nak.start(now, &mut shared.random),
            false => self.nak.stop(),
        }
    }

    fn missing(&self) -> Vec<(u64, u64)> {
        let end = self.highest.min(self.expected.saturating_add(WINDOW - 1));
        let (mut ranges, mut next, mut left) = (Vec::new(), self.expected, NAK_NUMBERS_MAX);
        let held = self
            .held
            .range(self.expected..)
            .map(|(sequence, _)| *sequence);
        for sequence in held.chain([end.saturating_add(1)]) {
            let last = sequence.saturating_sub(1).min(end);
            if next <= last && left > 0 && ranges.len() < RANGES_MAX {
                let last = last.min(next.saturating_add(left - 1));
                left -= last - next + 1;
                ranges.push((next, last));
            }
            next = sequence.saturating_add(1);
        }
        ranges
    }
}

fn deliver(part: Assembled, is_snapshot: bool, shared: &mut Shared) {
    match part {
        Assembled::Not => {}
        Assembled::TooLarge => shared.counts.too_large += 1,
        Assembled::Whole(mut block) => {
            while let Some(message) = next_message(&mut block) {
                match Record::decode(&message) {
                    Some(record) => shared.delivered.push(Delivered {
                        record,
                        is_snapshot,
                        source: shared.source,
                    }),
                    None => shared.counts.malformed += 1,
                }
            }
        }
    }
}
