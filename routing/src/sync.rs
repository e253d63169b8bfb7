//! The only mutex of the core: it carries its rank, so that a wrong lock order is found by any
//! debug test that takes both, and it aborts the process when a panic would leave the core torn.
//!
//! Order: [`Rank::Paging`] before [`Rank::Topology`] before [`Rank::Session`] before
//! [`Rank::Queue`] before [`Rank::Outbox`] before [`Rank::Leaf`]. Under a queue's lock exactly
//! these calls leave it: `Journal::append` and `Pages::settle` (memory only), `Outbox::offer`,
//! `Timers::set`, and what wakes the threads that move messages.

use std::ops::{Deref, DerefMut};

/// Where a lock stands in the order; a thread takes them in rising order only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Paging,
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
            was_panicking: std::thread::panicking(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    rank: Rank,
    inner: std::sync::MutexGuard<'a, T>,
    /// Taken by a destructor while a panic from elsewhere unwinds: not this lock's panic.
    was_panicking: bool,
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
        if std::thread::panicking() && !self.was_panicking {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes its lock when it is dropped, as a connection gives things back.
    struct GivesBack<'a>(&'a Mutex<u32>);

    impl Drop for GivesBack<'_> {
        fn drop(&mut self) {
            *self.0.lock() += 1;
        }
    }

    #[test]
    fn a_lock_taken_while_another_panic_unwinds_does_not_end_the_process() {
        let given_back = Mutex::new(Rank::Leaf, 0);
        let result = std::panic::catch_unwind(|| {
            let _gives_back = GivesBack(&given_back);
            panic!("a fault of one connection");
        });
        assert!(result.is_err());
        assert_eq!(*given_back.lock(), 1);
    }
}
