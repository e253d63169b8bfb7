//! Methods as amq-protocol's clients send them.

use amq_protocol::{
    frame::WriteContext,
    protocol::gen_class,
    types::{AMQPValue, FieldTable as OracleTable},
};

use super::*;
use crate::wire::table::Value;

/// What a client of amq-protocol sends, read by us.
fn parsed(class: &AMQPClass) -> Method {
    let payload = gen_class(class)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner()
        .0;
    let (id, _) = MethodId::split(&payload).unwrap();
    Method::parse(id, &payload).unwrap()
}

fn parse(payload: &[u8]) -> Result<Method, Malformed> {
    let (id, _) = MethodId::split(payload).unwrap();
    Method::parse(id, payload)
}

fn oracle_arguments() -> OracleTable {
    let mut table = OracleTable::default();
    table.insert("x".into(), AMQPValue::LongInt(5));
    table
}

fn arguments() -> TableBuf {
    let mut table = TableBuf::new();
    table.push(b"x", Value::I32(5)).unwrap();
    table
}

#[test]
fn queue_declare_has_its_bits_in_order() {
    let bits = [
        (1, [true, false, false, false, false]),
        (2, [false, true, false, false, false]),
        (4, [false, false, true, false, false]),
        (8, [false, false, false, true, false]),
        (16, [false, false, false, false, true]),
    ];
    for (octet, [passive, durable, exclusive, auto_delete, nowait]) in bits {
        let payload = [&b"\0\x32\0\x0a\0\0\x01q"[..], &[octet], b"\0\0\0\0"].concat();
        let expected = QueueDeclare {
            queue: "q".into(),
            passive,
            durable,
            exclusive,
            auto_delete,
            nowait,
            arguments: TableBuf::new(),
        };
        assert_eq!(
            parse(&payload),
            Ok(Method::Queue(QueueMethod::Declare(expected)))
        );
    }
}

#[test]
fn arguments_keep_order_duplicates_and_types() {
    let table = b"\x01zL\0\0\0\0\0\0\0\x01\x01at\x01\x01zV";
    let payload = [
        &b"\0\x32\0\x0a\0\0\x01q\0"[..],
        &[0, 0, 0, u8::try_from(table.len()).unwrap()],
        table,
    ]
    .concat();
    let Ok(Method::Queue(QueueMethod::Declare(declare))) = parse(&payload) else {
        panic!("not a queue.declare");
    };
    assert_eq!(declare.arguments.table().as_bytes(), table);
}

#[test]
fn qos_keeps_the_prefetch_size_that_amq_protocol_skips() {
    let payload = b"\0\x3c\0\x0a\0\0\x01\0\0\x07\x01";
    let expected = BasicMethod::Qos {
        prefetch_size: 256,
        prefetch_count: 7,
        global: true,
    };
    assert_eq!(parse(payload), Ok(Method::Basic(expected)));
}

#[test]
fn recover_and_recover_async_differ_in_the_answer() {
    let recover = |nowait| {
        Method::Basic(BasicMethod::Recover {
            requeue: true,
            nowait,
        })
    };
    assert_eq!(parse(b"\0\x3c\0\x6e\x01"), Ok(recover(false)));
    assert_eq!(parse(b"\0\x3c\0\x64\x01"), Ok(recover(true)));
}

#[test]
fn methods_without_arguments() {
    let cases: [(&[u8], Method); 5] = [
        (b"\0\x5a\0\x0a", Method::Tx(TxMethod::Select)),
        (b"\0\x5a\0\x14", Method::Tx(TxMethod::Commit)),
        (b"\0\x5a\0\x1e", Method::Tx(TxMethod::Rollback)),
        (b"\0\x14\0\x29", Method::Channel(ChannelMethod::CloseOk)),
        (
            b"\0\x0a\0\x33",
            Method::Connection(ConnectionMethod::CloseOk),
        ),
    ];
    for (payload, method) in cases {
        assert_eq!(parse(payload), Ok(method));
        assert_eq!(parse(&[payload, b"\0"].concat()), Err(Malformed::Fields));
    }
}

#[test]
fn methods_a_server_sends_are_unknown_to_it() {
    let unknown = Malformed::UnknownMethod {
        class: 50,
        method: 11,
    };
    assert_eq!(parse(b"\0\x32\0\x0b\x01q\0\0\0\0\0\0\0\0"), Err(unknown));
    assert_eq!(
        parse(b"\x27\x0f\0\x01"),
        Err(Malformed::UnknownMethod {
            class: 9999,
            method: 1
        })
    );
}

