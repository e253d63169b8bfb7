//! What a sender knows of its own stream: what it has sent, who asked for it again, and when the
//! next heartbeat is due.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use super::control::Nak;
use super::fragment::Packer;
use super::header::{HEADER_BYTES, Header, Kind, StreamId};
use super::receiver::NAK_NUMBERS_MAX;
use super::ring::Ring;
use super::seal::{Cipher, TAG_BYTES};
use super::{Outgoing, Record, RlanCounts, To};
use crate::Unsendable;

/// The first heartbeat after the last DATA, and the longest interval.
const HEARTBEAT_MS: (u64, u64) = (10, 500);

/// Within this time a repair for several receivers goes to the group.
const SHARED_MS: u64 = 2;

/// Receivers that make a repair one for the group.
const SHARED_RECEIVERS: usize = 3;

/// Sequence numbers of which it is remembered who asked.
const ASKED_MAX: usize = 4096;

/// What a receiver may ask for at once, in bytes.
const BUDGET_BYTES: u64 = 1 << 20;

/// Datagrams that may wait to be sent besides the stream.
pub(super) const OUTGOING_MAX: usize = 4096;

/// What one receiver may still ask for: a bucket that fills with time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    level: u64,
    filled_at: Timestamp,
}

impl Budget {
    pub(super) const fn full(now: Timestamp) -> Self {
        Self {
            level: BUDGET_BYTES,
            filled_at: now,
        }
    }

    /// Takes from the budget, if it holds as much.
    pub(super) fn take(&mut self, now: Timestamp, bytes_per_second: u64, bytes: usize) -> bool {
        let passed = now.since_ms(self.filled_at);
        let filled = passed.saturating_mul(bytes_per_second) / 1000;
        if filled > 0 {
            self.filled_at = now;
            self.level = self.level.saturating_add(filled).min(BUDGET_BYTES);
        }
        let left = self
            .level
            .checked_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.level = left.unwrap_or(self.level);
        left.is_some()
    }
}

/// Who asked for one datagram lately.
#[derive(Debug, Default)]
struct Asked {
    since: Timestamp,
    receivers: Vec<SocketAddr>,
}

/// The stream that this link sends.
#[derive(Debug)]
pub(super) struct Outbound {
    stream: StreamId,
    ring: Ring,
    packer: Packer,
    /// The message being written.
    scratch: Vec<u8>,
    asked: HashMap<u64, Asked>,
    heartbeat_due: Timestamp,
    heartbeat_ms: u64,
    /// What each receiver's budget fills with in a second.
    pub(super) budget_bytes_per_second: u64,
}

/// Bytes of a datagram's body.
pub(super) fn body_bytes_max(datagram_bytes_max: usize) -> usize {
    datagram_bytes_max.saturating_sub(HEADER_BYTES + TAG_BYTES)
}

impl Outbound {
    pub(super) fn new(stream: StreamId, settings: &super::RlanSettings) -> Self {
        let rate = match settings.bytes_per_second {
            0 => u64::MAX / 1000,
            rate => rate / 8,
        };
        Self {
            stream,
            ring: Ring::new(settings.repair_bytes_max),
            packer: Packer::new(body_bytes_max(settings.datagram_bytes_max)),
            scratch: Vec::new(),
            asked: HashMap::new(),
            heartbeat_due: Timestamp(0),
            heartbeat_ms: HEARTBEAT_MS.0,
            budget_bytes_per_second: rate,
        }
    }

    /// Adds a message to the block; full datagrams go to `out`.
    pub(super) fn publish(
        &mut self,
        cipher: &Cipher,
        record: &Record,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), Unsendable> {
        self.scratch.clear();
        record.encode(&mut self.scratch).ok_or(Unsendable::NoName)?;
        let (ring, stream) = (&mut self.ring, self.stream);
        self.packer.push(&self.scratch, |flags, part| {
            out.push_back(data(cipher, stream, ring, flags, part));
        });
        Ok(())
    }

