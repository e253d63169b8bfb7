//! Links on loopback with a broker in memory behind them and plain sockets before them. Multicast
//! on 127.0.0.1 needs neither a route nor rights.

mod namespace;
mod reliable;

use std::sync::Mutex;
use std::time::Duration;

use routing::outbox::Item;
use routing::topic::TopicFilter;
use routing::{
    Address, Broker, ConnectionId, KeyForm, Message, MessageBuilder, Outbox, OutboxLimits,
    Publisher, Subscriber, SubscriptionOptions,
};

use super::*;
use crate::config::Config;

const NOW: Timestamp = Timestamp(1_000_000);

/// Long enough for loopback on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A link to 239.192.8.`group` on loopback.
fn config(group: u8, direction: &str, more: &str) -> LanLink {
    let text = format!(
        "[[lan]]\nname = \"test\"\ninterface = \"127.0.0.1\"\ngroup = \"239.192.8.{group}\"\n\
         port = {}\ndirection = \"{direction}\"\nfilters = \"plant/#\"\ntopic = \"lan/{{src}}\"\n\
         message_bytes_max = \"100B\"\n{more}",
        free_port()
    );
    let config = Config::parse(Some(("test.toml", &text)), &[]);
    config
        .unwrap_or_else(|report| panic!("{report}"))
        .lan
        .remove(0)
}

/// A program on the network that is no gateway: another link's sockets.
struct Station {
    receiver: UdpSocket,
    sender: UdpSocket,
    to: SocketAddr,
}

impl Station {
    fn beside(link: &LanLink) -> Self {
        Self {
            receiver: socket::open_receiver(link).unwrap(),
            sender: socket::open_sender(link).unwrap(),
            to: socket::destination(link).unwrap(),
        }
    }

    async fn send(&self, datagram: &[u8]) {
        self.sender.send_to(datagram, self.to).await.unwrap();
    }

    async fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 1024];
        let received = timeout(PATIENCE, self.receiver.recv_from(&mut buffer)).await;
        let (bytes, _) = received.expect("a datagram in time").unwrap();
        buffer[..bytes].to_vec()
    }
}

/// Somebody on the bus who publishes and hears everything.
struct Bus {
    vhost: Arc<VHost>,
    id: ConnectionId,
    outbox: Arc<Outbox>,
    /// Taken from the outbox, not asked for yet.
    heard: Mutex<VecDeque<Arc<Message>>>,
}

impl Bus {
    fn new() -> Self {
        let broker = Broker::in_memory(vec![&lan::ORIGIN]);
        let vhost = Arc::clone(broker.vhost("/").unwrap());
        let id = ConnectionId::unique();
        let outbox = Outbox::attached(id, OutboxLimits::default());
        let subscriber = Subscriber::live(Arc::clone(&outbox));
        let all = TopicFilter::parse(Bytes::from_static(b"#")).unwrap();
        vhost.subscribe_filter(&subscriber, &all, SubscriptionOptions::default());
        let heard = Mutex::default();
        Self {
            vhost,
            id,
            outbox,
            heard,
        }
    }

    fn open(&self, config: &LanLink) -> LanTask {
        let identity = Identity::random().unwrap();
        LanTask::open(config.clone(), Arc::clone(&self.vhost), &identity).unwrap()
    }

    fn publish(&self, topic: &'static str, payload: &'static [u8]) {
        let mut publisher = Publisher::new(Arc::clone(&self.vhost));
        let to = publisher
            .resolve(b"amq.topic", topic.as_bytes(), KeyForm::Canonical)
            .unwrap();
        let (address, payload) = (Address::new(topic.into()), Bytes::from_static(payload));
        let message = MessageBuilder::new(address, "amq.topic".into(), payload, &lan::ORIGIN);
        publisher.publish(NOW, &to, &message.build());
        publisher.flush();
    }

    /// The next message on the bus: its topic and its payload.
    async fn hear(&self) -> (String, Bytes) {
        let message = loop {
            if let Some(message) = self.heard.lock().unwrap().pop_front() {
                break message;
            }
            let stirred = poll_fn(|cx| self.outbox.poll_stirred(self.id, cx));
            timeout(PATIENCE, stirred).await.expect("a message in time");
            let mut items = VecDeque::new();
            self.outbox
                .take(self.id, usize::MAX, &mut items, &mut Vec::new());
            let taken = items.iter().flat_map(Item::messages).cloned();
            self.heard.lock().unwrap().extend(taken);
        };
        (message.address.to_string(), message.payload.clone())
    }
}

/// Runs a link while `test` runs, then stops it and waits for its end.
async fn with_link<T>(task: LanTask, test: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let run = task.run(|| NOW, stop.clone());
    let both = async {
        let result = test.await;
        stop.cancel();
        result
    };
    let ((), result) = timeout(3 * PATIENCE, async { tokio::join!(run, both) })
        .await
        .unwrap();
    result
}

fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_is_published_on_a_linked_topic_reaches_the_group() {
    let (bus, config) = (Bus::new(), config(1, "out", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        bus.publish("other/a", b"not linked");
        bus.publish("plant/a", b"21.5");
        bus.publish("plant/a", b"");
        assert_eq!(station.receive().await, b"21.5");
        assert_eq!(station.receive().await, b"");
    })
    .await;
    assert_eq!((count(&counters.sent), count(&counters.failed)), (2, 0));
}

