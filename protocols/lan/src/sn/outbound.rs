//! What a client is sent: one message at a time, each with an id that it knows. MQTT-SN 1.2 §6.10,
//! §6.13, §6.14

use super::client::{Client, Item, State};
use super::effects::Effects;
use super::outstanding::{Awaited, Outstanding, TopicName, publish};
use super::packet::{Packet, ReturnCode, TopicType};
use super::words::{Publish, Upward};

/// Length of one or three bytes, type, flags, topic, id.
const HEAD_BYTES_MAX: usize = 9;

impl Client {
    /// A message for the client: it waits its turn.
    pub(super) fn deliver(&mut self, message: Publish, fx: &mut Effects<'_>) {
        if message.payload.len() + HEAD_BYTES_MAX > fx.settings.datagram_bytes_max {
            fx.counts.too_large += 1;
            return self.give_up(&message, fx);
        }
        if message.qos > 0 && self.has(message.id) {
            return;
        }
        if self.waiting.len() >= fx.settings.waiting_max {
            let is_loose = |item: &Item| matches!(item, Item::Message(it) if it.qos == 0);
            fx.counts.dropped += 1;
            match self.waiting.iter().position(is_loose) {
                Some(oldest) => drop(self.waiting.remove(oldest)),
                None => return self.give_up(&message, fx),
            }
        }
        self.waiting.push_back(Item::Message(message));
        self.pump(fx);
    }

    /// Whether a message is here already, sent again by the MQTT side.
    fn has(&self, id: u16) -> bool {
        let sent = self.outstanding.as_ref().map(|sent| &sent.awaited);
        let is_sent = match sent {
            Some(Awaited::Taken { message, .. }) => message.qos > 0 && message.id == id,
            Some(Awaited::Release(sent) | Awaited::Completed(sent)) => *sent == id,
            _ => false,
        };
        let waits = |item: &Item| match item {
            Item::Message(message) => message.qos > 0 && message.id == id,
            Item::Release(waiting) => *waiting == id,
        };
        is_sent || self.waiting.iter().any(waits)
    }

    /// Settles a message that the client does not get.
    fn give_up(&mut self, message: &Publish, fx: &mut Effects<'_>) {
        match message.qos {
            0 => {}
            1 => self.up(Upward::Puback(message.id), fx),
            _ => {
                self.given_up.insert(message.id);
                self.up(Upward::Pubrec(message.id), fx);
            }
        }
    }

    /// The MQTT side's PUBREL.
    pub(super) fn release(&mut self, id: u16, fx: &mut Effects<'_>) {
        if self.given_up.remove(&id) {
            return self.up(Upward::Pubcomp(id), fx);
        }
        let awaited = self.outstanding.as_ref().map(|sent| &sent.awaited);
        if awaited == Some(&Awaited::Release(id)) {
            self.outstanding = None;
            self.waiting.push_front(Item::Release(id));
        } else if !self.has(id) {
            self.waiting.push_back(Item::Release(id));
        }
        self.pump(fx);
    }

    /// Sends what waits, up to what must be answered first.
    pub(super) fn pump(&mut self, fx: &mut Effects<'_>) {
        while self.outstanding.is_none() && matches!(self.state, State::Active | State::Awake) {
            match self.waiting.pop_front() {
                Some(Item::Release(id)) => self.ask(Awaited::Completed(id), fx),
                Some(Item::Message(message)) => self.send(message, fx),
                None if self.state == State::Awake => {
                    fx.send(self.address, &Packet::Pingresp);
                    self.state = State::Asleep;
                }
                None => return,
            }
        }
    }

    fn send(&mut self, message: Publish, fx: &mut Effects<'_>) {
        if let Some(name) = self.name_of(&message, fx) {
            if message.qos > 0 {
                return self.ask(Awaited::Taken { message, name }, fx);
            }
            return fx.transmit(self.address, publish(&message, name, false));
        }
        let Some(topic) = self.ids.assign(&message.topic, fx.settings.topics_max) else {
            fx.counts.unnamed += 1;
            return self.give_up(&message, fx);
        };
        let name = message.topic.clone();
        self.waiting.push_front(Item::Message(message));
        self.ask(Awaited::Regack { topic, name }, fx);
    }

