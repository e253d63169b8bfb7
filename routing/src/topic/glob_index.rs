//! Globs indexed by their literal prefix, so that a publish looks only at those whose prefix its
//! channel has: one hash look-up per prefix length in use, however many patterns there are.

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use super::Glob;

/// Entries `V` under globs, several per glob, told apart by `K`. Persistent: cheap to clone.
#[derive(Clone, Debug)]
pub struct GlobIndex<K: Ord + Clone, V: Clone> {
    by_prefix: HashMap<Bytes, OrdMap<Glob, OrdMap<K, V>>>,
    /// How many prefixes of each length there are.
    lengths: OrdMap<usize, usize>,
    globs: usize,
}

impl<K: Ord + Clone, V: Clone> Default for GlobIndex<K, V> {
    fn default() -> Self {
        Self {
            by_prefix: HashMap::new(),
            lengths: OrdMap::new(),
            globs: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> GlobIndex<K, V> {
    /// Adds or replaces an entry.
    pub fn insert(&mut self, glob: Glob, key: K, value: V) {
        let prefix = Bytes::copy_from_slice(glob.literal_prefix());
        let length = prefix.len();
        let mut globs = self.by_prefix.remove(&prefix).unwrap_or_else(|| {
            *self.lengths.entry(length).or_insert(0) += 1;
            OrdMap::new()
        });
        let mut entries = globs.remove(&glob).unwrap_or_else(|| {
            self.globs += 1;
            OrdMap::new()
        });
        entries.insert(key, value);
        globs.insert(glob, entries);
        self.by_prefix.insert(prefix, globs);
    }

    /// Removes an entry.
    pub fn remove(&mut self, glob: &Glob, key: &K) -> Option<V> {
        let prefix = glob.literal_prefix();
        let globs = self.by_prefix.get_mut(prefix)?;
        let entries = globs.get_mut(glob)?;
        let old = entries.remove(key)?;
        if entries.is_empty() {
            globs.remove(glob);
            self.globs -= 1;
        }
        if globs.is_empty() {
            self.by_prefix.remove(prefix);
            if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
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
        for length in self.lengths.keys() {
            let Some(globs) = channel
                .get(..*length)
                .and_then(|prefix| self.by_prefix.get(prefix))
            else {
                continue;
            };
            for (glob, entries) in globs.iter().filter(|(glob, _)| glob.matches(channel)) {
                entries
                    .iter()
                    .for_each(|(key, value)| found(glob, key, value));
            }
        }
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
            prop_assert!(index.by_prefix.is_empty() && index.lengths.is_empty());
        }
    }
}
