//! One AMQP 0-9-1 connection: the state machine between the frames and the core.
//!
//! | file | concern |
//! | --- | --- |
//! | `handshake`, `sasl` | up to `connection.open-ok`; channel 0 |
//! | `channel` | a channel's state; which method goes where |
//! | `exchange`, `queue`, `held` | topology |
//! | `publish`, `confirm`, `tx`, `blocked` | messages in |
//! | `consume`, `settle`, `unsettled`, `overdue` | messages out |
//! | `shared` | what the channels share |
//!
//! Confirms, commits and the answers about durable topology wait for the journal.

mod blocked;
mod channel;
mod confirm;
mod consume;
mod exchange;
mod handshake;
mod held;
mod life_cycle;
mod outgoing;
mod overdue;
mod publish;
mod queue;
mod sasl;
mod settle;
mod shared;
mod tx;
mod unsettled;

use std::{collections::VecDeque, sync::Arc};

use bytes::BytesMut;
use routing::{
    Broker, ConnectionId, Frontend, Identity, Lsn, OutBuf, Outbox, Peer, Request, Response,
    Timestamp, frontend::OUT_HIGH_WATER_BYTES, outbox::Item,
};

use crate::{
    error::{Refused, ReplyCode},
    settings::Settings,
    wire::{
        Malformed,
        frame::{
            Batch, ChannelId, FRAME_MAX_LOWEST, Frame, FrameLimit, FrameSpan, FrameType,
            ProtocolHeader, SUPPORTED_HEADER, put_heartbeat,
        },
        method_id::MethodId,
        methods::{Method, Tune},
        replies::{ChannelReply, ConnectionReply, Reply, put_reply},
    },
};
use channel::{Channel, ChannelState};
use shared::{FastMap, Shared};

/// Octets of an unexpected frame that its error shows.
const SNIPPET_LEN: usize = 16;

/// A connection; see [`Frontend`] for how it is driven.
#[derive(Debug)]
pub struct Connection {
    broker: Arc<Broker>,
    settings: Arc<Settings>,
    id: ConnectionId,
    outbox: Arc<Outbox>,
    state: State,
    channels: FastMap<ChannelId, Channel>,
    request: Option<Request>,
    client: Client,
    /// What was negotiated; before that, what holds during the handshake.
    limits: Tune,
    /// Taken from the outbox and not written yet.
    items: VecDeque<Item>,
    opened_at: Timestamp,
    heard_at: Timestamp,
    said_at: Timestamp,
    /// The position that the core was asked to wake this connection for.
    waits_for: Option<Lsn>,
    /// It has published and there is no room: it is not read until there is.
    is_blocked: bool,
    /// A frame that waits for answers before it, and what came with it.
    paused: Option<(Batch, FrameSpan)>,
}

/// What the connection waits for.
#[derive(Debug)]
enum State {
    AwaitHeader,
    AwaitStartOk,
    /// The gateway's answer to who this is.
    AwaitIdentity {
        mechanism: String,
    },
    AwaitTuneOk(Arc<Identity>),
    AwaitOpen(Arc<Identity>),
    Open(Box<Shared>),
    /// The server has closed. `is_deaf` when the borders of frames are lost.
    AwaitCloseOk {
        until: Timestamp,
        is_deaf: bool,
    },
    Closed,
}

impl State {
    /// RabbitMQ's name of the state.
    fn name(&self) -> &'static str {
        match self {
            Self::AwaitHeader => "pre_init",
            Self::AwaitStartOk => "starting",
            Self::AwaitIdentity { .. } => "securing",
            Self::AwaitTuneOk(_) => "tuning",
            Self::AwaitOpen(_) => "opening",
            Self::Open(_) => "running",
            Self::AwaitCloseOk { .. } => "closing",
            Self::Closed => "closed",
        }
    }
}

/// What the client says it can do.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    authentication_failure_close: bool,
    connection_blocked: bool,
    consumer_cancel_notify: bool,
}

