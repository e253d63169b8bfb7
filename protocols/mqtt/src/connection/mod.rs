//! One client's connection: the state machine between bytes and the core. One file per concern;
//! here are the states and how they are driven.
//!
//! ```text
//!                CONNECT                identity
//! AwaitConnect ----------> AwaitIdentity --------> Open --+
//!      |                        |                         | DISCONNECT, fault, takeover,
//!      | timeout, fault         | refused                 | keep alive, shutdown
//!      +------------------------+----------> Closing <----+
//! ```

mod answers;
mod connect;
mod keep_alive;
mod open;
mod packet_id;
mod publish_in;
mod publish_out;
mod retained;
mod subscribe;
mod topic_alias;

use std::sync::Arc;

use bytes::BytesMut;
use routing::{
    Broker, ConnectionId, Frontend, OutBuf, Outbox, OutboxLimits, Peer, Request, Response,
    Timestamp,
};

use crate::error::{Ended, Error, PeerMisbehaved};
use crate::settings::Settings;
use crate::wire::{self, Connect, Disconnect, Sender, Version};
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
}

/// What is awaited.
#[derive(Debug)]
enum State {
    /// The first packet, until this moment.
    AwaitConnect(Timestamp),
    /// The gateway's word on who this is, until this moment.
    AwaitIdentity(Box<Connect>, Timestamp),
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
        }
    }

    /// Takes one packet off `input`; false when there is none to take now.
    fn handle_packet(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) -> bool {
        match &mut self.state {
            State::AwaitConnect(_) => self.handle_first_packet(input, out),
            State::AwaitIdentity(..) => false,
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
                match open.handle_packet(now, packet, out) {
                    Ok(open::Next::Continue) => true,
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
            State::AwaitConnect(_) | State::AwaitIdentity(..) | State::Closing(None) => {}
        }
    }

    /// Says why, where there is somebody to say it to, and closes.
    fn close(&mut self, error: Option<Error>, out: &mut OutBuf) {
        let state = std::mem::replace(&mut self.state, State::Closing(None));
        if let State::Open(open) = state {
            if open.version == Version::V5
                && let Some(reason) = error.and_then(Error::reason_code)
            {
                let mut packet = Vec::new();
                Disconnect::because(reason).encode(open.version, &mut packet);
                out.put_slice(&packet);
            }
            self.state = State::Closing(Some(open));
        }
    }
}

impl Frontend for Connection {
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) {
        if let State::Open(open) = &mut self.state {
            open.keep_alive.hear(now);
        }
        while self.handle_packet(now, input, out) {}
        self.finish(now, out);
    }

    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.finish(now, out);
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        let Response::Authenticated(identity) = response;
        let state = std::mem::replace(&mut self.state, State::Closing(None));
        match state {
            State::AwaitIdentity(connect, _) => self.handle_identity(now, &connect, identity, out),
            other => self.state = other,
        }
        self.finish(now, out);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::AwaitConnect(until) | State::AwaitIdentity(_, until) => Some(*until),
            State::Open(open) => open.keep_alive.deadline(),
            State::Closing(_) => None,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf) {
        match &self.state {
            State::AwaitConnect(until) | State::AwaitIdentity(_, until) if *until <= now => {
                self.close(None, out);
            }
            State::Open(open) if open.keep_alive.is_over(now) => {
                self.close(Some(PeerMisbehaved::KeepAlive.into()), out);
            }
            _ => {}
        }
    }

    fn handle_shutdown(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.finish(now, out);
        self.close(Some(Ended::ShuttingDown.into()), out);
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
            State::AwaitConnect(_) | State::AwaitIdentity(..) | State::Closing(None) => {
                &self.outbox
            }
        }
    }
}

#[cfg(test)]
mod tests;
