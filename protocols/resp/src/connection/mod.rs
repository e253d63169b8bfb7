//! One Redis connection: requests in, replies and pushed frames out.
//!
//! ```text
//! input ─► RequestParser ─► find ─► checks ─► handler ─► reply ──┐
//!                                     │ in MULTI: queued         ├─► out
//! outbox ─► deliver ─► pushed frame ─────────────────────────────┘
//! ```
//!
//! Order on the wire, as since Redis 7.2: the reply to a request, then what the request itself
//! published to its own connection. While an authentication is being decided, no request is read.

mod blocked;
mod deliver;
mod held;
mod kept;
mod output_limit;
mod room;
mod session;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use routing::frontend::OUT_HIGH_WATER_BYTES;
use routing::outbox::{Item, Standing};
use routing::{
    Broker, ConnectionId, Delivery, Event, Frontend, OutBuf, Outbox, OutboxLimits, Overflow, Peer,
    Request as Question, Response, Source, Timestamp, Wakes,
};

pub(crate) use blocked::{Blocked, Want};
pub(crate) use session::{Awaiting, ReplyMode, Session};

use crate::command::{self, Call, Flags, Spec};
use crate::error::Error;
use crate::server::{Client, Server, Unblock, count};
use crate::settings::WhenFull;
use crate::translate::Held;
use crate::wire::reply::ReplyWriter;
use crate::wire::request::{Request, RequestParser};
use held::HeldReplies;
use kept::Kept;
use output_limit::OutputWatch;
use room::RoomWatch;

/// What the outbox adds to the bytes of each message it holds, at least.
const COST_BYTES_MIN: usize = 256;

/// Bytes of messages taken from the outbox at once.
const TAKE_BYTES: usize = 64 * 1024;

/// RESP: said instead of the first reply.
const MAX_CLIENTS: &str = "ERR max number of clients reached";

/// A connection of a Redis client.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    parser: RequestParser,
    /// Memory for the request at hand.
    request: Request,
    session: Session,
    /// Taken from the outbox, not written yet.
    items: VecDeque<Item>,
    output: OutputWatch,
    /// Replies that wait for the disk.
    held: HeldReplies,
    /// A request that `CLIENT PAUSE` holds back, and until when.
    parked: Option<(Request, Timestamp)>,
    /// Whether there is room for what it publishes.
    room: RoomWatch,
    /// There are too many; it is told so and closed.
    is_refused: bool,
}

impl Connection {
    /// A connection that has just been accepted. `server` is the same for all of a listener.
    #[must_use]
    pub fn new(
        broker: Arc<Broker>,
        server: Arc<Server>,
        id: ConnectionId,
        peer: Peer,
        now: Timestamp,
    ) -> Self {
        let settings = &server.settings;
        let hard_bytes = match settings.subscriber_output.hard_bytes {
            0 => usize::MAX,
            hard_bytes => hard_bytes,
        };
        let limits = OutboxLimits {
            items_max: hard_bytes / COST_BYTES_MIN,
            bytes_max: hard_bytes,
            overflow: Overflow::Disconnect,
        };
        let client = Client::new(id, &peer, Outbox::attached(id, limits), now);
        let is_refused = !server.register(&client);
        Self {
            is_refused,
            parser: RequestParser::new(settings.requests, false),
            request: Request::default(),
            session: Session::new(client, broker, settings.vhost.clone(), limits),
            items: VecDeque::new(),
            output: OutputWatch::default(),
            held: HeldReplies::default(),
            parked: None,
            room: RoomWatch::default(),
            server,
        }
    }

    /// Handles one whole request.
    fn handle_request(&mut self, now: Timestamp, request: &Request, out: &mut OutBuf) {
        self.session.requests += 1;
        self.session.last_request_at = now;
        let spec = match command::find(request, self.session.last) {
            Ok(spec) => spec,
            // A browser that was made to talk to this port: RESP has no such commands.
            Err(_) if is_http(request.name()) => {
                tracing::warn!("an HTTP request came to the Redis port: closed");
                self.session.is_closing = true;
                return;
            }
            Err(error) => {
                return self.answer(now, None, out, |call| Err(call.refuse(request, error)));
            }
        };
        if self.park(now, spec, request) {
            return;
        }
        self.session.last = Some(spec);
        if spec.flags.has(Flags::UNSUBSCRIBES) {
            // What was published before belongs before the confirmation: all of it, as what is
            // left is dropped with the subscription. The hard limit has bounded it.
            self.deliver(now, out, usize::MAX);
        }
        let is_refused = self.room.refuses(spec);
        self.answer(now, Some(spec), out, |call| {
            if is_refused {
                return Err(call.refuse(request, Error::Full));
            }
            call.run(spec, request)
        });
        if self.session.is_subscribed() {
            self.deliver(now, out, OUT_HIGH_WATER_BYTES);
        }
    }

