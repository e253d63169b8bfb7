//! Messages of QoS 2 on their way to a durable session. They wait until it is durable under which
//! packet identifier each is sent, so that after a crash the same message has the same one: see
//! `routing::session::Recovered`.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

use routing::session::{NoRoom, Outgoing, SessionState};
use routing::{Delivery, Lsn, OutBuf, Seq, Timestamp};

use super::open::{Open, room};
use super::publish_out::{Marks, position, seq_of};
use crate::error::{Error, LimitExceeded};
use crate::wire::Qos;

/// What waits for the journal before it is sent.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Taken from the outbox, to be noted at the end of the batch.
    noting: Vec<(u16, Seq)>,
    /// Noted; each with the position it waits for.
    waiting: VecDeque<(Lsn, u16)>,
    /// Nothing of an earlier connection is sent again before this is durable.
    resend_after: Option<Lsn>,
    /// The position that the core has promised to wake us for.
    registered: Option<Lsn>,
}

impl Withheld {
    /// Of a session that goes on, of which everything up to `end` is in the journal.
    pub(super) fn until(end: Option<Lsn>) -> Self {
        Self {
            resend_after: end,
            ..Self::default()
        }
    }

    /// A message is to be sent under this identifier.
    pub(super) fn note(&mut self, packet_id: u16, seq: Seq) {
        self.noting.push((packet_id, seq));
    }
}

impl Open {
    /// Journals the identifiers of this batch. Called inside the session, so that whoever takes it
    /// over finds them noted.
    ///
    /// # Errors
    /// When the journal has no room: the messages go back to their queue.
    pub(super) fn note_withheld(
        &mut self,
        now: Timestamp,
        state: &mut SessionState,
    ) -> Result<(), Error> {
        if self.withheld.noting.is_empty() {
            return Ok(());
        }
        let noting = std::mem::take(&mut self.withheld.noting);
        match self.session.note_sent(&noting) {
            Ok(end) => {
                let end = end.unwrap_or_default();
                let noted = noting.into_iter().map(|(packet_id, _)| (end, packet_id));
                self.withheld.waiting.extend(noted);
                Ok(())
            }
            Err(NoRoom) => {
                let seqs = noting.iter().map(|(_, seq)| *seq).collect::<Vec<_>>();
                let is_noted =
                    |sent: &Outgoing| seq_of(&sent.delivery).is_none_or(|seq| !seqs.contains(&seq));
                state.outgoing.retain(is_noted);
                if let Some(queue) = self.session.queue() {
                    queue.untake(now, &seqs, &mut self.publisher.wakes);
                }
                Err(LimitExceeded::Storage.into())
            }
        }
    }

    /// Sends what has become durable.
    pub(super) fn send_withheld(&mut self, now: Timestamp, out: &mut OutBuf) {
        let session = Arc::clone(&self.session);
        while let Some((end, packet_id)) = self.withheld.waiting.front().copied() {
            // A client sees PUBREC before the message comes back to it.
            if self.answers.is_leading() || room(out).is_none() || !self.is_durable(end) {
                return;
            }
            self.withheld.waiting.pop_front();
            let unsent = session.with(|state| {
                let index = position(state, packet_id)?;
                let sent = state.outgoing.get(index).filter(|sent| !sent.is_released)?;
                let marks = Marks {
                    qos: Qos::ExactlyOnce,
                    packet_id: NonZeroU16::new(packet_id),
                    dup: false,
                };
                let is_sent = self.sending.put(now, &sent.delivery, marks, out);
                // Too large for this client: done with. [MQTT-3.1.2-25]
                if is_sent {
                    None
                } else {
                    state.outgoing.remove(index)
                }
            });
            if let Some(unsent) = unsent {
                self.finish_outgoing(&unsent);
                self.settle(now);
            }
        }
    }

    /// Whether what an earlier connection had under way may be sent again.
    pub(super) fn may_resend(&mut self) -> bool {
        match self.withheld.resend_after {
            None => true,
            Some(end) => {
                let may = self.is_durable(end);
                self.withheld.resend_after = Some(end).filter(|_| !may);
                may
            }
        }
    }

    /// Asks to be woken, once, if not.
    fn is_durable(&mut self, end: Lsn) -> bool {
        let core = self.vhost.core();
        if core.durable() >= end {
            return true;
        }
        if self.withheld.registered == Some(end) {
            return false;
        }
        self.withheld.registered = Some(end);
        core.wait_durable(end, self.outbox())
    }

    /// The identifier under which an earlier run of the gateway sent a message, if it did. What was
    /// sent before it and has left the queue is released: a client may have received it.
    pub(super) fn former_id(
        &mut self,
        state: &mut SessionState,
        seq: Seq,
        out: &mut OutBuf,
    ) -> Option<u16> {
        if state.recovered.sent.is_empty() {
            return None;
        }
        for gone in state.recovered.take_gone(seq) {
            self.credit.hold();
            self.put_pubrel(gone, out);
        }
        state.recovered.sent.remove(&seq)
    }

    /// Sends a message under the identifier that it has from an earlier run of the gateway; when it
    /// cannot be sent, the client is told to release that.
    pub(super) fn send_again(
        &mut self,
        now: Timestamp,
        state: &mut SessionState,
        (packet_id, seq, delivery): (u16, Seq, Delivery),
        out: &mut OutBuf,
    ) {
        let marks = Marks {
            qos: Qos::ExactlyOnce,
            packet_id: NonZeroU16::new(packet_id),
            dup: true,
        };
        let is_expired = delivery.message.is_expired(now);
        if !is_expired && self.sending.put(now, &delivery, marks, out) {
            state.outgoing.push_back(Outgoing {
                packet_id,
                delivery,
                is_released: false,
            });
        } else {
            state.recovered.released.insert(packet_id, seq);
            self.put_pubrel(packet_id, out);
            self.settled.push(seq);
        }
    }
}
