//! Messages that one connection publishes to the same live receivers, one after the other.

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
fn a_queue_gets_each_message_at_once() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = subscribed(&vhost, "a");
    let queue = declare(&vhost, "queue");
    bind(&vhost, BUS, "queue", "a");
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    publish_all(&mut publisher, &[("a", "1"), ("a", "2"), ("a", "3")]);
    assert_eq!(queue.status().messages, 3);
    assert_eq!(bodies(&client), ["1", "2", "3"]);
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