    /// Whether `CLIENT PAUSE` holds a request back; then it waits here.
    fn park(&mut self, now: Timestamp, spec: &Spec, request: &Request) -> bool {
        let Some(pause) = self.server.pause(now) else {
            return false;
        };
        let writes = spec.flags.has(Flags::WRITE) || spec.name.ends_with("publish");
        if pause.writes_only && !writes && spec.name != "exec" {
            return false;
        }
        self.parked = Some((request.compact(), pause.until));
        true
    }

    /// Handles the request that a pause held back, if it is over.
    fn resume(&mut self, now: Timestamp, out: &mut OutBuf) {
        if let Some((request, _)) = self.parked.take() {
            self.handle_request(now, &request, out);
        }
    }

    /// Writes the reply that `run` makes, or not, as `CLIENT REPLY` says.
    fn answer(
        &mut self,
        now: Timestamp,
        spec: Option<&Spec>,
        out: &mut OutBuf,
        run: impl FnOnce(&mut Call<'_>) -> Result<(), Error>,
    ) {
        let session = &mut self.session;
        let is_silent = session.is_silent();
        let mut silenced = OutBuf::default();
        let has_held = !self.held.is_empty();
        let out = match self.held.last() {
            Some(last) => last,
            None => out,
        };
        let before = out.len();
        let target = if is_silent { &mut silenced } else { &mut *out };
        let reply = ReplyWriter::new(session.version, target);
        let mut call = Call::new(session, &self.server, reply, now);
        let result = run(&mut call);
        if let Err(error) = &result {
            error.write(&mut call.reply);
        }
        drop(call);
        if session.awaiting.is_some() {
            // The reply comes with the gateway's answer, and is silenced then or not.
            return;
        }
        let confirms = result.is_ok() && spec.is_some_and(|spec| spec.flags.has(Flags::CONFIRMS));
        if is_silent && (confirms || session.reply_mode == ReplyMode::On) {
            out.put_slice(&silenced.to_vec());
        }
        session.end_reply();
        self.parser.set_authenticated(session.login.is_some());
        let Some(lsn) = session.promised.take() else {
            return;
        };
        // Only the first that waits is registered; the others follow it.
        let len = out.len() - before;
        if has_held {
            self.held.hold_last(lsn, len);
        } else if !session.wait_durable(lsn) {
            let reply = out.take_back(len);
            self.held.hold(lsn, reply);
        }
    }

    /// Sends the replies that the disk has made good.
    fn release_held(&mut self, out: &mut OutBuf) {
        while let Some(first) = self.held.first() {
            if !self.session.wait_durable(first) {
                return;
            }
            self.held.release(first, out);
        }
    }

    /// Writes what waits in the outbox until `out` holds `high_water_bytes`. Nothing overtakes a
    /// reply that waits for the disk.
    fn deliver(&mut self, now: Timestamp, out: &mut OutBuf, high_water_bytes: usize) {
        let mut room_for = Vec::new();
        self.deliver_aside(now, out);
        while out.len() < high_water_bytes && !self.session.is_closing && self.held.is_empty() {
            let Some(item) = self.items.pop_front() else {
                let id = self.session.client.id;
                let outbox = Arc::clone(self.session.outbox());
                match outbox.take(id, TAKE_BYTES, &mut self.items, &mut room_for) {
                    Standing::Owner => {}
                    Standing::Overflowed => return self.cut_off(out),
                    Standing::TakenOver => {
                        tracing::info!("a durable subscriber has connected again elsewhere");
                        self.session.is_closing = true;
                    }
                }
                let wakes = &mut Wakes::default();
                room_for.drain(..).for_each(|queue| queue.pump(now, wakes));
                if self.items.is_empty() {
                    return;
                }
                continue;
            };
            match item {
                Item::Delivery(Delivery {
                    message,
                    source: Source::Subscription(matched),
                }) => {
                    deliver::write(&self.session, &message, &matched, out);
                }
                Item::Run(run, matched) => deliver::write_run(&self.session, &run, &matched, out),
                Item::Delivery(Delivery {
                    message,
                    source: Source::Queue(from),
                }) if from.token == 0 => self.deliver_kept(now, message, from, out),
                Item::Delivery(delivery) => {
                    if let Some(held) = Held::of(delivery) {
                        self.serve(now, held, out);
                    }
                }
                // All consumers here acknowledge.
                Item::QueueRun { .. } => {}
                Item::Event(Event::ConsumerCancelled { token }) => self.wait_anew(now, token, out),
                Item::Event(Event::Close { reason }) => {
                    tracing::debug!(%reason, "connection ended");
                    self.session.is_closing = true;
                }
            }
        }
    }

    /// RESP: a client that does not keep up is cut off, mid-frame, without a word.
    fn cut_off(&mut self, out: &mut OutBuf) {
        self.held = HeldReplies::default();
        count(&self.server.counters.cut_off);
        tracing::warn!(
            connection = self.session.client.id.0,
            address = %self.session.client.address,
            "closed for overcoming of output buffer limits"
        );
        *out = OutBuf::default();
        self.session.is_closing = true;
    }

    /// Closes the connection if its unread output breaks a limit.
    fn check_output(&mut self, now: Timestamp, out: &mut OutBuf) {
        let tunables = &self.server.tunables;
        let replies = out.len() + self.held.bytes();
        let waiting = self.session.outbox().bytes();
        let is_over = match self.session.when_full {
            _ if !self.session.is_subscribed() => {
                let limit = tunables.normal_output();
                self.output.is_exceeded(now, replies + waiting, limit)
            }
            WhenFull::Disconnect => {
                let limit = tunables.subscriber_output();
                self.output.is_exceeded(now, replies + waiting, limit)
            }
            // The outbox is bounded by itself, and the journal has what it does not take.
            WhenFull::DropOldest | WhenFull::Durable => {
                let limit = tunables.normal_output();
                self.output.is_exceeded(now, replies, limit)
            }
            WhenFull::PausePublisher => {
                let time_ms = tunables.subscriber_output().soft_ms;
                self.output.is_stalled(now, out, time_ms)
            }
        };
        if is_over {
            self.cut_off(out);
        }
    }

    /// Gives the others their turn: wakes receivers, tells `CLIENT LIST` and `INFO`.
    fn end_batch(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.session.flush();
        self.held.end_batch();
        let requests = std::mem::take(&mut self.session.requests);
        if requests > 0 {
            self.server
                .counters
                .requests
                .fetch_add(requests, Ordering::Relaxed);
            self.session.client.update(self.session.snapshot());
        }
        self.check_output(now, out);
    }

    fn idle_deadline(&self) -> Option<Timestamp> {
        let timeout_ms = self.server.tunables.idle_timeout_ms();
        let is_waiting = self.session.blocked.is_some() || self.room.is_held();
        let is_exempt = timeout_ms == 0 || is_waiting || self.session.is_subscribed();
        (!is_exempt).then(|| self.session.last_request_at.plus_ms(timeout_ms))
    }
}

impl Frontend for Connection {
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) {
        let mut request = std::mem::take(&mut self.request);
        if let Some(kept) = self.session.kept.as_mut().filter(|_| !input.is_empty()) {
            kept.note_input(now, out, &mut Wakes::default());
        }
        let hard_bytes = self.server.tunables.normal_output().hard_bytes;
        self.resume(now, out);
        self.look_for_room(now);
        while self.wants_input() && !self.session.is_closing {
            match self.parser.parse(input, &mut request) {
                Ok(true) => self.handle_request(now, &request, out),
                Ok(false) => break,
                Err(malformed) => {
                    count(&self.server.counters.malformed);
                    tracing::debug!(%malformed, "connection ended");
                    if malformed.is_answered() {
                        let text = format!("ERR {malformed}");
                        ReplyWriter::new(self.session.version, out).error(text.as_bytes());
                    }
                    self.session.is_closing = true;
                }
            }
            let login = self.session.login.as_mut();
            if login.is_some_and(|login| login.bus.has_to_wait()) {
                count(&self.server.counters.held_up);
                break;
            }
            if hard_bytes > 0 && out.len() + self.held.bytes() > hard_bytes {
                self.cut_off(out);
            }
        }
        request.clear();
        self.request = request;
        let has_replied = self.session.requests > 0;
        if let Some(kept) = self.session.kept.as_mut().filter(|_| has_replied) {
            kept.note_replies(out);
        }
        self.end_batch(now, out);
    }

    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.release_held(out);
        if let Some(how) = self.session.client.take_unblock() {
            self.end_wait(now, how, out);
        }
        if self.parked.is_some() && self.server.pause(now).is_none() {
            self.resume(now, out);
            self.end_batch(now, out);
        }
        self.deliver(now, out, OUT_HIGH_WATER_BYTES);
        self.look_at_kept(now, out);
        self.session.flush();
        self.check_output(now, out);
    }

    fn poll_request(&mut self) -> Option<Question> {
        self.session.question.take()
    }

    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        let Response::Authenticated(answer) = response else {
            return;
        };
        let Some(awaiting) = self.session.awaiting.take() else {
            return;
        };
        if self.is_refused {
            count(&self.server.counters.refused);
            ReplyWriter::new(self.session.version, out).error(MAX_CLIENTS.as_bytes());
            self.session.is_closing = true;
            return;
        }
        self.answer(now, None, out, |call| {
            command::finish_login(call, awaiting, answer)
        });
        self.end_batch(now, out);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let soft = self.output.deadline();
        let wait = self.session.blocked.as_ref();
        let wait = wait.and_then(|blocked| blocked.deadline);
        let kept = self.session.kept.as_deref().and_then(Kept::poll_timeout);
        let parked = self.parked.as_ref().map(|(_, until)| *until);
        [
            soft,
            self.idle_deadline(),
            wait,
            kept,
            parked,
            self.room.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf) {
        if self.idle_deadline().is_some_and(|at| at <= now) {
            tracing::debug!("connection ended: idle");
            self.session.is_closing = true;
        }
        let wait = self.session.blocked.as_ref();
        let wait = wait.and_then(|blocked| blocked.deadline);
        if wait.is_some_and(|at| at <= now) {
            self.end_wait(now, Unblock::Timeout, out);
        }
        if self.parked.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.resume(now, out);
            self.end_batch(now, out);
        }
        self.look_for_room(now);
        self.look_at_kept(now, out);
        self.check_output(now, out);
    }

    /// RESP: there is no word for it; the connection just ends.
    fn handle_shutdown(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.release_held(out);
        self.deliver(now, out, OUT_HIGH_WATER_BYTES);
        self.session.is_closing = true;
    }

    fn handle_disconnect(&mut self, now: Timestamp) {
        self.session.give_up_waiting(now);
        self.session.leave_bus(now);
        self.session.flush();
        let id = self.session.client.id;
        self.server.unregister(id);
        self.server.monitors.remove(id);
        let dropped = self.session.outbox().dropped();
        let counters = &self.server.counters;
        counters.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.session.outbox().detach(id);
        self.session.is_closing = true;
    }

    fn wants_input(&self) -> bool {
        let is_held = self.parked.is_some() || self.room.is_held();
        !is_held && self.session.awaiting.is_none() && self.session.blocked.is_none()
    }

    fn held_by(&self) -> Option<&Arc<Outbox>> {
        self.session.login.as_ref()?.bus.held_by()
    }

    fn is_closing(&self) -> bool {
        self.session.is_closing && self.held.is_empty()
    }

    fn outbox(&self) -> &Arc<Outbox> {
        self.session.outbox()
    }
}

