//! The rest of a run: messages that one connection publishes to the same live receivers, one
//! after the other. The first is handed over at once and tells who receives it; those behind it
//! wait for the end of the batch, so that each receiver's outbox is locked once and not once a
//! message.

use std::sync::Arc;

use crate::message::Message;
use crate::outbox::Wakes;
use crate::route::{Published, Route};
use crate::run::Run;

/// Messages that wait at most: whoever has to be held up for a full receiver is held up soon.
const MESSAGES_MAX: usize = 64;

/// A run of messages along one route to live receivers alone.
#[derive(Debug, Default)]
pub(crate) struct LiveRun {
    /// The route of the run and what became of its first message.
    first: Option<(Arc<Route>, Arc<Message>, Published)>,
    waiting: Vec<Arc<Message>>,
}

impl LiveRun {
    /// Begins a run with a message that has just been handed over, if all that it met will do the
    /// same with the next one.
    pub(crate) fn begin(
        &mut self,
        route: &Arc<Route>,
        message: &Arc<Message>,
        published: Published,
    ) {
        let is_plain = published.refused == 0 && published.receivers > 0 && !message.retain;
        if is_plain && route.is_live_for(message) {
            self.first = Some((Arc::clone(route), Arc::clone(message), published));
        }
    }

    /// Takes a message that continues the run; what became of it is what became of the first.
    pub(crate) fn join(&mut self, route: &Arc<Route>, message: &Arc<Message>) -> Option<Published> {
        let (known, first, published) = self.first.as_ref()?;
        let continues = Arc::ptr_eq(known, route)
            && first.qos == message.qos
            && first.publisher == message.publisher
            && !message.retain
            && self.waiting.len() < MESSAGES_MAX;
        continues.then(|| {
            self.waiting.push(Arc::clone(message));
            *published
        })
    }

    /// Ends the run and hands over what waits; returns how many deliveries slow receivers refused.
    pub(crate) fn end(&mut self, wakes: &mut Wakes) -> u64 {
        let Some((route, ..)) = self.first.take() else {
            return 0;
        };
        if self.waiting.is_empty() {
            return 0;
        }
        let run = Run::new(self.waiting.drain(..).collect());
        route.hand_over_run(&run, wakes)
    }
}
