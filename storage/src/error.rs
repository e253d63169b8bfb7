//! What can go wrong, told apart by what the caller must do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::lsn::Lsn;

/// Why an operation on the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused. After a failed write or sync of the journal nothing more is ever
    /// acknowledged: leave the process and recover.
    #[error("{op} {path}: {source}")]
    Io {
        /// The operation, as a verb.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the data directory.
    #[error("{path} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Settings that contradict each other.
    #[error("{what}")]
    Settings {
        /// What would be right.
        what: &'static str,
    },
    /// The file was written by a later release.
    #[error("{path} has format version {found}, this release reads up to {supported}")]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this release reads.
        supported: u32,
    },
    /// Data that was acknowledged cannot be read. The store does not open: starting would lose it
    /// silently. `check` shows the extent, `salvage` copies what is whole.
    #[error("{path} is damaged at {at}: {damage}")]
    Damaged {
        /// The damaged (or missing) file.
        path: PathBuf,
        /// The first position in the log that is not readable.
        at: Lsn,
        /// What is wrong there.
        damage: Damage,
    },
    /// A checksum failed, or the address is not the start of a record. Never served.
    #[error("no valid record at {at}")]
    NoRecord {
        /// The address asked for.
        at: Lsn,
    },
    /// The address lies below what was trimmed.
    #[error("{at} was trimmed")]
    Trimmed {
        /// The address asked for.
        at: Lsn,
    },
    /// A checkpoint must not lie before the last one.
    #[error("a checkpoint at {at} would lie before the last one, {last}")]
    CheckpointBehind {
        /// The position asked for.
        at: Lsn,
        /// The last checkpoint's position.
        last: Lsn,
    },
    /// Records of a page owner must be appended in order.
    #[error("record {seq} of {owner} does not follow record {last}")]
    Sequence {
        /// The owner.
        owner: crate::pages::Owner,
        /// The number that is too low.
        seq: u64,
        /// The last number before it.
        last: u64,
    },
    /// A page file lacks records that were durable, or one of them fails its checksum. None of
    /// the bad bytes is served; what is whole can be saved by `salvage`.
    #[error("{path} is damaged from record {seq} of {owner} on")]
    DamagedPage {
        /// The file.
        path: PathBuf,
        /// Whose records it holds.
        owner: crate::pages::Owner,
        /// The first record that cannot be read.
        seq: u64,
    },
    /// An earlier write or sync failed; see `Journal::health`.
    #[error("the journal failed: {reason}")]
    Failed {
        /// The first failure.
        reason: String,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// What is wrong with acknowledged data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The header page of a segment fails its checksum or contradicts the file's name or size.
    #[error("bad segment header")]
    SegmentHeader,
    /// The file belongs to another log.
    #[error("file of another log")]
    OtherLog,
    /// A frame fails its checksum although a later write proves that it had been synced.
    #[error("bad frame, proven synced by later data")]
    Frame,
    /// The header of a page file fails its checksum or contradicts the file's name.
    #[error("bad page file header")]
    PageHeader,
    /// Journal that was synced is not there at all.
    #[error("missing journal")]
    Missing,
    /// No checkpoint can be read and the journal before the first segment is gone.
    #[error("no readable checkpoint for a trimmed journal")]
    Checkpoint,
}

impl Error {
    /// An [`Error::Io`] maker, for `map_err`.
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { op, path, source }
    }

    /// Whether the disk (or a quota) was full.
    pub fn is_storage_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

/// Why a record was not appended. Nothing of it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Larger than `Settings::record_bytes_max`.
    #[error("a record of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Too many bytes wait for the disk (`Settings::pending_bytes_max`).
    #[error("too many bytes wait for the disk")]
    Behind,
    /// The disk is full; for `Urgency::Lazy` even the reserve is used up.
    #[error("the disk is full")]
    Full,
    /// A write or sync failed: nothing is acknowledged any more.
    #[error("the journal failed")]
    Failed,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}
