//! Dead letters from queue to queue, through a whole virtual host.

use super::recovery::recovered;
use super::*;
use crate::death::{DeathReason, Deaths};
use crate::queue::Settlement;

fn text(text: &'static str) -> Value {
    Value::Text(Bytes::from_static(text.as_bytes()))
}

/// A durable queue with these arguments.
fn declare_with(vhost: &VHost, name: &str, arguments: &[(&'static str, Value)]) -> Arc<Queue> {
    let mut table = Table::default();
    for (name, value) in arguments {
        table.push(*name, value.clone());
    }
    let options = QueueOptions {
        durable: true,
        arguments: table,
        ..QueueOptions::default()
    };
    let declared = vhost.declare_queue(NOW, ConnectionId(0), &name.into(), options);
    declared.unwrap().0
}

fn dead_letters_to(queue: &'static str) -> [(&'static str, Value); 2] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue)),
    ]
}

fn put(vhost: &Arc<VHost>, queue: &str, change: impl FnOnce(&mut MessageBuilder)) -> u64 {
    publish_with(vhost, "", queue, KeyForm::RoutingKey, change)
}

fn get(queue: &Arc<Queue>) -> Option<Arc<Message>> {
    let (delivery, _) = queue.get(NOW, ConsumerId(0), false)?;
    Some(delivery.message)
}

fn get_and(queue: &Arc<Queue>, settlement: Settlement) {
    let (delivery, _) = queue.get(NOW, ConsumerId(0), true).unwrap();
    let Source::Queue(from) = delivery.source else {
        panic!("from the queue")
    };
    queue.settle(NOW, &[from.seq], settlement, &mut Wakes::default());
}

/// Queue, reason and count of each death, latest first.
fn seen(deaths: &Deaths) -> Vec<(&str, DeathReason, u64)> {
    let list = deaths.list.iter();
    list.map(|death| (death.queue.as_str(), death.reason, death.count))
        .collect()
}

#[test]
fn an_expired_message_is_dead_lettered_by_a_timer() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let dead = declare(&vhost, "dead");
    let [exchange, key] = dead_letters_to("dead");
    let ttl = ("x-message-ttl", Value::I32(100));
    declare_with(&vhost, "q", &[ttl, exchange, key]);
    assert_eq!(broker.poll_timeout(), None);
    put(&vhost, "q", |_| {});
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(100)));
    broker.handle_timeout(NOW.plus_ms(99));
    assert!(!dead.has_backlog());
    broker.handle_timeout(NOW.plus_ms(100));
    assert_eq!(broker.poll_timeout(), None);
    let message = get(&dead).unwrap();
    let deaths = message.deaths.as_ref().unwrap();
    assert_eq!(seen(deaths), [("q", DeathReason::Expired, 1)]);
    let death = &deaths.list[0];
    assert_eq!(death.first_at, NOW.plus_ms(100));
    assert_eq!(
        (death.exchange.as_str(), &death.routing_keys[0][..]),
        ("", &b"q"[..])
    );
    assert_eq!(message.address.as_bytes(), &"dead");
    assert!(deaths.is_readdressed);
}

#[test]
fn the_earlier_of_the_messages_and_the_queues_expiry_counts() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare_with(&vhost, "q", &[("x-message-ttl", Value::I32(100))]);
    put(&vhost, "q", |m| m.expires_at = Some(NOW.plus_ms(30)));
    put(&vhost, "q", |m| m.expires_at = Some(NOW.plus_ms(300)));
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(30)));
    broker.handle_timeout(NOW.plus_ms(30));
    assert_eq!(broker.poll_timeout(), Some(NOW.plus_ms(100)));
    broker.handle_timeout(NOW.plus_ms(100));
    assert!(!vhost.queue("q").unwrap().has_backlog());
    assert_eq!(broker.poll_timeout(), None);
}

#[test]
fn a_rejected_message_keeps_its_key_and_loses_its_expiry() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let dead = declare(&vhost, "dead");
    bind(&vhost, "amq.topic", "dead", "#");
    let exchange = ("x-dead-letter-exchange", text("amq.topic"));
    let queue = declare_with(&vhost, "a.b", &[exchange]);
    put(&vhost, "a.b", |m| m.expires_at = Some(NOW.plus_ms(9)));
    get_and(&queue, Settlement::Discard);
    let message = get(&dead).unwrap();
    assert_eq!(message.exchange.as_str(), "amq.topic");
    assert_eq!(message.address.as_bytes(), &"a/b");
    assert_eq!(message.expires_at, None);
    assert_eq!(
        seen(message.deaths.as_ref().unwrap()),
        [("a.b", DeathReason::Rejected, 1)]
    );
}

