//! The retained values of a link as of one moment, cut into parts that a receiver asks for.

use bytes::Bytes;
use routing::Timestamp;

use super::Record;
use super::control::{SNAPSHOT_HEAD_BYTES, SnapshotHead};
use super::fragment::Packer;
use super::receiver::SNAPSHOT_PARTS;

/// What a snapshot may take, in bytes.
const BYTES_MAX: usize = 16 << 20;

/// How long one serves new receivers.
const FRESH_MS: u64 = 1000;

/// How long one is kept after the last request.
const KEPT_MS: u64 = 10_000;

/// Retained values as of one sequence number.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) as_of: u64,
    taken_at: Timestamp,
    asked_at: Timestamp,
    /// Flags and bytes of each.
    parts: Vec<(u8, Bytes)>,
    /// Values that it had no room for.
    pub(super) left_out: u64,
}

impl Snapshot {
    /// Takes a snapshot of these values.
    pub(super) fn new(
        now: Timestamp,
        as_of: u64,
        values: impl Iterator<Item = Record>,
        body_bytes_max: usize,
    ) -> Self {
        let mut packer = Packer::new(body_bytes_max.saturating_sub(SNAPSHOT_HEAD_BYTES));
        let (mut parts, mut bytes, mut left_out) = (Vec::new(), 0, 0);
        let mut scratch = Vec::new();
        for record in values {
            scratch.clear();
            let is_written = record.encode(&mut scratch).is_some();
            if !is_written || bytes + scratch.len() > BYTES_MAX {
                left_out += 1;
                continue;
            }
            bytes += scratch.len();
            packer.push(&scratch, |flags, part| {
                parts.push((flags, Bytes::copy_from_slice(part)));
            });
        }
        packer.flush(|flags, part| parts.push((flags, Bytes::copy_from_slice(part))));
        Self {
            as_of,
            taken_at: now,
            asked_at: now,
            parts,
            left_out,
        }
    }

    /// Whether a receiver that has had nothing may have this one.
    pub(super) const fn is_fresh(&self, now: Timestamp) -> bool {
        now.since_ms(self.taken_at) < FRESH_MS
    }

    /// Whether nobody asks for it any more.
    pub(super) const fn is_over(&self, now: Timestamp) -> bool {
        now.since_ms(self.asked_at) >= KEPT_MS
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len()).sum()
    }

    /// The answer to one request: flags, head and bytes of each part.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        index: u32,
    ) -> impl Iterator<Item = (u8, SnapshotHead, Bytes)> {
        self.asked_at = now;
        let total = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let as_of = self.as_of;
        let head = move |index| SnapshotHead {
            as_of,
            index,
            total,
        };
        let nothing = (total == 0).then(|| (0, head(0), Bytes::new()));
        let parts = (index..).zip(self.parts.iter().skip(usize::try_from(index).unwrap_or(0)));
        let parts = parts
            .take(usize::try_from(SNAPSHOT_PARTS).unwrap_or(0))
            .map(move |(index, (flags, part))| (*flags, head(index), part.clone()));
        nothing.into_iter().chain(parts)
    }
}
