//! Page files: where an owner's records go that outlive the journal, so that the journal stays
//! short however long a queue gets. Separate from the journal: one file belongs to one owner,
//! is written behind, in order, and is removed when all its records are acknowledged.
//!
//! ```text
//! pages/<owner>-<first seq>.page     at most 8 MiB each (format.rs draws every byte)
//! ```
//!
//! How the journal and the pages stay one:
//!
//! ```text
//! migrate   1. take records that the journal reports as durable, oldest first
//!           2. PageStore::append            durable when it returns
//!           3. append "migrated through seq n" to the journal; when that is durable,
//!              the journal's own copy is not needed any more (Journal::trim)
//! ack       PageStore::ack (memory only); the acknowledgement itself is in the journal
//! check-    PageStore::snapshot of each owner is a part of the checkpoint
//! point
//! start     1. PageStore::open lists the owners; drop_owner those that do not exist any more
//!           2. PageStore::restore with the checkpoint's snapshot
//!           3. replay the journal: ack; remember the last "migrated through" of each owner
//!           4. PageStore::confirm with it: what lies behind is forgotten (it is still in the
//!              journal and is migrated again), what is missing before is damage
//! rewrite   PageStore::sweep: a file less than half of which is wanted is written again
//! drained   drop_owner and "nothing migrated" in the journal give the last file back
//! ```
//!
//! Invariant: numbers (`seq`) of an owner grow, and a number never comes to mean another record.

mod format;
mod inspect;
mod open;
mod owner;
mod read;
mod rewrite;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use format::PageHeader;
pub(crate) use inspect::{inspect_page, page_bytes};
pub use store::PageStore;

/// Whose records these are: a queue, a stream. Chosen by the caller, never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner {}", self.0)
    }
}

/// What the store holds of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagedOwner {
    /// Whose.
    pub owner: Owner,
    /// The first record that is not acknowledged.
    pub first: Option<u64>,
    /// The last record, acknowledged or not.
    pub last: Option<u64>,
    /// Records that are not acknowledged.
    pub count: u64,
    /// Size of the files.
    pub bytes: u64,
    /// How many files.
    pub files: usize,
}

/// Limits of the page files.
#[derive(Clone, Copy, Debug)]
pub struct PageSettings {
    /// Size above which a file is full. One forgotten record keeps a whole file: small is good.
    pub file_bytes: u64,
}

impl Default for PageSettings {
    /// 8 MiB.
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
        }
    }
}
