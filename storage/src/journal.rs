//! The handle on the journal: opening, and the operations that any thread may call.

use std::any::Any;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::backup::backup;
use crate::checkpoint::{self, Found};
use crate::committer::Committer;
use crate::error::{Damage, Error, Refused};
use crate::files::Files;
use crate::format::LogId;
use crate::lsn::{Appended, Lsn};
use crate::recovery::{Recovery, Walked, make_durable, open_segments, walk};
use crate::segment::{Pool, Segment};
use crate::settings::Settings;
use crate::shared::{Parts, Shared};
use crate::stats::{Health, Stats};
use crate::tail::{Phase, Tail, TailLimits, Urgency};

/// Size of the segment that each start begins. Small, because it is zero-filled before the
/// journal is ready (2 ms); all others are filled in the background.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;

/// The write-ahead log: an endless sequence of opaque records, of which the newest part is kept.
///
/// Clones are handles on the same journal. Appending and asking never block; `read`,
/// `checkpoint`, `wait_durable` and `close` do. Dropping the last handle without
/// [`Journal::close`] is a crash: what was not durable may be lost.
#[derive(Clone, Debug)]
pub struct Journal {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Locks the data directory, recovers what is there, and starts the journal's two threads.
    ///
    /// Everything that was ever durable is in the checkpoint and the records of the
    /// [`Recovery`]; beyond that, a prefix of what had been appended.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Settings`], [`Error::NewerVersion`], [`Error::Io`]; and
    /// [`Error::Damaged`] if something that had been durable cannot be read.
    pub fn open(settings: Settings, files: impl Files) -> Result<(Self, Recovery), Error> {
        Self::open_and_foresee(settings, files, |_| false)
    }

