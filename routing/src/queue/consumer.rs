//! Consumers of a queue and their credit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::End;
use crate::delivery::Delivery;
use crate::ids::ConsumerId;
use crate::outbox::{Outbox, Wakes};

/// How many more messages a consumer, or all consumers of a channel together, may have unsettled.
///
/// The queue takes one per message handed out; the front gives them back as they are settled. A
/// limit lowered under what is out leaves it below zero until enough is settled.
pub struct Credit(AtomicI64);

/// More than can ever be out: no limit.
const UNLIMITED: i64 = i64::MAX / 2;

impl Credit {
    /// A credit of `limit` messages; 0 is no limit, as `basic.qos` has it.
    #[must_use]
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(Self::start(limit))))
    }

    /// A credit of `limit` messages of which some are out already.
    #[must_use]
    pub fn with_outstanding(limit: u32, outstanding: usize) -> Arc<Self> {
        let credit = Self::new(limit);
        credit
            .0
            .fetch_sub(i64::try_from(outstanding).unwrap_or(0), Ordering::AcqRel);
        credit
    }

    /// Takes one, though none may be left.
    pub fn hold(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Gives back what was taken.
    pub fn put_back(&self, count: usize) {
        self.0
            .fetch_add(i64::try_from(count).unwrap_or(0), Ordering::AcqRel);
    }

    /// Changes the limit.
    pub fn change_limit(&self, from: u32, to: u32) {
        self.0
            .fetch_add(Self::start(to) - Self::start(from), Ordering::AcqRel);
    }

    /// Whether at least one message may go out.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    const fn start(limit: u32) -> i64 {
        if limit == 0 { UNLIMITED } else { limit as i64 }
    }

    fn take(&self) -> bool {
        let left = |n: i64| (n > 0).then(|| n - 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, left)
            .is_ok()
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.load(Ordering::Relaxed) {
            n if n > UNLIMITED / 2 => f.write_str("Credit(unlimited)"),
            n => write!(f, "Credit({n})"),
        }
    }
}

/// A consumer of a queue.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its identity.
    pub id: ConsumerId,
    /// Where its messages go.
    pub outbox: Arc<Outbox>,
    /// The front's own key of it, returned with each delivery.
    pub token: u64,
    /// Whether messages wait for a settlement; otherwise they are gone once handed out.
    pub acknowledges: bool,
    /// Whether it wants to be the only one.
    pub exclusive: bool,
    /// Higher ones are served first while they have credit; 0 is usual.
    pub priority: i32,
    /// Its own credit. Consumers that do not acknowledge take none.
    pub credit: Arc<Credit>,
    /// The credit that it shares with its channel.
    pub shared_credit: Option<Arc<Credit>>,
}

impl Serving {
    fn includes(self, consumer: &Consumer) -> bool {
        match self {
            Self::All => true,
            Self::One(active) => active == Some(consumer.id),
        }
    }
}

impl Consumer {
    fn has_credit(&self) -> bool {
        !self.acknowledges
            || (self.credit.is_available()
                && self
                    .shared_credit
                    .as_ref()
                    .is_none_or(|credit| credit.is_available()))
    }

    /// Takes credit, all or nothing.
    fn take_credit(&self) -> bool {
        if !self.acknowledges {
            return true;
        }
        if !self.credit.take() {
            return false;
        }
        if self
            .shared_credit
            .as_ref()
            .is_none_or(|credit| credit.take())
        {
            return true;
        }
        self.credit.put_back(1);
        false
    }

    /// Gives it a delivery if it has credit and room.
    pub(super) fn try_give(
        &self,
        wakes: &mut Wakes,
        delivery: &impl Fn(&Self) -> Delivery,
    ) -> bool {
        if !self.has_credit() || !self.take_credit() {
            return false;
        }
        let taken = self.outbox.offer(delivery(self), wakes).is_ok();
        if !taken {
            self.return_credit();
        }
        taken
    }

