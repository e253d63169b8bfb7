//! The bodies of all types but DATA.

use bytes::BufMut;

use super::header::{NUMBER_MAX, StreamId};
use crate::wire::Reader;

/// Bytes of a cookie.
pub(super) const COOKIE_BYTES: usize = 16;

/// What a receiver shows to prove that it receives at its address.
pub(super) type Cookie = [u8; COOKIE_BYTES];

/// Ranges of one NAK.
pub(super) const RANGES_MAX: usize = 32;

/// The as-of of a request for a new snapshot.
pub(super) const AS_OF_ANY: u64 = u64::MAX;

/// Bytes in front of a SNAPSHOT's part.
pub(super) const SNAPSHOT_HEAD_BYTES: usize = 16;

/// What a NAK says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nak {
    pub(super) stream: StreamId,
    pub(super) cookie: Cookie,
    /// First and last of each range.
    pub(super) ranges: Vec<(u64, u64)>,
}

impl Nak {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = stream_and_cookie(self.stream, &self.cookie);
        for (first, last) in &self.ranges {
            out.put_u64(*first);
            out.put_u64(*last);
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (stream, cookie) = read_stream_and_cookie(&mut reader)?;
        let mut ranges = Vec::new();
        while !reader.rest().is_empty() {
            let (first, last) = (u64(&mut reader)?, u64(&mut reader)?);
            ranges.push((first, last));
        }
        let is_right = (1..=RANGES_MAX).contains(&ranges.len())
            && ranges
                .iter()
                .all(|(first, last)| (1..=*last).contains(first));
        is_right.then_some(Self {
            stream,
            cookie,
            ranges,
        })
    }
}

/// What a `SNAPSHOT_REQUEST` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotRequest {
    pub(super) stream: StreamId,
    pub(super) cookie: Cookie,
    pub(super) as_of: u64,
    pub(super) index: u32,
}

impl SnapshotRequest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = stream_and_cookie(self.stream, &self.cookie);
        out.put_u64(self.as_of);
        out.put_u32(self.index);
        out
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (stream, cookie) = read_stream_and_cookie(&mut reader)?;
        let request = Self {
            stream,
            cookie,
            as_of: u64(&mut reader)?,
            index: reader.u32_be()?,
        };
        reader.rest().is_empty().then_some(request)
    }
}

/// What is in front of a SNAPSHOT's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotHead {
    pub(super) as_of: u64,
    pub(super) index: u32,
    pub(super) total: u32,
}

impl SnapshotHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SNAPSHOT_HEAD_BYTES);
        out.put_u64(self.as_of);
        out.put_u32(self.index);
        out.put_u32(self.total);
        out
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let head = Self {
            as_of: u64(&mut reader)?,
            index: reader.u32_be()?,
            total: reader.u32_be()?,
        };
        (head.as_of <= NUMBER_MAX).then_some(head)
    }
}

/// HEARTBEAT: highest and oldest.
pub(super) fn decode_heartbeat(body: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader::new(body);
    let both = (u64(&mut reader)?, u64(&mut reader)?);
    let is_right = both.0 <= NUMBER_MAX && (1..=both.0 + 1).contains(&both.1);
    (reader.rest().is_empty() && is_right).then_some(both)
}

fn stream_and_cookie(stream: StreamId, cookie: &Cookie) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u64(stream.origin);
    out.put_u32(stream.epoch);
    out.put_slice(cookie);
    out
}

fn read_stream_and_cookie(reader: &mut Reader<'_>) -> Option<(StreamId, Cookie)> {
    let stream = StreamId {
        origin: u64(reader)?,
        epoch: reader.u32_be()?,
    };
    Some((stream, reader.array()?))
}

fn u64(reader: &mut Reader<'_>) -> Option<u64> {
    reader.array().map(u64::from_be_bytes)
}
