//! The receivers of one address: found once, then remembered by publishers until the route table
//! changes.

use std::sync::Arc;

use crate::delay::Delays;
use crate::delivery::Matched;
use crate::message::Message;
use crate::outbox::Wakes;
use crate::queue::{self, Enqueue, Enqueued, Queue};
use crate::run::Run;
use crate::shared::SharedGroup;
use crate::subscriber::Subscriber;
use crate::time::Timestamp;

/// Everybody who receives a message published to one address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    pub(crate) queues: Vec<Arc<Queue>>,
    pub(crate) targets: Vec<Target>,
    pub(crate) groups: Vec<Arc<SharedGroup>>,
    /// Delayed exchanges on the way, and for how many milliseconds they keep the message.
    pub(crate) delays: Vec<(Arc<Delays>, u64)>,
    /// No subscriber is among the targets twice: see [`Route::settled`].
    pub(crate) meets_each_once: bool,
}

/// One subscriber's part of a route. A Redis connection may have several, an MQTT session has one.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) matched: Arc<Matched>,
    /// What it receives of its own messages.
    pub(crate) own: Own,
}

/// What a subscriber receives of its own messages (no-local, MQTT 5.0 §3.8.3.1).
#[derive(Clone, Debug)]
pub(crate) enum Own {
    /// The same as of others'.
    Same,
    /// Nothing.
    Nothing,
    /// Only what these of its subscriptions match.
    Other(Arc<Matched>),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many accepted it.
    pub receivers: u64,
    /// Whether a full queue refused it.
    pub rejected: bool,
    /// How many subscribers did not get it because they are slow or full.
    pub refused: u64,
    /// Whether it matched a subscription of its own publisher that does not want it back
    /// (no-local): somebody subscribes to it, though nobody received it.
    pub no_local: bool,
    /// It is safe in all durable targets once the journal is durable up to here; none when
    /// nothing needs to be.
    pub lsn: Option<crate::journal::Lsn>,
}

impl Route {
    /// Adds the receivers of another route that are not in this one.
    pub(crate) fn merge(&mut self, other: Self) {
        for queue in other.queues {
            if !self.queues.iter().any(|known| known.id == queue.id) {
                self.queues.push(queue);
            }
        }
        for target in other.targets {
            let is_known = |known: &Target| {
                known.subscriber.id == target.subscriber.id && known.matched == target.matched
            };
            if !self.targets.iter().any(is_known) {
                self.targets.push(target);
            }
        }
        for group in other.groups {
            if !self.groups.iter().any(|known| Arc::ptr_eq(known, &group)) {
                self.groups.push(group);
            }
        }
        for (delays, delay_ms) in other.delays {
            if !self
                .delays
                .iter()
                .any(|(known, _)| Arc::ptr_eq(known, &delays))
            {
                self.delays.push((delays, delay_ms));
            }
        }
    }

