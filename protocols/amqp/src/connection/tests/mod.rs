//! Whole connections on a real broker: bytes in, exact bytes out, on a clock that stands still
//! unless a test moves it.

mod allocations;
mod confirms;
mod consumers;
mod dead_letters;
mod delays;
mod handshake;
mod held;
mod interop;
mod limits;
mod publishes;
mod requirements;
mod topology;
mod transactions;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use routing::journal::Appended;
use routing::{
    Broker, ConnectionId, Frontend, Identity, Journal, Lsn, Name, OutBuf, Peer, Permissions,
    Request, Response, Timestamp, Urgency,
};

use super::Connection;
use crate::{
    ORIGIN,
    settings::Settings,
    wire::{
        content::put_content,
        deliver::{PublishedTo, Redelivered, put_deliver},
        frame::ChannelId,
        method_id::MethodId,
        methods::CloseReason,
        replies::{ChannelReply, ConnectionReply, Reply, put_reply},
        settle::DeliveryTag,
        table::{TableBuf, Value},
    },
};

pub(super) const NOW: Timestamp = Timestamp(1_000_000);
pub(super) const CH: ChannelId = ChannelId(1);
/// No property set.
pub(super) const PLAIN: &[u8] = &[0, 0];
/// Delivery mode 2.
pub(super) const PERSISTENT: &[u8] = &[0x10, 0, 2];

/// The arguments of a method, in the order of the standard.
#[derive(Default)]
pub(super) struct Args(Vec<u8>);

impl Args {
    pub(super) fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    pub(super) fn u16(mut self, number: u16) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn short(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0.push(u8::try_from(text.len()).unwrap());
        self.0.extend(text);
        self
    }

    pub(super) fn long(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0
            .extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        self.0.extend(text);
        self
    }
}

pub(super) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

pub(super) fn method_on(channel: u16, id: MethodId, args: Args) -> Vec<u8> {
    let mut payload = id.class.to_be_bytes().to_vec();
    payload.extend(id.method.to_be_bytes());
    payload.extend(args.0);
    frame(1, channel, &payload)
}

pub(super) fn method(id: MethodId, args: Args) -> Vec<u8> {
    method_on(CH.0, id, args)
}

pub(super) fn table(entries: &[(&str, Value<'_>)]) -> TableBuf {
    let mut table = TableBuf::new();
    for (name, value) in entries {
        table.push(name.as_bytes(), *value).unwrap();
    }
    table
}

/// What the server is expected to say.
pub(super) fn said(write: impl FnOnce(&mut OutBuf)) -> Vec<u8> {
    let mut out = OutBuf::default();
    write(&mut out);
    out.to_vec()
}

pub(super) fn reply(reply: Reply<'_>) -> Vec<u8> {
    said(|out| put_reply(out, CH, reply))
}

fn reason(code: u16, text: &str, method: MethodId) -> CloseReason {
    CloseReason {
        code,
        text: text.into(),
        method,
    }
}

pub(super) fn channel_closed(code: u16, text: &str, method: MethodId) -> Vec<u8> {
    reply(Reply::Channel(ChannelReply::Close(&reason(
        code, text, method,
    ))))
}

pub(super) fn connection_closed(code: u16, text: &str, method: MethodId) -> Vec<u8> {
    let reason = reason(code, text, method);
    let close = Reply::Connection(ConnectionReply::Close(&reason));
    said(|out| put_reply(out, ChannelId::CONNECTION, close))
}

/// A delivery to consumer `t`, as it is expected.
pub(super) struct Delivered<'a> {
    pub(super) tag: u64,
    pub(super) redelivered: Redelivered,
    pub(super) exchange: &'a str,
    pub(super) key: &'a str,
    pub(super) properties: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Delivered<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let to = PublishedTo {
            exchange: self.exchange.as_bytes(),
            routing_key: self.key.as_bytes(),
        };
        said(|out| {
            put_deliver(out, CH, b"t", (DeliveryTag(self.tag), self.redelivered), to);
            put_content(
                out,
                CH,
                self.properties,
                &Bytes::copy_from_slice(self.body),
                131_072,
            );
        })
    }
}

