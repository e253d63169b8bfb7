//! The ready messages of one priority, in order: a head and a tail in memory, and between them
//! what is in page files only.
//!
//! ```text
//! head: entries   cold: a number to read from, and a count   tail: entries
//!                 (its messages are in page files)
//! ```
//!
//! Invariant: without anything cold there is no tail, so a short queue is one deque.
//! Invariant: numbers in the head are below `cold.from`, numbers in the tail above all cold ones;
//! so is what was handed out below `cold.from`, and returns to the head.

use std::collections::VecDeque;

use super::backlog::Total;
use super::entry::{Body, Entry};
use super::{End, FIRST_SEQ};
use crate::ids::Seq;

/// A deque that grew beyond this gives its memory back once it is empty.
const SHRINK_ENTRIES: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    head: VecDeque<Entry>,
    head_bytes: usize,
    cold: Cold,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    /// Everything of this line up to here is in its page files, if it is still wanted.
    pub(super) paged_through: Option<Seq>,
    /// What one message in the page files takes on average, to count them after a start.
    pub(super) paged: Total,
    /// The next messages cannot be read: nothing is handed out rather than something skipped.
    pub(super) is_damaged: bool,
}

/// What is in page files only: all that is wanted there of `from..end`.
#[derive(Debug, Default)]
struct Cold {
    from: Seq,
    end: Seq,
    /// How much that is. Where one begins and ends is told by the numbers, never by this.
    total: Total,
    /// Counts the changes of `from`: a read that was begun before one is not taken in after it.
    changes: u64,
}

/// Where to read a line on, and what must not have changed when the result is taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColdRead {
    pub(super) from: Seq,
    end: Seq,
    changes: u64,
}

impl ColdRead {
    /// Whether it is about a message of that number.
    pub(super) fn has(&self, seq: Seq) -> bool {
        seq < self.end
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.cold.total.len + self.tail.len()
    }

    pub(super) const fn is_cold(&self) -> bool {
        self.cold.from.0 < self.cold.end.0
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.head.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.head.iter().chain(&self.tail)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.head.iter_mut().chain(&mut self.tail)
    }

