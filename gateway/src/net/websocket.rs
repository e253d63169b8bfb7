//! MQTT in WebSockets (MQTT 5 §6): a byte stream in binary messages, whose bounds mean nothing.
//!
//! The codec and the handshake are tungstenite's. What is decided here: which handshakes are
//! answered, and that a text message ends the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

/// How long a client may take over its handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The sub-protocols that are served: MQTT's own, and the one that clients of 3.1 ask for.
/// \[MQTT-6.0.0-3\]
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Bytes of one message that is sent; a large payload is cut, which no receiver may mind.
/// \[MQTT-6.0.0-2\]
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What a read of the socket asks for. tungstenite allocates it for each connection.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// What a listener asks of a handshake.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The only path that is served; `None`: any.
    pub path: Option<String>,
    /// Web pages that may connect, by their `Origin`; `*` is any.
    pub origins: Vec<String>,
    /// The largest message taken, in bytes.
    pub message_bytes_max: usize,
}

/// A WebSocket as a byte stream.
#[derive(Debug)]
pub struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// What is left of the last message.
    rest: Bytes,
    /// What the closing frame will say.
    farewell: CloseCode,
    is_closing: bool,
}

/// Answers a client's handshake. Returns the stream, and whether the client is a program or a page
/// of this machine: any page of the web that a browser on this machine shows comes from loopback
/// too, and is not to be trusted for it.
///
/// # Errors
/// What was wrong with the handshake; the client has been told.
pub async fn accept<S>(stream: S, terms: &Terms) -> Result<(WebSocket<S>, bool), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut is_trusted = true;
    #[expect(
        clippy::result_large_err,
        reason = "the callback's type is tungstenite's"
    )]
    let answer = |request: &Request, mut response: Response| {
        let subprotocol = judge(request, terms).map_err(refusal)?;
        let name = header::SEC_WEBSOCKET_PROTOCOL;
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(subprotocol));
        is_trusted = origin(request.headers()).is_none_or(is_of_this_machine);
        Ok(response)
    };
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = READ_BUFFER_BYTES;
    // Everything goes to the socket at once; the driver gathers what belongs together.
    config.write_buffer_size = 0;
    config.max_message_size = Some(terms.message_bytes_max);
    config.max_frame_size = Some(terms.message_bytes_max);
    let inner = tokio_tungstenite::accept_hdr_async_with_config(stream, answer, Some(config));
    let websocket = WebSocket {
        inner: inner.await?,
        rest: Bytes::new(),
        farewell: CloseCode::Normal,
        is_closing: false,
    };
    Ok((websocket, is_trusted))
}

/// The sub-protocol to speak, or why not.
fn judge(request: &Request, terms: &Terms) -> Result<&'static str, (StatusCode, &'static str)> {
    let path = request.uri().path();
    if terms.path.as_deref().is_some_and(|served| served != path) {
        return Err((StatusCode::NOT_FOUND, "no such path"));
    }
    if !may_come(request.headers(), terms) {
        return Err((StatusCode::FORBIDDEN, "this origin is not in `origins`"));
    }
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').map(str::trim));
    offered
        .find_map(|name| SUBPROTOCOLS.into_iter().find(|served| *served == name))
        .ok_or((StatusCode::BAD_REQUEST, "the sub-protocol must be mqtt"))
}

/// Programs send no `Origin`, or the name of the server; pages send where they are from.
fn may_come(headers: &HeaderMap, terms: &Terms) -> bool {
    let Some(origin) = origin(headers) else {
        return true;
    };
    let is_listed = |listed: &String| listed == "*" || listed.eq_ignore_ascii_case(origin);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    terms.origins.iter().any(is_listed)
        || host.is_some_and(|host| host_of(host).eq_ignore_ascii_case(host_of(origin)))
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    // One that is no text is no origin that anybody has listed.
    headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or("null"))
}

/// A name that no other machine's page can have, whatever a name server says.
fn is_of_this_machine(origin: &str) -> bool {
    matches!(host_of(origin), "localhost" | "127.0.0.1" | "[::1]")
}

/// The host in `http://host:port` or `host:port`.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let port = host
        .rfind(':')
        .filter(|at| !host.get(*at..).unwrap_or_default().contains(']'));
    port.and_then(|at| host.get(..at)).unwrap_or(host)
}

fn refusal((status, why): (StatusCode, &'static str)) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{why}\n")));
    *response.status_mut() = status;
    response
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The next message's bytes; none at the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let message = match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                    return Poll::Ready(Ok(None));
                }
                Some(message) => message,
            };
            match message {
                Ok(Message::Binary(bytes)) if bytes.is_empty() => {}
                Ok(Message::Binary(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                // [MQTT-6.0.0-1]
                Ok(Message::Text(_)) => return Poll::Ready(Err(self.fail(CloseCode::Unsupported))),
                Ok(Message::Close(_)) => return Poll::Ready(Ok(None)),
                // tungstenite answers pings with the next write or read.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) => return Poll::Ready(Err(error)),
                Err(Error::Capacity(_)) => return Poll::Ready(Err(self.fail(CloseCode::Size))),
                Err(_) => return Poll::Ready(Err(self.fail(CloseCode::Protocol))),
            }
        }
    }

    fn fail(&mut self, code: CloseCode) -> io::Error {
        self.farewell = code;
        io::ErrorKind::InvalidData.into()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match ready!(this.poll_message(cx))? {
                Some(bytes) => this.rest = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.rest.len().min(buf.remaining());
        buf.put_slice(this.rest.get(..length).unwrap_or_default());
        this.rest.advance(length);
        if this.rest.is_empty() {
            // The message's memory goes with its last byte.
            this.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// One message of all slices, up to a size. The next is taken when this one is written.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_ready(cx)).map_err(io_error)?;
        let mut message = BytesMut::new();
        for slice in slices {
            let room = MESSAGE_BYTES_MAX - message.len();
            message.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        let length = message.len();
        let message = Message::Binary(message.freeze());
        Pin::new(&mut this.inner)
            .start_send(message)
            .map_err(io_error)?;
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner)
            .poll_flush(cx)
            .map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_closing {
            ready!(Pin::new(&mut this.inner).poll_ready(cx)).map_err(io_error)?;
            let frame = CloseFrame {
                code: this.farewell,
                reason: Utf8Bytes::default(),
            };
            let close = Message::Close(Some(frame));
            Pin::new(&mut this.inner)
                .start_send(close)
                .map_err(io_error)?;
            this.is_closing = true;
        }
        Pin::new(&mut this.inner).poll_flush(cx).map_err(io_error)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        _ => io::ErrorKind::BrokenPipe.into(),
    }
}

#[cfg(test)]
mod tests;
