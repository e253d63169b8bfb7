//! The codec `lcm`: the UDP multicast protocol of Lightweight Communications and Marshalling.
//!
//! ```text
//! short      "LC02"  seq u32  channel  0x00  payload
//! fragment   "LC03"  seq u32  payload size u32  offset u32  number u16  count u16
//!            [channel  0x00, in number 0]  a piece of the payload
//! ```
//!
//! Numbers are big-endian; `seq` counts a sender's messages. The official senders cut at 64 KiB and
//! leave the rest to IP, where one lost piece blocks the others; we cut at the link's datagram
//! size. Source: LCM's `docs/content/udp-multicast-protocol.md` and `lcm/lcm_udpm.c`.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::{Arrival, Departure, Reader, Unread, Unsendable, fits};
use crate::TopicMap;

const SHORT: u32 = u32::from_be_bytes(*b"LC02");
const FRAGMENT: u32 = u32::from_be_bytes(*b"LC03");
const SHORT_HEAD_BYTES: usize = 8;
const FRAGMENT_HEAD_BYTES: usize = 20;

/// `LCM_MAX_CHANNEL_NAME_LENGTH`: receivers drop what has more.
pub const CHANNEL_BYTES_MAX: usize = 63;

/// Messages of which a piece is missing, at a time.
const PARTIAL_MAX: usize = 64;

/// Senders whose sequence is followed.
const SENDERS_MAX: usize = 1024;

/// How far behind a message may come that others have overtaken.
const OVERTAKEN_MAX: u32 = 1024;

/// What a receiver of LCM itself asks for, once, to see whether multicast works.
const SELF_TEST: &[u8] = b"LCM_SELF_TEST";

/// One link's codec.
#[derive(Debug)]
pub struct Lcm {
    topics: Arc<TopicMap>,
    datagram_bytes_max: usize,
    message_bytes_max: usize,
    sequence: u32,
    partial: BTreeMap<(SocketAddr, u32), Partial>,
    partial_bytes: usize,
    started: u64,
    expected: BTreeMap<SocketAddr, u32>,
    /// Messages that senders have counted and that did not come.
    pub gaps: u64,
}

/// A message of which a piece is missing.
#[derive(Debug)]
struct Partial {
    started: u64,
    channel: Option<Bytes>,
    payload: Vec<u8>,
    seen: Vec<bool>,
    missing: usize,
    filled: usize,
}

impl Lcm {
    /// A codec that sends datagrams of at most `datagram_bytes_max`, at least 128, and messages of
    /// at most `message_bytes_max`.
    #[must_use]
    pub fn new(topics: Arc<TopicMap>, datagram_bytes_max: usize, message_bytes_max: usize) -> Self {
        Self {
            topics,
            datagram_bytes_max: datagram_bytes_max.max(128),
            message_bytes_max,
            sequence: 0,
            partial: BTreeMap::new(),
            partial_bytes: 0,
            started: 0,
            expected: BTreeMap::new(),
            gaps: 0,
        }
    }

