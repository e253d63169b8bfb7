//! The rest of a run: messages that one connection publishes to the same receivers, one after the
//! other. The first is handed over at once and tells who receives it; those behind it wait for the
//! end of the batch, so that each queue and each receiver's outbox is locked once and not once a
//! message.

use std::sync::Arc;

use crate::message::Message;
use crate::outbox::Wakes;
use crate::route::{Published, Route};
use crate::run::Run;
use crate::time::Timestamp;

/// Messages that wait at most: whoever has to be held up for a full receiver is held up soon.
const MESSAGES_MAX: usize = 64;

/// A run of messages along one route whose receivers are known to take it.
#[derive(Debug, Default)]
pub(crate) struct LiveRun {
    /// The route of the run and what became of its first message.
    first: Option<First>,
    waiting: Vec<Arc<Message>>,
}

#[derive(Debug)]
struct First {
    route: Arc<Route>,
    message: Arc<Message>,
    published: Published,
    /// When it was published: the time of the batch, and so of those behind it.
    at: Timestamp,
}

impl LiveRun {
    /// Begins a run with a message that has just been handed over, if all that it met will do the
    /// same with the next one.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        route: &Arc<Route>,
        message: &Arc<Message>,
        published: Published,
    ) {
        let is_plain = published.refused == 0 && published.receivers > 0 && !message.retain;
        if is_plain && route.takes_runs_of(message) {
            self.first = Some(First {
                route: Arc::clone(route),
                message: Arc::clone(message),
                published,
                at: now,
            });
        }
    }

    /// Takes a message that continues the run; what became of it is what became of the first.
    pub(crate) fn join(&mut self, route: &Arc<Route>, message: &Arc<Message>) -> Option<Published> {
        let first = self.first.as_ref()?;
        let continues = Arc::ptr_eq(&first.route, route)
            && first.message.qos == message.qos
            && first.message.publisher == message.publisher
            && !message.retain
            && self.waiting.len() < MESSAGES_MAX;
        continues.then(|| {
            self.waiting.push(Arc::clone(message));
            first.published
        })
    }

    /// Ends the run and hands over what waits; returns how many deliveries slow receivers refused.
    pub(crate) fn end(&mut self, wakes: &mut Wakes) -> u64 {
        let Some(First { route, at, .. }) = self.first.take() else {
            return 0;
        };
        if self.waiting.is_empty() {
            return 0;
        }
        let run = Run::new(self.waiting.drain(..).collect());
        route.hand_over_run(at, &run, wakes)
    }
}
