//! One client: its states, and which file handles which packet.
//!
//! ```text
//! CONNECT ─► AwaitWillTopic ─► AwaitWillMessage ─► AwaitConnack ─► Active ◄──────────┐
//!    │ no will ────────────────────────────────────────▲  │  ▲         │ DISCONNECT   │ CONNECT
//!    │ an old line ───────► AwaitClosed ───────────────┘  │  │         ▼ with a time  │
//!                           will changed ◄────────────────┼──┘       Asleep ──────────┘
//!                                                         │          ▲    │ PINGREQ
//! Gone ◄── DISCONNECT, silence, refusal, takeover ────────┘ PINGRESP └── Awake
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use routing::Timestamp;

use super::effects::Effects;
use super::ids::TopicIds;
use super::outstanding::Outstanding;
use super::packet::{Packet, ReturnCode};
use super::words::{Downward, Line, Publish, Upward, Will};

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) id: Bytes,
    pub(super) state: State,
    /// Its MQTT connection.
    pub(super) line: Option<Line>,
    pub(super) is_clean: bool,
    pub(super) will: Option<Will>,
    /// What it promised: the longest silence while active.
    pub(super) keep_alive_ms: u64,
    /// The longest silence in the present state.
    pub(super) silence_max_ms: u64,
    pub(super) heard_at: Timestamp,
    pub(super) ids: TopicIds,
    /// What is to be sent to it, in this order.
    pub(super) waiting: VecDeque<Item>,
    pub(super) outstanding: Option<Outstanding>,
    /// Its own messages that the MQTT side has not settled, with the topic field of each.
    pub(super) inflight: HashMap<u16, u16>,
    /// Its subscriptions that are not granted yet, with the topic id of each.
    pub(super) subscribing: HashMap<u16, u16>,
    /// QoS 2 messages that it never got: the MQTT side's PUBREL is answered for it.
    pub(super) given_up: HashSet<u16>,
}

/// What waits for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Message(Publish),
    Release(u16),
}

/// What is awaited of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    AwaitWillTopic,
    AwaitWillMessage,
    /// The end of the old line, before the new one: else it would be taken over, and its will
    /// published.
    AwaitClosed(Answer),
    AwaitConnack(Answer),
    Active,
    Asleep,
    /// Asked for what waits; asleep again when it has all of it.
    Awake,
    Gone,
}

/// What a client is told when its line is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Connack,
    WillTopic,
    WillMessage,
}

impl Client {
    pub(super) fn new(address: SocketAddr, id: Bytes, now: Timestamp) -> Self {
        Self {
            address,
            id,
            state: State::Gone,
            line: None,
            is_clean: true,
            will: None,
            keep_alive_ms: 0,
            silence_max_ms: 0,
            heard_at: now,
            ids: TopicIds::default(),
            waiting: VecDeque::new(),
            outstanding: None,
            inflight: HashMap::new(),
            subscribing: HashMap::new(),
            given_up: HashSet::new(),
        }
    }

