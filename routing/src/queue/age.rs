//! How long the oldest message has been in a queue, told from a few samples instead of a time with
//! every message: which number was given out when.

use std::collections::VecDeque;

use super::{Queue, State};
use crate::ids::Seq;
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
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
            step_ms: RESOLUTION_MS,
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
    }

    /// What there was before a start counts from the start.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.samples.is_empty() {
            self.samples.push_back((Seq(0), now));
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
    /// Too high by a second, or by a sixteenth of the age of the oldest ever; what was there at a
    /// start counts from then.
    #[must_use]
    pub fn oldest_since(&self) -> Option<Timestamp> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let oldest = state.oldest()?;
        state.ages.since(oldest)
    }
}

impl State {
    fn oldest(&self) -> Option<Seq> {
        let waiting = self.ready.lines().filter_map(|(_, line)| {
            let front = line.front().map(|entry| entry.seq);
            front.or_else(|| line.wanted(usize::MAX))
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
