//! MQTT topic filters: `+` stands for one level, `#` at the end for the rest (MQTT 5 §4.7.1).

use std::fmt;

use bytes::Bytes;

use super::Segment;
use crate::address::{Address, LEVELS_MAX, TOPIC_BYTES_MAX, levels};

/// A valid MQTT topic filter, without any `$share/…/` prefix.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Bytes);

/// Why a text is no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Empty `[MQTT-4.7.3-1]`.
    #[error("the filter is empty")]
    Empty,
    /// Longer than 65,535 bytes.
    #[error("the filter is longer than 65535 bytes")]
    TooLong,
    /// More than [`LEVELS_MAX`] levels.
    #[error("the filter has more than {LEVELS_MAX} levels")]
    TooDeep,
    /// Not UTF-8, or with a NUL `[MQTT-4.7.3-2]`.
    #[error("the filter is not UTF-8 text without NUL")]
    NotText,
    /// `#` not alone in its level or not last, or `+` not alone `[MQTT-4.7.1-1]` `[MQTT-4.7.1-2]`.
    #[error("a wildcard must fill its level, and # must be the last")]
    Wildcard,
}

impl TopicFilter {
    /// Checks a filter.
    ///
    /// # Errors
    /// When it breaks a rule of MQTT 5.0 §4.7 or the level limit.
    pub fn parse(text: Bytes) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > TOPIC_BYTES_MAX {
            return Err(FilterError::TooLong);
        }
        if std::str::from_utf8(&text).is_err() || text.contains(&0) {
            return Err(FilterError::NotText);
        }
        if levels(&text).count() > LEVELS_MAX {
            return Err(FilterError::TooDeep);
        }
        let mut rest_seen = false;
        for level in levels(&text) {
            let wild = level.iter().any(|b| matches!(b, b'+' | b'#'));
            if rest_seen || (wild && level.len() > 1) {
                return Err(FilterError::Wildcard);
            }
            rest_seen = level == b"#";
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The levels.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        levels(&self.0).map(|level| match level {
            b"+" => Segment::One,
            b"#" => Segment::Many,
            _ => Segment::Literal(self.0.slice_ref(level)),
        })
    }

    /// The text before the first wildcard: every matching address starts with it, but for the
    /// parent level that `a/#` matches too.
    #[must_use]
    pub fn literal_prefix(&self) -> &[u8] {
        let wild = self.0.iter().position(|b| matches!(b, b'+' | b'#'));
        self.0
            .get(..wild.unwrap_or(self.0.len()))
            .unwrap_or_default()
    }

    /// Whether the filter has no wildcard.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.literal_prefix().len() == self.0.len()
    }

    /// Whether the address matches. A leading wildcard never matches a `$` topic
    /// `[MQTT-4.7.2-1]`; an address that is no topic matches nothing.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        let wild_start = matches!(self.0.first(), Some(b'+' | b'#'));
        if !address.is_topic() || (wild_start && address.as_bytes().first() == Some(&b'$')) {
            return false;
        }
        let mut have = address.levels();
        for want in levels(&self.0) {
            match (want, have.next()) {
                (b"#", _) => return true,
                (b"+", Some(_)) => {}
                (want, Some(level)) if want == level => {}
                _ => return false,
            }
        }
        have.next().is_none()
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Result<TopicFilter, FilterError> {
        TopicFilter::parse(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn wildcards_fill_their_level_mqtt_4_7_1() {
        for good in [
            "#", "+", "a/#", "+/+", "/+", "a/+/b/#", "$SYS/#", "/", "a b",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["a#", "a/#/b", "a+", "+a/b", "#/a", "a/b#"] {
            assert_eq!(parse(bad), Err(FilterError::Wildcard), "{bad}");
        }
        assert_eq!(parse(""), Err(FilterError::Empty));
        assert_eq!(parse("a\0"), Err(FilterError::NotText));
    }

    #[test]
    fn matches_as_the_standard_says_mqtt_4_7() {
        let table = [
            ("sport/tennis/#", "sport/tennis", true),
            ("sport/tennis/#", "sport/tennis/a/b", true),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("+", "finance", true),
            ("+", "/finance", false),
            ("/+", "/finance", true),
            ("+/+", "/finance", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/b", "a/b/c", false),
            ("é/+", "é/ü", true),
        ];
        for (filter, topic, expected) in table {
            let address = Address::new(Bytes::from_static(topic.as_bytes()));
            assert_eq!(
                parse(filter).unwrap().matches(&address),
                expected,
                "{filter} ~ {topic}"
            );
        }
    }
}
