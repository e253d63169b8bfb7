//! Subscriptions of a virtual host: MQTT filters, Redis channels and patterns.

use std::sync::Arc;

use bytes::Bytes;

use super::{ChannelFilter, VHost};
use crate::delivery::Matched;
use crate::ids::SubscriberId;
use crate::message::Message;
use crate::name::Name;
use crate::outbox::Wakes;
use crate::queue::Enqueue;
use crate::route::Published;
use crate::shared::SharedGroup;
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::table::{FilterEntry, FilterKey, RouteTable};
use crate::time::Timestamp;
use crate::topic::{Segment, TopicFilter};

/// Subscriptions of MQTT sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterCounts {
    /// All of them.
    pub all: usize,
    /// Shared ones.
    pub shared: usize,
}

impl VHost {
    /// Subscribes to an MQTT filter; replaces the options of one that is there.
    pub fn subscribe_filter(
        &self,
        subscriber: &Arc<Subscriber>,
        filter: &TopicFilter,
        options: SubscriptionOptions,
    ) {
        let segments = filter.segments().collect::<Vec<_>>();
        self.change(&mut self.topology.lock(), |_, table| {
            let entry = FilterEntry::Subscriber(Arc::clone(subscriber), options);
            table
                .filters
                .insert(&segments, FilterKey::Subscriber(subscriber.id), entry);
        });
    }

    /// Ends a subscription to an MQTT filter; false when there was none.
    pub fn unsubscribe_filter(&self, subscriber: SubscriberId, filter: &TopicFilter) -> bool {
        let segments = filter.segments().collect::<Vec<_>>();
        self.change(&mut self.topology.lock(), |_, table| {
            table
                .filters
                .remove(&segments, &FilterKey::Subscriber(subscriber))
                .is_some()
        })
    }

    /// Joins the group that shares a filter, or changes the options there.
    pub fn join_group(
        &self,
        group: &Name,
        subscriber: &Arc<Subscriber>,
        filter: &TopicFilter,
        options: SubscriptionOptions,
    ) {
        let segments = filter.segments().collect::<Vec<_>>();
        self.change(&mut self.topology.lock(), |_, table| {
            let key = FilterKey::Group(group.clone());
            let shared = group_of(table, &segments, &key).unwrap_or_else(|| {
                let shared = SharedGroup::new(self.core.settings.shared_strategy);
                table
                    .filters
                    .insert(&segments, key, FilterEntry::Group(Arc::clone(&shared)));
                shared
            });
            shared.join(subscriber, &options);
        });
    }

    /// Leaves the group that shares a filter; false when it was no member.
    pub fn leave_group(
        &self,
        group: &Name,
        subscriber: SubscriberId,
        filter: &TopicFilter,
    ) -> bool {
        let segments = filter.segments().collect::<Vec<_>>();
        self.change(&mut self.topology.lock(), |_, table| {
            let key = FilterKey::Group(group.clone());
            let Some(shared) = group_of(table, &segments, &key) else {
                return false;
            };
            let was_member = shared.leave(subscriber);
            if shared.is_empty() {
                table.filters.remove(&segments, &key);
            }
            was_member
        })
    }

    /// Gives messages that a member leaves behind to the others of its group.
    pub(crate) fn pass_on(
        &self,
        now: Timestamp,
        group: &Name,
        filter: &TopicFilter,
        message: &Arc<Message>,
        wakes: &mut Wakes,
    ) {
        let segments = filter.segments().collect::<Vec<_>>();
        let key = FilterKey::Group(group.clone());
        let shared = group_of(&self.table.load(), &segments, &key);
        if let Some(shared) = shared {
            let mut enqueue = Enqueue::new(wakes);
            let outcome = shared.deliver(now, message, &mut enqueue);
            let refused = outcome.is_some_and(|outcome| !outcome.is_accepted());
            self.core.counters.refused(u64::from(refused));
        }
    }

