//! What is known in memory of one owner's page files: which exist and which records are still
//! wanted. No I/O here, so that acknowledging never waits for the disk.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::format::Bits;
use super::{Owner, PagedOwner};
use crate::format::u64_at;
use crate::lsn::{u64_from, usize_from};

/// One page file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Number of the last record that is durable and counts.
    pub(crate) last: u64,
    /// End of the records in the file: what lies behind is a footer or a torn append.
    pub(crate) end: u64,
    /// Which records are there and not acknowledged.
    pub(crate) live: Bits,
    /// How many records are there.
    pub(crate) records: u64,
    /// How many were wanted when it was last looked at whether to write it again.
    pub(crate) looked_at: Option<u64>,
    /// Odd while the file is being replaced by a rewritten one; then another even number.
    pub(crate) version: u32,
}

/// All files of one owner, by the number of their first record.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) pages: BTreeMap<u64, Page>,
    pub(crate) last: Option<u64>,
    /// Found at start and not confirmed yet: no file is let go of, for it is not known which of
    /// them count.
    pub(crate) is_unconfirmed: bool,
    /// The file that proves, at the next start, how far the owner's records had come: the newest
    /// one that the caller's journal has reported. Never let go of.
    proof: Option<u64>,
    /// The last append was not completed, so its records may never be reported.
    is_appending: bool,
    /// Files that are no longer needed, to be removed by the next one who does I/O.
    pub(crate) unlinked: Vec<u64>,
    /// Where the last reader stopped: file, offset, and the number it had come to.
    pub(crate) cursor: Option<(u64, u64, u64)>,
}

impl Book {
    /// Enters a page that was found at start; pages come in order.
    pub(crate) fn found(&mut self, first: u64, page: Page) {
        if let Some((before, earlier)) = self.pages.last_entry().map(|e| (*e.key(), e.into_mut())) {
            // What lies behind the beginning of the next file was never reported as durable.
            earlier.live.remove(first.saturating_sub(before), u64::MAX);
            earlier.last = earlier.last.min(first.saturating_sub(1));
        }
        self.is_unconfirmed = true;
        self.last = Some(page.last);
        self.pages.insert(first, page);
    }

    /// Forgets everything above `through`, which was appended but never reported as durable.
    /// `Err`: not even that is there; the number of the first record missing.
    pub(crate) fn confirm(&mut self, through: Option<u64>) -> Result<(), u64> {
        let leftover = self
            .pages
            .split_off(&through.map_or(0, |seq| seq.saturating_add(1)));
        self.unlinked.extend(leftover.keys());
        self.is_unconfirmed = false;
        self.last = self.pages.values().next_back().map(|page| page.last);
        let Some(through) = through else {
            return Ok(());
        };
        if let Some((first, page)) = self.pages.iter_mut().next_back() {
            page.live
                .remove((through - first).saturating_add(1), u64::MAX);
            page.last = page.last.min(through);
        }
        let missing = self.last.map_or(through, |last| last.saturating_add(1));
        self.last = Some(through);
        self.is_appending = false;
        self.proof = self.newest();
        self.retire_all();
        if missing <= through {
            Err(missing)
        } else {
            Ok(())
        }
    }

    /// An append begins: the caller's journal has reported the one before it.
    pub(crate) fn begin_append(&mut self) {
        if !self.is_appending {
            self.proof = self.newest();
            self.retire_all();
        }
        self.is_appending = true;
    }

    /// The append is completed.
    pub(crate) const fn end_append(&mut self) {
        self.is_appending = false;
    }

    fn newest(&self) -> Option<u64> {
        self.pages.keys().next_back().copied()
    }

    /// Takes these numbers off the wanted ones.
    pub(crate) fn ack(&mut self, range: &RangeInclusive<u64>) {
        let (from, to) = (*range.start(), *range.end());
        let start = self.page_of(from).unwrap_or(from);
        if from > to || start > to {
            return;
        }
        for (first, page) in self.pages.range_mut(start..=to) {
            page.live.remove(from.saturating_sub(*first), to - first);
        }
        self.retire(start, to);
    }

    /// Whether a file is the newest, which is being written, or the proof.
    pub(crate) fn is_kept(&self, first: u64) -> bool {
        [self.newest(), self.proof].contains(&Some(first))
    }

    /// Lets go of the files from `start` to `to` that nobody wants anything of. Never of the
    /// newest, which is being written, nor of the proof.
    fn retire(&mut self, start: u64, to: u64) {
        if self.is_unconfirmed {
            return;
        }
        let pages = self.pages.range(start..=to);
        let dead =
            pages.filter(|(first, page)| !self.is_kept(**first) && page.live.first().is_none());
        let dead: Vec<u64> = dead.map(|(first, _)| *first).collect();
        for first in dead {
            self.pages.remove(&first);
            self.unlinked.push(first);
        }
    }

    /// Lets go of every file that nobody wants anything of.
    pub(crate) fn retire_all(&mut self) {
        self.retire(0, u64::MAX);
    }

    /// The first number of the file that `seq` lies in or behind.
    pub(crate) fn page_of(&self, seq: u64) -> Option<u64> {
        self.pages
            .range(..=seq)
            .next_back()
            .map(|(first, _)| *first)
    }

    /// `last`, then for each file its first number, its count of words, and the words.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let mut out = self
            .last
            .map_or(0, |last| last.saturating_add(1))
            .to_le_bytes()
            .to_vec();
        for (first, page) in &self.pages {
            let words = page.live.words();
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&u64_from(words.len()).to_le_bytes());
            words
                .iter()
                .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
        out
    }

    /// Takes off the wanted ones what was acknowledged when the snapshot was made; `None`: these
    /// are not the bytes of one.
    pub(crate) fn restore(&mut self, snapshot: &[u8]) -> Option<()> {
        let end = u64_at(snapshot, 0)?;
        let mut wanted = BTreeMap::new();
        let mut offset = 8;
        while offset < snapshot.len() {
            let (first, count) = (u64_at(snapshot, offset)?, u64_at(snapshot, offset + 8)?);
            let words = offset + 16;
            offset = words.checked_add(usize_from(count).checked_mul(8)?)?;
            let words = snapshot.get(words..offset)?.chunks_exact(8);
            let words = words.filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
            wanted.insert(first, Bits::from_words(words.collect()));
        }
        for (first, page) in &mut self.pages {
            let then = wanted.get(first);
            page.live.retain(|number| {
                let start = first.saturating_add(number.saturating_mul(64));
                // Numbers from `end` on came later than the snapshot.
                let newer = match end.saturating_sub(start) {
                    old @ 0..64 => u64::MAX << old,
                    _ => 0,
                };
                let words = then.map_or(&[][..], Bits::words);
                newer | words.get(usize_from(number)).copied().unwrap_or(0)
            });
        }
        self.retire_all();
        Some(())
    }

    pub(crate) fn describe(&self, owner: Owner) -> PagedOwner {
        let live = self
            .pages
            .iter()
            .find_map(|(first, page)| Some(first + page.live.first()?));
        PagedOwner {
            owner,
            first: live,
            last: self.last,
            count: self.pages.values().map(|page| page.live.count()).sum(),
            bytes: self.pages.values().map(|page| page.end).sum(),
            files: self.pages.len(),
        }
    }
}
