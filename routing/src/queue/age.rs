//! How long the oldest message has been in a queue, told from a few samples instead of a time with
//! every message: which number was given out when.

use std::collections::VecDeque;

use super::{Queue, State};
use crate::ids::Seq;
use crate::journal::{self, Entry as Record, Urgency};
use crate::message::QoS;
use crate::time::Timestamp;

/// Samples are this far apart at least: what an age may be too high by.
const RESOLUTION_MS: u64 = 1000;

/// Beyond this, every second one is forgotten and they are twice as far apart from then on.
const SAMPLES_MAX: usize = 64;

/// Numbers and when they were given out, both rising.
#[derive(Debug)]
pub(super) struct Ages {
    samples: VecDeque<(Seq, Timestamp)>,
    step_ms: u64,
    /// The last one is not journalled yet.
    is_new: bool,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
            step_ms: RESOLUTION_MS,
            is_new: false,
        }
    }
}

impl Ages {
    /// A message comes in.
    pub(super) fn note(&mut self, seq: Seq, now: Timestamp) {
        let last = self.samples.back();
        if last.is_some_and(|(_, at)| now < at.plus_ms(self.step_ms)) {
            return;
        }
        if self.samples.len() >= SAMPLES_MAX {
            let mut is_kept = false;
            self.samples.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.step_ms *= 2;
        }
        self.samples.push_back((seq, now));
        self.is_new = true;
    }

    /// The last sample, if it was not asked for before.
    fn take_new(&mut self) -> Option<(Seq, Timestamp)> {
        let is_new = std::mem::replace(&mut self.is_new, false);
        self.samples.back().copied().filter(|_| is_new)
    }

    /// A sample of an earlier run, in order; known ones are ignored.
    pub(super) fn restore(&mut self, seq: Seq, at: Timestamp) {
        if self.samples.back().is_none_or(|(last, _)| *last < seq) {
            self.samples.push_back((seq, at));
        }
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = (Seq, Timestamp)> {
        self.samples.iter().copied()
    }

    /// What there was before a start, and of which nothing is known, counts from the start.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.samples.is_empty() {
            self.samples.push_back((Seq(0), now));
            self.is_new = true;
        }
    }

    /// When a message that is still here came, at the earliest.
    fn since(&mut self, seq: Seq) -> Option<Timestamp> {
        while self.samples.get(1).is_some_and(|(later, _)| *later <= seq) {
            self.samples.pop_front();
        }
        if self.samples.len() <= 1 {
            self.step_ms = RESOLUTION_MS;
        }
        self.samples.front().map(|(_, at)| *at)
    }
}

impl Queue {
    /// Since when the oldest message has been here, handed out or not; none without messages.
    /// Too high by a second, or by a sixteenth of the age of the oldest ever.
    #[must_use]
    pub fn oldest_since(&self) -> Option<Timestamp> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let oldest = state.oldest()?;
        state.ages.since(oldest)
    }

    /// A message comes in. What its age is told from is journalled if it is to survive.
    pub(super) fn note(&self, state: &mut State, seq: Seq, now: Timestamp, qos: QoS) {
        state.ages.note(seq, now);
        if !self.options.durable || qos == QoS::AtMostOnce {
            return;
        }
        if let Some((seq, at)) = state.ages.take_new() {
            let queue = self.id;
            state.scratch.clear();
            journal::encode(&Record::Noted { queue, seq, at }, &mut state.scratch);
            self.store.journal.append(&[&state.scratch], Urgency::Lazy);
        }
    }

    /// Brings back what ages are told from.
    pub(crate) fn restore_noted(&self, seq: Seq, at: Timestamp) {
        self.state.lock().ages.restore(seq, at);
    }
}

impl State {
    fn oldest(&self) -> Option<Seq> {
        let waiting = self.ready.lines().filter_map(|(_, line)| {
            let front = line.front().map(|entry| entry.seq);
            front.or_else(|| line.wanted(usize::MAX).map(|read| read.from))
        });
        let out = self.handed_out().map(|entry| entry.seq);
        waiting.chain(out).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_never_too_low_and_too_high_by_a_second_at_most() {
        let mut ages = Ages::default();
        for ms in 0..20_000 {
            ages.note(Seq(ms), Timestamp(ms));
        }
        for ms in 0..20_000 {
            let since = ages.since(Seq(ms)).unwrap();
            assert!(since <= Timestamp(ms) && Timestamp(ms) < since.plus_ms(RESOLUTION_MS));
        }
    }

    #[test]
    fn a_long_history_takes_few_samples_and_its_error_stays_in_proportion() {
        let mut ages = Ages::default();
        let end = 100_000;
        for s in 0..end {
            ages.note(Seq(s), Timestamp(s * 1000));
        }
        assert!(ages.samples.len() <= SAMPLES_MAX);
        for s in (0..end).step_by(997) {
            let since = ages.since(Seq(s)).unwrap();
            let (age, told) = (end - s, end - since.0 / 1000);
            assert!(told >= age && told <= age + end / 16, "{age} {told}");
        }
    }

    #[test]
    fn samples_of_an_earlier_run_go_on() {
        let mut ages = Ages::default();
        for (seq, at) in [(3, 5000), (3, 5000), (8, 7000), (3, 5000)] {
            ages.restore(Seq(seq), Timestamp(at));
        }
        ages.begin(Timestamp(60_000));
        ages.note(Seq(9), Timestamp(61_000));
        assert_eq!(ages.samples().count(), 3);
        assert_eq!(ages.since(Seq(4)), Some(Timestamp(5000)));
        assert_eq!(ages.since(Seq(8)), Some(Timestamp(7000)));
        assert_eq!(ages.since(Seq(9)), Some(Timestamp(61_000)));
    }

    #[test]
    fn what_was_there_at_the_start_counts_from_it() {
        let mut ages = Ages::default();
        ages.begin(Timestamp(5000));
        ages.note(Seq(9), Timestamp(7000));
        assert_eq!(ages.since(Seq(3)), Some(Timestamp(5000)));
        assert_eq!(ages.since(Seq(9)), Some(Timestamp(7000)));
        ages.begin(Timestamp(8000));
        assert_eq!(ages.since(Seq(9)), Some(Timestamp(7000)));
    }
}
