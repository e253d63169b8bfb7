//! Lists: views onto queues of the virtual host.
//!
//! | Redis | core |
//! | --- | --- |
//! | key | name of the queue |
//! | a list that is there | a queue with messages; an exclusive one is nobody else's and not seen |
//! | push to a key that is not there | a durable queue is declared (right `configure`) |
//! | element | the body of a persistent message |
//! | push, pop and other reads | rights `write` and `read` on the queue |
//!
//! A list that was begun with `LPUSH` has its newest element at the left, one that was begun with
//! `RPUSH`, or declared by others, at the right. That end is the queue's tail. So with either habit
//! (`LPUSH` and `BRPOP`, `RPUSH` and `BLPOP`) an AMQP consumer takes the oldest element, and what
//! AMQP, MQTT or a binding puts in is the newest. The argument `x-list-newest` says which it is.

use std::sync::Arc;

use bytes::Bytes;
use routing::queue::{End, Enqueued};
use routing::vhost::Declare;
use routing::{
    Access, Address, Consumer, ConsumerId, Delivery, Lsn, Message, MessageBuilder, Name, QoS,
    Queue, QueueOptions, Source, Table, Timestamp, Value,
};

use super::{Bus, ORIGIN};
use crate::error::Error;

/// The longest name of a queue, as AMQP has it.
const NAME_BYTES_MAX: usize = 255;

/// The argument that says at which end the newest element is.
const NEWEST: &str = "x-list-newest";

/// How often a push tries anew when its queue is deleted under its hands.
const TRIES: usize = 8;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The element of index 0.
    Left,
    /// The element of index -1.
    Right,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What changes with every element that comes or goes: how far the queue has grown to the left and
/// to the right, and its length.
pub(crate) type Revision = (u64, u64, usize);

/// What a new list is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewList {
    /// Where its newest element is.
    pub(crate) newest: Side,
    /// How long its queue stays when it is empty and unused.
    pub(crate) empty_expires_ms: u64,
    /// Queues of the virtual host beyond which no new one is made.
    pub(crate) queues_max: usize,
}

/// A queue seen as a list.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) queue: Arc<Queue>,
    newest: Side,
}

/// Elements that were pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushed {
    /// Elements in the list then.
    pub(crate) len: usize,
    /// They are safe once the journal is durable up to here.
    pub(crate) lsn: Option<Lsn>,
}

impl Bus {
    /// The list of that key, empty ones included.
    ///
    /// # Errors
    /// [`Error::KeyDenied`] without the right.
    pub(crate) fn list(&self, access: Access, key: &[u8]) -> Result<Option<List>, Error> {
        let Some(list) = self.find(key) else {
            return Ok(None);
        };
        self.check_key(access, &list.queue.name)?;
        Ok(Some(list))
    }

    /// Whether there is a list with elements.
    pub(crate) fn has_list(&self, key: &[u8]) -> bool {
        self.find(key).is_some_and(|list| list.len() > 0)
    }

    /// What changes with the list. None while nothing has ever been in it: who waits at a list that
    /// is not there makes its queue, and changes nothing.
    pub(crate) fn list_revision(&self, key: &[u8]) -> Option<Revision> {
        let revision = self.find(key)?.queue.revision();
        Some(revision).filter(|(first, next, _)| first != next)
    }

    /// Names of all lists with elements that the user may read, in no order.
    pub(crate) fn lists(&self) -> Vec<Bytes> {
        let queues = self.vhost().queues();
        let seen = queues.iter().filter(|queue| {
            queue.options.exclusive.is_none()
                && queue.has_backlog()
                && self.check_key(Access::Read, &queue.name).is_ok()
        });
        seen.map(|queue| Bytes::copy_from_slice(queue.name.as_bytes()))
            .collect()
    }

    /// Empties the lists that Redis clients began, as far as the user may.
    pub(crate) fn empty_lists(&self) {
        for queue in self.vhost().queues() {
            let is_own = queue.policy().empty_max_ms.is_some();
            if is_own && self.check_key(Access::Read, &queue.name).is_ok() {
                queue.purge();
            }
        }
    }

