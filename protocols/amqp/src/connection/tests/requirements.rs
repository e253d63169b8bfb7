//! Rules of the standard that no other test states.

use super::*;
use crate::wire::replies::{BasicReply, ExchangeReply, QueueReply};

fn queue_reply(queue: &str, message_count: u32) -> Vec<u8> {
    let declared = QueueReply::DeclareOk {
        queue,
        message_count,
        consumer_count: 0,
    };
    reply(Reply::Queue(declared))
}

fn bind(queue: &str, exchange: &str, key: &str) -> Vec<u8> {
    let args = Args::default().u16(0).short(queue).short(exchange);
    method(MethodId::QUEUE_BIND, args.short(key).u8(0).long([]))
}

/// The requests that take an empty queue name for the queue declared last, and what they get.
fn requests_without_a_name() -> [(MethodId, Vec<u8>, Reply<'static>); 4] {
    let unbind = Args::default().u16(0).short("").short("amq.direct");
    let purge = Args::default().u16(0).short("").u8(0);
    let delete = Args::default().u16(0).short("").u8(0);
    let purged = QueueReply::PurgeOk { message_count: 0 };
    let deleted = QueueReply::DeleteOk { message_count: 0 };
    [
        (
            MethodId::QUEUE_BIND,
            bind("", "amq.direct", "k"),
            Reply::Queue(QueueReply::BindOk),
        ),
        (
            MethodId::QUEUE_UNBIND,
            method(MethodId::QUEUE_UNBIND, unbind.short("k").long([])),
            Reply::Queue(QueueReply::UnbindOk),
        ),
        (
            MethodId::QUEUE_PURGE,
            method(MethodId::QUEUE_PURGE, purge),
            Reply::Queue(purged),
        ),
        (
            MethodId::QUEUE_DELETE,
            method(MethodId::QUEUE_DELETE, delete),
            Reply::Queue(deleted),
        ),
    ]
}

#[test]
fn an_empty_queue_name_is_the_queue_declared_last_or_not_found() {
    let mut known = Client::with_queue(&broker());
    for (id, request, answer) in requests_without_a_name() {
        assert_eq!(known.send(&request), reply(answer));
        let text = "NOT_FOUND - no previously declared queue";
        let closed = channel_closed(404, text, id);
        assert_eq!(Client::open(&broker()).send(&request), closed);
    }
}

#[test]
fn a_delivery_tag_of_another_channel_is_unknown() {
    let mut client = Client::with_queue(&broker());
    client.send(&method_on(
        2,
        MethodId::CHANNEL_OPEN,
        Args::default().short(""),
    ));
    client.send(&consume("q", "t", 0));
    assert_eq!(client.send(&publish(b"1")), delivered(1, b"1"));
    let acked = method_on(2, MethodId::BASIC_ACK, Args::default().u64(1).u8(0));
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    let mut expected = channel_closed(406, text, MethodId::BASIC_ACK);
    // On channel 2.
    expected[2] = 2;
    assert_eq!(client.send(&acked), expected);
    // Its own channel is open and takes it.
    assert_eq!(client.send(&[ack(1, 0), ack(0, 1)].concat()), b"");
}

#[test]
fn contents_of_several_channels_may_be_interleaved() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&method_on(
        2,
        MethodId::CHANNEL_OPEN,
        Args::default().short(""),
    ));
    let on = |channel: u16, kind: usize| {
        let args = Args::default().u16(0).short("").short("q").u8(0);
        let body = [b'0' + u8::try_from(channel).unwrap(); 2];
        match kind {
            0 => method_on(channel, MethodId::BASIC_PUBLISH, args),
            1 => frame(2, channel, b"\0\x3c\0\0\0\0\0\0\0\0\0\x02\0\0"),
            _ => frame(3, channel, &body),
        }
    };
    let order = [(1, 0), (2, 0), (2, 1), (1, 1), (2, 2), (1, 2)];
    let frames = order.map(|(channel, kind)| on(channel, kind));
    assert_eq!(client.send(&frames.concat()), b"");
    let mut reader = Client::open(&broker);
    let expected = [
        reply(Reply::Basic(BasicReply::ConsumeOk { consumer_tag: "t" })),
        delivered(1, b"22"),
        delivered(2, b"11"),
    ];
    assert_eq!(reader.send(&consume("q", "t", 0)), expected.concat());
}

#[test]
fn any_octet_counts_as_a_heartbeat() {
    let mut client = Client::open(&broker());
    client.now = NOW.plus_ms(100_000);
    // The first octet of a frame that never comes.
    client.send(&[1]);
    client.timeout_at(NOW.plus_ms(219_999));
    assert!(!client.connection.is_closing());
    client.timeout_at(NOW.plus_ms(220_000));
    assert!(client.connection.is_closing());
}

#[test]
fn a_mechanism_that_was_not_offered_closes_without_a_word() {
    let mut client = Client::unconnected(&broker(), Settings::default());
    client.send(b"AMQP\x00\x00\x09\x01");
    let args = Args::default()
        .long([])
        .short("CRAM-MD5")
        .long([])
        .short("en_US");
    let answer = client.send(&method_on(0, MethodId::CONNECTION_START_OK, args));
    assert_eq!(answer, b"");
    assert!(client.connection.is_closing());
    assert!(client.connection.poll_request().is_none());
}