    /// The entry of that number, if it is in memory.
    pub(super) fn find_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        let part = if self.is_cold() && seq >= self.cold.from {
            &mut self.tail
        } else {
            &mut self.head
        };
        let at = part.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        part.get_mut(at)
    }

    pub(super) fn push_back(&mut self, entry: Entry) {
        let bytes = entry.message.cost_bytes();
        if self.is_cold() {
            self.tail_bytes += bytes;
            self.tail.push_back(entry);
        } else {
            self.head_bytes += bytes;
            self.head.push_back(entry);
        }
    }

    /// Puts an entry back to where its number belongs.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.head_bytes += entry.message.cost_bytes();
        // Mostly it came from the very front.
        if self.head.front().is_none_or(|first| entry.seq < first.seq) {
            self.head.push_front(entry);
        } else if self.head.back().is_some_and(|last| last.seq < entry.seq) {
            // At a start, to the very end.
            self.head.push_back(entry);
        } else {
            let at = self.head.partition_point(|other| other.seq < entry.seq);
            self.head.insert(at, entry);
        }
    }

    pub(super) fn pop_front_if(&mut self, may_go: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let entry = self.head.pop_front_if(|entry| may_go(entry))?;
        self.head_bytes -= entry.message.cost_bytes();
        if self.head.is_empty() && self.head.capacity() > SHRINK_ENTRIES {
            self.head = VecDeque::new();
        }
        Some(entry)
    }

    pub(super) fn pop_back(&mut self) -> Option<Entry> {
        if let Some(entry) = self.tail.pop_back() {
            self.tail_bytes -= entry.message.cost_bytes();
            return Some(entry);
        }
        if self.is_cold() {
            return None;
        }
        let entry = self.head.pop_back()?;
        self.head_bytes -= entry.message.cost_bytes();
        Some(entry)
    }

    /// How many entries are in memory before the first that is not.
    pub(super) fn front_len(&self) -> usize {
        self.head.len()
    }

    /// The entries in memory before the first that is not.
    pub(super) fn iter_front(&self) -> impl Iterator<Item = &Entry> {
        self.head.iter()
    }

    /// Takes up to `max` entries of the head that are wanted, looking from one end.
    pub(super) fn extract(
        &mut self,
        from: End,
        max: usize,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        if max == 0 || !self.head.iter().any(&is_wanted) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut kept = VecDeque::with_capacity(self.head.len());
        while let Some(entry) = match from {
            End::Head => self.head.pop_front(),
            End::Tail => self.head.pop_back(),
        } {
            if found.len() < max && is_wanted(&entry) {
                self.head_bytes -= entry.message.cost_bytes();
                found.push(entry);
            } else {
                match from {
                    End::Head => kept.push_back(entry),
                    End::Tail => kept.push_front(entry),
                }
            }
        }
        self.head = kept;
        found
    }

    /// Removes the entry of that number, if it is in memory.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Entry> {
        let at = self
            .head
            .binary_search_by_key(&seq, |entry| entry.seq)
            .ok()?;
        let entry = self.head.remove(at)?;
        self.head_bytes -= entry.message.cost_bytes();
        Some(entry)
    }

    /// Takes everything; what was cold comes as the number it began with.
    pub(super) fn drain(&mut self) -> (Vec<Entry>, Option<Seq>) {
        let cold_from = self.is_cold().then_some(self.cold.from);
        self.end_cold();
        (self.head_bytes, self.tail_bytes) = (0, 0);
        let head = std::mem::take(&mut self.head);
        let tail = std::mem::take(&mut self.tail);
        (head.into_iter().chain(tail).collect(), cold_from)
    }

    /// What is to be read when less than `ahead_bytes` are in memory.
    pub(super) fn wanted(&self, ahead_bytes: usize) -> Option<ColdRead> {
        let is_wanted = self.is_cold() && !self.is_damaged && self.head_bytes < ahead_bytes;
        is_wanted.then_some(ColdRead {
            from: self.cold.from,
            end: self.cold.end,
            changes: self.cold.changes,
        })
    }

    /// Whether that is still what comes next.
    pub(super) const fn awaits(&self, read: &ColdRead) -> bool {
        self.is_cold() && self.cold.changes == read.changes
    }

    /// Whether a message that was read is in the page files only. Those behind the cold ones are
    /// in memory as well: they were moved, and have not left yet.
    pub(super) fn lacks(&self, seq: Seq) -> bool {
        (self.cold.from..self.cold.end).contains(&seq)
    }

    /// Takes in what was read and is lacking here; `stale` does not count any more. `is_all`:
    /// there is no more before the end that the read was told.
    pub(super) fn loaded(
        &mut self,
        read: &ColdRead,
        entries: Vec<Entry>,
        stale: &[Entry],
        is_all: bool,
    ) {
        self.cold.changes += 1;
        if is_all {
            self.cold.from = read.end;
        }
        for entry in stale {
            self.cold.from = self.cold.from.max(Seq(entry.seq.0 + 1));
            self.cold.total.subtract(&entry.message);
        }
        for entry in entries {
            self.cold.from = self.cold.from.max(Seq(entry.seq.0 + 1));
            self.cold.total.subtract(&entry.message);
            self.head_bytes += entry.message.cost_bytes();
            self.head.push_back(entry);
        }
        if !self.is_cold() {
            self.end_cold();
            self.head.append(&mut self.tail);
            self.head_bytes += std::mem::take(&mut self.tail_bytes);
        }
    }

    fn end_cold(&mut self) {
        self.cold = Cold {
            changes: self.cold.changes + 1,
            ..Cold::default()
        };
    }

    /// Bytes that [`Line::spill`] could take out of memory if all were in page files.
    pub(super) const fn surplus_bytes(&self, keep_bytes: usize) -> usize {
        (self.head_bytes + self.tail_bytes).saturating_sub(keep_bytes)
    }

    /// Takes messages out of memory that are in page files, but for `keep_bytes` at the front and
    /// what is not above `handed_out`.
    pub(super) fn spill(&mut self, keep_bytes: usize, handed_out: Option<Seq>) -> Vec<Entry> {
        let mut spilled = Vec::new();
        if let Some(at) = self.cut(keep_bytes, handed_out) {
            if self.is_cold() {
                spilled = self.unload(at);
            } else if self
                .head
                .get(at)
                .is_some_and(|entry| entry.body == Body::Paged)
            {
                self.split(at);
            }
        }
        spilled.append(&mut self.spill_tail());
        spilled
    }

    /// The place in the head behind what is to stay there.
    fn cut(&self, keep_bytes: usize, handed_out: Option<Seq>) -> Option<usize> {
        if self.head_bytes <= keep_bytes {
            return None;
        }
        let mut kept_bytes = 0;
        self.head.iter().position(|entry| {
            let is_kept = kept_bytes < keep_bytes || handed_out.is_some_and(|seq| entry.seq < seq);
            kept_bytes += entry.message.cost_bytes();
            !is_kept
        })
    }

    /// Makes the end of the head cold again.
    fn unload(&mut self, at: usize) -> Vec<Entry> {
        let is_paged = |entry: &Entry| entry.body == Body::Paged;
        if !self.head.range(at..).all(is_paged) {
            return Vec::new();
        }
        let spilled = self.head.drain(at..).collect::<Vec<_>>();
        self.cold.from = spilled.first().map_or(self.cold.from, |entry| entry.seq);
        self.cold.changes += 1;
        for entry in &spilled {
            self.head_bytes -= entry.message.cost_bytes();
            self.cold.total.add(&entry.message);
        }
        spilled
    }

    /// Makes everything from this place on the tail.
    fn split(&mut self, at: usize) {
        let mut rest = std::mem::take(&mut self.head);
        self.head = rest.drain(..at).collect();
        self.head_bytes = self
            .head
            .iter()
            .map(|entry| entry.message.cost_bytes())
            .sum();
        self.tail_bytes = rest.iter().map(|entry| entry.message.cost_bytes()).sum();
        self.cold.from = rest.front().map_or(self.cold.from, |entry| entry.seq);
        self.cold.end = self.cold.from;
        self.cold.changes += 1;
        self.tail = rest;
    }

    fn spill_tail(&mut self) -> Vec<Entry> {
        let paged = self
            .tail
            .iter()
            .take_while(|entry| entry.body == Body::Paged);
        let count = paged.count();
        let spilled = self.tail.drain(..count).collect::<Vec<_>>();
        for entry in &spilled {
            self.tail_bytes -= entry.message.cost_bytes();
            self.cold.total.add(&entry.message);
            self.cold.end = Seq(entry.seq.0 + 1);
        }
        if self.tail.capacity() > SHRINK_ENTRIES && self.tail.len() * 4 < self.tail.capacity() {
            self.tail.shrink_to(self.tail.len() * 2);
        }
        spilled
    }

    /// At a start: forgets what is in the page files, and what lies there becomes cold.
    pub(super) fn forget_paged(&mut self, through: Seq) -> Vec<Entry> {
        // What was put before the head is never in page files.
        let from = self.put_before_head();
        let to = self.head.partition_point(|entry| entry.seq <= through);
        let forgotten = self.head.drain(from..to.max(from)).collect::<Vec<_>>();
        for entry in &forgotten {
            self.head_bytes -= entry.message.cost_bytes();
        }
        forgotten
    }

    /// At a start, when everything is in the head: so many messages are in the page files.
    pub(super) fn begin_cold(&mut self, len: usize) -> Total {
        let total = self.paged.times(len);
        if let Some(through) = self.paged_through.filter(|_| len > 0) {
            self.split(self.put_before_head());
            self.cold.from = Seq(FIRST_SEQ);
            self.cold.end = Seq(through.0 + 1);
            self.cold.total = total;
        }
        total
    }

    fn put_before_head(&self) -> usize {
        self.head.partition_point(|entry| entry.seq.0 < FIRST_SEQ)
    }
}