#[test]
fn the_debug_text_of_start_ok_holds_no_password() {
    let method = parsed(&AMQPClass::Connection(connection::AMQPMethod::StartOk(
        connection::StartOk {
            client_properties: oracle_arguments(),
            mechanism: "PLAIN".into(),
            response: "\0user\0secret".into(),
            locale: "en_US".into(),
        },
    )));
    assert_eq!(format!("{method:?}"), "Connection(StartOk)");
    let expected = ConnectionMethod::StartOk {
        client_properties: arguments(),
        mechanism: "PLAIN".into(),
        response: b"\0user\0secret".to_vec(),
    };
    assert_eq!(method, Method::Connection(expected));
}

#[test]
fn connection_methods_of_amq_protocol() {
    let cases = [
        (
            connection::AMQPMethod::TuneOk(connection::TuneOk {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat: 60,
            }),
            ConnectionMethod::TuneOk(Tune {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat_secs: 60,
            }),
        ),
        (
            connection::AMQPMethod::Open(connection::Open {
                virtual_host: "/v".into(),
            }),
            ConnectionMethod::Open { vhost: "/v".into() },
        ),
        (
            connection::AMQPMethod::SecureOk(connection::SecureOk {
                response: "r".into(),
            }),
            ConnectionMethod::SecureOk {
                response: b"r".to_vec(),
            },
        ),
        (
            connection::AMQPMethod::UpdateSecret(connection::UpdateSecret {
                new_secret: "s".into(),
                reason: "why".into(),
            }),
            ConnectionMethod::UpdateSecret {
                new_secret: b"s".to_vec(),
            },
        ),
        (
            connection::AMQPMethod::Close(connection::Close {
                reply_code: 200,
                reply_text: "Goodbye".into(),
                class_id: 0,
                method_id: 0,
            }),
            ConnectionMethod::Close(CloseReason {
                code: 200,
                text: "Goodbye".into(),
                method: MethodId::NONE,
            }),
        ),
    ];
    for (oracle, expected) in cases {
        assert!(parsed(&AMQPClass::Connection(oracle)) == Method::Connection(expected));
    }
}

#[test]
fn channel_methods_of_amq_protocol() {
    let close = channel::Close {
        reply_code: 404,
        reply_text: "NOT_FOUND".into(),
        class_id: 60,
        method_id: 70,
    };
    let reason = CloseReason {
        code: 404,
        text: "NOT_FOUND".into(),
        method: MethodId::BASIC_GET,
    };
    let cases = [
        (
            channel::AMQPMethod::Open(channel::Open {}),
            ChannelMethod::Open,
        ),
        (
            channel::AMQPMethod::Flow(channel::Flow { active: true }),
            ChannelMethod::Flow { active: true },
        ),
        (
            channel::AMQPMethod::FlowOk(channel::FlowOk { active: false }),
            ChannelMethod::FlowOk,
        ),
        (
            channel::AMQPMethod::Close(close),
            ChannelMethod::Close(reason),
        ),
    ];
    for (oracle, expected) in cases {
        assert_eq!(
            parsed(&AMQPClass::Channel(oracle)),
            Method::Channel(expected)
        );
    }
}

fn binding(nowait: bool) -> Binding {
    Binding {
        destination: "d".into(),
        source: "s".into(),
        routing_key: "k".into(),
        nowait,
        arguments: arguments(),
    }
}