impl Connection {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        settings: Arc<Settings>,
        id: ConnectionId,
        _peer: Peer,
        now: Timestamp,
    ) -> Self {
        let outbox = Outbox::attached(id, settings.outbox);
        Self {
            broker,
            settings,
            id,
            outbox,
            state: State::AwaitHeader,
            channels: FastMap::default(),
            request: None,
            client: Client::default(),
            limits: Tune {
                channel_max: 0,
                frame_max: FRAME_MAX_LOWEST,
                heartbeat_secs: 0,
            },
            items: VecDeque::new(),
            opened_at: now,
            heard_at: now,
            said_at: now,
            waits_for: None,
            is_blocked: false,
            paused: None,
        }
    }

    /// Handles what is complete in `input`, unless it must wait; false when there was nothing.
    fn handle_next(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        match &self.state {
            State::AwaitHeader => self.handle_header(input, out),
            State::AwaitIdentity { .. } => false,
            State::Closed | State::AwaitCloseOk { is_deaf: true, .. } => {
                input.clear();
                self.paused = None;
                false
            }
            _ if !self.wants_input() => false,
            _ => self.handle_frames(now, input, out),
        }
    }

    fn handle_header(&mut self, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        match ProtocolHeader::cut(input) {
            None => return false,
            Some(ProtocolHeader::Amqp091) => {
                self.put_start(out);
                self.state = State::AwaitStartOk;
            }
            Some(ProtocolHeader::Other) => {
                out.put_slice(&SUPPORTED_HEADER);
                self.state = State::Closed;
            }
        }
        true
    }

    /// Handles the frames that are complete in `input`; false when there was none.
    fn handle_frames(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        let frames_max = if matches!(self.state, State::Open(_)) {
            usize::MAX
        } else {
            1
        };
        let limit = FrameLimit {
            frame_max: self.limits.frame_max,
            frames_max,
        };
        let mut batch = match self.paused.take() {
            Some((batch, span)) => {
                self.handle_frame(now, &batch, span, out);
                batch
            }
            None => Batch::cut(input, limit),
        };
        if batch.is_empty() {
            return false;
        }
        loop {
            if let Some(len) = self.handle_whole_publish(now, &batch, out) {
                batch.skip(len);
                continue;
            }
            match batch.next_frame() {
                Ok(Some(span)) if self.must_pause(&batch, span) => {
                    self.paused = Some((batch, span));
                    return false;
                }
                Ok(Some(span)) => self.handle_frame(now, &batch, span, out),
                Ok(None) => return true,
                Err(malformed) => self.fail_malformed(now, malformed, out),
            }
        }
    }

    fn handle_frame(&mut self, now: Timestamp, batch: &Batch, span: FrameSpan, out: &mut OutBuf) {
        let frame = batch.frame(span);
        match (&self.state, frame.kind, frame.channel) {
            (State::Closed | State::AwaitCloseOk { is_deaf: true, .. }, ..) => {}
            (_, FrameType::Heartbeat, ChannelId::CONNECTION) => {}
            (_, FrameType::Method, ChannelId::CONNECTION) => self.handle_channel_0(now, frame, out),
            (State::AwaitCloseOk { .. }, ..) => {}
            (State::Open(_), FrameType::Method | FrameType::Header | FrameType::Body, channel)
                if channel != ChannelId::CONNECTION =>
            {
                self.handle_channel(now, batch, span, out);
            }
            _ => self.fail(now, &unexpected(frame), MethodId::NONE, out),
        }
    }

    fn handle_channel_0(&mut self, now: Timestamp, frame: Frame<'_>, out: &mut OutBuf) {
        let Some((id, _)) = MethodId::split(frame.payload) else {
            return self.fail_malformed(now, Malformed::Fields, out);
        };
        match Method::parse(id, frame.payload) {
            Ok(Method::Connection(method)) => {
                self.handle_connection_method(now, (id, method), out);
            }
            // Any other method needs a channel.
            Ok(_) => {
                let text = format!(
                    "unexpected method in connection state {}",
                    self.state.name()
                );
                self.fail(now, &Refused::new(ReplyCode::ChannelError, text), id, out);
            }
            Err(malformed) => self.fail(now, &malformed.into(), id, out),
        }
    }

    fn handle_channel(&mut self, now: Timestamp, batch: &Batch, span: FrameSpan, out: &mut OutBuf) {
        let frame = batch.frame(span);
        if self.handle_life_cycle(now, frame, out) {
            return;
        }
        let State::Open(shared) = &mut self.state else {
            return;
        };
        let Some(channel) = self.channels.get_mut(&frame.channel) else {
            let refused = Refused::new(ReplyCode::ChannelError, "expected 'channel.open'");
            let id = MethodId::split(frame.payload).map_or(MethodId::NONE, |(id, _)| id);
            return self.fail(now, &refused, id, out);
        };
        if channel.state == ChannelState::AwaitCloseOk {
            return;
        }
        if let Err((refused, id)) = channel.handle_frame(shared, now, batch, span, out) {
            self.refuse(now, frame.channel, (&refused, id), out);
        }
    }

    /// Closes the channel or the connection, as the fault has it.
    fn refuse(
        &mut self,
        now: Timestamp,
        channel: ChannelId,
        (refused, id): (&Refused, MethodId),
        out: &mut OutBuf,
    ) {
        if refused.code.is_soft() {
            self.fail_channel(now, channel, (refused, id), out);
        } else {
            self.fail(now, refused, id, out);
        }
    }

    /// Closes a channel for a fault, and waits for the answer.
    fn fail_channel(
        &mut self,
        now: Timestamp,
        id: ChannelId,
        (refused, method): (&Refused, MethodId),
        out: &mut OutBuf,
    ) {
        let (State::Open(shared), Some(channel)) = (&mut self.state, self.channels.get_mut(&id))
        else {
            return;
        };
        channel.release(shared, now);
        channel.state = ChannelState::AwaitCloseOk;
        let reason = refused.reason(method);
        let close = Reply::Channel(ChannelReply::Close(&reason));
        put_reply(channel.held.behind(out), id, close);
    }

    /// Does what is gathered over a batch: settles, wakes, confirms, blocks.
    fn end_batch(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.settle_gathered(now);
        self.answer_durable(out);
        self.block_if_full(out);
        if let State::Open(shared) = &mut self.state {
            shared.publisher.flush();
        }
    }

    fn settle_gathered(&mut self, now: Timestamp) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        if shared.settlements.is_empty() {
            return;
        }
        shared.flush_settlements(now);
        for channel in self
            .channels
            .values()
            .filter(|channel| channel.shared_prefetch > 0)
        {
            channel.pump_consumers(shared, now);
        }
    }

    /// Answers what has become durable; asks to be woken for the rest.
    fn answer_durable(&mut self, out: &mut OutBuf) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        let core = Arc::clone(shared.vhost.core());
        while !shared.awaiting.is_empty() {
            let durable = core.durable();
            let mut first = None::<Lsn>;
            shared.is_holding = false;
            for id in std::mem::take(&mut shared.awaiting) {
                let Some(channel) = self.channels.get_mut(&id) else {
                    continue;
                };
                let waits_for = channel.answer(durable, out);
                shared.is_holding |= !channel.held.is_empty();
                if let Some(lsn) = waits_for {
                    shared.awaiting.push(id);
                    first = Some(first.map_or(lsn, |first| first.min(lsn)));
                }
            }
            // One registration at a time: positions only rise, so the first asked for is the
            // lowest.
            let Some(lsn) = first.filter(|_| self.waits_for.is_none()) else {
                return;
            };
            if !core.wait_durable(lsn, &self.outbox) {
                self.waits_for = Some(lsn);
                return;
            }
        }
    }

    /// Closes for a fault: with a word once the client is known, else without.
    fn fail(&mut self, now: Timestamp, refused: &Refused, id: MethodId, out: &mut OutBuf) {
        match self.state {
            State::Open(_) | State::AwaitOpen(_) => self.close(now, refused, id, out),
            State::AwaitCloseOk { .. } | State::Closed => {}
            _ => self.state = State::Closed,
        }
    }

    fn fail_malformed(&mut self, now: Timestamp, malformed: Malformed, out: &mut OutBuf) {
        self.fail(now, &malformed.into(), MethodId::NONE, out);
        if let State::AwaitCloseOk { is_deaf, .. } = &mut self.state {
            *is_deaf |= malformed.is_out_of_sync();
        }
    }

    /// Says `connection.close` and waits for the answer.
    fn close(&mut self, now: Timestamp, refused: &Refused, id: MethodId, out: &mut OutBuf) {
        self.release(now);
        self.put(out, ConnectionReply::Close(&refused.reason(id)));
        let until = now.plus_ms(self.settings.close_timeout_ms);
        self.state = State::AwaitCloseOk {
            until,
            is_deaf: false,
        };
    }

    /// Gives everything back to the core.
    fn release(&mut self, now: Timestamp) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        for (_, mut channel) in self.channels.drain() {
            channel.release(shared, now);
        }
        for (_, queue) in std::mem::take(&mut shared.exclusive_queues) {
            shared
                .vhost
                .delete_exclusive_queue(&queue, &mut shared.publisher.wakes);
        }
        shared.publisher.flush();
    }

    fn heartbeat_ms(&self) -> Option<u64> {
        let secs = u64::from(self.limits.heartbeat_secs);
        (secs > 0 && matches!(self.state, State::Open(_))).then_some(secs * 1000)
    }

    /// When the peer has been silent for too long (AMQP 0-9-1 §4.2.7): two intervals. While nobody
    /// reads what it says, it cannot be.
    fn peer_gone_at(&self) -> Option<Timestamp> {
        let interval_ms = self.heartbeat_ms().filter(|_| self.wants_input())?;
        Some(self.heard_at.plus_ms(2 * interval_ms))
    }
}