#[test]
fn a_full_queue_dead_letters_its_head() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let dead = declare(&vhost, "dead");
    let [exchange, key] = dead_letters_to("dead");
    let max = ("x-max-length", Value::I32(1));
    declare_with(&vhost, "q", &[max, exchange, key]);
    for number in 0..2 {
        put(&vhost, "q", |m| m.payload = number.to_string().into());
    }
    let message = get(&dead).unwrap();
    assert_eq!(message.payload, "0");
    assert_eq!(
        message.deaths.as_ref().unwrap().list[0].reason,
        DeathReason::MaxLength
    );
}

#[test]
fn the_length_in_bytes_counts_bodies_alone() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let queue = declare_with(&vhost, "q", &[("x-max-length-bytes", Value::I32(8))]);
    for _ in 0..3 {
        put(&vhost, "q", |m| m.payload = "body".into());
    }
    assert_eq!(queue.status().messages, 2);
}

#[test]
fn a_refused_message_can_be_dead_lettered_too() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let dead = declare(&vhost, "dead");
    for (name, overflow, letters) in [
        ("plain", "reject-publish", 0),
        ("dlx", "reject-publish-dlx", 1),
    ] {
        let [exchange, key] = dead_letters_to("dead");
        let max = ("x-max-length", Value::I32(1));
        declare_with(
            &vhost,
            name,
            &[max, ("x-overflow", text(overflow)), exchange, key],
        );
        assert_eq!(
            (put(&vhost, name, |_| {}), put(&vhost, name, |_| {})),
            (1, 0)
        );
        assert_eq!(dead.purge(), letters, "{overflow}");
    }
}

#[test]
fn a_message_that_comes_back_too_often_is_dead_lettered() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let dead = declare(&vhost, "dead");
    let [exchange, key] = dead_letters_to("dead");
    let limit = ("x-delivery-limit", Value::I32(2));
    let quorum = ("x-queue-type", text("quorum"));
    let queue = declare_with(&vhost, "q", &[quorum, limit, exchange, key]);
    put(&vhost, "q", |_| {});
    for _ in 0..2 {
        get_and(&queue, Settlement::Requeue);
        assert!(queue.has_backlog());
    }
    get_and(&queue, Settlement::Requeue);
    assert!(!queue.has_backlog());
    assert_eq!(
        get(&dead).unwrap().deaths.as_ref().unwrap().list[0].reason,
        DeathReason::DeliveryLimit
    );
}

#[test]
fn a_cycle_ends_unless_somebody_rejects() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let ttl = ("x-message-ttl", Value::I32(0));
    let [exchange, key] = dead_letters_to("b");
    declare_with(&vhost, "a", &[ttl.clone(), exchange, key]);
    let [exchange, key] = dead_letters_to("a");
    declare_with(&vhost, "b", &[ttl, exchange, key]);
    assert_eq!(put(&vhost, "a", |_| {}), 1);
    let is_empty = |name| !vhost.queue(name).unwrap().has_backlog();
    assert!(is_empty("a") && is_empty("b"));

    let [exchange, key] = dead_letters_to("again");
    let again = declare_with(&vhost, "again", &[exchange, key]);
    put(&vhost, "again", |_| {});
    for count in 1..4 {
        get_and(&again, Settlement::Discard);
        let (delivery, _) = again.get(NOW, ConsumerId(0), true).unwrap();
        let deaths = delivery.message.deaths.as_ref().unwrap();
        assert_eq!(seen(deaths), [("again", DeathReason::Rejected, count)]);
        let Source::Queue(from) = delivery.source else {
            panic!("from the queue")
        };
        again.untake(NOW, &[from.seq], &mut Wakes::default());
    }
}

