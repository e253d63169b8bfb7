//! The end of the log that is still in memory: frames being built at their final positions.
//! Separate because this is all that happens under the appenders' lock, and it does no I/O.

use crate::error::Refused;
use crate::format::{self, FRAME_HEADER_BYTES, FrameKind, HEADER_PAGE_BYTES};
use crate::lsn::{Appended, Lsn, u64_from, usize_from};

/// Whether a record may wait for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it to be durable: it is written and synced as soon as the disk is free.
    Sync,
    /// Losing it is allowed (an acknowledgement: the message is delivered again). It asks for no
    /// sync of its own: it rides with the next one, at the latest after 50 ms.
    Lazy,
}

/// A frame's size above which no record is added: keeps one write, and one check at recovery,
/// in the processor's caches, at a cost of 32 bytes in a megabyte.
const FRAME_FULL_BYTES: usize = 1 << 20;
/// Buffers kept for reuse, and the size above which one is given back instead.
const SPARE_COUNT: usize = 8;
const SPARE_BYTES_MAX: usize = 2 * FRAME_FULL_BYTES;
/// Segments that only lazy records may begin while the disk is full.
pub(crate) const RESERVE_SEGMENTS: usize = 1;

/// One frame on its way to the disk.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) lsn: Lsn,
    /// Base of the segment it lies in.
    pub(crate) segment: u64,
    /// Where the log ended before this frame.
    pub(crate) prev_end: Lsn,
    pub(crate) kind: FrameKind,
    /// It is valid only together with the next one.
    pub(crate) has_more: bool,
    pub(crate) records: u64,
    pub(crate) bytes: Vec<u8>,
    /// Of the records in `bytes`: what [`format::put_record`] returned last.
    pub(crate) crc: u32,
}

impl Frame {
    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.lsn.0 + u64_from(self.bytes.len()))
    }
}

/// What the pool of segments can offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Segments that exist and wait.
    pub(crate) ready: usize,
    /// No more can be made.
    pub(crate) is_low: bool,
}

/// Where the journal is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Write everything and a mark, then end.
    Closing,
    /// End at once.
    Abandoned,
    Failed,
}

/// How the committer waits, so that appenders wake it only if they must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Not,
    ForTick,
    ForAnything,
    /// For the end of the last batch.
    ForBatches,
}

/// Limits of the tail, from the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailLimits {
    pub(crate) segment_bytes: u64,
    pub(crate) record_bytes_max: usize,
    pub(crate) pending_bytes_max: u64,
}

/// The part of the log that waits for the disk.
#[derive(Debug)]
pub(crate) struct Tail {
    limits: TailLimits,
    segment: u64,
    segment_end: u64,
    /// Where the next bytes go.
    position: Lsn,
    /// End of the last frame; behind it only if a segment was just begun.
    end: Lsn,
    /// Sealed frames and, if `is_building`, one more at the end that takes records.
    frames: Vec<Frame>,
    is_building: bool,
    /// Bytes laid out and not yet written.
    pending_bytes: u64,
    /// Segments laid out that do not exist on disk yet.
    segments_ahead: usize,
    is_in_reserve: bool,
    spare: Vec<Vec<u8>>,
    /// A commit is asked for; by somebody who wants a real sync even under `SyncPolicy::Os`.
    pub(crate) wants_commit: bool,
    pub(crate) wants_sync: bool,
    pub(crate) waiting: Waiting,
    pub(crate) phase: Phase,
}

impl Tail {
    /// A tail that continues behind `end` in a new segment.
    pub(crate) fn new(limits: TailLimits, end: Lsn, segment: u64, segment_end: u64) -> Self {
        Self {
            limits,
            segment,
            segment_end,
            position: Lsn(segment + u64_from(HEADER_PAGE_BYTES)),
            end,
            frames: Vec::new(),
            is_building: false,
            pending_bytes: 0,
            segments_ahead: 0,
            is_in_reserve: false,
            spare: Vec::new(),
            wants_commit: false,
            wants_sync: false,
            waiting: Waiting::Not,
            phase: Phase::Open,
        }
    }

    /// End of everything laid out.
    pub(crate) const fn end(&self) -> Lsn {
        self.end
    }

    pub(crate) const fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    pub(crate) const fn segments_ahead(&self) -> usize {
        self.segments_ahead
    }

    pub(crate) fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Lays out one record; `body_crc` is [`format::body_crc`] of the parts, `len` their length.
    /// `is_in_group`: it may belong to a group with the one before it.
    pub(crate) fn append(
        &mut self,
        parts: &[&[u8]],
        (len, body_crc): (usize, u32),
        urgency: Urgency,
        (is_in_group, room): (bool, impl Fn() -> Room),
    ) -> Result<Appended, Refused> {
        let len_on_disk = self.admit(len, urgency, &room)?;
        let bytes = format::record_bytes(len);
        if self.is_building && !self.fits_frame(bytes) {
            self.is_building = false;
        }
        if !self.is_building {
            let before = self.frames.len().checked_sub(1);
            self.begin_frame(bytes, urgency, room, FrameKind::Records)?;
            // A group that lies in both is valid as a whole.
            if let Some(before) = before.and_then(|at| self.frames.get_mut(at)) {
                before.has_more = is_in_group;
            }
        }
        let start = self.position;
        let Some(frame) = self.frames.last_mut() else {
            return Err(Refused::Failed);
        };
        let so_far = (&mut frame.bytes, frame.crc);
        frame.crc = format::put_record(so_far, start, body_crc, len_on_disk, parts);
        frame.records += 1;
        self.end = frame.end();
        self.position = self.end;
        self.pending_bytes += u64_from(bytes);
        self.wants_commit |= urgency == Urgency::Sync || frame.bytes.len() >= FRAME_FULL_BYTES;
        Ok(Appended {
            start,
            end: self.end,
        })
    }

