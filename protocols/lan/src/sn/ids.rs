//! What one client and the gateway call topics: ids that either has registered.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

/// The ids of one client.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    by_topic: HashMap<Bytes, u16>,
    by_id: HashMap<u16, Bytes>,
    /// Those that the client knows.
    known: HashSet<u16>,
    /// Predefined ids that it has used, and so knows.
    predefined: HashSet<u16>,
}

impl TopicIds {
    /// The id of a topic, a new one if there is none; none if there are too many.
    pub(super) fn assign(&mut self, topic: &Bytes, topics_max: usize) -> Option<u16> {
        if let Some(id) = self.by_topic.get(topic) {
            return Some(*id);
        }
        // 0 and 65535 are reserved.
        let next = u16::try_from(self.by_id.len() + 1).ok();
        let id = next.filter(|id| usize::from(*id) <= topics_max && *id < u16::MAX)?;
        self.by_topic.insert(topic.clone(), id);
        self.by_id.insert(id, topic.clone());
        Some(id)
    }

    /// The topic of an id.
    pub(super) fn topic(&self, id: u16) -> Option<&Bytes> {
        self.by_id.get(&id)
    }

    /// The client knows this id now.
    pub(super) fn know(&mut self, id: u16) {
        self.known.insert(id);
    }

    /// The id that the client knows a topic by.
    pub(super) fn known(&self, topic: &Bytes) -> Option<u16> {
        let id = self.by_topic.get(topic)?;
        self.known.contains(id).then_some(*id)
    }

    /// The client says that it does not know this id.
    pub(super) fn forget(&mut self, id: u16) {
        self.known.remove(&id);
    }

    /// The client may have restarted: it knows nothing any more. What it still sends is understood.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.predefined.clear();
    }

    /// The client has used a predefined id.
    pub(super) fn use_predefined(&mut self, id: u16) {
        self.predefined.insert(id);
    }

    /// Whether it has.
    pub(super) fn uses_predefined(&self, id: u16) -> bool {
        self.predefined.contains(&id)
    }
}
