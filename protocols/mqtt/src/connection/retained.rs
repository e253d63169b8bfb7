//! Retained values for new subscriptions, at the client's pace: the next one is fetched when there
//! is room for it, so that any number of them arrives and none waits in memory.

use std::sync::Arc;

use routing::queue::Enqueue;
use routing::{Matched, Name, OutBuf, QoS, RetainedCursor, SubscriptionOptions, Timestamp};

use super::open::{Open, room};

/// The retained values of one subscription that are still to be sent.
#[derive(Debug)]
pub(super) struct RetainedWalk {
    /// The subscription; ending it ends the walk.
    pub(super) filter: Name,
    cursor: RetainedCursor,
    qos: QoS,
    matched: Arc<Matched>,
}

impl RetainedWalk {
    pub(super) fn new(filter: Name, cursor: RetainedCursor, options: &SubscriptionOptions) -> Self {
        // RETAIN is always set on what is sent because of a new subscription. [MQTT-3.3.1-8]
        let options = SubscriptionOptions {
            retain_as_published: true,
            ..*options
        };
        let matched = Matched::of_subscription(&options);
        Self {
            filter,
            cursor,
            qos: options.qos,
            matched,
        }
    }
}

impl Open {
    /// Sends retained values while there is room; true if some went to the session's queue and are
    /// to be taken from the outbox now.
    pub(super) fn send_retained(&mut self, now: Timestamp, out: &mut OutBuf) -> bool {
        let mut is_queued = false;
        while let Some(walk) = self.retained.front_mut() {
            let queue = self.session.subscriber.queue.as_ref();
            if room(out).is_none() || queue.is_some_and(|queue| queue.has_backlog()) {
                break;
            }
            let Some(message) = walk.cursor.next(now) else {
                self.retained.pop_front();
                continue;
            };
            let qos = walk.qos.min(message.qos);
            match queue.filter(|_| qos > QoS::AtMostOnce) {
                Some(queue) => {
                    let mut enqueue = Enqueue::new(&mut self.publisher.wakes);
                    queue.enqueue(now, &message, qos, Some(&walk.matched), &mut enqueue);
                    is_queued = true;
                }
                None => {
                    self.sending.put_retained(now, &message, &walk.matched, out);
                }
            }
        }
        is_queued
    }
}