/// A message of queue `q`, delivered for the first time.
pub(super) fn delivered(tag: u64, body: &[u8]) -> Vec<u8> {
    let redelivered = Redelivered::No;
    Delivered {
        tag,
        redelivered,
        exchange: "",
        key: "q",
        properties: PLAIN,
        body,
    }
    .bytes()
}

pub(super) fn publish_frames(exchange: &str, key: &str, bits: u8) -> Vec<u8> {
    let args = Args::default().u16(0).short(exchange).short(key).u8(bits);
    method(MethodId::BASIC_PUBLISH, args)
}

/// `basic.publish` with its content.
pub(super) fn publish_to(
    (exchange, key): (&str, &str),
    bits: u8,
    properties: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = publish_frames(exchange, key, bits);
    let body = Bytes::copy_from_slice(body);
    bytes.extend(said(|out| put_content(out, CH, properties, &body, 131_072)));
    bytes
}

/// A publish to queue `q`.
pub(super) fn publish(body: &[u8]) -> Vec<u8> {
    publish_to(("", "q"), 0, PLAIN, body)
}

pub(super) fn declare(queue: &str, bits: u8, arguments: &TableBuf) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short(queue)
        .u8(bits)
        .long(arguments.table().as_bytes());
    method(MethodId::QUEUE_DECLARE, args)
}

pub(super) fn consume(queue: &str, tag: &str, bits: u8) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short(queue)
        .short(tag)
        .u8(bits)
        .long([]);
    method(MethodId::BASIC_CONSUME, args)
}

pub(super) fn ack(tag: u64, bits: u8) -> Vec<u8> {
    method(MethodId::BASIC_ACK, Args::default().u64(tag).u8(bits))
}

pub(super) fn qos(count: u16, global: u8) -> Vec<u8> {
    method(
        MethodId::BASIC_QOS,
        Args::default().u32(0).u16(count).u8(global),
    )
}

/// A journal whose durable position the test moves, and whose disk it fills.
#[derive(Debug, Default)]
pub(super) struct GatedJournal {
    end: AtomicU64,
    pub(super) durable: AtomicU64,
    pub(super) is_full: AtomicBool,
    /// It takes nothing at all.
    pub(super) is_shut: AtomicBool,
    /// It says that it takes records, and then refuses them.
    pub(super) is_fickle: AtomicBool,
}

impl GatedJournal {
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::SeqCst)
    }

    /// Makes all that is there durable, and says so.
    pub(super) fn sync(&self, broker: &Broker) {
        self.durable.store(self.end(), Ordering::SeqCst);
        broker.handle_durable(Lsn(self.end()));
    }
}

impl Journal for GatedJournal {
    fn append(&self, record: &[&[u8]], _: Urgency) -> Appended {
        if !self.takes_records() || self.is_fickle.load(Ordering::SeqCst) {
            return Appended::REFUSED;
        }
        let len = record.iter().map(|part| part.len() as u64).sum::<u64>();
        let start = self.end.fetch_add(len, Ordering::SeqCst);
        Appended {
            start: Lsn(start),
            end: Lsn(start + len),
        }
    }

    fn end(&self) -> Lsn {
        Lsn(Self::end(self))
    }

    fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::SeqCst))
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::SeqCst)
    }

    fn takes_records(&self) -> bool {
        !self.is_shut.load(Ordering::SeqCst)
    }

    fn read(&self, _: Lsn) -> Option<Bytes> {
        None
    }
}

pub(super) fn broker() -> Arc<Broker> {
    Arc::new(Broker::in_memory(vec![&ORIGIN]))
}

pub(super) fn gated_broker() -> (Arc<Broker>, Arc<GatedJournal>) {
    let journal = Arc::new(GatedJournal::default());
    let settings = routing::Settings::default();
    let shared: Arc<dyn Journal> = Arc::<GatedJournal>::clone(&journal);
    (
        Arc::new(Broker::new(
            settings,
            shared,
            vec![&ORIGIN],
            Box::new(|| {}),
        )),
        journal,
    )
}

/// A user who may read `read`, and do all else with everything.
pub(super) fn identity(write: &str, read: &str) -> Arc<Identity> {
    let pattern = |text: &str| regex::Regex::new(text).unwrap();
    let permissions = Permissions {
        configure: pattern(".*"),
        write: pattern(write),
        read: pattern(read),
    };
    Arc::new(Identity {
        user: "guest".into(),
        tags: Vec::new(),
        default_vhost: "/".into(),
        permissions: HashMap::from([(Name::from("/"), permissions)]),
        topic_permissions: HashMap::new(),
    })
}

