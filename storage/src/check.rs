//! A report on a data directory that is not in use: what is there, what is whole, and what a
//! start would say. Reads only, and takes no lock, so that it works on a read-only copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint;
use crate::error::Error;
use crate::files::{Files, read_all};
use crate::format::FrameView;
use crate::journal::check_log;
use crate::lsn::Lsn;
use crate::pages::{Owner, inspect_page};
use crate::recovery::open_segments;
use crate::segment::Segment;

/// What [`check`] found.
#[derive(Debug)]
pub struct Report {
    /// Newest first.
    pub checkpoints: Vec<CheckpointReport>,
    /// Oldest first; those whose header can be read.
    pub segments: Vec<SegmentReport>,
    /// By owner and number.
    pub pages: Vec<PageReport>,
    /// Where the log ends and whether cleanly; the error that a start would refuse with.
    pub log: Result<(Lsn, bool), Error>,
}

/// One checkpoint file.
#[derive(Debug)]
pub struct CheckpointReport {
    /// The file.
    pub path: PathBuf,
    /// Its position and parts; `None`: it is damaged.
    pub content: Option<(Lsn, usize)>,
}

/// One segment of the log.
#[derive(Debug)]
pub struct SegmentReport {
    /// The file.
    pub path: PathBuf,
    /// Its first position.
    pub base: Lsn,
    /// Where its readable records end: the first frame that does not check, if it is not the
    /// end of the log.
    pub end: Lsn,
    /// Readable records up to there.
    pub records: u64,
}

/// One page file.
#[derive(Debug)]
pub struct PageReport {
    /// The file.
    pub path: PathBuf,
    /// Whose.
    pub owner: Owner,
    /// Readable records before the first that does not check.
    pub records: u64,
    /// The last of them.
    pub last: Option<u64>,
    /// No byte of it is wrong, as far as the file itself can tell: the end of a file that is not
    /// full is known to the caller of `PageStore::confirm` only.
    pub is_whole: bool,
}

/// Looks at everything in a data directory. Which records are still wanted is known to the
/// application, not here.
///
/// # Errors
/// [`Error::Io`]. Damage is no error: it is in the report.
pub fn check(data_dir: &Path, files: &dyn Files) -> Result<Report, Error> {
    let journal = data_dir.join("journal");
    let segments = segment_reports(files, &journal)?;
    let log = check_whole_log(data_dir, files);
    if let Err(error @ Error::Io { .. }) = log {
        return Err(error);
    }
    let checkpoints = checkpoint_reports(files, &data_dir.join("checkpoint"))?;
    let pages = page_reports(files, &data_dir.join("pages"))?;
    Ok(Report {
        checkpoints,
        segments,
        pages,
        log,
    })
}

impl Report {
    /// Whether nothing was found wrong.
    pub fn is_whole(&self) -> bool {
        self.log.is_ok()
            && self
                .checkpoints
                .iter()
                .all(|checkpoint| checkpoint.content.is_some())
            && self.pages.iter().all(|page| page.is_whole)
    }
}

/// The names in a directory, or none if there is no such directory.
pub(crate) fn names(files: &dyn Files, dir: &Path) -> Result<Vec<String>, Error> {
    match files.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(Error::io("list", dir)),
    }
}

fn check_whole_log(data_dir: &Path, files: &dyn Files) -> Result<(Lsn, bool), Error> {
    let dir = data_dir.join("journal");
    let found = checkpoint::find(files, &data_dir.join("checkpoint"))?;
    let segments = open_segments(files, &dir)?.into_iter().map(Arc::new);
    let (_, walked) = check_log(
        &found,
        &segments.collect::<Vec<_>>(),
        (&dir, files),
        |_, _| {},
    )?;
    Ok((walked.end, walked.is_clean))
}

fn segment_reports(files: &dyn Files, dir: &Path) -> Result<Vec<SegmentReport>, Error> {
    let mut reports = Vec::new();
    for name in names(files, dir)? {
        let segment = match Segment::open(files, dir, &name) {
            Ok(Some(segment)) => segment,
            Err(error @ Error::Io { .. }) => return Err(error),
            // In `Report::log`.
            Ok(None) | Err(_) => continue,
        };
        let bytes = read_all(&*segment.file).map_err(Error::io("read", &segment.path))?;
        let (mut end, mut records) = (segment.header.first_frame(), 0);
        while let Some(frame) = FrameView::at(&bytes, &segment.header, end) {
            records += crate::lsn::u64_from(frame.records().count());
            end = frame.end;
        }
        let base = Lsn(segment.header.base);
        reports.push(SegmentReport {
            path: segment.path,
            base,
            end: Lsn(end),
            records,
        });
    }
    Ok(reports)
}

fn checkpoint_reports(files: &dyn Files, dir: &Path) -> Result<Vec<CheckpointReport>, Error> {
    let mut reports = Vec::new();
    for name in names(files, dir)?
        .iter()
        .rev()
        .filter(|name| name.ends_with(".ckpt"))
    {
        let path = dir.join(name);
        let content = match checkpoint::read(files, &path) {
            Ok(content) => content.map(|found| (found.at, found.parts.len())),
            Err(Error::NewerVersion { .. }) => None,
            Err(error) => return Err(error),
        };
        reports.push(CheckpointReport { path, content });
    }
    Ok(reports)
}

fn page_reports(files: &dyn Files, dir: &Path) -> Result<Vec<PageReport>, Error> {
    let mut reports = Vec::new();
    for name in names(files, dir)? {
        let path = dir.join(&name);
        if let Some((owner, records, is_whole)) = inspect_page(files, &path)? {
            let last = records.last().map(|(seq, _)| *seq);
            let records = crate::lsn::u64_from(records.len());
            reports.push(PageReport {
                path,
                owner,
                records,
                last,
                is_whole,
            });
        }
    }
    Ok(reports)
}
