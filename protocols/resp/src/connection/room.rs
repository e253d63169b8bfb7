//! A publisher to durable targets waits while the disk, or the memory for messages, has no room
//! for more; when that takes too long, it is told so.

use routing::Timestamp;

use super::Connection;
use crate::command::{Flags, Spec};
use crate::server::count;

/// How often somebody who waits looks again.
const LOOK_MS: u64 = 20;

/// How long a request may wait: shorter than clients wait for a reply, long enough for bursts.
const HELD_MAX_MS: u64 = 2000;

/// Whether there is room for what a connection publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RoomWatch {
    /// Nothing is known against it.
    #[default]
    Open,
    /// No request is read until there is room, or until it has taken too long.
    Held {
        look_at: Timestamp,
        until: Timestamp,
    },
    /// Requests are read, and those that need room refused.
    Full { look_at: Timestamp },
}

impl RoomWatch {
    /// Whether requests wait.
    pub(super) const fn is_held(self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// When to look again.
    pub(super) const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Open => None,
            Self::Held { look_at, .. } | Self::Full { look_at } => Some(look_at),
        }
    }

    /// Whether this command is refused for now.
    pub(super) fn refuses(self, spec: &Spec) -> bool {
        let needs_room = spec.flags.has(Flags::DENYOOM) || spec.name == "publish";
        matches!(self, Self::Full { .. }) && needs_room
    }

    /// The watch after another look.
    fn after(self, now: Timestamp, has_room: bool) -> Self {
        let look_at = now.plus_ms(LOOK_MS);
        match self {
            _ if has_room => Self::Open,
            Self::Open => Self::Held {
                look_at,
                until: now.plus_ms(HELD_MAX_MS),
            },
            Self::Held { until, .. } if until > now => Self::Held { look_at, until },
            Self::Held { .. } | Self::Full { .. } => Self::Full { look_at },
        }
    }
}

impl Connection {
    /// Looks whether there is room for more, if it matters to this connection and is due.
    pub(super) fn look_for_room(&mut self, now: Timestamp) {
        let is_due = match self.room.deadline() {
            None => std::mem::take(&mut self.session.has_journalled),
            Some(look_at) => look_at <= now,
        };
        if !is_due {
            return;
        }
        let was_held = self.room.is_held();
        self.room = self.room.after(now, self.session.has_room());
        if self.room.is_held() && !was_held {
            count(&self.server.counters.held_up);
        }
        if was_held && !self.room.is_held() {
            // Nobody read what the client said in the meantime.
            self.session.last_request_at = now;
        }
    }
}