/// A client and its connection.
pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) now: Timestamp,
    input: BytesMut,
}

impl Client {
    pub(super) fn unconnected(broker: &Arc<Broker>, settings: Settings) -> Self {
        let peer = Peer {
            address: None,
            local: None,
            is_loopback: true,
        };
        let (id, settings) = (ConnectionId::unique(), Arc::new(settings));
        let connection = Connection::new(Arc::clone(broker), settings, id, peer, NOW);
        Self {
            connection,
            now: NOW,
            input: BytesMut::new(),
        }
    }

    /// A client with channel 1 open.
    pub(super) fn open(broker: &Arc<Broker>) -> Self {
        Self::open_as(broker, Settings::default(), identity(".*", ".*"))
    }

    pub(super) fn open_as(
        broker: &Arc<Broker>,
        settings: Settings,
        identity: Arc<Identity>,
    ) -> Self {
        let mut client = Self::unconnected(broker, settings);
        client.send(b"AMQP\x00\x00\x09\x01");
        client.send(&start_ok(b"\0guest\0guest"));
        client.authenticated(identity);
        client.send(&tune_ok(2047, 131_072, 60));
        let open = Args::default().short("/").short("").u8(0);
        client.send(&method_on(0, MethodId::CONNECTION_OPEN, open));
        let opened = client.send(&method(MethodId::CHANNEL_OPEN, Args::default().short("")));
        assert_eq!(opened, reply(Reply::Channel(ChannelReply::OpenOk)));
        client
    }

    /// A client with channel 1 open, and queue `q`.
    pub(super) fn with_queue(broker: &Arc<Broker>) -> Self {
        let mut client = Self::open(broker);
        client.send(&declare("q", 0, &TableBuf::new()));
        client
    }

    /// Gives bytes to the connection; returns all it says to them.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.input.extend_from_slice(bytes);
        let mut out = OutBuf::default();
        let was_deaf = !self.connection.wants_input();
        self.connection
            .handle_input(self.now, &mut self.input, &mut out);
        self.connection.handle_outbox(self.now, &mut out);
        if was_deaf && self.connection.wants_input() {
            self.connection
                .handle_input(self.now, &mut self.input, &mut out);
        }
        out.to_vec()
    }

    /// What waits for the client.
    pub(super) fn receive(&mut self) -> Vec<u8> {
        self.send(&[])
    }

    pub(super) fn authenticated(&mut self, identity: Arc<Identity>) -> Vec<u8> {
        assert!(matches!(
            self.connection.poll_request(),
            Some(Request::Authenticate(_))
        ));
        let mut out = OutBuf::default();
        let response = Response::Authenticated(Ok(identity));
        self.connection
            .handle_response(self.now, response, &mut out);
        out.to_vec()
    }

    pub(super) fn timeout_at(&mut self, now: Timestamp) -> Vec<u8> {
        self.now = now;
        let mut out = OutBuf::default();
        self.connection.handle_timeout(now, &mut out);
        out.to_vec()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A failed test unwinds through here, and the core's locks abort rather than unwind.
        if !std::thread::panicking() {
            self.connection.handle_disconnect(self.now);
        }
    }
}

/// `connection.start-ok` of a client that can do everything.
pub(super) fn start_ok(response: &[u8]) -> Vec<u8> {
    let yes = Value::Bool(true);
    let capabilities = table(&[
        ("authentication_failure_close", yes),
        ("connection.blocked", yes),
        ("consumer_cancel_notify", yes),
    ]);
    let properties = table(&[("capabilities", Value::Table(capabilities.table()))]);
    let args = Args::default()
        .long(properties.table().as_bytes())
        .short("PLAIN")
        .long(response)
        .short("en_US");
    method_on(0, MethodId::CONNECTION_START_OK, args)
}

pub(super) fn tune_ok(channel_max: u16, frame_max: u32, heartbeat_secs: u16) -> Vec<u8> {
    let args = Args::default()
        .u16(channel_max)
        .u32(frame_max)
        .u16(heartbeat_secs);
    method_on(0, MethodId::CONNECTION_TUNE_OK, args)
}
