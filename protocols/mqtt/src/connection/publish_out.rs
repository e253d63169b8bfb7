//! What the client is sent: PUBLISH and PUBREL out, PUBACK, PUBREC and PUBCOMP in.
//!
//! A message of QoS 1 or 2 is in the session from its first PUBLISH to its last acknowledgement;
//! the queue it came from keeps it unsettled as long, and the client's Receive Maximum is the
//! queue's credit.

use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use routing::session::{NoRoom, Outgoing, SessionState};
use routing::{Delivery, Lsn, Matched, Message, OutBuf, Seq, Source, Timestamp, WireForm};

use super::answers::Answer;
use super::open::{Client, Open};
use super::topic_alias::{OutboundAliases, TopicForm};
use crate::counters::{Count, Tally};
use crate::error::{Error, LimitExceeded, PeerMisbehaved};
use crate::translate;
use crate::wire::property::Property;
use crate::wire::{Ack, PacketType, PublishHead, Qos, Reader, Version};

/// Longer payloads are not part of the encoded form that receivers share: it would hold as much
/// memory again for as long as the slowest takes.
const SHARED_PAYLOAD_BYTES_MAX: usize = 512;

/// What a PUBREC is about.
#[derive(Debug)]
enum Received {
    /// A message under way; its place if this is the first PUBREC for it.
    Known(Option<Seq>),
    /// A message that the client does not want.
    Refused(Outgoing),
    /// A message of an earlier run of the gateway that is still to be sent again.
    Early,
    Unknown,
}

/// How a delivery is marked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) qos: Qos,
    pub(super) packet_id: Option<NonZeroU16>,
    pub(super) dup: bool,
}

/// Encodes deliveries for one client.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) version: Version,
    packet_size_max: u32,
    pub(super) aliases: OutboundAliases,
    /// Properties of this receiver alone; reused.
    own: Vec<u8>,
    /// The head of a packet; reused.
    head: Vec<u8>,
    pub(super) tally: Tally,
}

