//! Saves what is whole of a damaged data directory into a new one that opens. Separate from
//! recovery, which never skips anything.
//!
//! Every record keeps its position, because others hold its address. What cannot be read is
//! covered by a gap frame, a missing or unreadable segment by one without records; the chain of
//! `prev_end` is made anew. Page files are copied record by record without the bad ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use crate::check::names;
use crate::checkpoint;
use crate::error::Error;
use crate::files::{Files, read_all};
use crate::format::{
    FRAME_HEADER_BYTES, FrameKind, FrameView, HEADER_PAGE_BYTES, LogId, SegmentHeader, records_crc,
    seal_frame, u32_at,
};
use crate::lsn::{Lsn, u64_from, usize_from};
use crate::pages::{PageHeader, inspect_page, page_bytes};
use crate::segment::parse_name;

/// What [`salvage`] saved and what it could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Checkpoints copied. None at all: the application's state is lost, only records are left.
    pub checkpoints: usize,
    /// Records of the log saved.
    pub records: u64,
    /// Parts of the log that could not be read: from, and up to.
    pub gaps: Vec<(Lsn, Lsn)>,
    /// Records of page files saved.
    pub page_records: u64,
    /// Page files that were not whole.
    pub damaged_pages: Vec<std::path::PathBuf>,
}

/// Copies everything whole from the data directory `from`, which must not be in use, to the
/// empty directory `to`. `from` is not changed.
///
/// # Errors
/// [`Error::Settings`] if `to` is not empty or nothing in `from` tells which log it is;
/// [`Error::NewerVersion`]; [`Error::Io`].
pub fn salvage(from: &Path, to: &Path, files: &dyn Files) -> Result<Salvaged, Error> {
    let dirs = ["checkpoint", "journal", "pages"].map(|name| to.join(name));
    for dir in &dirs {
        files.create_dir(dir).map_err(Error::io("create", dir))?;
        if !names(files, dir)?.is_empty() {
            return Err(Error::Settings {
                what: "salvage needs an empty directory",
            });
        }
    }
    let [checkpoint_to, journal_to, pages_to] = &dirs;
    let checkpoints = read_checkpoints(from, files)?;
    let segments = read_segments(&from.join("journal"), files)?;
    let log = checkpoints
        .first()
        .map(|checkpoint| checkpoint.log)
        .or_else(|| log_of(&segments));
    let Some(log) = log else {
        return Err(Error::Settings {
            what: "there is nothing to salvage",
        });
    };
    let mut salvaged = Salvaged::default();
    let at = checkpoints.last().map_or(Lsn::ZERO, |newest| newest.at);
    let mut writer = LogWriter {
        files,
        dir: journal_to,
        log,
        broken: broken_groups(&segments, log),
        start: checkpoints.first().map_or(0, |oldest| oldest.at.0),
        end: None,
        behind: None,
    };
    let is_ours = |bytes: &[u8]| SegmentHeader::decode(bytes).map_or(true, |old| old.log == log);
    for (base, bytes) in segments.iter().filter(|(_, bytes)| is_ours(bytes)) {
        writer.cover(*base)?;
        let next = segments.range(base + 1..).next();
        let bound = next.and_then(|(_, next)| SegmentHeader::decode(next).ok());
        let bound = bound.map_or(u64::MAX, |next| next.prev_end);
        writer.segment(*base, bytes, bound, &mut salvaged)?;
    }
    writer.cover(at.0.next_multiple_of(u64_from(HEADER_PAGE_BYTES)))?;
    let end = writer.end.unwrap_or(0);
    for found in checkpoints {
        // It must not claim that more was durable than is left.
        let durable = found.durable.min(Lsn(end));
        let parts = found.parts.into_iter();
        checkpoint::write(files, checkpoint_to, (log, found.at, durable), parts)?;
        salvaged.checkpoints += 1;
    }
    salvage_pages(&from.join("pages"), pages_to, log, files, &mut salvaged)?;
    for dir in &dirs {
        files.sync_dir(dir).map_err(Error::io("sync", dir))?;
    }
    Ok(salvaged)
}

/// The readable checkpoints, oldest first.
fn read_checkpoints(from: &Path, files: &dyn Files) -> Result<Vec<checkpoint::Checkpoint>, Error> {
    let dir = from.join("checkpoint");
    let mut found = Vec::new();
    for name in names(files, &dir)?
        .iter()
        .filter(|name| name.ends_with(".ckpt"))
    {
        found.extend(checkpoint::read(files, &dir.join(name))?);
    }
    Ok(found)
}