    /// What the client calls the message's topic, if it knows a name for it.
    fn name_of(&self, message: &Publish, fx: &Effects<'_>) -> Option<TopicName> {
        let predefined = fx.settings.topics.of_topic(&message.topic);
        let predefined = predefined.and_then(|entry| entry.id);
        if let Some(field) = predefined.filter(|id| self.ids.uses_predefined(*id)) {
            let kind = TopicType::Predefined;
            return Some(TopicName { kind, field });
        }
        if let Ok(name) = <[u8; 2]>::try_from(message.topic.as_ref()) {
            let (kind, field) = (TopicType::Short, u16::from_be_bytes(name));
            return Some(TopicName { kind, field });
        }
        let (kind, field) = (TopicType::Normal, self.ids.known(&message.topic)?);
        Some(TopicName { kind, field })
    }

    pub(super) fn regack(&mut self, topic: u16, code: ReturnCode, fx: &mut Effects<'_>) {
        let awaited = self.outstanding.as_ref().map(|sent| &sent.awaited);
        if !matches!(awaited, Some(Awaited::Regack { topic: asked, .. }) if *asked == topic) {
            return;
        }
        match code {
            ReturnCode::Accepted => self.ids.know(topic),
            // It is asked again after a while.
            ReturnCode::Congestion => return,
            ReturnCode::InvalidTopic | ReturnCode::NotSupported => {
                fx.counts.unnamed += 1;
                if let Some(Item::Message(message)) = self.waiting.pop_front() {
                    self.give_up(&message, fx);
                }
            }
        }
        self.outstanding = None;
        self.pump(fx);
    }

    pub(super) fn puback(&mut self, topic: u16, id: u16, code: ReturnCode, fx: &mut Effects<'_>) {
        if code == ReturnCode::InvalidTopic {
            self.ids.forget(topic);
        }
        let awaited = self.outstanding.as_ref().map(|sent| &sent.awaited);
        let Some(Awaited::Taken { message, .. }) = awaited.filter(|_| id != 0) else {
            return;
        };
        if message.id != id {
            return;
        }
        let message = message.clone();
        let retries = self.outstanding.as_ref().map_or(0, |sent| sent.retries);
        match code {
            ReturnCode::Accepted if message.qos == 1 => self.up(Upward::Puback(id), fx),
            // It is sent again after a while.
            ReturnCode::Accepted | ReturnCode::Congestion => return,
            // Registered and sent anew, but not for ever.
            ReturnCode::InvalidTopic if retries < fx.settings.retries_max => {
                self.outstanding = None;
                self.waiting.push_front(Item::Message(message));
                self.pump(fx);
                if let Some(sent) = &mut self.outstanding {
                    sent.retries = retries + 1;
                }
                return;
            }
            ReturnCode::InvalidTopic | ReturnCode::NotSupported => {
                fx.counts.unnamed += 1;
                self.give_up(&message, fx);
            }
        }
        self.outstanding = None;
        self.pump(fx);
    }

    pub(super) fn pubrec(&mut self, id: u16, fx: &mut Effects<'_>) {
        let awaited = self.outstanding.as_ref().map(|sent| &sent.awaited);
        match awaited {
            Some(Awaited::Taken { message, .. }) if message.qos == 2 && message.id == id => {
                self.up(Upward::Pubrec(id), fx);
                let released = Awaited::Release(id);
                self.outstanding = Some(Outstanding::new(released, fx.now, fx.settings.retry_ms));
            }
            // Our PUBREL was lost.
            Some(Awaited::Completed(sent)) if *sent == id => {
                fx.send(self.address, &Packet::Pubrel(id));
            }
            _ => {}
        }
    }

    pub(super) fn pubcomp(&mut self, id: u16, fx: &mut Effects<'_>) {
        let awaited = self.outstanding.as_ref().map(|sent| &sent.awaited);
        if awaited == Some(&Awaited::Completed(id)) {
            self.up(Upward::Pubcomp(id), fx);
            self.outstanding = None;
            self.pump(fx);
        }
    }
}
