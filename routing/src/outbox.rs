//! The bounded hand-off from the core to one connection.
//!
//! Publishers push, the connection takes. A push never waits: a queue asks for room first and
//! stops giving when there is none; a live subscription's message is dropped and counted, or ends
//! the connection, as the owner's [`Overflow`] says. Wake-ups are gathered in [`Wakes`] so that a
//! batch wakes each receiver once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

mod item;
mod state;
#[cfg(test)]
mod tests;

use crate::delivery::{Delivery, Matched, Source};
use crate::ids::ConnectionId;
use crate::queue::Queue;
use crate::run::Run;
use crate::sync::{Mutex, Rank};
pub use item::{Event, Item};
use state::State;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Messages and news.
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

impl Outbox {
    /// An outbox without an owner: it takes nothing until somebody attaches.
    #[must_use]
    pub fn detached() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Rank::Outbox, State::default()),
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
            let held = std::mem::take(&mut state.held);
            (state.take_all(), state.waker.take(), held)
        };
        waker.into_iter().for_each(Waker::wake);
        let_go(&held);
        items.into()
    }

    /// Takes what queues have put in, and nothing else: they want it back.
    pub(crate) fn drain_queue_deliveries(&self) -> Vec<Item> {
        let mut state = self.state.lock();
        let all = state.take_all().into_iter();
        let (drained, kept) = all.partition::<Vec<_>, _>(Item::is_from_queue);
        kept.into_iter().for_each(|item| state.put(item));
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

    /// Messages and news that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().waiting
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a message that comes now would be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state.lock().has_room(1, 0)
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

    /// [`Outbox::push`] of all messages of a run; returns how many were dropped, none when there is
    /// no owner.
    pub(crate) fn push_run(
        self: &Arc<Self>,
        run: &Arc<Run>,
        matched: &Arc<Matched>,
        wakes: &mut Wakes,
    ) -> u64 {
        let mut state = self.state.lock();
        if state.owner.is_none() {
            return 0;
        }
        let dropped = state.admit_run(run, matched);
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
        if !state.has_room(1, delivery.message.cost_bytes()) {
            if let Source::Queue(from) = &delivery.source {
                state.starve(&from.queue);
            }
            return Err(delivery);
        }
        state.put(Item::Delivery(delivery));
        self.stir(state, wakes);
        Ok(())
    }

    /// [`Outbox::offer`] of all messages of a run for a consumer that does not acknowledge: true
    /// when all were taken, false when none was.
    pub(crate) fn offer_run(
        self: &Arc<Self>,
        run: &Arc<Run>,
        token: u64,
        wakes: &mut Wakes,
    ) -> bool {
        let mut state = self.state.lock();
        if state.owner.is_none() || state.overflowed || !state.has_room_for_run(run) {
            return false;
        }
        let run = Arc::clone(run);
        state.put(Item::QueueRun { run, token });
        self.stir(state, wakes);
        true
    }

    /// Puts news in; news is never dropped, and never many.
    pub fn notify(self: &Arc<Self>, event: Event, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if state.owner.is_some() {
            state.put(Item::Event(event));
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
            state.give_memory_back();
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
