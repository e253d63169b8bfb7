//! How a connection's wait ends: served, over, ended by another client, or begun anew.

use routing::{OutBuf, Timestamp, Wakes};

use super::{Blocked, Connection, ReplyMode, Want};
use crate::command::{self, Call};
use crate::error::Error;
use crate::server::Unblock;
use crate::translate::Held;
use crate::wire::reply::ReplyWriter;

impl Connection {
    /// Answers the wait for an element of a list; the connection goes on.
    pub(super) fn answer_wait(
        &mut self,
        now: Timestamp,
        is_silent: bool,
        out: &mut OutBuf,
        run: impl FnOnce(&mut Call<'_>) -> Result<(), Error>,
    ) {
        let mode = self.session.reply_mode;
        self.session.reply_mode = if is_silent {
            ReplyMode::Off
        } else {
            ReplyMode::On
        };
        self.answer(now, None, out, run);
        self.session.reply_mode = mode;
        self.session.client.update(self.session.snapshot());
    }

    /// Something came from a queue: what a wait is for, unless the wait is over.
    pub(super) fn serve(&mut self, now: Timestamp, held: Held, out: &mut OutBuf) {
        let is_for = |blocked: &mut Box<Blocked>| blocked.token == held.token();
        // What came too late has been given back.
        let Some(mut blocked) = self.session.blocked.take_if(is_for) else {
            return;
        };
        blocked.stop(now, &mut Wakes::default());
        let is_silent = blocked.is_silent;
        self.answer_wait(now, is_silent, out, |call| {
            command::serve(call, *blocked, held)
        });
    }

    /// Ends a wait whose time is over or that another client ends.
    pub(super) fn end_wait(&mut self, now: Timestamp, how: Unblock, out: &mut OutBuf) {
        let Some(blocked) = self.session.give_up_waiting(now) else {
            return;
        };
        self.answer_wait(now, blocked.is_silent, out, |call| match how {
            Unblock::Timeout if matches!(blocked.want, Want::Sleep) => {
                call.reply.ok();
                Ok(())
            }
            Unblock::Timeout => {
                call.reply.null_array();
                Ok(())
            }
            Unblock::Error => Err(Error::Text("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
        });
    }

    /// A queue is gone while its list was waited at: waits at its successor.
    pub(super) fn wait_anew(&mut self, now: Timestamp, token: u64, out: &mut OutBuf) {
        let is_it = |blocked: &Blocked| blocked.token == token;
        if !self.session.blocked.as_deref().is_some_and(is_it) {
            return;
        }
        let Some(mut blocked) = self.session.give_up_waiting(now) else {
            return;
        };
        let mut nothing = OutBuf::default();
        let reply = ReplyWriter::new(self.session.version, &mut nothing);
        let mut call = Call::new(&mut self.session, &self.server, reply, now);
        let joined = command::join(&mut call, &mut blocked);
        drop(call);
        match joined {
            Ok(()) => self.session.blocked = Some(blocked),
            Err(error) => self.answer_wait(now, blocked.is_silent, out, |_| Err(error)),
        }
    }
}
