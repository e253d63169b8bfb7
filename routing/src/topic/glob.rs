//! Redis channel patterns: globs over bytes, with every oddity of the server's own matcher.
//!
//! `*` any run, `?` one byte, `[abc]` one of, `[^a]` none of, `[a-c]` a range, `\x` a literal `x`.
//! An unterminated class behaves as if closed at the end; `]` closes at once; ranges compare
//! *signed* bytes. The matcher backtracks to the last `*` only, so it is at worst quadratic.

use std::fmt;

use bytes::Bytes;

/// A Redis glob. Every byte string is one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(Bytes);

impl Glob {
    /// A glob of these bytes.
    #[must_use]
    pub const fn new(pattern: Bytes) -> Self {
        Self(pattern)
    }

    /// The pattern.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes that every matching channel starts with.
    #[must_use]
    pub fn literal_prefix(&self) -> &[u8] {
        let special = self
            .0
            .iter()
            .position(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'));
        self.0
            .get(..special.unwrap_or(self.0.len()))
            .unwrap_or_default()
    }

    /// The bytes that every matching channel ends with, apart from the prefix. Only looked for in
    /// patterns of `*` and `?` alone: in others nothing is certain.
    #[must_use]
    pub fn literal_suffix(&self) -> &[u8] {
        if self.0.iter().any(|b| matches!(b, b'[' | b'\\')) {
            return &[];
        }
        let last = self.0.iter().rposition(|b| matches!(b, b'*' | b'?'));
        let after = last.and_then(|last| self.0.get(last + 1..));
        after.unwrap_or_default()
    }

    /// Whether the channel matches.
    #[must_use]
    pub fn matches(&self, channel: &[u8]) -> bool {
        // `*` does not match the empty channel: the server's loop never starts on it.
        if channel.is_empty() {
            return self.0.is_empty();
        }
        let (mut pattern, mut rest) = (self.0.as_ref(), channel);
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            if let Some((b'*', after)) = pattern.split_first() {
                retry = Some((after, rest));
                pattern = after;
                continue;
            }
            let stepped = match rest.split_first() {
                None if pattern.is_empty() => return true,
                None => return false,
                Some((byte, after)) => step(pattern, *byte).map(|p| (p, after)),
            };
            if let Some(next) = stepped {
                (pattern, rest) = next;
                continue;
            }
            let Some((after_star, from)) = retry else {
                return false;
            };
            let Some((_, shorter)) = from.split_first() else {
                return false;
            };
            retry = Some((after_star, shorter));
            (pattern, rest) = (after_star, shorter);
        }
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Matches one pattern element against one byte; returns the pattern after it.
fn step(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, after) = pattern.split_first()?;
    match first {
        b'?' => Some(after),
        b'[' => class(after, byte),
        b'\\' if !after.is_empty() => {
            let (literal, after) = after.split_first()?;
            (*literal == byte).then_some(after)
        }
        literal => (*literal == byte).then_some(after),
    }
}

/// Matches a class, `set` being what follows its `[`.
fn class(set: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut set) = match set.split_first() {
        Some((b'^', after)) => (true, after),
        _ => (false, set),
    };
    let mut hit = false;
    loop {
        set = match set {
            [] => break,
            [b'\\', literal, after @ ..] => {
                hit |= *literal == byte;
                after
            }
            [b']', after @ ..] => {
                set = after;
                break;
            }
            [from, b'-', to, after @ ..] => {
                hit |= in_range(*from, *to, byte);
                after
            }
            [literal, after @ ..] => {
                hit |= *literal == byte;
                after
            }
        };
    }
    (hit != negated).then_some(set)
}

const fn in_range(from: u8, to: u8, byte: u8) -> bool {
    let (from, to, byte) = (from.cast_signed(), to.cast_signed(), byte.cast_signed());
    let (low, high) = if from <= to { (from, to) } else { (to, from) };
    low <= byte && byte <= high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &[u8], channel: &[u8]) -> bool {
        Glob::new(Bytes::copy_from_slice(pattern)).matches(channel)
    }

    #[test]
    fn odd_patterns_match_as_the_server_matches_them() {
        let table: [(&[u8], &[u8], bool); 36] = [
            (b"*", b"", false),
            (b"", b"", true),
            (b"*", b"a/b", true),
            (b"?", "é".as_bytes(), false),
            (b"??", "é".as_bytes(), true),
            (b"[abc]", b"b", true),
            (b"[^a]", b"b", true),
            (b"[^a]", b"a", false),
            (b"[!a]", b"b", false),
            (b"[!a]", b"!", true),
            (b"[a-c]", b"b", true),
            (b"[c-a]", b"b", true),
            (b"\\*", b"*", true),
            (b"\\*", b"a", false),
            (b"a\\", b"a\\", true),
            (b"[\\]]", b"]", true),
            (b"[abc", b"b", true),
            (b"[a-c", b"b", true),
            (b"[a-", b"-", true),
            (b"[a-", b"b", false),
            (b"[^", b"a", true),
            (b"[", b"a", false),
            (b"[", b"[", false),
            (b"[]", b"a", false),
            (b"[]a]", b"a]", false),
            (b"[^]", b"x", true),
            (b"[a-]x", b"^", true),
            (b"[a-]x", b"b", false),
            (b"[\\a-c]", b"-", true),
            (b"[\\a-c]", b"b", false),
            (b"a*b*c", b"aXbYbZc", true),
            (b"a*b*c", b"aXbYbZ", false),
            (b"news.*", b"news.", true),
            (b"news.*", b"news", false),
            (b"A", b"a", false),
            (b"*a*a*a*a*a*b", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        for (pattern, channel, expected) in table {
            let shown = (
                pattern.escape_ascii().to_string(),
                channel.escape_ascii().to_string(),
            );
            assert_eq!(matches(pattern, channel), expected, "{shown:?}");
        }
    }

    /// The plain recursive definition, without classes and escapes.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, t)| naive(pattern, t))
            }
            (Some((b'?', rest)), Some((_, t))) => naive(rest, t),
            (Some((p, rest)), Some((c, t))) => p == c && naive(rest, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_recursive_definition(p in "[ab*?]{0,8}", c in "[ab]{1,10}") {
            prop_assert_eq!(matches(p.as_bytes(), c.as_bytes()), naive(p.as_bytes(), c.as_bytes()));
        }

        #[test]
        fn any_bytes_end(p in prop::collection::vec(any::<u8>(), 0..60),
                         c in prop::collection::vec(any::<u8>(), 0..60)) {
            let glob = Glob::new(p.into());
            let (prefix, suffix) = (glob.literal_prefix(), glob.literal_suffix());
            let has_ends = c.len() >= prefix.len() + suffix.len()
                && c.starts_with(prefix) && c.ends_with(suffix);
            prop_assert!(!glob.matches(&c) || has_ends);
        }
    }
}
