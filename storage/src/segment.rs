//! Segment files and the pool of ready ones: making, beginning, recycling. Separate because all
//! of it happens off the hot path, on the filler thread if it keeps up.
//!
//! ```text
//! journal/fill.tmp --zeros, synced--> journal/ready-<n>.seg --header, synced--> <base>.seg
//!                                              ^------ recycled when trimmed -------'
//! ```
//!
//! Only a `<base>.seg` is part of the log. It is zero-filled (or was used before), because
//! writing into blocks that exist needs no metadata commit: a third of the time of a sync.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Damage, Error};
use crate::files::{File, Files};
use crate::format::{BadHeader, FORMAT_VERSION, HEADER_PAGE_BYTES, LogId, SegmentHeader};
use crate::lsn::{Lsn, u64_from, usize_from};
use crate::tail::{RESERVE_SEGMENTS, Room};

/// Segments kept ready: one in use soon, one being the reserve.
const READY_COUNT: usize = 2;
const FILL_CHUNK_BYTES: usize = 1 << 20;

/// A segment of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

impl Segment {
    /// Opens `journal/<base>.seg` and checks its header; `None`: not a segment's name.
    pub(crate) fn open(files: &dyn Files, dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        let Some(base) = parse_name(name) else {
            return Ok(None);
        };
        let path = dir.join(name);
        let file = files.open(&path).map_err(Error::io("open", &path))?;
        let mut page = vec![0; HEADER_PAGE_BYTES];
        let len = file
            .read_at(&mut page, 0)
            .map_err(Error::io("read", &path))?;
        page.truncate(len);
        let size = file.size().map_err(Error::io("read", &path))?;
        let damage = Damage::SegmentHeader;
        match SegmentHeader::decode(&page) {
            Ok(header) if header.base == base && header.size == size => {
                Ok(Some(Self { header, path, file }))
            }
            Err(BadHeader::Newer(found)) => Err(Error::NewerVersion {
                path,
                found,
                supported: FORMAT_VERSION,
            }),
            Ok(_) | Err(BadHeader::Invalid) => Err(Error::Damaged {
                path,
                at: Lsn(base),
                damage,
            }),
        }
    }
}

pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let base = name.strip_suffix(".seg").filter(|base| base.len() == 16)?;
    u64::from_str_radix(base, 16).ok()
}

/// A zero-filled or recycled file that is not part of the log.
#[derive(Debug)]
pub(crate) struct Ready {
    path: PathBuf,
    file: Arc<dyn File>,
}