    fn admit(
        &mut self,
        len: usize,
        urgency: Urgency,
        room: &impl Fn() -> Room,
    ) -> Result<u32, Refused> {
        match self.phase {
            Phase::Open => {}
            Phase::Failed => return Err(Refused::Failed),
            Phase::Closing | Phase::Abandoned => return Err(Refused::Closed),
        }
        let bytes_max = self.limits.record_bytes_max;
        let too_large = Refused::TooLarge {
            bytes: len,
            bytes_max,
        };
        if len > bytes_max {
            return Err(too_large);
        }
        if self.pending_bytes > self.limits.pending_bytes_max {
            return Err(Refused::Behind);
        }
        if self.is_in_reserve {
            self.is_in_reserve = room().is_low;
            if self.is_in_reserve && urgency == Urgency::Sync {
                return Err(Refused::Full);
            }
        }
        u32::try_from(len).map_err(|_| too_large)
    }

    fn fits_frame(&self, bytes: usize) -> bool {
        let full = self
            .frames
            .last()
            .is_none_or(|frame| frame.bytes.len() + bytes > FRAME_FULL_BYTES);
        !full && self.position.0 + u64_from(bytes) <= self.segment_end
    }

    fn begin_frame(
        &mut self,
        bytes: usize,
        urgency: Urgency,
        room: impl Fn() -> Room,
        kind: FrameKind,
    ) -> Result<(), Refused> {
        let prev_end = self.end;
        if self.position.0 + u64_from(FRAME_HEADER_BYTES + bytes) > self.segment_end {
            self.begin_segment(urgency, room())?;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        format::begin_frame(&mut buffer);
        let (lsn, segment) = (self.position, self.segment);
        let frame = Frame {
            lsn,
            segment,
            prev_end,
            kind,
            has_more: false,
            records: 0,
            bytes: buffer,
            crc: 0,
        };
        self.end = frame.end();
        self.position = self.end;
        self.pending_bytes += u64_from(FRAME_HEADER_BYTES);
        self.frames.push(frame);
        self.is_building = kind == FrameKind::Records;
        Ok(())
    }

    fn begin_segment(&mut self, urgency: Urgency, room: Room) -> Result<(), Refused> {
        if room.is_low {
            let left = room.ready.saturating_sub(self.segments_ahead);
            let is_reserve = left <= RESERVE_SEGMENTS;
            if left == 0 || (is_reserve && urgency == Urgency::Sync) {
                return Err(Refused::Full);
            }
            self.is_in_reserve = is_reserve;
        }
        self.segment = self.segment_end;
        self.segment_end = self.segment + self.limits.segment_bytes;
        self.position = Lsn(self.segment + u64_from(HEADER_PAGE_BYTES));
        self.segments_ahead += 1;
        Ok(())
    }

    /// Lays out a frame without records, unless records wait, which are more, or the segment is
    /// full, for a mark is no reason to begin another.
    pub(crate) fn mark(&mut self, kind: FrameKind) {
        let bytes = u64_from(FRAME_HEADER_BYTES);
        if self.frames.is_empty() && self.position.0 + bytes <= self.segment_end {
            let room = || Room {
                ready: 0,
                is_low: true,
            };
            let marked = self.begin_frame(0, Urgency::Lazy, room, kind);
            debug_assert!(marked.is_ok(), "it fits");
        }
    }

    /// Hands out everything laid out so far, and whether somebody waits for it.
    pub(crate) fn take(&mut self) -> (Vec<Frame>, bool) {
        self.is_building = false;
        (
            std::mem::take(&mut self.frames),
            std::mem::take(&mut self.wants_commit),
        )
    }

    /// These frames are written: their buffers can be used again.
    pub(crate) fn written(&mut self, frames: impl Iterator<Item = Frame>) {
        for frame in frames {
            self.pending_bytes -= u64_from(frame.bytes.len());
            if self.spare.len() < SPARE_COUNT && frame.bytes.capacity() <= SPARE_BYTES_MAX {
                self.spare.push(frame.bytes);
            }
        }
    }

    /// A segment that had been laid out now exists.
    pub(crate) fn segment_begun(&mut self) {
        self.segments_ahead = self.segments_ahead.saturating_sub(1);
    }
}

impl TailLimits {
    pub(crate) fn new(settings: &crate::settings::Settings) -> Self {
        Self {
            segment_bytes: settings.segment_bytes,
            record_bytes_max: settings
                .record_bytes_max()
                .min(usize_from(u64::from(u32::MAX))),
            pending_bytes_max: settings.pending_bytes_max,
        }
    }
}
