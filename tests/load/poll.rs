//! epoll, edge triggered, with a timer finer than its own timeout.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

const EVENTS: usize = 1024;

/// Stands for the timer among connections' numbers.
const TIMER: u64 = u64::MAX;

/// What a connection can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) can_read: bool,
}

/// All that is waited for.
pub(crate) struct Poll {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// Room for what happened, reused by every turn.
    pub(crate) events: Vec<epoll::Event>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let on_expiry = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), on_expiry)?;
        Ok(Self {
            epoll,
            timer,
            events: Vec::with_capacity(EVENTS),
        })
    }

    pub(crate) fn add(&self, socket: BorrowedFd<'_>, number: usize) -> io::Result<()> {
        let number = u64::try_from(number).unwrap_or(TIMER);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(number),
            flags,
        )?)
    }

    /// Wakes [`Poll::wait`] regularly; zero: no longer.
    pub(crate) fn tick_every(&self, interval: Duration) -> io::Result<()> {
        let interval = Timespec::try_from(interval).map_err(io::Error::other)?;
        let times = Itimerspec {
            it_interval: interval,
            it_value: interval,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &times)?;
        Ok(())
    }

    pub(crate) fn wait(&self, into: &mut Vec<epoll::Event>, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        into.clear();
        let room = rustix::buffer::spare_capacity(into);
        match epoll::wait(&self.epoll, room, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whose event it is; none: the timer's.
    pub(crate) fn read(event: &epoll::Event) -> Option<(usize, Ready)> {
        let (data, flags) = (event.data, event.flags);
        let number = usize::try_from(data.u64()).ok()?;
        let reading = EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        let ready = Ready {
            can_read: flags.intersects(reading),
        };
        (data.u64() != TIMER).then_some((number, ready))
    }
}
