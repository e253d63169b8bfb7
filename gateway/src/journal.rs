//! Joins the core to the storage: the core's records into the log, the log's position to those who
//! wait for it, checkpoints now and then, and all of it back at start.
//!
//! A record that is larger than the log takes in one piece is written in several. Each record
//! begins with one byte that says what it is:
//!
//! ```text
//! 0, record                        a whole record
//! 1, bytes                         a part; by itself it means nothing
//! 2, (address of a part u64 LE)*   a record made of these parts
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use routing::journal::{Appended, DecodeError};
use routing::vhost::Recovery;
use routing::{Broker, CheckpointBounds, Journal as _, Lsn, PageError, Timestamp, Urgency};
use storage::{Health, Refused};
use tracing::{error, info, warn};

/// A start reads so much of the log in front of a checkpoint, at most: bodies that it names.
const KEEP_BYTES: u64 = 64 << 20;
/// And so much behind it, unless the checkpoint itself is large.
const REPLAY_BYTES: u64 = 128 << 20;

/// The parts of a checkpoint are gathered in pieces of this size.
const PARTS_BYTES: usize = 256 << 10;

const WHOLE: u8 = 0;
const PART: u8 = 1;
const PARTED: u8 = 2;

/// The core's journal on the storage's log.
#[derive(Debug)]
pub struct Journal {
    log: storage::Journal,
    part_bytes_max: usize,
    /// Publishers are held up while more than this waits for the disk: half of what the log takes,
    /// so that what is on its way already still finds room.
    pending_bytes_high: u64,
    /// Records made of parts: the address of each, and the address of its first part.
    parted: Mutex<BTreeMap<u64, u64>>,
    /// Where the log ended when somebody last appended.
    end: AtomicU64,
    /// The position from which on the last checkpoint needs the log.
    needed: AtomicU64,
    /// One more checkpoint would give up more of the log.
    owes: AtomicBool,
    refused: AtomicU64,
    /// How large the last checkpoint was.
    checkpoint_bytes: AtomicU64,
}

impl Journal {
    /// The core's view of an open log.
    #[must_use]
    pub fn new(log: storage::Journal, settings: &storage::Settings) -> Arc<Self> {
        let part_bytes_max = settings.record_bytes_max() - 1;
        Arc::new(Self {
            parted: Mutex::default(),
            pending_bytes_high: settings.pending_bytes_max / 2,
            log,
            part_bytes_max,
            end: AtomicU64::new(0),
            needed: AtomicU64::new(0),
            owes: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            checkpoint_bytes: AtomicU64::new(0),
        })
    }

    /// How much is written between two checkpoints: little, for a short start, but four times as
    /// much as a checkpoint takes, so that they do not become most of what is written.
    #[must_use]
    pub fn checkpoint_interval_bytes(&self, window_bytes: u64) -> u64 {
        let bytes = self.checkpoint_bytes.load(Ordering::Acquire);
        REPLAY_BYTES
            .max(bytes.saturating_mul(4))
            .min(window_bytes / 4)
    }

    /// The log below.
    #[must_use]
    pub const fn log(&self) -> &storage::Journal {
        &self.log
    }

    /// Where the log ends, as far as this process wrote it.
    #[must_use]
    pub fn end(&self) -> Lsn {
        Lsn(self.end.load(Ordering::Acquire))
    }

    /// Records that the log did not take.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the next checkpoint gives up more of the log, though nothing happens meanwhile: the
    /// first one after something was consumed still keeps it for the one before.
    #[must_use]
    pub fn owes_space(&self) -> bool {
        self.owes.load(Ordering::Acquire)
    }

