//! A queue's messages on their way to page files and back. Reading and writing happen without the
//! queue's lock; under it, a batch is taken over only if it still fits.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::backlog::Backlog;
use super::entry::{Body, Entry};
use super::line::ColdRead;
use super::{FIRST_SEQ, Queue, State};
use crate::delivery::Matched;
use crate::ids::Seq;
use crate::journal::{self, Entry as Record, Journal, Lsn, Place, Urgency};
use crate::message::{Message, QoS};
use crate::outbox::Wakes;
use crate::pages::{LineId, PageError};
use crate::paging::Paging;
use crate::time::Timestamp;

/// Where a queue keeps its messages.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// What must survive.
    pub(crate) journal: Arc<dyn Journal>,
    /// The account of memory, and the page files.
    pub(crate) paging: Arc<Paging>,
}

/// A batch of one line on its way to the page files.
struct Move {
    line: LineId,
    moving: Vec<Moving>,
    /// The records of these messages end here or before: they must be safe first, or a message
    /// could survive in the page files that was lost in the journal.
    needs: Lsn,
}

struct Moving {
    seq: Seq,
    message: Arc<Message>,
    qos: QoS,
    expires_at: Option<Timestamp>,
    matched: Option<Arc<Matched>>,
}

impl Moving {
    fn new(entry: &Entry, line: LineId) -> Self {
        Self {
            seq: entry.seq,
            message: Arc::clone(&entry.message),
            qos: entry.qos,
            expires_at: entry.place(line.queue).expires_at,
            matched: entry.matched.clone(),
        }
    }

    fn encode(&self, line: LineId, out: &mut Vec<u8>) -> Range<usize> {
        let start = out.len();
        let place = Place {
            queue: line.queue,
            seq: self.seq,
            qos: self.qos,
            expires_at: self.expires_at,
            matched: self.matched.as_deref(),
        };
        journal::put_publish(out, &place, &self.message);
        out.extend_from_slice(&self.message.payload);
        start..out.len()
    }
}

/// Reading.
impl Queue {
    /// Asks for messages when there are more on disk than should be.
    pub(super) fn read_ahead(self: &Arc<Self>, state: &mut State) {
        if state.ready.is_cold() && !state.is_loading {
            let ahead_bytes = self.store.paging.ahead_bytes();
            if state.ready.wanted(ahead_bytes / 2).is_some() {
                state.is_loading = true;
                self.store.paging.load(self);
            }
        }
    }

    /// Brings back what comes next from disk, and hands it out. Blocks on the disk.
    pub(crate) fn load(self: &Arc<Self>, now: Timestamp, wakes: &mut Wakes) {
        let ahead_bytes = self.store.paging.ahead_bytes();
        let wanted = {
            let mut state = self.state.lock();
            state.is_loading = false;
            let ahead_bytes = if state.is_list() {
                usize::MAX
            } else {
                ahead_bytes
            };
            state.ready.wanted(ahead_bytes)
        };
        if let Some((priority, read)) = wanted {
            let line = self.line(priority);
            let pages = &self.store.paging.pages;
            let found = pages.read(line, read.from, ahead_bytes / 2);
            let found = found.map(|records| self.decode_all(records));
            self.locked(now, wakes, |state, wakes| {
                self.loaded(state, priority, &read, found);
                self.pump_locked(state, now, wakes);
                self.drop_surplus(state);
            });
        }
    }

    /// Brings everything back from disk and keeps it in memory from now on: whoever uses a queue
    /// from both ends, or looks into its middle, needs it there. Blocks on the disk.
    pub(super) fn become_list(self: &Arc<Self>, now: Timestamp) {
        self.state.lock().is_list = true;
        while self.state.lock().ready.can_load() {
            self.load(now, &mut Wakes::default());
        }
    }

