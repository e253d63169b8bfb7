//! The sender's half of QoS 2 across a restart (MQTT 5.0 §4.3.3): which message went out under
//! which packet identifier, and which of them the client has received.
//!
//! ```text
//! Sent (P, S)          is durable before   PUBLISH P leaves
//! SentReceived (P, S)  is durable before   PUBREL P leaves; message S is the client's own now
//! SentDone P           after               PUBCOMP P; lost, it costs one more PUBREL
//! ```
//!
//! So a client that holds P after a crash is sent the same message under P again, or PUBREL P, and
//! never another message under P.

use std::collections::BTreeMap;

use super::{Session, SessionState};
use crate::delivery::Source;
use crate::ids::Seq;
use crate::journal::{Appended, Entry, Lsn, Urgency};
use crate::message::QoS;

/// Exchanges that were under way when the gateway stopped.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Messages that were sent, with their packet identifiers; the client may have received them.
    pub sent: BTreeMap<Seq, u16>,
    /// Packet identifiers of messages that the client has received, to be released.
    pub released: BTreeMap<u16, Seq>,
}

impl Recovered {
    /// All packet identifiers that are in use.
    pub fn packet_ids(&self) -> impl Iterator<Item = u16> {
        self.sent.values().chain(self.released.keys()).copied()
    }

    /// Messages before `seq` that were sent and are not in the queue any more, which hands out in
    /// order: whoever received one is told to release it.
    pub fn take_gone(&mut self, seq: Seq) -> Vec<u16> {
        let kept = self.sent.split_off(&seq);
        let gone = std::mem::replace(&mut self.sent, kept);
        self.released
            .extend(gone.iter().map(|(seq, packet_id)| (*packet_id, *seq)));
        gone.into_values().collect()
    }

    pub(crate) fn restore_sent(&mut self, sent: &[(u16, Seq)]) {
        self.sent
            .extend(sent.iter().map(|(packet_id, seq)| (*seq, *packet_id)));
    }

    pub(crate) fn restore_received(&mut self, packet_id: u16, seq: Seq) {
        self.sent.remove(&seq);
        self.released.insert(packet_id, seq);
    }

    pub(crate) fn restore_done(&mut self, packet_id: u16) {
        self.released.remove(&packet_id);
        self.sent.retain(|_, known| *known != packet_id);
    }
}

/// The journal has no room: the message is not to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Session {
    /// Notes which identifiers messages are about to be sent under. They may leave once the
    /// position is durable; at once, if there is none.
    ///
    /// # Errors
    /// [`NoRoom`], and nothing is noted.
    pub fn note_sent(&self, sent: &[(u16, Seq)]) -> Result<Option<Lsn>, NoRoom> {
        self.note(|vhost, session| Entry::Sent {
            vhost,
            session,
            sent: sent.to_vec(),
        })
    }

    /// Notes that the client has received a message (PUBREC). PUBREL may leave once the position
    /// is durable.
    ///
    /// # Errors
    /// [`NoRoom`], and nothing is noted.
    pub fn note_sent_received(&self, packet_id: u16, seq: Seq) -> Result<Option<Lsn>, NoRoom> {
        self.note(|vhost, session| Entry::SentReceived {
            vhost,
            session,
            packet_id,
            seq,
        })
    }

    /// Notes that an identifier is free again.
    pub fn note_sent_done(&self, packet_id: u16) {
        if let Some(vhost) = self.vhost.upgrade().filter(|_| self.is_durable) {
            let entry = Entry::SentDone {
                vhost: vhost.name.clone(),
                session: self.id,
                packet_id,
            };
            vhost.append(&entry, Urgency::Lazy);
        }
    }

    fn note(
        &self,
        entry: impl FnOnce(crate::name::Name, crate::ids::SessionId) -> Entry,
    ) -> Result<Option<Lsn>, NoRoom> {
        let Some(vhost) = self.vhost.upgrade().filter(|_| self.is_durable) else {
            return Ok(None);
        };
        let entry = entry(vhost.name.clone(), self.id);
        // Deliveries go on while the disk is low.
        let end = vhost.append_from_reserve(&entry);
        if end == Appended::REFUSED.end {
            return Err(NoRoom);
        }
        Ok(Some(end))
    }

    /// The exchanges under way, as entries of a checkpoint.
    pub(crate) fn checkpoint_sent(&self, state: &SessionState, entry: &mut dyn FnMut(Entry)) {
        let Some(vhost) = self.vhost.upgrade() else {
            return;
        };
        let recovered = &state.recovered;
        let sent = recovered.sent.iter().map(|(seq, id)| (*id, *seq));
        let mut sent = sent.collect::<Vec<_>>();
        let received = recovered.released.iter().map(|(id, seq)| (*id, *seq));
        let mut received = received.collect::<Vec<_>>();
        for outgoing in &state.outgoing {
            if let Source::Queue(from) = &outgoing.delivery.source
                && from.qos == QoS::ExactlyOnce
            {
                let list = match outgoing.is_released {
                    true => &mut received,
                    false => &mut sent,
                };
                list.push((outgoing.packet_id, from.seq));
            }
        }
        let (name, session) = (&vhost.name, self.id);
        if !sent.is_empty() {
            let vhost = name.clone();
            entry(Entry::Sent {
                vhost,
                session,
                sent,
            });
        }
        for (packet_id, seq) in received {
            let vhost = name.clone();
            entry(Entry::SentReceived {
                vhost,
                session,
                packet_id,
                seq,
            });
        }
    }
}
