//! The only mutex of the core: it carries its rank, so that a wrong lock order is found by any
//! debug test that takes both, and it aborts the process when a panic would leave the core torn.
//!
//! Order: [`Rank::Topology`] before [`Rank::Session`] before [`Rank::Queue`] before
//! [`Rank::Outbox`] before [`Rank::Leaf`]. Under a queue's lock exactly two calls leave it:
//! `Journal::append` (a memory copy) and `Outbox::push`.

use std::ops::{Deref, DerefMut};

/// Where a lock stands in the order; a thread takes them in rising order only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Topology,
    Session,
    Queue,
    Outbox,
    Leaf,
}

#[derive(Debug)]
pub(crate) struct Mutex<T> {
    rank: Rank,
    inner: std::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(rank: Rank, value: T) -> Self {
        Self {
            rank,
            inner: std::sync::Mutex::new(value),
        }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        order::enter(self.rank);
        let inner = self.inner.lock().unwrap_or_else(|_| std::process::abort());
        Guard {
            rank: self.rank,
            inner,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    rank: Rank,
    inner: std::sync::MutexGuard<'a, T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        order::leave(self.rank);
        // Half-changed shared state must not serve anybody: stop, and recover from the journal.
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(debug_assertions)]
mod order {
    use super::Rank;
    use std::cell::RefCell;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn enter(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            let top = held.last().copied();
            assert!(
                top.is_none_or(|top| top < rank),
                "lock order: {top:?} held, {rank:?} taken"
            );
            held.push(rank);
        });
    }

    pub(super) fn leave(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            if let Some(at) = held.iter().rposition(|r| *r == rank) {
                held.remove(at);
            }
        });
    }
}

#[cfg(not(debug_assertions))]
mod order {
    use super::Rank;

    pub(super) const fn enter(_: Rank) {}

    pub(super) const fn leave(_: Rank) {}
}
