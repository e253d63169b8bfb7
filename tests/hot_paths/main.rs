//! The hot paths without sockets: connections of one protocol on one broker, and the load
//! generator's clients at their other ends.
//!
//! `hot-paths NAME` serves a fixed number of messages. Under callgrind with
//! `--collect-atstart=no --toggle-collect='*serve*'` only what the server does is counted, to the
//! instruction: `conformance/speed` compares that with what it was.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program"
)]

mod codec;
#[path = "../load/cursor.rs"]
mod cursor;
#[expect(dead_code, reason = "what sockets need is the load generator's alone")]
#[path = "../load/dialect/mod.rs"]
mod dialect;
#[expect(dead_code, reason = "what sockets need is the load generator's alone")]
#[path = "../load/scenario.rs"]
mod scenario;
#[path = "../load/stamp.rs"]
mod stamp;

use std::process::ExitCode;
use std::sync::Arc;

use bytes::BytesMut;
use dialect::{Dialect, Event, Part, Role};
use routing::{
    Broker, ConnectionId, Frontend, Identity, OutBuf, Peer, Request, Response, Timestamp,
};
use scenario::{Protocol, Scenario, Target};
use stamp::Stamp;
use tests::fuzz::IDENTITY;

/// Messages published: enough that the set-up does not count.
const MESSAGES: u32 = 10_000;

/// Messages of one read.
const BATCH: u32 = 50;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

const PEER: Peer = Peer {
    address: None,
    local: None,
    is_loopback: true,
};

