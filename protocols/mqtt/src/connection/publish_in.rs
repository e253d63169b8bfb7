//! What the client publishes: PUBLISH and PUBREL in, PUBACK, PUBREC and PUBCOMP out.
//!
//! A QoS 2 message is handed to its receivers when its PUBLISH arrives, and its packet identifier
//! is remembered until PUBREL, so that a repetition is not handed on again (MQTT 5 figure 4-3,
//! method A). PUBREC leaves when both are durable.

use std::sync::Arc;

use bytes::Bytes;
use routing::table::BUS;
use routing::{KeyForm, Lsn, OutBuf, Timestamp, reply};

use super::answers::Answer;
use super::open::Open;
use crate::counters::Count;
use crate::error::{Error, LimitExceeded};
use crate::translate;
use crate::wire::{Ack, PacketType, Publish, Qos, ReasonCode, Version};

/// What became of a PUBLISH.
struct Accepted {
    reason: ReasonCode,
    lsn: Option<Lsn>,
}

impl Accepted {
    fn refused(reason: ReasonCode) -> Self {
        Self { reason, lsn: None }
    }
}

impl Open {
    pub(super) fn handle_publish(
        &mut self,
        now: Timestamp,
        publish: &Publish,
        out: &mut OutBuf,
    ) -> Result<(), Error> {
        self.tally.count(Count::PublishesIn, 1);
        self.tally.count(Count::PayloadIn, publish.payload.len());
        let topic = self.topic_of(publish)?;
        let can_refuse = publish.packet_id.is_some() && self.version == Version::V5;
        if !can_refuse && !self.settings.topics.allow(&topic) {
            return Err(LimitExceeded::Topic.into());
        }
        let Some(packet_id) = publish.packet_id else {
            self.accept(now, publish, &topic);
            return Ok(());
        };
        let is_repeated = publish.qos == Qos::ExactlyOnce
            && self
                .session
                .with(|state| state.received.contains(&packet_id.get()));
        if is_repeated {
            let pubrec = Ack::success(packet_id).encode(PacketType::Pubrec, self.version);
            self.answer(None, Answer::Interim(pubrec), out);
            return Ok(());
        }
        self.take_receive_quota()?;
        // The message and its identifier are remembered together: with one of them alone, a
        // repetition after a crash would be handed on again, or swallowed.
        let vhost = Arc::clone(&self.vhost);
        let group = (publish.qos == Qos::ExactlyOnce).then(|| vhost.core().group());
        let accepted = self.accept(now, publish, &topic);
        if accepted.reason == ReasonCode::QUOTA_EXCEEDED && self.version != Version::V5 {
            // 3.x has no negative acknowledgement, and a positive one would be a lie.
            return Err(LimitExceeded::Storage.into());
        }
        let ack = Ack {
            packet_id,
            reason: self.told(accepted.reason),
        };
        if publish.qos == Qos::AtLeastOnce {
            let puback = self.final_answer(ack, PacketType::Puback);
            self.answers.push(accepted.lsn, puback);
        } else {
            let (lsn, answer) = self.answer_exactly_once(ack, accepted.lsn);
            drop(group);
            self.answer(lsn, answer, out);
        }
        Ok(())
    }

    /// PUBREL: the packet identifier is free again. An unknown one is answered all the same,
    /// because the PUBCOMP before may have been lost.
    pub(super) fn handle_pubrel(&mut self, ack: Ack, out: &mut OutBuf) {
        let noted = self.session.release(ack.packet_id.get());
        let pubcomp = Ack::success(ack.packet_id).encode(PacketType::Pubcomp, self.version);
        let answer = if noted.changed {
            Answer::Final(pubcomp)
        } else {
            Answer::Interim(pubcomp)
        };
        self.answer(noted.lsn, answer, out);
    }

