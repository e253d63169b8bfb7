//! The journal: a write-ahead log of opaque records, with checkpoints, and page files for what
//! outlives it.
//!
//! It knows nothing of what it stores. One directory holds one log, owned by one process:
//!
//! ```text
//! lock                        flock of the running process
//! journal/<base>.seg          the log, in segments (format.rs draws every byte)
//! journal/ready-<n>.seg       segments to come, zero-filled or recycled (segment.rs)
//! checkpoint/<position>.ckpt  the state at a position, the last two (checkpoint.rs)
//! pages/<owner>-<seq>.page    records that outlive the journal, by owner (pages.rs)
//! ```
//!
//! How a record becomes durable:
//!
//! ```text
//! any thread            Journal::append: copied to its final position in memory   (tail.rs)
//! committer thread      one write, one fdatasync for all that waits; publishes
//!                       `durable`, calls back                                     (committer.rs)
//! filler thread         makes and recycles segments, watches the disk             (segment.rs)
//! ```
//!
//! For an operator: [`check`] reports, [`salvage`] saves what is whole, `Journal::backup` copies
//! a journal in use.
//!
//! Invariant: a position is durable only after `fdatasync` returned (or `write`, if the operator
//! chose [`SyncPolicy::Os`]); there is no third state.
//! Invariant: what was durable is there after a restart, or the restart is refused.
//! Invariant: no write or sync of the log is ever tried a second time.
//! Invariant: no runtime, no notion of a message: nothing here that a replicated log could not do.

mod backup;
mod check;
mod checkpoint;
mod chunk;
mod committer;
mod error;
mod files;
mod format;
mod groups;
mod journal;
mod lsn;
mod pages;
mod recovery;
mod salvage;
mod segment;
mod settings;
mod shared;
mod stats;
mod tail;
#[cfg(test)]
mod tests;

pub use check::{CheckpointReport, PageReport, Report, SegmentReport, check};
pub use error::{Damage, Error, Refused};
pub use files::{DiskFiles, File, Files, Operation, SimFiles};
pub use format::FORMAT_VERSION;
pub use journal::Journal;
pub use lsn::{Appended, Lsn};
pub use pages::{Owner, PageSettings, PageStore, PagedOwner};
pub use recovery::Recovery;
pub use salvage::{Salvaged, salvage};
pub use settings::{Settings, SyncPolicy};
pub use stats::{Health, Histogram, Stats};
pub use tail::Urgency;
