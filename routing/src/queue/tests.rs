use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::delivery::{QueueDelivery, Source};
use crate::outbox::{Item, Outbox, OutboxLimits};
use crate::paging::Paging;
use crate::testing::{ORIGIN, RecordingJournal};
use crate::{Address, ConnectionId, MessageBuilder};

const NOW: Timestamp = Timestamp(1_000);

fn message(text: &str, qos: QoS) -> Arc<Message> {
    let address = Address::new(Bytes::from_static(b"q"));
    let payload = Bytes::copy_from_slice(text.as_bytes());
    let mut builder = MessageBuilder::new(address, "".into(), payload, &ORIGIN);
    builder.qos = qos;
    builder.build()
}

fn queue(limits: QueueLimits, journal: &Arc<RecordingJournal>) -> Arc<Queue> {
    let options = QueueOptions {
        durable: true,
        ..QueueOptions::default()
    };
    Queue::new(
        QueueId(1),
        "q".into(),
        options,
        limits.into(),
        Store {
            journal: Arc::clone(journal) as _,
            paging: Arc::new(Paging::new(crate::PageSettings::default(), Vec::new())),
        },
        Weak::<crate::VHost>::new(),
    )
}

fn put(queue: &Arc<Queue>, text: &str) -> Enqueued {
    put_message(queue, &message(text, QoS::AtMostOnce))
}

fn put_message(queue: &Arc<Queue>, message: &Arc<Message>) -> Enqueued {
    let mut wakes = Wakes::default();
    queue.enqueue(
        NOW,
        message,
        message.qos,
        None,
        &mut Enqueue::new(&mut wakes),
    )
}

/// A consumer and what it received.
struct Client {
    connection: ConnectionId,
    consumer: Consumer,
}

impl Client {
    fn with_credit(limit: u32) -> Self {
        let connection = ConnectionId::unique();
        let consumer = Consumer {
            id: ConsumerId::unique(),
            outbox: Outbox::attached(connection, OutboxLimits::default()),
            token: 7,
            acknowledges: true,
            exclusive: false,
            priority: 0,
            credit: Credit::new(limit),
            shared_credit: None,
        };
        Self {
            connection,
            consumer,
        }
    }

    fn consume(&self, queue: &Arc<Queue>) -> Result<(), Error> {
        queue.consume(NOW, self.consumer.clone(), &mut Wakes::default())
    }

    fn take(&self) -> Vec<(String, QueueDelivery)> {
        let mut items = VecDeque::new();
        let mut room_for = Vec::new();
        self.consumer
            .outbox
            .take(self.connection, usize::MAX, &mut items, &mut room_for);
        let deliveries = items.into_iter().filter_map(|item| match item {
            Item::Delivery(Delivery {
                message,
                source: Source::Queue(from),
            }) => Some((String::from_utf8(message.payload.to_vec()).unwrap(), from)),
            _ => None,
        });
        deliveries.collect()
    }

    fn take_texts(&self) -> Vec<String> {
        self.take().into_iter().map(|(text, _)| text).collect()
    }

    fn settle(&self, queue: &Arc<Queue>, seqs: &[Seq], settlement: Settlement) {
        self.consumer.credit.put_back(seqs.len());
        queue.settle(NOW, seqs, settlement, &mut Wakes::default());
    }
}

#[test]
fn a_consumer_gets_no_more_than_its_credit() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let client = Client::with_credit(2);
    client.consume(&queue).unwrap();
    for text in ["a", "b", "c", "d"] {
        assert!(put(&queue, text).is_accepted());
    }
    let first = client.take();
    assert_eq!(
        first.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    client.settle(&queue, &[first[0].1.seq], Settlement::Ack);
    assert_eq!(client.take_texts(), ["c"]);
    assert_eq!(
        queue.status(),
        QueueStatus {
            messages: 1,
            consumers: 1
        }
    );
    assert_eq!(queue.unsettled(), 2);
}