impl Open {
    /// Sends one delivery. Called inside the session, so that the message is always somewhere.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        state: &mut SessionState,
        delivery: Delivery,
        out: &mut OutBuf,
    ) {
        let qos = match &delivery.source {
            Source::Subscription(_) => Qos::AtMostOnce,
            Source::Queue(from) => translate::qos_out(from.qos),
        };
        let seq = seq_of(&delivery);
        let is_expired = delivery.message.is_expired(now);
        if let Some(seq) = seq
            && let Some(packet_id) = self.former_id(state, seq, out)
        {
            return self.send_again(now, state, (packet_id, seq, delivery), out);
        }
        let packet_id = match seq {
            Some(_) if !is_expired && qos != Qos::AtMostOnce => self.packet_ids.take(),
            _ => None,
        };
        if let (Some(seq), Some(packet_id)) = (seq, packet_id)
            && qos == Qos::ExactlyOnce
            && self.session.is_durable
        {
            let packet_id = packet_id.get();
            self.withheld.note(packet_id, seq);
            return state.outgoing.push_back(Outgoing {
                packet_id,
                delivery,
                is_released: false,
            });
        }
        let marks = Marks {
            qos,
            packet_id,
            dup: false,
        };
        let is_sent = !is_expired && self.sending.put(now, &delivery, marks, out);
        match (seq, packet_id) {
            (Some(_), Some(packet_id)) if is_sent => state.outgoing.push_back(Outgoing {
                packet_id: packet_id.get(),
                delivery,
                is_released: false,
            }),
            // Expired, or too large for this client: done with. [MQTT-3.1.2-25]
            (Some(seq), packet_id) => {
                packet_id
                    .into_iter()
                    .for_each(|packet_id| self.packet_ids.free(packet_id.get()));
                self.settle_one(seq);
            }
            (None, _) => {}
        }
    }

    /// Sends again what an earlier connection of this session had under way, as many as the client
    /// takes at once; the rest follows as it acknowledges. \[MQTT-4.4.0-1\]
    pub(super) fn resend(&mut self, now: Timestamp, out: &mut OutBuf) {
        let is_idle = self.to_resend.is_empty() && self.to_release.is_empty();
        if is_idle || !self.may_resend() {
            return;
        }
        for packet_id in std::mem::take(&mut self.to_release) {
            self.put_pubrel(packet_id, out);
        }
        let session = Arc::clone(&self.session);
        session.with(|state| {
            let under_way = state.outgoing.len() - self.to_resend.len();
            let quota = usize::from(self.client.receive_max).saturating_sub(under_way);
            for _ in 0..quota {
                let Some(packet_id) = self.to_resend.pop_front() else {
                    return;
                };
                let sent = state
                    .outgoing
                    .iter()
                    .find(|sent| sent.packet_id == packet_id);
                if let Some(sent) = sent {
                    self.resend_one(now, sent, out);
                }
            }
        });
    }

    fn resend_one(&mut self, now: Timestamp, sent: &Outgoing, out: &mut OutBuf) {
        let Some(packet_id) = NonZeroU16::new(sent.packet_id) else {
            return;
        };
        if sent.is_released {
            return self.put_pubrel(packet_id.get(), out);
        }
        let marks = Marks {
            qos: qos_of(sent),
            packet_id: Some(packet_id),
            dup: true,
        };
        self.sending.put(now, &sent.delivery, marks, out);
    }

    /// PUBACK: a QoS 1 message has arrived.
    pub(super) fn handle_puback(&mut self, ack: Ack) -> Result<(), Error> {
        self.handle_last_ack(ack, |sent| qos_of(sent) == Qos::AtLeastOnce)
    }

    /// PUBCOMP: a QoS 2 message is done with.
    pub(super) fn handle_pubcomp(&mut self, ack: Ack) -> Result<(), Error> {
        self.handle_last_ack(ack, |sent| sent.is_released)
    }

    fn handle_last_ack(
        &mut self,
        ack: Ack,
        fits: impl FnOnce(&Outgoing) -> bool,
    ) -> Result<(), Error> {
        let packet_id = ack.packet_id.get();
        let found = self.session.with(|state| {
            let index = position(state, packet_id)?;
            let is_fitting = state.outgoing.get(index).is_some_and(fits);
            Some(if is_fitting {
                state.outgoing.remove(index)
            } else {
                None
            })
        });
        match found {
            None => {
                self.finish_released(packet_id);
                Ok(())
            }
            Some(None) => Err(PeerMisbehaved::AckOfWrongKind.into()),
            Some(Some(done)) => {
                self.finish_outgoing(&done);
                Ok(())
            }
        }
    }

    /// PUBREC: a QoS 2 message has arrived, or is refused.
    pub(super) fn handle_pubrec(&mut self, ack: Ack, out: &mut OutBuf) -> Result<(), Error> {
        let packet_id = ack.packet_id.get();
        let is_refused = ack.reason.is_failure();
        let received = self.session.with(|state| {
            let Some(index) = position(state, packet_id) else {
                let is_recovered = state.recovered.sent.values().any(|id| *id == packet_id);
                return Ok(if is_recovered {
                    Received::Early
                } else {
                    Received::Unknown
                });
            };
            let Some(sent) = state.outgoing.get_mut(index) else {
                return Ok(Received::Unknown);
            };
            if qos_of(sent) != Qos::ExactlyOnce {
                return Err(PeerMisbehaved::AckOfWrongKind);
            }
            if is_refused {
                let refused = state.outgoing.remove(index);
                return Ok(refused.map_or(Received::Unknown, Received::Refused));
            }
            let is_first = !std::mem::replace(&mut sent.is_released, true);
            Ok(Received::Known(seq_of(&sent.delivery).filter(|_| is_first)))
        })?;
        let pubrel = Ack::success(ack.packet_id).encode(PacketType::Pubrel, self.version);
        match received {
            Received::Refused(refused) => self.finish_outgoing(&refused),
            // It is sent again under this identifier, and the client answers again.
            Received::Early => {}
            Received::Unknown if is_refused => {}
            // The message was settled long ago.
            Received::Unknown => self.put_pubrel(packet_id, out),
            Received::Known(news) => {
                let lsn = self.note_received(packet_id, news)?;
                self.answer(lsn, Answer::Release(pubrel), out);
            }
        }
        Ok(())
    }

    /// Where it is durable that the client has received a message; `news` is the message, if this
    /// was not known.
    fn note_received(&self, packet_id: u16, news: Option<Seq>) -> Result<Option<Lsn>, Error> {
        match news {
            Some(seq) => {
                let noted = self.session.note_sent_received(packet_id, seq);
                noted.map_err(|NoRoom| LimitExceeded::Storage.into())
            }
            None => {
                let is_durable = self.session.is_durable;
                Ok(is_durable.then(|| self.vhost.core().journal_end()))
            }
        }
    }

    /// PUBCOMP of what an earlier run of the gateway had sent; anything else was acknowledged
    /// before.
    fn finish_released(&mut self, packet_id: u16) {
        let released = self
            .session
            .with(|state| state.recovered.released.remove(&packet_id));
        if released.is_some() {
            self.packet_ids.free(packet_id);
            self.session.note_sent_done(packet_id);
            self.credit.put_back(1);
        }
    }

    pub(super) fn put_pubrel(&mut self, packet_id: u16, out: &mut OutBuf) {
        if let Some(packet_id) = NonZeroU16::new(packet_id) {
            let pubrel = Ack::success(packet_id).encode(PacketType::Pubrel, self.version);
            self.tally.count(Count::PacketsOut, 1);
            out.put_slice(pubrel.as_bytes());
        }
    }

    pub(super) fn finish_outgoing(&mut self, done: &Outgoing) {
        if qos_of(done) == Qos::ExactlyOnce {
            self.session.note_sent_done(done.packet_id);
        }
        self.packet_ids.free(done.packet_id);
        self.to_resend
            .retain(|packet_id| *packet_id != done.packet_id);
        if let Some(seq) = seq_of(&done.delivery) {
            self.settle_one(seq);
        }
    }

    /// Gives the credit back at once and settles at the end of the batch: the queue wants the two
    /// in this order.
    pub(super) fn settle_one(&mut self, seq: Seq) {
        self.credit.put_back(1);
        self.settled.push(seq);
    }
}

