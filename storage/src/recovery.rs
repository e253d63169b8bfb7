//! What a start finds: the newest checkpoint, the log behind it, and whether anything that was
//! acknowledged is missing. Separate because it reads only; `journal.rs` makes the new segment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Damage, Error};
use crate::files::{Files, read_into};
use crate::format::{FrameKind, FrameView};
use crate::lsn::{Appended, Lsn, usize_from};
use crate::segment::Segment;

/// The state of the last run, as far as the log tells it.
#[derive(Debug)]
pub struct Recovery {
    pub(crate) checkpoint: Option<(Lsn, Vec<Bytes>)>,
    pub(crate) damaged_checkpoints: Vec<PathBuf>,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) walked: Walked,
    pub(crate) foreseen: Vec<(Appended, Bytes)>,
}

impl Recovery {
    /// The newest readable checkpoint: its position and its parts, in order. Taken out.
    pub fn take_checkpoint(&mut self) -> Option<(Lsn, Vec<Bytes>)> {
        self.checkpoint.take()
    }

    /// The records of the replay that were asked for when the log was opened, in order: see
    /// [`crate::Journal::open_and_foresee`]. Taken out.
    pub fn take_foreseen(&mut self) -> Vec<Bytes> {
        let end = self.walked.end;
        let foreseen = std::mem::take(&mut self.foreseen).into_iter();
        // Behind it lies what is left of a group.
        let foreseen = foreseen.filter(|(at, _)| at.end <= end);
        foreseen.map(|(_, record)| record).collect()
    }

    /// Where the replay begins: the checkpoint's position, or the log's beginning.
    pub fn start(&self) -> Lsn {
        self.walked.from
    }

    /// Where the log of the earlier runs ends. New records lie behind.
    pub fn end(&self) -> Lsn {
        self.walked.end
    }

    /// Whether the last run ended with `Journal::close` (or there was none). If not, records
    /// that nobody had been told were durable may be lost.
    pub fn is_clean(&self) -> bool {
        self.walked.is_clean
    }

    /// Newer checkpoints than the one used that could not be read. The log behind the older one
    /// was kept, so nothing is lost; worth a warning all the same.
    pub fn damaged_checkpoints(&self) -> &[PathBuf] {
        &self.damaged_checkpoints
    }