/// Makes, keeps and recycles segment files.
#[derive(Debug)]
pub(crate) struct Pool {
    files: Arc<dyn Files>,
    dir: PathBuf,
    segment_bytes: u64,
    disk_min_free_bytes: u64,
    is_low: AtomicBool,
    serial: AtomicU64,
    ready: Mutex<VecDeque<Ready>>,
    retired: Mutex<Vec<Arc<Segment>>>,
    /// Held while a file is filled, so that filler and committer do not both make one.
    making: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool over `dir`; takes over what ready files the last run left.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        dir: PathBuf,
        settings: &crate::settings::Settings,
    ) -> Result<Self, Error> {
        let mut ready = VecDeque::new();
        let mut serial = 0;
        for name in files.list(&dir).map_err(Error::io("list", &dir))? {
            let path = dir.join(&name);
            let number = name
                .strip_prefix("ready-")
                .and_then(|rest| rest.strip_suffix(".seg"));
            let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else {
                continue;
            };
            serial = serial.max(number.saturating_add(1));
            let file = files.open(&path).map_err(Error::io("open", &path))?;
            if file.size().map_err(Error::io("read", &path))? == settings.segment_bytes {
                ready.push_back(Ready { path, file });
            } else {
                files.remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(Self {
            files,
            dir,
            segment_bytes: settings.segment_bytes,
            disk_min_free_bytes: settings.disk_min_free_bytes,
            is_low: AtomicBool::new(false),
            serial: AtomicU64::new(serial),
            ready: Mutex::new(ready),
            retired: Mutex::new(Vec::new()),
            making: Mutex::new(()),
        })
    }

    pub(crate) fn room(&self) -> Room {
        Room {
            ready: lock(&self.ready).len(),
            is_low: self.is_low.load(Ordering::Acquire),
        }
    }

    /// Takes a ready segment, or makes one.
    pub(crate) fn take(&self) -> Result<Ready, Error> {
        if let Some(ready) = lock(&self.ready).pop_front() {
            return Ok(ready);
        }
        let _making = lock(&self.making);
        if let Some(ready) = lock(&self.ready).pop_front() {
            return Ok(ready);
        }
        self.make(self.segment_bytes)
    }

    fn ready_path(&self) -> PathBuf {
        self.dir.join(format!(
            "ready-{}.seg",
            self.serial.fetch_add(1, Ordering::Relaxed)
        ))
    }

    /// Makes a zero-filled file of this size. Only one caller at a time.
    pub(crate) fn make(&self, size: u64) -> Result<Ready, Error> {
        let tmp = self.dir.join("fill.tmp");
        let file = match self.fill(&tmp, size) {
            Ok(file) => file,
            Err(error) => {
                // Gives back what it took; if that fails too, the next attempt truncates it.
                drop(self.files.remove(&tmp));
                return Err(error);
            }
        };
        let path = self.ready_path();
        self.files
            .rename(&tmp, &path)
            .map_err(Error::io("rename", &tmp))?;
        Ok(Ready { path, file })
    }

    fn fill(&self, path: &Path, size: u64) -> Result<Arc<dyn File>, Error> {
        let file = self.files.create(path).map_err(Error::io("create", path))?;
        let zeros = vec![0; FILL_CHUNK_BYTES.min(usize_from(size))];
        let mut offset = 0;
        while offset < size {
            let len = zeros.len().min(usize_from(size - offset));
            let chunk = zeros.get(..len).unwrap_or(&zeros);
            file.write_all_at(&[chunk], offset)
                .map_err(Error::io("fill", path))?;
            offset += u64_from(len);
        }
        // Once: a sync after each piece would commit the file system's journal each time, and
        // was measured to cost the committer more than waiting for one large flush.
        file.sync_data().map_err(Error::io("sync", path))?;
        Ok(file)
    }

    /// Makes a ready file part of the log. What was there before must be synced.
    pub(crate) fn begin(&self, ready: Ready, header: SegmentHeader) -> Result<Segment, Error> {
        let Ready { path: from, file } = ready;
        let page = header.encode();
        file.write_all_at(&[&page], 0)
            .map_err(Error::io("write", &from))?;
        file.sync_data().map_err(Error::io("sync", &from))?;
        let path = self.dir.join(format!("{}.seg", Lsn(header.base)));
        self.files
            .rename(&from, &path)
            .map_err(Error::io("rename", &from))?;
        self.files
            .sync_dir(&self.dir)
            .map_err(Error::io("sync", &self.dir))?;
        Ok(Segment { header, path, file })
    }

    /// A header for the segment at `base`, with a salt of its own.
    pub(crate) fn header(&self, log: LogId, base: u64, size: u64, prev_end: Lsn) -> SegmentHeader {
        let [a, b, c, d, ..] = self.files.random().to_le_bytes();
        let salt = u32::from_le_bytes([a, b, c, d]);
        SegmentHeader {
            log,
            base,
            size,
            prev_end: prev_end.0,
            salt,
        }
    }

    /// These segments are no longer part of the log; oldest first.
    pub(crate) fn retire(&self, segments: impl IntoIterator<Item = Arc<Segment>>) {
        lock(&self.retired).extend(segments);
    }

    /// Recycles what was retired, looks at the disk, and fills up. `keep`: how many ready
    /// segments are worth keeping when they come for free.
    ///
    /// A full disk is no error: it shows in [`Pool::room`], and is tried again. Any other is
    /// final, above all one of a directory: what a later sync of it covers cannot be known.
    pub(crate) fn refill(&self, keep: usize) -> Result<(), Error> {
        // A low disk gets back what is not needed at once.
        let keep = if self.room().is_low { 0 } else { keep };
        self.recycle(keep.max(READY_COUNT))?;
        match self.fill_up() {
            Err(error) if error.is_storage_full() => {
                self.is_low.store(true, Ordering::Release);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn recycle(&self, keep: usize) -> Result<(), Error> {
        let retired = std::mem::take(&mut *lock(&self.retired));
        for segment in retired {
            let reuse = segment.header.size == self.segment_bytes && self.room().ready < keep;
            let from = &segment.path;
            if !reuse {
                self.files.remove(from).map_err(Error::io("remove", from))?;
                // One by one, or a crash could leave a hole, which is damage to a start.
                self.files
                    .sync_dir(&self.dir)
                    .map_err(Error::io("sync", &self.dir))?;
                continue;
            }
            let path = self.ready_path();
            self.files
                .rename(from, &path)
                .map_err(Error::io("rename", from))?;
            // Before its header is overwritten, it must not be found under its old name.
            self.files
                .sync_dir(&self.dir)
                .map_err(Error::io("sync", &self.dir))?;
            lock(&self.ready).push_back(Ready {
                path,
                file: Arc::clone(&segment.file),
            });
        }
        Ok(())
    }

    fn fill_up(&self) -> Result<(), Error> {
        loop {
            let free = self
                .files
                .free_bytes(&self.dir)
                .map_err(Error::io("stat", &self.dir))?;
            let was_low = self.is_low.load(Ordering::Acquire);
            // A fifth more than needed before publishers go on, or they would stop and go.
            let slack = if was_low {
                self.disk_min_free_bytes / 5
            } else {
                0
            };
            let is_low = free < self.disk_min_free_bytes.saturating_add(slack);
            let wanted = if is_low {
                RESERVE_SEGMENTS
            } else {
                READY_COUNT
            };
            if self.room().ready >= wanted {
                self.is_low.store(is_low, Ordering::Release);
                return Ok(());
            }
            let _making = lock(&self.making);
            let made = self.make(self.segment_bytes)?;
            lock(&self.ready).push_back(made);
        }
    }
}