    /// Whether it has a session, and so may publish and subscribe.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Active | State::Asleep | State::Awake)
    }

    /// When [`Client::handle_timeout`] is due.
    pub(super) fn deadline(&self) -> Timestamp {
        let silence = self.heard_at.plus_ms(self.silence_max_ms);
        let retry = self.outstanding.as_ref().and_then(|sent| sent.due);
        // A client that sleeps hears nothing.
        let retry = retry.filter(|_| self.state != State::Asleep);
        retry.map_or(silence, |retry| retry.min(silence))
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet<'_>, fx: &mut Effects<'_>) {
        self.heard_at = fx.now;
        match *packet {
            Packet::WillTopic { flags, topic } => self.will_topic(flags, topic, fx),
            Packet::WillMessage(text) => self.will_message(text, fx),
            Packet::Disconnect { seconds } => self.disconnect(seconds, fx),
            Packet::Pingreq { .. } => self.ping(fx),
            _ if !self.is_open() => fx.counts.unexpected += 1,
            Packet::Register { id, name, .. } => self.register(id, name, fx),
            Packet::Publish {
                flags,
                topic,
                id,
                payload,
            } => {
                self.publish(flags, (topic, id), payload, fx);
            }
            Packet::Pubrel(id) => self.up(Upward::Pubrel(id), fx),
            Packet::Subscribe { flags, id, topic } => self.subscribe(flags, id, topic, fx),
            Packet::Unsubscribe { flags, id, topic } => self.unsubscribe(flags, id, topic, fx),
            Packet::Regack { topic, code, .. } => self.regack(topic, code, fx),
            Packet::Puback { topic, id, code } => self.puback(topic, id, code, fx),
            Packet::Pubrec(id) => self.pubrec(id, fx),
            Packet::Pubcomp(id) => self.pubcomp(id, fx),
            Packet::WillTopicUpdate { flags, topic } => self.update_will_topic(flags, topic, fx),
            Packet::WillMessageUpdate(text) => self.update_will_message(text, fx),
            Packet::Advertise { .. }
            | Packet::SearchGateway
            | Packet::GatewayInfo { .. }
            | Packet::Connect { .. }
            | Packet::Connack(_)
            | Packet::WillTopicRequest
            | Packet::WillMessageRequest
            | Packet::Suback { .. }
            | Packet::Unsuback(_)
            | Packet::Pingresp
            | Packet::WillTopicResponse(_)
            | Packet::WillMessageResponse(_) => fx.counts.unexpected += 1,
        }
    }

    /// What the MQTT side says to this client.
    pub(super) fn handle_downward(&mut self, word: Downward, fx: &mut Effects<'_>) {
        match word {
            Downward::Connack(code) => self.connack(code, fx),
            Downward::Closed => self.closed(fx),
            Downward::Publish(message) => self.deliver(message, fx),
            Downward::Pubrel(id) => self.release(id, fx),
            Downward::Puback(id, code) => self.settle(id, code, fx),
            Downward::Pubrec(id, ReturnCode::Accepted) => {
                fx.send(self.address, &Packet::Pubrec(id));
            }
            Downward::Pubrec(id, code) => self.settle(id, code, fx),
            Downward::Pubcomp(id) => {
                self.inflight.remove(&id);
                fx.send(self.address, &Packet::Pubcomp(id));
            }
            Downward::Suback(id, granted) => self.suback(id, granted, fx),
            Downward::Unsuback(id) => fx.send(self.address, &Packet::Unsuback(id)),
        }
    }

    /// Sends again what was not answered; gives up who is silent.
    pub(super) fn handle_timeout(&mut self, fx: &mut Effects<'_>) {
        let is_silent = self.heard_at.plus_ms(self.silence_max_ms) <= fx.now;
        let is_asleep = self.state == State::Asleep;
        let is_due = |sent: &Outstanding| !is_asleep && sent.due.is_some_and(|due| due <= fx.now);
        let due = self.outstanding.as_mut().filter(|sent| is_due(sent));
        let is_unanswered = due
            .as_ref()
            .is_some_and(|sent| sent.retries >= fx.settings.retries_max);
        if is_silent || is_unanswered {
            return self.lose(fx);
        }
        if let Some(sent) = due {
            sent.retries += 1;
            sent.due = Some(fx.now.plus_ms(fx.settings.retry_ms));
            if let Some(datagram) = sent.awaited.encode(true) {
                fx.counts.repeated += 1;
                fx.transmit(self.address, datagram);
            }
        }
    }

    /// It is not there any more: its will is published.
    fn lose(&mut self, fx: &mut Effects<'_>) {
        fx.counts.lost += 1;
        if matches!(self.state, State::AwaitConnack(_) | State::AwaitClosed(_)) {
            fx.send(self.address, &Packet::Connack(ReturnCode::Congestion));
        }
        self.up(Upward::Lost, fx);
        self.state = State::Gone;
    }

    pub(super) fn up(&self, word: Upward, fx: &mut Effects<'_>) {
        if let Some(line) = self.line {
            fx.up.push_back((line, word));
        }
    }
}
