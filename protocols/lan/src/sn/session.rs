//! How a client comes, sleeps and leaves, and what becomes of its will. MQTT-SN 1.2 §6.2 to §6.4,
//! §6.7, §6.12, §6.14

use bytes::Bytes;

use super::client::{Answer, Client, Item, State};
use super::effects::Effects;
use super::names;
use super::outstanding::{Awaited, Outstanding};
use super::packet::{Flags, Packet, ReturnCode};
use super::words::{Connect, Upward, Will};

impl Client {
    /// A CONNECT of this client, from this address.
    pub(super) fn connect(&mut self, flags: Flags, seconds: u16, fx: &mut Effects<'_>) {
        self.heard_at = fx.now;
        let asked_ms = u64::from(seconds) * 1000;
        let bounds = 1..=fx.settings.keep_alive_max_ms;
        let is_bounded = bounds.contains(&asked_ms);
        self.keep_alive_ms = if is_bounded { asked_ms } else { *bounds.end() };
        match self.state {
            // Its answer is on its way.
            State::AwaitConnack(Answer::Connack) | State::AwaitClosed(Answer::Connack) => {}
            State::Active | State::Asleep | State::Awake if !flags.clean && !flags.will => {
                self.resume(fx);
            }
            _ => {
                self.is_clean = flags.clean;
                self.will = None;
                self.outstanding = None;
                self.silence_max_ms = handshake_ms(fx);
                if flags.will {
                    self.state = State::AwaitWillTopic;
                    self.ask(Awaited::WillTopic, fx);
                } else {
                    self.open_line(Answer::Connack, fx);
                }
            }
        }
    }

    /// Awake again, with the session it had. It may have restarted, and have forgotten all ids.
    fn resume(&mut self, fx: &mut Effects<'_>) {
        self.set_aside();
        self.ids.forget_all();
        self.activate(fx);
        fx.send(self.address, &Packet::Connack(ReturnCode::Accepted));
        self.pump(fx);
    }

    fn activate(&mut self, fx: &Effects<'_>) {
        self.state = State::Active;
        self.heard_at = fx.now;
        self.silence_max_ms = tolerated(self.keep_alive_ms);
    }

    /// What was sent and not answered is sent first when there is somebody to hear it.
    pub(super) fn set_aside(&mut self) {
        let Some(sent) = self.outstanding.take() else {
            return;
        };
        match sent.awaited {
            Awaited::Taken { message, .. } => {
                let dup = true;
                let message = super::words::Publish { dup, ..message };
                self.waiting.push_front(Item::Message(message));
            }
            Awaited::Completed(id) => self.waiting.push_front(Item::Release(id)),
            // The message that it was for is the first that waits.
            Awaited::Regack { .. } => {}
            Awaited::WillTopic | Awaited::WillMessage | Awaited::Release(_) => {
                self.outstanding = Some(sent);
            }
        }
    }

    pub(super) fn will_topic(&mut self, flags: Flags, topic: &[u8], fx: &mut Effects<'_>) {
        if self.state != State::AwaitWillTopic {
            fx.counts.unexpected += 1;
            return;
        }
        self.outstanding = None;
        if topic.is_empty() {
            return self.open_line(Answer::Connack, fx);
        }
        let Some(will) = new_will(flags, topic) else {
            fx.send(self.address, &Packet::Connack(ReturnCode::InvalidTopic));
            self.up(
                Upward::Disconnect {
                    keeps_session: true,
                },
                fx,
            );
            self.state = State::Gone;
            return;
        };
        self.will = Some(will);
        self.state = State::AwaitWillMessage;
        self.ask(Awaited::WillMessage, fx);
    }

    pub(super) fn will_message(&mut self, text: &[u8], fx: &mut Effects<'_>) {
        if self.state != State::AwaitWillMessage {
            fx.counts.unexpected += 1;
            return;
        }
        self.outstanding = None;
        let will = self.will.as_mut();
        will.into_iter()
            .for_each(|will| will.payload = Bytes::copy_from_slice(text));
        self.open_line(Answer::Connack, fx);
    }

    /// Connects on the MQTT side, once an older line is closed.
    fn open_line(&mut self, answer: Answer, fx: &mut Effects<'_>) {
        self.heard_at = fx.now;
        self.silence_max_ms = handshake_ms(fx);
        if self.line.is_some() {
            let keeps_session = answer != Answer::Connack || !self.is_clean;
            self.up(Upward::Disconnect { keeps_session }, fx);
            self.state = State::AwaitClosed(answer);
            return;
        }
        if answer == Answer::Connack {
            self.ids = super::ids::TopicIds::default();
            self.waiting.clear();
        }
        self.line = Some(fx.new_line());
        let connect = Connect {
            client: self.id.clone(),
            clean: self.is_clean && answer == Answer::Connack,
            is_short: self.is_clean,
            will: self.will.clone(),
        };
        self.up(Upward::Connect(connect), fx);
        self.state = State::AwaitConnack(answer);
    }

