//! Many of everything that AMQP 0-9-1 has: channels, connections, queues, bindings; made, used and
//! closed, while a bystander's round trips show whether anybody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::amqp::{AmqpClient, bind_queue, declare_queue, short};

/// How many of each.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Channels of one connection; the server allows 2,047 by default.
    pub channels: u16,
    /// Connections at a time.
    pub connections: usize,
    /// Durable queues.
    pub queues: usize,
    /// Bindings of one topic exchange.
    pub bindings: usize,
}

/// What a stage took.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// The bystander's round trips in that time, sorted.
    pub round_trips: Vec<Duration>,
}

impl Stage {
    /// The round trip that so many hundredths of all are not longer than.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let last = self.round_trips.len().saturating_sub(1);
        let at = self.round_trips.len() * hundredths / 100;
        self.round_trips
            .get(at.min(last))
            .copied()
            .unwrap_or_default()
    }
}

/// Requests that are sent before their answers are read: enough to keep the server busy, and few
/// enough that both fit the sockets' buffers.
const WINDOW: usize = 500;

/// Runs all stages against a server; `after` is told of each when it is over.
pub fn run(address: SocketAddr, scale: Scale, after: impl FnMut(&Stage)) {
    let mut stages = Stages { address, after };
    stages.run("channels opened, used and closed", || {
        channels(address, scale.channels);
    });
    connections(&mut stages, scale.connections);
    let mut client = AmqpClient::connect(address);
    client.call(1, (20, 10), b"\0");
    queues(&mut stages, &mut client, scale.queues);
    bindings(&mut stages, &mut client, scale.bindings);
}

/// The median of a bystander's round trips while nothing else is asked of the server: what the
/// machine itself takes at this moment.
#[must_use]
pub fn quiet_round_trip(address: SocketAddr) -> Duration {
    let bystander = Bystander::start(address);
    std::thread::sleep(Duration::from_millis(500));
    let stage = Stage {
        name: "nothing",
        took: Duration::ZERO,
        round_trips: bystander.stop(),
    };
    stage.percentile(50)
}

struct Stages<F: FnMut(&Stage)> {
    address: SocketAddr,
    after: F,
}