impl Frontend for Connection {
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) {
        let before = out.len();
        self.heard_at = now;
        loop {
            while self.handle_next(now, input, out) {}
            self.end_batch(now, out);
            // What a paused frame waited for may have become durable in the meantime.
            if self.paused.is_none() || !self.wants_input() {
                break;
            }
        }
        if out.len() > before {
            self.said_at = now;
        }
    }

    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf) {
        let before = out.len();
        self.waits_for = None;
        self.unblock_if_room(now, out);
        self.write_outbox(now, OUT_HIGH_WATER_BYTES, out);
        self.end_batch(now, out);
        if out.len() > before {
            self.said_at = now;
        }
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        self.handle_identity(now, response, out);
        self.said_at = now;
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::AwaitCloseOk { until, .. } => Some(*until),
            State::Closed => None,
            State::Open(shared) => {
                let speak = self.heartbeat_ms().map(|ms| self.said_at.plus_ms(ms / 2));
                [speak, self.peer_gone_at(), shared.settle_by]
                    .into_iter()
                    .flatten()
                    .min()
            }
            _ => Some(self.opened_at.plus_ms(self.settings.handshake_timeout_ms)),
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        if !matches!(self.state, State::Open(_)) {
            self.state = State::Closed;
            return;
        }
        self.close_overdue(now, out);
        // What an overdue channel gave back may have gone to others, who are to be woken.
        self.end_batch(now, out);
        if self.peer_gone_at().is_some_and(|at| at <= now) {
            self.release(now);
            self.state = State::Closed;
            return;
        }
        if self
            .heartbeat_ms()
            .is_some_and(|ms| self.said_at.plus_ms(ms / 2) <= now)
        {
            put_heartbeat(out);
            self.said_at = now;
        }
    }

    fn handle_shutdown(&mut self, now: Timestamp, out: &mut OutBuf) {
        let text = "broker forced connection closure with reason 'shutdown'";
        let refused = Refused::new(ReplyCode::ConnectionForced, text);
        self.fail(now, &refused, MethodId::NONE, out);
    }

    fn handle_disconnect(&mut self, now: Timestamp) {
        self.release(now);
        self.outbox.detach(self.id);
        self.state = State::Closed;
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn wants_input(&self) -> bool {
        let is_blocked = self.is_blocked && matches!(self.state, State::Open(_));
        !is_blocked && !self.is_paused()
    }

    fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

/// RabbitMQ's words for a frame that has no place here.
fn unexpected(frame: Frame<'_>) -> Refused {
    let shown = frame.payload.get(..SNIPPET_LEN).unwrap_or(frame.payload);
    let octets = shown
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let how_much = if shown.len() == frame.payload.len() {
        "all"
    } else {
        "first 16"
    };
    let text = format!(
        "type {}, {how_much} octets = <<{octets}>>",
        frame.kind.octet()
    );
    Refused::new(ReplyCode::UnexpectedFrame, text)
}

#[cfg(test)]
mod tests;