    /// Hands the message to everybody, and dead letters that it pushes out to theirs.
    pub(crate) fn deliver(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> Published {
        let published = self.hand_over(now, message, enqueue);
        queue::publish_dead(now, std::mem::take(&mut enqueue.dead), enqueue.wakes);
        published
    }

    /// The route as it is remembered: with what is looked at once for all messages.
    pub(crate) fn settled(mut self) -> Self {
        let mut ids: Vec<_> = self.targets.iter().map(|it| it.subscriber.id).collect();
        ids.sort_unstable();
        self.meets_each_once = ids.is_sorted_by(|one, next| one < next);
        self
    }

    /// Whether what becomes of this message is known beforehand: it goes to live subscriptions,
    /// whole, to queues that neither journal nor refuse it, and nowhere else. A subscriber that it
    /// meets twice gets both copies before the next message.
    pub(crate) fn takes_runs_of(&self, message: &Message) -> bool {
        let is_live = |target: &Target| {
            let matched = target.matched_for(message);
            matched.is_some_and(|matched| target.subscriber.takes_live(message, matched))
        };
        self.meets_each_once
            && self.queues.iter().all(|queue| queue.takes_runs_of(message))
            && self.groups.is_empty()
            && self.delays.is_empty()
            && self.targets.iter().all(is_live)
    }

    /// Hands over a run of messages for which [`Route::takes_runs_of`] holds, all of the same
    /// publisher and QoS; returns how many deliveries slow subscribers refused.
    pub(crate) fn hand_over_run(&self, now: Timestamp, run: &Arc<Run>, wakes: &mut Wakes) -> u64 {
        let Some(first) = run.messages().first() else {
            return 0;
        };
        for queue in &self.queues {
            queue.enqueue_run(now, run, wakes);
        }
        let targets = self.targets.iter();
        let refused = targets.filter_map(|target| {
            let matched = target.matched_for(first)?;
            Some(target.subscriber.outbox.push_run(run, matched, wakes))
        });
        refused.sum()
    }

    /// [`Route::deliver`], but for the dead letters, which wait in `enqueue`.
    pub(crate) fn hand_over(
        &self,
        now: Timestamp,
        message: &Arc<Message>,
        enqueue: &mut Enqueue<'_>,
    ) -> Published {
        let mut published = Published::default();
        for (delays, delay_ms) in &self.delays {
            let is_kept = delays.put(now, (message, *delay_ms), enqueue);
            published.receivers += u64::from(is_kept);
        }
        for queue in &self.queues {
            match queue.enqueue(now, message, message.qos, None, enqueue) {
                Enqueued::Accepted => published.receivers += 1,
                Enqueued::Rejected => published.rejected = true,
                Enqueued::Gone => {}
            }
        }
        for target in &self.targets {
            if let Some(matched) = target.matched_for(message) {
                let outcome = target.subscriber.deliver(now, message, matched, enqueue);
                published.count(outcome);
            } else {
                published.no_local = true;
            }
        }
        for group in &self.groups {
            let outcome = group.deliver(now, message, enqueue);
            outcome
                .into_iter()
                .for_each(|outcome| published.count(outcome));
        }
        published.lsn = enqueue.end;
        published
    }
}

impl Published {
    /// What became of it at a subscriber, who refuses it for itself alone: the publisher's message
    /// is no worse for it.
    fn count(&mut self, outcome: Enqueued) {
        match outcome {
            Enqueued::Accepted => self.receivers += 1,
            Enqueued::Rejected => self.refused += 1,
            Enqueued::Gone => {}
        }
    }
}

impl Target {
    fn matched_for(&self, message: &Message) -> Option<&Arc<Matched>> {
        match &self.own {
            Own::Nothing if message.publisher == Some(self.subscriber.id) => None,
            Own::Other(matched) if message.publisher == Some(self.subscriber.id) => Some(matched),
            _ => Some(&self.matched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Origin;
    use crate::{Address, Broker, MessageBuilder, Outbox, SubscriptionOptions};

    static ORIGIN: Origin = Origin {
        tag: 0,
        name: "test",
        decode: |_| crate::Properties::default(),
    };

    #[test]
    fn a_message_kept_from_its_own_publisher_has_met_a_subscription() {
        let broker = Broker::in_memory(vec![&ORIGIN]);
        let vhost = broker.vhost("/").unwrap();
        let subscriber = Subscriber::live(Outbox::detached());
        let filter = crate::TopicFilter::parse("a".into()).unwrap();
        let options = SubscriptionOptions {
            no_local: true,
            ..SubscriptionOptions::default()
        };
        vhost.subscribe_filter(&subscriber, &filter, options);
        let publish = |publisher| {
            let address = Address::new("a".into());
            let mut builder = MessageBuilder::new(address, "amq.topic".into(), "x".into(), &ORIGIN);
            builder.publisher = publisher;
            vhost.publish(Timestamp(0), &builder.build(), &mut Wakes::default())
        };
        let own = publish(Some(subscriber.id));
        assert_eq!((own.receivers, own.no_local), (0, true));
        assert!(!publish(None).no_local);
    }
}