    fn decode_all(&self, records: Vec<(Seq, bytes::Bytes)>) -> Vec<Entry> {
        let origins = &self.store.paging.origins;
        let decoded = records.into_iter().filter_map(|(seq, record)| {
            let Ok(Record::Publish {
                qos,
                expires_at,
                matched,
                message,
                ..
            }) = journal::decode(record, origins)
            else {
                return None;
            };
            let expires_at = message.expires_at.into_iter().chain(expires_at).min();
            Some(Entry {
                seq,
                message,
                qos,
                matched: matched.map(Arc::new),
                body: Body::Paged,
                redeliveries: 0,
                expires_at,
            })
        });
        decoded.collect()
    }

    fn loaded(
        &self,
        state: &mut State,
        priority: u8,
        read: &ColdRead,
        found: Result<Vec<Entry>, PageError>,
    ) {
        let line = state.ready.line_mut(priority);
        let Some(line) = line.filter(|line| line.awaits(read)) else {
            return;
        };
        let Ok(mut entries) = found else {
            line.is_damaged = true;
            return;
        };
        let is_all = entries.last().is_none_or(|last| !read.has(last.seq));
        entries.retain(|entry| line.lacks(entry.seq));
        for entry in &mut entries {
            entry.redeliveries = state.redelivered.remove(&entry.seq).unwrap_or(0);
        }
        let (kept, stale) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|entry| self.is_kept(entry) || entry.seq >= state.born_at);
        let bytes = kept.iter().map(|entry| entry.message.cost_bytes()).sum();
        state.memory.add(bytes);
        state.ready.loaded(priority, read, kept, &stale, is_all);
        for entry in &stale {
            let pages = &self.store.paging.pages;
            pages.settle(self.line(priority), entry.seq, entry.seq);
        }
        self.tell_cold(state);
    }

    /// Tells the broker's account how many lines are partly on disk only.
    pub(super) fn tell_cold(&self, state: &mut State) {
        let cold = state.ready.cold_lines();
        self.store.paging.lines_are_cold(state.told_cold, cold);
        state.told_cold = cold;
    }
}

/// Writing.
impl Queue {
    pub(super) const fn line(&self, priority: u8) -> LineId {
        LineId {
            queue: self.id,
            priority,
        }
    }

    /// The lines with more in memory than they need there, and how much.
    pub(crate) fn surplus(&self) -> Vec<(usize, u8)> {
        let keep_bytes = self.store.paging.ahead_bytes();
        let state = self.state.lock();
        if state.is_list() {
            return Vec::new();
        }
        let lines = state.ready.lines();
        let surplus = lines.map(|(priority, line)| (line.surplus_bytes(keep_bytes), priority));
        surplus.filter(|(bytes, _)| *bytes > 0).collect()
    }

    /// Takes one batch of a line out of memory. False when there was nothing to take. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// When the page files cannot be written.
    pub(crate) fn page_out(self: &Arc<Self>, priority: u8) -> Result<bool, PageError> {
        if self.spill(priority) {
            return Ok(true);
        }
        let moved = self.move_some(priority, None)?;
        Ok(self.spill(priority) || moved)
    }

    /// Moves everything of a line to the page files whose record in the journal lies below a
    /// position. It stays in memory. Blocks on the disk.
    ///
    /// # Errors
    /// When the page files cannot be written.
    pub(crate) fn move_below(self: &Arc<Self>, priority: u8, below: Lsn) -> Result<(), PageError> {
        while self.move_some(priority, Some(below))? {}
        Ok(())
    }

    /// How many bytes of each line lie in the journal below a position, for the lines that have
    /// any; and whether the line has page files already.
    pub(crate) fn below(&self, below: Lsn) -> Vec<(usize, u8)> {
        let state = self.state.lock();
        if state.is_list() {
            return Vec::new();
        }
        let mut bytes = [0; 256];
        for entry in state.in_memory().filter(|entry| entry.is_below(below)) {
            let priority = state.ready.priority_of(&entry.message);
            if let Some(bytes) = bytes.get_mut(usize::from(priority)) {
                *bytes += entry.message.cost_bytes();
            }
        }
        let lines = bytes.into_iter().zip(0..=u8::MAX);
        lines.filter(|(bytes, _)| *bytes > 0).collect()
    }

