//! One client's connection: the state machine between bytes and the core. One file per concern;
//! here are the states and how they are driven.
//!
//! ```text
//!                CONNECT                identity
//! AwaitConnect ----------> AwaitIdentity --------> Open --+
//!      |                     |  A    |                    | DISCONNECT, fault, takeover,
//!      |           challenge |  | AUTH                    | keep alive, shutdown
//!      |                     V  |    | refused            |
//!      | timeout, fault   AwaitAuth  |                    |
//!      +---------------------+-------+-----> Closing <----+
//! ```

mod answers;
mod authenticate;
mod connect;
mod keep_alive;
mod open;
mod packet_id;
mod publish_in;
mod publish_out;
mod retained;
mod rights;
mod run_out;
mod subscribe;
mod topic_alias;
mod withheld;

use std::sync::Arc;

use bytes::BytesMut;
use routing::{
    Broker, ConnectionId, Frontend, OutBuf, Outbox, OutboxLimits, Peer, Request, Response,
    SaslReply, Timestamp,
};

use crate::counters::{Count, Tally};
use crate::error::{Ended, Error};
use crate::settings::Settings;
use crate::wire::{self, Connect, Sender, Version};
use open::Open;

/// An MQTT connection.
#[derive(Debug)]
pub struct Connection {
    broker: Arc<Broker>,
    settings: Arc<Settings>,
    id: ConnectionId,
    /// Wakes the connection while it has no session.
    outbox: Arc<Outbox>,
    state: State,
    request: Option<Request>,
    tally: Tally,
}

/// What is awaited.
#[derive(Debug)]
enum State {
    /// The first packet, until this moment.
    AwaitConnect(Timestamp),
    /// The gateway's word on who this is, until this moment.
    AwaitIdentity(Box<Connect>, Timestamp),
    /// The client's next word in proving who it is, until this moment.
    AwaitAuth(Box<Connect>, Timestamp),
    /// Any packet.
    Open(Box<Open>),
    /// The end of the socket; the session is given back then.
    Closing(Option<Box<Open>>),
}

impl Connection {
    /// A connection that was just accepted. MQTT treats every peer alike; whether one may be
    /// anonymous is the gateway's to decide.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        settings: Arc<Settings>,
        id: ConnectionId,
        _peer: Peer,
        now: Timestamp,
    ) -> Self {
        let connect_by = now.plus_ms(settings.connect_timeout_ms);
        Self {
            broker,
            settings,
            id,
            outbox: Outbox::attached(id, OutboxLimits::default()),
            state: State::AwaitConnect(connect_by),
            request: None,
            tally: Tally::default(),
        }
    }

    /// Takes one packet off `input`; false when there is none to take now.
    fn handle_packet(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        match &mut self.state {
            State::AwaitConnect(_) => self.handle_first_packet(input, out),
            State::AwaitIdentity(..) => false,
            State::AwaitAuth(..) => self.handle_auth_packet(input, out),
            State::Open(open) if open.is_authenticating => false,
            State::Open(open) => {
                let sizes = &self.settings.sizes;
                let packet = match wire::decode(input, open.version, Sender::Client, sizes) {
                    Ok(Some(packet)) => packet,
                    Ok(None) => return false,
                    Err(fault) => {
                        self.close(Some(fault.into()), out);
                        return false;
                    }
                };
                open.keep_alive.hear(now);
                match open.handle_packet(now, packet, out) {
                    Ok(open::Next::Continue) => true,
                    Ok(open::Next::Ask(step)) => {
                        self.request = Some(Request::Sasl(step));
                        false
                    }
                    Ok(open::Next::Close) => {
                        self.close(None, out);
                        false
                    }
                    Err(error) => {
                        self.close(Some(error), out);
                        false
                    }
                }
            }
            State::Closing(_) => {
                input.clear();
                false
            }
        }
    }

    /// Ends the batch: hands on what was published, sends what waits.
    fn finish(&mut self, now: Timestamp, out: &mut OutBuf) {
        match &mut self.state {
            State::Open(open) => {
                if let Err(error) = open.finish_batch(now, out) {
                    self.close(Some(error), out);
                }
            }
            State::Closing(Some(open)) => open.finish_publishing(now),
            State::AwaitConnect(_)
            | State::AwaitIdentity(..)
            | State::AwaitAuth(..)
            | State::Closing(None) => {}
        }
    }

    /// Does something and counts what it wrote.
    fn counted(&mut self, out: &mut OutBuf, act: impl FnOnce(&mut Self, &mut OutBuf)) {
        let before = out.len();
        act(self, out);
        self.tally
            .count(Count::BytesOut, out.len().saturating_sub(before));
        let counters = &self.settings.counters;
        counters.add(&mut self.tally);
        if let State::Open(open) | State::Closing(Some(open)) = &mut self.state {
            counters.add(&mut open.tally);
            counters.add(&mut open.sending.tally);
        }
    }

    /// Says why, where there is somebody to say it to, and closes.
    fn close(&mut self, error: Option<Error>, out: &mut OutBuf) {
        let state = std::mem::replace(&mut self.state, State::Closing(None));
        if let State::Open(open) = state {
            if open.version == Version::V5
                && let Some(error) = error
                && let Some(reason) = error.reason_code()
            {
                open.say_goodbye(reason, &error, out);
                self.tally.count(Count::PacketsOut, 1);
            }
            self.state = State::Closing(Some(open));
        }
    }
}