    /// The datagrams of a message.
    ///
    /// # Errors
    /// [`Unsendable::NoName`] when the topic is no channel: longer than 63 bytes, with a zero;
    /// [`Unsendable::TooLarge`].
    pub fn encode(
        &mut self,
        message: Departure<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), Unsendable> {
        let mapped = self.topics.of_topic(message.topic);
        let channel = mapped.and_then(|entry| entry.channel.as_deref());
        let channel = channel.unwrap_or(message.topic);
        if channel.len() > CHANNEL_BYTES_MAX || channel.contains(&0) {
            return Err(Unsendable::NoName);
        }
        fits(message.payload.len(), self.message_bytes_max)?;
        let named = channel.len() + 1 + message.payload.len();
        if SHORT_HEAD_BYTES + named <= self.datagram_bytes_max {
            let mut bytes = Vec::with_capacity(SHORT_HEAD_BYTES + named);
            bytes.extend(SHORT.to_be_bytes());
            bytes.extend(self.sequence.to_be_bytes());
            bytes.extend(channel);
            bytes.push(0);
            bytes.extend(message.payload);
            out.push_back(bytes.into());
        } else {
            self.cut(channel, message.payload, out)?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    fn cut(
        &self,
        channel: &[u8],
        payload: &[u8],
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), Unsendable> {
        let room = self.datagram_bytes_max - FRAGMENT_HEAD_BYTES;
        let bytes = payload.len();
        let bytes_max = room * usize::from(u16::MAX);
        let too_large = |_| Unsendable::TooLarge { bytes, bytes_max };
        let count = u16::try_from((channel.len() + 1 + bytes).div_ceil(room)).map_err(too_large)?;
        let size = u32::try_from(bytes).map_err(too_large)?;
        let (mut rest, mut offset) = (payload, 0_u32);
        for number in 0..count {
            let mut fragment = Vec::with_capacity(self.datagram_bytes_max);
            for word in [FRAGMENT, self.sequence, size, offset] {
                fragment.extend(word.to_be_bytes());
            }
            fragment.extend(number.to_be_bytes());
            fragment.extend(count.to_be_bytes());
            if number == 0 {
                fragment.extend(channel);
                fragment.push(0);
            }
            let room = self.datagram_bytes_max - fragment.len();
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            fragment.extend(piece);
            rest = behind;
            offset += u32::try_from(piece.len()).unwrap_or(0);
            out.push_back(fragment.into());
        }
        Ok(())
    }

    /// What a datagram says, if it says all there is to say.
    ///
    /// # Errors
    /// [`Unread::Malformed`]; [`Unread::TooLarge`] for a message above the link's limit.
    pub fn decode(&mut self, datagram: &[u8], from: SocketAddr) -> Result<Option<Arrival>, Unread> {
        let mut reader = Reader::new(datagram);
        let magic = reader.u32_be().ok_or(Unread::Malformed)?;
        let sequence = reader.u32_be().ok_or(Unread::Malformed)?;
        let message = match magic {
            SHORT => {
                let channel = read_channel(&mut reader)?;
                self.check(reader.rest().len())?;
                let payload = Bytes::copy_from_slice(reader.rest());
                Some((Bytes::copy_from_slice(channel), payload))
            }
            FRAGMENT => self.join((from, sequence), reader)?,
            _ => return Err(Unread::Malformed),
        };
        let Some((channel, payload)) = message else {
            return Ok(None);
        };
        self.follow(from, sequence);
        if channel == SELF_TEST {
            return Err(Unread::Unknown);
        }
        let mapped = self.topics.of_channel(&channel);
        Ok(Some(Arrival {
            topic: Some(mapped.map_or(channel, |entry| entry.topic.clone())),
            payload,
            retain: false,
        }))
    }

    fn check(&self, bytes: usize) -> Result<(), Unread> {
        let bytes_max = self.message_bytes_max;
        if bytes > bytes_max {
            return Err(Unread::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    fn join(
        &mut self,
        key: (SocketAddr, u32),
        mut reader: Reader<'_>,
    ) -> Result<Option<(Bytes, Bytes)>, Unread> {
        let head = FragmentHead::read(&mut reader).ok_or(Unread::Malformed)?;
        self.check(head.size)?;
        let channel = match head.number {
            0 => Some(Bytes::copy_from_slice(read_channel(&mut reader)?)),
            _ => None,
        };
        let is_same = |partial: &Partial| {
            (partial.payload.len(), partial.seen.len()) == (head.size, head.count)
        };
        if self.partial.get(&key).is_some_and(|known| !is_same(known)) {
            self.forget(key);
        }
        if !self.partial.contains_key(&key) {
            self.begin(key, &head);
        }
        let partial = self.partial.get_mut(&key).ok_or(Unread::Malformed)?;
        if partial.put(&head, channel, reader.rest()).is_none() {
            self.forget(key);
            return Err(Unread::Malformed);
        }
        if partial.missing > 0 {
            return Ok(None);
        }
        let whole = self.forget(key).ok_or(Unread::Malformed)?;
        if whole.filled != head.size {
            return Err(Unread::Malformed);
        }
        let channel = whole.channel.ok_or(Unread::Malformed)?;
        Ok(Some((channel, whole.payload.into())))
    }

    /// Makes room, at the cost of the oldest, and begins a message.
    fn begin(&mut self, key: (SocketAddr, u32), head: &FragmentHead) {
        let bytes_max = self.message_bytes_max.saturating_mul(2);
        while self.partial.len() >= PARTIAL_MAX
            || (self.partial_bytes + head.cost() > bytes_max && !self.partial.is_empty())
        {
            let oldest = self.partial.iter().min_by_key(|(_, it)| it.started);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.forget(oldest);
        }
        self.started += 1;
        self.partial_bytes += head.cost();
        self.partial.insert(
            key,
            Partial {
                started: self.started,
                channel: None,
                payload: vec![0; head.size],
                seen: vec![false; head.count],
                missing: head.count,
                filled: 0,
            },
        );
    }

    fn forget(&mut self, key: (SocketAddr, u32)) -> Option<Partial> {
        let partial = self.partial.remove(&key)?;
        self.partial_bytes -= partial.payload.len() + partial.seen.len();
        Some(partial)
    }

    /// Counts what a sender's sequence leaves out. A number that goes back a little was overtaken;
    /// one that goes back far is a sender that was started again.
    fn follow(&mut self, from: SocketAddr, sequence: u32) {
        if self.expected.len() >= SENDERS_MAX && !self.expected.contains_key(&from) {
            self.expected.clear();
        }
        let expected = self.expected.entry(from).or_insert(sequence);
        let (ahead, behind) = (
            sequence.wrapping_sub(*expected),
            expected.wrapping_sub(sequence),
        );
        if ahead < u32::MAX / 2 {
            self.gaps += u64::from(ahead);
        } else if behind < OVERTAKEN_MAX {
            return;
        }
        *expected = sequence.wrapping_add(1);
    }
}

impl Partial {
    /// Puts a piece in its place; `None` if there is no such place.
    fn put(&mut self, head: &FragmentHead, channel: Option<Bytes>, piece: &[u8]) -> Option<()> {
        let place = self
            .payload
            .get_mut(head.offset..)?
            .get_mut(..piece.len())?;
        let seen = self.seen.get_mut(head.number)?;
        if !*seen {
            *seen = true;
            place.copy_from_slice(piece);
            self.missing -= 1;
            self.filled += piece.len();
            self.channel = channel.or_else(|| self.channel.take());
        }
        Some(())
    }
}

struct FragmentHead {
    size: usize,
    offset: usize,
    number: usize,
    count: usize,
}

impl FragmentHead {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let size = usize::try_from(reader.u32_be()?).ok()?;
        let offset = usize::try_from(reader.u32_be()?).ok()?;
        let (number, count) = (reader.u16_be()?.into(), reader.u16_be()?.into());
        let head = Self {
            size,
            offset,
            number,
            count,
        };
        // Every piece but the first has something of the payload.
        (number < count && count <= size + 1).then_some(head)
    }

    const fn cost(&self) -> usize {
        self.size + self.count
    }
}

fn read_channel<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Unread> {
    let channel = reader.take_until(0).ok_or(Unread::Malformed)?;
    if channel.len() > CHANNEL_BYTES_MAX {
        return Err(Unread::Malformed);
    }
    Ok(channel)
}

#[cfg(test)]
mod tests;
