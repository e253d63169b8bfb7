//! Retained values: the last message of an address that asked to be kept `[MQTT-3.3.1-5]`.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::address::Address;
use crate::message::Message;
use crate::time::Timestamp;
use crate::topic::TopicFilter;

/// All retained values of a virtual host, in address order. Persistent, so that a cursor reads a
/// snapshot without holding anybody up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retained {
    values: OrdMap<Address, Arc<Message>>,
}

impl Retained {
    /// Keeps the message, or forgets the address's value when the payload is empty
    /// `[MQTT-3.3.1-6]`.
    pub(crate) fn put(&mut self, message: &Arc<Message>) {
        if message.payload.is_empty() {
            self.values.remove(&message.address);
        } else {
            self.values
                .insert(message.address.clone(), message.compact());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.values.contains_key(address)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.values.values()
    }

    pub(crate) fn matching(&self, filter: &TopicFilter) -> RetainedCursor {
        let prefix = filter.literal_prefix();
        // `a/#` matches `a` as well, which stands before all that begins with `a/`.
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        let start = Address::new(bytes::Bytes::copy_from_slice(prefix));
        RetainedCursor {
            values: self.values.clone(),
            filter: filter.clone(),
            prefix: start.clone(),
            next: Bound::Included(start),
        }
    }
}

/// Walks the retained values that match a filter, in address order, at the reader's pace: the
/// values as they were when it was made.
#[derive(Clone, Debug)]
pub struct RetainedCursor {
    values: OrdMap<Address, Arc<Message>>,
    filter: TopicFilter,
    prefix: Address,
    next: Bound<Address>,
}

impl RetainedCursor {
    /// The next value that has not expired.
    pub fn next(&mut self, now: Timestamp) -> Option<Arc<Message>> {
        let range = self.values.range((self.next.clone(), Bound::Unbounded));
        let mut inside =
            range.take_while(|(address, _)| address.as_bytes().starts_with(self.prefix.as_bytes()));
        let found = inside
            .find(|(address, message)| self.filter.matches(address) && !message.is_expired(now))?;
        let message = Arc::clone(found.1);
        self.next = Bound::Excluded(found.0.clone());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageBuilder, Origin};
    use bytes::Bytes;

    static ORIGIN: Origin = Origin {
        tag: 0,
        name: "test",
        decode: |_| crate::Properties::default(),
    };

    fn message(topic: &'static str, payload: &'static str) -> Arc<Message> {
        let address = Address::new(Bytes::from_static(topic.as_bytes()));
        MessageBuilder::new(address, "amq.topic".into(), payload.into(), &ORIGIN).build()
    }

    fn found(retained: &Retained, filter: &'static str) -> Vec<String> {
        let filter = TopicFilter::parse(Bytes::from_static(filter.as_bytes())).unwrap();
        let mut cursor = retained.matching(&filter);
        std::iter::from_fn(|| cursor.next(Timestamp(0)))
            .map(|m| m.address.to_string())
            .collect()
    }

    #[test]
    fn a_cursor_finds_what_matches_in_order() {
        let mut retained = Retained::default();
        for topic in ["a", "a/b", "a/b/c", "a!", "ab", "b/a", "$SYS/x"] {
            retained.put(&message(topic, "v"));
        }
        assert_eq!(found(&retained, "a/#"), ["a", "a/b", "a/b/c"]);
        assert_eq!(
            found(&retained, "#"),
            ["a", "a!", "a/b", "a/b/c", "ab", "b/a"]
        );
        assert_eq!(found(&retained, "+/a"), ["b/a"]);
        assert_eq!(found(&retained, "a/b"), ["a/b"]);
        assert_eq!(found(&retained, "$SYS/#"), ["$SYS/x"]);
    }

    #[test]
    fn an_empty_payload_clears_the_value_mqtt_3_3_1_6() {
        let mut retained = Retained::default();
        retained.put(&message("a", "v"));
        retained.put(&message("a", ""));
        assert_eq!(retained.len(), 0);
    }
}
