//! AMQP topic binding keys: `*` stands for one word, `#` for any number of words, anywhere
//! (AMQP 0-9-1 §3.1.3.3).

use bytes::Bytes;

use super::Segment;
use crate::address::{Address, levels, swap};

/// A binding key of a topic exchange. Every byte string is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPattern {
    /// The key with `.` and `/` swapped, so that its words are an address's levels.
    canonical: Bytes,
}

impl TopicPattern {
    /// The pattern of a binding key, words joined by `.`.
    #[must_use]
    pub fn from_binding_key(key: &[u8]) -> Self {
        Self {
            canonical: key.iter().map(|b| swap(*b)).collect::<Vec<u8>>().into(),
        }
    }

    /// The words.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        levels(&self.canonical).map(|word| match word {
            b"*" => Segment::One,
            b"#" => Segment::Many,
            _ => Segment::Literal(self.canonical.slice_ref(word)),
        })
    }

    /// Whether the address matches. Linear in pattern times address; the route table uses the
    /// [`super::Trie`] instead.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        let words = address.levels().collect::<Vec<_>>();
        // `reachable[i]`: the pattern so far can match exactly the first `i` words.
        let mut reachable = vec![false; words.len() + 1];
        if let Some(start) = reachable.first_mut() {
            *start = true;
        }
        for segment in self.segments() {
            let mut next = vec![false; words.len() + 1];
            match segment {
                Segment::Many => {
                    let mut any = false;
                    for (to, from) in next.iter_mut().zip(&reachable) {
                        any |= *from;
                        *to = any;
                    }
                }
                Segment::One => next
                    .iter_mut()
                    .skip(1)
                    .zip(&reachable)
                    .for_each(|(to, from)| {
                        *to = *from;
                    }),
                Segment::Literal(literal) => {
                    let steps = next.iter_mut().skip(1).zip(&reachable).zip(&words);
                    steps.for_each(|((to, from), word)| *to = *from && literal == *word);
                }
            }
            reachable = next;
        }
        reachable.last().copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_rabbitmq_does() {
        let table = [
            ("a.b.c", "a.b.c", true),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#", "", true),
            ("*", "", false),
            ("#.c", "a.b.c", true),
            ("a.#.c.#", "a.x.y.c", true),
            ("a.#.*", "a", false),
            ("a/b", "a/b", true),
            ("a/*", "a/b", false),
            ("", "", true),
            ("", "a", false),
            ("..", "..", true),
            ("*.*.*", "..", true),
        ];
        for (pattern, key, expected) in table {
            let address = Address::from_routing_key(&Bytes::from_static(key.as_bytes()));
            let pattern_is = TopicPattern::from_binding_key(pattern.as_bytes());
            assert_eq!(pattern_is.matches(&address), expected, "{pattern} ~ {key}");
        }
    }
}
