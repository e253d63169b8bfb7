//! THE driver: one loop over any protocol's state machine and any byte stream.
//!
//! Each turn waits for whatever comes first (bytes, a wake-up of the outbox, room to write, a
//! timer, an answer to a request, the end of the gateway), hands all of it to the front, and
//! writes what came of it with one vectored write. So a burst of frames costs one read, one
//! wake-up per receiver and one write.
//!
//! Buffers belong to the thread, not to the connection: each borrows them for a turn and keeps
//! only what holds the beginning of a frame or could not be written. So an idle connection has
//! none, and a busy thread works on memory that its caches hold.

use std::cell::Cell;
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

thread_local! {
    /// Between turns, what the next one reads into.
    static SPARE_INPUT: Cell<Option<BytesMut>> = const { Cell::new(None) };
    /// Between turns, what the next one answers into.
    static SPARE_OUT: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Drives a connection until it is over. Its state has one place in memory for all its life: a
/// future that held it would hold it once for each function that passes it on.
pub fn drive<F, S>(
    id: ConnectionId,
    front: F,
    stream: S,
    peer: Peer,
    conditions: Conditions,
) -> impl Future<Output = ()>
where
    F: Frontend + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stop = conditions.shared.shutdown.token().clone();
    let driver = Box::new(Driver {
        id,
        front,
        stream,
        peer,
        input: BytesMut::new(),
        out: OutBuf::default(),
        answer: None,
        sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        stopping: Box::pin(stop.cancelled_owned()),
        awaits_stop: false,
        told_to_stop: false,
        is_done: false,
        conditions,
    });
    driver.run()
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
    awaits_stop: bool,
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
    async fn run(mut self: Box<Self>) {
        while self.turn().await.is_ok() && !self.front.is_closing() {}
        self.disconnect();
        Box::pin(self.say_goodbye()).await;
    }

    /// Waits for something, handles it, writes. An error ends the connection: the peer is gone.
    async fn turn(&mut self) -> io::Result<()> {
        let ready = std::future::poll_fn(|cx| self.poll_ready(cx)).await?;
        if self.out.is_empty()
            && let Some(spare) = SPARE_OUT.take()
        {
            self.out.lend(spare);
        }
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
            if self.input.is_empty() {
                SPARE_INPUT.set(Some(std::mem::take(&mut self.input)));
            }
        }
        if ready.outbox || ready.wrote {
            self.front.handle_outbox(now, &mut self.out);
        }
        if ready.stop {
            self.told_to_stop = true;
            self.front.handle_shutdown(now, &mut self.out);
        }
        self.ask();
        self.release_out();
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
        ready.timer = self.poll_timer(cx);
        ready.stop = !self.told_to_stop && self.poll_stop(cx);
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
        // A transport with frames of its own may hold some back, and has asked to be woken.
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            flushed?;
        }
        ready.wrote = was_full && self.out.len() < OUT_HIGH_WATER_BYTES;
        self.release_out();
        Ok(())
    }

    fn release_out(&mut self) {
        if let Some(spare) = self.out.release() {
            SPARE_OUT.set(Some(spare));
        }
    }

    /// Reads once, unless the peer does not take what it is sent or waits for an answer.
    fn poll_input(&mut self, cx: &mut Context<'_>, ready: &mut Ready) -> io::Result<()> {
        if self.out.len() >= OUT_HIGH_WATER_BYTES || self.answer.is_some() {
            return Ok(());
        }
        let mut input = if self.input.is_empty() {
            SPARE_INPUT.take().unwrap_or_default()
        } else {
            std::mem::take(&mut self.input)
        };
        if input.capacity() - input.len() < READ_BYTES_MIN {
            input.reserve(READ_BYTES);
        }
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut input);
        if input.is_empty() {
            SPARE_INPUT.set(Some(input));
        } else {
            self.input = input;
        }
        if let Poll::Ready(read) = read {
            ready.end_of_input = read? == 0;
            ready.input = !ready.end_of_input;
        }
        Ok(())
    }

    /// Whether the gateway stops. All connections wait for one signal, behind one lock, so each
    /// asks once to be woken and looks at a flag from then on.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> bool {
        if !std::mem::replace(&mut self.awaits_stop, true) {
            return self.stopping.as_mut().poll(cx).is_ready();
        }
        self.conditions.shared.shutdown.has_begun()
    }

    /// Whether the front's moment has come. A moment that moves away, as it does with each packet
    /// of a client with a keep alive, leaves the timer as it is until that fires.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.front.poll_timeout() else {
            return false;
        };
        let at = self.conditions.shared.clock.instant_of(at);
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.sleep.deadline() >= at {
                return true;
            }
            self.sleep.as_mut().reset(at);
        }
        false
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
