//! What the journal's handles and its two threads share. Separate from the handle so that tests
//! can drive the committer by hand, one step at a time.
//!
//! Locks: `groups` (open groups, and the taking of frames), `tail` (appenders and committer,
//! memory copies only), `moved` (waiters), `live` (the segment map), `checkpoints` (held while one
//! is written). None is taken under another, except all under `checkpoints`, `tail` under
//! `groups`, the pool's list of ready segments under `tail`, and its list of retired ones under
//! `live`.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use crate::checkpoint::Checkpoints;
use crate::chunk::Chunk;
use crate::error::{Error, Refused};
use crate::files::Files;
use crate::format::{self, LogId};
use crate::groups::Groups;
use crate::lsn::{Appended, Lsn, usize_from};
use crate::segment::{Pool, Segment};
use crate::settings::{Settings, SyncPolicy};
use crate::stats::{Counters, Health, Stats};
use crate::tail::{Phase, RESERVE_SEGMENTS, Tail, Urgency, Waiting};

/// How long lazy records wait for company, and how soon an idle log is sealed.
const TICK: Duration = Duration::from_millis(50);

type Callback = Box<dyn Fn(Lsn) + Send + Sync>;

/// The state shared by all.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) log: LogId,
    pub(crate) pool: Pool,
    checkpoints: Mutex<Checkpoints>,
    /// [`Checkpoints::floor`], readable while a checkpoint is being written.
    floor: AtomicU64,
    pub(crate) counters: Counters,
    /// Threads that have appended something and may append more: see [`Shared::gather`].
    pub(crate) batches: AtomicUsize,
    /// Somebody asks for a commit; readable without the tail.
    pub(crate) is_wanted: AtomicBool,
    /// How many groups are open, readable without their lock.
    pub(crate) open_groups: AtomicUsize,
    /// The same, and a signal for when there are none, and for when frames are taken.
    pub(crate) groups: (Mutex<Groups>, Condvar),
    tail: Mutex<Tail>,
    /// Signals the committer.
    pub(crate) work: Condvar,
    /// Signals who waits for `durable`, and the filler.
    moved: (Mutex<()>, Condvar),
    refill: (Mutex<bool>, Condvar),
    written: AtomicU64,
    synced: AtomicU64,
    durable: AtomicU64,
    /// The caller's wish; what is gone is `trimmed`.
    trim_below: AtomicU64,
    trimmed: AtomicU64,
    live: RwLock<BTreeMap<u64, Arc<Segment>>>,
    /// Backups that are being made: nothing is recycled or removed meanwhile.
    pub(crate) backups: AtomicUsize,
    failure: OnceLock<String>,
    callback: OnceLock<Callback>,
    chunk: Mutex<Chunk>,
    _lock: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What `open` found and made.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) log: LogId,
    pub(crate) pool: Pool,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) tail: Tail,
    pub(crate) live: Vec<Arc<Segment>>,
    pub(crate) end: Lsn,
    pub(crate) lock: Box<dyn Any + Send + Sync>,
}