    /// Ends the block; the next heartbeat is due soon after it.
    pub(super) fn flush(&mut self, now: Timestamp, cipher: &Cipher, out: &mut VecDeque<Bytes>) {
        let before = self.ring.highest();
        let (ring, stream) = (&mut self.ring, self.stream);
        self.packer.flush(|flags, part| {
            out.push_back(data(cipher, stream, ring, flags, part));
        });
        if self.ring.highest() != before || !out.is_empty() {
            self.heartbeat_ms = HEARTBEAT_MS.0;
            self.heartbeat_due = now.plus_ms(self.heartbeat_ms);
        }
    }

    /// When the next heartbeat is due.
    pub(super) const fn due(&self) -> Timestamp {
        self.heartbeat_due
    }

    /// The body of a heartbeat, if one is due.
    pub(super) fn take_heartbeat(&mut self, now: Timestamp) -> Option<[[u8; 8]; 2]> {
        if now < self.heartbeat_due {
            return None;
        }
        self.heartbeat_ms = (self.heartbeat_ms * 2).min(HEARTBEAT_MS.1);
        self.heartbeat_due = now.plus_ms(self.heartbeat_ms);
        let (highest, oldest) = (self.ring.highest(), self.ring.oldest());
        Some([highest.to_be_bytes(), oldest.to_be_bytes()])
    }

    /// The sequence number of the last datagram.
    pub(super) const fn highest(&self) -> u64 {
        self.ring.highest()
    }

    /// What is kept for repairs, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// Sends again what a receiver lacks; returns the first number that it may still ask for, if
    /// some of what it asked for is not to be had.
    pub(super) fn handle_nak(
        &mut self,
        now: Timestamp,
        (nak, from): (&Nak, SocketAddr),
        budget: &mut Budget,
        outgoing: &mut VecDeque<Outgoing>,
        counts: &mut RlanCounts,
    ) -> Option<u64> {
        let (highest, oldest) = (self.ring.highest(), self.ring.oldest());
        let mut left = NAK_NUMBERS_MAX;
        let mut gone = None;
        for (first, last) in &nak.ranges {
            if *first < oldest {
                gone = gone.max(Some(oldest.min(last.saturating_add(1))));
            }
            let (first, last) = ((*first).max(oldest), (*last).min(highest));
            for sequence in (first..=last).take(usize::try_from(left).unwrap_or(0)) {
                left -= 1;
                let Some(datagram) = self.ring.find(sequence).cloned() else {
                    continue;
                };
                let to = match self.to(now, sequence, from) {
                    Some(_) if outgoing.len() >= OUTGOING_MAX => return gone,
                    Some(to) => to,
                    None => continue,
                };
                if !budget.take(now, self.budget_bytes_per_second, datagram.len()) {
                    // What it lacks it has lost: it must not live off the others' repairs.
                    return Some(highest.saturating_add(1));
                }
                counts.repairs += 1;
                outgoing.push_back(Outgoing { to, datagram });
            }
        }
        gone
    }

    /// Who is to get a repair; nobody if the group has just got it, or this receiver has.
    fn to(&mut self, now: Timestamp, sequence: u64, from: SocketAddr) -> Option<To> {
        if self.asked.len() >= ASKED_MAX {
            self.asked
                .retain(|_, asked| now.since_ms(asked.since) <= SHARED_MS);
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked.clear();
        }
        let asked = self.asked.entry(sequence).or_default();
        if now.since_ms(asked.since) > SHARED_MS {
            asked.receivers.clear();
            asked.since = now;
        }
        if asked.receivers.len() >= SHARED_RECEIVERS || asked.receivers.contains(&from) {
            return None;
        }
        asked.receivers.push(from);
        if asked.receivers.len() < SHARED_RECEIVERS {
            return Some(To::One(from));
        }
        // From now on, the group has it.
        asked.since = now;
        Some(To::Group)
    }
}

fn data(cipher: &Cipher, stream: StreamId, ring: &mut Ring, flags: u8, part: &[u8]) -> Bytes {
    let header = Header {
        kind: Kind::Data,
        flags,
        key: cipher.id,
        stream,
        number: ring.highest() + 1,
    };
    let datagram = cipher.seal(&header, &[part]);
    ring.push(datagram.clone());
    datagram
}
