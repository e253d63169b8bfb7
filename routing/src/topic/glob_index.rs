//! Globs indexed by their literal prefix and suffix, so that a publish looks only at those whose
//! ends its channel has: one hash look-up per pair of lengths in use, however many patterns there
//! are.

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use super::Glob;

/// Entries `V` under globs, several per glob, told apart by `K`. Persistent: cheap to clone.
#[derive(Clone, Debug)]
pub struct GlobIndex<K: Ord + Clone, V: Clone> {
    by_ends: HashMap<Ends, OrdMap<Glob, OrdMap<K, V>>>,
    /// How many ends there are of each pair of lengths.
    lengths: OrdMap<(usize, usize), usize>,
    globs: usize,
}

/// Prefix and suffix in one, and the length of the prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ends(Bytes, usize);

impl Ends {
    fn of(glob: &Glob) -> Self {
        Self::new(glob.literal_prefix(), glob.literal_suffix())
    }

    fn new(prefix: &[u8], suffix: &[u8]) -> Self {
        Self([prefix, suffix].concat().into(), prefix.len())
    }

    const fn lengths(&self) -> (usize, usize) {
        (self.1, self.0.len() - self.1)
    }
}

impl<K: Ord + Clone, V: Clone> Default for GlobIndex<K, V> {
    fn default() -> Self {
        Self {
            by_ends: HashMap::new(),
            lengths: OrdMap::new(),
            globs: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> GlobIndex<K, V> {
    /// Adds or replaces an entry.
    pub fn insert(&mut self, glob: Glob, key: K, value: V) {
        let ends = Ends::of(&glob);
        let mut globs = self.by_ends.remove(&ends).unwrap_or_else(|| {
            *self.lengths.entry(ends.lengths()).or_insert(0) += 1;
            OrdMap::new()
        });
        let mut entries = globs.remove(&glob).unwrap_or_else(|| {
            self.globs += 1;
            OrdMap::new()
        });
        entries.insert(key, value);
        globs.insert(glob, entries);
        self.by_ends.insert(ends, globs);
    }

    /// Removes an entry.
    pub fn remove(&mut self, glob: &Glob, key: &K) -> Option<V> {
        let ends = Ends::of(glob);
        let globs = self.by_ends.get_mut(&ends)?;
        let entries = globs.get_mut(glob)?;
        let old = entries.remove(key)?;
        if entries.is_empty() {
            globs.remove(glob);
            self.globs -= 1;
        }
        if globs.is_empty() {
            self.by_ends.remove(&ends);
            if let Some(count) = self.lengths.get_mut(&ends.lengths()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&ends.lengths());
                }
            }
        }
        Some(old)
    }

    /// How many different globs there are.
    #[must_use]
    pub const fn globs(&self) -> usize {
        self.globs
    }

    /// Calls `found` for each entry whose glob matches the channel.
    pub fn matches<'a>(&'a self, channel: &[u8], mut found: impl FnMut(&'a Glob, &'a K, &'a V)) {
        for (glob, entries) in self.candidates(channel) {
            if glob.matches(channel) {
                entries
                    .iter()
                    .for_each(|(key, value)| found(glob, key, value));
            }
        }
    }

    /// The globs whose ends the channel has.
    fn candidates(&self, channel: &[u8]) -> impl Iterator<Item = (&Glob, &OrdMap<K, V>)> {
        let with_lengths = move |(prefix, suffix): &(usize, usize)| {
            let middle_end = channel.len().checked_sub(*suffix)?;
            let prefix = channel.get(..*prefix).filter(|p| p.len() <= middle_end)?;
            let ends = Ends::new(prefix, channel.get(middle_end..)?);
            self.by_ends.get(&ends)
        };
        self.lengths.keys().filter_map(with_lengths).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_globs_that_match_one_by_one(
            globs in prop::collection::vec("[ab*?]{0,5}", 1..20),
            channel in "[ab]{0,6}",
            gone in any::<prop::sample::Index>(),
        ) {
            let globs = globs.into_iter().map(|g| Glob::new(g.into())).collect::<Vec<_>>();
            let mut index = GlobIndex::default();
            for (i, glob) in globs.iter().enumerate() {
                index.insert(glob.clone(), i, ());
            }
            let gone = gone.index(globs.len());
            prop_assert_eq!(index.remove(&globs[gone], &gone), Some(()));
            let mut found = Vec::new();
            index.matches(channel.as_bytes(), |_, i, ()| found.push(*i));
            found.sort_unstable();
            let expected = globs.iter().enumerate()
                .filter(|(i, g)| *i != gone && g.matches(channel.as_bytes()))
                .map(|(i, _)| i).collect::<Vec<_>>();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn is_empty_after_everything_is_removed(globs in prop::collection::vec("[ab*]{0,5}", 1..9)) {
            let globs = globs.into_iter().map(|g| Glob::new(g.into())).collect::<Vec<_>>();
            let mut index = GlobIndex::default();
            globs.iter().enumerate().for_each(|(i, g)| index.insert(g.clone(), i, ()));
            globs.iter().enumerate().for_each(|(i, g)| { index.remove(g, &i); });
            prop_assert_eq!(index.globs(), 0);
            prop_assert!(index.by_ends.is_empty() && index.lengths.is_empty());
        }
    }

    #[test]
    fn ten_thousand_patterns_that_do_not_match_are_not_looked_at() {
        let mut index = GlobIndex::default();
        for number in 0..2_500 {
            for text in [
                format!("line{number}/*"),
                format!("*/sensor{number}"),
                format!("plant/*/sensor{number}"),
                format!("plant/?/{number}"),
            ] {
                index.insert(Glob::new(text.into()), 0, ());
            }
        }
        assert_eq!(index.globs(), 10_000);
        assert_eq!(index.candidates(b"plant/a/temp").count(), 0);
        assert_eq!(index.candidates(b"plant/a/sensor7").count(), 2);
        // What it costs is the look-ups: one per pair of lengths.
        assert!(index.lengths.len() < 20, "{:?}", index.lengths);
    }
}
