//! Answers about topology that wait for the journal: who is told that a durable queue exists finds
//! it after a crash.
//!
//! A channel's answers keep their order, so all that come behind one that waits wait with it. What
//! a client declares in one go therefore costs one sync. A request of another kind whose answer
//! would overtake them is not looked at until they are out: the connection pauses.

use std::collections::VecDeque;

use routing::{Lsn, OutBuf};

use super::{Connection, State, channel::Channel, shared::Shared};
use crate::wire::{
    frame::{Batch, FrameSpan, FrameType},
    method_id::MethodId,
    replies::{Reply, put_reply},
};

/// A channel's answers that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<(Lsn, OutBuf)>);

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what is safe; returns what the rest waits for.
    pub(super) fn release(&mut self, durable: Lsn, out: &mut OutBuf) -> Option<Lsn> {
        while let Some((_, answer)) = self.0.pop_front_if(|(lsn, _)| *lsn <= durable) {
            out.append(&answer);
        }
        self.0.front().map(|(lsn, _)| *lsn)
    }

    /// Where an answer goes that waits for nothing itself.
    pub(super) fn behind<'a>(&'a mut self, out: &'a mut OutBuf) -> &'a mut OutBuf {
        self.0.back_mut().map_or(out, |(_, last)| last)
    }
}

impl Channel {
    /// Answers once everything up to `lsn` is safe.
    pub(super) fn reply_after(
        &mut self,
        shared: &mut Shared,
        lsn: Option<Lsn>,
        reply: Reply<'_>,
        out: &mut OutBuf,
    ) {
        let durable = shared.vhost.core().durable();
        let Some(lsn) = lsn.filter(|lsn| *lsn > durable) else {
            return put_reply(self.held.behind(out), self.id, reply);
        };
        let mut answer = OutBuf::default();
        put_reply(&mut answer, self.id, reply);
        self.held.0.push_back((lsn, answer));
        shared.is_holding = true;
        // Who declares without end is held up by a full disk like who publishes.
        shared.has_published = true;
        self.await_answer(shared);
    }
}

impl Connection {
    /// Whether a frame must wait for answers that are held on its channel.
    pub(super) fn must_pause(&self, batch: &Batch, span: FrameSpan) -> bool {
        let State::Open(shared) = &self.state else {
            return false;
        };
        if !shared.is_holding {
            return false;
        }
        let frame = batch.frame(span);
        let channel = self.channels.get(&frame.channel);
        let is_holding = channel.is_some_and(|channel| !channel.held.is_empty());
        is_holding
            && frame.kind == FrameType::Method
            && MethodId::split(frame.payload).is_some_and(|(id, _)| would_overtake(id))
    }

    /// Whether input waits for answers that are held.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
            .as_ref()
            .is_some_and(|(batch, span)| self.must_pause(batch, *span))
    }
}

/// Whether a method has an answer that is not held itself.
fn would_overtake(id: MethodId) -> bool {
    let is_topology = matches!(id.class, 40 | 50);
    let is_unanswered = matches!(
        id,
        MethodId::BASIC_PUBLISH
            | MethodId::BASIC_ACK
            | MethodId::BASIC_NACK
            | MethodId::BASIC_REJECT
    );
    !is_topology && !is_unanswered
}