#[test]
fn after_a_hard_error_nothing_but_close_ok_is_looked_at() {
    let mut client = Client::with_queue(&broker());
    let text = "COMMAND_INVALID - unimplemented method";
    let unknown = MethodId {
        class: 60,
        method: 99,
    };
    let closed = connection_closed(503, text, unknown);
    assert_eq!(client.send(&method(unknown, Args::default())), closed);
    let ignored = [publish(b"1"), declare("r", 0, &TableBuf::new())].concat();
    assert_eq!(client.send(&ignored), b"");
    assert!(!client.connection.is_closing());
    let queue = client.connection.broker.vhost("/").unwrap().queue("q");
    assert_eq!(queue.unwrap().status().messages, 0);
    client.send(&method_on(
        0,
        MethodId::CONNECTION_CLOSE_OK,
        Args::default(),
    ));
    assert!(client.connection.is_closing());
}

#[test]
fn a_durable_queue_may_be_bound_to_a_transient_exchange() {
    let mut client = Client::open(&broker());
    client.send(&declare("d", 2, &TableBuf::new()));
    let args = Args::default().u16(0).short("transient").short("direct");
    let declared = client.send(&method(MethodId::EXCHANGE_DECLARE, args.u8(0).long([])));
    assert_eq!(declared, reply(Reply::Exchange(ExchangeReply::DeclareOk)));
    let bound = client.send(&bind("d", "transient", "k"));
    assert_eq!(bound, reply(Reply::Queue(QueueReply::BindOk)));
    client.send(&publish_to(("transient", "k"), 0, PLAIN, b"x"));
    assert_eq!(
        client.send(&declare("d", 2, &TableBuf::new())),
        queue_reply("d", 1)
    );
}

#[test]
fn there_can_be_16_exchanges_256_queues_and_16_consumers_of_one() {
    let mut client = Client::with_queue(&broker());
    for number in 0..16 {
        let args = Args::default()
            .u16(0)
            .short(format!("x{number}"))
            .short("direct");
        let answer = client.send(&method(MethodId::EXCHANGE_DECLARE, args.u8(0).long([])));
        assert_eq!(answer, reply(Reply::Exchange(ExchangeReply::DeclareOk)));
    }
    for number in 0..256 {
        let name = format!("q{number}");
        let answer = client.send(&declare(&name, 0, &TableBuf::new()));
        assert_eq!(answer, queue_reply(&name, 0));
    }
    for number in 0..16 {
        let tag = format!("t{number}");
        let answer = client.send(&consume("q", &tag, 0));
        let consumes = BasicReply::ConsumeOk { consumer_tag: &tag };
        assert_eq!(answer, reply(Reply::Basic(consumes)));
    }
}

#[test]
fn messages_of_one_priority_keep_their_order_persistent_or_not() {
    let mut client = Client::open(&broker());
    let arguments = table(&[("x-max-priority", Value::I32(5))]);
    client.send(&declare("p", 2, &arguments));
    // Flags of delivery mode and priority.
    let sent: [(u8, u8, &[u8]); 5] = [
        (1, 1, b"a"),
        (2, 1, b"b"),
        (2, 4, b"first"),
        (1, 4, b"second"),
        (1, 1, b"c"),
    ];
    for (mode, priority, body) in sent {
        client.send(&publish_to(("", "p"), 0, &[0x18, 0, mode, priority], body));
    }
    let got = client.send(&consume("p", "t", 2));
    let places = [&b"first"[..], b"second", b"a", b"b", b"c"].map(|body| {
        let framed = frame(3, 1, body);
        let place = got.windows(framed.len()).position(|seen| seen == framed);
        place.unwrap()
    });
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_publish_does_the_same_in_one_piece_and_octet_by_octet() {
    let cc = table(&[("CC", Value::LongString(b"no array"))]);
    let mut wrong_cc = vec![0x20, 0];
    wrong_cc.extend(
        u32::try_from(cc.table().as_bytes().len())
            .unwrap()
            .to_be_bytes(),
    );
    wrong_cc.extend(cc.table().as_bytes());
    let too_large = vec![b'x'; 2_000];
    let publishes = [
        publish(b"x"),
        publish(b""),
        publish_to(("amq.direct", "nobody"), 1, PLAIN, b"back"),
        publish_to(("", "q"), 2, PLAIN, b"immediate"),
        publish_to(("nowhere", "q"), 0, PLAIN, b"x"),
        publish_to(("", "q"), 0, &wrong_cc, b"x"),
        publish_to(("", "q"), 0, &[0x80, 0, 9, b'x'], b"cut short"),
        publish_to(("", "q"), 0, &[0, 1, 0, 0], b"continued"),
        publish_to(("", "q"), 0, PLAIN, &too_large),
    ];
    for bytes in publishes {
        let settings = || Settings {
            message_bytes_max: 1_000,
            ..Settings::default()
        };
        let mut at_once = Client::open_as(&broker(), settings(), identity(".*", ".*"));
        let mut in_octets = Client::open_as(&broker(), settings(), identity(".*", ".*"));
        let select = method(MethodId::CONFIRM_SELECT, Args::default().u8(0));
        for client in [&mut at_once, &mut in_octets] {
            client.send(&declare("q", 0, &TableBuf::new()));
            client.send(&select);
        }
        let one = at_once.send(&bytes);
        let other = bytes.iter().map(|octet| in_octets.send(&[*octet]));
        assert_eq!(one, other.collect::<Vec<_>>().concat());
        let left = [at_once, in_octets].map(|client| {
            let queue = client.connection.broker.vhost("/").unwrap().queue("q");
            queue.unwrap().status().messages
        });
        assert_eq!(left[0], left[1]);
    }
}