pub(super) fn position(state: &SessionState, packet_id: u16) -> Option<usize> {
    // Clients acknowledge in order, so it is nearly always the first.
    state
        .outgoing
        .iter()
        .position(|sent| sent.packet_id == packet_id)
}

pub(super) fn seq_of(delivery: &Delivery) -> Option<Seq> {
    match &delivery.source {
        Source::Queue(from) => Some(from.seq),
        Source::Subscription(_) => None,
    }
}

pub(super) fn qos_of(sent: &Outgoing) -> Qos {
    match &sent.delivery.source {
        Source::Queue(from) => translate::qos_out(from.qos),
        Source::Subscription(_) => Qos::AtMostOnce,
    }
}

impl Sending {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            version: client.version,
            packet_size_max: client.packet_size_max,
            aliases: OutboundAliases::new(client.topic_alias_max),
            own: Vec::new(),
            head: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Sends a retained value at QoS 0; false if it is too large for the client.
    pub(super) fn put_retained(
        &mut self,
        now: Timestamp,
        message: &Arc<Message>,
        matched: &Arc<Matched>,
        out: &mut OutBuf,
    ) -> bool {
        let source = Source::Subscription(Arc::clone(matched));
        let delivery = Delivery {
            message: Arc::clone(message),
            source,
        };
        self.put(now, &delivery, Marks::default(), out)
    }

    /// Appends a PUBLISH; false if it is larger than the client takes.
    pub(super) fn put(
        &mut self,
        now: Timestamp,
        delivery: &Delivery,
        marks: Marks,
        out: &mut OutBuf,
    ) -> bool {
        let is_put = self.put_publish(now, delivery, marks, out);
        if is_put {
            self.tally.count(Count::PacketsOut, 1);
            self.tally.count(Count::PublishesOut, 1);
            self.tally
                .count(Count::PayloadOut, delivery.message.payload.len());
        }
        is_put
    }

    fn put_publish(
        &mut self,
        now: Timestamp,
        delivery: &Delivery,
        marks: Marks,
        out: &mut OutBuf,
    ) -> bool {
        let message = &delivery.message;
        let matched = match &delivery.source {
            Source::Subscription(matched) => Some(matched.as_ref()),
            Source::Queue(from) => from.matched.as_deref(),
        };
        let (ids, as_published) = match matched {
            Some(Matched::Filters {
                subscription_ids,
                retain_as_published,
                ..
            }) => (subscription_ids.as_slice(), *retain_as_published),
            _ => (&[][..], false),
        };
        let retain = message.retain && as_published;
        let topic = message.address.as_bytes();
        let form = self.put_own(now, message, ids);
        let is_plain = marks.qos == Qos::AtMostOnce && !retain && self.own.is_empty();
        if is_plain && is_shared(message) {
            return self.put_shared(message, out);
        }
        let shared = self.shared_properties(message);
        let head = PublishHead {
            dup: marks.dup,
            qos: marks.qos,
            retain,
            topic: if matches!(form, TopicForm::Alias(_)) {
                &[]
            } else {
                topic
            },
            packet_id: marks.packet_id,
            own: &self.own,
            shared: &shared,
            payload_len: message.payload.len(),
        };
        if !self.fits(head.packet_len(self.version)) {
            if matches!(form, TopicForm::Set(_)) {
                self.aliases.forget(topic);
            }
            return false;
        }
        self.head.clear();
        head.encode(self.version, &mut self.head);
        out.put_slice(&self.head);
        out.put_bytes(&message.payload);
        true
    }