    fn move_some(&self, priority: u8, below: Option<Lsn>) -> Result<bool, PageError> {
        let Some(batch) = self.begin_move(priority, below) else {
            return Ok(false);
        };
        if !self.store.journal.wait_durable(batch.needs) {
            return Err(PageError::Failed);
        }
        let mut buffer = Vec::new();
        let ranges = batch
            .moving
            .iter()
            .map(|m| (m.seq, m.encode(batch.line, &mut buffer)));
        let ranges = ranges.collect::<Vec<_>>();
        let records = ranges
            .into_iter()
            .filter_map(|(seq, range)| Some((seq, buffer.get(range)?)));
        let records = records.collect::<Vec<_>>();
        let appended = self.store.paging.pages.append(batch.line, &records);
        let through = match appended {
            Ok(()) => batch.moving.last().map(|moving| moving.seq),
            Err(PageError::Full { through }) => through,
            Err(_) => None,
        };
        if let Some(through) = through {
            self.end_move(&batch, through);
        }
        appended.map(|()| true)
    }

    fn begin_move(&self, priority: u8, below: Option<Lsn>) -> Option<Move> {
        let state = self.state.lock();
        let line = self.line(priority);
        let through = state.ready.paged_through(priority);
        let is_new = |entry: &&Entry| {
            entry.body != Body::Paged && through.is_none_or(|through| entry.seq > through)
        };
        let ready = state
            .ready
            .line(priority)
            .into_iter()
            .flat_map(|line| line.iter());
        let out = state.handed_out();
        let out = out.filter(|entry| state.ready.priority_of(&entry.message) == priority);
        let mut out = out.filter(is_new).collect::<Vec<_>>();
        out.sort_unstable_by_key(|entry| entry.seq);
        let mut out = out.into_iter().peekable();
        let mut ready = ready.filter(is_new).peekable();
        let (mut moving, mut bytes, mut count) = (Vec::new(), 0, 0);
        let bytes_max = self.store.paging.move_bytes();
        while bytes < bytes_max {
            let out_is_next = match (out.peek(), ready.peek()) {
                (Some(a), Some(b)) => a.seq < b.seq,
                (a, _) => a.is_some(),
            };
            let next = if out_is_next {
                out.next()
            } else {
                ready.next()
            };
            let Some(entry) = next else { break };
            bytes += entry.message.cost_bytes();
            moving.push(Moving::new(entry, line));
            if below.is_none_or(|below| entry.is_below(below)) {
                count = moving.len();
            }
        }
        moving.truncate(count);
        (!moving.is_empty() && !state.is_deleted && !state.is_list()).then(|| Move {
            line,
            moving,
            needs: self.store.journal.end(),
        })
    }

    /// The batch is in the page files, up to `through`: what was settled meanwhile is not wanted
    /// there.
    fn end_move(&self, batch: &Move, through: Seq) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let pages = &self.store.paging.pages;
        if state.is_deleted {
            return self.store.paging.drop_lines([batch.line]);
        }
        let mut total = super::backlog::Total::default();
        for moving in batch.moving.iter().filter(|moving| moving.seq <= through) {
            total.add(&moving.message);
            match state.find_mut(batch.line.priority, moving.seq) {
                Some(entry) => entry.body = Body::Paged,
                None => pages.settle(batch.line, moving.seq, moving.seq),
            }
        }
        state.ready.paged(batch.line.priority, through, total);
        if self.options.durable {
            self.journal_paged(state, batch.line.priority);
        }
    }

    fn journal_paged(&self, state: &mut State, priority: u8) {
        if let Some(record) = self.paged_record(&state.ready, priority, bytes::Bytes::new()) {
            state.scratch.clear();
            journal::encode(&record, &mut state.scratch);
            self.store.journal.append(&[&state.scratch], Urgency::Sync);
        }
    }

    /// What the journal and checkpoints say of a line with page files.
    pub(super) fn paged_record(
        &self,
        ready: &Backlog,
        priority: u8,
        wanted: bytes::Bytes,
    ) -> Option<Record> {
        let through = ready.paged_through(priority)?;
        let each = ready.line(priority)?.paged.times(1);
        Some(Record::Paged {
            queue: self.id,
            priority,
            through,
            cost_bytes: each.bytes as u64,
            body_bytes: each.body_bytes as u64,
            wanted,
        })
    }

    /// Takes what is in page files out of memory; false when there was nothing to take.
    fn spill(&self, priority: u8) -> bool {
        let keep_bytes = self.store.paging.ahead_bytes();
        let spilled = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if state.is_list() {
                return false;
            }
            let handed_out = state.handed_out().map(|entry| entry.seq).max();
            let spilled = state.ready.spill(priority, keep_bytes, handed_out);
            for entry in &spilled {
                state.memory.subtract(entry.message.cost_bytes());
                if entry.redeliveries > 0 {
                    state.redelivered.insert(entry.seq, entry.redeliveries);
                }
            }
            self.tell_cold(state);
            spilled
        };
        // Freed without the lock.
        !spilled.is_empty()
    }
}