    /// The list of that key; makes it if it is not there.
    ///
    /// # Errors
    /// [`Error::KeyDenied`] without the right, or where the name belongs to somebody else's
    /// exclusive queue; [`Error::NoListName`]; [`Error::Limit`].
    pub(crate) fn list_or_new(
        &self,
        now: Timestamp,
        access: Access,
        key: &[u8],
        new: NewList,
    ) -> Result<(List, Option<Lsn>), Error> {
        if let Some(list) = self.list(access, key)? {
            return Ok((list, None));
        }
        let name = std::str::from_utf8(key).map_err(|_| Error::NoListName)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with("amq.") {
            return Err(Error::NoListName);
        }
        self.check_key(Access::Configure, name)?;
        self.check_key(access, name)?;
        if self.vhost().queue_count() >= new.queues_max {
            return Err(Error::Limit {
                what: "queues",
                max: new.queues_max,
            });
        }
        let expires = i64::try_from(new.empty_expires_ms).unwrap_or(i64::MAX);
        let mut arguments = Table::default();
        arguments.push(NEWEST, Value::Text(new.newest.name().into()));
        arguments.push("x-empty-expires", Value::I64(expires));
        let options = QueueOptions {
            durable: true,
            arguments,
            ..QueueOptions::default()
        };
        let connection = self.connection;
        let declared = self
            .vhost()
            .declare_queue(now, connection, &name.into(), options);
        let (queue, declared) = declared.map_err(|_| Error::KeyDenied)?;
        let lsn = match declared {
            Declare::Created(lsn) | Declare::Existed(lsn) => lsn,
        };
        Ok((List::of(queue), lsn))
    }

    /// Pushes elements, one after the other.
    ///
    /// # Errors
    /// As [`Bus::list_or_new`]; [`Error::Full`] when the queue refuses some of them.
    pub(crate) fn push(
        &mut self,
        now: Timestamp,
        key: &[u8],
        side: Side,
        elements: impl Iterator<Item = Bytes>,
        new: NewList,
    ) -> Result<Pushed, Error> {
        let messages = elements.map(|element| self.element(key, element));
        let messages = messages.collect::<Vec<_>>();
        for _ in 0..TRIES {
            let (list, declared) = self.list_or_new(now, Access::Write, key, new)?;
            let end = list.end(side);
            let put = list
                .queue
                .put_at(now, end, &messages, &mut self.publisher.wakes);
            match put.outcome {
                Enqueued::Accepted => {
                    return Ok(Pushed {
                        len: put.messages,
                        lsn: put.lsn.max(declared),
                    });
                }
                Enqueued::Rejected => return Err(Error::Full),
                Enqueued::Gone => {}
            }
        }
        Err(Error::Full)
    }

    fn element(&self, key: &[u8], payload: Bytes) -> Arc<Message> {
        let address = Address::from_routing_key(&Bytes::copy_from_slice(key));
        let mut builder = MessageBuilder::new(address, Name::default(), payload, &ORIGIN);
        builder.publisher = Some(self.subscriber.id);
        builder.qos = QoS::AtLeastOnce;
        builder.build()
    }

    fn find(&self, key: &[u8]) -> Option<List> {
        let name = std::str::from_utf8(key).ok()?;
        let queue = self.vhost().queue(name).ok()?;
        queue.check_owner(self.connection).ok()?;
        Some(List::of(queue))
    }

    fn check_key(&self, access: Access, name: &str) -> Result<(), Error> {
        let is_allowed = self.identity.may(&self.vhost().name, access, name);
        is_allowed.then_some(()).ok_or(Error::KeyDenied)
    }

    /// Where wake-ups are gathered until the end of the batch.
    pub(crate) const fn wakes(&mut self) -> &mut routing::Wakes {
        &mut self.publisher.wakes
    }
}