    /// How many subscriptions to MQTT filters there are, a shared one once per member.
    #[must_use]
    pub fn filter_counts(&self) -> FilterCounts {
        let mut counts = FilterCounts::default();
        self.topology.lock().sessions.values().for_each(|session| {
            session.with(|state| {
                let shared = state.subscriptions.keys();
                let shared = shared
                    .filter(|filter| filter.starts_with("$share/"))
                    .count();
                counts.shared += shared;
                counts.all += state.subscriptions.len();
            });
        });
        counts
    }

    /// Subscribes to Redis channels and patterns, in one change of the route table.
    pub fn subscribe_channels(&self, subscriber: &Arc<Subscriber>, filters: &[ChannelFilter]) {
        self.change(&mut self.topology.lock(), |_, table| {
            for filter in filters {
                let subscribers = match filter.clone() {
                    ChannelFilter::Channel(channel) => table.channels.entry(channel),
                    ChannelFilter::ShardChannel(channel) => table.shard_channels.entry(channel),
                    ChannelFilter::Glob(glob) => {
                        let subscriber_of = Arc::clone(subscriber);
                        table.globs.insert(glob, subscriber.id, subscriber_of);
                        continue;
                    }
                };
                let subscribers = subscribers.or_default();
                subscribers.insert(subscriber.id, Arc::clone(subscriber));
            }
        });
    }

    /// Ends subscriptions to Redis channels and patterns, in one change of the route table.
    pub fn unsubscribe_channels(&self, subscriber: SubscriberId, filters: &[ChannelFilter]) {
        self.change(&mut self.topology.lock(), |_, table| {
            for filter in filters {
                match filter {
                    ChannelFilter::Channel(channel) => {
                        remove_from(&mut table.channels, channel, subscriber);
                    }
                    ChannelFilter::ShardChannel(channel) => {
                        remove_from(&mut table.shard_channels, channel, subscriber);
                    }
                    ChannelFilter::Glob(glob) => {
                        table.globs.remove(glob, &subscriber);
                    }
                }
            }
        });
    }

    /// Publishes to a Redis shard channel.
    pub fn publish_to_shard_channel(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> Published {
        let route = self.table.load().shard_route(message.address.as_bytes());
        route.deliver(now, message, enqueue)
    }

    /// Redis channels that somebody subscribes to, in no order.
    #[must_use]
    pub fn channels(&self) -> Vec<Bytes> {
        self.table.load().channels.keys().cloned().collect()
    }

    /// How many subscribe to a Redis channel.
    #[must_use]
    pub fn channel_subscribers(&self, channel: &[u8]) -> usize {
        self.table
            .load()
            .channels
            .get(channel)
            .map_or(0, imbl::OrdMap::len)
    }

    /// Redis shard channels that somebody subscribes to, in no order.
    #[must_use]
    pub fn shard_channels(&self) -> Vec<Bytes> {
        self.table.load().shard_channels.keys().cloned().collect()
    }

    /// How many subscribe to a Redis shard channel.
    #[must_use]
    pub fn shard_channel_subscribers(&self, channel: &[u8]) -> usize {
        self.table
            .load()
            .shard_channels
            .get(channel)
            .map_or(0, imbl::OrdMap::len)
    }

    /// How many different Redis patterns are subscribed to.
    #[must_use]
    pub fn globs(&self) -> usize {
        self.table.load().globs.globs()
    }
}

fn group_of(table: &RouteTable, segments: &[Segment], key: &FilterKey) -> Option<Arc<SharedGroup>> {
    match table.filters.get(segments, key) {
        Some(FilterEntry::Group(group)) => Some(Arc::clone(group)),
        _ => None,
    }
}

fn remove_from(
    channels: &mut imbl::HashMap<Bytes, imbl::OrdMap<SubscriberId, Arc<Subscriber>>>,
    channel: &Bytes,
    subscriber: SubscriberId,
) {
    if let Some(subscribers) = channels.get_mut(channel) {
        subscribers.remove(&subscriber);
        if subscribers.is_empty() {
            channels.remove(channel);
        }
    }
}

impl Matched {
    /// The match of one MQTT subscription, as a retained value is sent for it.
    #[must_use]
    pub fn of_subscription(options: &SubscriptionOptions) -> Arc<Self> {
        Arc::new(Self::Filters {
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            subscription_ids: options.subscription_id.into_iter().collect(),
        })
    }
}
