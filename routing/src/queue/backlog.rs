//! The ready messages of a queue: highest priority first, within one priority by sequence.

use std::collections::VecDeque;

use super::QueueLimits;
use super::entry::Entry;
use crate::ids::Seq;

/// Ready messages, one line per priority.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Lowest priority first; a plain queue has one line.
    lines: Vec<VecDeque<Entry>>,
    len: usize,
    bytes: usize,
}

impl Backlog {
    pub(super) fn new(priority_max: u8) -> Self {
        let lines = (0..=priority_max).map(|_| VecDeque::new()).collect();
        Self {
            lines,
            len: 0,
            bytes: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.lines.iter_mut().flatten()
    }

    /// Removes the entry of that sequence number, wherever it is.
    pub(super) fn remove(&mut self, seq: Seq) {
        for line in &mut self.lines {
            if let Ok(at) = line.binary_search_by_key(&seq, |entry| entry.seq)
                && let Some(entry) = line.remove(at)
            {
                self.len -= 1;
                self.bytes -= entry.message.cost_bytes();
            }
        }
    }

    /// Whether one more message of that size breaks a limit.
    pub(super) fn exceeds(&self, limits: &QueueLimits, bytes: usize) -> bool {
        limits.messages_max.is_some_and(|max| self.len + 1 > max)
            || limits.bytes_max.is_some_and(|max| self.bytes + bytes > max)
    }

    /// Adds an entry behind all others of its priority.
    pub(super) fn push(&mut self, entry: Entry) {
        self.count_in(&entry);
        if let Some(line) = self.line_of(&entry) {
            line.push_back(entry);
        }
    }

    /// Puts an entry back to where its sequence number belongs.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        if let Some(line) = self.line_of(&entry) {
            // Mostly it came from the very front.
            if line.front().is_none_or(|first| entry.seq < first.seq) {
                line.push_front(entry);
            } else {
                let at = line.partition_point(|other| other.seq < entry.seq);
                line.insert(at, entry);
            }
        }
    }

    /// Takes the first entry.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.pop_if(|_| true)
    }

    /// Takes the first entry if it passes.
    pub(super) fn pop_if(&mut self, pass: impl FnOnce(&Entry) -> bool) -> Option<Entry> {
        let line = self.lines.iter_mut().rev().find(|line| !line.is_empty())?;
        let entry = line.pop_front_if(|first| pass(first))?;
        self.len -= 1;
        self.bytes -= entry.message.cost_bytes();
        if line.is_empty() && line.capacity() > 4096 {
            *line = VecDeque::new();
        }
        Some(entry)
    }

    /// Takes everything.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        self.len = 0;
        self.bytes = 0;
        self.lines.iter_mut().flat_map(std::mem::take).collect()
    }

    fn count_in(&mut self, entry: &Entry) {
        self.len += 1;
        self.bytes += entry.message.cost_bytes();
    }

    fn line_of(&mut self, entry: &Entry) -> Option<&mut VecDeque<Entry>> {
        let top = self.lines.len().saturating_sub(1);
        self.lines
            .get_mut(usize::from(entry.message.priority).min(top))
    }
}