    /// As [`Journal::open`]; records that `foresees` asks for can be had before the replay, as
    /// [`Recovery::take_foreseen`]: few, for they are held in memory. The log is read here anyway.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_and_foresee(
        settings: Settings,
        files: impl Files,
        foresees: impl Fn(&[u8]) -> bool,
    ) -> Result<(Self, Recovery), Error> {
        let (shared, committer, recovery) =
            open_shared_and_foresee(settings, Arc::new(files), &foresees)?;
        let filler = Arc::clone(&shared);
        let nice = shared.settings.io_nice;
        let (told, is_set) = std::sync::mpsc::sync_channel(1);
        let commit = move || {
            // Nobody listens only when the opening has failed otherwise.
            drop(told.send(set_nice(nice)));
            committer.run();
        };
        let threads = [
            spawn("journal-commit", commit)?,
            spawn("journal-fill", move || fill(&filler))?,
        ];
        let handle = Handle {
            shared,
            threads: Mutex::new(threads.into()),
        };
        let journal = Self {
            handle: Arc::new(handle),
        };
        let is_set = is_set.recv().unwrap_or(Ok(()));
        is_set.map_err(Error::io("set priority of", Path::new("journal-commit")))?;
        Ok((journal, recovery))
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    pub(crate) fn handle_shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Appends one record, the concatenation of `parts`, and says where it will lie. A memory
    /// copy under a short lock: never I/O, never waits for the disk.
    ///
    /// A record is atomic: after a crash it is there as a whole or not at all. Records survive
    /// in order: if one is there, all that were appended before it are.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was appended then.
    pub fn append(&self, parts: &[&[u8]], urgency: Urgency) -> Result<Appended, Refused> {
        self.shared().append(parts, urgency)
    }

    /// Begins a batch: this thread is about to append several records, and a commit waits for its
    /// end, but not for long. It changes only how many records one sync makes durable.
    pub fn begin_batch(&self) {
        self.shared().begin_batch();
    }

    /// Ends a batch.
    pub fn end_batch(&self) {
        self.shared().end_batch();
    }

    /// Begins a group: what is appended until [`Journal::end_group`] is there after a crash as a
    /// whole or not at all. Other threads' records may be between; nothing is written meanwhile,
    /// so it must be short, must not wait for the log, and a thread has one at a time.
    pub fn begin_group(&self) {
        self.shared().begin_group();
    }

    /// Ends a group that this thread began.
    pub fn end_group(&self) {
        self.shared().end_group();
    }

    /// Asks for a commit of what was appended so far, as an urgent record would; returns at once.
    pub fn hasten(&self) {
        self.shared().hasten();
    }

    /// Every record with `end` at or below this position is durable, as
    /// [`crate::SyncPolicy`] defines it. One atomic load.
    pub fn durable(&self) -> Lsn {
        self.shared().durable()
    }

    /// Blocks until [`Journal::durable`] is at or beyond `end`, asking for a commit if needed.
    ///
    /// # Errors
    /// [`Error::Failed`]; [`Error::Closed`] also for a position that was never appended.
    pub fn wait_durable(&self, end: Lsn) -> Result<(), Error> {
        self.shared().wait_durable(end)
    }

    /// Sets the function that is called after each advance of [`Journal::durable`] (with it) and
    /// after each change of [`Journal::health`]. It runs on the journal's own threads, so it must
    /// be short, must not block and must not call `close`. Set once: `false` if one was set.
    pub fn on_durable(&self, callback: Box<dyn Fn(Lsn) + Send + Sync>) -> bool {
        self.shared().set_callback(callback)
    }

    /// Reads a record's body by its address. Blocks on the disk, and for a record that is not
    /// written yet, on that.
    ///
    /// # Errors
    /// [`Error::Trimmed`]; [`Error::NoRecord`] if the checksum fails or no record starts there;
    /// [`Error::Io`].
    pub fn read(&self, start: Lsn) -> Result<Bytes, Error> {
        self.shared().read(start)
    }

    /// Writes a checkpoint: the state that results from all records before `at`. Blocks until it
    /// is durable, and first until the log is durable up to `at`.
    ///
    /// A start then replays from `at`. If the parts have positions of their own, at which they
    /// were taken, `at` is the least of them. Two checkpoints are kept. A failure leaves the
    /// journal as it was.
    ///
    /// # Errors
    /// [`Error::CheckpointBehind`], [`Error::Failed`], [`Error::Closed`] if `at` was never
    /// appended, [`Error::Settings`] for a part of 4 GiB or more, [`Error::Io`].
    pub fn checkpoint(&self, at: Lsn, parts: impl IntoIterator<Item = Bytes>) -> Result<(), Error> {
        write_checkpoint(self.shared(), at, parts.into_iter())
    }

    /// Gives up the log below this position: the caller guarantees that nothing there is needed,
    /// neither by address nor for a replay.
    ///
    /// Whole segments are recycled, and never what the older of the two kept checkpoints would
    /// replay: without two checkpoints nothing is recycled. The wish is remembered.
    pub fn trim(&self, below: Lsn) {
        self.shared().trim(below);
    }

    /// How the journal is.
    pub fn health(&self) -> Health {
        self.shared().health()
    }

    /// What the first failure was, when [`Journal::health`] is [`Health::Failed`].
    pub fn failure(&self) -> Option<Error> {
        self.shared().failure()
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Copies everything that a start needs into the empty directory `to`, while the journal is in
    /// use: a data directory that recovers everything that was durable when the call began, and
    /// more. Nothing is recycled or removed meanwhile. Answers where the copied log ends. Blocks.
    ///
    /// # Errors
    /// [`Error::Settings`] if `to` is not empty, [`Error::Failed`], [`Error::Io`].
    pub fn backup(&self, to: &Path) -> Result<Lsn, Error> {
        backup(self.shared(), to)
    }

    /// Ends the journal: everything appended becomes durable, then a mark says that this was a
    /// clean end. Other handles are refused from now on.
    ///
    /// # Errors
    /// [`Error::Failed`] if it failed before or fails now; [`Error::Closed`] if it was closed.
    pub fn close(self) -> Result<(), Error> {
        let shared = self.shared();
        let entered = shared.enter(Phase::Closing);
        self.handle.join();
        match shared.failure() {
            Some(failed) => Err(failed),
            None if entered => Ok(()),
            None => Err(Error::Closed),
        }
    }
}

impl Handle {
    fn join(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // The last handle may be dropped by the callback, on one of these threads.
            if thread.thread().id() != std::thread::current().id() {
                // A panic on the committer aborts; one on the filler costs only speed.
                drop(thread.join());
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.enter(Phase::Abandoned);
        self.join();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body);
    thread.map_err(Error::io("start thread", Path::new(name)))
}

/// Sets the calling thread's nice value (on Linux each thread has its own).
fn set_nice(nice: i32) -> std::io::Result<()> {
    if nice != 0 {
        rustix::process::setpriority_process(None, nice)?;
    }
    Ok(())
}

/// The filler thread: keeps the pool of segments full.
fn fill(shared: &Shared) {
    while shared.phase() == Phase::Open {
        shared.wait_for_refill();
        if let Err(error) = shared.refill() {
            shared.fail(&error);
        }
    }
}

pub(crate) fn write_checkpoint(
    shared: &Shared,
    at: Lsn,
    parts: impl Iterator<Item = Bytes>,
) -> Result<(), Error> {
    let mut checkpoints = shared.checkpoints();
    if let Some(last) = checkpoints.last().filter(|last| *last > at) {
        return Err(Error::CheckpointBehind { at, last });
    }
    shared.wait_synced(at)?;
    let dir = shared.checkpoint_dir();
    checkpoint::write(
        &*shared.files,
        &dir,
        (shared.log, at, shared.synced()),
        parts,
    )?;
    checkpoints.add(&*shared.files, &dir, at)?;
    shared.checkpoint_added(checkpoints.floor());
    Ok(())
}

/// Opens everything but the threads.
#[cfg(test)]
pub(crate) fn open_shared(
    settings: Settings,
    files: Arc<dyn Files>,
) -> Result<(Arc<Shared>, Committer, Recovery), Error> {
    open_shared_and_foresee(settings, files, &|_| false)
}

fn open_shared_and_foresee(
    settings: Settings,
    files: Arc<dyn Files>,
    foresees: &dyn Fn(&[u8]) -> bool,
) -> Result<(Arc<Shared>, Committer, Recovery), Error> {
    settings.check()?;
    let journal_dir = settings.data_dir.join("journal");
    let checkpoint_dir = settings.data_dir.join("checkpoint");
    for dir in [&settings.data_dir, &journal_dir, &checkpoint_dir] {
        files.create_dir(dir).map_err(Error::io("create", dir))?;
    }
    let lock = lock_dir(&settings.data_dir, &*files)?;

    let found = checkpoint::find(&*files, &checkpoint_dir)?;
    let mut segments: Vec<Arc<Segment>> = open_segments(&*files, &journal_dir)?
        .into_iter()
        .map(Arc::new)
        .collect();
    let mut foreseen = Vec::new();
    let (log, walked) = check_log(
        &found,
        &segments,
        (&journal_dir, &*files),
        |at, record: &[u8]| {
            if foresees(record) {
                foreseen.push((at, Bytes::copy_from_slice(record)));
            }
        },
    )?;

    // Before anything newer is built on it.
    if let Some(last) = segments.last() {
        make_durable(last, &walked)?;
    }
    for dir in [&journal_dir, &checkpoint_dir] {
        files.sync_dir(dir).map_err(Error::io("sync", dir))?;
    }
    let recovered = segments.clone();

    // Always a new segment with a new salt: what lies behind a torn tail can never come back.
    let pool = Pool::open(Arc::clone(&files), journal_dir, &settings)?;
    let base = segments
        .last()
        .map_or(0, |last| last.header.end())
        .max(walked.end.0);
    let base = base.next_multiple_of(8);
    let size = FIRST_SEGMENT_BYTES.min(settings.segment_bytes);
    let ready = pool.make(size)?;
    let active = Arc::new(pool.begin(ready, pool.header(log, base, size, walked.end))?);
    segments.push(Arc::clone(&active));

    let Found {
        newest,
        damaged,
        kept,
    } = found;
    let recovery = Recovery {
        checkpoint: newest.map(|checkpoint| (checkpoint.at, checkpoint.parts)),
        damaged_checkpoints: damaged,
        segments: recovered,
        walked,
        foreseen,
    };
    let tail = Tail::new(TailLimits::new(&settings), walked.end, base, base + size);
    let shared = Arc::new(Shared::new(Parts {
        settings,
        files,
        log,
        pool,
        checkpoints: kept,
        tail,
        live: segments,
        end: walked.end,
        lock,
    }));
    let committer = Committer::new(Arc::clone(&shared), active, walked.end);
    Ok((shared, committer, recovery))
}

fn lock_dir(data_dir: &Path, files: &dyn Files) -> Result<Box<dyn Any + Send + Sync>, Error> {
    let path = data_dir.join("lock");
    files.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { path: path.clone() },
        _ => Error::io("lock", &path)(error),
    })
}

