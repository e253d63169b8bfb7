//! What an outbox's lock guards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::item::{self, Item};
use super::{Outbox, OutboxLimits, Overflow, Standing};
use crate::delivery::{Delivery, Matched};
use crate::ids::ConnectionId;
use crate::queue::Queue;
use crate::run::{RUN_BYTES_MAX, Run};

/// The part of an outbox's limits up to which a run is dropped whole.
const LITTLE: usize = 16;

/// From this capacity on, an empty queue's memory is given back.
const SPARE_ITEMS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) owner: Option<ConnectionId>,
    items: VecDeque<Item>,
    /// Messages and news among the items.
    pub(super) waiting: usize,
    pub(super) bytes: usize,
    pub(super) limits: OutboxLimits,
    pub(super) waker: Option<Waker>,
    /// Something happened since the owner last looked.
    pub(super) stirred: bool,
    pub(super) overflowed: bool,
    pub(super) dropped: u64,
    /// Queues that found no room and want to be pumped when there is.
    pub(super) starved: Vec<Arc<Queue>>,
    /// Publishers' outboxes, to be woken when there is room.
    pub(super) held: Vec<Arc<Outbox>>,
}

impl State {
    pub(super) fn standing(&self, connection: ConnectionId) -> Standing {
        match self.owner {
            Some(owner) if owner == connection && self.overflowed => Standing::Overflowed,
            Some(owner) if owner == connection => Standing::Owner,
            _ => Standing::TakenOver,
        }
    }

    /// Whether there is room for so many more messages of so many bytes together.
    pub(super) const fn has_room(&self, messages: usize, bytes: usize) -> bool {
        // An empty outbox takes any message, however large.
        (messages == 1 && self.bytes == 0)
            || (self.waiting + messages <= self.limits.items_max
                && self.bytes + bytes <= self.limits.bytes_max)
    }

    pub(super) const fn is_half_empty(&self) -> bool {
        self.bytes <= self.limits.bytes_max / 2 && self.waiting <= self.limits.items_max / 2
    }

    /// Makes room for a live message as the overflow rule says; false when there is none.
    fn make_room(&mut self, bytes: usize) -> bool {
        let limits = self.limits;
        if limits.overflow == Overflow::HoldPublisher
            && self.waiting / 2 < limits.items_max
            && self.bytes.saturating_add(bytes) / 2 <= limits.bytes_max
        {
            return true;
        }
        let has_room = limits.overflow == Overflow::DropOldest && self.drop_oldest_for(1, bytes);
        self.dropped += u64::from(!has_room);
        self.overflowed = limits.overflow == Overflow::Disconnect;
        has_room
    }

    /// Drops the oldest live messages until there is room for so many of so many bytes together;
    /// false when there is none even so.
    fn drop_oldest_for(&mut self, messages: usize, bytes: usize) -> bool {
        while !self.has_room(messages, bytes) {
            let Some(at) = self.items.iter().position(Item::is_live) else {
                return false;
            };
            if let Some(Item::Run(run, matched)) = self.items.get(at)
                && !self.is_little(run)
            {
                let deliveries: Vec<_> = item::deliveries(run, matched).collect();
                self.items.remove(at);
                for delivery in deliveries.into_iter().rev() {
                    self.items.insert(at, Item::Delivery(delivery));
                }
            }
            if let Some(oldest) = self.items.remove(at) {
                self.forget(&oldest);
                self.dropped += u64::try_from(oldest.count()).unwrap_or(0);
            }
        }
        true
    }

    /// Whether a run is so little beside the limits that it may be dropped whole.
    fn is_little(&self, run: &Run) -> bool {
        run.messages().len() <= self.limits.items_max / LITTLE
            && run.cost_bytes() <= self.limits.bytes_max / LITTLE
    }

    /// Puts a live subscription's message in, if there is room or can be made; returns whether it
    /// was, and whether there was room.
    pub(super) fn admit(&mut self, delivery: Delivery) -> (bool, bool) {
        let bytes = delivery.message.cost_bytes();
        let has_room = self.has_room(1, bytes);
        let accepted = has_room || self.make_room(bytes);
        if accepted {
            self.put(Item::Delivery(delivery));
        }
        (accepted, has_room)
    }

    /// [`State::admit`] of all messages of a run; returns how many were dropped.
    pub(super) fn admit_run(&mut self, run: &Arc<Run>, matched: &Arc<Matched>) -> u64 {
        if !self.overflowed && (self.has_room_for_run(run) || self.make_room_for_run(run)) {
            self.put(Item::Run(Arc::clone(run), Arc::clone(matched)));
            return 0;
        }
        let mut dropped = 0;
        for delivery in item::deliveries(run, matched) {
            let is_taken = !self.overflowed && self.admit(delivery).0;
            dropped += u64::from(!is_taken);
        }
        dropped
    }

    /// Whether a run may be put in as one item.
    pub(super) fn has_room_for_run(&self, run: &Run) -> bool {
        run.cost_bytes() <= RUN_BYTES_MAX && self.has_room(run.messages().len(), run.cost_bytes())
    }

    /// Lets the oldest give way to a whole run, where that is the rule.
    fn make_room_for_run(&mut self, run: &Run) -> bool {
        self.limits.overflow == Overflow::DropOldest
            && run.cost_bytes() <= RUN_BYTES_MAX
            && self.is_little(run)
            && self.drop_oldest_for(run.messages().len(), run.cost_bytes())
    }

    pub(super) fn put(&mut self, item: Item) {
        self.bytes += item.cost_bytes();
        self.waiting += item.count();
        self.items.push_back(item);
    }

    fn forget(&mut self, item: &Item) {
        self.bytes -= item.cost_bytes();
        self.waiting -= item.count();
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> VecDeque<Item> {
        (self.bytes, self.waiting) = (0, 0);
        std::mem::take(&mut self.items)
    }

    pub(super) fn take(&mut self, bytes_max: usize, into: &mut VecDeque<Item>) {
        // Mostly all of it fits: then the whole queue changes hands, and no item is moved.
        if into.is_empty() && self.bytes <= bytes_max {
            std::mem::swap(&mut self.items, into);
            (self.bytes, self.waiting) = (0, 0);
            self.stirred = false;
            return;
        }
        let mut taken = 0;
        while taken < bytes_max {
            let Some(item) = self.items.pop_front() else {
                break;
            };
            taken += item.cost_bytes();
            self.forget(&item);
            into.push_back(item);
        }
        // What is left counts as news, so that the owner comes back for it.
        self.stirred = !self.items.is_empty();
    }

    /// Gives back what a long queue took, once it is empty.
    pub(super) fn give_memory_back(&mut self) {
        if self.items.is_empty() && self.items.capacity() > SPARE_ITEMS_MAX {
            self.items = VecDeque::new();
        }
    }

    pub(super) fn starve(&mut self, queue: &Arc<Queue>) {
        if !self.starved.iter().any(|known| Arc::ptr_eq(known, queue)) {
            self.starved.push(Arc::clone(queue));
        }
    }
}
