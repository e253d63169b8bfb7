mod dead_letters;
mod exchanges;
mod paging;
mod policies;
mod queues;
mod recovery;
mod runs;
mod sessions;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::broker::CheckpointBounds;
use crate::delivery::{Delivery, Matched, Source};
use crate::outbox::{Item, Outbox, OutboxLimits, Standing};
use crate::publisher::{KeyForm, Publisher};
use crate::queue::QueueOptions;
use crate::session::Will;
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::testing::{ORIGIN, RecordingJournal};
use crate::topic::Glob;
use crate::value::{Table, Value};
use crate::{
    Broker, ChannelFilter, ConnectionId, ConsumerId, ExchangeKind, ExchangeOptions, MessageBuilder,
    QoS, Settings, TopicFilter,
};

const NOW: Timestamp = Timestamp(1_000);

fn broker(journal: &Arc<RecordingJournal>) -> Broker {
    Broker::new(
        Settings::default(),
        Arc::clone(journal) as _,
        vec![&ORIGIN],
        Box::new(|| {}),
    )
}

fn vhost(broker: &Broker) -> Arc<VHost> {
    Arc::clone(broker.vhost("/").unwrap())
}

/// Publishes, and says how many received it.
fn publish(vhost: &Arc<VHost>, exchange: &str, key: &str, form: KeyForm) -> u64 {
    publish_with(vhost, exchange, key, form, |_| {})
}

fn publish_with(
    vhost: &Arc<VHost>,
    exchange: &str,
    key: &str,
    form: KeyForm,
    change: impl FnOnce(&mut MessageBuilder),
) -> u64 {
    let mut publisher = Publisher::new(Arc::clone(vhost));
    let key = Bytes::copy_from_slice(key.as_bytes());
    let to = publisher.resolve(exchange.as_bytes(), &key, form).unwrap();
    let payload = Bytes::from_static(b"body");
    let name = to.exchange.name.clone();
    let mut builder = MessageBuilder::new(to.address.clone(), name, payload, &ORIGIN);
    change(&mut builder);
    publisher.publish(NOW, &to, &builder.build()).receivers
}

fn declare(vhost: &VHost, name: &str) -> Arc<Queue> {
    let options = QueueOptions {
        durable: true,
        ..QueueOptions::default()
    };
    vhost
        .declare_queue(NOW, ConnectionId(0), &name.into(), options)
        .unwrap()
        .0
}

fn bind(vhost: &VHost, exchange: &str, queue: &str, key: &'static str) {
    let destination = Destination::Queue(queue.into());
    let key = Bytes::from_static(key.as_bytes());
    let binding = Binding {
        destination,
        key,
        arguments: Table::default(),
    };
    vhost.bind(&exchange.into(), binding).unwrap();
}

