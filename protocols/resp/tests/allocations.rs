//! What a publish costs the allocator: a file of its own because it counts this whole program.

#![allow(clippy::expect_used, reason = "a failed step of a test is its end")]

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use resp::wire::request::{Limits, Request, RequestParser};
use resp::{Connection, Server, Settings};
use routing::{
    Broker, ConnectionId, Frontend, Identity, Name, OutBuf, Peer, Permissions, Response, Timestamp,
};

const PUBLISH: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n$9\r\nplant/one\r\n$5\r\nhello\r\n";

#[test]
fn parsing_a_publish_allocates_nothing() {
    let mut parser = RequestParser::new(Limits::default(), true);
    let mut request = Request::default();
    let mut input = BytesMut::new();
    (0..102).for_each(|_| input.extend_from_slice(PUBLISH));
    // The first two requests share the buffer and fill both lists of ranges.
    for _ in 0..2 {
        assert_eq!(parser.parse(&mut input, &mut request), Ok(true));
    }
    let mut publishes = 0;
    let counted = allocation_counter::measure(|| {
        while parser.parse(&mut input, &mut request) == Ok(true) {
            let (channel, payload) = (request.bytes(1), request.bytes(2));
            publishes += usize::from(channel == "plant/one" && payload == "hello");
        }
    });
    assert_eq!((publishes, counted.count_total), (100, 0));
}

/// A publish allocates its message; with several receivers also the encoded form that they share,
/// and the place to keep it. Nothing grows with their number. One more is for buffers that grow.
#[test]
fn publishing_allocates_for_the_message_alone() {
    let mut gateway = Gateway::new();
    let publishes = PUBLISH.repeat(100);
    for (receivers, most) in [(0, 2), (1, 2), (10, 4)] {
        while gateway.subscribers.len() < receivers {
            gateway.subscribe();
        }
        gateway.publish(&publishes);
        let mut input = BytesMut::from(&publishes[..]);
        let counted = allocation_counter::measure(|| gateway.publish_from(&mut input));
        let per_publish = counted.count_total.div_ceil(100);
        assert!(
            per_publish <= most,
            "{per_publish} for {receivers} receivers"
        );
    }
}

struct Gateway {
    broker: Arc<Broker>,
    server: Arc<Server>,
    publisher: Connection,
    out: OutBuf,
    subscribers: Vec<Connection>,
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

impl Gateway {
    fn new() -> Self {
        let broker = Arc::new(Broker::in_memory(vec![&resp::ORIGIN]));
        let server = Server::new(Settings::default(), 0, NOW);
        let publisher = connect(&broker, &server);
        Self {
            broker,
            server,
            publisher,
            out: OutBuf::default(),
            subscribers: Vec::new(),
        }
    }

    fn subscribe(&mut self) {
        let mut subscriber = connect(&self.broker, &self.server);
        let mut input = BytesMut::from(&b"SUBSCRIBE plant/one\r\n"[..]);
        subscriber.handle_input(NOW, &mut input, &mut self.out);
        self.subscribers.push(subscriber);
    }

    fn publish(&mut self, requests: &[u8]) {
        self.publish_from(&mut BytesMut::from(requests));
    }

    fn publish_from(&mut self, input: &mut BytesMut) {
        self.publisher.handle_input(NOW, input, &mut self.out);
        self.out.advance(self.out.len());
        for subscriber in &mut self.subscribers {
            subscriber.handle_outbox(NOW, &mut self.out);
            self.out.advance(self.out.len());
        }
    }
}

fn connect(broker: &Arc<Broker>, server: &Arc<Server>) -> Connection {
    let peer = Peer {
        address: None,
        local: None,
        is_loopback: true,
    };
    let (broker, server) = (Arc::clone(broker), Arc::clone(server));
    let mut connection = Connection::new(broker, server, ConnectionId::unique(), peer, NOW);
    assert!(connection.poll_request().is_some());
    let all = || regex::Regex::new(".*").expect("a pattern");
    let permissions = Permissions {
        configure: all(),
        write: all(),
        read: all(),
    };
    let identity = Identity {
        user: "anonymous".into(),
        tags: Vec::new(),
        default_vhost: "/".into(),
        permissions: HashMap::from([(Name::from("/"), permissions)]),
        topic_permissions: HashMap::new(),
    };
    let answer = Response::Authenticated(Ok(Arc::new(identity)));
    connection.handle_response(NOW, answer, &mut OutBuf::default());
    connection
}