/// Every segment file, by the base in its name.
fn read_segments(dir: &Path, files: &dyn Files) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
    let mut segments = BTreeMap::new();
    for name in names(files, dir)? {
        let Some(base) = parse_name(&name) else {
            continue;
        };
        let path = dir.join(&name);
        let file = files.open(&path).map_err(Error::io("open", &path))?;
        segments.insert(base, read_all(&*file).map_err(Error::io("read", &path))?);
    }
    Ok(segments)
}

fn log_of(segments: &BTreeMap<u64, Vec<u8>>) -> Option<LogId> {
    segments
        .values()
        .find_map(|bytes| SegmentHeader::decode(bytes).ok())
        .map(|found| found.log)
}

/// Writes the new log.
struct LogWriter<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    log: LogId,
    /// Frames that are left out: see [`broken_groups`].
    broken: BTreeSet<u64>,
    /// Where a replay may begin: a log that begins behind would count as incomplete.
    start: u64,
    /// Where the log written so far ends.
    end: Option<u64>,
    /// The first position behind the segments written so far.
    behind: Option<u64>,
}

impl LogWriter<'_> {
    /// Writes segments without records until `base`.
    fn cover(&mut self, base: u64) -> Result<(), Error> {
        const SIZE_MAX: u64 = 64 << 20;
        while let Some(behind) = self.behind.filter(|behind| *behind < base) {
            self.put(behind, vec![0; usize_from(SIZE_MAX.min(base - behind))], 0)?;
        }
        Ok(())
    }

    /// Saves what is whole of one segment. `bound`: where the log continues in the next, if
    /// that can be read.
    fn segment(
        &mut self,
        base: u64,
        bytes: &[u8],
        bound: u64,
        salvaged: &mut Salvaged,
    ) -> Result<(), Error> {
        let size = u64_from(bytes.len().next_multiple_of(HEADER_PAGE_BYTES));
        let size = size.max(u64_from(2 * HEADER_PAGE_BYTES));
        let mut out = vec![0; usize_from(size)];
        let old = SegmentHeader::decode(bytes).ok();
        if self.end.is_none() {
            self.end = Some(old.map_or(0, |old| old.prev_end.min(self.start)));
        }
        let salt = old.map_or(1, |old| old.salt);
        let header = SegmentHeader {
            log: self.log,
            base,
            size,
            prev_end: 0,
            salt,
        };
        let limit = header.end().min(bound);
        let mut position = header.first_frame();
        let mut end = None;
        while let Some((found, frame)) =
            self.next_whole(bytes, &header, old.is_some(), position..limit)
        {
            if found > position {
                salvaged.gaps.push((Lsn(position), Lsn(found)));
                put_frame(&mut out, &header, position, found, FrameKind::Gap);
            }
            let range = usize_from(found - base)..usize_from(frame.end - base);
            if let (Some(to), Some(from)) = (out.get_mut(range.clone()), bytes.get(range)) {
                to.copy_from_slice(from);
            }
            put_frame(&mut out, &header, found, frame.end, frame.kind);
            salvaged.records += u64_from(frame.records().count());
            position = frame.end;
            end = Some(position);
        }
        if bound != u64::MAX && bound > position && bound <= header.end() {
            salvaged.gaps.push((Lsn(position), Lsn(bound)));
        }
        let prev_end = self.end.unwrap_or(0);
        self.put(base, out, salt)?;
        self.end = Some(end.unwrap_or(prev_end));
        Ok(())
    }

    /// The next valid frame that is not of a broken group.
    fn next_whole<'a>(
        &self,
        bytes: &'a [u8],
        header: &SegmentHeader,
        is_known: bool,
        mut range: Range<u64>,
    ) -> Option<(u64, FrameView<'a>)> {
        loop {
            let (found, frame) = next_frame(bytes, header, is_known, range.clone())?;
            if !self.broken.contains(&found) {
                return Some((found, frame));
            }
            range.start = frame.end;
        }
    }

    fn put(&mut self, base: u64, mut bytes: Vec<u8>, salt: u32) -> Result<(), Error> {
        let (log, size, prev_end) = (self.log, u64_from(bytes.len()), self.end.unwrap_or(0));
        let page = SegmentHeader {
            log,
            base,
            size,
            prev_end,
            salt,
        }
        .encode();
        if let Some(room) = bytes.get_mut(..HEADER_PAGE_BYTES) {
            room.copy_from_slice(&page);
        }
        let path = self.dir.join(format!("{}.seg", Lsn(base)));
        write_file(self.files, &path, &bytes)?;
        self.behind = Some(base.saturating_add(size));
        Ok(())
    }
}

