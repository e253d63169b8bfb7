//! What queues' arguments do apart from dead letters, and which there cannot be.

use super::*;
use crate::queue::{Consumer, Credit};

fn options(arguments: &[(&'static str, Value)]) -> QueueOptions {
    let mut table = Table::default();
    for (name, value) in arguments {
        table.push(*name, value.clone());
    }
    QueueOptions {
        arguments: table,
        ..QueueOptions::default()
    }
}

fn declare_as(
    vhost: &VHost,
    now: Timestamp,
    options: QueueOptions,
) -> Result<(Arc<Queue>, Declare), Error> {
    vhost.declare_queue(now, ConnectionId(0), &"q".into(), options)
}

fn consumer(exclusive: bool) -> Consumer {
    let connection = ConnectionId::unique();
    Consumer {
        id: ConsumerId::unique(),
        outbox: Outbox::attached(connection, OutboxLimits::default()),
        token: 0,
        acknowledges: true,
        exclusive,
        priority: 0,
        credit: Credit::new(1),
        shared_credit: None,
    }
}

#[test]
fn an_unused_queue_is_deleted_and_every_use_gives_it_more_time() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let expires = options(&[("x-expires", Value::I32(200))]);
    let at = |ms| NOW.plus_ms(ms);
    let (queue, _) = declare_as(&vhost, NOW, expires.clone()).unwrap();
    assert_eq!(broker.poll_timeout(), Some(at(200)));
    declare_as(&vhost, at(100), expires).unwrap();
    broker.handle_timeout(at(200));
    assert_eq!(broker.poll_timeout(), Some(at(300)));
    assert!(queue.get(at(250), ConsumerId(0), false).is_none());
    let consumer = consumer(false);
    let mut wakes = Wakes::default();
    queue
        .consume(at(260), consumer.clone(), &mut wakes)
        .unwrap();
    broker.handle_timeout(at(1_000));
    assert_eq!(broker.poll_timeout(), None);
    vhost.cancel_consumer(at(1_000), &queue, consumer.id, &mut wakes);
    broker.handle_timeout(at(1_199));
    assert!(vhost.queue("q").is_ok());
    broker.handle_timeout(at(1_200));
    assert!(vhost.queue("q").is_err());
    assert_eq!(broker.poll_timeout(), None);
}

#[test]
fn a_deleted_queue_leaves_no_timer() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare_as(&vhost, NOW, options(&[("x-expires", Value::I32(200))])).unwrap();
    let mut wakes = Wakes::default();
    let deleted = vhost.delete_queue(ConnectionId(0), &"q".into(), false, false, &mut wakes);
    assert!(deleted.is_ok());
    assert_eq!(broker.poll_timeout(), None);
}

#[test]
fn a_single_active_consumer_gets_everything_until_it_goes() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let single = options(&[("x-single-active-consumer", Value::Bool(true))]);
    let (queue, _) = declare_as(&vhost, NOW, single).unwrap();
    let mut wakes = Wakes::default();
    assert!(queue.consume(NOW, consumer(true), &mut wakes).is_err());
    let (first, second) = (consumer(false), consumer(false));
    for consumer in [&first, &second] {
        queue.consume(NOW, consumer.clone(), &mut wakes).unwrap();
    }
    for _ in 0..2 {
        publish(&vhost, "", "q", KeyForm::RoutingKey);
    }
    assert_eq!((first.outbox.len(), second.outbox.len()), (1, 0));
    vhost.cancel_consumer(NOW, &queue, first.id, &mut wakes);
    assert_eq!((first.outbox.len(), second.outbox.len()), (1, 1));
}

#[test]
fn values_that_cannot_be_are_refused_in_rabbitmqs_words() {
    let text = |text: &'static str| Value::Text(text.into());
    let cases = [
        ("x-message-ttl", Value::I32(-1), "{value_negative,-1}"),
        (
            "x-message-ttl",
            Value::I64(315_360_000_001),
            "{value_too_large,315360000001}",
        ),
        (
            "x-message-ttl",
            text("1"),
            "\"expected integer, got longstr\"",
        ),
        (
            "x-queue-version",
            Value::I32(3),
            "\"unsupported queue version '3'\"",
        ),
        ("x-expires", Value::I32(0), "{value_zero,0}"),
        ("x-max-length", Value::I32(-2), "{value_negative,-2}"),
        (
            "x-max-priority",
            Value::I32(300),
            "{max_value_exceeded,300}",
        ),
        ("x-overflow", text("drop-tail"), "invalid_overflow"),
        (
            "x-dead-letter-routing-key",
            text("k"),
            "routing_key_but_no_dlx_defined",
        ),
        (
            "x-single-active-consumer",
            Value::I32(1),
            "{unacceptable_type,signedint}",
        ),
        (
            "x-queue-type",
            text("odd"),
            "\"unsupported queue type 'odd'\"",
        ),
    ];
    let broker = broker(&RecordingJournal::new());
    for (argument, value, expected) in cases {
        let refused = declare_as(&vhost(&broker), NOW, options(&[(argument, value)]));
        let Err(Error::InvalidArgument { reason, .. }) = refused else {
            panic!("{argument} is refused")
        };
        assert_eq!(reason, expected, "{argument}");
    }
}

