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
use routing::{ConnectionId, Frontend, OutBuf, Peer, Request, Response, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::info;

use crate::auth::{Anonymous, Exchange};
use crate::gateway::Shared;

/// Free space a read asks for: one read takes 16 frames of AMQP's usual size, or hundreds of small
/// packets.
const READ_BYTES: usize = 64 * 1024;

/// What a read asks for while the peer sends little.
const READ_BYTES_SMALL: usize = 8 * 1024;

/// Space left below which the buffer is renewed before a read.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Slices of one vectored write; Linux takes up to 1024.
const SLICES: usize = 64;

/// How long a peer may take to read the last words, and to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the connections of a listener share.
#[derive(Debug)]
pub struct Conditions {
    /// Everything the gateway's tasks share.
    pub shared: Arc<Shared>,
    /// Whether clients without credentials are let in.
    pub anonymous: Anonymous,
    /// Who every client is, without being asked: of protocols that have no credentials.
    pub user: Option<Arc<str>>,
    /// How long a client may take nothing of what waits for it; none is for ever.
    pub write_timeout: Option<Duration>,
}

thread_local! {
    /// Between turns, what the next one reads into.
    static SPARE_INPUT: Cell<Option<BytesMut>> = const { Cell::new(None) };
    /// Between turns, what the next one answers into.
    static SPARE_OUT: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Gives a buffer to the next turn of this thread, unless a large frame has made it large.
fn give_back(input: BytesMut) {
    if input.capacity() <= 2 * READ_BYTES {
        SPARE_INPUT.set(Some(input));
    }
}

/// Drives a connection until it is over. Its state has one place in memory for all its life: a
/// future that held it would hold it once for each function that passes it on.
pub fn drive<F, S>(
    id: ConnectionId,
    front: F,
    stream: S,
    peer: Peer,
    conditions: Arc<Conditions>,
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
        read_bytes: READ_BYTES_SMALL,
        input_waits: false,
        out: OutBuf::default(),
        answer: None,
        exchange: None,
        sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        stopping: Box::pin(stop.cancelled_owned()),
        awaits_stop: false,
        told_to_stop: false,
        is_done: false,
        stalled_until: None,
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
    /// What the next read asks for.
    read_bytes: usize,
    /// The front did not want what there is yet, be it in `input` or set aside by the front.
    input_waits: bool,
    out: OutBuf,
    /// The request that is being answered.
    answer: Option<Pin<Box<dyn Future<Output = Response> + Send>>>,
    /// A SASL exchange between two of its steps.
    exchange: Option<Box<Exchange>>,
    sleep: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The signal to stop wakes this task.
    awaits_stop: bool,
    told_to_stop: bool,
    is_done: bool,
    /// When a client that takes nothing of what waits for it is given up.
    stalled_until: Option<Instant>,
    conditions: Arc<Conditions>,
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
        self.handle_input(now, ready.input || (has_news && !self.input.is_empty()));
        if ready.outbox || ready.wrote {
            self.front.handle_outbox(now, &mut self.out);
        }
        if self.input_waits {
            self.handle_input(now, false);
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

    /// Hands the input to the front, unless it is held up; then later.
    fn handle_input(&mut self, now: Timestamp, is_new: bool) {
        let is_due = is_new || self.input_waits;
        let is_held = self.is_held();
        if is_due && !is_held {
            let _batch = self.conditions.shared.broker.core().batch();
            self.front.handle_input(now, &mut self.input, &mut self.out);
            // Also without input left: the front may have set aside what it cannot do yet.
            self.input_waits = self.is_held();
            if self.input.is_empty() {
                give_back(std::mem::take(&mut self.input));
            }
        } else {
            self.input_waits = is_due;
        }
    }

    /// Whether the front takes no input for now; it is woken by its outbox when that changes.
    fn is_held(&self) -> bool {
        let full = self.front.held_by();
        !self.front.wants_input()
            || full.is_some_and(|full| full.wait_for_room(self.front.outbox()))
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
        if let Some(at) = self.alarm().filter(|at| self.poll_timer(*at, cx)) {
            if self.stalled_until.is_some_and(|until| until <= at) {
                info!(peer = ?self.peer.address, "takes nothing of what waits for it: write_timeout");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            ready.timer = true;
        }
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
        let before = self.out.len();
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
        self.note_stall(self.out.len() < before);
        self.release_out();
        ready.wrote = was_full && self.out.len() < OUT_HIGH_WATER_BYTES;
        Ok(())
    }

    fn release_out(&mut self) {
        if let Some(spare) = self.out.release() {
            SPARE_OUT.set(Some(spare));
        }
    }

    /// A client that takes nothing is given its time, and anew whenever it takes something.
    fn note_stall(&mut self, has_progress: bool) {
        if self.out.is_empty() {
            self.stalled_until = None;
        } else if has_progress || self.stalled_until.is_none() {
            let timeout = self.conditions.write_timeout;
            self.stalled_until = timeout.map(|timeout| self.conditions.shared.clock.after(timeout));
        }
    }

    /// Reads once, unless the peer does not take what it is sent or waits for an answer.
    fn poll_input(&mut self, cx: &mut Context<'_>, ready: &mut Ready) -> io::Result<()> {
        let is_full = self.out.len() >= OUT_HIGH_WATER_BYTES;
        if is_full || self.answer.is_some() {
            return Ok(());
        }
        // Beyond one read it is left to the peer; up to that, so that its end is noticed.
        if self.input_waits && self.input.len() >= READ_BYTES {
            return Ok(());
        }
        let mut input = if self.input.is_empty() {
            SPARE_INPUT.take().unwrap_or_default()
        } else {
            std::mem::take(&mut self.input)
        };
        if input.capacity() - input.len() < READ_BYTES_MIN {
            input.reserve(self.read_bytes);
        }
        let room = input.capacity() - input.len();
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut input);
        if input.is_empty() {
            give_back(input);
        } else {
            self.input = input;
        }
        if let Poll::Ready(read) = read {
            let bytes = read?;
            ready.end_of_input = bytes == 0;
            ready.input = !ready.end_of_input;
            if bytes == room {
                self.read_bytes = READ_BYTES;
            } else if bytes < READ_BYTES_SMALL {
                self.read_bytes = READ_BYTES_SMALL;
            }
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

    /// What is waited for first.
    fn alarm(&self) -> Option<Instant> {
        let due = self.front.poll_timeout();
        let due = due.map(|at| self.conditions.shared.clock.instant_of(at));
        due.into_iter().chain(self.stalled_until).min()
    }

    /// Whether that moment has come. One that moves away, as it does with each packet of a client
    /// with a keep alive, leaves the timer as it is until that fires.
    fn poll_timer(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
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
        let Some(request) = self.front.poll_request() else {
            return;
        };
        let (shared, peer) = (Arc::clone(&self.conditions.shared), self.peer);
        match request {
            Request::Authenticate(_) if self.conditions.user.is_some() => {
                let user = self.conditions.user.as_deref().unwrap_or_default();
                let identity = shared.authenticator.load().user(user);
                let answer = Response::Authenticated(identity);
                self.answer = Some(Box::pin(std::future::ready(answer)));
            }
            Request::Authenticate(credentials) => {
                let anonymous = self.conditions.anonymous;
                self.answer = Some(Box::pin(async move {
                    let authenticator = shared.authenticator.load_full();
                    let identity = authenticator.authenticate(credentials, peer, anonymous);
                    Response::Authenticated(identity.await)
                }));
            }
            Request::Sasl(step) => {
                let authenticator = shared.authenticator.load();
                let reply = authenticator.sasl(&mut self.exchange, &step, peer);
                self.answer = Some(Box::pin(std::future::ready(Response::Sasl(reply))));
            }
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