#[test]
fn exchange_methods_of_amq_protocol() {
    let bind = exchange::Bind {
        destination: "d".into(),
        source: "s".into(),
        routing_key: "k".into(),
        nowait: true,
        arguments: oracle_arguments(),
    };
    let unbind = exchange::Unbind {
        destination: "d".into(),
        source: "s".into(),
        routing_key: "k".into(),
        nowait: false,
        arguments: oracle_arguments(),
    };
    let declare = exchange::Declare {
        exchange: "e".into(),
        kind: "topic".into(),
        passive: false,
        durable: true,
        auto_delete: false,
        internal: true,
        nowait: false,
        arguments: oracle_arguments(),
    };
    let declared = ExchangeDeclare {
        exchange: "e".into(),
        kind: "topic".into(),
        passive: false,
        durable: true,
        auto_delete: false,
        internal: true,
        nowait: false,
        arguments: arguments(),
    };
    let delete = exchange::Delete {
        exchange: "e".into(),
        if_unused: true,
        nowait: false,
    };
    let deleted = ExchangeMethod::Delete {
        exchange: "e".into(),
        if_unused: true,
        nowait: false,
    };
    let cases = [
        (
            exchange::AMQPMethod::Bind(bind),
            ExchangeMethod::Bind(binding(true)),
        ),
        (
            exchange::AMQPMethod::Unbind(unbind),
            ExchangeMethod::Unbind(binding(false)),
        ),
        (
            exchange::AMQPMethod::Declare(declare),
            ExchangeMethod::Declare(declared),
        ),
        (exchange::AMQPMethod::Delete(delete), deleted),
    ];
    for (oracle, expected) in cases {
        assert_eq!(
            parsed(&AMQPClass::Exchange(oracle)),
            Method::Exchange(expected)
        );
    }
}

#[test]
fn queue_methods_of_amq_protocol() {
    let bind = queue::Bind {
        queue: "d".into(),
        exchange: "s".into(),
        routing_key: "k".into(),
        nowait: true,
        arguments: oracle_arguments(),
    };
    let unbind = queue::Unbind {
        queue: "d".into(),
        exchange: "s".into(),
        routing_key: "k".into(),
        arguments: oracle_arguments(),
    };
    let delete = queue::Delete {
        queue: "q".into(),
        if_unused: false,
        if_empty: true,
        nowait: false,
    };
    let deleted = QueueMethod::Delete {
        queue: "q".into(),
        if_unused: false,
        if_empty: true,
        nowait: false,
    };
    let cases = [
        (
            queue::AMQPMethod::Bind(bind),
            QueueMethod::Bind(binding(true)),
        ),
        (
            queue::AMQPMethod::Unbind(unbind),
            QueueMethod::Unbind(binding(false)),
        ),
        (queue::AMQPMethod::Delete(delete), deleted),
        (
            queue::AMQPMethod::Purge(queue::Purge {
                queue: "q".into(),
                nowait: true,
            }),
            QueueMethod::Purge {
                queue: "q".into(),
                nowait: true,
            },
        ),
    ];
    for (oracle, expected) in cases {
        assert_eq!(parsed(&AMQPClass::Queue(oracle)), Method::Queue(expected));
    }
}

#[test]
fn basic_methods_of_amq_protocol() {
    let consume = basic::Consume {
        queue: "q".into(),
        consumer_tag: "t".into(),
        no_local: true,
        no_ack: true,
        exclusive: false,
        nowait: true,
        arguments: oracle_arguments(),
    };
    let consumed = Consume {
        queue: "q".into(),
        consumer_tag: "t".into(),
        no_ack: true,
        exclusive: false,
        nowait: true,
        arguments: arguments(),
    };
    let cases = [
        (
            basic::AMQPMethod::Consume(consume),
            BasicMethod::Consume(consumed),
        ),
        (
            basic::AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: "t".into(),
                nowait: false,
            }),
            BasicMethod::Cancel {
                consumer_tag: "t".into(),
                nowait: false,
            },
        ),
        (
            basic::AMQPMethod::Get(basic::Get {
                queue: "q".into(),
                no_ack: true,
            }),
            BasicMethod::Get {
                queue: "q".into(),
                no_ack: true,
            },
        ),
    ];
    for (oracle, expected) in cases {
        assert_eq!(parsed(&AMQPClass::Basic(oracle)), Method::Basic(expected));
    }
}

#[test]
fn relics_of_amq_protocol() {
    let request = access::Request {
        realm: "/data".into(),
        ..access::Request::default()
    };
    assert_eq!(
        parsed(&AMQPClass::Access(access::AMQPMethod::Request(request))),
        Method::AccessRequest
    );
    let select = confirm::Select { nowait: true };
    assert_eq!(
        parsed(&AMQPClass::Confirm(confirm::AMQPMethod::Select(select))),
        Method::ConfirmSelect { nowait: true }
    );
}

proptest::proptest! {
    #[test]
    fn any_arguments_of_any_method_are_read_without_a_panic(
        class in 0_u16..100,
        method in 0_u16..130,
        arguments: Vec<u8>,
    ) {
        let mut payload = class.to_be_bytes().to_vec();
        payload.extend(method.to_be_bytes());
        payload.extend(arguments);
        let _parsed = parse(&payload);
    }
}
