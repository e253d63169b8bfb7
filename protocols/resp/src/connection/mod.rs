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

mod deliver;
mod output_limit;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use routing::frontend::OUT_HIGH_WATER_BYTES;
use routing::outbox::{Item, Standing};
use routing::{
    Broker, ConnectionId, Frontend, OutBuf, Outbox, OutboxLimits, Overflow, Peer,
    Request as Question, Response, Timestamp,
};

pub(crate) use session::{Awaiting, ReplyMode, Session};

use crate::command::{self, Call, Flags, Spec};
use crate::error::Error;
use crate::server::{Client, Server, count};
use crate::wire::reply::ReplyWriter;
use crate::wire::request::{Request, RequestParser};
use output_limit::OutputWatch;

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
    outbox: Arc<Outbox>,
    /// Taken from the outbox, not written yet.
    items: VecDeque<Item>,
    output: OutputWatch,
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
        let outbox = Outbox::attached(
            id,
            OutboxLimits {
                items_max: hard_bytes / COST_BYTES_MIN,
                bytes_max: hard_bytes,
                overflow: Overflow::Disconnect,
            },
        );
        let client = Client::new(id, &peer, Arc::clone(&outbox), now);
        let is_refused = !server.register(&client);
        Self {
            is_refused,
            parser: RequestParser::new(settings.requests, false),
            request: Request::default(),
            session: Session::new(client, broker, settings.vhost.clone()),
            outbox,
            items: VecDeque::new(),
            output: OutputWatch::default(),
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
        self.session.last = Some(spec);
        if spec.flags.has(Flags::UNSUBSCRIBES) {
            // What was published before belongs before the confirmation: all of it, as what is
            // left is dropped with the subscription. The hard limit has bounded it.
            self.deliver(out, usize::MAX);
        }
        self.answer(now, Some(spec), out, |call| call.run(spec, request));
        if self.session.is_subscribed() {
            self.deliver(out, OUT_HIGH_WATER_BYTES);
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
        let target = if is_silent { &mut silenced } else { &mut *out };
        let reply = ReplyWriter::new(session.version, target);
        let mut call = Call::new(session, &self.server, reply, now);
        let result = run(&mut call);
        if let Err(error) = &result {
            error.write(&mut call.reply);
        }
        drop(call);
        let confirms = result.is_ok() && spec.is_some_and(|spec| spec.flags.has(Flags::CONFIRMS));
        if is_silent && (confirms || session.reply_mode == ReplyMode::On) {
            out.put_slice(&silenced.to_vec());
        }
        session.end_reply();
        self.parser.set_authenticated(session.login.is_some());
    }

    /// Writes what waits in the outbox until `out` holds `high_water_bytes`.
    fn deliver(&mut self, out: &mut OutBuf, high_water_bytes: usize) {
        let mut room_for = Vec::new();
        while out.len() < high_water_bytes && !self.session.is_closing {
            let Some(item) = self.items.pop_front() else {
                let id = self.session.client.id;
                let standing = self
                    .outbox
                    .take(id, TAKE_BYTES, &mut self.items, &mut room_for);
                if standing == Standing::Overflowed {
                    return self.cut_off(out);
                }
                if self.items.is_empty() {
                    return;
                }
                continue;
            };
            deliver::write(&mut self.session, &item, out);
        }
    }

    /// RESP: a client that does not keep up is cut off, mid-frame, without a word.
    fn cut_off(&mut self, out: &mut OutBuf) {
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
        let settings = &self.server.settings;
        let limit = if self.session.is_subscribed() {
            settings.subscriber_output
        } else {
            settings.normal_output
        };
        if self
            .output
            .is_exceeded(now, out.len() + self.outbox.bytes(), limit)
        {
            self.cut_off(out);
        }
    }

    /// Gives the others their turn: wakes receivers, tells `CLIENT LIST` and `INFO`.
    fn end_batch(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.session.flush();
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
        let timeout_ms = self.server.settings.idle_timeout_ms;
        let is_exempt = timeout_ms == 0 || self.session.is_subscribed();
        (!is_exempt).then(|| self.session.last_request_at.plus_ms(timeout_ms))
    }
}

impl Frontend for Connection {
    fn handle_input(&mut self, now: Timestamp, input: &mut BytesMut, out: &mut OutBuf) {
        let mut request = std::mem::take(&mut self.request);
        let hard_bytes = self.server.settings.normal_output.hard_bytes;
        while self.session.awaiting.is_none() && !self.session.is_closing {
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
            if hard_bytes > 0 && out.len() > hard_bytes {
                self.cut_off(out);
            }
        }
        request.clear();
        self.request = request;
        self.end_batch(now, out);
    }

    fn handle_outbox(&mut self, now: Timestamp, out: &mut OutBuf) {
        self.deliver(out, OUT_HIGH_WATER_BYTES);
        self.check_output(now, out);
    }

    fn poll_request(&mut self) -> Option<Question> {
        self.session.question.take()
    }

    fn handle_response(&mut self, now: Timestamp, response: Response, out: &mut OutBuf) {
        let Response::Authenticated(answer) = response;
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
        [soft, self.idle_deadline()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut OutBuf) {
        if self.idle_deadline().is_some_and(|at| at <= now) {
            tracing::debug!("connection ended: idle");
            self.session.is_closing = true;
        }
        self.check_output(now, out);
    }

    /// RESP: there is no word for it; the connection just ends.
    fn handle_shutdown(&mut self, _: Timestamp, out: &mut OutBuf) {
        self.deliver(out, OUT_HIGH_WATER_BYTES);
        self.session.is_closing = true;
    }

    fn handle_disconnect(&mut self, _: Timestamp) {
        self.session.leave_bus();
        self.session.flush();
        self.server.unregister(self.session.client.id);
        self.outbox.detach(self.session.client.id);
        self.session.is_closing = true;
    }

    fn is_closing(&self) -> bool {
        self.session.is_closing
    }

    fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
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
            _ => (spec.run)(self, request),
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
        let is_denied = (spec.flags.has(Flags::WRITE) && !login.bus.may_write())
            || (spec.flags.has(Flags::READONLY) && !login.bus.may_read());
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
