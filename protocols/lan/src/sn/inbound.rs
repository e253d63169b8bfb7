//! What a client publishes, registers and subscribes to. MQTT-SN 1.2 §6.5 to §6.9

use bytes::Bytes;

use super::client::Client;
use super::effects::Effects;
use super::names;
use super::packet::{Flags, Packet, QOS_MINUS_1, ReturnCode, TopicType};
use super::settings::Settings;
use super::words::{Publish, Upward};

impl Client {
    pub(super) fn register(&mut self, id: u16, name: &[u8], fx: &mut Effects<'_>) {
        let (topic, code) = if names::is_topic(name) {
            let name = Bytes::copy_from_slice(name);
            match self.ids.assign(&name, fx.settings.topics_max) {
                Some(topic) => (topic, ReturnCode::Accepted),
                None => (0, ReturnCode::Congestion),
            }
        } else {
            (0, ReturnCode::NotSupported)
        };
        if code == ReturnCode::Accepted {
            self.ids.know(topic);
        }
        fx.send(self.address, &Packet::Regack { topic, id, code });
    }

    /// `(topic, id)` as they are in the packet.
    pub(super) fn publish(
        &mut self,
        flags: Flags,
        (topic, id): (u16, u16),
        payload: &[u8],
        fx: &mut Effects<'_>,
    ) {
        let refuse = |code, fx: &mut Effects<'_>| {
            fx.send(self.address, &Packet::Puback { topic, id, code });
        };
        let Some(name) = topic_of(flags.topic, topic, fx.settings)
            .or_else(|| registered(flags.topic).then(|| self.ids.topic(topic).cloned())?)
        else {
            return refuse(ReturnCode::InvalidTopic, fx);
        };
        if flags.topic == TopicType::Predefined {
            self.ids.use_predefined(topic);
        }
        let qos = if flags.qos == QOS_MINUS_1 {
            0
        } else {
            flags.qos
        };
        if qos > 0 {
            if id == 0 {
                fx.counts.malformed += 1;
                return;
            }
            let is_again = self.inflight.contains_key(&id);
            // The answer to the first is on its way.
            if is_again && qos == 1 {
                return;
            }
            if !is_again && self.inflight.len() >= fx.settings.inflight_max {
                return refuse(ReturnCode::Congestion, fx);
            }
            self.inflight.insert(id, topic);
        }
        let message = Publish {
            topic: name,
            payload: Bytes::copy_from_slice(payload),
            qos,
            retain: flags.retain,
            dup: flags.dup && qos > 0,
            id,
        };
        self.up(Upward::Publish(message), fx);
    }

    /// A message of the client is taken, or refused.
    pub(super) fn settle(&mut self, id: u16, code: ReturnCode, fx: &mut Effects<'_>) {
        if let Some(topic) = self.inflight.remove(&id) {
            fx.send(self.address, &Packet::Puback { topic, id, code });
        }
    }

    pub(super) fn subscribe(&mut self, flags: Flags, id: u16, topic: &[u8], fx: &mut Effects<'_>) {
        // The answer to the first is on its way.
        if id == 0 || self.subscribing.contains_key(&id) {
            return;
        }
        let is_full = self.subscribing.len() >= fx.settings.inflight_max;
        let asked = self.filter_of(flags.topic, topic, fx.settings);
        let asked = asked.and_then(|asked| match is_full {
            true => Err(ReturnCode::Congestion),
            false => Ok(asked),
        });
        match asked {
            Ok((filter, topic)) => {
                self.subscribing.insert(id, topic);
                let qos = flags.qos.min(2);
                self.up(Upward::Subscribe { id, filter, qos }, fx);
            }
            Err(code) => {
                let (qos, topic) = (0, 0);
                fx.send(
                    self.address,
                    &Packet::Suback {
                        qos,
                        topic,
                        id,
                        code,
                    },
                );
            }
        }
    }

    /// The filter, and the id that its one topic has from now on; 0 if it has none.
    fn filter_of(
        &mut self,
        kind: TopicType,
        topic: &[u8],
        settings: &Settings,
    ) -> Result<(Bytes, u16), ReturnCode> {
        let field = <[u8; 2]>::try_from(topic).ok().map(u16::from_be_bytes);
        match (kind, field) {
            (TopicType::Predefined, Some(field)) => {
                let name = topic_of(kind, field, settings).ok_or(ReturnCode::InvalidTopic)?;
                self.ids.use_predefined(field);
                Ok((name, field))
            }
            (TopicType::Short, Some(field)) => {
                let name = topic_of(kind, field, settings).ok_or(ReturnCode::InvalidTopic)?;
                Ok((name, 0))
            }
            (TopicType::Normal, _) if names::is_filter(topic) => {
                let name = Bytes::copy_from_slice(topic);
                if names::has_wildcard(topic) || name.starts_with(b"$") {
                    return Ok((name, 0));
                }
                let id = self.ids.assign(&name, settings.topics_max);
                id.map(|id| (name, id)).ok_or(ReturnCode::Congestion)
            }
            _ => Err(ReturnCode::InvalidTopic),
        }
    }

    pub(super) fn suback(
        &mut self,
        id: u16,
        granted: Result<u8, ReturnCode>,
        fx: &mut Effects<'_>,
    ) {
        let Some(topic) = self.subscribing.remove(&id) else {
            return;
        };
        let (qos, code) = match granted {
            Ok(qos) => (qos, ReturnCode::Accepted),
            Err(code) => (0, code),
        };
        if code == ReturnCode::Accepted && self.ids.topic(topic).is_some() {
            self.ids.know(topic);
        }
        fx.send(
            self.address,
            &Packet::Suback {
                qos,
                topic,
                id,
                code,
            },
        );
    }

    pub(super) fn unsubscribe(
        &mut self,
        flags: Flags,
        id: u16,
        topic: &[u8],
        fx: &mut Effects<'_>,
    ) {
        match self.filter_of(flags.topic, topic, fx.settings) {
            Ok((filter, _)) if id != 0 => self.up(Upward::Unsubscribe { id, filter }, fx),
            // There is no such subscription, and there is no other answer.
            _ => fx.send(self.address, &Packet::Unsuback(id)),
        }
    }
}

fn registered(kind: TopicType) -> bool {
    kind == TopicType::Normal
}

/// The topic of a predefined id or of two characters, which needs no client.
pub(super) fn topic_of(kind: TopicType, field: u16, settings: &Settings) -> Option<Bytes> {
    match kind {
        TopicType::Normal => None,
        TopicType::Predefined => Some(settings.topics.of_id(field)?.topic.clone()),
        TopicType::Short => {
            let name = field.to_be_bytes();
            names::is_topic(&name).then(|| Bytes::copy_from_slice(&name))
        }
    }
}
