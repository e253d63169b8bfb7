//! Listeners: bind, accept with back-off, hold the connection limit, set socket options, find out
//! who the client is.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use routing::Peer;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::config::Bind;
use crate::gateway::Shared;
use crate::net::proxy;
use crate::net::stream::Stream;
use crate::net::unix::UnixSocket;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Pause after an accept that failed for lack of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {protocol}")]
pub struct BindError {
    protocol: &'static str,
    address: Bind,
    source: io::Error,
}

/// A bound socket.
#[derive(Debug)]
pub enum Acceptor {
    /// At a TCP address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixSocket),
}

/// Binds all addresses of a listener; `[::1]` beside `127.0.0.1` is left out on a machine without
/// IPv6, and the log says so.
///
/// # Errors
/// When another is not this machine's, or one is taken.
pub fn bind_all(
    protocol: &'static str,
    addresses: &[Bind],
    socket_mode: u32,
) -> Result<Vec<Acceptor>, BindError> {
    let mut acceptors = Vec::new();
    for address in addresses {
        match Acceptor::bind(protocol, address, socket_mode) {
            Ok(acceptor) => acceptors.push(acceptor),
            Err(error) if error.is_absent() && address.is_dispensable(addresses) => {
                info!(protocol, %address, "this machine has no IPv6; listening without it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(acceptors)
}

impl BindError {
    /// Whether this machine has no such address, nor any of its kind.
    fn is_absent(&self) -> bool {
        let no_family = Errno::AFNOSUPPORT.raw_os_error();
        self.source.kind() == io::ErrorKind::AddrNotAvailable
            || self.source.raw_os_error() == Some(no_family)
    }
}

/// Whom a listener lets connect.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// How many at a time.
    pub connections_max: u32,
    /// Whether each connection begins with a PROXY header.
    pub proxy_protocol: bool,
}

impl Acceptor {
    /// Binds an address; `socket_mode` are the permission bits of a Unix socket.
    ///
    /// # Errors
    /// When the address is not this machine's or is taken.
    pub fn bind(
        protocol: &'static str,
        address: &Bind,
        socket_mode: u32,
    ) -> Result<Self, BindError> {
        let bound = match address {
            Bind::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Bind::Unix(path) => UnixSocket::bind(path, socket_mode).map(Self::Unix),
        };
        bound.map_err(|source| BindError {
            protocol,
            address: address.clone(),
            source,
        })
    }

    /// Where it is, with the port that the system chose.
    ///
    /// # Errors
    /// None that is known.
    pub fn address(&self) -> io::Result<Bind> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Bind::Tcp),
            Self::Unix(socket) => Ok(Bind::Unix(socket.path().to_owned())),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = peer_of(&stream, address);
                Ok((Stream::Tcp(stream), peer))
            }
            Self::Unix(socket) => {
                let peer = Peer {
                    address: None,
                    local: None,
                    is_loopback: true,
                };
                Ok((Stream::Unix(socket.accept().await?), peer))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
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
}

/// Accepts connections until the gateway stops, and runs `serve` for each.
pub async fn accept<Serving>(
    protocol: &'static str,
    acceptor: Acceptor,
    admission: Admission,
    shared: Arc<Shared>,
    serve: impl Fn(Stream, Peer) -> Serving + Clone + Send + 'static,
) where
    Serving: Future<Output = ()> + Send + 'static,
{
    let connections_max = admission.connections_max;
    let places = Arc::new(Semaphore::new(
        usize::try_from(connections_max).unwrap_or(usize::MAX),
    ));
    let stop = shared.shutdown.token();
    while let Some(accepted) = stop.run_until_cancelled(acceptor.accept()).await {
        let (mut stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(protocol, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(protocol, peer = ?peer.address, connections_max, "too many connections");
            continue;
        };
        if let Stream::Tcp(stream) = &stream
            && let Err(error) = stream.set_nodelay(true)
        {
            // The peer is gone already.
            debug!(protocol, peer = ?peer.address, %error, "connection lost at once");
            continue;
        }
        let (counted, serve) = (Counted::open(protocol, &shared), serve.clone());
        shared.shutdown.spawn(protocol, async move {
            let client = if admission.proxy_protocol {
                // Boxed: it is over long before the connection is.
                Box::pin(behind_proxy(&mut stream, peer, &counted.shared)).await
            } else {
                Ok(peer)
            };
            match client {
                Ok(peer) => serve(stream, peer).await,
                Err(error) => {
                    debug!(protocol, peer = ?peer.address, %error, "no PROXY header");
                }
            }
            drop((counted, place));
        });
    }
}

/// A connection in the counters, however its task ends.
struct Counted {
    protocol: &'static str,
    shared: Arc<Shared>,
}

impl Counted {
    fn open(protocol: &'static str, shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        let counts = shared.connections_of(protocol);
        counts.iter().for_each(|counts| counts.open());
        Self { protocol, shared }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counts = self.shared.connections_of(self.protocol);
        counts.iter().for_each(|counts| counts.close());
    }
}

/// The client as its proxy names it.
async fn behind_proxy(stream: &mut Stream, proxy: Peer, shared: &Shared) -> io::Result<Peer> {
    let stop = shared.shutdown.token();
    let reading = tokio::time::timeout(proxy::TIMEOUT, proxy::read(stream));
    let Some(read) = stop.run_until_cancelled(reading).await else {
        return Err(io::ErrorKind::Interrupted.into());
    };
    Ok(match read?? {
        proxy::Client::Proxy => proxy,
        // Whoever it is, it is not known to be on this machine.
        proxy::Client::Unknown => Peer {
            is_loopback: false,
            ..proxy
        },
        proxy::Client::At(address, local) => Peer {
            address: Some(address),
            local: Some(local),
            is_loopback: address.ip().to_canonical().is_loopback(),
        },
    })
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