impl<F: FnMut(&Stage)> Stages<F> {
    fn run(&mut self, name: &'static str, act: impl FnOnce()) {
        let bystander = Bystander::start(self.address);
        let start = now();
        act();
        let took = start.elapsed();
        let round_trips = bystander.stop();
        (self.after)(&Stage {
            name,
            took,
            round_trips,
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what it measures")]
fn now() -> Instant {
    Instant::now()
}

fn connections(stages: &mut Stages<impl FnMut(&Stage)>, count: usize) {
    let (address, mut all) = (stages.address, Vec::new());
    stages.run("connections opened", || {
        all.extend((0..count).map(|_| AmqpClient::connect(address)));
    });
    stages.run("connections used", || {
        all.iter_mut().for_each(use_connection);
    });
    stages.run("connections closed", || drop(all));
}

fn queues(stages: &mut Stages<impl FnMut(&Stage)>, client: &mut AmqpClient, count: usize) {
    let queue = |number: usize| format!("many-{number}");
    // For queue.purge and queue.delete.
    let named = |number: usize| [&[0, 0], &short(&queue(number))[..], &[0]].concat();
    stages.run("durable queues declared", || {
        each(client, count, |client, number| {
            client.put(1, (50, 10), &declare_queue(&queue(number), 2));
        });
    });
    stages.run("a message to each and from each", || {
        each(client, count, |client, number| {
            client.put_publish(1, ("", &queue(number)), b"x");
            client.put(1, (50, 30), &named(number));
        });
    });
    stages.run("queues deleted", || {
        each(client, count, |client, number| {
            client.put(1, (50, 40), &named(number));
        });
    });
}

fn bindings(stages: &mut Stages<impl FnMut(&Stage)>, client: &mut AmqpClient, count: usize) {
    let key = |number: usize| format!("plant.line{}.sensor{number}.temp", number % 100);
    let bind = |client: &mut AmqpClient, number: usize| {
        client.put(1, (50, 20), &bind_queue("many", "amq.topic", &key(number)));
    };
    client.call(1, (50, 10), &declare_queue("many", 0));
    stages.run("bindings made on one topic exchange", || {
        each(client, count, bind);
    });
    stages.run("a message by each of 1,000 of them", || {
        let published = count.min(1000);
        (0..published).for_each(|number| {
            client.put_publish(1, ("amq.topic", &key(number)), b"x");
        });
        let status = client.call(1, (50, 10), &declare_queue("many", 1));
        let expected = u32::try_from(published).unwrap_or(0).to_be_bytes();
        assert!(status.payload.ends_with(&[&expected[..], &[0; 4]].concat()));
    });
    stages.run("bindings removed", || {
        each(client, count, |client, number| {
            // As queue.bind, without its bit field.
            let mut arguments = bind_queue("many", "amq.topic", &key(number));
            arguments.remove(arguments.len() - 5);
            client.put(1, (50, 50), &arguments);
        });
    });
    stages.run("as many made again, and ended with their queue", || {
        each(client, count, bind);
        client.call(1, (50, 40), b"\0\0\x04many\0");
    });
}

/// Sends a request for each number, a window at a time, and reads the answers.
fn each(client: &mut AmqpClient, count: usize, mut put: impl FnMut(&mut AmqpClient, usize)) {
    let numbers: Vec<usize> = (0..count).collect();
    for window in numbers.chunks(WINDOW) {
        window.iter().for_each(|number| put(client, *number));
        client.flush();
        for _ in window {
            let answer = client.read();
            assert_eq!(answer.method().0, 50, "{answer:?}");
        }
    }
}

fn channels(address: SocketAddr, count: u16) {
    let mut client = AmqpClient::connect(address);
    let answers = |client: &mut AmqpClient, method| {
        (0..count).for_each(|_| assert_eq!(client.read().method(), method));
    };
    (1..=count).for_each(|channel| client.put(channel, (20, 10), b"\0"));
    client.flush();
    answers(&mut client, (20, 11));
    let name = |channel: u16| format!("channel-{channel}");
    // Exclusive: they end with the connection.
    (1..=count).for_each(|channel| {
        client.put(channel, (50, 10), &declare_queue(&name(channel), 4));
    });
    client.flush();
    answers(&mut client, (50, 11));
    (1..=count).for_each(|channel| client.put(channel, (20, 40), b"\0\xc8\0\0\0\0\0"));
    client.flush();
    answers(&mut client, (20, 41));
}

fn use_connection(client: &mut AmqpClient) {
    assert_eq!(client.call(1, (20, 10), b"\0").method(), (20, 11));
    let declared = client.call(1, (50, 10), &declare_queue("", 4));
    assert_eq!(declared.method(), (50, 11));
}

/// A client with a queue of its own, to which it publishes and from which it gets, over and over.
struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut client = AmqpClient::connect(address);
            client.call(1, (20, 10), b"\0");
            client.call(1, (50, 10), &declare_queue("bystander", 4));
            let mut round_trips = Vec::new();
            // At least one, however short the stage is.
            while round_trips.is_empty() || !stopped.load(Ordering::Relaxed) {
                let start = now();
                client.put_publish(1, ("", "bystander"), b"x");
                // basic.get without acknowledgement: get-ok, header, body.
                let got = client.call(1, (60, 70), b"\0\0\x09bystander\x01");
                assert_eq!(got.method(), (60, 71));
                client.read();
                client.read();
                round_trips.push(start.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            round_trips.sort_unstable();
            round_trips
        });
        Self { stop, thread }
    }

    #[expect(clippy::expect_used, reason = "a test's assertion")]
    fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a bystander who was served")
    }
}
