//! The boundary to page files: where a queue's messages lie that outlived the journal's window or
//! did not fit in memory. Separate from the journal because a replicated log would keep its stream
//! instead of files.
//!
//! What lies there has no entry in memory, only a bit that says that it is still wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;

use crate::ids::{QueueId, Seq};
use crate::sync::{Mutex, Rank};

/// The messages of one priority in one queue. They are stored by rising sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId {
    /// The queue.
    pub queue: QueueId,
    /// Which of its priorities; 0 in a plain queue.
    pub priority: u8,
}

/// Why page files could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The disk is full. What was appended up to this number is there all the same.
    #[error("the disk is full")]
    Full {
        /// The last record that is safe, if there is any.
        through: Option<Seq>,
    },
    /// Records are missing or damaged from here on; none of the bad bytes is given out.
    #[error("page files are damaged from record {} on", from.0)]
    Damaged {
        /// The first that cannot be read.
        from: Seq,
    },
    /// The journal has failed, and the process is about to end.
    #[error("the journal failed")]
    Failed,
}

/// Page files. Only [`Pages::settle`] and [`Pages::snapshot`] are memory operations; all others
/// wait for the disk.
pub trait Pages: Send + Sync + fmt::Debug {
    /// Appends records by rising number; when it returns, they are safe.
    ///
    /// # Errors
    /// [`PageError::Full`], [`PageError::Failed`].
    fn append(&self, line: LineId, records: &[(Seq, &[u8])]) -> Result<(), PageError>;

    /// Reads what is still wanted from a number on, until `bytes_max` is reached; at least one
    /// record if there is any.
    ///
    /// # Errors
    /// [`PageError::Damaged`] when the very next record cannot be read.
    fn read(
        &self,
        line: LineId,
        from: Seq,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, PageError>;

    /// These records, both ends included, are not wanted any more.
    fn settle(&self, line: LineId, from: Seq, to: Seq);

    /// Forgets a line with all that it has.
    fn drop_line(&self, line: LineId);

    /// The lines that there are.
    fn lines(&self) -> Vec<LineId>;

    /// Which records are still wanted, for a checkpoint.
    fn snapshot(&self, line: LineId) -> Bytes;

    /// At a start: takes over what was wanted when the snapshot was made. If it is none of ours,
    /// everything counts as wanted, and is delivered again.
    fn restore(&self, line: LineId, snapshot: &[u8]);

    /// At a start, when everything else is known: what lies above `through` was never reported
    /// and is forgotten. Returns how many records are wanted.
    ///
    /// # Errors
    /// [`PageError::Damaged`] if records up to `through` are missing.
    fn confirm(&self, line: LineId, through: Option<Seq>) -> Result<u64, PageError>;
}

/// Page files in memory: for tests, and for a broker that keeps nothing.
#[derive(Debug)]
pub struct MemoryPages {
    lines: Mutex<BTreeMap<LineId, MemoryLine>>,
}

#[derive(Debug, Default)]
struct MemoryLine {
    records: BTreeMap<Seq, Bytes>,
    wanted: BTreeSet<Seq>,
}

impl Default for MemoryPages {
    fn default() -> Self {
        Self {
            lines: Mutex::new(Rank::Leaf, BTreeMap::new()),
        }
    }
}

impl MemoryPages {
    /// As after a crash: the records are there, but not what is wanted of them.
    pub fn crash(&self) {
        for line in self.lines.lock().values_mut() {
            line.wanted = line.records.keys().copied().collect();
        }
    }
}

impl Pages for MemoryPages {
    fn append(&self, line: LineId, records: &[(Seq, &[u8])]) -> Result<(), PageError> {
        let mut lines = self.lines.lock();
        let kept = lines.entry(line).or_default();
        for (seq, record) in records {
            kept.records.insert(*seq, Bytes::copy_from_slice(record));
            kept.wanted.insert(*seq);
        }
        Ok(())
    }

    fn read(
        &self,
        line: LineId,
        from: Seq,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, PageError> {
        let lines = self.lines.lock();
        let Some(kept) = lines.get(&line) else {
            return Ok(Vec::new());
        };
        let mut bytes = 0;
        let records = kept.wanted.range(from..);
        let records = records.filter_map(|seq| Some((*seq, kept.records.get(seq)?.clone())));
        let within = records.take_while(|(_, record)| {
            let is_first = bytes == 0;
            bytes += record.len();
            is_first || bytes <= bytes_max
        });
        Ok(within.collect())
    }

    fn settle(&self, line: LineId, from: Seq, to: Seq) {
        if let Some(kept) = self.lines.lock().get_mut(&line) {
            let mut rest = kept.wanted.split_off(&from);
            kept.wanted
                .append(&mut rest.split_off(&Seq(to.0.saturating_add(1))));
        }
    }

    fn drop_line(&self, line: LineId) {
        self.lines.lock().remove(&line);
    }

    fn lines(&self) -> Vec<LineId> {
        self.lines.lock().keys().copied().collect()
    }

    fn snapshot(&self, line: LineId) -> Bytes {
        let lines = self.lines.lock();
        let Some(kept) = lines.get(&line) else {
            return Bytes::new();
        };
        let last = kept.records.keys().next_back();
        let numbers = last.into_iter().chain(&kept.wanted);
        numbers.flat_map(|seq| seq.0.to_le_bytes()).collect()
    }

    fn restore(&self, line: LineId, snapshot: &[u8]) {
        let numbers = snapshot.chunks_exact(8);
        let mut numbers =
            numbers.filter_map(|seq| seq.try_into().ok().map(u64::from_le_bytes).map(Seq));
        let Some(last) = numbers.next() else { return };
        let wanted = numbers.collect::<BTreeSet<_>>();
        if let Some(kept) = self.lines.lock().get_mut(&line) {
            kept.wanted
                .retain(|seq| *seq > last || wanted.contains(seq));
        }
    }

    fn confirm(&self, line: LineId, through: Option<Seq>) -> Result<u64, PageError> {
        let mut lines = self.lines.lock();
        let Some(kept) = lines.get_mut(&line) else {
            return Ok(0);
        };
        let is_reported = |seq: &Seq| through.is_some_and(|through| *seq <= through);
        kept.records.retain(|seq, _| is_reported(seq));
        kept.wanted.retain(is_reported);
        Ok(kept.wanted.len() as u64)
    }
}