    fn append_one(&self, parts: &[&[u8]], urgency: Urgency) -> Appended {
        let urgency = match urgency {
            Urgency::Sync => storage::Urgency::Sync,
            Urgency::Lazy => storage::Urgency::Lazy,
        };
        match self.log.append(parts, urgency) {
            Ok(at) => {
                self.end.fetch_max(at.end.0, Ordering::AcqRel);
                Appended {
                    start: Lsn(at.start.0),
                    end: Lsn(at.end.0),
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// A record that is not in the log is never durable: whoever waits for it is not answered.
    fn refuse(&self, refusal: Refused) -> Appended {
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            error!(%refusal, "the journal takes no records; publishers wait");
        }
        Appended::REFUSED
    }

    fn append_parted(&self, parts: &[&[u8]], urgency: Urgency) -> Appended {
        let mut addresses = vec![PARTED];
        for part in parts
            .iter()
            .flat_map(|part| part.chunks(self.part_bytes_max))
        {
            let at = self.append_one(&[&[PART], part], Urgency::Lazy);
            if at.is_refused() {
                return at;
            }
            addresses.extend_from_slice(&at.start.0.to_le_bytes());
        }
        let appended = self.append_one(&[&addresses], urgency);
        if !appended.is_refused() {
            self.remember_parts(appended.start, addresses.get(1..).unwrap_or_default());
        }
        appended
    }

    /// The parts of a record lie before it: giving up the log must leave them.
    fn remember_parts(&self, start: Lsn, mut addresses: &[u8]) {
        if let Ok(first) = addresses.try_get_u64_le() {
            self.parted().insert(start.0, first);
        }
    }

    /// The lowest position that records from `below` on need; forgets those before it.
    fn needed_from(&self, below: Lsn) -> Lsn {
        let mut parted = self.parted();
        *parted = parted.split_off(&below.0);
        let first_part = parted.values().min();
        Lsn(first_part.map_or(below.0, |first| below.0.min(*first)))
    }

    fn parted(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        // The map is whole at every instant, whatever panicked elsewhere.
        self.parted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The core's record in a record of the log; none for a part.
    fn open(&self, start: Lsn, mut record: Bytes) -> Option<Bytes> {
        match record.try_get_u8().ok()? {
            WHOLE => Some(record),
            PARTED => {
                self.remember_parts(start, &record);
                let mut whole = BytesMut::new();
                while let Ok(address) = record.try_get_u64_le() {
                    let part = self.log.read(storage::Lsn(address)).ok()?;
                    whole.extend_from_slice(part.get(1..)?);
                }
                Some(whole.freeze())
            }
            _ => None,
        }
    }
}

impl routing::Journal for Journal {
    fn append(&self, record: &[&[u8]], urgency: Urgency) -> Appended {
        let bytes = record.iter().map(|part| part.len()).sum::<usize>();
        if bytes > self.part_bytes_max {
            return self.append_parted(record, urgency);
        }
        // The core's records have two pieces at most.
        match record {
            [one] => self.append_one(&[&[WHOLE], one], urgency),
            [one, two] => self.append_one(&[&[WHOLE], one, two], urgency),
            more => self.append_one(&[&[WHOLE], &more.concat()], urgency),
        }
    }

    fn begin_batch(&self) {
        self.log.begin_batch();
    }

    fn end_batch(&self) {
        self.log.end_batch();
    }

    fn begin_group(&self) {
        self.log.begin_group();
    }

    fn end_group(&self) {
        self.log.end_group();
    }

    fn durable(&self) -> Lsn {
        Lsn(self.log.durable().0)
    }

    fn has_room(&self) -> bool {
        let pending_bytes = self.end().0.saturating_sub(self.log.durable().0);
        self.log.health() == Health::Ok && pending_bytes < self.pending_bytes_high
    }

    fn takes_records(&self) -> bool {
        let pending_bytes = self.end().0.saturating_sub(self.log.durable().0);
        let is_open = matches!(self.log.health(), Health::Ok | Health::DiskLow);
        is_open && pending_bytes < self.pending_bytes_high * 2
    }

    fn end(&self) -> Lsn {
        Self::end(self).max(self.durable())
    }

    fn hasten(&self) {
        self.log.hasten();
    }

    fn wait_durable(&self, end: Lsn) -> bool {
        self.log.wait_durable(storage::Lsn(end.0)).is_ok()
    }

    fn read(&self, start: Lsn) -> Option<Bytes> {
        self.open(start, self.log.read(storage::Lsn(start.0)).ok()?)
    }
}

/// Why what the log holds could not be brought back.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log could not be read.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A record is of a newer version.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Page files lack messages.
    #[error("messages in page files are lost; the data directory is damaged")]
    Pages(#[from] PageError),
    /// Messages are named whose bodies are not there.
    #[error("{messages} messages have lost their bodies; the journal is damaged")]
    Missing {
        /// How many.
        messages: u64,
    },
}

/// Opens the log, and has it keep for [`recover`] what is to be known first.
///
/// # Errors
/// As [`storage::Journal::open`].
pub fn open_log(
    settings: storage::Settings,
    files: impl storage::Files,
) -> Result<(storage::Journal, storage::Recovery), storage::Error> {
    storage::Journal::open_and_foresee(settings, files, |record| {
        let (first, rest) = record.split_first().unwrap_or((&PART, &[]));
        *first == WHOLE && routing::journal::tells_of_pages(rest)
    })
}

/// Brings a new broker back to what the log says.
///
/// # Errors
/// When the log cannot be read as a whole: then nothing is to be served.
pub fn recover(
    broker: &Broker,
    journal: &Journal,
    mut recovery: storage::Recovery,
    now: Timestamp,
) -> Result<(), RecoverError> {
    let mut core = Recovery::new(broker);
    if recovery.is_clean() {
        core.was_clean();
    }
    for record in recovery.take_foreseen() {
        core.foresee(record.slice(1..))?;
    }
    if let Some((at, parts)) = recovery.take_checkpoint() {
        for part in parts {
            core.apply(part, Lsn(at.0))?;
        }
    }
    let mut records = 0u64;
    recovery.replay(|at, record| {
        records += 1;
        if let Some(record) = journal.open(Lsn(at.start.0), Bytes::copy_from_slice(record)) {
            core.apply(record, Lsn(at.start.0))?;
        }
        Ok::<_, RecoverError>(())
    })?;
    match core.finish(now)? {
        0 => {
            info!(records, "recovered");
            Ok(())
        }
        messages => Err(RecoverError::Missing { messages }),
    }
}

/// Writes a checkpoint and gives up the log below it. Blocks on the disk. Returns from where on
/// what is written counts for the next one.
///
/// Bodies that are still needed and lie further back than `KEEP_BYTES` are moved to page files
/// first, so that a start has little to read; those that cannot be moved (of lists) or are few are
/// journalled anew, beyond a quarter of the log's window, so that one forgotten message does not
/// hold a segment for ever.
///
/// # Errors
/// When the checkpoint could not be written; the log is as it was.
pub fn checkpoint(
    broker: &Broker,
    journal: &Journal,
    window_bytes: u64,
) -> Result<Lsn, storage::Error> {
    let end = || journal.end().max(journal.durable());
    // Where there is no room, nothing can be moved either: only what is gone is given up.
    let has_room = journal.log.health() == Health::Ok;
    if has_room {
        let keep_bytes = KEEP_BYTES.min(window_bytes / 4);
        broker.move_old(Lsn(end().0.saturating_sub(keep_bytes)));
    }
    // After that, for it takes long when there is much to be moved.
    let at = end();
    let copy_bytes = if has_room { window_bytes / 4 } else { at.0 };
    let bounds = CheckpointBounds {
        copy_below: Lsn(at.0.saturating_sub(copy_bytes)),
        keep_from: Lsn(at.0.saturating_sub(KEEP_BYTES.min(window_bytes / 4))),
    };
    // Many and small: they share allocations.
    let (mut parts, mut buffer) = (Vec::new(), BytesMut::new());
    let needed = broker.checkpoint(&bounds, &mut |record| {
        if buffer.capacity() < record.len() {
            buffer = BytesMut::with_capacity(PARTS_BYTES.max(record.len()));
        }
        buffer.extend_from_slice(record);
        parts.push(buffer.split().freeze());
    });
    let bytes = parts.iter().map(|part| part.len() as u64).sum();
    journal.checkpoint_bytes.store(bytes, Ordering::Release);
    // What is journalled anew here is no reason for the next checkpoint.
    let counted_from = journal.end();
    // What was copied is part of what the checkpoint names: it must be safe before.
    journal.log.wait_durable(storage::Lsn(journal.end().0))?;
    journal.log.checkpoint(storage::Lsn(at.0), parts)?;
    // Should this checkpoint be damaged, the one before it must find its bodies.
    let needed = journal.needed_from(needed);
    let before = journal.needed.swap(needed.0, Ordering::AcqRel);
    journal.owes.store(before < needed.0, Ordering::Release);
    journal.log.trim(storage::Lsn(needed.0.min(before)));
    Ok(counted_from)
}

/// Logs what a failed checkpoint means; the next one is tried in its time.
pub fn log_checkpoint_failure(failure: &storage::Error) {
    warn!(%failure, "no checkpoint was written; the log keeps what it has");
}

#[cfg(test)]
mod commit_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