    /// Calls `each` with every record from [`Recovery::start`] on, in order.
    ///
    /// May run while the journal is in use, but before the first `Journal::trim`.
    ///
    /// # Errors
    /// What `each` returns, or what reading returns (everything was checked by `open` once, so
    /// only if the disk fails meanwhile).
    pub fn replay<E: From<Error>>(
        self,
        mut each: impl FnMut(Appended, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (from, end) = (self.walked.from, self.walked.end);
        let walked = walk(&self.segments, from, |at, body| {
            // Behind it lies what is left of a group.
            if at.end <= end {
                each(at, body)
            } else {
                Ok(())
            }
        })?;
        if walked.end != self.walked.end {
            let path = self.segments.last().map(|segment| segment.path.clone());
            let path = path.unwrap_or_default();
            return Err(Error::Damaged {
                path,
                at: walked.end,
                damage: Damage::Frame,
            }
            .into());
        }
        Ok(())
    }
}

/// Opens all segments in `dir`, oldest first.
pub(crate) fn open_segments(files: &dyn Files, dir: &Path) -> Result<Vec<Segment>, Error> {
    let mut segments: Vec<Segment> = Vec::new();
    for name in files.list(dir).map_err(Error::io("list", dir))? {
        // Names sort as their bases do.
        let Some(segment) = Segment::open(files, dir, &name)? else {
            continue;
        };
        let damage = match segments.last() {
            Some(last) if last.header.log != segment.header.log => Some(Damage::OtherLog),
            Some(last) if last.header.end() < segment.header.base => Some(Damage::Missing),
            Some(last) if last.header.end() > segment.header.base => Some(Damage::SegmentHeader),
            _ => None,
        };
        if let Some(damage) = damage {
            let at = Lsn(segment.header.base);
            return Err(Error::Damaged {
                path: segment.path,
                at,
                damage,
            });
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// What a walk over the log found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    pub(crate) from: Lsn,
    pub(crate) end: Lsn,
    /// Positions below are proven to be synced.
    pub(crate) synced: Lsn,
    pub(crate) is_clean: bool,
}

/// Reads the log from the segment that holds `from` to its end, and calls `each` with every
/// record that starts at or behind `from`.
///
/// A frame that cannot be read ends the log (a torn tail) unless something proves that it had
/// been synced; then it is damage.
pub(crate) fn walk<E: From<Error>>(
    segments: &[Arc<Segment>],
    from: Lsn,
    mut each: impl FnMut(Appended, &[u8]) -> Result<(), E>,
) -> Result<Walked, E> {
    let skipped = segments
        .partition_point(|s| s.header.base <= from.0)
        .saturating_sub(1);
    let segments = segments.get(skipped..).unwrap_or(&[]);
    let mut walked = Walked {
        from,
        end: from,
        synced: Lsn::ZERO,
        is_clean: true,
    };
    let Some(first) = segments.first() else {
        return Ok(walked);
    };
    if first.header.base > from.0 && first.header.prev_end > from.0 {
        let path = first.path.clone();
        return Err(Error::Damaged {
            path,
            at: from,
            damage: Damage::Missing,
        }
        .into());
    }
    let (mut whole_end, mut bytes) = (None, Vec::new());
    for (index, segment) in segments.iter().enumerate() {
        // A later one may have cut off more than the next one knew of: a group without its end.
        let later = segments.get(index + 1..).unwrap_or(&[]);
        let next = later.iter().map(|next| next.header.prev_end).min();
        read_into(&*segment.file, &mut bytes).map_err(Error::io("read", &segment.path))?;
        whole_end = walk_segment((segment, &bytes), next, whole_end, &mut walked, &mut each)?;
    }
    if let Some(end) = whole_end {
        (walked.end, walked.is_clean) = (end, false);
    }
    Ok(walked)
}

/// Walks one segment. `whole_end` is where the log ends if nothing more can be read, when that is
/// before the last frame that could; returns the same for the segments behind.
fn walk_segment<E: From<Error>>(
    (segment, bytes): (&Segment, &[u8]),
    next_prev_end: Option<u64>,
    mut whole_end: Option<Lsn>,
    walked: &mut Walked,
    each: &mut impl FnMut(Appended, &[u8]) -> Result<(), E>,
) -> Result<Option<Lsn>, E> {
    let header = &segment.header;
    let bound = next_prev_end.unwrap_or_else(|| header.end());
    let mut position = header.first_frame();
    walked.end = Lsn(header.prev_end);
    // Each run begins a segment: one without frames is a run that did not end cleanly.
    walked.is_clean = false;
    while position < bound {
        let Some(frame) = FrameView::at(bytes, header, position) else {
            break;
        };
        for (start, end, body) in frame.records() {
            if start >= walked.from {
                each(Appended { start, end }, body)?;
            }
        }
        walked.is_clean = frame.kind == FrameKind::Close;
        whole_end = match frame.has_more {
            true => whole_end.or(Some(walked.end)),
            false => None,
        };
        walked.end = Lsn(frame.end);
        walked.synced = walked.synced.max(Lsn(frame.synced));
        position = frame.end;
    }
    let was_synced = match next_prev_end {
        Some(prev_end) => prev_end > walked.end.0,
        None => was_synced(bytes, segment, position),
    };
    if was_synced {
        let path = segment.path.clone();
        return Err(Error::Damaged {
            path,
            at: Lsn(position),
            damage: Damage::Frame,
        }
        .into());
    }
    Ok(whole_end)
}

/// Makes what was recovered durable, before anything newer is built on it.
///
/// What was read may be only in the page cache: of a process that was killed before it synced,
/// or, worse, whose sync failed, after which the system takes the pages for clean and a second
/// sync for done. So what is not proven to be synced is written again, and then synced.
pub(crate) fn make_durable(last: &Segment, walked: &Walked) -> Result<(), Error> {
    let from = walked.synced.0.max(last.header.first_frame());
    if let Some(len) = walked.end.0.checked_sub(from) {
        let offset = from - last.header.base;
        let mut bytes = vec![0; usize_from(len)];
        let read = last.file.read_at(&mut bytes, offset);
        bytes.truncate(read.map_err(Error::io("read", &last.path))?);
        let written = last.file.write_all_at(&[&bytes], offset);
        written.map_err(Error::io("write", &last.path))?;
    }
    last.file.sync_data().map_err(Error::io("sync", &last.path))
}

/// Whether a later frame proves that the unreadable one at `position` had been synced.
fn was_synced(bytes: &[u8], segment: &Segment, position: u64) -> bool {
    let header = &segment.header;
    let later = (position..header.end()).step_by(8).skip(1);
    later
        .filter_map(|position| FrameView::at(bytes, header, position))
        .any(|frame| frame.synced > position)
}
