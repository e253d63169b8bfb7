//! Topic aliases (MQTT 5 §3.3.2.3.4): numbers that stand for topics, one table per direction.

use std::collections::HashMap;

use bytes::Bytes;

use crate::error::PeerMisbehaved;

/// The aliases that the client has set. Its slots are made as they are set, at most `max` of them.
#[derive(Debug, Default)]
pub(super) struct InboundAliases {
    max: u16,
    topics: Vec<Option<Bytes>>,
}

impl InboundAliases {
    pub(super) fn new(max: u16) -> Self {
        Self {
            max,
            topics: Vec::new(),
        }
    }

    /// The topic of a PUBLISH with an alias: `topic` sets it, an empty one stands for the last set.
    pub(super) fn resolve(&mut self, alias: u16, topic: &Bytes) -> Result<Bytes, PeerMisbehaved> {
        if alias == 0 || alias > self.max {
            return Err(PeerMisbehaved::TopicAliasInvalid);
        }
        let index = usize::from(alias - 1);
        if topic.is_empty() {
            let known = self.topics.get(index).cloned().flatten();
            return known.ok_or(PeerMisbehaved::TopicAliasUnknown);
        }
        if self.topics.len() <= index {
            self.topics.resize(index + 1, None);
        }
        if let Some(slot) = self.topics.get_mut(index) {
            // A copy: a slice would pin the whole read buffer for as long as the alias lives.
            *slot = Some(Bytes::copy_from_slice(topic));
        }
        Ok(topic.clone())
    }
}

/// How to name the topic of an outgoing PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicForm {
    /// The topic alone.
    Topic,
    /// The topic, and an alias for the next time.
    Set(u16),
    /// The alias alone.
    Alias(u16),
}

/// The aliases set towards the client: the first topics that come, until all numbers are taken.
#[derive(Debug, Default)]
pub(super) struct OutboundAliases {
    max: u16,
    numbers: HashMap<Bytes, u16>,
}

impl OutboundAliases {
    pub(super) fn new(max: u16) -> Self {
        Self {
            max,
            numbers: HashMap::new(),
        }
    }

    /// Whether the client takes any.
    pub(super) const fn are_allowed(&self) -> bool {
        self.max > 0
    }

    pub(super) fn form(&mut self, topic: &Bytes) -> TopicForm {
        if self.max == 0 {
            return TopicForm::Topic;
        }
        if let Some(&alias) = self.numbers.get(topic) {
            return TopicForm::Alias(alias);
        }
        match u16::try_from(self.numbers.len() + 1) {
            Ok(alias) if alias <= self.max => {
                self.numbers.insert(Bytes::copy_from_slice(topic), alias);
                TopicForm::Set(alias)
            }
            _ => TopicForm::Topic,
        }
    }

    /// The packet that was to set the last alias is not sent after all.
    pub(super) fn forget(&mut self, topic: &Bytes) {
        self.numbers.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Bytes = Bytes::from_static(b"plant/a");
    const OTHER: Bytes = Bytes::from_static(b"plant/b");
    const NONE: Bytes = Bytes::new();

    #[test]
    fn an_alias_stands_for_the_topic_it_was_set_with_last() {
        let mut aliases = InboundAliases::new(10);
        assert_eq!(aliases.resolve(10, &TOPIC), Ok(TOPIC));
        assert_eq!(aliases.resolve(10, &NONE), Ok(TOPIC));
        assert_eq!(aliases.resolve(10, &OTHER), Ok(OTHER));
        assert_eq!(aliases.resolve(10, &NONE), Ok(OTHER));
        assert_eq!(
            aliases.resolve(9, &NONE),
            Err(PeerMisbehaved::TopicAliasUnknown)
        );
    }

    #[test]
    fn an_alias_outside_of_the_maximum_is_invalid_mqtt_3_3_2_9() {
        let mut aliases = InboundAliases::new(10);
        for alias in [0, 11, u16::MAX] {
            assert_eq!(
                aliases.resolve(alias, &TOPIC),
                Err(PeerMisbehaved::TopicAliasInvalid)
            );
        }
        let mut none = InboundAliases::new(0);
        assert_eq!(
            none.resolve(1, &TOPIC),
            Err(PeerMisbehaved::TopicAliasInvalid)
        );
    }

    #[test]
    fn outgoing_aliases_are_set_once_and_then_used() {
        let mut aliases = OutboundAliases::new(1);
        assert_eq!(aliases.form(&TOPIC), TopicForm::Set(1));
        assert_eq!(aliases.form(&TOPIC), TopicForm::Alias(1));
        assert_eq!(aliases.form(&OTHER), TopicForm::Topic);
        assert_eq!(OutboundAliases::new(0).form(&TOPIC), TopicForm::Topic);
    }
}
