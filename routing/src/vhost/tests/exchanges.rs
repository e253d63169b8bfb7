//! Exchanges of the kinds that RabbitMQ has as plugins, and what ends with an exchange.

use super::*;
use crate::message::Origin;
use crate::properties::Properties;

/// A protocol whose messages all ask for a delay of 100 ms.
static LATE: Origin = Origin {
    tag: 8,
    name: "late",
    decode: |_| {
        let mut properties = Properties::default();
        properties.headers.push("x-delay", Value::I32(100));
        properties
    },
};

fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

fn exchange(
    vhost: &VHost,
    kind: ExchangeKind,
    arguments: &[(&'static str, Value)],
) -> Result<Declare, Error> {
    let mut options = ExchangeOptions {
        durable: true,
        ..ExchangeOptions::default()
    };
    for (name, value) in arguments {
        options.arguments.push(*name, value.clone());
    }
    vhost.declare_exchange(&"x".into(), kind, options)
}

fn try_bind(vhost: &VHost, key: &'static str) -> Result<Option<Lsn>, Error> {
    let binding = Binding {
        destination: Destination::Queue("q".into()),
        key: key.into(),
        arguments: Table::default(),
    };
    vhost.bind(&"x".into(), binding)
}

fn invalid(reason: &str) -> Error {
    Error::Invalid {
        reason: reason.into(),
    }
}

fn late_broker(journal: &Arc<RecordingJournal>) -> Broker {
    let origins = vec![&ORIGIN, &LATE];
    let journal = Arc::clone(journal) as _;
    Broker::new(Settings::default(), journal, origins, Box::new(|| {}))
}

/// A broker with a delayed direct exchange that leads to queue `q`.
fn delaying(journal: &Arc<RecordingJournal>) -> (Broker, Arc<Queue>) {
    let broker = late_broker(journal);
    let vhost = vhost(&broker);
    exchange(
        &vhost,
        ExchangeKind::Delayed,
        &[("x-delayed-type", text("direct"))],
    )
    .unwrap();
    let queue = declare(&vhost, "q");
    bind(&vhost, "x", "q", "k");
    (broker, queue)
}

fn late(builder: &mut MessageBuilder) {
    builder.origin = &LATE;
    builder.raw_properties = Bytes::from_static(b"late");
    builder.qos = QoS::AtLeastOnce;
}

#[test]
fn each_message_of_a_consistent_hash_exchange_goes_to_one_queue_by_its_key() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    exchange(&vhost, ExchangeKind::ConsistentHash, &[]).unwrap();
    let queues = ["q1", "q2"].map(|name| declare(&vhost, name));
    bind(&vhost, "x", "q1", "1");
    bind(&vhost, "x", "q2", "1");
    for key in 0..200 {
        let key = key.to_string();
        assert_eq!(publish(&vhost, "x", &key, KeyForm::RoutingKey), 1);
    }
    let counts = queues.map(|queue| queue.status().messages);
    assert_eq!(counts[0] + counts[1], 200);
    assert!(counts[0] > 60 && counts[1] > 60, "{counts:?}");
}

#[test]
fn a_random_exchange_gives_each_message_to_one_queue() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    exchange(&vhost, ExchangeKind::Random, &[]).unwrap();
    let queues = ["q1", "q2"].map(|name| declare(&vhost, name));
    bind(&vhost, "x", "q1", "");
    bind(&vhost, "x", "q2", "");
    for _ in 0..200 {
        assert_eq!(publish(&vhost, "x", "k", KeyForm::RoutingKey), 1);
    }
    let counts = queues.map(|queue| queue.status().messages);
    assert!(counts[0] > 40 && counts[1] > 40, "{counts:?}");
}

#[test]
fn what_a_plugin_exchange_cannot_be_is_refused_in_its_words() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    let delayed = |arguments: &[_]| exchange(&vhost, ExchangeKind::Delayed, arguments);
    let words = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    assert_eq!(delayed(&[]), Err(invalid(words)));
    let words = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'";
    let itself = [("x-delayed-type", text("x-delayed-message"))];
    assert_eq!(delayed(&itself), Err(invalid(words)));
    let unknown = [("x-delayed-type", text("zzz"))];
    assert_eq!(
        delayed(&unknown),
        Err(invalid("unknown exchange type 'zzz'"))
    );
    let both = [
        ("hash-header", text("h")),
        ("hash-property", text("message_id")),
    ];
    assert_eq!(
        exchange(&vhost, ExchangeKind::ConsistentHash, &both),
        Err(invalid(
            "hash-header and hash-property are mutually exclusive"
        ))
    );
    exchange(&vhost, ExchangeKind::ConsistentHash, &[]).unwrap();
    let words = "The binding key must be an integer: <<\"k\">>";
    assert_eq!(try_bind(&vhost, "k"), Err(invalid(words)));
}