#[test]
fn a_type_has_only_its_own_arguments() {
    let text = |text: &'static str| Value::Text(text.into());
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let refusal = |durable, arguments: &[(&'static str, Value)]| {
        let options = QueueOptions {
            durable,
            ..options(arguments)
        };
        declare_as(&vhost, NOW, options).unwrap_err().to_string()
    };
    let quorum = || ("x-queue-type", text("quorum"));
    assert_eq!(
        refusal(true, &[quorum(), ("x-max-priority", Value::I32(5))]),
        "invalid arg 'x-max-priority' for queue 'q' of queue type rabbit_quorum_queue"
    );
    assert_eq!(
        refusal(false, &[quorum()]),
        "invalid property 'non-durable' for queue 'q'"
    );
    assert_eq!(
        refusal(true, &[("x-delivery-limit", Value::I32(5))]),
        "invalid arg 'x-delivery-limit' for queue 'q' of queue type rabbit_classic_queue"
    );
    assert_eq!(
        refusal(true, &[("x-queue-type", text("stream"))]),
        "queue type stream not implemented"
    );
}

#[test]
fn a_quorum_queue_has_a_delivery_limit_unless_it_says_otherwise() {
    let limit = |arguments: &[(&'static str, Value)]| {
        let broker = broker(&RecordingJournal::new());
        let mut all = vec![("x-queue-type", Value::Text("quorum".into()))];
        all.extend_from_slice(arguments);
        let options = QueueOptions {
            durable: true,
            ..options(&all)
        };
        let (queue, _) = declare_as(&vhost(&broker), NOW, options).unwrap();
        assert!(queue.policy().counts_deliveries);
        queue.policy().delivery_limit
    };
    assert_eq!(limit(&[]), Some(20));
    assert_eq!(limit(&[("x-delivery-limit", Value::I32(3))]), Some(3));
    assert_eq!(limit(&[("x-delivery-limit", Value::I32(-1))]), None);
}

/// A journal that takes nothing.
#[derive(Debug)]
struct FullJournal;

impl crate::Journal for FullJournal {
    fn append(&self, _: &[&[u8]], _: Urgency) -> Appended {
        Appended::REFUSED
    }

    fn durable(&self) -> Lsn {
        Lsn(0)
    }

    fn has_room(&self) -> bool {
        false
    }

    fn takes_records(&self) -> bool {
        false
    }

    fn read(&self, _: Lsn) -> Option<Bytes> {
        None
    }
}

#[test]
fn what_cannot_be_journalled_is_refused_instead_of_waiting_for_ever() {
    let settings = Settings::default();
    let full = Broker::new(settings, Arc::new(FullJournal), vec![], Box::new(|| {}));
    let vhost = full.vhost("/").unwrap();
    let durable = QueueOptions {
        durable: true,
        ..QueueOptions::default()
    };
    let declare = |options| vhost.declare_queue(NOW, ConnectionId(1), &"q".into(), options);
    assert!(matches!(declare(durable), Err(Error::Invalid { .. })));
    assert!(vhost.queue("q").is_err());
    assert!(declare(QueueOptions::default()).is_ok(), "transient");
    let retain = |qos| {
        let change = |builder: &mut MessageBuilder| {
            (builder.retain, builder.qos) = (true, qos);
        };
        let topic = Address::new(Bytes::from_static(b"plant/line"));
        let mut builder = MessageBuilder::new(topic, "amq.topic".into(), "1".into(), &ORIGIN);
        change(&mut builder);
        vhost.publish(NOW, &builder.build(), &mut Wakes::default())
    };
    let kept = retain(QoS::AtLeastOnce);
    assert!(kept.rejected && kept.lsn.is_none());
    assert!(!retain(QoS::AtMostOnce).rejected, "nobody waits for it");
}
