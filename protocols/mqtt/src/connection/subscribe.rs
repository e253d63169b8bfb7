//! SUBSCRIBE and UNSUBSCRIBE. Each filter succeeds or fails for itself; their acknowledgement
//! leaves when the subscriptions are durable, and retained values follow it.

use std::num::NonZeroU16;

use routing::{Name, OutBuf, SubscriptionOptions, reply, vhost};

use super::answers::Answer;
use super::open::Open;
use super::retained::RetainedWalk;
use crate::error::{Error, LimitExceeded};
use crate::translate;
use crate::wire::property::{Place, Properties, Property};
use crate::wire::subscribe::{RetainHandling, Subscription};
use crate::wire::{PacketType, ReasonCode, Subscribe, SubscriptionAck, Unsubscribe};

impl Open {
    pub(super) fn handle_subscribe(
        &mut self,
        subscribe: &Subscribe,
        out: &mut OutBuf,
    ) -> Result<(), Error> {
        let subscription_id = subscribe.subscription_identifier();
        let mut codes = Vec::with_capacity(subscribe.subscriptions.len());
        let mut lsn = None;
        let mut retained = Vec::new();
        for asked in &subscribe.subscriptions {
            match self.subscribe(asked, subscription_id, &mut retained) {
                Ok(recorded) => {
                    codes.push(ReasonCode(asked.options.qos.bits()));
                    lsn = lsn.max(recorded);
                }
                Err(reason) => codes.push(self.told(reason)),
            }
        }
        let packet = self.subscription_ack(PacketType::Suback, subscribe.packet_id, codes)?;
        self.answer(lsn, Answer::Packet(packet, retained), out);
        Ok(())
    }

    /// SUBACK or UNSUBACK, with words for the first failure if they are wanted and fit.
    fn subscription_ack(
        &self,
        packet_type: PacketType,
        packet_id: NonZeroU16,
        codes: Vec<ReasonCode>,
    ) -> Result<Vec<u8>, Error> {
        let failure = codes.iter().find(|code| code.is_failure());
        let phrase = failure
            .filter(|_| self.client.wants_reasons)
            .map(|code| code.phrase());
        let properties = phrase.map(|phrase| {
            let place = match packet_type {
                PacketType::Unsuback => Place::Unsuback,
                _ => Place::Suback,
            };
            Properties::of(Property::ReasonString(phrase), place)
        });
        let mut ack = SubscriptionAck {
            packet_id,
            properties: properties.unwrap_or_default(),
            codes,
        };
        let mut packet = Vec::new();
        ack.encode(packet_type, self.version, &mut packet);
        if !self.sending.fits(packet.len()) {
            ack.properties = Properties::default();
            packet.clear();
            ack.encode(packet_type, self.version, &mut packet);
        }
        // [MQTT-3.1.2-24]: it cannot be told, and must not be left waiting.
        if self.sending.fits(packet.len()) {
            Ok(packet)
        } else {
            Err(LimitExceeded::AnswerTooLarge.into())
        }
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe,
        out: &mut OutBuf,
    ) -> Result<(), Error> {
        let mut codes = Vec::with_capacity(unsubscribe.filters.len());
        let mut lsn = None;
        for filter in &unsubscribe.filters {
            let filter = Name::from(filter.as_str());
            let (existed, recorded) = self.vhost.unsubscribe(&self.session, &filter);
            lsn = lsn.max(recorded);
            codes.push(if existed {
                ReasonCode::SUCCESS
            } else {
                ReasonCode::NO_SUBSCRIPTION_EXISTED
            });
            self.retained.retain(|walk| walk.filter != filter);
        }
        let packet = self.subscription_ack(PacketType::Unsuback, unsubscribe.packet_id, codes)?;
        self.answer(lsn, Answer::Packet(packet, Vec::new()), out);
        Ok(())
    }

    /// One subscription; returns where its record ends.
    fn subscribe(
        &self,
        asked: &Subscription,
        subscription_id: Option<u32>,
        retained: &mut Vec<RetainedWalk>,
    ) -> Result<Option<routing::Lsn>, ReasonCode> {
        let filter = Name::from(asked.filter.as_str());
        let (group, parsed) =
            vhost::parse_subscription(&filter).ok_or(ReasonCode::TOPIC_FILTER_INVALID)?;
        if !self.settings.topics.allow(asked.filter.as_bytes()) {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        // A reply address belongs to whoever gave it out.
        let is_reply = parsed
            .as_bytes()
            .starts_with(reply::REPLY_PREFIX.as_bytes());
        if is_reply || !self.rights.may_subscribe(parsed.as_bytes()) {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        let is_full = self.session.with(|state| {
            state.subscriptions.len() >= self.settings.subscriptions_max
                && !state.subscriptions.contains_key(&filter)
        });
        if is_full {
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        let options = SubscriptionOptions {
            qos: translate::qos_in(asked.options.qos),
            no_local: asked.options.no_local || self.client.is_bridge,
            retain_as_published: asked.options.retain_as_published || self.client.is_bridge,
            subscription_id,
        };
        let (existed, lsn) = self
            .vhost
            .subscribe(&self.session, &filter, &parsed, group.as_ref(), options)
            .map_err(|error| translate::reason_code(&error))?;
        let wants_retained = match asked.options.retain_handling {
            RetainHandling::OnSubscribe => true,
            RetainHandling::OnNewSubscription => !existed,
            RetainHandling::Never => false,
        };
        // A shared subscription is never sent retained values. MQTT 5 §4.8.2
        if wants_retained && group.is_none() {
            let cursor = self.vhost.retained(&parsed);
            retained.push(RetainedWalk::new(filter, cursor, &options));
        }
        Ok(lsn)
    }
}