#[test]
fn a_delayed_message_comes_when_its_time_has_come_and_is_not_delayed_again() {
    let (broker, queue) = delaying(&RecordingJournal::new());
    let vhost = vhost(&broker);
    assert_eq!(publish_with(&vhost, "x", "k", KeyForm::RoutingKey, late), 1);
    assert_eq!(publish(&vhost, "x", "k", KeyForm::RoutingKey), 1);
    assert_eq!(queue.status().messages, 1);
    assert_eq!(vhost.exchange("x").unwrap().delayed_messages(), 1);
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(100)));
    broker.handle_timeout(NOW.plus_ms(99));
    assert_eq!(queue.status().messages, 1);
    broker.handle_timeout(NOW.plus_ms(100));
    assert_eq!(queue.status().messages, 2);
    assert_eq!(vhost.exchange("x").unwrap().delayed_messages(), 0);
    assert_eq!(broker.poll_timeout(), None);
}

#[test]
fn delayed_messages_end_with_their_exchange() {
    let (broker, _) = delaying(&RecordingJournal::new());
    let vhost = vhost(&broker);
    publish_with(&vhost, "x", "k", KeyForm::RoutingKey, late);
    vhost.delete_exchange(&"x".into(), false).unwrap();
    assert_eq!(broker.poll_timeout(), None);
}

fn recovered(records: Vec<(Lsn, Bytes)>, into: &Arc<RecordingJournal>) -> Broker {
    let broker = late_broker(into);
    let mut recovery = Recovery::new(&broker);
    for (at, record) in records {
        recovery.apply(record, at).unwrap();
    }
    assert_eq!(recovery.finish(NOW), Ok(0));
    broker
}

#[test]
fn a_delayed_message_survives_a_restart_with_its_time() {
    let journal = RecordingJournal::new();
    let (broker, _) = delaying(&journal);
    let live = vhost(&broker);
    publish_with(&live, "x", "k", KeyForm::RoutingKey, late);
    // Once more, to be sent on before the end.
    publish_with(&live, "x", "k", KeyForm::RoutingKey, |builder| {
        late(builder);
        builder.payload = "second".into();
    });
    let again = recovered(journal.records(), &RecordingJournal::new());
    assert_eq!(again.poll_timeout(), Some(NOW.plus_ms(100)));
    let queue = vhost(&again).queue("q").unwrap();
    again.handle_timeout(NOW.plus_ms(100));
    assert_eq!(queue.status().messages, 2);
    // What was sent on is in its queue, and nowhere else.
    broker.handle_timeout(NOW.plus_ms(100));
    let after = recovered(journal.records(), &RecordingJournal::new());
    assert_eq!(after.poll_timeout(), None);
    assert_eq!(vhost(&after).queue("q").unwrap().status().messages, 2);
}

#[test]
fn a_checkpoint_holds_delayed_messages() {
    let journal = RecordingJournal::new();
    let (broker, _) = delaying(&journal);
    publish_with(&vhost(&broker), "x", "k", KeyForm::RoutingKey, late);
    let mut checkpoint = Vec::new();
    broker.checkpoint(&below(Lsn(u64::MAX)), &mut |record| {
        checkpoint.push((Lsn(0), Bytes::copy_from_slice(record)));
    });
    // The bodies are read from the old journal, into which they were copied anew.
    let into = RecordingJournal::new();
    into.put_all(journal.records());
    let after = recovered(checkpoint, &into);
    assert_eq!(after.poll_timeout(), Some(NOW.plus_ms(100)));
    assert_eq!(vhost(&after).exchange("x").unwrap().delayed_messages(), 1);
}

#[test]
fn a_long_chain_of_auto_delete_exchanges_ends_with_its_last_one() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let name = |number: u32| Name::from(format!("x{number}").as_str());
    let length = 5_000;
    let before = vhost.exchange_names().len();
    for number in 0..length {
        let options = ExchangeOptions {
            auto_delete: true,
            ..ExchangeOptions::default()
        };
        vhost
            .declare_exchange(&name(number), ExchangeKind::Fanout, options)
            .unwrap();
        if number > 0 {
            let binding = Binding {
                destination: Destination::Exchange(name(number)),
                key: "".into(),
                arguments: Table::default(),
            };
            vhost.bind(&name(number - 1), binding).unwrap();
        }
    }
    vhost.delete_exchange(&name(length - 1), false).unwrap();
    assert_eq!(vhost.exchange_names().len(), before);
}

#[test]
fn replaying_the_end_of_an_exchange_adds_nothing_to_the_journal() {
    let journal = RecordingJournal::new();
    let vhost = vhost(&broker(&journal));
    let options = || ExchangeOptions {
        durable: true,
        auto_delete: true,
        ..ExchangeOptions::default()
    };
    let declare_x = || vhost.declare_exchange(&"x".into(), ExchangeKind::Direct, options());
    declare_x().unwrap();
    declare(&vhost, "q");
    bind(&vhost, "x", "q", "k");
    let mut wakes = Wakes::default();
    vhost
        .delete_queue(ConnectionId(0), &"q".into(), false, false, &mut wakes)
        .unwrap();
    assert!(vhost.exchange("x").is_none());
    declare_x().unwrap();
    let into = RecordingJournal::new();
    let after = recovered(journal.records(), &into);
    let after = Arc::clone(after.vhost("/").unwrap());
    assert!(after.exchange("x").is_some_and(|x| x.is_unbound()));
    assert_eq!(into.kinds(), [""; 0]);
}