/// What the committer is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Commit { must_sync: bool },
    Tick,
    Close,
    Abandon,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of these locks is on the committer, which aborts, or a bug in a copy of
    // bytes, after which the data is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let trimmed = parts.live.first().map_or(0, |segment| segment.header.base);
        let live = parts
            .live
            .into_iter()
            .map(|segment| (segment.header.base, segment));
        Self {
            settings: parts.settings,
            files: parts.files,
            log: parts.log,
            pool: parts.pool,
            floor: AtomicU64::new(parts.checkpoints.floor().0),
            checkpoints: Mutex::new(parts.checkpoints),
            counters: Counters::default(),
            batches: AtomicUsize::new(0),
            is_wanted: AtomicBool::new(false),
            open_groups: AtomicUsize::new(0),
            groups: (Mutex::default(), Condvar::new()),
            tail: Mutex::new(parts.tail),
            work: Condvar::new(),
            moved: (Mutex::new(()), Condvar::new()),
            refill: (Mutex::new(true), Condvar::new()),
            written: AtomicU64::new(parts.end.0),
            synced: AtomicU64::new(parts.end.0),
            durable: AtomicU64::new(parts.end.0),
            trim_below: AtomicU64::new(0),
            trimmed: AtomicU64::new(trimmed),
            live: RwLock::new(live.collect()),
            backups: AtomicUsize::new(0),
            failure: OnceLock::new(),
            callback: OnceLock::new(),
            chunk: Mutex::default(),
            _lock: parts.lock,
        }
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    pub(crate) fn append(&self, parts: &[&[u8]], urgency: Urgency) -> Result<Appended, Refused> {
        let len = parts.iter().map(|part| part.len()).sum();
        let body_crc = format::body_crc(parts);
        let mut tail = self.tail();
        let is_in_group = self.open_groups.load(Ordering::Acquire) > 0;
        let room = || self.pool.room();
        let appended = tail.append(parts, (len, body_crc), urgency, (is_in_group, room))?;
        if !self.is_in_batch() {
            self.wake_committer(tail);
        }
        Ok(appended)
    }

    pub(crate) fn wake_committer(&self, mut tail: MutexGuard<'_, Tail>) {
        if tail.wants_commit {
            self.is_wanted.store(true, Ordering::Release);
        }
        let wake = match tail.waiting {
            Waiting::Not => false,
            Waiting::ForTick => tail.wants_commit,
            Waiting::ForAnything => tail.has_frames(),
            Waiting::ForBatches => self.batches.load(Ordering::Acquire) == 0,
        };
        if wake {
            tail.waiting = Waiting::Not;
            drop(tail);
            self.work.notify_one();
        }
    }

    /// Asks for a commit of what waits; see [`crate::Journal::hasten`].
    pub(crate) fn hasten(&self) {
        let mut tail = self.tail();
        tail.wants_commit |= tail.has_frames();
        self.wake_committer(tail);
    }

    /// Waits for something to do. `is_idle`: without new records there is nothing to do.
    pub(crate) fn wait_for_work(&self, is_idle: bool) -> Work {
        let mut tail = self.tail();
        loop {
            match tail.phase {
                Phase::Open => {}
                Phase::Closing => return Work::Close,
                Phase::Abandoned | Phase::Failed => return Work::Abandon,
            }
            if tail.wants_commit || tail.wants_sync {
                tail.waiting = Waiting::Not;
                let must_sync = std::mem::take(&mut tail.wants_sync);
                return Work::Commit { must_sync };
            }
            if is_idle && !tail.has_frames() {
                tail.waiting = Waiting::ForAnything;
                tail = self.work.wait(tail).unwrap_or_else(PoisonError::into_inner);
            } else {
                tail.waiting = Waiting::ForTick;
                let waited = self.work.wait_timeout(tail, TICK);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                tail = guard;
                if timeout.timed_out() && tail.phase == Phase::Open && !tail.wants_commit {
                    tail.waiting = Waiting::Not;
                    return Work::Tick;
                }
            }
        }
    }

    /// Waits one tick, or until the journal is stopped.
    pub(crate) fn wait_for_space(&self) {
        let tail = self.tail();
        drop(self.work.wait_timeout(tail, TICK));
    }

    /// Moves to another phase, unless the journal has ended, and wakes everybody.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        let mut tail = self.tail();
        let entered = tail.phase == Phase::Open || phase == Phase::Failed;
        if entered {
            tail.phase = phase;
        }
        drop(tail);
        self.work.notify_all();
        self.wake_waiters();
        self.wake_filler();
        entered
    }

    pub(crate) fn phase(&self) -> Phase {
        self.tail().phase
    }

    /// Nothing is acknowledged from now on.
    pub(crate) fn fail(&self, error: &Error) {
        // Only the first failure counts; a second is its consequence.
        drop(self.failure.set(error.to_string()));
        self.enter(Phase::Failed);
        self.call_back();
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.get().map(|reason| Error::Failed {
            reason: reason.clone(),
        })
    }

    /// Sets how far the log is written and synced, and tells everybody who waits.
    pub(crate) fn publish(&self, written: Lsn, synced: Lsn) {
        self.written.store(written.0, Ordering::Release);
        self.synced.store(synced.0, Ordering::Release);
        let durable = match self.settings.sync {
            SyncPolicy::Fsync => synced,
            SyncPolicy::Os => written,
        };
        let before = self.durable.swap(durable.0, Ordering::AcqRel);
        debug_assert!(
            before <= durable.0 && synced <= written,
            "positions only grow"
        );
        self.wake_waiters();
        if durable.0 > before {
            self.call_back();
        }
    }

    fn wake_waiters(&self) {
        drop(lock(&self.moved.0));
        self.moved.1.notify_all();
    }

    pub(crate) fn call_back(&self) {
        if let Some(callback) = self.callback.get() {
            callback(self.durable());
        }
    }

    pub(crate) fn set_callback(&self, callback: Callback) -> bool {
        self.callback.set(callback).is_ok()
    }

    pub(crate) fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn synced(&self) -> Lsn {
        Lsn(self.synced.load(Ordering::Acquire))
    }

    /// Waits until `position` has passed `end`, asking for a commit meanwhile.
    fn wait_until(&self, end: Lsn, position: &AtomicU64, must_sync: bool) -> Result<(), Error> {
        while position.load(Ordering::Acquire) < end.0 {
            if let Some(failed) = self.failure() {
                return Err(failed);
            }
            let mut tail = self.tail();
            if tail.phase == Phase::Abandoned || end > tail.end() {
                return Err(Error::Closed);
            }
            tail.wants_commit = true;
            tail.wants_sync |= must_sync;
            tail.waiting = Waiting::Not;
            drop(tail);
            self.work.notify_one();
            let guard = lock(&self.moved.0);
            if position.load(Ordering::Acquire) < end.0 {
                // The tick bounds the wait should the wish have been taken too early.
                drop(self.moved.1.wait_timeout(guard, TICK));
            }
        }
        Ok(())
    }

    pub(crate) fn wait_durable(&self, end: Lsn) -> Result<(), Error> {
        self.wait_until(end, &self.durable, false)
    }

    /// Waits for a real sync, whatever the policy.
    pub(crate) fn wait_synced(&self, end: Lsn) -> Result<(), Error> {
        self.wait_until(end, &self.synced, true)
    }

    pub(crate) fn read(&self, start: Lsn) -> Result<Bytes, Error> {
        if start.0 >= self.tail().end().0 {
            return Err(Error::NoRecord { at: start });
        }
        self.wait_until(Lsn(start.0 + 1), &self.written, false)?;
        let segment = {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            live.range(..=start.0)
                .next_back()
                .map(|(_, segment)| Arc::clone(segment))
        };
        let found = match segment {
            Some(segment) => lock(&self.chunk).record(&segment, start)?,
            None => None,
        };
        // Looked at last: a segment may be recycled while it is read.
        match found {
            _ if start < self.trimmed() => Err(Error::Trimmed { at: start }),
            Some(body) => Ok(body),
            None => Err(Error::NoRecord { at: start }),
        }
    }

    pub(crate) fn trimmed(&self) -> Lsn {
        Lsn(self.trimmed.load(Ordering::Acquire))
    }

    pub(crate) fn add_segment(&self, segment: &Arc<Segment>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.insert(segment.header.base, Arc::clone(segment));
        drop(live);
        self.tail().segment_begun();
        self.wake_filler();
    }

    /// The checkpoints; held while one is written.
    pub(crate) fn checkpoints(&self) -> MutexGuard<'_, Checkpoints> {
        lock(&self.checkpoints)
    }

    /// A checkpoint was added: less of the log may be needed.
    pub(crate) fn checkpoint_added(&self, floor: Lsn) {
        self.floor.store(floor.0, Ordering::Release);
        self.trim(Lsn::ZERO);
    }

    /// The segments of the log, oldest first.
    pub(crate) fn live_segments(&self) -> Vec<Arc<Segment>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.values().cloned().collect()
    }

    /// Remembers the wish and lets go of the segments that no checkpoint needs either.
    pub(crate) fn trim(&self, below: Lsn) {
        self.trim_below.fetch_max(below.0, Ordering::AcqRel);
        let floor = self.floor.load(Ordering::Acquire);
        let below = self.trim_below.load(Ordering::Acquire).min(floor);
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a backup that lists the segments from now on finds them all.
        if self.is_backed_up() {
            return;
        }
        let mut retired = Vec::new();
        while live.len() > 1
            && let Some(oldest) = live.first_entry()
            && oldest.get().header.end() <= below
        {
            retired.push(oldest.remove());
        }
        let trimmed = live.keys().next().copied().unwrap_or(0);
        self.trimmed.store(trimmed, Ordering::Release);
        let is_some = !retired.is_empty();
        // Under the lock, so that two trims cannot swap the order of removal.
        self.pool.retire(retired);
        drop(live);
        if is_some {
            self.wake_filler();
        }
    }

    /// One round of the filler.
    pub(crate) fn refill(&self) -> Result<(), Error> {
        let before = self.health();
        let live = self
            .live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        let max = usize_from(u64::from(self.settings.segment_count_max));
        self.pool.refill(max.saturating_sub(live))?;
        if self.health() != before {
            self.call_back();
        }
        Ok(())
    }

    pub(crate) fn wake_filler(&self) {
        *lock(&self.refill.0) = true;
        self.refill.1.notify_all();
    }

    /// Waits until the pool may need something; looks at the disk once a second anyway.
    pub(crate) fn wait_for_refill(&self) {
        let mut wanted = lock(&self.refill.0);
        if !*wanted {
            let waited = self.refill.1.wait_timeout(wanted, Duration::from_secs(1));
            wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *wanted = false;
    }

    pub(crate) fn health(&self) -> Health {
        let (ahead, phase) = {
            let tail = self.tail();
            (tail.segments_ahead(), tail.phase)
        };
        let room = self.pool.room();
        match room.is_low {
            _ if phase == Phase::Failed => Health::Failed,
            false => Health::Ok,
            true if room.ready.saturating_sub(ahead) <= RESERVE_SEGMENTS => Health::Full,
            true => Health::DiskLow,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.snapshot();
        stats.pending_bytes = self.tail().pending_bytes();
        stats.segments_ready = self.pool.room().ready;
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        stats.segments_live = live.len();
        stats.live_bytes = live.values().map(|segment| segment.header.size).sum();
        stats.live_bytes_max =
            self.settings.segment_bytes * u64::from(self.settings.segment_count_max);
        stats.trimmed = self.trimmed().0;
        stats
    }

    /// Waits until no backup is being made.
    pub(crate) fn wait_for_backups(&self) {
        while self.is_backed_up() {
            drop(self.moved.1.wait_timeout(lock(&self.moved.0), TICK));
        }
    }

    /// Whether a backup is being made.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.backups.load(Ordering::Acquire) > 0
    }

    pub(crate) fn checkpoint_dir(&self) -> PathBuf {
        self.settings.data_dir.join("checkpoint")
    }
}