/// Checks that nothing that was durable is missing, and finds the log's end and identity.
pub(crate) fn check_log(
    found: &Found,
    segments: &[Arc<Segment>],
    (dir, files): (&Path, &dyn Files),
    mut each: impl FnMut(Appended, &[u8]),
) -> Result<(LogId, Walked), Error> {
    let damaged = |at, damage| Error::Damaged {
        path: dir.to_path_buf(),
        at,
        damage,
    };
    let from = found.newest.as_ref().map_or(Lsn::ZERO, |newest| newest.at);
    let log = match (segments.first(), &found.newest) {
        (Some(segment), Some(newest)) if segment.header.log != newest.log => {
            return Err(damaged(from, Damage::OtherLog));
        }
        (Some(segment), _) => segment.header.log,
        (None, Some(_)) => return Err(damaged(from, Damage::Missing)),
        (None, None) => new_log(files),
    };
    if found.newest.is_none()
        && segments
            .first()
            .is_some_and(|first| first.header.prev_end > 0)
    {
        return Err(damaged(from, Damage::Checkpoint));
    }
    let walked = walk(segments, from, |at, record| {
        each(at, record);
        Ok::<(), Error>(())
    })?;
    if let Some(newest) = &found.newest
        && walked.end < newest.durable
    {
        return Err(damaged(walked.end, Damage::Missing));
    }
    Ok((log, walked))
}

fn new_log(files: &dyn Files) -> LogId {
    let id = (u128::from(files.random()) << 64) | u128::from(files.random());
    LogId(id.to_le_bytes())
}
