//! Retained values: the last message of an address that asked to be kept `[MQTT-3.3.1-5]`.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::address::Address;
use crate::message::Message;
use crate::time::Timestamp;
use crate::topic::TopicFilter;

/// Values that one step of a cursor looks at: about a tenth of a millisecond.
const STEP_VALUES_MAX: usize = 1000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// Values of one virtual host.
    pub values_max: usize,
    /// Their bytes, as [`Message::cost_bytes`] counts them.
    pub bytes_max: usize,
}

impl Default for RetainedLimits {
    fn default() -> Self {
        Self {
            values_max: 1_000_000,
            bytes_max: 1 << 30,
        }
    }
}

/// All retained values of a virtual host, in address order. Persistent, so that a cursor reads a
/// snapshot without holding anybody up.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    values: OrdMap<Address, Arc<Message>>,
    bytes: usize,
    /// When values expire; one that was replaced may still stand here.
    expiries: BTreeSet<(Timestamp, Address)>,
}

impl Retained {
    /// Keeps the message, or forgets the address's value when the payload is empty
    /// `[MQTT-3.3.1-6]`.
    pub(crate) fn put(&mut self, message: &Arc<Message>) {
        let kept = (!message.payload.is_empty()).then(|| message.compact());
        self.replace(&message.address, kept);
    }

    fn replace(&mut self, address: &Address, kept: Option<Arc<Message>>) {
        self.bytes += kept.as_ref().map_or(0, |new| new.cost_bytes());
        let former = match kept {
            Some(new) => {
                if let Some(at) = new.expires_at {
                    self.expiries.insert((at, address.clone()));
                }
                self.values.insert(address.clone(), new)
            }
            None => self.values.remove(address),
        };
        if let Some(former) = former {
            self.bytes -= former.cost_bytes();
            if let Some(at) = former.expires_at
                && self.expires_at(address) != Some(at)
            {
                self.expiries.remove(&(at, address.clone()));
            }
        }
    }

    fn expires_at(&self, address: &Address) -> Option<Timestamp> {
        self.values.get(address)?.expires_at
    }

    /// Whether the message can become its address's value within the limits.
    pub(crate) fn has_room(&self, message: &Message, limits: &RetainedLimits) -> bool {
        let former = self.values.get(&message.address);
        let values = self.values.len() + usize::from(former.is_none());
        let freed = former.map_or(0, |former| former.cost_bytes());
        let bytes = self.bytes - freed + message.cost_bytes();
        message.payload.is_empty() || (values <= limits.values_max && bytes <= limits.bytes_max)
    }

    /// Forgets values that have expired, at most so many; true if there may be more.
    pub(crate) fn sweep(&mut self, now: Timestamp, values_max: usize) -> bool {
        for _ in 0..values_max {
            let Some((at, address)) = self.expiries.first().cloned() else {
                return false;
            };
            if at > now {
                return false;
            }
            self.expiries.pop_first();
            self.replace(&address, None);
        }
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// What all values take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The values as they are now.
    pub(crate) fn snapshot(&self) -> OrdMap<Address, Arc<Message>> {
        self.values.clone()
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

/// What one step of a [`RetainedCursor`] came to.
#[derive(Clone, Debug)]
pub enum RetainedStep {
    /// A value.
    Found(Arc<Message>),
    /// Many values that do not match: others may want to do something before the next step.
    Pause,
    /// There are no more.
    End,
}

impl RetainedCursor {
    /// Looks for the next value that has not expired, among a bounded number of values.
    pub fn step(&mut self, now: Timestamp) -> RetainedStep {
        let mut last = None;
        let range = self.values.range((self.next.clone(), Bound::Unbounded));
        let inside =
            range.take_while(|(address, _)| address.as_bytes().starts_with(self.prefix.as_bytes()));
        for (address, message) in inside.take(STEP_VALUES_MAX) {
            if self.filter.matches(address) && !message.is_expired(now) {
                let found = Arc::clone(message);
                self.next = Bound::Excluded(address.clone());
                return RetainedStep::Found(found);
            }
            last = Some(address);
        }
        match last {
            Some(last) => {
                self.next = Bound::Excluded(last.clone());
                RetainedStep::Pause
            }
            None => RetainedStep::End,
        }
    }

    /// The next value that has not expired, however far it is.
    pub fn next(&mut self, now: Timestamp) -> Option<Arc<Message>> {
        loop {
            match self.step(now) {
                RetainedStep::Found(message) => return Some(message),
                RetainedStep::Pause => {}
                RetainedStep::End => return None,
            }
        }
    }

    /// The address that was looked at last, to go on from another time.
    #[must_use]
    pub fn position(&self) -> Option<&Address> {
        match &self.next {
            Bound::Excluded(last) => Some(last),
            Bound::Included(_) | Bound::Unbounded => None,
        }
    }

    /// Goes on behind an address.
    pub fn resume_after(&mut self, address: Address) {
        self.next = Bound::Excluded(address);
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

    #[test]
    fn a_step_looks_at_a_bounded_number_of_values_and_can_be_taken_up_again() {
        let mut retained = Retained::default();
        for number in 0..2500 {
            let address = Address::new(format!("a/{number:04}/x").into());
            let builder = MessageBuilder::new(address, "amq.topic".into(), "v".into(), &ORIGIN);
            retained.put(&builder.build());
        }
        retained.put(&message("a/9/y", "v"));
        let filter = TopicFilter::parse(Bytes::from_static(b"+/+/y")).unwrap();
        let mut cursor = retained.matching(&filter);
        assert!(matches!(cursor.step(Timestamp(0)), RetainedStep::Pause));
        let mut later = retained.matching(&filter);
        later.resume_after(cursor.position().unwrap().clone());
        assert!(matches!(later.step(Timestamp(0)), RetainedStep::Pause));
        assert!(matches!(later.step(Timestamp(0)), RetainedStep::Found(_)));
        assert!(matches!(later.step(Timestamp(0)), RetainedStep::End));
    }

    #[test]
    fn bytes_and_values_are_counted_as_they_come_and_go() {
        let mut retained = Retained::default();
        let (short, long) = (message("a", "1"), message("a", "123"));
        retained.put(&short);
        retained.put(&long);
        assert_eq!(retained.bytes(), long.cost_bytes());
        let limits = RetainedLimits {
            values_max: 1,
            bytes_max: long.cost_bytes(),
        };
        assert!(retained.has_room(&long, &limits));
        assert!(!retained.has_room(&message("a", "1234"), &limits));
        assert!(!retained.has_room(&message("b", "1"), &limits));
        assert!(retained.has_room(&message("b", ""), &limits));
        retained.put(&message("a", ""));
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }

    #[test]
    fn what_has_expired_is_swept_away_and_what_replaced_it_is_not() {
        let mut retained = Retained::default();
        let expiring = |topic: &'static str, at| {
            let mut builder = message(topic, "v").to_builder();
            builder.expires_at = Some(Timestamp(at));
            builder.build()
        };
        retained.put(&expiring("a", 10));
        retained.put(&expiring("b", 10));
        retained.put(&expiring("c", 20));
        retained.put(&message("b", "stays"));
        assert!(!retained.sweep(Timestamp(9), 100));
        assert_eq!(retained.len(), 3);
        assert!(!retained.sweep(Timestamp(15), 100));
        assert_eq!(found(&retained, "#"), ["b", "c"]);
        assert!(retained.sweep(Timestamp(30), 1));
        assert_eq!(found(&retained, "#"), ["b"]);
        assert!(retained.expiries.is_empty());
    }
}
