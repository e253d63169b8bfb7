//! Two whole connections of one protocol on one broker, told by the fuzzer what happens to them.
//!
//! The input is a list of steps:
//!
//! ```text
//! u8 step: bit 0 = which of the two clients, bits 1-2 = what happens
//!   0, 1  u8 length, bytes   the client's bytes arrive
//!   2     u8 n               n * 250 ms pass and what was due is done
//!   3                        the client's socket is gone; a new one comes
//! ```
//!
//! Between steps both clients read all that was written to them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use bytes::{Buf, BytesMut};
use regex::Regex;
use routing::{
    Broker, ConnectionId, Frontend, Identity, OutBuf, Peer, Permissions, Request, Response,
    Timestamp,
};

/// Where the clock stands at first.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// What a step of time is worth.
const TICK_MS: u64 = 250;

/// Output that a client of this size of input may cause before it is a flood.
const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Two AMQP connections.
pub fn amqp_connection(script: &[u8]) {
    let broker = Arc::new(Broker::in_memory(vec![&amqp::ORIGIN]));
    let settings = Arc::new(amqp::Settings::default());
    run(&broker, script, |id, now| {
        amqp::Connection::new(Arc::clone(&broker), Arc::clone(&settings), id, PEER, now)
    });
}

/// Two MQTT connections.
pub fn mqtt_connection(script: &[u8]) {
    let broker = Arc::new(Broker::in_memory(mqtt::ORIGINS.to_vec()));
    let settings = Arc::new(mqtt::Settings::default());
    run(&broker, script, |id, now| {
        mqtt::Connection::new(Arc::clone(&broker), Arc::clone(&settings), id, PEER, now)
    });
}

/// Two Redis connections.
pub fn resp_connection(script: &[u8]) {
    let broker = Arc::new(Broker::in_memory(vec![&resp::ORIGIN]));
    let server = resp::Server::new(resp::Settings::default(), 7, START);
    run(&broker, script, |id, now| {
        resp::Connection::new(Arc::clone(&broker), Arc::clone(&server), id, PEER, now)
    });
}

const PEER: Peer = Peer {
    address: None,
    local: None,
    is_loopback: true,
};

/// What happens in one step.
enum Step<'a> {
    Arrive(&'a [u8]),
    Pass(u64),
    Reconnect,
}

/// The next step and the client it is about.
fn next_step<'a>(script: &mut &'a [u8]) -> Option<(usize, Step<'a>)> {
    let head = script.try_get_u8().ok()?;
    let client = usize::from(head & 1);
    let step = match (head >> 1) & 3 {
        2 => Step::Pass(u64::from(script.try_get_u8().ok()?) * TICK_MS),
        3 => Step::Reconnect,
        _ => {
            let length = usize::from(script.try_get_u8().ok()?).min(script.len());
            let (bytes, rest) = script.split_at(length);
            *script = rest;
            Step::Arrive(bytes)
        }
    };
    Some((client, step))
}

fn run<F: Frontend>(
    broker: &Broker,
    mut script: &[u8],
    connect: impl Fn(ConnectionId, Timestamp) -> F,
) {
    let mut now = START;
    let identity = IDENTITY.clone();
    let mut clients = [0, 1].map(|_| Client::new(connect(ConnectionId::unique(), now)));
    while let Some((which, step)) = next_step(&mut script) {
        let Some(client) = clients.get_mut(which) else {
            return;
        };
        match step {
            Step::Arrive(bytes) => client.arrive(now, bytes, &identity),
            Step::Pass(ms) => now = now.plus_ms(ms),
            Step::Reconnect => {
                client.front.handle_disconnect(now);
                *client = Client::new(connect(ConnectionId::unique(), now));
            }
        }
        broker.handle_timeout(now);
        for client in &mut clients {
            client.catch_up(now);
        }
    }
    for mut client in clients {
        client.front.handle_disconnect(now);
    }
}

/// One end and what its driver holds.
struct Client<F> {
    front: F,
    input: BytesMut,
    out: OutBuf,
    written: usize,
}

impl<F: Frontend> Client<F> {
    fn new(front: F) -> Self {
        Self {
            front,
            input: BytesMut::new(),
            out: OutBuf::default(),
            written: 0,
        }
    }

    fn arrive(&mut self, now: Timestamp, bytes: &[u8], identity: &Arc<Identity>) {
        if self.front.is_closing() {
            return;
        }
        self.input.extend_from_slice(bytes);
        self.front.handle_input(now, &mut self.input, &mut self.out);
        while let Some(Request::Authenticate(_)) = self.front.poll_request() {
            let response = Response::Authenticated(Ok(Arc::clone(identity)));
            self.front.handle_response(now, response, &mut self.out);
            self.front.handle_input(now, &mut self.input, &mut self.out);
        }
    }

    /// Does what is due, takes what waits, and writes it.
    fn catch_up(&mut self, now: Timestamp) {
        if self.front.poll_timeout().is_some_and(|due| due <= now) {
            self.front.handle_timeout(now, &mut self.out);
        }
        loop {
            if !self.front.is_closing() {
                self.front.handle_outbox(now, &mut self.out);
            }
            if self.out.is_empty() {
                return;
            }
            self.written += self.out.len();
            assert!(self.written < OUTPUT_BYTES_MAX, "a flood of output");
            self.out.advance(self.out.len());
        }
    }
}

/// A user who may do everything: what is forbidden is not reached. Made once, since compiling its
/// patterns takes longer than most scripts.
#[expect(clippy::expect_used, reason = "a constant pattern")]
pub static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| {
    let all = || Regex::new(".*").expect("a pattern");
    let permissions = Permissions {
        configure: all(),
        write: all(),
        read: all(),
    };
    Arc::new(Identity {
        user: "guest".into(),
        tags: vec![],
        default_vhost: "/".into(),
        permissions: HashMap::from([("/".into(), permissions)]),
        topic_permissions: HashMap::new(),
    })
});