/// The cases: the name, and what happens.
fn cases() -> Vec<(&'static str, Scenario)> {
    let of = |protocol, subscribers| Scenario {
        protocol,
        subscribers,
        ..Scenario::default()
    };
    let mqtt = |qos| Scenario {
        qos,
        ..of(Protocol::Mqtt3, 1)
    };
    let durable = Scenario {
        durable: true,
        confirm: true,
        acknowledges: true,
        ..of(Protocol::Amqp, 1)
    };
    let fanout = Scenario {
        target: Target::Fanout,
        ..of(Protocol::Amqp, 50)
    };
    vec![
        ("resp", of(Protocol::Resp, 1)),
        ("resp-to-50", of(Protocol::Resp, 50)),
        ("mqtt-qos-0", mqtt(0)),
        ("mqtt-qos-0-to-50", of(Protocol::Mqtt3, 50)),
        ("mqtt-qos-1", mqtt(1)),
        ("mqtt-qos-2", mqtt(2)),
        ("amqp-transient", of(Protocol::Amqp, 1)),
        ("amqp-durable", durable),
        ("amqp-fanout-to-50", fanout),
    ]
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if let Some(handled) = carry_out_codec(&wanted) {
        println!("{handled}");
        return if handled == MESSAGES as usize {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let Some((_, scenario)) = cases().into_iter().find(|(name, _)| *name == wanted) else {
        println!("amqp-read-publish\namqp-write-deliver");
        cases().iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::FAILURE;
    };
    let delivered = carry_out(&Arc::new(scenario.clone()));
    let wanted = MESSAGES as usize * scenario.subscribers;
    println!("{delivered}");
    if delivered == wanted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The codec of AMQP alone: how many messages it read or wrote, if that is the case of this name.
fn carry_out_codec(name: &str) -> Option<usize> {
    let batch = BATCH as usize;
    let handled = (0..MESSAGES / BATCH).map(|_| match name {
        "amqp-read-publish" => Some(serve_reading(&mut codec::read_buffer(batch))),
        "amqp-write-deliver" => {
            let mut out = OutBuf::default();
            serve_writing(batch, &mut out);
            Some(codec::written(&out))
        }
        _ => None,
    });
    handled.sum()
}

#[inline(never)]
fn serve_reading(input: &mut BytesMut) -> usize {
    codec::read(input)
}

#[inline(never)]
fn serve_writing(messages: usize, out: &mut OutBuf) {
    codec::write(messages, out);
}

fn carry_out(scenario: &Arc<Scenario>) -> usize {
    match scenario.protocol {
        Protocol::Amqp => {
            let broker = Arc::new(Broker::in_memory(vec![&amqp::ORIGIN]));
            let settings = Arc::new(amqp::Settings::default());
            run(scenario, |id| {
                amqp::Connection::new(Arc::clone(&broker), Arc::clone(&settings), id, PEER, NOW)
            })
        }
        Protocol::Mqtt3 | Protocol::Mqtt5 => {
            let broker = Arc::new(Broker::in_memory(mqtt::ORIGINS.to_vec()));
            let settings = Arc::new(mqtt::Settings::default());
            run(scenario, |id| {
                mqtt::Connection::new(Arc::clone(&broker), Arc::clone(&settings), id, PEER, NOW)
            })
        }
        Protocol::Resp => {
            let broker = Arc::new(Broker::in_memory(vec![&resp::ORIGIN]));
            let server = resp::Server::new(resp::Settings::default(), 7, NOW);
            run(scenario, |id| {
                resp::Connection::new(Arc::clone(&broker), Arc::clone(&server), id, PEER, NOW)
            })
        }
    }
}

/// Connects everybody, publishes, and returns how many messages arrived.
fn run<F: Frontend>(scenario: &Arc<Scenario>, connect: impl Fn(ConnectionId) -> F) -> usize {
    let part = |role, number| Part {
        role,
        scenario: Arc::clone(scenario),
        run: 0,
        number,
        group: 0,
        topics: vec!["plant/line1/temperature".to_owned()].into(),
    };
    let join = |role, number| {
        let mut end = End::new(
            connect(ConnectionId::unique()),
            dialect::of(part(role, number)),
        );
        end.client.open(&mut end.sent);
        end.settle();
        end
    };
    let mut subscribers = (0..scenario.subscribers)
        .map(|number| join(Role::Subscriber, number))
        .collect::<Vec<_>>();
    let mut publisher = join(Role::Publisher, scenario.subscribers);
    for first in (0..MESSAGES).step_by(BATCH as usize) {
        for sequence in first..first + BATCH {
            let stamp = Stamp {
                sequence,
                ..Stamp::default()
            };
            publisher.client.publish(0, stamp, &mut publisher.sent);
        }
        publisher.settle();
        subscribers.iter_mut().for_each(End::settle);
        publisher.settle();
    }
    subscribers.iter().map(|end| end.delivered).sum()
}

/// A connection and the client at its other end.
struct End<F> {
    front: F,
    identity: Arc<Identity>,
    input: BytesMut,
    out: OutBuf,
    client: Box<dyn Dialect>,
    /// What the client has sent.
    sent: Vec<u8>,
    delivered: usize,
}

impl<F: Frontend> End<F> {
    fn new(front: F, client: Box<dyn Dialect>) -> Self {
        Self {
            front,
            identity: Arc::clone(&IDENTITY),
            input: BytesMut::new(),
            out: OutBuf::default(),
            client,
            sent: Vec::new(),
            delivered: 0,
        }
    }

    /// Lets both ends speak until neither has more to say.
    fn settle(&mut self) {
        loop {
            self.input.extend_from_slice(&self.sent);
            self.sent.clear();
            serve(
                &mut self.front,
                &self.identity,
                &mut self.input,
                &mut self.out,
            );
            if self.out.is_empty() {
                return;
            }
            let written = self.out.to_vec();
            self.out.advance(written.len());
            self.hear(&written);
        }
    }

    fn hear(&mut self, mut written: &[u8]) {
        while !written.is_empty() {
            match self.client.handle(written, &mut self.sent) {
                Ok(Some((len, event))) => {
                    written = written.get(len..).unwrap_or_default();
                    self.delivered += usize::from(matches!(event, Event::Delivery(_)));
                }
                Ok(None) => {
                    eprintln!("the server stopped within a frame");
                    return;
                }
                Err(refusal) => {
                    eprintln!("{}", refusal.0);
                    return;
                }
            }
        }
    }
}

/// What is counted: the server's part of a turn, as the driver of connections does it.
#[inline(never)]
fn serve<F: Frontend>(
    front: &mut F,
    identity: &Arc<Identity>,
    input: &mut BytesMut,
    out: &mut OutBuf,
) {
    if !input.is_empty() {
        front.handle_input(NOW, input, out);
    }
    while let Some(Request::Authenticate(_)) = front.poll_request() {
        let response = Response::Authenticated(Ok(Arc::clone(identity)));
        front.handle_response(NOW, response, out);
        front.handle_input(NOW, input, out);
    }
    front.handle_outbox(NOW, out);
}
