//! Reply addresses across protocols: how an AMQP reply queue looks to MQTT, and an MQTT response
//! topic to AMQP.
//!
//! | in AMQP | in MQTT |
//! | --- | --- |
//! | `reply_to` `q` (default exchange) | Response Topic `$reply/q`, percent-encoded |
//! | `reply_to` `$topic/a/b` | Response Topic `a/b` |

use bytes::Bytes;

/// Before a queue's name: an MQTT topic that reaches exactly that queue.
pub const REPLY_PREFIX: &str = "$reply/";

/// Before a topic: a key of the default exchange that reaches the bus.
pub const TOPIC_PREFIX: &str = "$topic/";

/// The topic that reaches the queue of this name: all bytes but letters, digits and `-._~` as
/// `%XX`, so that any name is one level of a valid topic.
#[must_use]
pub fn topic_of_queue(name: &[u8]) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut topic = Vec::with_capacity(REPLY_PREFIX.len() + name.len());
    topic.extend_from_slice(REPLY_PREFIX.as_bytes());
    for byte in name {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            topic.push(*byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            topic.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    topic.into()
}

/// The queue's name behind a `$reply/` topic; none for any other topic.
#[must_use]
pub fn queue_of_topic(topic: &[u8]) -> Option<Bytes> {
    let mut rest = topic.strip_prefix(REPLY_PREFIX.as_bytes())?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        name.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_queue_name_is_a_topic_and_comes_back(
            name in prop::collection::vec(any::<u8>(), 1..99),
        ) {
            let topic = topic_of_queue(&name);
            prop_assert!(Address::new(topic.clone()).is_topic());
            prop_assert_eq!(queue_of_topic(&topic), Some(name.into()));
        }
    }

    #[test]
    fn other_topics_and_broken_escapes_are_no_replies() {
        for topic in [
            &b"reply/q"[..],
            b"$reply",
            b"$reply/%",
            b"$reply/%4",
            b"$reply/%xy",
        ] {
            assert_eq!(queue_of_topic(topic), None);
        }
    }
}
