//! Queues, exchanges, bindings, permissions, and how each is refused.

use super::*;
use crate::wire::replies::{ExchangeReply, QueueReply};

fn declared(queue: &str, message_count: u32, consumer_count: u32) -> Vec<u8> {
    reply(Reply::Queue(QueueReply::DeclareOk {
        queue,
        message_count,
        consumer_count,
    }))
}

const PASSIVE: u8 = 1;
const DURABLE: u8 = 2;
const EXCLUSIVE: u8 = 4;
const AUTO_DELETE: u8 = 8;
const NOWAIT: u8 = 16;
const QUORUM: [(&str, Value<'_>); 1] = [("x-queue-type", Value::LongString(b"quorum"))];
const PLACED: [(&str, Value<'_>); 1] = [("x-queue-leader-locator", Value::LongString(b"here"))];

fn exchange(name: &str, kind: &str, bits: u8) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short(name)
        .short(kind)
        .u8(bits)
        .long([]);
    method(MethodId::EXCHANGE_DECLARE, args)
}

fn bind(id: MethodId, destination: &str, source: &str, key: &str) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short(destination)
        .short(source)
        .short(key);
    let args = if id == MethodId::QUEUE_UNBIND {
        args
    } else {
        args.u8(0)
    };
    method(id, args.long([]))
}

/// What the first of a fresh connection's requests is refused with.
fn refusal(request: &[u8]) -> Vec<u8> {
    Client::with_queue(&broker()).send(request)
}

#[test]
fn a_queue_is_declared_and_found() {
    let mut client = Client::open(&broker());
    let none = TableBuf::new();
    assert_eq!(
        client.send(&declare("q", 0, &none)),
        b"\x01\0\x01\0\0\0\x0e\0\x32\0\x0b\x01q\0\0\0\0\0\0\0\0\xce"
    );
    client.send(&publish(b"1"));
    client.send(&consume("q", "t", 0));
    assert_eq!(
        client.send(&declare("q", PASSIVE, &none)),
        declared("q", 0, 1)
    );
    assert_eq!(client.send(&declare("q2", NOWAIT, &none)), b"");
    assert_eq!(
        client.send(&declare("q2", PASSIVE, &none)),
        declared("q2", 0, 0)
    );
    assert_eq!(
        client.send(&declare("line\r\nend", 0, &none)),
        declared("lineend", 0, 0)
    );
}

#[test]
fn a_server_named_queue_stands_for_an_empty_name() {
    let mut client = Client::open(&broker());
    let said = client.send(&declare("", 0, &TableBuf::new()));
    let name = String::from_utf8_lossy(&said[12..12 + usize::from(said[11])]).into_owned();
    assert!(name.starts_with("amq.gen-") && name.len() == 30, "{name}");
    client.send(&bind(MethodId::QUEUE_BIND, "", "amq.direct", ""));
    client.send(&publish_to(("amq.direct", &name), 0, PLAIN, b"x"));
    assert_eq!(
        client.send(&declare(&name, PASSIVE, &TableBuf::new())),
        declared(&name, 1, 0)
    );
}

#[test]
fn without_a_queue_declared_an_empty_name_is_not_found() {
    let mut client = Client::open(&broker());
    let purge = method(
        MethodId::QUEUE_PURGE,
        Args::default().u16(0).short("").u8(0),
    );
    let text = "NOT_FOUND - no previously declared queue";
    assert_eq!(
        client.send(&purge),
        channel_closed(404, text, MethodId::QUEUE_PURGE)
    );
}

#[test]
fn refusals_of_declare_are_rabbitmqs() {
    let none = TableBuf::new();
    let ttl = |ms| table(&[("x-message-ttl", Value::I32(ms))]);
    let cases = [
        (
            declare("x", PASSIVE, &none),
            404,
            "NOT_FOUND - no queue 'x' in vhost '/'",
        ),
        (
            declare("q", DURABLE, &none),
            406,
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received \
             'true' but current is 'false'",
        ),
        (
            declare("q", 0, &ttl(2000)),
            406,
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': \
             received the value '2000' of type 'signedint' but current is none",
        ),
        (
            declare("", DURABLE, &table(&QUORUM)),
            406,
            "PRECONDITION_FAILED - Cannot declare a server-named queue for type \
             rabbit_quorum_queue",
        ),
        (
            declare("x", DURABLE | AUTO_DELETE, &table(&QUORUM)),
            406,
            "PRECONDITION_FAILED - invalid property 'auto-delete' for queue 'x' in vhost '/'",
        ),
        (
            declare("x", DURABLE, &table(&PLACED)),
            406,
            "PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue 'x' in vhost \
             '/': invalid_queue_locator_arg",
        ),
        (
            declare("amq.foo", 0, &none),
            403,
            "ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'",
        ),
    ];
    for (request, code, text) in cases {
        let expected = channel_closed(code, text, MethodId::QUEUE_DECLARE);
        assert_eq!(refusal(&request), expected, "{text}");
    }
}

#[test]
fn an_exclusive_queue_is_locked_and_ends_with_its_connection() {
    let broker = broker();
    let mut owner = Client::open(&broker);
    owner.send(&declare("xq", EXCLUSIVE | DURABLE, &TableBuf::new()));
    let text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'xq' in vhost \
                '/'. \
                It could be originally declared on another connection or the exclusive property \
                value does not match that of the original declaration.";
    let mut other = Client::open(&broker);
    assert_eq!(
        other.send(&declare("xq", PASSIVE, &TableBuf::new())),
        channel_closed(405, text, MethodId::QUEUE_DECLARE)
    );
    drop(owner);
    assert!(broker.vhost("/").unwrap().queue("xq").is_err());
}

#[test]
fn purge_and_delete_count_messages() {
    let mut client = Client::with_queue(&broker());
    client.send(&[publish(b"1"), publish(b"2")].concat());
    let purge = method(
        MethodId::QUEUE_PURGE,
        Args::default().u16(0).short("q").u8(0),
    );
    let purged = reply(Reply::Queue(QueueReply::PurgeOk { message_count: 2 }));
    assert_eq!(client.send(&purge), purged);
    client.send(&publish(b"3"));
    let delete = |bits| {
        method(
            MethodId::QUEUE_DELETE,
            Args::default().u16(0).short("q").u8(bits),
        )
    };
    let deleted = |message_count| reply(Reply::Queue(QueueReply::DeleteOk { message_count }));
    assert_eq!(client.send(&delete(0)), deleted(1));
    assert_eq!(client.send(&delete(0)), deleted(0));
}

#[test]
fn delete_if_empty_and_if_unused_are_kept() {
    let delete = |bits| {
        method(
            MethodId::QUEUE_DELETE,
            Args::default().u16(0).short("q").u8(bits),
        )
    };
    let mut client = Client::with_queue(&broker());
    client.send(&publish(b"1"));
    assert_eq!(
        client.send(&delete(2)),
        channel_closed(
            406,
            "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty",
            MethodId::QUEUE_DELETE
        )
    );
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    assert_eq!(
        client.send(&delete(1)),
        channel_closed(
            406,
            "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",
            MethodId::QUEUE_DELETE
        )
    );
}

#[test]
fn exchanges_are_declared_bound_and_deleted() {
    let mut client = Client::with_queue(&broker());
    let ok = |ok| reply(Reply::Exchange(ok));
    assert_eq!(
        client.send(&exchange("e", "topic", 0)),
        ok(ExchangeReply::DeclareOk)
    );
    assert_eq!(
        client.send(&exchange("e", "", PASSIVE)),
        ok(ExchangeReply::DeclareOk)
    );
    assert_eq!(
        client.send(&exchange("f", "fanout", 0)),
        ok(ExchangeReply::DeclareOk)
    );
    assert_eq!(
        client.send(&bind(MethodId::QUEUE_BIND, "q", "e", "a.#")),
        reply(Reply::Queue(QueueReply::BindOk))
    );
    assert_eq!(
        client.send(&bind(MethodId::EXCHANGE_BIND, "e", "f", "")),
        ok(ExchangeReply::BindOk)
    );
    client.send(&publish_to(("f", "a.b"), 0, PLAIN, b"x"));
    assert_eq!(
        client.send(&declare("q", PASSIVE, &TableBuf::new())),
        declared("q", 1, 0)
    );
    assert_eq!(
        client.send(&bind(MethodId::EXCHANGE_UNBIND, "e", "f", "")),
        ok(ExchangeReply::UnbindOk)
    );
    assert_eq!(
        client.send(&bind(MethodId::QUEUE_UNBIND, "q", "e", "a.#")),
        reply(Reply::Queue(QueueReply::UnbindOk))
    );
    let delete = method(
        MethodId::EXCHANGE_DELETE,
        Args::default().u16(0).short("e").u8(0),
    );
    assert_eq!(client.send(&delete), ok(ExchangeReply::DeleteOk));
    assert_eq!(client.send(&delete), ok(ExchangeReply::DeleteOk));
}

#[test]
fn refusals_of_the_class_exchange_are_rabbitmqs() {
    let delete = |name| {
        method(
            MethodId::EXCHANGE_DELETE,
            Args::default().u16(0).short(name).u8(0),
        )
    };
    let cases = [
        (
            exchange("e", "zzz", 0),
            406,
            "PRECONDITION_FAILED - unknown exchange type 'zzz'",
        ),
        (
            exchange("amq.direct", "topic", DURABLE),
            406,
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': \
             received 'topic' but current is 'direct'",
        ),
        (
            exchange("amq.x", "topic", 0),
            403,
            "ACCESS_REFUSED - exchange name 'amq.x' contains reserved prefix 'amq.*'",
        ),
        (
            exchange("x", "", PASSIVE),
            404,
            "NOT_FOUND - no exchange 'x' in vhost '/'",
        ),
        (
            exchange("", "direct", 0),
            403,
            "ACCESS_REFUSED - operation not permitted on the default exchange",
        ),
        (
            delete("amq.direct"),
            403,
            "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
        ),
    ];
    for (request, code, text) in cases {
        let id = MethodId::split(&request[7..]).unwrap().0;
        assert_eq!(refusal(&request), channel_closed(code, text, id), "{text}");
    }
}

#[test]
fn bindings_need_both_ends_and_not_the_default_exchange() {
    let cases = [
        ("q", "x", 404, "NOT_FOUND - no exchange 'x' in vhost '/'"),
        (
            "x",
            "amq.direct",
            404,
            "NOT_FOUND - no queue 'x' in vhost '/'",
        ),
        (
            "q",
            "",
            403,
            "ACCESS_REFUSED - operation not permitted on the default exchange",
        ),
    ];
    for (queue, source, code, text) in cases {
        let expected = channel_closed(code, text, MethodId::QUEUE_BIND);
        assert_eq!(
            refusal(&bind(MethodId::QUEUE_BIND, queue, source, "k")),
            expected
        );
    }
}

#[test]
fn permissions_are_asked_for() {
    let broker = broker();
    let user = || identity("^(amq\\.default|q)$", "^q$");
    let open = || Client::open_as(&broker, Settings::default(), user());
    open().send(&declare("q", 0, &TableBuf::new()));
    let cases = [
        (
            publish_to(("amq.topic", "k"), 0, PLAIN, b""),
            "write access to exchange 'amq.topic'",
        ),
        (
            publish_to(("nosuch", "k"), 0, PLAIN, b""),
            "write access to exchange 'nosuch'",
        ),
        (consume("other", "t", 0), "read access to queue 'other'"),
        (
            bind(MethodId::QUEUE_BIND, "q", "amq.topic", "k"),
            "read access to exchange 'amq.topic'",
        ),
        (
            bind(MethodId::QUEUE_BIND, "other", "amq.topic", "k"),
            "write access to queue 'other'",
        ),
    ];
    for (request, what) in cases {
        let id = MethodId::split(&request[7..]).unwrap().0;
        let text = format!("ACCESS_REFUSED - {what} in vhost '/' refused for user 'guest'");
        assert_eq!(open().send(&request), channel_closed(403, &text, id));
    }
    assert_eq!(open().send(&publish(b"allowed")), b"");
}
