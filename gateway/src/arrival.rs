//! Connections are served in the order in which their bytes came. The runtime polls what it woke
//! last first (its LIFO slot), so of two connections that were found readable together, the later
//! one would be read before the earlier: a PUBLISH could overtake the SUBSCRIBE that another
//! connection sent before it. That would be no fault, but clients and their test suites rely on it,
//! and a single-threaded broker gives it to them.
//!
//! So each wake-up by a socket takes a number, and a task that is polled while a lower number has
//! not begun goes to the end of the run queue, once: order costs nobody more than one turn, and
//! nothing where one connection is readable at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Nothing has come.
const NONE: u64 = 0;

/// Whatever comes does not count any more.
const CLOSED: u64 = u64::MAX;

/// The numbers of all connections.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// The highest number that was taken.
    taken: AtomicU64,
    /// How many of them have had their turn.
    begun: AtomicU64,
}

/// One connection's place.
#[derive(Debug)]
pub struct Arrival {
    socket: Arc<Socket>,
    /// What tells the socket's waker from the task's own.
    waker: Waker,
    has_yielded: bool,
}

/// What the socket wakes.
#[derive(Debug)]
struct Socket {
    arrivals: Arc<Arrivals>,
    task: AtomicWaker,
    /// The number that was taken and has not begun.
    number: AtomicU64,
}

impl Wake for Socket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The runtime's driver wakes sockets one after the other, in the kernel's order.
        if self.number.load(Ordering::Acquire) == NONE {
            let number = self.arrivals.taken.fetch_add(1, Ordering::AcqRel) + 1;
            let swapped = Ordering::AcqRel;
            let taken = self
                .number
                .compare_exchange(NONE, number, swapped, Ordering::Acquire);
            if taken.is_err() {
                self.arrivals.begun.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.task.wake();
    }
}

impl Arrival {
    /// The place of a new connection.
    #[must_use]
    pub fn new(arrivals: &Arc<Arrivals>) -> Self {
        let socket = Arc::new(Socket {
            arrivals: Arc::clone(arrivals),
            task: AtomicWaker::new(),
            number: AtomicU64::new(NONE),
        });
        Self {
            waker: Waker::from(Arc::clone(&socket)),
            socket,
            has_yielded: false,
        }
    }

    /// What to read with: whoever has bytes then takes a number.
    pub fn context(&self, cx: &Context<'_>) -> Context<'_> {
        self.socket.task.register(cx.waker());
        Context::from_waker(&self.waker)
    }

    /// Whether it is this connection's turn. If not, its task is polled again after those that
    /// wait.
    pub fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        let number = self.socket.number.load(Ordering::Acquire);
        if number == NONE || number == CLOSED {
            return Poll::Ready(());
        }
        let begun = self.socket.arrivals.begun.load(Ordering::Acquire);
        if begun + 1 < number && !std::mem::replace(&mut self.has_yielded, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_yielded = false;
        self.begin(NONE);
        Poll::Ready(())
    }

    /// Nobody waits for this connection any more.
    pub fn leave(&self) {
        self.begin(CLOSED);
    }

    fn begin(&self, next: u64) {
        let number = self.socket.number.swap(next, Ordering::AcqRel);
        if number != NONE && number != CLOSED {
            self.socket.arrivals.begun.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose socket has been polled; the task's own waker does nothing.
    fn connection(arrivals: &Arc<Arrivals>) -> Arrival {
        let arrival = Arrival::new(arrivals);
        let _ = arrival.context(&Context::from_waker(Waker::noop()));
        arrival
    }

    fn has_its_turn(arrival: &mut Arrival) -> bool {
        let cx = Context::from_waker(Waker::noop());
        arrival.poll_turn(&cx).is_ready()
    }

    #[test]
    fn who_came_later_lets_the_earlier_go_first_once() {
        let arrivals = Arc::default();
        let (mut first, mut second) = (connection(&arrivals), connection(&arrivals));
        first.waker.wake_by_ref();
        second.waker.wake_by_ref();
        assert!(!has_its_turn(&mut second), "the first has not begun");
        assert!(has_its_turn(&mut first));
        assert!(has_its_turn(&mut second));
        second.waker.wake_by_ref();
        first.waker.wake_by_ref();
        assert!(!has_its_turn(&mut first));
        assert!(
            has_its_turn(&mut first),
            "it waits for one turn and no longer"
        );
    }

    #[test]
    fn nobody_waits_for_who_is_gone() {
        let arrivals = Arc::default();
        let (first, mut second) = (connection(&arrivals), connection(&arrivals));
        first.waker.wake_by_ref();
        second.waker.wake_by_ref();
        first.leave();
        first.waker.wake_by_ref();
        assert!(has_its_turn(&mut second));
        drop(first);
        second.waker.wake_by_ref();
        assert!(has_its_turn(&mut second));
        let taken = arrivals.taken.load(Ordering::Relaxed);
        assert_eq!(taken, arrivals.begun.load(Ordering::Relaxed));
    }

    #[test]
    fn a_task_that_nothing_came_for_has_its_turn() {
        let arrivals = Arc::default();
        let (other, mut one) = (connection(&arrivals), connection(&arrivals));
        other.waker.wake_by_ref();
        assert!(has_its_turn(&mut one));
    }
}