impl List {
    fn of(queue: Arc<Queue>) -> Self {
        let newest = queue.options.arguments.get(NEWEST).and_then(Value::as_str);
        let newest = match newest {
            Some("left") => Side::Left,
            _ => Side::Right,
        };
        Self { queue, newest }
    }

    pub(crate) fn end(&self, side: Side) -> End {
        if side == self.newest {
            End::Tail
        } else {
            End::Head
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.status().messages
    }

    /// Takes up to `count` elements from one side.
    pub(crate) fn pop(&self, now: Timestamp, side: Side, count: usize) -> Vec<Bytes> {
        let taken = self.queue.take_at(now, self.end(side), count);
        taken
            .iter()
            .map(|message| message.payload.clone())
            .collect()
    }

    /// Takes one element that is given back unless it is acknowledged.
    pub(crate) fn hold(&self, now: Timestamp, side: Side) -> Option<Held> {
        let owner = ConsumerId::unique();
        let delivery = self.queue.hold_at(now, self.end(side), owner)?;
        Held::of(delivery)
    }

    /// The elements from `start` on, left where they are.
    pub(crate) fn range(&self, now: Timestamp, start: usize, count: usize) -> Vec<Bytes> {
        let len = self.len();
        let count = count.min(len.saturating_sub(start));
        let (from, is_reversed) = match self.newest {
            Side::Right => (start, false),
            Side::Left => (len.saturating_sub(start + count), true),
        };
        let messages = self.queue.peek(now, from, count);
        let mut elements: Vec<_> = messages.iter().map(|m| m.payload.clone()).collect();
        if is_reversed {
            elements.reverse();
        }
        elements
    }

    /// Removes up to `max` elements that are equal, looking from one side.
    pub(crate) fn remove(&self, now: Timestamp, from: Side, max: usize, element: &[u8]) -> usize {
        self.queue.remove_equal(now, self.end(from), max, element)
    }

    /// Removes so many elements from each side.
    pub(crate) fn trim(&self, now: Timestamp, left: usize, right: usize) {
        match self.end(Side::Left) {
            End::Head => self.queue.trim(now, left, right),
            End::Tail => self.queue.trim(now, right, left),
        }
    }

    /// Gives the next element that there is to this consumer.
    ///
    /// # Errors
    /// [`Error::KeyDenied`]: another consumer has the queue for itself, or the queue is gone.
    pub(crate) fn consume(
        &self,
        now: Timestamp,
        side: Side,
        consumer: Consumer,
        wakes: &mut routing::Wakes,
    ) -> Result<(), Error> {
        let added = match self.end(side) {
            End::Head => self.queue.consume(now, consumer, wakes),
            End::Tail => self.queue.consume_from_tail(now, consumer, wakes),
        };
        added.map_err(|_| Error::KeyDenied)
    }
}

/// An element that was taken and is not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) element: Bytes,
    from: routing::delivery::QueueDelivery,
}

impl Held {
    pub(crate) fn of(delivery: Delivery) -> Option<Self> {
        match delivery.source {
            Source::Queue(from) => Some(Self {
                element: delivery.message.payload.clone(),
                from,
            }),
            Source::Subscription(_) => None,
        }
    }

    pub(crate) const fn token(&self) -> u64 {
        self.from.token
    }

    /// The list that it came from.
    pub(crate) fn list(&self) -> List {
        List::of(Arc::clone(&self.from.queue))
    }

    /// It is gone.
    pub(crate) fn acknowledge(self, now: Timestamp, wakes: &mut routing::Wakes) {
        let seqs = [self.from.seq];
        self.from
            .queue
            .acknowledge_of(now, self.from.consumer, &seqs, wakes);
    }

    /// It returns to its place, as if it had not been taken.
    pub(crate) fn put_back(self, now: Timestamp, wakes: &mut routing::Wakes) {
        self.from.queue.untake(now, &[self.from.seq], wakes);
    }
}