    fn answer_exactly_once(&self, ack: Ack, lsn: Option<Lsn>) -> (Option<Lsn>, Answer) {
        if ack.reason.is_failure() && self.version == Version::V5 {
            return (lsn, self.final_answer(ack, PacketType::Pubrec));
        }
        // After the message: without it, a remembered identifier would swallow the repetition.
        let noted = self.session.receive(ack.packet_id.get());
        let pubrec = ack.encode(PacketType::Pubrec, self.version);
        (noted.lsn.or(lsn), Answer::Interim(pubrec))
    }

    /// The end of an exchange, with words if it failed and they are wanted and fit.
    fn final_answer(&self, ack: Ack, packet_type: PacketType) -> Answer {
        if self.client.wants_reasons && ack.reason != ReasonCode::SUCCESS {
            let packet = ack.encode_with_reason(packet_type, ack.reason.phrase());
            if self.sending.fits(packet.len()) {
                return Answer::Refusal(packet);
            }
        }
        Answer::Final(ack.encode(packet_type, self.version))
    }

    /// The topic, by name or by alias. An alias is set even if the message is then refused.
    fn topic_of(&mut self, publish: &Publish) -> Result<Bytes, Error> {
        let name = publish.topic.as_bytes();
        match publish.topic_alias() {
            Some(alias) => Ok(self.aliases.resolve(alias, name)?),
            None => Ok(name.clone()),
        }
    }

    /// Counts a QoS 1 or 2 message against the Receive Maximum. \[MQTT-3.3.4-9\]
    fn take_receive_quota(&mut self) -> Result<(), Error> {
        let max = match self.version {
            Version::V5 => usize::from(self.settings.receive_max),
            Version::V31 | Version::V311 => self.settings.unconfirmed_max,
        };
        if self.unacknowledged >= max {
            return Err(LimitExceeded::ReceiveMaximum.into());
        }
        self.unacknowledged += 1;
        Ok(())
    }

    /// Hands a message to its receivers.
    fn accept(&mut self, now: Timestamp, publish: &Publish, topic: &Bytes) -> Accepted {
        if !self.settings.topics.allow(topic) {
            return Accepted::refused(ReasonCode::TOPIC_NAME_INVALID);
        }
        // `$` topics are the server's own, but for the reply addresses that it gave out.
        let is_own = topic.first() == Some(&b'$');
        if is_own && !topic.starts_with(reply::REPLY_PREFIX.as_bytes()) {
            return Accepted::refused(ReasonCode::NOT_AUTHORIZED);
        }
        let resolved = match self
            .publisher
            .resolve(BUS.as_bytes(), topic, KeyForm::Canonical)
        {
            Ok(resolved) => resolved,
            Err(error) => return Accepted::refused(translate::reason_code(&error)),
        };
        let is_reply = resolved.exchange.name.is_empty();
        let may_write = if is_reply {
            self.rights.write_default
        } else {
            self.rights.may_publish(topic)
        };
        if !may_write {
            return Accepted::refused(ReasonCode::NOT_AUTHORIZED);
        }
        if publish.qos != Qos::AtMostOnce && !self.vhost.core().has_room() {
            return Accepted::refused(ReasonCode::QUOTA_EXCEEDED);
        }
        let mut builder =
            translate::message(now, publish, &resolved, Some(&self.client.identity.user));
        builder.publisher = Some(self.session.subscriber.id);
        let message = builder.build();
        // 3.x cannot be told; there the message is passed on, not kept, and counted.
        let must_fit = publish.qos != Qos::AtMostOnce && self.version == Version::V5;
        if message.retain && must_fit && !self.vhost.may_retain(&message) {
            return Accepted::refused(ReasonCode::QUOTA_EXCEEDED);
        }
        let published = self.publisher.publish(now, &resolved, &message);
        let reason = if published.rejected {
            ReasonCode::QUOTA_EXCEEDED
        } else if published.receivers == 0 && published.refused == 0 && !published.no_local {
            ReasonCode::NO_MATCHING_SUBSCRIBERS
        } else {
            ReasonCode::SUCCESS
        };
        Accepted {
            reason,
            lsn: published.lsn,
        }
    }
}
