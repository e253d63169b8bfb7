//! A persistent trie of levels: finds every filter that an address matches.
//!
//! Persistent means that a change copies only the path it touches, so the route table can hand
//! publishers an immutable snapshot and swap in the next one cheaply. Nothing here recurses over
//! more than [`LEVELS_MAX`] levels.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use crate::address::LEVELS_MAX;

/// Entries `V` under filters, several per filter, told apart by `K`.
#[derive(Clone, Debug)]
pub struct Trie<K: Ord + Clone, V: Clone> {
    root: Node<K, V>,
    /// Filters with a `#` before their end; only they can reach a node by two ways.
    inner_rests: usize,
}

#[derive(Clone, Debug)]
struct Node<K: Ord + Clone, V: Clone> {
    literals: imbl::HashMap<Bytes, Arc<Self>>,
    one: Option<Arc<Self>>,
    many: Option<Arc<Self>>,
    entries: imbl::OrdMap<K, V>,
}

impl<K: Ord + Clone, V: Clone> Default for Trie<K, V> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            inner_rests: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Default for Node<K, V> {
    fn default() -> Self {
        Self {
            literals: imbl::HashMap::new(),
            one: None,
            many: None,
            entries: imbl::OrdMap::new(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Trie<K, V> {
    /// Adds or replaces an entry; returns the one that was there. Filters deeper than
    /// [`LEVELS_MAX`] are refused where they are parsed.
    pub fn insert(&mut self, segments: &[Segment], key: K, value: V) -> Option<V> {
        debug_assert!(segments.len() <= LEVELS_MAX);
        let mut node = &mut self.root;
        for segment in segments {
            node = Arc::make_mut(match segment {
                Segment::Literal(level) => node.literals.entry(level.clone()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Many => node.many.get_or_insert_default(),
            });
        }
        let old = node.entries.insert(key, value);
        if old.is_none() && has_inner_rest(segments) {
            self.inner_rests += 1;
        }
        old
    }

    /// Removes an entry, and every node that is then empty.
    pub fn remove(&mut self, segments: &[Segment], key: &K) -> Option<V> {
        let old = self.root.remove(segments, key);
        if old.is_some() && has_inner_rest(segments) {
            self.inner_rests -= 1;
        }
        old
    }

    /// The entry of that filter and key.
    #[must_use]
    pub fn get(&self, segments: &[Segment], key: &K) -> Option<&V> {
        let mut node = &self.root;
        for segment in segments {
            node = match segment {
                Segment::Literal(level) => node.literals.get(level)?,
                Segment::One => node.one.as_ref()?,
                Segment::Many => node.many.as_ref()?,
            };
        }
        node.entries.get(key)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// All entries, in no order.
    #[must_use]
    pub fn values(&self) -> Vec<&V> {
        let (mut values, mut pending) = (Vec::new(), vec![&self.root]);
        while let Some(node) = pending.pop() {
            values.extend(node.entries.values());
            let wild = [&node.one, &node.many].into_iter().flatten();
            pending.extend(node.literals.values().chain(wild).map(Arc::as_ref));
        }
        values
    }

    /// Calls `found` once for each entry whose filter matches these levels.
    ///
    /// `hide_dollar`: a leading wildcard does not match, as MQTT wants for `$` topics
    /// `[MQTT-4.7.2-1]`.
    pub fn matches<'a>(
        &'a self,
        levels: &[&[u8]],
        hide_dollar: bool,
        mut found: impl FnMut(&'a K, &'a V),
    ) {
        let mut walk = Walk {
            levels,
            seen: None,
            pending: vec![Visit::Level(&self.root, 0)],
        };
        if self.inner_rests > 0 {
            walk.seen = Some(HashSet::new());
        }
        while let Some(visit) = walk.pending.pop() {
            match visit {
                Visit::Level(node, at) if walk.first_time(node, at) => {
                    let wild = !(hide_dollar && at == 0);
                    if at == levels.len() {
                        node.entries.iter().for_each(|(k, v)| found(k, v));
                    }
                    walk.step(node, at, wild);
                    walk.pending.extend(
                        node.many
                            .as_ref()
                            .filter(|_| wild)
                            .map(|rest| Visit::Rest(rest, at)),
                    );
                }
                Visit::Rest(node, at) if walk.first_time(node, at) => {
                    if walk.first_time(node, usize::MAX) {
                        node.entries.iter().for_each(|(k, v)| found(k, v));
                    }
                    if !node.is_leaf() {
                        (at..levels.len()).for_each(|next| walk.step(node, next, true));
                        walk.pending
                            .extend(node.many.as_ref().map(|rest| Visit::Rest(rest, at)));
                    }
                }
                Visit::Level(..) | Visit::Rest(..) => {}
            }
        }
    }
}

/// A node still to be looked at.
enum Visit<'a, K: Ord + Clone, V: Clone> {
    /// The levels before the index are matched by the way to this node.
    Level(&'a Node<K, V>, usize),
    /// The node of a `#` that has taken the levels up to the index, and may take more.
    Rest(&'a Node<K, V>, usize),
}

/// The state of one search.
struct Walk<'a, 'l, K: Ord + Clone, V: Clone> {
    levels: &'l [&'l [u8]],
    /// Nodes met, kept only where two ways can lead to one.
    seen: Option<HashSet<(*const Node<K, V>, usize)>>,
    pending: Vec<Visit<'a, K, V>>,
}

impl<'a, K: Ord + Clone, V: Clone> Walk<'a, '_, K, V> {
    fn first_time(&mut self, node: *const Node<K, V>, at: usize) -> bool {
        self.seen
            .as_mut()
            .is_none_or(|seen| seen.insert((node, at)))
    }

    /// Takes the level at `at` by a literal and, where wildcards may, by a single wildcard.
    fn step(&mut self, node: &'a Node<K, V>, at: usize, wild: bool) {
        let Some(level) = self.levels.get(at) else {
            return;
        };
        let one = node.one.as_ref().filter(|_| wild);
        self.pending
            .extend(one.map(|one| Visit::Level(one, at + 1)));
        let literal = node.literals.get(*level);
        self.pending
            .extend(literal.map(|literal| Visit::Level(literal, at + 1)));
    }
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    fn is_leaf(&self) -> bool {
        self.literals.is_empty() && self.one.is_none() && self.many.is_none()
    }

    fn is_empty(&self) -> bool {
        self.is_leaf() && self.entries.is_empty()
    }

    fn remove(&mut self, segments: &[Segment], key: &K) -> Option<V> {
        let Some((first, rest)) = segments.split_first() else {
            return self.entries.remove(key);
        };
        match first {
            Segment::Literal(level) => {
                let child = Arc::make_mut(self.literals.get_mut(level)?);
                let old = child.remove(rest, key);
                if child.is_empty() {
                    self.literals.remove(level);
                }
                old
            }
            Segment::One => remove_below(&mut self.one, rest, key),
            Segment::Many => remove_below(&mut self.many, rest, key),
        }
    }
}

fn remove_below<K: Ord + Clone, V: Clone>(
    slot: &mut Option<Arc<Node<K, V>>>,
    rest: &[Segment],
    key: &K,
) -> Option<V> {
    let child = Arc::make_mut(slot.as_mut()?);
    let old = child.remove(rest, key);
    if child.is_empty() {
        *slot = None;
    }
    old
}

fn has_inner_rest(segments: &[Segment]) -> bool {
    let before_last = segments.len().saturating_sub(1);
    segments
        .iter()
        .take(before_last)
        .any(|s| *s == Segment::Many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::topic::{TopicFilter, TopicPattern};
    use proptest::prelude::*;

    fn found<V: Clone + Ord>(trie: &Trie<usize, V>, address: &Address, hide: bool) -> Vec<usize> {
        let mut out = Vec::new();
        trie.matches(&address.levels().collect::<Vec<_>>(), hide, |key, _| {
            out.push(*key);
        });
        out.sort_unstable();
        out
    }

    fn address(text: &str) -> Address {
        Address::new(Bytes::copy_from_slice(text.as_bytes()))
    }

    proptest! {
        #[test]
        fn finds_the_mqtt_filters_that_match_one_by_one(
            filters in prop::collection::vec("([ab+]/|/|[$]/){0,3}([ab+#]|)", 1..20),
            topic in "([$]|)([ab]|/){1,6}",
        ) {
            let filters = filters.into_iter()
                .filter_map(|f| TopicFilter::parse(f.into()).ok()).collect::<Vec<_>>();
            let mut trie = Trie::default();
            for (i, filter) in filters.iter().enumerate() {
                trie.insert(&filter.segments().collect::<Vec<_>>(), i, ());
            }
            let address = address(&topic);
            let expected = filters.iter().enumerate()
                .filter(|(_, f)| f.matches(&address)).map(|(i, _)| i).collect::<Vec<_>>();
            prop_assert_eq!(found(&trie, &address, topic.starts_with('$')), expected);
        }

        #[test]
        fn finds_the_amqp_patterns_that_match_one_by_one(
            keys in prop::collection::vec("([ab*#][.]|[.]){0,4}([ab*#]|)", 1..20),
            key in "([ab]|[.]){0,6}",
            gone in any::<prop::sample::Index>(),
        ) {
            let patterns = keys.iter()
                .map(|k| TopicPattern::from_binding_key(k.as_bytes())).collect::<Vec<_>>();
            let mut trie = Trie::default();
            for (i, pattern) in patterns.iter().enumerate() {
                trie.insert(&pattern.segments().collect::<Vec<_>>(), i, ());
            }
            let gone = gone.index(patterns.len());
            trie.remove(&patterns[gone].segments().collect::<Vec<_>>(), &gone);
            let address = Address::from_routing_key(&Bytes::from(key));
            let expected = patterns.iter().enumerate()
                .filter(|(i, p)| *i != gone && p.matches(&address)).map(|(i, _)| i)
                .collect::<Vec<_>>();
            prop_assert_eq!(found(&trie, &address, false), expected);
        }

        #[test]
        fn is_empty_after_everything_is_removed(
            keys in prop::collection::vec("([ab*#][.]|[.]){0,4}([ab*#]|)", 1..20),
        ) {
            let mut trie = Trie::default();
            let all = keys.iter().map(|k| TopicPattern::from_binding_key(k.as_bytes())
                .segments().collect::<Vec<_>>()).collect::<Vec<_>>();
            for (i, segments) in all.iter().enumerate() {
                trie.insert(segments, i, ());
            }
            for (i, segments) in all.iter().enumerate() {
                prop_assert_eq!(trie.remove(segments, &i), Some(()));
            }
            prop_assert!(trie.is_empty() && trie.inner_rests == 0);
        }
    }
}
