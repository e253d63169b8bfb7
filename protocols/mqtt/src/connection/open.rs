//! A connection with a session: what it knows, which packet goes where, and how a batch ends.

use std::collections::VecDeque;
use std::sync::Arc;

use routing::outbox::{Item, Standing};
use routing::queue::Settlement;
use routing::{
    CloseSession, ConnectionId, Credit, Event, Identity, Name, OutBuf, Outbox, Publisher, Queue,
    SaslStep, Seq, Session, SessionOpened, Timestamp, VHost,
};

use super::answers::{Answer, Answers};
use super::keep_alive::KeepAlive;
use super::packet_id::PacketIds;
use super::publish_out::Sending;
use super::retained::{Progress, RetainedWalk};
use super::rights::Rights;
use super::topic_alias::InboundAliases;
use super::withheld::Withheld;
use crate::counters::{Count, Tally};
use crate::error::{Ended, Error, LimitExceeded, PeerMisbehaved};
use crate::settings::Settings;
use crate::wire::property::{Place, Properties, Property};
use crate::wire::{Disconnect, Malformed, PINGRESP, Packet, ReasonCode, Version};

/// What CONNECT settled about the client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ConnectionId,
    pub(super) version: Version,
    /// It forwards for another server: RETAIN as published, and nothing of its own back.
    pub(super) is_bridge: bool,
    /// The authentication method of its CONNECT.
    pub(super) method: Option<Name>,
    /// Whether it is told reasons in words, where it may choose. \[MQTT-3.1.2-29\]
    pub(super) wants_reasons: bool,
    pub(super) identity: Arc<Identity>,
    /// QoS 1 and 2 messages that it takes unacknowledged.
    pub(super) receive_max: u16,
    /// Bytes of the largest packet that it takes.
    pub(super) packet_size_max: u32,
    /// Topic aliases that it lets us set.
    pub(super) topic_alias_max: u16,
    pub(super) keep_alive_secs: u16,
    /// Whether its session was to outlive the connection; DISCONNECT may not change that.
    pub(super) had_session_expiry: bool,
}

/// What to do after a packet.
#[derive(Debug)]
pub(super) enum Next {
    Continue,
    /// Ask the gateway, and take no packet before it has answered.
    Ask(SaslStep),
    /// The client said goodbye.
    Close,
}

/// A connection with a session.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) version: Version,
    pub(super) keep_alive: KeepAlive,
    pub(super) settings: Arc<Settings>,
    pub(super) client: Client,
    pub(super) rights: Rights,
    pub(super) vhost: Arc<VHost>,
    pub(super) session: Arc<Session>,
    pub(super) credit: Arc<Credit>,
    pub(super) publisher: Publisher,
    pub(super) aliases: InboundAliases,
    pub(super) answers: Answers,
    /// QoS 1 and 2 messages of the client that are not acknowledged for good.
    pub(super) unacknowledged: usize,
    pub(super) packet_ids: PacketIds,
    pub(super) sending: Sending,
    pub(super) retained: VecDeque<RetainedWalk>,
    /// Packet identifiers of messages from an earlier connection that are still to be sent again.
    pub(super) to_resend: VecDeque<u16>,
    /// Packet identifiers that an earlier run of the gateway left to be released.
    pub(super) to_release: Vec<u16>,
    /// Messages of QoS 2 that are sent once it is durable under which identifiers.
    pub(super) withheld: Withheld,
    /// Messages of this batch that the client has acknowledged.
    pub(super) settled: Vec<Seq>,
    /// A step of a re-authentication waits for the gateway.
    pub(super) is_authenticating: bool,
    /// A step of a re-authentication waits for the client.
    pub(super) is_challenged: bool,
    pub(super) tally: Tally,
    /// How the session is given back.
    farewell: CloseSession,
    /// Deliveries that follow an answer which still waits for the journal.
    held: OutBuf,
    items: VecDeque<Item>,
    room_for: Vec<Arc<Queue>>,
}

