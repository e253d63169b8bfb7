//! A connection that waits for an element of a list (`BLPOP` and its like).
//!
//! It is a consumer of each queue with one credit for all, so whoever has waited longest is
//! served first, and an element that was handed out is given back unless it is acknowledged.

use std::sync::Arc;

use bytes::Bytes;
use routing::{Consumer, ConsumerId, Credit, Outbox, Queue, Timestamp, Wakes};

use crate::error::Error;
use crate::translate::{List, Side};

/// What is done with the element that comes.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// `BLPOP`, `BRPOP`: key and element.
    One,
    /// `BLMPOP`: key and up to so many elements.
    Many(usize),
    /// `DEBUG SLEEP`: none comes.
    Sleep,
    /// `BLMOVE`: it goes to the end of another list.
    Move(Bytes, Side),
}

/// A wait.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// Marks the deliveries that answer it.
    pub(crate) token: u64,
    pub(crate) keys: Vec<Bytes>,
    pub(crate) side: Side,
    pub(crate) want: Want,
    /// None: it waits for ever.
    pub(crate) deadline: Option<Timestamp>,
    /// Whether `CLIENT REPLY` silences the answer.
    pub(crate) is_silent: bool,
    consumers: Vec<(Arc<Queue>, ConsumerId)>,
    credit: Arc<Credit>,
}

impl Blocked {
    pub(crate) fn new(
        token: u64,
        keys: Vec<Bytes>,
        side: Side,
        want: Want,
        deadline: Option<Timestamp>,
    ) -> Self {
        Self {
            token,
            keys,
            side,
            want,
            deadline,
            is_silent: false,
            consumers: Vec::new(),
            credit: Credit::new(1),
        }
    }

    /// Waits at this list too.
    ///
    /// # Errors
    /// As [`List::consume`].
    pub(crate) fn wait_at(
        &mut self,
        now: Timestamp,
        list: &List,
        outbox: &Arc<Outbox>,
        wakes: &mut Wakes,
    ) -> Result<(), Error> {
        let consumer = Consumer {
            id: ConsumerId::unique(),
            outbox: Arc::clone(outbox),
            token: self.token,
            acknowledges: true,
            exclusive: false,
            priority: 0,
            credit: Credit::new(1),
            shared_credit: Some(Arc::clone(&self.credit)),
        };
        let id = consumer.id;
        list.consume(now, self.side, consumer, wakes)?;
        self.consumers.push((Arc::clone(&list.queue), id));
        Ok(())
    }

    /// Waits no longer: it has been served.
    pub(crate) fn stop(&mut self, now: Timestamp, wakes: &mut Wakes) {
        for (queue, id) in self.consumers.drain(..) {
            queue.cancel(now, id, wakes);
        }
    }

    /// Waits no longer, and gives back what is on its way.
    pub(crate) fn give_up(&mut self, now: Timestamp, wakes: &mut Wakes) {
        for (queue, id) in self.consumers.drain(..) {
            queue.cancel(now, id, wakes);
            queue.release(now, id, wakes);
        }
        self.credit = Credit::new(1);
    }
}
