//! The one canonical form of an address: levels joined by `/`, as MQTT writes it.
//!
//! | seen as | form | mapping |
//! | --- | --- | --- |
//! | MQTT topic, Redis channel | `plant/line1/temp` | byte for byte |
//! | AMQP routing key on the bus exchange | `plant.line1.temp` | `.` and `/` change places |
//!
//! Swapping two characters is its own inverse, so the mapping is a bijection: no two keys meet in
//! one topic, and each comes back as it was.

use std::fmt;

use bytes::Bytes;

/// The longest address that is also an MQTT topic, in bytes (MQTT 5 §1.5.4).
pub const TOPIC_BYTES_MAX: usize = 65_535;

/// The most levels an address may have to be an MQTT topic or to match a filter.
pub const LEVELS_MAX: usize = 256;

/// A canonical address: any bytes, and whether MQTT may see it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    bytes: Bytes,
    is_topic: bool,
}

impl Address {
    /// An address in canonical form, from a Redis channel or an MQTT topic.
    #[must_use]
    pub fn new(canonical: Bytes) -> Self {
        let is_topic = is_topic(&canonical);
        Self {
            bytes: canonical,
            is_topic,
        }
    }

    /// An address from an AMQP routing key. Copies only when there is something to swap.
    #[must_use]
    pub fn from_routing_key(key: &Bytes) -> Self {
        if key.iter().any(|b| matches!(b, b'.' | b'/')) {
            Self::new(key.iter().map(|b| swap(*b)).collect::<Vec<u8>>().into())
        } else {
            Self::new(key.clone())
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes of the AMQP routing key, in order.
    pub fn routing_key(&self) -> impl ExactSizeIterator<Item = u8> + '_ {
        self.bytes.iter().map(|b| swap(*b))
    }

    /// Appends the bytes of the AMQP routing key: for each delivery, so in one copy and one pass.
    pub fn put_routing_key(&self, key: &mut Vec<u8>) {
        let start = key.len();
        key.extend_from_slice(&self.bytes);
        let new = key.get_mut(start..).unwrap_or_default();
        new.iter_mut().for_each(|byte| *byte = swap(*byte));
    }

    /// Whether this is a valid MQTT topic name: UTF-8, 1 to 65,535 bytes, no control characters,
    /// no `+`, no `#`, at most [`LEVELS_MAX`] levels. Others are visible to AMQP and Redis only.
    #[must_use]
    pub const fn is_topic(&self) -> bool {
        self.is_topic
    }

    /// The levels; an empty address has none.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        levels(&self.bytes)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.bytes))
    }
}

/// The levels of a canonical address or filter; of an empty one, none.
pub(crate) fn levels(canonical: &[u8]) -> impl Iterator<Item = &[u8]> {
    let take = if canonical.is_empty() { 0 } else { usize::MAX };
    canonical.split(|b| *b == b'/').take(take)
}

/// Exchanges `.` and `/`.
pub(crate) const fn swap(byte: u8) -> u8 {
    match byte {
        b'.' => b'/',
        b'/' => b'.',
        other => other,
    }
}

fn is_topic(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len() <= TOPIC_BYTES_MAX
        && bytes.iter().filter(|b| **b == b'/').count() < LEVELS_MAX
        && std::str::from_utf8(bytes).is_ok_and(|text| {
            !text
                .chars()
                .any(|c| matches!(c, '+' | '#') || c.is_control())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key_of(address: &Address) -> Vec<u8> {
        let mut key = b"before ".to_vec();
        address.put_routing_key(&mut key);
        let key = key.strip_prefix(b"before ").unwrap().to_vec();
        assert_eq!(address.routing_key().collect::<Vec<_>>(), key);
        key
    }

    #[test]
    fn dots_and_slashes_change_places() {
        let address = Address::from_routing_key(&Bytes::from_static(b"a.b/c"));
        assert_eq!(address.as_bytes().as_ref(), b"a/b.c");
        assert_eq!(key_of(&address), b"a.b/c");
    }

    #[test]
    fn what_mqtt_forbids_is_no_topic() {
        for bad in [
            &b""[..],
            b"a\0b",
            b"a\nb",
            b"a/+",
            b"#",
            b"\xff",
            &[b'/'; 256],
            &[b'a'; 65_536],
        ] {
            assert!(
                !Address::new(Bytes::copy_from_slice(bad)).is_topic(),
                "{bad:?}"
            );
        }
        assert!(Address::new(Bytes::from_static(b"/")).is_topic());
    }

    proptest! {
        #[test]
        fn the_mapping_is_a_bijection(a in prop::collection::vec(any::<u8>(), 0..40),
                                      b in prop::collection::vec(any::<u8>(), 0..40)) {
            let (a, b) = (Bytes::from(a), Bytes::from(b));
            let (x, y) = (Address::from_routing_key(&a), Address::from_routing_key(&b));
            prop_assert_eq!(key_of(&x), a.as_ref());
            prop_assert_eq!(a == b, x == y);
        }

        #[test]
        fn words_of_the_key_are_levels_of_the_address(key in "[a-c./]{0,12}") {
            let address = Address::from_routing_key(&Bytes::from(key.clone()));
            let words = key.split('.').filter(|_| !key.is_empty())
                .map(|w| w.replace('/', ".").into_bytes()).collect::<Vec<_>>();
            prop_assert_eq!(address.levels().map(<[u8]>::to_vec).collect::<Vec<_>>(), words);
        }
    }
}