/// Bounds of a checkpoint that are all the same.
fn below(position: Lsn) -> CheckpointBounds {
    CheckpointBounds {
        copy_below: position,
        keep_from: position,
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// A live subscriber.
struct Client {
    connection: ConnectionId,
    subscriber: Arc<Subscriber>,
}

impl Client {
    fn new() -> Self {
        let connection = ConnectionId::unique();
        let outbox = Outbox::attached(connection, OutboxLimits::default());
        let subscriber = Subscriber::live(outbox);
        Self {
            connection,
            subscriber,
        }
    }

    fn take(&self) -> Vec<Arc<Matched>> {
        taken(&self.subscriber.outbox, self.connection)
            .into_iter()
            .filter_map(|delivery| match delivery.source {
                Source::Subscription(matched) => Some(matched),
                Source::Queue(_) => None,
            })
            .collect()
    }
}

fn taken(outbox: &Outbox, connection: ConnectionId) -> Vec<Delivery> {
    let mut items = VecDeque::new();
    outbox.take(connection, usize::MAX, &mut items, &mut Vec::new());
    items
        .into_iter()
        .flat_map(|item| match item {
            Item::Delivery(delivery) => vec![delivery],
            Item::Run(run, matched) => {
                let deliver = |message: &Arc<Message>| Delivery {
                    message: Arc::clone(message),
                    source: Source::Subscription(Arc::clone(&matched)),
                };
                run.messages().iter().map(deliver).collect()
            }
            Item::QueueRun { .. } | Item::Event(_) => Vec::new(),
        })
        .collect()
}

#[test]
fn a_binding_needs_both_of_its_ends() {
    let vhost = vhost(&broker(&RecordingJournal::new()));
    let transient = ExchangeOptions::default();
    vhost
        .declare_exchange(&"source".into(), ExchangeKind::Fanout, transient)
        .unwrap();
    for destination in [
        Destination::Queue("nothing".into()),
        Destination::Exchange("nothing".into()),
    ] {
        let binding = Binding {
            destination,
            key: Bytes::new(),
            arguments: Table::default(),
        };
        assert!(vhost.bind(&"source".into(), binding.clone()).is_err());
        assert_eq!(vhost.unbind(&"source".into(), &binding), Ok(None));
    }
}

#[test]
fn one_publish_on_the_bus_reaches_every_kind_of_receiver() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    bind(&vhost, BUS, "q", "plant.*.temp");
    let (mqtt, redis) = (Client::new(), Client::new());
    vhost.subscribe_filter(
        &mqtt.subscriber,
        &filter("plant/#"),
        SubscriptionOptions::default(),
    );
    vhost.subscribe_channels(
        &redis.subscriber,
        &[
            ChannelFilter::Channel(Bytes::from_static(b"plant/1/temp")),
            ChannelFilter::Glob(Glob::new(Bytes::from_static(b"plant/*"))),
        ],
    );
    assert_eq!(publish(&vhost, BUS, "plant/1/temp", KeyForm::Canonical), 4);
    assert_eq!(publish(&vhost, BUS, "plant.1.temp", KeyForm::RoutingKey), 4);
    assert_eq!(mqtt.take().len(), 2);
    let channel_first = redis.take();
    assert_eq!(*channel_first[0], Matched::Channel);
    assert_eq!(
        *channel_first[1],
        Matched::Glob(Glob::new(Bytes::from_static(b"plant/*")))
    );
}

#[test]
fn a_cached_route_ends_with_the_subscription() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let key = Bytes::from_static(b"a");
    let mut receivers = || {
        let to = publisher
            .resolve(BUS.as_bytes(), &key, KeyForm::Canonical)
            .unwrap();
        let name = to.exchange.name.clone();
        let builder = MessageBuilder::new(to.address.clone(), name, Bytes::new(), &ORIGIN);
        publisher.publish(NOW, &to, &builder.build()).receivers
    };
    let client = Client::new();
    assert_eq!(receivers(), 0);
    vhost.subscribe_filter(
        &client.subscriber,
        &filter("a"),
        SubscriptionOptions::default(),
    );
    assert_eq!(receivers(), 1);
    assert!(vhost.unsubscribe_filter(client.subscriber.id, &filter("a")));
    assert_eq!(receivers(), 0);
}

#[test]
fn a_message_to_several_addresses_reaches_each_receiver_once() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let (both, one) = (declare(&vhost, "both"), declare(&vhost, "one"));
    bind(&vhost, BUS, "both", "a");
    bind(&vhost, BUS, "both", "b");
    bind(&vhost, BUS, "one", "b");
    let client = Client::new();
    let options = SubscriptionOptions::default();
    vhost.subscribe_filter(&client.subscriber, &filter("+"), options);
    let mut publisher = Publisher::new(Arc::clone(&vhost));
    let to = ["a", "b"].map(|key| {
        let key = Bytes::from_static(key.as_bytes());
        publisher
            .resolve(BUS.as_bytes(), &key, KeyForm::Canonical)
            .unwrap()
    });
    let (address, name) = (to[0].address.clone(), to[0].exchange.name.clone());
    let message = MessageBuilder::new(address, name, Bytes::new(), &ORIGIN).build();
    assert_eq!(publisher.publish_to_all(NOW, &to, &message).receivers, 3);
    assert_eq!((both.status().messages, one.status().messages), (1, 1));
}

