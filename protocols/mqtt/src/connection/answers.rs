//! Answers that wait for the journal. An acknowledgement promises that the message is safe, so it
//! leaves only when the durable position has passed the message's record. They leave in the order
//! of the packets they answer. \[MQTT-4.6.0-2\], \[MQTT-4.6.0-3\]

use std::collections::VecDeque;
use std::sync::Arc;

use routing::{Lsn, OutBuf, Outbox, VHost};

use super::retained::RetainedWalk;
use crate::wire::ack::EncodedAck;

/// What is sent when its record is durable.
#[derive(Debug)]
pub(super) enum Answer {
    /// PUBACK, or PUBREC that ends the exchange, or PUBCOMP: the client's send quota grows.
    Final(EncodedAck),
    /// [`Answer::Final`] with its reason in words.
    Refusal(Vec<u8>),
    /// PUBREC: the exchange goes on.
    Interim(EncodedAck),
    /// PUBREL: the client has received a message, and that is noted.
    Release(EncodedAck),
    /// SUBACK or UNSUBACK, and the retained values to send behind it.
    Packet(Vec<u8>, Vec<RetainedWalk>),
}

impl Answer {
    /// A client sees PUBREC before the message comes back to it, and SUBACK before the messages it
    /// subscribed to, as Mosquitto does; PUBACK comes after.
    fn is_leading(&self) -> bool {
        match self {
            Self::Interim(_) | Self::Packet(..) => true,
            Self::Final(_) | Self::Refusal(_) | Self::Release(_) => false,
        }
    }
}

/// Answers in order, each with the position it waits for.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<(Option<Lsn>, Answer)>,
    /// How many of them are to come before any delivery.
    leading: usize,
    /// The position that the core has promised to wake us for.
    registered: Option<Lsn>,
}

/// What [`Answers::flush`] has sent.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    /// How many messages are acknowledged for good.
    pub(super) finals: usize,
    /// Retained values that may follow now.
    pub(super) retained: Vec<RetainedWalk>,
}

impl Answers {
    pub(super) fn push(&mut self, lsn: Option<Lsn>, answer: Answer) {
        self.leading += usize::from(answer.is_leading());
        self.waiting.push_back((lsn, answer));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True while an answer waits that deliveries are to follow.
    pub(super) fn is_leading(&self) -> bool {
        self.leading > 0
    }

    /// Sends what may be sent, and asks to be woken for the rest.
    pub(super) fn flush(
        &mut self,
        vhost: &VHost,
        outbox: &Arc<Outbox>,
        out: &mut OutBuf,
    ) -> Flushed {
        let mut flushed = Flushed::default();
        if self.waiting.is_empty() {
            return flushed;
        }
        let durable = vhost.core().durable();
        while let Some((lsn, _)) = self.waiting.front() {
            if let Some(lsn) = *lsn
                && lsn > durable
                && !self.is_durable_after_all(lsn, vhost, outbox)
            {
                break;
            }
            if let Some((_, answer)) = self.waiting.pop_front() {
                self.leading -= usize::from(answer.is_leading());
                flushed.send(answer, out);
            }
        }
        flushed
    }

    /// Registers the position once; it may have become durable meanwhile.
    fn is_durable_after_all(&mut self, lsn: Lsn, vhost: &VHost, outbox: &Arc<Outbox>) -> bool {
        if self.registered == Some(lsn) {
            return false;
        }
        self.registered = Some(lsn);
        vhost.core().wait_durable(lsn, outbox)
    }
}

impl Flushed {
    fn send(&mut self, answer: Answer, out: &mut OutBuf) {
        match answer {
            Answer::Final(ack) => {
                self.finals += 1;
                out.put_slice(ack.as_bytes());
            }
            Answer::Refusal(packet) => {
                self.finals += 1;
                out.put_slice(&packet);
            }
            Answer::Interim(ack) | Answer::Release(ack) => out.put_slice(ack.as_bytes()),
            Answer::Packet(packet, retained) => {
                out.put_slice(&packet);
                self.retained.extend(retained);
            }
        }
    }
}