/// RESP: what a browser sends first; answering would let a web page talk to the server.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

impl Call<'_> {
    /// What holds for every command, in Redis's order, then the command itself.
    fn run(&mut self, spec: &'static Spec, request: &Request) -> Result<(), Error> {
        self.check(spec)
            .map_err(|error| self.refuse(request, error))?;
        let max = self.server.settings.transaction_bytes_max;
        match &mut self.session.transaction {
            Some(transaction) if !spec.flags.has(Flags::UNQUEUED) => {
                let queued = transaction.queue(spec, request, max);
                queued.map_err(|error| self.refuse(request, error))?;
                self.reply.simple("QUEUED");
                Ok(())
            }
            _ => self.execute(spec, request),
        }
    }

    fn check(&self, spec: &Spec) -> Result<(), Error> {
        let session = &self.session;
        let Some(login) = &session.login else {
            let is_open = spec.flags.has(Flags::NO_AUTH);
            return if is_open {
                Ok(())
            } else {
                Err(Error::AuthenticationRequired)
            };
        };
        if session.transaction.is_some() && spec.flags.has(Flags::ASKS) {
            return Err(Error::NotInTransaction);
        }
        let asks_itself = spec.flags.has(Flags::LIST);
        let rights = login.bus.rights();
        let may_not = (spec.flags.has(Flags::WRITE) && !rights.may_write())
            || (spec.flags.has(Flags::READONLY) && !rights.may_read());
        let is_denied = may_not && !asks_itself;
        if is_denied {
            let user = login.user.to_string();
            return Err(Error::CommandDenied {
                user,
                command: spec.name,
            });
        }
        if session.is_restricted() && !spec.flags.has(Flags::SUBSCRIBED) {
            return Err(Error::Subscribed(spec.name));
        }
        Ok(())
    }

    /// RESP: a refusal aborts a transaction, and that of `EXEC` ends it.
    fn refuse(&mut self, request: &Request, error: Error) -> Error {
        if command::is(request.name(), "exec") {
            self.session.transaction = None;
            self.session.watched.clear();
            let text = error.to_string();
            return Error::ExecRefused(text.strip_prefix("ERR ").unwrap_or(&text).to_owned());
        }
        if let Some(transaction) = &mut self.session.transaction {
            transaction.abort();
        }
        error
    }
}
