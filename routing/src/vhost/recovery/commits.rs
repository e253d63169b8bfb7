//! Commits in recovery: their parts count if their end is in the journal.

use crate::ids::{QueueId, Seq};
use crate::journal::{CommitId, Entry, Lsn};
use crate::vhost::Recovery;

/// What a commit did that is to be undone, or still to be done, by whether its end is there.
#[derive(Debug, Default)]
pub(super) struct OpenCommit {
    /// Messages that came into queues: in their places already, since a queue's numbers only rise.
    added: Vec<(QueueId, Seq)>,
    /// Messages that left queues: there until the commit's end.
    settled: Vec<(QueueId, Vec<Seq>)>,
}

impl Recovery<'_> {
    /// Applies a part: what came into a queue is in its place at once, what left waits.
    pub(super) fn apply_part(&mut self, commit: CommitId, entry: Entry, at: Lsn) {
        self.broker.core().ids.skip(commit.0);
        let open = self.open_commits.entry(commit).or_default();
        match entry {
            Entry::Settled { queue, seqs } => return open.settled.push((queue, seqs)),
            Entry::Publish { queue, seq, .. } | Entry::Enqueue { queue, seq, .. } => {
                open.added.push((queue, seq));
            }
            _ => {}
        }
        self.apply_entry(entry, at);
    }

    /// Takes back what commits did that were never made.
    pub(super) fn undo_open_commits(&mut self) {
        for (_, open) in std::mem::take(&mut self.open_commits) {
            for (queue, seq) in open.added {
                self.restore_settled(queue, &[seq]);
            }
        }
    }

    /// Does what waited for the commit's end.
    pub(super) fn end_commit(&mut self, commit: CommitId) {
        let open = self.open_commits.remove(&commit).unwrap_or_default();
        for (queue, seqs) in open.settled {
            self.restore_settled(queue, &seqs);
        }
    }
}
