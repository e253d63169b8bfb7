//! Messages that one connection publishes to the same receivers, one after the other.

use super::*;
use crate::Overflow;

/// Publishes bodies to topics, in order, without ending the batch.
fn publish_all(publisher: &mut Publisher, messages: &[(&'static str, &'static str)]) -> Vec<u64> {
    let publish = |(topic, body): &(&'static str, &'static str)| {
        let key = Bytes::from_static(topic.as_bytes());
        let to = publisher.resolve(BUS.as_bytes(), &key, KeyForm::Canonical);
        let to = to.unwrap();
        let (address, name) = (to.address.clone(), to.exchange.name.clone());
        let body = Bytes::from_static(body.as_bytes());
        let message = MessageBuilder::new(address, name, body, &ORIGIN).build();
        publisher.publish(NOW, &to, &message).receivers
    };
    messages.iter().map(publish).collect()
}

/// What waits in a client's outbox.
fn bodies(client: &Client) -> Vec<Bytes> {
    let deliveries = taken(&client.subscriber.outbox, client.connection);
    deliveries
        .iter()
        .map(|it| it.message.payload.clone())
        .collect()
}

fn subscribed(vhost: &VHost, text: &str) -> Client {
    let client = Client::new();
    let options = SubscriptionOptions::default();
    vhost.subscribe_filter(&client.subscriber, &filter(text), options);
    client
}

#[test]
fn the_rest_of_a_run_reaches_everybody_in_order_when_the_batch_ends() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let clients = [subscribed(&vhost, "a"), subscribed(&vhost, "+")];
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let run = [("a", "1"), ("a", "2"), ("a", "3")];
    assert_eq!(publish_all(&mut publisher, &run), [2, 2, 2]);
    assert_eq!(bodies(&clients[0]), ["1"]);
    publisher.flush();
    assert_eq!(bodies(&clients[0]), ["2", "3"]);
    assert_eq!(bodies(&clients[1]), ["1", "2", "3"]);
}

#[test]
fn another_topic_ends_the_run_before_it() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = subscribed(&vhost, "+");
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let run = [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("a", "5")];
    publish_all(&mut publisher, &run);
    drop(publisher);
    assert_eq!(bodies(&client), ["1", "2", "3", "4", "5"]);
}

#[test]
fn the_rest_of_a_run_reaches_queues_when_the_batch_ends() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = subscribed(&vhost, "a");
    let queue = declare(&vhost, "queue");
    bind(&vhost, BUS, "queue", "a");
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let run = [("a", "1"), ("a", "2"), ("a", "3")];
    assert_eq!(publish_all(&mut publisher, &run), [2, 2, 2]);
    assert_eq!(queue.status().messages, 1);
    publisher.end_run();
    assert_eq!(queue.status().messages, 3);
    assert_eq!(bodies(&client), ["1", "2", "3"]);
}

#[test]
fn a_queue_that_may_refuse_is_asked_for_each_message() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let overflow = Value::Text("reject-publish".into());
    let arguments = [("x-max-length", Value::I32(2)), ("x-overflow", overflow)];
    let queue = declare_with(&vhost, &arguments);
    bind(&vhost, BUS, "queue", "a");
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let run = [("a", "1"), ("a", "2"), ("a", "3")];
    assert_eq!(publish_all(&mut publisher, &run), [1, 1, 0]);
    assert_eq!(queue.status().messages, 2);
}