#[test]
fn a_long_chain_of_full_queues_needs_no_deep_stack() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    for number in 0..2_000_u32 {
        let next = Value::Text((number + 1).to_string().into());
        let arguments = [
            ("x-max-length", Value::I32(0)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", next),
        ];
        declare_with(&vhost, &number.to_string(), &arguments);
    }
    assert_eq!(put(&vhost, "0", |_| {}), 1);
    assert!(vhost.queues().iter().all(|queue| !queue.has_backlog()));
}

#[test]
fn without_an_exchange_or_a_route_the_message_is_gone() {
    let journal = RecordingJournal::new();
    let broker = broker(&journal);
    let vhost = vhost(&broker);
    for (name, exchange) in [("q1", "none"), ("q2", "")] {
        let key = ("x-dead-letter-routing-key", text("nowhere"));
        let queue = declare_with(
            &vhost,
            name,
            &[("x-dead-letter-exchange", text(exchange)), key],
        );
        put(&vhost, name, |m| m.qos = QoS::AtLeastOnce);
        get_and(&queue, Settlement::Discard);
        assert_eq!(journal.kinds().last().unwrap(), "Settled");
    }
}

#[test]
fn a_durable_dead_letter_is_journalled_before_it_is_given_up_and_comes_back() {
    let journal = RecordingJournal::new();
    let broker = broker(&journal);
    let vhost = vhost(&broker);
    declare(&vhost, "dead");
    let [exchange, key] = dead_letters_to("dead");
    let queue = declare_with(&vhost, "q", &[exchange, key]);
    put(&vhost, "q", |m| m.qos = QoS::AtLeastOnce);
    get_and(&queue, Settlement::Discard);
    let kinds = journal.kinds();
    assert_eq!(kinds[2..], ["Publish", "Publish", "Settled"]);

    let again = recovered(journal.records(), &RecordingJournal::new());
    let vhost = super::vhost(&again);
    assert!(!vhost.queue("q").unwrap().has_backlog());
    let message = get(&vhost.queue("dead").unwrap()).unwrap();
    let deaths = message.deaths.as_ref().unwrap();
    assert_eq!(seen(deaths), [("q", DeathReason::Rejected, 1)]);
    assert!(deaths.is_readdressed);
    assert_eq!(deaths.list[0].routing_keys, ["q"]);
}

#[test]
fn a_restart_does_not_prolong_a_messages_life() {
    let journal = RecordingJournal::new();
    let broker = broker(&journal);
    declare_with(&vhost(&broker), "q", &[("x-message-ttl", Value::I32(500))]);
    put(&vhost(&broker), "q", |m| m.qos = QoS::AtLeastOnce);
    let mut checkpoint = Vec::new();
    broker.checkpoint(&below(Lsn(0)), &mut |record| {
        checkpoint.push((Lsn(1 << 40), Bytes::copy_from_slice(record)));
    });
    for records in [journal.records(), checkpoint] {
        let again_journal = RecordingJournal::new();
        again_journal.put_all(journal.records());
        let again = recovered(records, &again_journal);
        assert_eq!(again.poll_timeout(), Some(NOW.plus_ms(500)));
        again.handle_timeout(NOW.plus_ms(500));
        assert!(!vhost(&again).queue("q").unwrap().has_backlog());
    }
}

#[test]
fn a_dead_letter_that_must_arrive_is_tried_again_until_somebody_takes_it() {
    let journal = RecordingJournal::new();
    let broker = broker(&journal);
    let vhost = vhost(&broker);
    let mut arguments = dead_letters_to("late").to_vec();
    arguments.extend([
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-max-length", Value::I32(2)),
    ]);
    let queue = declare_with(&vhost, "q", &arguments);
    put(&vhost, "q", |message| message.qos = QoS::AtLeastOnce);
    get_and(&queue, Settlement::Discard);
    let again = NOW.plus_ms(180_000);
    assert_eq!(broker.poll_timeout(), Some(again));
    // It takes room of its queue meanwhile.
    assert_eq!(put(&vhost, "q", |_| {}), 1);
    assert_eq!(put(&vhost, "q", |_| {}), 0);
    broker.handle_timeout(again);
    assert_eq!(broker.poll_timeout(), Some(again.plus_ms(180_000)));
    let late = declare(&vhost, "late");
    broker.handle_timeout(again.plus_ms(180_000));
    assert_eq!(late.status().messages, 1);
    assert_eq!(broker.poll_timeout(), None);
    assert_eq!(journal.kinds().last().map(String::as_str), Some("Settled"));
}