impl Frontend for Connection {
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) {
        self.counted(out, |this, out| {
            let before = input.len();
            while this.handle_packet(now, input, out) {}
            this.tally
                .count(Count::BytesIn, before.saturating_sub(input.len()));
            if let State::Open(open) = &mut this.state
                && !open.is_authenticating
            {
                open.keep_alive.hear_part(now, input.len());
            }
            this.finish(now, out);
        });
    }

    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.counted(out, |this, out| this.finish(now, out));
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        self.counted(out, |this, out| {
            match response {
                Response::Authenticated(identity) => {
                    let answer = identity.map(|identity| (identity, None));
                    this.handle_identity(now, answer, out);
                }
                Response::Sasl(Ok(SaslReply::Challenge(data))) => this.challenge(&data, out),
                Response::Sasl(Ok(SaslReply::Done { identity, data })) => {
                    this.handle_identity(now, Ok((identity, Some(data))), out);
                }
                Response::Sasl(Err(error)) => this.handle_identity(now, Err(error), out),
            }
            this.finish(now, out);
        });
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::AwaitConnect(until)
            | State::AwaitIdentity(_, until)
            | State::AwaitAuth(_, until) => Some(*until),
            State::Open(open) => open.keep_alive.deadline(),
            State::Closing(_) => None,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.counted(out, |this, out| match &this.state {
            State::AwaitConnect(until)
            | State::AwaitIdentity(_, until)
            | State::AwaitAuth(_, until)
                if *until <= now =>
            {
                this.close(None, out);
            }
            State::Open(open) => {
                if let Some(fault) = open.keep_alive.verdict(now) {
                    this.close(Some(fault.into()), out);
                }
            }
            _ => {}
        });
    }

    fn handle_shutdown(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.counted(out, |this, out| {
            this.finish(now, out);
            this.close(Some(Ended::ShuttingDown.into()), out);
        });
    }

    fn handle_disconnect(&mut self, now: Timestamp) {
        let state = std::mem::replace(&mut self.state, State::Closing(None));
        if let State::Open(mut open) | State::Closing(Some(mut open)) = state {
            open.give_back(now);
        }
        self.outbox.detach(self.id);
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(_))
    }

    fn outbox(&self) -> &Arc<Outbox> {
        match &self.state {
            State::Open(open) | State::Closing(Some(open)) => open.outbox(),
            State::AwaitConnect(_)
            | State::AwaitIdentity(..)
            | State::AwaitAuth(..)
            | State::Closing(None) => &self.outbox,
        }
    }
}

#[cfg(test)]
mod tests;
