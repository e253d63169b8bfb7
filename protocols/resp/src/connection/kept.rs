//! A subscriber that is to miss nothing: what it cannot take waits in a session of the core.
//!
//! ```text
//! PUBLISH ─► session's queue (journal) ─► outbox ─► out ─► socket ─► the client's program
//!                    ▲                                                    │ proof
//!                    └── what is not acknowledged when the connection ────┘
//!                        breaks, in its old place
//! ```
//!
//! Redis has no acknowledgement, so a message counts as read when one of these proves it:
//!
//! - A request came after the reply to an earlier one had been written, and the message before
//!   that reply. A client that answers health checks (`PING`) proves it all the time.
//! - So many bytes were written after it that it is in no socket's buffer any more.
//! - It was written some time ago and the connection has lived on.
//! - Its subscription was ended.
//!
//! What is not proved is sent again on the next connection: at least once, never less.

use std::collections::VecDeque;
use std::sync::Arc;

use routing::delivery::QueueDelivery;
use routing::{
    ChannelFilter, ConnectionId, Credit, Matched, Message, OutBuf, Seq, Session as CoreSession,
    Timestamp, Wakes,
};

use super::{Connection, deliver};
use crate::settings::Durable;

/// How long a client may take after its first `SUBSCRIBE` to renew the others that the session
/// has; those that it does not renew end.
const RENEWAL_MS: u64 = 30_000;

/// How often time alone is looked at as a proof.
const LOOK_MS: u64 = 1000;

/// A connection's hold on a session.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) session: Arc<CoreSession>,
    credit: Arc<Credit>,
    settings: Durable,
    /// Written and not proved to be read, oldest first.
    sent: VecDeque<Sent>,
    /// For subscriptions of the session that this connection has not renewed yet.
    aside: VecDeque<(Arc<Message>, QueueDelivery)>,
    /// Until when it may renew them.
    renew_by: Option<Timestamp>,
    /// The position in the output behind the last reply that was written.
    replied: Option<u64>,
    /// When time is looked at next.
    look_at: Timestamp,
}

#[derive(Debug)]
struct Sent {
    from: QueueDelivery,
    /// The position in the output behind it.
    end: u64,
    at: Timestamp,
}

/// The position at which the next byte is put.
fn end_of(out: &OutBuf) -> u64 {
    out.written() + u64::try_from(out.len()).unwrap_or(0)
}

impl Kept {
    pub(crate) fn new(
        session: Arc<CoreSession>,
        credit: Arc<Credit>,
        settings: Durable,
        now: Timestamp,
    ) -> Self {
        Self {
            session,
            credit,
            settings,
            sent: VecDeque::new(),
            aside: VecDeque::new(),
            renew_by: Some(now.plus_ms(RENEWAL_MS)),
            replied: None,
            look_at: now.plus_ms(LOOK_MS),
        }
    }

    /// Notes a delivery that has just been put into the output.
    pub(super) fn note_sent(&mut self, now: Timestamp, from: QueueDelivery, out: &OutBuf) {
        let end = end_of(out);
        self.sent.push_back(Sent { from, end, at: now });
    }

    /// A delivery that the client is not subscribed to: yet, or no more.
    pub(super) fn put_aside(
        &mut self,
        now: Timestamp,
        message: Arc<Message>,
        from: QueueDelivery,
        wakes: &mut Wakes,
    ) {
        if self.renew_by.is_some() {
            self.aside.push_back((message, from));
        } else {
            self.acknowledge(now, &[from], wakes);
        }
    }

    /// Takes those that were put aside and are wanted now.
    pub(super) fn take_wanted(
        &mut self,
        is_wanted: impl Fn(&Message, &Matched) -> bool,
    ) -> Vec<(Arc<Message>, QueueDelivery)> {
        if self.aside.is_empty() {
            return Vec::new();
        }
        let (mut wanted, mut kept) = (Vec::new(), VecDeque::new());
        for (message, from) in self.aside.drain(..) {
            let matched = from.matched.as_deref();
            if matched.is_some_and(|matched| is_wanted(&message, matched)) {
                wanted.push((message, from));
            } else {
                kept.push_back((message, from));
            }
        }
        self.aside = kept;
        wanted
    }

    /// Input has come: the client has read what lay before the last reply.
    pub(super) fn note_input(&mut self, now: Timestamp, out: &OutBuf, wakes: &mut Wakes) {
        let is_written = |replied: &u64| out.written() >= *replied;
        if let Some(replied) = self.replied.take_if(|replied| is_written(replied)) {
            self.settle(now, wakes, |sent| sent.end <= replied);
        }
    }

