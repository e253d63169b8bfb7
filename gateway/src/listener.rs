//! TCP listeners: bind, accept with back-off, hold the connection limit, set socket options.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use routing::Peer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::gateway::Shared;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Pause after an accept that failed for lack of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {protocol}")]
pub struct BindError {
    protocol: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// Binds an address.
///
/// # Errors
/// When the address is not this machine's or is taken.
pub fn bind(protocol: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A restart need not wait for the last run's connections to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // `[::]` is not to take what `0.0.0.0` in the same list names.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|source| BindError {
        protocol,
        address,
        source,
    })
}

/// Accepts connections until the gateway stops, and runs `serve` for each.
pub async fn accept<Serving>(
    protocol: &'static str,
    listener: TcpListener,
    connections_max: u32,
    shared: Arc<Shared>,
    serve: impl Fn(TcpStream, Peer) -> Serving,
) where
    Serving: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(
        usize::try_from(connections_max).unwrap_or(usize::MAX),
    ));
    let stop = shared.shutdown.token();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(protocol, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(protocol, peer = %address, connections_max, "too many connections");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            // The peer is gone already.
            debug!(protocol, peer = %address, %error, "connection lost at once");
            continue;
        }
        let peer = peer_of(&stream, address);
        let serving = serve(stream, peer);
        let counting = Arc::clone(&shared);
        shared.shutdown.spawn(protocol, async move {
            let counts = counting.connections_of(protocol);
            counts.iter().for_each(|counts| counts.open());
            serving.await;
            counts.iter().for_each(|counts| counts.close());
            drop(place);
        });
    }
}

fn peer_of(stream: &TcpStream, address: SocketAddr) -> Peer {
    let local = stream.local_addr().ok();
    let is_loopback = address.ip().to_canonical().is_loopback();
    Peer {
        address: Some(address),
        local,
        is_loopback,
    }
}