    fn return_credit(&self) {
        if self.acknowledges {
            self.credit.put_back(1);
            self.shared_credit
                .iter()
                .for_each(|credit| credit.put_back(1));
        }
    }
}

/// All consumers of a queue, highest priority first, in turn within one priority.
#[derive(Debug)]
pub(super) struct Consumers {
    list: Vec<Consumer>,
    serving: Serving,
    /// Those that take from the tail, longest waiting first.
    at_tail: Vec<ConsumerId>,
}

/// Which consumers are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    All,
    /// This one, until it goes.
    One(Option<ConsumerId>),
}

impl Consumers {
    pub(super) const fn new(is_single_active: bool) -> Self {
        let serving = if is_single_active {
            Serving::One(None)
        } else {
            Serving::All
        };
        Self {
            list: Vec::new(),
            serving,
            at_tail: Vec::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a consumer; false when exclusiveness forbids it.
    pub(super) fn add(&mut self, consumer: Consumer, end: End) -> bool {
        let taken = self.list.iter().any(|other| other.exclusive);
        let may_be_exclusive = self.list.is_empty() && self.serving == Serving::All;
        if taken || (consumer.exclusive && !may_be_exclusive) {
            return false;
        }
        if self.serving == Serving::One(None) {
            self.serving = Serving::One(Some(consumer.id));
        }
        if end == End::Tail {
            self.at_tail.push(consumer.id);
        }
        let at = self
            .list
            .partition_point(|other| other.priority >= consumer.priority);
        self.list.insert(at, consumer);
        true
    }

    /// The only one.
    pub(super) const fn sole(&self) -> Option<&Consumer> {
        match self.list.as_slice() {
            [consumer] => Some(consumer),
            _ => None,
        }
    }

    /// Whether one of them could take a message, if its outbox has room.
    pub(super) fn have_credit(&self) -> bool {
        self.list
            .iter()
            .any(|consumer| self.serving.includes(consumer) && consumer.has_credit())
    }

    /// Removes a consumer; the next one takes its place if it was the only one served.
    pub(super) fn remove(&mut self, id: ConsumerId) -> bool {
        let before = self.list.len();
        self.list.retain(|consumer| consumer.id != id);
        self.at_tail.retain(|known| *known != id);
        if self.serving == Serving::One(Some(id)) {
            self.serving = Serving::One(self.list.first().map(|next| next.id));
        }
        self.list.len() < before
    }

    pub(super) fn drain(&mut self) -> Vec<Consumer> {
        self.at_tail.clear();
        std::mem::take(&mut self.list)
    }

    /// Offers a delivery to the consumers in turn until one takes it; returns who, and whether it
    /// acknowledges.
    pub(super) fn offer(
        &mut self,
        wakes: &mut Wakes,
        delivery: impl Fn(&Consumer) -> Delivery,
    ) -> Option<(ConsumerId, bool)> {
        let taker = self.list.iter().position(|consumer| {
            self.serving.includes(consumer) && consumer.try_give(wakes, &delivery)
        })?;
        let served = self.list.get(taker).map(|c| (c.id, c.acknowledges));
        self.pass_turn(taker);
        served
    }

    /// The consumer that is served next, if it takes from the tail.
    pub(super) fn next_at_tail(&self) -> Option<Consumer> {
        if self.at_tail.is_empty() {
            return None;
        }
        let can_take = |c: &&Consumer| self.serving.includes(c) && c.has_credit();
        let next = self.list.iter().find(can_take)?;
        self.at_tail.contains(&next.id).then(|| next.clone())
    }

    /// Puts the one just served behind the others of its priority.
    fn pass_turn(&mut self, served: usize) {
        let Some(priority) = self.list.get(served).map(|consumer| consumer.priority) else {
            return;
        };
        let same = self
            .list
            .iter()
            .skip(served)
            .take_while(|c| c.priority == priority)
            .count();
        if let Some(peers) = self.list.get_mut(served..served + same) {
            peers.rotate_left(usize::from(same > 1));
        }
    }
}
