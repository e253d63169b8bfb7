//! A publisher is not read while there is no room for what it publishes (RabbitMQ: blocked
//! connections). It is woken when there is.

use routing::{OutBuf, Timestamp};

use super::{Connection, State};
use crate::wire::replies::ConnectionReply;

impl Connection {
    /// Stops reading from a publisher while there is no room, and says so.
    pub(super) fn block_if_full(&mut self, out: &mut OutBuf) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        let has_published = std::mem::take(&mut shared.has_published);
        if self.is_blocked || !has_published || shared.vhost.core().wait_for_room(&self.outbox) {
            return;
        }
        self.is_blocked = true;
        if self.client.connection_blocked {
            let reason = "low on disk";
            self.put(out, ConnectionReply::Blocked { reason });
        }
    }

    /// Goes on reading if there is room again; else it is woken once more.
    pub(super) fn unblock_if_room(&mut self, now: Timestamp, out: &mut OutBuf) {
        let is_open = matches!(self.state, State::Open(_));
        if !self.is_blocked || !self.broker.core().wait_for_room(&self.outbox) {
            return;
        }
        self.is_blocked = false;
        // Nobody read what the client said in the meantime.
        self.heard_at = now;
        if is_open && self.client.connection_blocked {
            self.put(out, ConnectionReply::Unblocked);
        }
    }
}
