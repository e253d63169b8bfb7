//! The contract between a protocol's state machine and whoever drives it: bytes in, bytes out,
//! time as an argument. The gateway's driver is written once, over this.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::name::Name;
use crate::outbox::Outbox;
use crate::outbuf::OutBuf;
use crate::permission::{AuthError, Identity};
use crate::time::Timestamp;

/// A protocol's side of one connection.
///
/// The driver calls, per batch: `handle_input` with all that was read, or `handle_outbox` after a
/// wake-up, or `handle_timeout`; then answers `poll_request`, writes `out`, and sleeps until
/// `poll_timeout`. While a request is unanswered, `handle_input` leaves its input alone.
pub trait Frontend {
    /// Handles every complete frame in `input` and leaves the rest there.
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf);

    /// Takes what waits in the outbox: deliveries, events, a moved durable position. The driver
    /// calls it again when `out` has drained, so it stops when `out` is long enough.
    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf);

    /// A question that takes time to answer, once.
    fn poll_request(&mut self) -> Option<Request>;

    /// The answer to the last request.
    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf);

    /// When `handle_timeout` wants to be called next.
    fn poll_timeout(&self) -> Option<Timestamp>;

    /// A moment that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf);

    /// The server stops: says goodbye in the protocol's words.
    fn handle_shutdown(&mut self, now: Timestamp, out: &mut OutBuf);

    /// The socket is gone, in whatever way: gives everything back to the core. Called once, last.
    fn handle_disconnect(&mut self, now: Timestamp);

    /// The outbox of a receiver for whose sake this publisher is held up: as without
    /// `wants_input`, while [`Outbox::wait_for_room`] says so.
    fn held_by(&self) -> Option<&Arc<Outbox>> {
        None
    }

    /// True when the connection is over: the driver writes what waits in `out` and closes.
    fn is_closing(&self) -> bool;

    /// Whether the driver should read on: false while a front leaves its input alone, so that what
    /// the peer sends waits with the peer, but for one read, by which its end is noticed. When it
    /// turns true again, `handle_input` is called.
    fn wants_input(&self) -> bool {
        true
    }

    /// The outbox whose wake-ups belong to this connection now. It may change (an MQTT session has
    /// its own), so the driver asks each time before it sleeps.
    fn outbox(&self) -> &Arc<Outbox>;
}

/// Output beyond this many bytes makes a front stop taking deliveries until some is written.
pub const OUT_HIGH_WATER_BYTES: usize = 256 * 1024;

/// What the driver knows of the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The listener's address; none on a Unix socket.
    pub local: Option<SocketAddr>,
    /// Whether both ends are on this machine.
    pub is_loopback: bool,
}

/// What a connection asks of the gateway.
#[derive(Clone, Debug)]
pub enum Request {
    /// Check who this is.
    Authenticate(Credentials),
    /// Take the next step of an exchange in which the client proves who it is.
    Sasl(SaslStep),
}

/// What a client says in a SASL exchange (RFC 4422).
#[derive(Clone)]
pub struct SaslStep {
    /// The mechanism's name, such as `SCRAM-SHA-256`.
    pub mechanism: Name,
    /// Whether it begins a new exchange.
    pub is_first: bool,
    /// The message.
    pub data: Bytes,
}

impl std::fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SaslStep({})", self.mechanism)
    }
}

/// The gateway's part of a SASL exchange.
#[derive(Clone, Debug)]
pub enum SaslReply {
    /// The client is to answer this.
    Challenge(Bytes),
    /// The client is who it says.
    Done {
        /// Who.
        identity: Arc<Identity>,
        /// The last message to the client, which proves who the gateway is.
        data: Bytes,
    },
}

/// The gateway's answer.
#[derive(Clone, Debug)]
pub enum Response {
    /// Who it is, or why not.
    Authenticated(Result<Arc<Identity>, AuthError>),
    /// The next step of an exchange, or why it ends.
    Sasl(Result<SaslReply, AuthError>),
}

/// What a client says of itself.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// A user name and a password.
    Password {
        /// The user's name, without any virtual host.
        user: Name,
        /// The password, any bytes.
        password: Bytes,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { user, .. } => write!(f, "Password({user})"),
        }
    }
}
