//! The committer: the one thread that writes the log. Separate because here, and only here,
//! records become durable: take everything that waits, write it, sync it, publish the position.
//!
//! There is no timer in this path: a batch is what arrived while the last sync ran. Errors
//! poison the journal: what a failed write or sync left on the disk cannot be known, so nothing
//! is acknowledged after it and nothing is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::format::{FrameEnd, FrameKind, seal_frame};
use crate::lsn::Lsn;
use crate::segment::Segment;
use crate::settings::SyncPolicy;
use crate::shared::{Shared, Work};
use crate::stats::Stopwatch;

/// Under [`SyncPolicy::Os`]: how long written bytes wait for a sync.
const OS_SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// Whether a commit wrote all it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    /// The next segment cannot be made for want of space; what waits is kept.
    NoSpace,
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Committer {
    shared: Arc<Shared>,
    active: Arc<Segment>,
    /// Taken from the tail, not written yet: only after [`Progress::NoSpace`].
    queue: VecDeque<crate::tail::Frame>,
    written: Lsn,
    synced: Lsn,
    /// The last frame says how far the log was synced.
    is_sealed: bool,
    /// The last frame says that it is valid only together with the next.
    is_in_group: bool,
    since_sync: Stopwatch,
}

impl Committer {
    /// A committer for a log that ends, synced, at `end`.
    pub(crate) fn new(shared: Arc<Shared>, active: Arc<Segment>, end: Lsn) -> Self {
        Self {
            shared,
            active,
            queue: VecDeque::new(),
            written: end,
            synced: end,
            is_sealed: true,
            is_in_group: false,
            since_sync: Stopwatch::start(),
        }
    }

    /// The thread's body: runs until the journal is closed, abandoned or failed.
    pub(crate) fn run(mut self) {
        let guard = AbortOnPanic;
        if let Err(error) = self.serve() {
            self.shared.fail(&error);
        }
        drop(guard);
    }

    fn serve(&mut self) -> Result<(), Error> {
        loop {
            let progress = match self.shared.wait_for_work(self.is_idle()) {
                Work::Commit { must_sync } => {
                    let must_sync = must_sync || self.wants_sync();
                    self.shared.gather();
                    let progress = self.commit(must_sync)?;
                    self.shared.spin();
                    progress
                }
                Work::Tick => self.tick()?,
                Work::Close => return self.close(),
                Work::Abandon => return Ok(()),
            };
            if progress == Progress::NoSpace {
                self.shared.wait_for_space();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.is_sealed && self.queue.is_empty()
    }

    fn wants_sync(&self) -> bool {
        match self.shared.settings.sync {
            SyncPolicy::Fsync => true,
            SyncPolicy::Os => self.since_sync.elapsed() >= OS_SYNC_INTERVAL,
        }
    }

    /// What time alone asks for: lazy records, the other policy's sync, the seal.
    pub(crate) fn tick(&mut self) -> Result<Progress, Error> {
        let has_work = self.shared.tail().has_frames() || !self.queue.is_empty();
        if has_work || (self.synced < self.written && !self.is_sealed) {
            let must_sync = self.wants_sync();
            return self.commit(must_sync);
        }
        if !self.is_sealed {
            self.shared.tail().mark(FrameKind::Seal);
            // Also if it did not fit: then the next segment's header takes its place.
            self.is_sealed = true;
            return self.commit(false);
        }
        Ok(Progress::Done)
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.commit(true)? == Progress::NoSpace {
            let source = std::io::ErrorKind::StorageFull.into();
            let path = self.active.path.clone();
            return Err(Error::Io {
                op: "continue",
                path,
                source,
            });
        }
        self.shared.tail().mark(FrameKind::Close);
        self.commit(true).map(drop)
    }

    /// Writes everything laid out so far and, if asked to, syncs it; then publishes.
    pub(crate) fn commit(&mut self, must_sync: bool) -> Result<Progress, Error> {
        let (frames, is_urgent) = self.shared.take_frames();
        self.queue.extend(frames);
        let must_sync = must_sync || (is_urgent && self.wants_sync());
        let mut records = 0;
        let mut bytes = 0;
        while let Some(front) = self.queue.front() {
            let (segment, prev_end) = (front.segment, front.prev_end);
            if segment != self.active.header.base
                && self.begin_segment(segment, prev_end)? == Progress::NoSpace
            {
                return Ok(Progress::NoSpace);
            }
            let (more_records, more_bytes) = self.write_run()?;
            records += more_records;
            bytes += more_bytes;
        }
        if bytes > 0 {
            self.shared.counters.batch(records, bytes);
        }
        if must_sync {
            self.sync()?;
        }
        self.shared.publish(self.written, self.synced);
        Ok(Progress::Done)
    }

    /// Writes the frames at the queue's front that lie in the active segment: they are
    /// neighbours, so it is one write.
    fn write_run(&mut self) -> Result<(u64, u64), Error> {
        let base = self.active.header.base;
        let in_segment = |frame: &crate::tail::Frame| frame.segment == base;
        let count = self
            .queue
            .iter()
            .take_while(|frame| in_segment(frame))
            .count();
        let Some(first) = self.queue.front().map(|frame| frame.lsn) else {
            return Ok((0, 0));
        };
        let (mut records, mut end) = (0, first);
        for frame in self.queue.iter_mut().take(count) {
            debug_assert_eq!(frame.lsn, end, "frames of a segment are neighbours");
            let salt = self.active.header.salt;
            let last_bytes = FrameEnd {
                kind: frame.kind,
                has_more: frame.has_more,
                goes_on: self.is_in_group,
            };
            self.is_in_group = frame.has_more;
            seal_frame(
                &mut frame.bytes,
                frame.crc,
                frame.lsn,
                self.synced,
                salt,
                last_bytes,
            );
            self.is_sealed = frame.kind != FrameKind::Records;
            records += frame.records;
            end = frame.end();
        }
        let slices: Vec<&[u8]> = self.queue.iter().take(count).map(|f| &*f.bytes).collect();
        let written = self.active.file.write_all_at(&slices, first.0 - base);
        written.map_err(Error::io("write", &self.active.path))?;
        self.written = end;
        self.shared.tail().written(self.queue.drain(..count));
        Ok((records, end.0 - first.0))
    }

    /// Continues in a new segment. The old one is synced first, so that a segment's header
    /// proves that everything before it had reached the disk. Nothing is published yet: what was
    /// written so far may be a part of a group.
    fn begin_segment(&mut self, base: u64, prev_end: Lsn) -> Result<Progress, Error> {
        debug_assert_eq!(prev_end, self.written, "the log has no holes");
        self.sync()?;
        let pool = &self.shared.pool;
        let ready = match pool.take() {
            Err(error) if error.is_storage_full() => {
                self.shared.wake_filler();
                return Ok(Progress::NoSpace);
            }
            ready => ready?,
        };
        let header = pool.header(
            self.shared.log,
            base,
            self.shared.settings.segment_bytes,
            prev_end,
        );
        self.active = Arc::new(pool.begin(ready, header)?);
        self.shared.add_segment(&self.active);
        Ok(Progress::Done)
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.synced == self.written {
            return Ok(());
        }
        let watch = Stopwatch::start();
        self.active
            .file
            .sync_data()
            .map_err(Error::io("sync", &self.active.path))?;
        self.shared.counters.sync(watch.elapsed());
        self.synced = self.written;
        self.since_sync = Stopwatch::start();
        Ok(())
    }
}

/// A panic here would leave appenders waiting for ever for a thread that is gone.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