/// Leaving.
impl Queue {
    /// Whether a message is to survive a restart.
    pub(super) fn is_kept(&self, entry: &Entry) -> bool {
        self.options.durable && entry.qos != QoS::AtMostOnce
    }

    /// A message is gone from this queue, in memory and in page files; its number, if the journal
    /// must be told.
    pub(super) fn leave(&self, state: &mut State, entry: &Entry) -> Option<Seq> {
        state.memory.subtract(entry.message.cost_bytes());
        if entry.body == Body::Paged {
            let line = self.line(state.ready.priority_of(&entry.message));
            self.store.paging.pages.settle(line, entry.seq, entry.seq);
        }
        self.is_kept(entry).then_some(entry.seq)
    }

    /// The rest of a line, from `from` on, is gone; it was on disk only.
    pub(super) fn leave_cold(&self, state: &mut State, priority: u8, from: Seq) {
        let Some(to) = state.ready.paged_through(priority) else {
            return;
        };
        self.store
            .paging
            .pages
            .settle(self.line(priority), from, to);
        state.redelivered.retain(|seq, _| *seq < from || *seq > to);
        if self.options.durable {
            let queue = self.id;
            let record = Record::PagesSettled {
                queue,
                priority,
                from,
                to,
            };
            state.scratch.clear();
            journal::encode(&record, &mut state.scratch);
            self.store.journal.append(&[&state.scratch], Urgency::Lazy);
        }
        self.tell_cold(state);
    }

    /// The queue is deleted: so are its page files.
    pub(super) fn drop_pages(&self, state: &mut State) {
        state.memory.clear();
        let lines = state.ready.lines();
        let paged = lines.filter(|(_, line)| line.paged_through.is_some());
        let paged = paged
            .map(|(priority, _)| self.line(priority))
            .collect::<HashSet<_>>();
        if !paged.is_empty() {
            self.store.paging.drop_lines(paged);
        }
        self.tell_cold(state);
    }
}

impl State {
    /// Whether it is used from both ends.
    fn is_list(&self) -> bool {
        self.is_list || self.first_seq < FIRST_SEQ
    }

    /// What was handed out or is on its way to another queue.
    pub(super) fn handed_out(&self) -> impl Iterator<Item = &Entry> {
        let unsettled = self.unsettled.values().map(|unsettled| &unsettled.entry);
        unsettled.chain(self.dying.values())
    }

    /// Everything that is in memory.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = &Entry> {
        self.ready.iter().chain(self.handed_out())
    }

    fn find_mut(&mut self, priority: u8, seq: Seq) -> Option<&mut Entry> {
        if let Some(unsettled) = self.unsettled.get_mut(&seq) {
            return Some(&mut unsettled.entry);
        }
        if let Some(dying) = self.dying.get_mut(&seq) {
            return Some(dying);
        }
        self.ready.line_mut(priority)?.find_mut(seq)
    }
}