    /// The requests of a batch have been answered.
    pub(super) fn note_replies(&mut self, out: &OutBuf) {
        self.replied.get_or_insert_with(|| end_of(out));
    }

    /// Looks at what proves itself by bytes or time, and ends what was not renewed: returns that.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        out: &OutBuf,
        is_renewed: impl Fn(&ChannelFilter) -> bool,
        wakes: &mut Wakes,
    ) -> Vec<ChannelFilter> {
        let Durable {
            window_bytes,
            settle_ms,
            ..
        } = self.settings;
        let written = out.written();
        self.settle(now, wakes, |sent| {
            let is_far_back = sent.end.saturating_add(window_bytes) <= written;
            let is_old = settle_ms > 0 && sent.at.plus_ms(settle_ms) <= now;
            is_far_back || (is_old && sent.end <= written)
        });
        self.look_at = now.plus_ms(LOOK_MS);
        if self.renew_by.take_if(|by| *by <= now).is_none() {
            return Vec::new();
        }
        let forgotten = std::mem::take(&mut self.aside);
        let forgotten = forgotten.into_iter().map(|(_, from)| from);
        self.acknowledge(now, &forgotten.collect::<Vec<_>>(), wakes);
        let Some(vhost) = self.session.vhost() else {
            return Vec::new();
        };
        let mut ended = vhost.kept_subscriptions(&self.session);
        ended.retain(|filter| !is_renewed(filter));
        vhost.unsubscribe_kept(&self.session, &ended);
        ended
    }

    /// When [`Kept::look`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let look_at = (!self.sent.is_empty()).then_some(self.look_at);
        look_at.into_iter().chain(self.renew_by).min()
    }

    /// Gives the session back: what is not proved to be read returns to its place.
    pub(crate) fn leave(self, now: Timestamp, connection: ConnectionId, wakes: &mut Wakes) {
        let close = routing::CloseSession {
            keep_will: false,
            expiry_s: None,
        };
        if let Some(vhost) = self.session.vhost() {
            vhost.close_session(now, &self.session, connection, close, wakes);
        }
    }

    fn settle(&mut self, now: Timestamp, wakes: &mut Wakes, is_read: impl Fn(&Sent) -> bool) {
        let mut read = Vec::new();
        while let Some(sent) = self.sent.pop_front_if(|sent| is_read(sent)) {
            read.push(sent.from);
        }
        self.acknowledge(now, &read, wakes);
    }

    /// All are of one consumer, unless another connection has taken the session over; then none
    /// counts any more.
    fn acknowledge(&self, now: Timestamp, read: &[QueueDelivery], wakes: &mut Wakes) {
        let Some(first) = read.first() else {
            return;
        };
        let seqs: Vec<Seq> = read.iter().map(|from| from.seq).collect();
        self.credit.put_back(seqs.len());
        first
            .queue
            .acknowledge_of(now, first.consumer, &seqs, wakes);
    }
}

impl Connection {
    /// A message from the session that keeps what this connection misses.
    pub(super) fn deliver_kept(
        &mut self,
        now: Timestamp,
        message: Arc<Message>,
        from: QueueDelivery,
        out: &mut OutBuf,
    ) {
        let matched = from.matched.clone();
        let is_written =
            matched.is_some_and(|matched| deliver::write(&self.session, &message, &matched, out));
        let Some(kept) = &mut self.session.kept else {
            return;
        };
        if is_written {
            kept.note_sent(now, from, out);
        } else {
            kept.put_aside(now, message, from, &mut Wakes::default());
        }
    }

    /// Writes what came for subscriptions that have been renewed since.
    pub(super) fn deliver_aside(&mut self, now: Timestamp, out: &mut OutBuf) {
        let Some(kept) = &mut self.session.kept else {
            return;
        };
        if !self.held.is_empty() {
            return;
        }
        let subscriptions = &self.session.subscriptions;
        let wanted = kept.take_wanted(|message, matched| {
            deliver::is_subscribed(subscriptions, message, matched)
        });
        for (message, from) in wanted {
            self.deliver_kept(now, message, from, out);
        }
    }

    /// Finds out what a durable subscriber has read by now.
    pub(super) fn look_at_kept(&mut self, now: Timestamp, out: &OutBuf) {
        let Some(kept) = &mut self.session.kept else {
            return;
        };
        let subscriptions = &self.session.subscriptions;
        let is_renewed = |filter: &ChannelFilter| subscriptions.has_filter(filter);
        let ended = kept.look(now, out, is_renewed, &mut Wakes::default());
        if !ended.is_empty() {
            tracing::info!(
                count = ended.len(),
                "subscriptions were not renewed and end"
            );
        }
    }
}