/// The frames of groups that are not whole any more: something is missing before, between or
/// behind them. What was to be there as a whole or not at all must not be saved in part.
fn broken_groups(segments: &BTreeMap<u64, Vec<u8>>, log: LogId) -> BTreeSet<u64> {
    let (mut broken, mut open) = (BTreeSet::new(), Vec::new());
    let mut end = None;
    for (base, bytes) in segments {
        let old = SegmentHeader::decode(bytes).ok();
        if old.is_some_and(|old| old.log != log) {
            continue;
        }
        let header = SegmentHeader {
            log,
            base: *base,
            size: u64_from(bytes.len()),
            prev_end: 0,
            salt: old.map_or(1, |old| old.salt),
        };
        let mut position = header.first_frame();
        let mut is_next = old.is_some_and(|old| end == Some(old.prev_end));
        let frames = |from| next_frame(bytes, &header, old.is_some(), from..header.end());
        while let Some((found, frame)) = frames(position) {
            if !is_next || found != position {
                broken.extend(open.drain(..));
            }
            if frame.goes_on && open.is_empty() {
                broken.insert(found);
            } else if frame.has_more {
                open.push(found);
            } else {
                open.clear();
            }
            (position, end, is_next) = (frame.end, Some(frame.end), true);
        }
    }
    broken.extend(open);
    broken
}

/// The next valid frame at or behind `position`. If the segment's salt could not be read
/// (`is_known` is false), whatever the frame's: a position in the log is used once, so a frame
/// that says it belongs here does.
fn next_frame<'a>(
    bytes: &'a [u8],
    header: &SegmentHeader,
    is_known: bool,
    range: Range<u64>,
) -> Option<(u64, FrameView<'a>)> {
    range.step_by(8).find_map(|position| {
        let salt = match is_known {
            true => header.salt,
            false => u32_at(bytes, usize_from(position - header.base) + 24)?,
        };
        let frame = FrameView::at(bytes, &SegmentHeader { salt, ..*header }, position)?;
        Some((position, frame))
    })
}

/// Seals the frame from `start` to `end` anew: with this segment's salt, and without a claim
/// about what was synced.
fn put_frame(out: &mut [u8], header: &SegmentHeader, start: u64, end: u64, kind: FrameKind) {
    let range = usize_from(start - header.base)..usize_from(end - header.base);
    if let Some(frame) = out
        .get_mut(range)
        .filter(|frame| frame.len() >= FRAME_HEADER_BYTES)
    {
        let (first, records) = (
            Lsn(start + u64_from(FRAME_HEADER_BYTES)),
            frame.get(FRAME_HEADER_BYTES..).unwrap_or_default(),
        );
        let crc = records_crc(records, first, kind).unwrap_or_default();
        seal_frame(frame, crc, Lsn(start), Lsn::ZERO, header.salt, kind.into());
    }
}

fn salvage_pages(
    from: &Path,
    to: &Path,
    log: LogId,
    files: &dyn Files,
    salvaged: &mut Salvaged,
) -> Result<(), Error> {
    for name in names(files, from)? {
        let path = from.join(&name);
        let Some((_, records, is_whole)) = inspect_page(files, &path)? else {
            continue;
        };
        if !is_whole {
            salvaged.damaged_pages.push(path);
        }
        if let (Some((owner, first)), false) = (PageHeader::parse_name(&name), records.is_empty()) {
            salvaged.page_records += u64_from(records.len());
            let bytes = page_bytes(PageHeader { log, owner, first }, &records);
            write_file(files, &to.join(&name), &bytes)?;
        }
    }
    Ok(())
}

fn write_file(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let file = files.create(path).map_err(Error::io("create", path))?;
    file.write_all_at(&[bytes], 0)
        .map_err(Error::io("write", path))?;
    file.sync_data().map_err(Error::io("sync", path))
}
