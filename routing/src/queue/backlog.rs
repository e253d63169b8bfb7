//! The ready messages of a queue: highest priority first, within one priority by sequence.

use super::entry::Entry;
use super::line::{ColdRead, Line};
use super::{End, QueueLimits};
use crate::ids::Seq;
use crate::message::Message;
use crate::time::Timestamp;

/// Ready messages, one line per priority.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Lowest priority first; a plain queue has one line.
    lines: Vec<Line>,
    total: Total,
    /// Lines with messages on disk only.
    cold_lines: usize,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    pub(super) len: usize,
    pub(super) bytes: usize,
    pub(super) body_bytes: usize,
}

impl Total {
    pub(super) const fn add(&mut self, message: &Message) {
        self.len += 1;
        self.bytes += message.cost_bytes();
        self.body_bytes += message.payload.len();
    }

    /// Bytes may have been estimated, so they end at zero.
    pub(super) const fn subtract(&mut self, message: &Message) {
        self.len = self.len.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.cost_bytes());
        self.body_bytes = self.body_bytes.saturating_sub(message.payload.len());
        if self.len == 0 {
            *self = Self {
                len: 0,
                bytes: 0,
                body_bytes: 0,
            };
        }
    }

    /// As much as so many messages of this total's average size.
    pub(super) fn times(&self, len: usize) -> Self {
        let each = |bytes: usize| bytes.checked_div(self.len).unwrap_or(0).saturating_mul(len);
        Self {
            len,
            bytes: each(self.bytes),
            body_bytes: each(self.body_bytes),
        }
    }

    pub(super) const fn join(&mut self, other: Self) {
        self.len += other.len;
        self.bytes += other.bytes;
        self.body_bytes += other.body_bytes;
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
        let lines = (0..=priority_max).map(|_| Line::default()).collect();
        Self {
            lines,
            total: Total::default(),
            cold_lines: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.total.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.total.len == 0
    }

    /// The priority that messages of this priority have here.
    pub(super) fn priority_of(&self, message: &Message) -> u8 {
        let top = u8::try_from(self.lines.len().saturating_sub(1)).unwrap_or(u8::MAX);
        message.priority.min(top)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (u8, &Line)> {
        (0..=u8::MAX).zip(&self.lines)
    }

    pub(super) fn line(&self, priority: u8) -> Option<&Line> {
        self.lines.get(usize::from(priority))
    }

    pub(super) fn line_mut(&mut self, priority: u8) -> Option<&mut Line> {
        self.lines.get_mut(usize::from(priority))
    }

    /// What is in memory.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().flat_map(Line::iter)
    }

    /// What is in memory.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.lines.iter_mut().flat_map(Line::iter_mut)
    }

    /// Removes the entry of that sequence number, wherever it is in memory.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Entry> {
        let entry = self.lines.iter_mut().find_map(|line| line.remove(seq))?;
        self.total.subtract(&entry.message);
        Some(entry)
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
            line.put_back(entry);
        }
    }

    /// Takes the first entry; none also while the first has not been read yet.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let line = self.lines.iter_mut().rev().find(|line| line.len() > 0)?;
        let entry = line.pop_front_if(|_| true)?;
        self.total.subtract(&entry.message);
        Some(entry)
    }

    /// Takes the last entry of the lowest priority; none also while that is on disk only.
    pub(super) fn pop_last(&mut self) -> Option<Entry> {
        let line = self.lines.iter_mut().find(|line| line.len() > 0)?;
        let entry = line.pop_back()?;
        self.total.subtract(&entry.message);
        Some(entry)
    }

    /// Up to `count` entries in the order in which they would leave, after the first `start`, as
    /// far as they are in memory before the first that is not.
    pub(super) fn range(&self, start: usize, count: usize) -> Vec<&Entry> {
        let (mut skip, mut found) = (start, Vec::new());
        for line in self.lines.iter().rev() {
            let from = skip.min(line.front_len());
            skip -= from;
            found.extend(line.iter_front().skip(from).take(count - found.len()));
            if line.is_cold() {
                break;
            }
        }
        found
    }

    /// Takes up to `max` entries that are wanted, looking from one end. What is on disk only is
    /// not looked at.
    pub(super) fn extract(
        &mut self,
        from: End,
        max: usize,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        let mut found = Vec::new();
        let lines: &mut dyn Iterator<Item = &mut Line> = match from {
            End::Head => &mut self.lines.iter_mut().rev(),
            End::Tail => &mut self.lines.iter_mut(),
        };
        for line in lines {
            let left = max - found.len();
            found.append(&mut line.extract(from, left, &is_wanted));
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
        let heads = self.lines.iter().filter_map(Line::front);
        heads.filter_map(|entry| entry.expires_at).min()
    }

    /// Takes everything: what is in memory, and for each line with more on disk only, the number
    /// that began with. Returns how many messages it was, too.
    pub(super) fn drain(&mut self) -> (Vec<Entry>, Vec<(u8, Seq)>, usize) {
        let mut entries = Vec::new();
        let mut cold = Vec::new();
        for (priority, line) in (0..=u8::MAX).zip(&mut self.lines) {
            let (mut in_memory, cold_from) = line.drain();
            entries.append(&mut in_memory);
            cold.extend(cold_from.map(|from| (priority, from)));
        }
        self.cold_lines = 0;
        (entries, cold, std::mem::take(&mut self.total).len)
    }

    /// The most urgent line of which less than `ahead_bytes` are in memory, and from where it is
    /// to be read.
    pub(super) fn wanted(&self, ahead_bytes: usize) -> Option<(u8, ColdRead)> {
        let mut lines = (0..=u8::MAX).zip(&self.lines).rev();
        lines.find_map(|(priority, line)| Some((priority, line.wanted(ahead_bytes)?)))
    }

    /// Whether there is anything left to read from disk.
    pub(super) fn can_load(&self) -> bool {
        self.wanted(usize::MAX).is_some()
    }

    /// Whether the first message is on disk only.
    pub(super) fn starves(&self) -> bool {
        let first = self.lines.iter().rev().find(|line| line.len() > 0);
        first.is_some_and(|line| line.front().is_none() && !line.is_damaged)
    }

    /// Whether there are messages on disk only.
    pub(super) const fn is_cold(&self) -> bool {
        self.cold_lines > 0
    }

    /// How many lines have messages on disk only.
    pub(super) const fn cold_lines(&self) -> usize {
        self.cold_lines
    }

    /// Takes in what was read of a line; see [`Line::loaded`].
    pub(super) fn loaded(
        &mut self,
        priority: u8,
        read: &ColdRead,
        entries: Vec<Entry>,
        stale: &[Entry],
        is_all: bool,
    ) {
        if let Some(line) = self.line_mut(priority) {
            line.loaded(read, entries, stale, is_all);
        }
        self.recount();
    }

    /// Takes messages of a line out of memory; see [`Line::spill`].
    pub(super) fn spill(
        &mut self,
        priority: u8,
        keep_bytes: usize,
        handed_out: Option<Seq>,
    ) -> Vec<Entry> {
        let line = self.line_mut(priority);
        let spilled = line.map(|line| line.spill(keep_bytes, handed_out));
        self.recount();
        spilled.unwrap_or_default()
    }

    /// Up to where a line is in its page files.
    pub(super) fn paged_through(&self, priority: u8) -> Option<Seq> {
        self.line(priority)?.paged_through
    }

    /// A line is in its page files up to here; so much was added.
    pub(super) fn paged(&mut self, priority: u8, through: Seq, more: Total) {
        if let Some(line) = self.line_mut(priority) {
            line.paged_through = line.paged_through.max(Some(through));
            line.paged.join(more);
        }
    }

    /// Corrects the account after the lines' own.
    fn recount(&mut self) {
        self.total.len = self.lines.iter().map(Line::len).sum();
        self.cold_lines = self.lines.iter().filter(|line| line.is_cold()).count();
    }

    /// At a start: so many messages of that line are in page files only.
    pub(super) fn begin_cold(&mut self, priority: u8, len: usize) {
        let total = self.line_mut(priority).map(|line| line.begin_cold(len));
        self.total.join(total.unwrap_or_default());
        self.recount();
    }

    /// At a start: these are in page files, and need not be in memory.
    pub(super) fn forget_paged(&mut self, priority: u8, through: Seq) -> Vec<Entry> {
        let forgotten = self
            .line_mut(priority)
            .map(|line| line.forget_paged(through));
        let forgotten = forgotten.unwrap_or_default();
        forgotten
            .iter()
            .for_each(|entry| self.total.subtract(&entry.message));
        forgotten
    }

    fn line_of(&mut self, entry: &Entry) -> Option<&mut Line> {
        let priority = self.priority_of(&entry.message);
        self.line_mut(priority)
    }
}