impl Open {
    pub(super) fn new(
        now: Timestamp,
        settings: Arc<Settings>,
        client: Client,
        opened: SessionOpened,
        publisher: Publisher,
    ) -> Self {
        let vhost = Arc::clone(publisher.vhost());
        let rights = Rights::of(&client.identity, &vhost, &opened.session.client_id);
        let session = opened.session;
        let (under_way, recovered, to_release, retained) = session.with(|state| {
            let under_way = state.outgoing.iter().map(|sent| sent.packet_id);
            let under_way = under_way.collect::<VecDeque<u16>>();
            let recovered = state.recovered.packet_ids().collect::<Vec<_>>();
            let to_release = state.recovered.released.keys().copied().collect();
            let retained = RetainedWalk::resume(&vhost, state);
            (under_way, recovered, to_release, retained)
        });
        // What the session's last connection noted may not be durable yet.
        let vhost_end = session.is_durable.then(|| vhost.core().journal_end());
        let in_use = under_way.iter().chain(&recovered).copied();
        Self {
            version: client.version,
            keep_alive: KeepAlive::new(client.keep_alive_secs, settings.packet_timeout_ms, now),
            aliases: InboundAliases::new(settings.topic_alias_max),
            sending: Sending::new(&client),
            settings,
            client,
            rights,
            vhost,
            session,
            credit: opened.credit,
            publisher,
            answers: Answers::default(),
            unacknowledged: 0,
            packet_ids: PacketIds::resume(in_use),
            retained: retained.into(),
            withheld: Withheld::until(vhost_end),
            to_resend: under_way,
            to_release,
            settled: Vec::new(),
            is_authenticating: false,
            is_challenged: false,
            tally: Tally::default(),
            // Whatever ends the connection, but for a DISCONNECT that says so, leaves the will.
            farewell: CloseSession {
                keep_will: true,
                expiry_s: None,
            },
            held: OutBuf::default(),
            items: VecDeque::new(),
            room_for: Vec::new(),
        }
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.session.subscriber.outbox
    }