    /// The encoded form that all receivers of a fan-out share.
    fn put_shared(&self, message: &Message, out: &mut OutBuf) -> bool {
        let form = shared_form(message, self.version);
        let payload = rest_of_payload(message);
        if !self.fits(form.len() + payload.map_or(0, Bytes::len)) {
            return false;
        }
        out.put_slice(form);
        if let Some(payload) = payload {
            out.put_bytes(payload);
        }
        true
    }

    pub(super) fn fits(&self, packet_len: usize) -> bool {
        u32::try_from(packet_len).is_ok_and(|length| length <= self.packet_size_max)
    }

    /// Gathers the properties that this receiver alone gets, and how it is told the topic.
    fn put_own(
        &mut self,
        now: Timestamp,
        message: &Message,
        subscription_ids: &[u32],
    ) -> TopicForm {
        self.own.clear();
        if self.version != Version::V5 {
            return TopicForm::Topic;
        }
        let form = self.aliases.form(message.address.as_bytes());
        if let TopicForm::Set(alias) | TopicForm::Alias(alias) = form {
            Property::TopicAlias(alias).write(&mut self.own);
        }
        if let Some(secs) = translate::expiry_secs_left(message, now) {
            Property::MessageExpiryInterval(secs).write(&mut self.own);
        }
        for id in subscription_ids {
            Property::SubscriptionIdentifier(*id).write(&mut self.own);
        }
        form
    }

    /// The properties that every receiver gets: MQTT's own as they came, others converted once.
    fn shared_properties(&self, message: &Message) -> Bytes {
        if self.version != Version::V5 {
            Bytes::new()
        } else if translate::is_native(message) {
            message.raw_properties.clone()
        } else {
            let form = shared_form(message, Version::V5);
            properties_of(form, message).unwrap_or_default()
        }
    }
}

/// Whether others are about to send the same message.
fn is_shared(message: &Arc<Message>) -> bool {
    Arc::strong_count(message) > 2
}

/// A QoS 0 PUBLISH without anything for one receiver alone, up to a large payload.
fn shared_form(message: &Message, version: Version) -> &Bytes {
    let form = match version {
        Version::V31 | Version::V311 => WireForm::Mqtt3,
        Version::V5 => WireForm::Mqtt5,
    };
    message.wire_form(form, || {
        let mut packet = Vec::new();
        encode_head(message, version, &mut packet);
        if rest_of_payload(message).is_none() {
            packet.extend_from_slice(&message.payload);
        }
        packet.into()
    })
}

/// All of a QoS 0 PUBLISH but the payload.
pub(super) fn encode_head(message: &Message, version: Version, packet: &mut Vec<u8>) {
    let shared = if version != Version::V5 {
        Bytes::new()
    } else if translate::is_native(message) {
        message.raw_properties.clone()
    } else {
        translate::foreign_properties(message).into()
    };
    let head = PublishHead {
        topic: message.address.as_bytes(),
        shared: &shared,
        payload_len: message.payload.len(),
        ..PublishHead::default()
    };
    head.encode(version, packet);
}

/// A payload that is not part of the shared form.
fn rest_of_payload(message: &Message) -> Option<&Bytes> {
    Some(&message.payload).filter(|payload| payload.len() > SHARED_PAYLOAD_BYTES_MAX)
}

/// The property block inside a shared form of version 5.
fn properties_of(form: &Bytes, message: &Message) -> Option<Bytes> {
    let mut reader = Reader::new(form);
    reader.u8().ok()?;
    reader.varint().ok()?;
    reader.bytes(2 + message.address.as_bytes().len()).ok()?;
    let length = reader.varint().ok()?;
    reader
        .bytes(usize::try_from(length).ok()?)
        .ok()
        .map(|block| form.slice_ref(block))
}