    pub(super) fn connack(&mut self, code: ReturnCode, fx: &mut Effects<'_>) {
        let State::AwaitConnack(answer) = self.state else {
            return;
        };
        if code == ReturnCode::Accepted {
            self.activate(fx);
        } else {
            self.state = State::Gone;
        }
        let packet = match answer {
            Answer::Connack => Packet::Connack(code),
            Answer::WillTopic => Packet::WillTopicResponse(code),
            Answer::WillMessage => Packet::WillMessageResponse(code),
        };
        fx.send(self.address, &packet);
        self.pump(fx);
    }

    /// The line is over, because it was to be or because the MQTT side says so.
    pub(super) fn closed(&mut self, fx: &mut Effects<'_>) {
        self.line = None;
        self.inflight.clear();
        self.subscribing.clear();
        self.given_up.clear();
        // The MQTT side sends again what was not settled.
        self.outstanding = None;
        self.waiting
            .retain(|item| matches!(item, Item::Message(message) if message.qos == 0));
        match self.state {
            State::AwaitClosed(answer) => self.open_line(answer, fx),
            State::AwaitConnack(_) => {
                fx.send(self.address, &Packet::Connack(ReturnCode::Congestion));
                self.state = State::Gone;
            }
            _ => {
                fx.send(self.address, &Packet::Disconnect { seconds: None });
                self.state = State::Gone;
            }
        }
    }

    pub(super) fn disconnect(&mut self, seconds: Option<u16>, fx: &mut Effects<'_>) {
        fx.send(self.address, &Packet::Disconnect { seconds: None });
        let is_open = matches!(self.state, State::Active | State::Asleep | State::Awake);
        match seconds {
            Some(seconds) if seconds > 0 && is_open => {
                self.set_aside();
                self.state = State::Asleep;
                self.silence_max_ms = tolerated(u64::from(seconds) * 1000);
            }
            _ => {
                let keeps_session = !self.is_clean;
                self.up(Upward::Disconnect { keeps_session }, fx);
                self.state = State::Gone;
            }
        }
    }

    /// A client that sleeps asks for what waits; the answer says that this was all.
    pub(super) fn ping(&mut self, fx: &mut Effects<'_>) {
        match self.state {
            State::Asleep | State::Awake => {
                self.state = State::Awake;
                self.pump(fx);
            }
            _ => fx.send(self.address, &Packet::Pingresp),
        }
    }

    pub(super) fn update_will_topic(&mut self, flags: Flags, topic: &[u8], fx: &mut Effects<'_>) {
        let payload = self.will.take().map(|will| will.payload);
        if !topic.is_empty() {
            let Some(will) = new_will(flags, topic) else {
                let code = ReturnCode::InvalidTopic;
                return fx.send(self.address, &Packet::WillTopicResponse(code));
            };
            let payload = payload.unwrap_or_default();
            self.will = Some(Will { payload, ..will });
        }
        self.open_line(Answer::WillTopic, fx);
    }

    pub(super) fn update_will_message(&mut self, text: &[u8], fx: &mut Effects<'_>) {
        let Some(will) = &mut self.will else {
            let code = ReturnCode::NotSupported;
            return fx.send(self.address, &Packet::WillMessageResponse(code));
        };
        will.payload = Bytes::copy_from_slice(text);
        self.open_line(Answer::WillMessage, fx);
    }

    /// Sends what is to be answered.
    pub(super) fn ask(&mut self, awaited: Awaited, fx: &mut Effects<'_>) {
        if let Some(datagram) = awaited.encode(false) {
            fx.transmit(self.address, datagram);
        }
        let retry_ms = fx.settings.retry_ms;
        self.outstanding = Some(Outstanding::new(awaited, fx.now, retry_ms));
    }
}

fn new_will(flags: Flags, topic: &[u8]) -> Option<Will> {
    names::is_topic(topic).then(|| Will {
        topic: Bytes::copy_from_slice(topic),
        payload: Bytes::new(),
        qos: flags.qos.min(2),
        retain: flags.retain,
    })
}

/// How long a handshake may take.
fn handshake_ms(fx: &Effects<'_>) -> u64 {
    let tries = u64::from(fx.settings.retries_max) + 1;
    fx.settings.retry_ms.saturating_mul(tries)
}

/// Half as much again up to a minute, a tenth above. MQTT-SN 1.2 §7.2
fn tolerated(duration_ms: u64) -> u64 {
    let share = if duration_ms <= 60_000 { 2 } else { 10 };
    duration_ms + duration_ms / share
}
