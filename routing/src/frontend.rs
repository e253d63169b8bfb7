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

    /// True when the connection is over: the driver writes what waits in `out` and closes.
    fn is_closing(&self) -> bool;

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
}

/// The gateway's answer.
#[derive(Clone, Debug)]
pub enum Response {
    /// Who it is, or why not.
    Authenticated(Result<Arc<Identity>, AuthError>),
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
