//! The ready messages of a queue: highest priority first, within one priority by sequence.

use std::collections::VecDeque;

use super::entry::Entry;
use super::{End, QueueLimits};
use crate::ids::Seq;
use crate::message::Message;
use crate::time::Timestamp;

/// Ready messages, one line per priority.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Lowest priority first; a plain queue has one line.
    lines: Vec<VecDeque<Entry>>,
    total: Total,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    len: usize,
    bytes: usize,
    body_bytes: usize,
}

impl Total {
    const fn add(&mut self, message: &Message) {
        self.len += 1;
        self.bytes += message.cost_bytes();
        self.body_bytes += message.payload.len();
    }

    const fn subtract(&mut self, message: &Message) {
        self.len -= 1;
        self.bytes -= message.cost_bytes();
        self.body_bytes -= message.payload.len();
    }

    fn is_over(&self, limits: &QueueLimits) -> bool {
        limits.messages_max.is_some_and(|max| self.len > max)
            || limits.bytes_max.is_some_and(|max| self.bytes > max)
            || limits
                .body_bytes_max
                .is_some_and(|max| self.body_bytes > max)
    }
}

impl Backlog {
    pub(super) fn new(priority_max: u8) -> Self {
        let lines = (0..=priority_max).map(|_| VecDeque::new()).collect();
        Self {
            lines,
            total: Total::default(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.total.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.total.len == 0
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
                self.total.subtract(&entry.message);
            }
        }
    }

    /// Whether a limit is broken.
    pub(super) fn is_over(&self, limits: &QueueLimits) -> bool {
        self.total.is_over(limits)
    }

    /// Whether one more message breaks a limit.
    pub(super) fn is_over_with(&self, limits: &QueueLimits, message: &Message) -> bool {
        let mut total = self.total;
        total.add(message);
        total.is_over(limits)
    }

    /// Adds an entry behind all others of its priority.
    pub(super) fn push(&mut self, entry: Entry) {
        self.total.add(&entry.message);
        if let Some(line) = self.line_of(&entry) {
            line.push_back(entry);
        }
    }

    /// Puts an entry back to where its sequence number belongs.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.total.add(&entry.message);
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
        let line = self.lines.iter_mut().rev().find(|line| !line.is_empty())?;
        let entry = line.pop_front()?;
        self.total.subtract(&entry.message);
        if line.is_empty() && line.capacity() > 4096 {
            *line = VecDeque::new();
        }
        Some(entry)
    }

    /// Takes the last entry of the lowest priority.
    pub(super) fn pop_last(&mut self) -> Option<Entry> {
        let line = self.lines.iter_mut().find(|line| !line.is_empty())?;
        let entry = line.pop_back()?;
        self.total.subtract(&entry.message);
        Some(entry)
    }

    /// Up to `count` entries in the order in which they would leave, after the first `start`.
    pub(super) fn range(&self, start: usize, count: usize) -> Vec<&Entry> {
        let (mut skip, mut found) = (start, Vec::new());
        for line in self.lines.iter().rev() {
            let from = skip.min(line.len());
            skip -= from;
            found.extend(line.range(from..).take(count - found.len()));
        }
        found
    }

    /// Takes up to `max` entries that are wanted, looking from one end.
    pub(super) fn extract(
        &mut self,
        from: End,
        max: usize,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        let mut found = Vec::new();
        let lines: &mut dyn Iterator<Item = &mut VecDeque<Entry>> = match from {
            End::Head => &mut self.lines.iter_mut().rev(),
            End::Tail => &mut self.lines.iter_mut(),
        };
        for line in lines {
            if found.len() == max || !line.iter().any(&is_wanted) {
                continue;
            }
            let mut kept = VecDeque::with_capacity(line.len());
            while let Some(entry) = match from {
                End::Head => line.pop_front(),
                End::Tail => line.pop_back(),
            } {
                if found.len() < max && is_wanted(&entry) {
                    found.push(entry);
                } else {
                    match from {
                        End::Head => kept.push_back(entry),
                        End::Tail => kept.push_front(entry),
                    }
                }
            }
            *line = kept;
        }
        found
            .iter()
            .for_each(|entry| self.total.subtract(&entry.message));
        found
    }

    /// Takes an entry that has expired and is the first of its priority.
    pub(super) fn pop_expired(&mut self, now: Timestamp) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let entry = self
            .lines
            .iter_mut()
            .find_map(|line| line.pop_front_if(|first| first.is_expired(now)))?;
        self.total.subtract(&entry.message);
        Some(entry)
    }

    /// When [`Backlog::pop_expired`] will find something.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        if self.is_empty() {
            return None;
        }
        let heads = self.lines.iter().filter_map(VecDeque::front);
        heads.filter_map(|entry| entry.expires_at).min()
    }

    /// Takes everything.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        self.total = Total::default();
        self.lines.iter_mut().flat_map(std::mem::take).collect()
    }

    fn line_of(&mut self, entry: &Entry) -> Option<&mut VecDeque<Entry>> {
        let top = self.lines.len().saturating_sub(1);
        self.lines
            .get_mut(usize::from(entry.message.priority).min(top))
    }
}
