//! The bounded hand-off from the core to one connection.
//!
//! Publishers push, the connection takes. A push never waits: a queue asks for room first and
//! stops giving when there is none; a live subscription's message is dropped and counted, or ends
//! the connection, as the owner's [`Overflow`] says. Wake-ups are gathered in [`Wakes`] so that a
//! batch wakes each receiver once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::delivery::{Delivery, Matched, Source};
use crate::ids::ConnectionId;
use crate::message::Message;
use crate::queue::Queue;
use crate::sync::{Mutex, Rank};

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Items.
    pub items_max: usize,
    /// Bytes of all messages together, as [`crate::Message::cost_bytes`] counts them.
    pub bytes_max: usize,
    /// What becomes of a live subscription's message that finds no room.
    pub overflow: Overflow,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            items_max: 65_536,
            bytes_max: 32 << 20,
            overflow: Overflow::DropNewest,
        }
    }
}

/// What becomes of a live subscription's message that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped and counted.
    DropNewest,
    /// The oldest live message is dropped and counted instead.
    DropOldest,
    /// The receiver is disconnected, as Redis does.
    Disconnect,
    /// It is taken all the same, and its publisher is held up until there is room again
    /// ([`Outbox::wait_for_room`]). What comes beyond twice the limits, from publishers that have
    /// not stopped yet, is dropped and counted.
    HoldPublisher,
}

/// One thing for a connection.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message.
    Delivery(Delivery),
    /// News.
    Event(Event),
}

/// News for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The queue of a consumer is gone.
    ConsumerCancelled {
        /// The front's own key of the consumer.
        token: u64,
    },
    /// An administrator or another client ends this connection.
    Close {
        /// Why, for the log and where the protocol can say it.
        reason: String,
    },
}

/// What a connection is to its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The owner.
    Owner,
    /// Another connection has taken over.
    TakenOver,
    /// The owner, but it fell too far behind and has to go.
    Overflowed,
}

/// The outbox; shared between its connection and everybody who has something for it.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    owner: Option<ConnectionId>,
    items: VecDeque<Item>,
    bytes: usize,
    limits: OutboxLimits,
    waker: Option<Waker>,
    /// Something happened since the owner last looked.
    stirred: bool,
    overflowed: bool,
    dropped: u64,
    /// Queues that found no room and want to be pumped when there is.
    starved: Vec<Arc<Queue>>,
    /// Publishers' outboxes, to be woken when there is room.
    held: Vec<Arc<Outbox>>,
}