#[test]
fn overlapping_filters_are_one_delivery_with_all_identifiers_mqtt_3_3_4_2() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = Client::new();
    for (text, qos, id) in [("a/#", QoS::AtMostOnce, 1), ("a/+", QoS::ExactlyOnce, 2)] {
        let options = SubscriptionOptions {
            qos,
            subscription_id: Some(id),
            ..SubscriptionOptions::default()
        };
        vhost.subscribe_filter(&client.subscriber, &filter(text), options);
    }
    assert_eq!(publish(&vhost, BUS, "a/b", KeyForm::Canonical), 1);
    let Matched::Filters {
        qos,
        subscription_ids,
        ..
    } = &*client.take()[0].clone()
    else {
        panic!("by filters")
    };
    assert_eq!(*qos, QoS::ExactlyOnce);
    let mut ids = subscription_ids.clone();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn no_local_hides_the_subscribers_own_messages_mqtt_3_8_3_3() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let client = Client::new();
    let options = SubscriptionOptions {
        no_local: true,
        ..SubscriptionOptions::default()
    };
    vhost.subscribe_filter(&client.subscriber, &filter("a"), options);
    let own = |builder: &mut MessageBuilder| builder.publisher = Some(client.subscriber.id);
    assert_eq!(publish_with(&vhost, BUS, "a", KeyForm::Canonical, own), 0);
    assert_eq!(publish(&vhost, BUS, "a", KeyForm::Canonical), 1);
}

#[test]
fn shared_subscribers_take_turns_mqtt_4_8_2() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    let clients = [Client::new(), Client::new(), Client::new()];
    for client in &clients {
        let options = SubscriptionOptions::default();
        vhost.join_group(&"g".into(), &client.subscriber, &filter("a/+"), options);
    }
    (0..6).for_each(|_| assert_eq!(publish(&vhost, BUS, "a/b", KeyForm::Canonical), 1));
    clients
        .iter()
        .for_each(|client| assert_eq!(client.take().len(), 2));
    for client in &clients {
        assert!(vhost.leave_group(&"g".into(), client.subscriber.id, &filter("a/+")));
    }
    assert_eq!(publish(&vhost, BUS, "a/b", KeyForm::Canonical), 0);
}

#[test]
fn exchanges_route_by_their_kind() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    bind(&vhost, "amq.direct", "q", "a.b");
    bind(&vhost, "amq.fanout", "q", "");
    let arguments = Table(vec![("k".into(), Value::Bool(true))]);
    let binding = Binding {
        destination: Destination::Queue("q".into()),
        key: Bytes::new(),
        arguments,
    };
    vhost.bind(&"amq.headers".into(), binding).unwrap();
    let reached = |exchange, key| publish(&vhost, exchange, key, KeyForm::RoutingKey);
    assert_eq!(
        (reached("amq.direct", "a.b"), reached("amq.direct", "a/b")),
        (1, 0)
    );
    assert_eq!(reached("amq.fanout", "anything"), 1);
    assert_eq!(reached("amq.headers", ""), 0);
    assert_eq!((reached("", "q"), reached("", "other")), (1, 0));
}

#[test]
fn exchanges_pass_on_to_exchanges_without_end_or_repetition() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    for name in ["x", "y"] {
        let options = ExchangeOptions::default();
        vhost
            .declare_exchange(&name.into(), ExchangeKind::Fanout, options)
            .unwrap();
        bind(&vhost, name, "q", "");
    }
    for (from, to) in [("x", "y"), ("y", "x"), ("y", BUS)] {
        let destination = Destination::Exchange(to.into());
        let binding = Binding {
            destination,
            key: Bytes::new(),
            arguments: Table::default(),
        };
        vhost.bind(&from.into(), binding).unwrap();
    }
    let mqtt = Client::new();
    vhost.subscribe_filter(
        &mqtt.subscriber,
        &filter("a/b"),
        SubscriptionOptions::default(),
    );
    assert_eq!(publish(&vhost, "x", "a.b", KeyForm::RoutingKey), 2);
}

