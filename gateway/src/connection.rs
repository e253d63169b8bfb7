//! THE driver: one loop over any protocol's state machine and any byte stream.
//!
//! Each turn waits for whatever comes first (bytes, a wake-up of the outbox, room to write, a
//! timer, an answer to a request, the end of the gateway), hands all of it to the front, and
//! writes what came of it with one vectored write. So a burst of frames costs one read, one
//! wake-up per receiver and one write.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use routing::frontend::OUT_HIGH_WATER_BYTES;
use routing::{ConnectionId, Frontend, OutBuf, Peer, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::auth::Anonymous;
use crate::gateway::Shared;

/// Free space a read asks for: one read takes 16 frames of AMQP's usual size, or hundreds of small
/// packets.
const READ_BYTES: usize = 64 * 1024;

/// Space left below which the buffer is renewed before a read.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Slices of one vectored write; Linux takes up to 1024.
const SLICES: usize = 64;

/// How long a peer may take to read the last words, and to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a listener gives each of its connections.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Everything the gateway's tasks share.
    pub shared: Arc<Shared>,
    /// Whether clients without credentials are let in.
    pub anonymous: Anonymous,
}

/// Drives a connection until it is over.
pub async fn drive<F, S>(id: ConnectionId, front: F, stream: S, peer: Peer, conditions: Conditions)
where
    F: Frontend + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stop = conditions.shared.shutdown.token().clone();
    let mut driver = Driver {
        id,
        front,
        stream,
        peer,
        input: BytesMut::new(),
        out: OutBuf::default(),
        answer: None,
        sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        stopping: Box::pin(stop.cancelled_owned()),
        told_to_stop: false,
        is_done: false,
        conditions,
    };
    while driver.turn().await.is_ok() && !driver.front.is_closing() {}
    driver.disconnect();
    driver.say_goodbye().await;
}

struct Driver<F: Frontend, S> {
    id: ConnectionId,
    front: F,
    stream: S,
    peer: Peer,
    input: BytesMut,
    out: OutBuf,
    /// The request that is being answered.
    answer: Option<Pin<Box<dyn Future<Output = Response> + Send>>>,
    sleep: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    told_to_stop: bool,
    is_done: bool,
    conditions: Conditions,
}

/// What a turn found.
#[derive(Default)]
struct Ready {
    input: bool,
    end_of_input: bool,
    outbox: bool,
    timer: bool,
    wrote: bool,
    stop: bool,
    answer: Option<Response>,
}

impl Ready {
    const fn is_any(&self) -> bool {
        self.input
            || self.end_of_input
            || self.outbox
            || self.timer
            || self.wrote
            || self.stop
            || self.answer.is_some()
    }
}

impl<F: Frontend + Unpin, S: AsyncRead + AsyncWrite + Unpin> Driver<F, S> {
    /// Waits for something, handles it, writes. An error ends the connection: the peer is gone.
    async fn turn(&mut self) -> io::Result<()> {
        self.set_timer();
        let ready = std::future::poll_fn(|cx| self.poll_ready(cx)).await?;
        let now = self.conditions.shared.clock.now();
        let has_news = ready.answer.is_some() || ready.timer || ready.wrote;
        if let Some(response) = ready.answer {
            self.front.handle_response(now, response, &mut self.out);
        }
        if ready.timer {
            self.front.handle_timeout(now, &mut self.out);
        }
        // A front that waits for something leaves its input alone; the news may be just that.
        if ready.input || (has_news && !self.input.is_empty()) {
            self.front.handle_input(now, &mut self.input, &mut self.out);
        }
        if ready.outbox || ready.wrote {
            self.front.handle_outbox(now, &mut self.out);
        }
        if ready.stop {
            self.told_to_stop = true;
            self.front.handle_shutdown(now, &mut self.out);
        }
        self.ask();
        if ready.end_of_input {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let mut ready = Ready::default();
        self.poll_write(cx, &mut ready)?;
        self.poll_input(cx, &mut ready)?;
        if let Some(answer) = &mut self.answer
            && let Poll::Ready(answered) = answer.as_mut().poll(cx)
        {
            self.answer = None;
            ready.answer = Some(answered);
        }
        let has_room = self.out.len() < OUT_HIGH_WATER_BYTES;
        ready.outbox = has_room && self.front.outbox().poll_stirred(self.id, cx).is_ready();
        ready.timer =
            self.front.poll_timeout().is_some() && self.sleep.as_mut().poll(cx).is_ready();
        ready.stop = !self.told_to_stop && self.stopping.as_mut().poll(cx).is_ready();
        if ready.is_any() {
            Poll::Ready(Ok(ready))
        } else {
            Poll::Pending
        }
    }

    /// Writes what it can. Having come below the high-water mark is news: deliveries go on.
    fn poll_write(&mut self, cx: &mut Context<'_>, ready: &mut Ready) -> io::Result<()> {
        let was_full = self.out.len() >= OUT_HIGH_WATER_BYTES;
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.out.io_slices(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
            else {
                break;
            };
            match written? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.out.advance(written),
            }
        }
        ready.wrote = was_full && self.out.len() < OUT_HIGH_WATER_BYTES;
        Ok(())
    }

    /// Reads once, unless the peer does not take what it is sent or waits for an answer.
    fn poll_input(&mut self, cx: &mut Context<'_>, ready: &mut Ready) -> io::Result<()> {
        if self.out.len() >= OUT_HIGH_WATER_BYTES || self.answer.is_some() {
            return Ok(());
        }
        if self.input.capacity() - self.input.len() < READ_BYTES_MIN {
            self.input.reserve(READ_BYTES);
        }
        if let Poll::Ready(read) = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input) {
            ready.end_of_input = read? == 0;
            ready.input = !ready.end_of_input;
        }
        Ok(())
    }

    fn set_timer(&mut self) {
        if let Some(at) = self.front.poll_timeout() {
            let at = self.conditions.shared.clock.instant_of(at);
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
        }
    }

    /// Passes the front's question on.
    fn ask(&mut self) {
        if let Some(Request::Authenticate(credentials)) = self.front.poll_request() {
            let (shared, peer) = (Arc::clone(&self.conditions.shared), self.peer);
            let anonymous = self.conditions.anonymous;
            self.answer = Some(Box::pin(async move {
                let authenticator = shared.authenticator.load_full();
                let identity = authenticator.authenticate(credentials, peer, anonymous);
                Response::Authenticated(identity.await)
            }));
        }
    }

    /// Writes the last words and closes in an orderly way: a close with unread input would reset
    /// the connection, and the last words with it.
    async fn say_goodbye(&mut self) {
        let polite = async {
            std::future::poll_fn(|cx| {
                let written = self.poll_write(cx, &mut Ready::default());
                if self.out.is_empty() || written.is_err() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            let closed = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
            if closed.await.is_ok() {
                std::future::poll_fn(|cx| self.poll_drain(cx)).await;
            }
        };
        // Not waiting is the only thing left to do when the peer neither reads nor closes.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, polite).await);
    }

    /// Reads and forgets until the peer closes.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.input.clear();
            self.input.reserve(READ_BYTES_MIN);
            let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input);
            match ready!(read) {
                Ok(bytes) if bytes > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<F: Frontend, S> Driver<F, S> {
    fn disconnect(&mut self) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.front
                .handle_disconnect(self.conditions.shared.clock.now());
        }
    }
}

impl<F: Frontend, S> Drop for Driver<F, S> {
    /// However the task ends, by a panic in the front as well, the core gets back what it gave.
    fn drop(&mut self) {
        self.disconnect();
    }
}
