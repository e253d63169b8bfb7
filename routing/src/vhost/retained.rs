//! Retained values of a virtual host, and the gateway's own under `$SYS/`.

use std::sync::Arc;

use super::VHost;
use crate::journal::{Appended, Entry, Lsn, Urgency};
use crate::message::{Message, QoS};
use crate::outbox::Wakes;
use crate::queue::Enqueue;
use crate::retained::RetainedCursor;
use crate::route::Published;
use crate::table::SYSTEM_PREFIX;
use crate::time::Timestamp;
use crate::topic::TopicFilter;

/// Expired values forgotten at a time: some milliseconds.
const SWEPT_VALUES_MAX: usize = 10_000;

impl VHost {
    /// The retained values that match a filter, for the subscriber to read at its own pace.
    #[must_use]
    pub fn retained(&self, filter: &TopicFilter) -> RetainedCursor {
        // No wildcard at the beginning matches `$SYS`, so a filter is for one of the two.
        if filter.as_bytes().starts_with(SYSTEM_PREFIX) {
            return self.system.lock().matching(filter);
        }
        self.retained.lock().matching(filter)
    }

    /// How many retained values there are.
    #[must_use]
    pub fn retained_count(&self) -> usize {
        self.retained.lock().len()
    }

    /// What they take in memory.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.retained.lock().bytes()
    }

    /// Whether the message can become its address's retained value within the limits.
    #[must_use]
    pub fn may_retain(&self, message: &Message) -> bool {
        let limits = &self.core.settings.retained;
        self.retained.lock().has_room(message, limits)
    }

    /// As [`VHost::retain`], as part of a publish: one that the journal does not take is rejected,
    /// for nobody can be told that it is safe.
    pub(crate) fn retain_published(&self, message: &Arc<Message>, published: &mut Published) {
        match self.retain(message) {
            Some(end) if end == Appended::REFUSED.end => published.rejected = true,
            end => published.lsn = end.or(published.lsn),
        }
    }

    /// Makes a message its address's retained value, or clears it when the payload is empty.
    /// Returns where its record ends if it is to survive a restart. An address that is no topic
    /// has no retained value; nor is there one beyond the limits, which is counted.
    pub fn retain(&self, message: &Arc<Message>) -> Option<Lsn> {
        let is_own = message.address.as_bytes().first() == Some(&b'$');
        if !message.address.is_topic() || is_own {
            return None;
        }
        {
            let mut retained = self.retained.lock();
            if !retained.has_room(message, &self.core.settings.retained) {
                self.core.counters.unretained();
                return None;
            }
            retained.put(message);
        }
        let urgency = if message.qos == QoS::AtMostOnce {
            Urgency::Lazy
        } else {
            Urgency::Sync
        };
        let entry = Entry::Retained {
            vhost: self.name.clone(),
            message: Arc::clone(message),
        };
        let end = self.append(&entry, urgency);
        (urgency == Urgency::Sync).then_some(end)
    }

    /// Forgets some of the retained values that have expired.
    pub fn sweep_retained(&self, now: Timestamp) {
        self.retained.lock().sweep(now, SWEPT_VALUES_MAX);
    }

    /// Publishes a value of the gateway's own under `$SYS/`: to MQTT subscribers, and kept for
    /// later ones.
    pub fn publish_system(&self, now: Timestamp, message: &Arc<Message>, wakes: &mut Wakes) {
        self.system.lock().put(message);
        let route = self.table.load().system_route(&message.address);
        route.deliver(now, message, &mut Enqueue::new(wakes));
    }
}