#[test]
fn a_requeued_message_returns_to_its_place_and_is_a_redelivery() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let client = Client::with_credit(3);
    client.consume(&queue).unwrap();
    ["a", "b", "c", "d"]
        .iter()
        .for_each(|text| assert!(put(&queue, text).is_accepted()));
    let seqs = client
        .take()
        .iter()
        .map(|(_, from)| from.seq)
        .collect::<Vec<_>>();
    queue.cancel(NOW, client.consumer.id, &mut Wakes::default());
    client.settle(&queue, &[seqs[2], seqs[0]], Settlement::Requeue);
    let other = Client::with_credit(0);
    other.consume(&queue).unwrap();
    let again = other.take();
    let seen = again
        .iter()
        .map(|(t, f)| (t.as_str(), f.redeliveries))
        .collect::<Vec<_>>();
    assert_eq!(seen, [("a", 1), ("c", 1), ("d", 0)]);
}

#[test]
fn what_was_offered_and_not_taken_is_no_redelivery() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let client = Client::with_credit(0);
    client.consume(&queue).unwrap();
    assert!(put(&queue, "a").is_accepted());
    let seq = client.take()[0].1.seq;
    queue.cancel(NOW, client.consumer.id, &mut Wakes::default());
    queue.untake(NOW, &[seq], &mut Wakes::default());
    let (delivery, left) = queue.get(NOW, ConsumerId::unique(), true).unwrap();
    let Source::Queue(from) = delivery.source else {
        panic!("from the queue")
    };
    assert_eq!((from.redeliveries, left), (0, 0));
}

#[test]
fn consumers_of_one_priority_take_turns_and_higher_ones_come_first() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let (a, b, mut first) = (
        Client::with_credit(9),
        Client::with_credit(9),
        Client::with_credit(1),
    );
    first.consumer.priority = 5;
    [&a, &b, &first]
        .iter()
        .for_each(|client| client.consume(&queue).unwrap());
    ["1", "2", "3", "4", "5"]
        .iter()
        .for_each(|text| assert!(put(&queue, text).is_accepted()));
    assert_eq!(first.take_texts(), ["1"]);
    assert_eq!(a.take_texts(), ["2", "4"]);
    assert_eq!(b.take_texts(), ["3", "5"]);
}

#[test]
fn a_channels_shared_credit_bounds_its_consumers_together() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let shared = Credit::new(3);
    let mut clients = [Client::with_credit(2), Client::with_credit(2)];
    for client in &mut clients {
        client.consumer.shared_credit = Some(Arc::clone(&shared));
        client.consume(&queue).unwrap();
    }
    ["1", "2", "3", "4"]
        .iter()
        .for_each(|text| assert!(put(&queue, text).is_accepted()));
    assert_eq!(queue.unsettled(), 3);
    shared.put_back(1);
    queue.pump(NOW, &mut Wakes::default());
    assert_eq!(queue.unsettled(), 4);
}

#[test]
fn an_exclusive_consumer_is_the_only_one() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let (mut only, other) = (Client::with_credit(0), Client::with_credit(0));
    only.consumer.exclusive = true;
    only.consume(&queue).unwrap();
    assert_eq!(
        other.consume(&queue),
        Err(Error::ExclusiveUse { name: "q".into() })
    );
    queue.cancel(NOW, only.consumer.id, &mut Wakes::default());
    other.consume(&queue).unwrap();
    assert_eq!(
        only.consume(&queue),
        Err(Error::ExclusiveUse { name: "q".into() })
    );
}

#[test]
fn a_full_queue_drops_its_head_or_refuses() {
    let limits = QueueLimits {
        messages_max: Some(2),
        ..QueueLimits::default()
    };
    let dropping = queue(limits, &RecordingJournal::new());
    let limits = QueueLimits {
        overflow: QueueOverflow::Reject,
        ..limits
    };
    let refusing = queue(limits, &RecordingJournal::new());
    let results = ["a", "b", "c"].map(|text| (put(&dropping, text), put(&refusing, text)));
    assert_eq!(results[2], (Enqueued::Accepted, Enqueued::Rejected));
    let kept = |queue: &Arc<Queue>| {
        let client = Client::with_credit(0);
        client.consume(queue).unwrap();
        client.take_texts()
    };
    assert_eq!(kept(&dropping), ["b", "c"]);
    assert_eq!(kept(&refusing), ["a", "b"]);
}

