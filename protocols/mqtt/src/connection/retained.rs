//! Retained values for new subscriptions, at the client's pace: the next one is fetched when there
//! is room for it, so that any number of them arrives and none waits in memory. What is left when
//! the connection is lost goes on at the next one of the same session.

use std::sync::Arc;

use routing::queue::Enqueue;
use routing::session::SessionState;
use routing::{
    Matched, Name, OutBuf, PausedWalk, QoS, RetainedCursor, RetainedStep, SubscriptionOptions,
    Timestamp, VHost, vhost,
};

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

/// How far the walks have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// As far as there is room, or to their end.
    Done,
    /// Some values went to the session's queue and are to be taken from the outbox now.
    Queued,
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

    /// Goes on with what an earlier connection has left, on the values of today.
    pub(super) fn resume(vhost: &VHost, state: &mut SessionState) -> Vec<Self> {
        let paused = std::mem::take(&mut state.paused_walks);
        let resume = |paused: PausedWalk| {
            let options = state.subscriptions.get(&paused.filter)?;
            let (_, parsed) = vhost::parse_subscription(&paused.filter)?;
            let mut cursor = vhost.retained(&parsed);
            paused
                .after
                .into_iter()
                .for_each(|after| cursor.resume_after(after));
            Some(Self::new(paused.filter, cursor, options))
        };
        paused.into_iter().filter_map(resume).collect()
    }

    pub(super) fn pause(self) -> PausedWalk {
        PausedWalk {
            after: self.cursor.position().cloned(),
            filter: self.filter,
        }
    }
}

impl Open {
    /// Sends retained values while there is room.
    pub(super) fn send_retained(&mut self, now: Timestamp, out: &mut OutBuf) -> Progress {
        let mut progress = Progress::Done;
        while let Some(walk) = self.retained.front_mut() {
            let queue = self.session.queue();
            if room(out).is_none() || queue.is_some_and(|queue| queue.has_backlog()) {
                break;
            }
            let message = match walk.cursor.step(now) {
                RetainedStep::Found(message) => message,
                RetainedStep::End => {
                    self.retained.pop_front();
                    continue;
                }
                RetainedStep::Pause => {
                    // Other connections first; being woken is how to come back.
                    let outbox = &self.session.subscriber.outbox;
                    outbox.poke(&mut self.publisher.wakes);
                    break;
                }
            };
            let qos = walk.qos.min(message.qos);
            match queue.filter(|_| qos > QoS::AtMostOnce) {
                Some(queue) => {
                    let mut enqueue = Enqueue::new(&mut self.publisher.wakes);
                    queue.enqueue(now, &message, qos, Some(&walk.matched), &mut enqueue);
                    progress = Progress::Queued;
                }
                None => {
                    self.sending.put_retained(now, &message, &walk.matched, out);
                }
            }
        }
        progress
    }
}
