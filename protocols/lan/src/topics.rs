//! The topic map of a link: what a format calls a topic, when that is not the topic itself.

use std::collections::HashMap;

use bytes::Bytes;

use crate::Field;

/// One topic of the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappedTopic {
    /// The canonical address.
    pub topic: Bytes,
    /// MQTT-SN: the predefined topic id; UADP: the `DataSetWriterId`. Not 0.
    pub id: Option<u16>,
    /// LCM: the channel.
    pub channel: Option<Bytes>,
    /// UADP: the fields, in the order of the wire.
    pub fields: Vec<Field>,
}

/// The map, read from both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMap {
    topics: Vec<MappedTopic>,
    by_topic: HashMap<Bytes, usize>,
    by_id: HashMap<u16, usize>,
    by_channel: HashMap<Bytes, usize>,
}

impl TopicMap {
    /// A map of these topics; of two with one name, the last counts.
    #[must_use]
    pub fn new(topics: Vec<MappedTopic>) -> Self {
        let mut map = Self::default();
        for (index, entry) in topics.iter().enumerate() {
            map.by_topic.insert(entry.topic.clone(), index);
            map.by_id.extend(entry.id.map(|id| (id, index)));
            let channel = entry.channel.clone().map(|name| (name, index));
            map.by_channel.extend(channel);
        }
        map.topics = topics;
        map
    }

    /// The entry of a topic.
    #[must_use]
    pub fn of_topic(&self, topic: &[u8]) -> Option<&MappedTopic> {
        self.topics.get(*self.by_topic.get(topic)?)
    }

    /// The entry of an id.
    #[must_use]
    pub fn of_id(&self, id: u16) -> Option<&MappedTopic> {
        self.topics.get(*self.by_id.get(&id)?)
    }

    /// The entry of a channel.
    #[must_use]
    pub fn of_channel(&self, channel: &[u8]) -> Option<&MappedTopic> {
        self.topics.get(*self.by_channel.get(channel)?)
    }
}