    pub(super) fn handle_packet(
        &mut self,
        now: Timestamp,
        packet: Packet,
        out: &mut OutBuf,
    ) -> Result<Next, Error> {
        self.tally.count(Count::PacketsIn, 1);
        if !matches!(packet, Packet::Publish(_)) {
            self.publisher.end_run();
        }
        match packet {
            Packet::Publish(publish) => self.handle_publish(now, &publish, out)?,
            Packet::Pubrel(ack) => self.handle_pubrel(ack, out),
            Packet::Puback(ack) => self.handle_puback(ack)?,
            Packet::Pubrec(ack) => self.handle_pubrec(ack, out)?,
            Packet::Pubcomp(ack) => self.handle_pubcomp(ack)?,
            Packet::Subscribe(subscribe) => self.handle_subscribe(&subscribe, out)?,
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe, out)?,
            Packet::Pingreq => {
                self.tally.count(Count::PacketsOut, 1);
                out.put_slice(&PINGRESP);
            }
            Packet::Disconnect(disconnect) => {
                self.handle_goodbye(&disconnect)?;
                return Ok(Next::Close);
            }
            Packet::Auth(auth) => return self.handle_auth(&auth),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                return Err(Malformed::PacketType.into());
            }
        }
        Ok(Next::Continue)
    }

    /// \[MQTT-3.14.4-3\], \[MQTT-3.14.2-2\]
    fn handle_goodbye(&mut self, disconnect: &Disconnect) -> Result<(), Error> {
        let expiry = disconnect.session_expiry_secs();
        if !self.client.had_session_expiry && expiry.is_some_and(|secs| secs != 0) {
            return Err(PeerMisbehaved::SessionExpiryRaised.into());
        }
        let max = self.settings.session_expiry_max_secs;
        self.farewell = CloseSession {
            keep_will: disconnect.reason != ReasonCode::SUCCESS,
            expiry_s: expiry.map(|secs| secs.min(max)),
        };
        Ok(())
    }

    /// A reason as this client is told it: it may not learn what others have rights to.
    /// MQTT 5 §3.9.3, 0x80
    pub(super) fn told(&self, reason: ReasonCode) -> ReasonCode {
        if reason == ReasonCode::NOT_AUTHORIZED && !self.settings.tell_missing_rights {
            ReasonCode::UNSPECIFIED_ERROR
        } else {
            reason
        }
    }

    /// An answer to a packet of the client: at once if nothing stands before it, so that a PUBREC
    /// or SUBACK leaves before the deliveries that follow from it.
    pub(super) fn answer(&mut self, lsn: Option<routing::Lsn>, answer: Answer, out: &mut OutBuf) {
        self.answers.push(lsn, answer);
        if self.answers.len() == 1 {
            self.flush_answers(out);
        }
    }

    /// The last word to a client of 5.0, with the reason in words if that fits.
    pub(super) fn say_goodbye(&self, reason: ReasonCode, error: &Error, out: &mut OutBuf) {
        let mut disconnect = Disconnect::because(reason);
        let mut packet = Vec::new();
        if self.settings.reason_strings {
            let words = error.to_string();
            disconnect.properties =
                Properties::of(Property::ReasonString(&words), Place::Disconnect);
            disconnect.encode(self.version, &mut packet);
        }
        if packet.is_empty() || !self.sending.fits(packet.len()) {
            packet.clear();
            Disconnect::because(reason).encode(self.version, &mut packet);
        }
        out.put_slice(&packet);
    }

    /// Ends a batch: settles what was acknowledged, hands on what was published, takes deliveries,
    /// and sends the answers that may leave.
    pub(super) fn finish_batch(&mut self, now: Timestamp, out: &mut OutBuf) -> Result<(), Error> {
        self.settle(now);
        self.publisher.flush();
        self.resend(now, out);
        self.take_deliveries(now, out)?;
        self.flush_answers(out);
        self.send_withheld(now, out);
        while self.send_retained(now, out) == Progress::Queued {
            self.take_deliveries(now, out)?;
        }
        self.publisher.flush();
        Ok(())
    }

    /// Wakes the receivers of what a closing connection has still published.
    pub(super) fn finish_publishing(&mut self, now: Timestamp) {
        self.settle(now);
        self.publisher.flush();
    }

    fn flush_answers(&mut self, out: &mut OutBuf) {
        let outbox = &self.session.subscriber.outbox;
        let before = self.answers.len();
        let flushed = self.answers.flush(&self.vhost, outbox, out);
        self.tally
            .count(Count::PacketsOut, before - self.answers.len());
        self.unacknowledged = self.unacknowledged.saturating_sub(flushed.finals);
        self.retained.extend(flushed.retained);
        if !self.answers.is_leading() && !self.held.is_empty() {
            out.put_slice(&std::mem::take(&mut self.held).to_vec());
        }
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        if let Some(queue) = self.session.queue()
            && !self.settled.is_empty()
        {
            queue.settle(
                now,
                &self.settled,
                Settlement::Ack,
                &mut self.publisher.wakes,
            );
            self.settled.clear();
        }
    }

    /// Sends what waits in the outbox, or holds it back behind an answer.
    fn take_deliveries(&mut self, now: Timestamp, out: &mut OutBuf) -> Result<(), Error> {
        if !self.answers.is_leading() {
            return self.take_all(now, out);
        }
        let mut held = std::mem::take(&mut self.held);
        let taken = self.take_all(now, &mut held);
        self.held = held;
        taken
    }

    /// Takes what waits in the outbox, until there is enough to write.
    fn take_all(&mut self, now: Timestamp, out: &mut OutBuf) -> Result<(), Error> {
        while let Some(room) = room(out) {
            let standing = self.take_some(now, room, out)?;
            for queue in self.room_for.drain(..) {
                queue.pump(now, &mut self.publisher.wakes);
            }
            match standing {
                Standing::Owner => {}
                Standing::TakenOver => return Err(Ended::TakenOver.into()),
                Standing::Overflowed => return Err(LimitExceeded::TooSlow.into()),
            }
            // What could not be sent was settled, and its place is free for another.
            self.settle(now);
            if self.outbox().is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Takes items and notes them as under way in one step, so that a takeover finds every message
    /// either in the outbox or in the session.
    fn take_some(
        &mut self,
        now: Timestamp,
        room: usize,
        out: &mut OutBuf,
    ) -> Result<Standing, Error> {
        let session = Arc::clone(&self.session);
        let mut items = std::mem::take(&mut self.items);
        let outcome = session.with(|state| {
            let outbox = &session.subscriber.outbox;
            let standing = outbox.take(self.client.id, room, &mut items, &mut self.room_for);
            for item in items.drain(..) {
                match item {
                    Item::Delivery(delivery) => self.send(now, state, delivery, out),
                    Item::Run(run, matched) => self.sending.put_run(now, &run, &matched, out),
                    Item::Event(Event::Close { .. }) => return Err(Ended::Administratively.into()),
                    // The queue goes with its session, and that is told by the standing. Its
                    // consumer acknowledges.
                    Item::QueueRun { .. } | Item::Event(Event::ConsumerCancelled { .. }) => {}
                }
            }
            self.note_withheld(now, state).map(|()| standing)
        });
        self.items = items;
        outcome
    }

    /// Gives the session back, with or without its will.
    pub(super) fn give_back(&mut self, now: Timestamp) {
        self.settle(now);
        self.pause_retained();
        let wakes = &mut self.publisher.wakes;
        self.vhost
            .close_session(now, &self.session, self.client.id, self.farewell, wakes);
        self.publisher.flush();
    }
}

impl Open {
    /// Leaves unfinished walks to the session's next connection, unless it has one already.
    fn pause_retained(&mut self) {
        let walks = self.retained.drain(..).map(RetainedWalk::pause);
        let walks = walks.collect::<Vec<_>>();
        if !walks.is_empty() && self.outbox().owner() == Some(self.client.id) {
            self.session.with(|state| state.paused_walks = walks);
        }
    }
}

/// Bytes of deliveries to take, `None` when enough waits to be written.
pub(super) fn room(out: &OutBuf) -> Option<usize> {
    routing::frontend::OUT_HIGH_WATER_BYTES
        .checked_sub(out.len())
        .filter(|room| *room > 0)
}