/// Declares `queue`, which does not survive a restart.
fn declare_with(vhost: &VHost, arguments: &[(&'static str, Value)]) -> Arc<Queue> {
    let mut options = QueueOptions::default();
    for (name, value) in arguments {
        options.arguments.push(*name, value.clone());
    }
    let connection = ConnectionId::unique();
    let declared = vhost.declare_queue(NOW, connection, &"queue".into(), options);
    declared.unwrap().0
}

/// A consumer that acknowledges nothing.
fn consumer(queue: &Arc<Queue>, token: u64, limits: OutboxLimits) -> (ConnectionId, Arc<Outbox>) {
    let connection = ConnectionId::unique();
    let outbox = Outbox::attached(connection, limits);
    let consumer = crate::Consumer {
        id: ConsumerId::unique(),
        outbox: Arc::clone(&outbox),
        token,
        acknowledges: false,
        exclusive: false,
        priority: 0,
        credit: crate::Credit::new(0),
        shared_credit: None,
    };
    queue.consume(NOW, consumer, &mut Wakes::default()).unwrap();
    (connection, outbox)
}

/// The bodies that wait, and how many items they are.
fn items((connection, outbox): &(ConnectionId, Arc<Outbox>)) -> (Vec<Bytes>, usize) {
    let mut items = VecDeque::new();
    outbox.take(*connection, usize::MAX, &mut items, &mut Vec::new());
    let messages = items.iter().flat_map(Item::messages);
    let bodies = messages.map(|it| it.payload.clone()).collect();
    (bodies, items.len())
}

/// Publishes `1` to `4` and ends the batch.
fn publish_four(vhost: &Arc<VHost>) {
    let run = [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")];
    publish_all(&mut Publisher::new(Arc::clone(vhost)), &run);
}

#[test]
fn an_only_consumer_that_acknowledges_nothing_gets_a_run_as_one() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let queue = declare_with(&vhost, &[]);
    bind(&vhost, BUS, "queue", "a");
    let client = consumer(&queue, 1, OutboxLimits::default());
    publish_four(&vhost);
    let (bodies, count) = items(&client);
    assert_eq!(
        (bodies.as_slice(), count),
        (&["1", "2", "3", "4"].map(Bytes::from)[..], 2)
    );
    assert_eq!((queue.status().messages, queue.unsettled()), (0, 0));
}

#[test]
fn consumers_take_turns_with_the_messages_of_a_run() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let queue = declare_with(&vhost, &[]);
    bind(&vhost, BUS, "queue", "a");
    let clients = [1, 2].map(|token| consumer(&queue, token, OutboxLimits::default()));
    publish_four(&vhost);
    assert_eq!(items(&clients[0]).0, ["1", "3"]);
    assert_eq!(items(&clients[1]).0, ["2", "4"]);
}

#[test]
fn what_of_a_run_finds_no_room_stays_in_the_queue() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let queue = declare_with(&vhost, &[]);
    bind(&vhost, BUS, "queue", "a");
    let limits = OutboxLimits {
        items_max: 2,
        ..OutboxLimits::default()
    };
    let client = consumer(&queue, 1, limits);
    publish_four(&vhost);
    assert_eq!(queue.status().messages, 2);
    assert_eq!(items(&client).0, ["1", "2"]);
    queue.pump(NOW, &mut Wakes::default());
    assert_eq!(items(&client).0, ["3", "4"]);
}

#[test]
fn a_queue_of_limited_length_keeps_the_newest_of_a_run() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let queue = declare_with(&vhost, &[("x-max-length", Value::I32(2))]);
    bind(&vhost, BUS, "queue", "a");
    publish_four(&vhost);
    let client = consumer(&queue, 1, OutboxLimits::default());
    assert_eq!(items(&client).0, ["3", "4"]);
}

#[test]
fn a_receiver_that_holds_its_publishers_gets_each_message_at_once() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = subscribed(&vhost, "a");
    client.subscriber.outbox.set_limits(OutboxLimits {
        items_max: 2,
        overflow: Overflow::HoldPublisher,
        ..OutboxLimits::default()
    });
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    publish_all(&mut publisher, &[("a", "1"), ("a", "2")]);
    assert!(!publisher.wakes.has_full());
    publish_all(&mut publisher, &[("a", "3")]);
    assert!(publisher.wakes.has_full());
    assert_eq!(bodies(&client), ["1", "2", "3"]);
}

#[test]
fn what_finds_no_room_is_dropped_and_counted_in_a_run_too() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = subscribed(&vhost, "a");
    client.subscriber.outbox.set_limits(OutboxLimits {
        items_max: 2,
        ..OutboxLimits::default()
    });
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    publish_all(
        &mut publisher,
        &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")],
    );
    publisher.flush();
    assert_eq!(client.subscriber.outbox.dropped(), 2);
    assert_eq!(bodies(&client), ["1", "2"]);
}

#[test]
fn a_subscriber_that_is_met_twice_gets_both_copies_before_the_next_message() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = Client::new();
    let channels = [
        ChannelFilter::Channel("a".into()),
        ChannelFilter::Glob(Glob::new("?".into())),
    ];
    vhost.subscribe_channels(&client.subscriber, &channels);
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    publish_all(&mut publisher, &[("a", "1"), ("a", "2"), ("a", "3")]);
    publisher.flush();
    assert_eq!(bodies(&client), ["1", "1", "2", "2", "3", "3"]);
}