#[test]
fn what_goes_nowhere_goes_to_the_alternate_exchange() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    bind(&vhost, "amq.fanout", "q", "");
    let alternate = Value::Text(Bytes::from_static(b"amq.fanout"));
    let arguments = Table(vec![("alternate-exchange".into(), alternate)]);
    let options = ExchangeOptions {
        arguments,
        ..ExchangeOptions::default()
    };
    vhost
        .declare_exchange(&"x".into(), ExchangeKind::Direct, options)
        .unwrap();
    assert_eq!(publish(&vhost, "x", "nowhere", KeyForm::RoutingKey), 1);
}

#[test]
fn reply_addresses_lead_to_their_queue_and_their_topic() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "a.b/c");
    let mqtt = Client::new();
    vhost.subscribe_filter(
        &mqtt.subscriber,
        &filter("#"),
        SubscriptionOptions::default(),
    );
    assert_eq!(
        publish(&vhost, BUS, "$reply/a.b%2Fc", KeyForm::Canonical),
        1
    );
    assert_eq!(vhost.queue("a.b/c").unwrap().status().messages, 1);
    assert_eq!(publish(&vhost, BUS, "$reply/none", KeyForm::Canonical), 0);
    assert_eq!(publish(&vhost, "", "$topic/x/y.z", KeyForm::RoutingKey), 1);
    assert_eq!(mqtt.take().len(), 1);
}

#[test]
fn a_second_declaration_must_be_the_same() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    let transient = vhost.declare_queue(NOW, ConnectionId(0), &"q".into(), QueueOptions::default());
    let Err(Error::Inequivalent {
        argument,
        received,
        current,
        ..
    }) = transient
    else {
        panic!("{transient:?}")
    };
    assert_eq!(
        (argument.as_str(), received.as_str(), current.as_str()),
        ("durable", "'false'", "'true'")
    );
    let options = QueueOptions {
        exclusive: Some(ConnectionId(5)),
        ..QueueOptions::default()
    };
    vhost
        .declare_queue(NOW, ConnectionId(5), &"mine".into(), options)
        .unwrap();
    let other = vhost.declare_queue(
        NOW,
        ConnectionId(6),
        &"mine".into(),
        QueueOptions::default(),
    );
    assert_eq!(
        other.unwrap_err(),
        Error::Locked {
            name: "mine".into()
        }
    );
}

#[test]
fn a_deleted_queue_takes_its_bindings_and_auto_delete_exchanges_along() {
    let broker = broker(&RecordingJournal::new());
    let vhost = vhost(&broker);
    declare(&vhost, "q");
    let options = ExchangeOptions {
        auto_delete: true,
        ..ExchangeOptions::default()
    };
    vhost
        .declare_exchange(&"x".into(), ExchangeKind::Topic, options)
        .unwrap();
    bind(&vhost, "x", "q", "#");
    vhost
        .delete_queue(
            ConnectionId(0),
            &"q".into(),
            false,
            false,
            &mut Wakes::default(),
        )
        .unwrap();
    assert!(vhost.exchange("x").is_none() && vhost.queue("q").is_err());
}

#[test]
fn many_channels_are_subscribed_to_in_one_change_of_the_route_table() {
    let broker = Broker::in_memory(vec![&ORIGIN]);
    let vhost = broker.vhost("/").unwrap();
    let subscriber = Subscriber::live(Outbox::detached());
    let channels = (0..1000)
        .map(|number| ChannelFilter::Channel(format!("c{number}").into()))
        .collect::<Vec<_>>();
    let before = vhost.generation.load(Ordering::Acquire);
    vhost.subscribe_channels(&subscriber, &channels);
    assert_eq!(vhost.generation.load(Ordering::Acquire), before + 1);
    assert_eq!(vhost.channel_subscribers(b"c999"), 1);
    vhost.unsubscribe_channels(subscriber.id, &channels);
    assert_eq!(vhost.generation.load(Ordering::Acquire), before + 2);
    assert!(vhost.channels().is_empty());
}