#[test]
fn higher_priorities_leave_first() {
    let queue = queue(
        QueueLimits {
            priority_max: 9,
            ..QueueLimits::default()
        },
        &RecordingJournal::new(),
    );
    for (text, priority) in [("low", 1), ("high", 9), ("over", 200), ("low2", 1)] {
        let mut builder = message(text, QoS::AtMostOnce).to_builder();
        builder.priority = priority;
        assert!(put_message(&queue, &builder.build()).is_accepted());
    }
    let client = Client::with_credit(0);
    client.consume(&queue).unwrap();
    assert_eq!(client.take_texts(), ["high", "over", "low", "low2"]);
}

#[test]
fn expired_messages_reach_nobody() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    for (text, at) in [("gone", 900), ("there", 2_000)] {
        let mut builder = message(text, QoS::AtMostOnce).to_builder();
        builder.expires_at = Some(Timestamp(at));
        put_message(&queue, &builder.build());
    }
    let client = Client::with_credit(0);
    client.consume(&queue).unwrap();
    assert_eq!(client.take_texts(), ["there"]);
}

#[test]
fn a_full_outbox_stops_the_queue_until_there_is_room() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let mut client = Client::with_credit(0);
    let limits = OutboxLimits {
        items_max: 2,
        ..OutboxLimits::default()
    };
    client.consumer.outbox = Outbox::attached(client.connection, limits);
    client.consume(&queue).unwrap();
    ["a", "b", "c"]
        .iter()
        .for_each(|text| assert!(put(&queue, text).is_accepted()));
    assert_eq!(queue.status().messages, 1);
    let (mut items, mut room_for) = (VecDeque::new(), Vec::new());
    client
        .consumer
        .outbox
        .take(client.connection, usize::MAX, &mut items, &mut room_for);
    assert!(Arc::ptr_eq(&room_for[0], &queue));
    queue.pump(NOW, &mut Wakes::default());
    assert_eq!(client.take_texts(), ["c"]);
}

#[test]
fn only_persistent_messages_are_journalled_and_their_end_too() {
    let journal = RecordingJournal::new();
    let queue = queue(QueueLimits::default(), &journal);
    let client = Client::with_credit(0);
    client.consume(&queue).unwrap();
    put_message(&queue, &message("transient", QoS::AtMostOnce));
    assert!(journal.kinds().is_empty());
    put_message(&queue, &message("kept", QoS::AtLeastOnce));
    let seqs = client
        .take()
        .iter()
        .map(|(_, from)| from.seq)
        .collect::<Vec<_>>();
    client.settle(&queue, &seqs, Settlement::Ack);
    assert_eq!(journal.kinds(), ["Publish", "Settled"]);
}

#[test]
fn purge_removes_what_is_ready_and_nothing_else() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let client = Client::with_credit(1);
    client.consume(&queue).unwrap();
    ["a", "b", "c"]
        .iter()
        .for_each(|text| assert!(put(&queue, text).is_accepted()));
    assert_eq!(queue.purge(), 2);
    assert_eq!((queue.status().messages, queue.unsettled()), (0, 1));
}

#[test]
fn a_deleted_queue_tells_its_consumers_and_takes_nothing() {
    let queue = queue(QueueLimits::default(), &RecordingJournal::new());
    let client = Client::with_credit(1);
    client.consume(&queue).unwrap();
    queue.delete(&mut Wakes::default());
    assert_eq!(put(&queue, "a"), Enqueued::Gone);
    let mut items = VecDeque::new();
    client
        .consumer
        .outbox
        .take(client.connection, usize::MAX, &mut items, &mut Vec::new());
    assert!(matches!(
        items[0],
        Item::Event(Event::ConsumerCancelled { token: 7 })
    ));
}