#[tokio::test]
async fn what_the_group_is_sent_is_published() {
    let (bus, config) = (Bus::new(), config(2, "in", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        let all_bytes: Vec<u8> = (0..100).chain(200..=255).take(100).collect();
        for datagram in [&b"21.5"[..], b"", &all_bytes] {
            station.send(datagram).await;
            let (topic, payload) = bus.hear().await;
            assert_eq!((topic.as_str(), &payload[..]), ("lan/127.0.0.1", datagram));
        }
    })
    .await;
    assert_eq!(count(&counters.received), 3);
}

#[tokio::test]
async fn a_link_of_both_directions_does_not_hear_itself() {
    let (bus, config) = (Bus::new(), config(3, "both", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        bus.publish("plant/a", b"ours");
        assert_eq!(bus.hear().await.1, "ours");
        assert_eq!(station.receive().await, b"ours");
        // It came back to the link before this one does, and was not published.
        station.send(b"theirs").await;
        assert_eq!(
            bus.hear().await,
            ("lan/127.0.0.1".to_owned(), "theirs".into())
        );
    })
    .await;
    assert_eq!((count(&counters.echoes), count(&counters.received)), (1, 1));
}

#[tokio::test]
async fn what_comes_in_does_not_go_back_out() {
    let bus = Bus::new();
    let mut config = config(4, "both", "");
    config.topic = lan::TopicTemplate::parse("plant/in").unwrap();
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        station.send(b"theirs").await;
        assert_eq!(bus.hear().await.0, "plant/in");
        bus.publish("plant/out", b"ours");
        // The station hears itself, and then only what was published on the bus.
        assert_eq!(station.receive().await, b"theirs");
        assert_eq!(station.receive().await, b"ours");
    })
    .await;
    assert_eq!(count(&counters.sent), 1);
}

#[tokio::test]
async fn what_is_too_large_is_counted_and_the_rest_goes_on() {
    let (bus, config) = (Bus::new(), config(5, "both", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        bus.publish("plant/a", &[7; 101]);
        bus.publish("plant/a", &[7; 100]);
        assert_eq!(station.receive().await, [7; 100]);
        assert_eq!(
            (bus.hear().await.1.len(), bus.hear().await.1.len()),
            (101, 100)
        );
        station.send(&[8; 101]).await;
        station.send(&[8; 100]).await;
        assert_eq!(bus.hear().await.1, &[8; 100][..]);
    })
    .await;
    assert_eq!(
        (
            count(&counters.sent_too_large),
            count(&counters.received_too_large)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn what_comes_faster_than_allowed_is_counted_and_the_rest_goes_on() {
    let bus = Bus::new();
    let config = config(11, "in", "received_per_second_max = 6");
    let (station, task) = (Station::beside(&config), bus.open(&config));
    let counters = task.counters();
    with_link(task, async {
        for _ in 0..10 {
            station.send(b"value").await;
        }
        for _ in 0..6 {
            assert_eq!(bus.hear().await.1, "value");
        }
        while count(&counters.received_too_fast) < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(count(&counters.received), 6);
    })
    .await;
}

#[tokio::test]
async fn senders_outside_the_allowed_ranges_are_refused() {
    let bus = Bus::new();
    let refusing = config(6, "in", "allow_sources = [\"10.77.0.0/24\"]");
    let (station, task) = (Station::beside(&refusing), bus.open(&refusing));
    let counters = task.counters();
    let allowing = config(
        7,
        "in",
        "allow_sources = [\"10.77.0.0/24\", \"127.0.0.0/8\"]",
    );
    let (other_station, other_task) = (Station::beside(&allowing), bus.open(&allowing));
    let test = async {
        station.send(b"refused").await;
        while count(&counters.refused_sources) == 0 {
            tokio::task::yield_now().await;
        }
        other_station.send(b"allowed").await;
        assert_eq!(bus.hear().await.1, "allowed");
    };
    Box::pin(with_link(task, with_link(other_task, test))).await;
}

#[tokio::test]
async fn a_burst_arrives_whole_and_in_order() {
    let (bus, config) = (Bus::new(), config(8, "in", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    with_link(task, async {
        for number in 0..500_u16 {
            station.send(&number.to_be_bytes()).await;
        }
        for number in 0..500_u16 {
            assert_eq!(bus.hear().await.1, &number.to_be_bytes()[..]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_sent_when_the_link_stops() {
    let (bus, config) = (Bus::new(), config(9, "out", ""));
    let (station, task) = (Station::beside(&config), bus.open(&config));
    bus.publish("plant/a", b"last");
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(|| NOW, stop).await;
    assert_eq!(station.receive().await, b"last");
}

#[tokio::test]
async fn a_lost_socket_is_opened_anew() {
    let (bus, config) = (Bus::new(), config(10, "both", ""));
    let (station, mut task) = (Station::beside(&config), bus.open(&config));
    task.sockets = Sockets {
        receiver: None,
        sender: None,
        interface: Some(u32::MAX),
    };
    task.health = Health::Failing;
    bus.publish("plant/a", b"lost");
    task.take(NOW).unwrap();
    task.send(NOW);
    assert_eq!((count(&task.counters.failed), task.waiting.len()), (1, 0));
    task.check_interface();
    assert_eq!(task.health, Health::Working);
    with_link(task, async {
        bus.publish("plant/a", b"again");
        assert_eq!(station.receive().await, b"again");
    })
    .await;
}