impl Outbox {
    /// An outbox without an owner: it takes nothing until somebody attaches.
    #[must_use]
    pub fn detached() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(
                Rank::Outbox,
                State {
                    owner: None,
                    items: VecDeque::new(),
                    bytes: 0,
                    limits: OutboxLimits::default(),
                    waker: None,
                    stirred: false,
                    overflowed: false,
                    dropped: 0,
                    starved: Vec::new(),
                    held: Vec::new(),
                },
            ),
        })
    }

    /// An outbox of this connection.
    #[must_use]
    pub fn attached(owner: ConnectionId, limits: OutboxLimits) -> Arc<Self> {
        let outbox = Self::detached();
        outbox.attach(owner, limits);
        outbox
    }

    /// Makes this connection the owner; a former owner is woken to find itself
    /// [`Standing::TakenOver`]. What waits stays.
    pub fn attach(&self, owner: ConnectionId, limits: OutboxLimits) {
        let (former, held) = {
            let mut state = self.state.lock();
            state.owner = Some(owner);
            state.limits = limits;
            state.overflowed = false;
            (state.waker.take(), std::mem::take(&mut state.held))
        };
        former.into_iter().for_each(Waker::wake);
        let_go(&held);
    }

    /// Whether a publisher has to wait until there is room here; if so, it is woken then by its
    /// own outbox.
    #[must_use]
    pub fn wait_for_room(&self, publisher: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        let is_held = state.owner.is_some() && !state.overflowed && !state.is_half_empty();
        if is_held && !state.held.iter().any(|known| Arc::ptr_eq(known, publisher)) {
            state.held.push(Arc::clone(publisher));
        }
        is_held
    }

    /// Ends this connection's ownership, if it still has it, and wakes it to find out; returns what
    /// waited.
    pub fn detach(&self, owner: ConnectionId) -> Vec<Item> {
        let (items, waker, held) = {
            let mut state = self.state.lock();
            if state.owner != Some(owner) {
                return Vec::new();
            }
            state.owner = None;
            state.starved.clear();
            state.bytes = 0;
            let held = std::mem::take(&mut state.held);
            (std::mem::take(&mut state.items), state.waker.take(), held)
        };
        waker.into_iter().for_each(Waker::wake);
        let_go(&held);
        items.into()
    }

    /// Takes what queues have put in, and nothing else: they want it back.
    pub(crate) fn drain_queue_deliveries(&self) -> Vec<Item> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let from_queue = |item: &Item| {
            matches!(
                item,
                Item::Delivery(Delivery {
                    source: Source::Queue(_),
                    ..
                })
            )
        };
        let mut drained = Vec::new();
        let (kept, bytes) = (&mut state.items, &mut state.bytes);
        let all = std::mem::take(kept);
        for item in all {
            if from_queue(&item) {
                if let Item::Delivery(delivery) = &item {
                    *bytes -= delivery.message.cost_bytes();
                }
                drained.push(item);
            } else {
                kept.push_back(item);
            }
        }
        drained
    }

    /// The connection that takes from here.
    #[must_use]
    pub fn owner(&self) -> Option<ConnectionId> {
        self.state.lock().owner
    }

    /// What this connection is here.
    #[must_use]
    pub fn standing(&self, connection: ConnectionId) -> Standing {
        self.state.lock().standing(connection)
    }

    /// Changes the limits.
    pub fn set_limits(&self, limits: OutboxLimits) {
        self.state.lock().limits = limits;
    }

    /// Messages' bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a message that comes now would be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state.lock().has_room(0)
    }

    /// Messages dropped here for lack of room, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    /// Puts a live subscription's message in; false when it was dropped.
    pub fn push(self: &Arc<Self>, delivery: Delivery, wakes: &mut Wakes) -> bool {
        let mut state = self.state.lock();
        if state.owner.is_none() || state.overflowed {
            return false;
        }
        let (accepted, has_room) = state.admit(delivery);
        if state.limits.overflow == Overflow::HoldPublisher {
            wakes.may_hold = true;
            if !has_room {
                wakes.full = Some(Arc::clone(self));
            }
        }
        self.stir(state, wakes);
        accepted
    }

    /// [`Outbox::push`] of several messages that matched the same; returns how many were dropped,
    /// none when there is no owner.
    pub(crate) fn push_all(
        self: &Arc<Self>,
        messages: &[Arc<Message>],
        matched: &Arc<Matched>,
        wakes: &mut Wakes,
    ) -> u64 {
        let mut state = self.state.lock();
        if state.owner.is_none() {
            return 0;
        }
        let mut dropped = 0;
        for message in messages {
            let is_taken = !state.overflowed && {
                let source = Source::Subscription(Arc::clone(matched));
                let message = Arc::clone(message);
                state.admit(Delivery { message, source }).0
            };
            dropped += u64::from(!is_taken);
        }
        self.stir(state, wakes);
        dropped
    }

    /// Puts a queue's message in, if there is an owner and room. Otherwise gives it back, and the
    /// owner will pump the queue when there is room again.
    ///
    /// # Errors
    /// The delivery, when it was not taken.
    pub fn offer(self: &Arc<Self>, delivery: Delivery, wakes: &mut Wakes) -> Result<(), Delivery> {
        let mut state = self.state.lock();
        if state.owner.is_none() || state.overflowed {
            return Err(delivery);
        }
        if !state.has_room(delivery.message.cost_bytes()) {
            if let Source::Queue(from) = &delivery.source {
                state.starve(&from.queue);
            }
            return Err(delivery);
        }
        state.put(delivery);
        self.stir(state, wakes);
        Ok(())
    }

    /// Puts news in; news is never dropped, and never many.
    pub fn notify(self: &Arc<Self>, event: Event, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if state.owner.is_some() {
            state.items.push_back(Item::Event(event));
            self.stir(state, wakes);
        }
    }

    /// Wakes the owner without putting anything in: the durable position moved.
    pub fn poke(self: &Arc<Self>, wakes: &mut Wakes) {
        self.stir(self.state.lock(), wakes);
    }

    /// Takes items until they cost more than `bytes_max`, in order, and names the queues that may
    /// give again. Takes nothing unless the connection is the owner.
    pub fn take(
        &self,
        connection: ConnectionId,
        bytes_max: usize,
        into: &mut VecDeque<Item>,
        room_for: &mut Vec<Arc<Queue>>,
    ) -> Standing {
        let mut held = Vec::new();
        let mut state = self.state.lock();
        let standing = state.standing(connection);
        if standing == Standing::Owner {
            state.stirred = false;
            state.take(bytes_max, into);
            if state.is_half_empty() {
                room_for.append(&mut state.starved);
                held.append(&mut state.held);
            }
            if state.items.is_empty() && state.items.capacity() > 1024 {
                state.items = VecDeque::new();
            }
        }
        drop(state);
        let_go(&held);
        standing
    }

    /// Ready when something happened since the last [`Outbox::take`], or ownership was lost.
    pub fn poll_stirred(&self, connection: ConnectionId, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.stirred || state.standing(connection) != Standing::Owner {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn stir(self: &Arc<Self>, mut state: crate::sync::Guard<'_, State>, wakes: &mut Wakes) {
        if !state.stirred {
            state.stirred = true;
            wakes.outboxes.push(Arc::clone(self));
        }
    }

    fn wake(&self) {
        let waker = self.state.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn standing(&self, connection: ConnectionId) -> Standing {
        match self.owner {
            Some(owner) if owner == connection && self.overflowed => Standing::Overflowed,
            Some(owner) if owner == connection => Standing::Owner,
            _ => Standing::TakenOver,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        // An empty outbox takes any message, however large.
        self.bytes == 0
            || (self.items.len() < self.limits.items_max
                && self.bytes + bytes <= self.limits.bytes_max)
    }

    fn is_half_empty(&self) -> bool {
        self.bytes <= self.limits.bytes_max / 2 && self.items.len() <= self.limits.items_max / 2
    }

    /// Makes room for a live message as the overflow rule says; false when there is none.
    fn make_room(&mut self, bytes: usize) -> bool {
        let limits = self.limits;
        if limits.overflow == Overflow::HoldPublisher
            && self.items.len() / 2 < limits.items_max
            && self.bytes.saturating_add(bytes) / 2 <= limits.bytes_max
        {
            return true;
        }
        self.dropped += 1;
        match limits.overflow {
            Overflow::DropNewest | Overflow::HoldPublisher => false,
            Overflow::DropOldest => {
                while !self.has_room(bytes) && self.drop_oldest() {}
                self.has_room(bytes)
            }
            Overflow::Disconnect => {
                self.overflowed = true;
                false
            }
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let live = |item: &Item| {
            matches!(
                item,
                Item::Delivery(Delivery {
                    source: Source::Subscription(_),
                    ..
                })
            )
        };
        let oldest = self
            .items
            .iter()
            .position(live)
            .and_then(|at| self.items.remove(at));
        if let Some(Item::Delivery(delivery)) = &oldest {
            self.bytes -= delivery.message.cost_bytes();
        }
        oldest.is_some()
    }

    /// Puts a live subscription's message in, if there is room or can be made; returns whether it
    /// was, and whether there was room.
    fn admit(&mut self, delivery: Delivery) -> (bool, bool) {
        let bytes = delivery.message.cost_bytes();
        let has_room = self.has_room(bytes);
        let accepted = has_room || self.make_room(bytes);
        if accepted {
            self.put(delivery);
        }
        (accepted, has_room)
    }

    fn put(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.cost_bytes();
        self.items.push_back(Item::Delivery(delivery));
    }

    fn take(&mut self, bytes_max: usize, into: &mut VecDeque<Item>) {
        // Mostly all of it fits: then the whole queue changes hands, and no item is moved.
        if into.is_empty() && self.bytes <= bytes_max {
            std::mem::swap(&mut self.items, into);
            self.bytes = 0;
            self.stirred = false;
            return;
        }
        let mut taken = 0;
        while taken < bytes_max {
            let Some(item) = self.items.pop_front() else {
                break;
            };
            if let Item::Delivery(delivery) = &item {
                taken += delivery.message.cost_bytes();
            }
            into.push_back(item);
        }
        self.bytes -= taken;
        // What is left counts as news, so that the owner comes back for it.
        self.stirred = !self.items.is_empty();
    }

    fn starve(&mut self, queue: &Arc<Queue>) {
        if !self.starved.iter().any(|known| Arc::ptr_eq(known, queue)) {
            self.starved.push(Arc::clone(queue));
        }
    }
}

/// Wakes publishers that were held up.
fn let_go(held: &[Arc<Outbox>]) {
    let mut wakes = Wakes::default();
    held.iter().for_each(|outbox| outbox.poke(&mut wakes));
}

/// Outboxes to wake when a batch is done. Dropping it wakes them.
#[derive(Debug, Default)]
pub struct Wakes {
    outboxes: Vec<Arc<Outbox>>,
    /// One that was full, and whose publishers are to be held up.
    full: Option<Arc<Outbox>>,
    /// A live message went to one that holds its publishers up when it is full.
    pub(crate) may_hold: bool,
}

impl Wakes {
    /// Wakes every connection that got something.
    pub fn wake_all(&mut self) {
        self.outboxes.drain(..).for_each(|outbox| outbox.wake());
    }

    /// Whether this batch has met an outbox that was full.
    #[must_use]
    pub const fn has_full(&self) -> bool {
        self.full.is_some()
    }

    /// The outbox for whose sake the publisher of this batch is to wait, if there is one.
    pub const fn take_full(&mut self) -> Option<Arc<Outbox>> {
        self.full.take()
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake_all();
    }
}
