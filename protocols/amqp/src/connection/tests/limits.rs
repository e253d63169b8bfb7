//! What a channel is closed for although its client did nothing wrong: keys that its user may not
//! use, deliveries that it did not acknowledge in time.

use routing::{AppliesTo, Policies, Policy, TopicPermissions, permission::key_pattern};

use super::*;
use crate::wire::replies::{BasicReply, QueueReply};

fn bind(exchange: &str, key: &str) -> Vec<u8> {
    let args = Args::default()
        .u16(0)
        .short("q")
        .short(exchange)
        .short(key)
        .u8(0)
        .long([]);
    method(MethodId::QUEUE_BIND, args)
}

fn with_keys() -> Client {
    let mut identity = (*identity(".*", ".*")).clone();
    let patterns = TopicPermissions {
        write: key_pattern("^{username}\\.", "guest", "/").unwrap(),
        read: key_pattern("^plant\\.", "guest", "/").unwrap(),
        write_except: None,
        read_except: None,
    };
    let at = ("/".into(), "amq.topic".into());
    identity.topic_permissions = HashMap::from([(at, patterns)]);
    let mut client = Client::open_as(&broker(), Settings::default(), Arc::new(identity));
    client.send(&declare("q", 0, &TableBuf::new()));
    client
}

#[test]
fn a_key_is_published_only_as_the_topic_permissions_say() {
    let mut client = with_keys();
    let sent = client.send(&publish_to(("amq.topic", "guest.x"), 0, PLAIN, b""));
    assert_eq!(sent, b"");
    // They are for topic exchanges, and for the one they name.
    let sent = client.send(&publish_to(("amq.direct", "other"), 0, PLAIN, b""));
    assert_eq!(sent, b"");
    assert_eq!(
        client.send(&publish_to(("amq.topic", "other.x"), 0, PLAIN, b"")),
        channel_closed(
            403,
            "ACCESS_REFUSED - write access to topic 'other.x' in exchange 'amq.topic' in vhost \
             '/' refused for user 'guest'",
            MethodId::BASIC_PUBLISH
        )
    );
}

#[test]
fn a_key_is_bound_only_as_the_topic_permissions_say() {
    let mut client = with_keys();
    assert_eq!(
        client.send(&bind("amq.topic", "plant.#")),
        reply(Reply::Queue(QueueReply::BindOk))
    );
    assert_eq!(
        client.send(&bind("amq.topic", "#")),
        channel_closed(
            403,
            "ACCESS_REFUSED - read access to topic '#' in exchange 'amq.topic' in vhost '/' \
             refused for user 'guest'",
            MethodId::QUEUE_BIND
        )
    );
}

fn timed_out(timeout_ms: u64) -> Vec<u8> {
    let text = format!(
        "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value \
         used: {timeout_ms} ms. This timeout value can be configured, see consumers doc guide to \
         learn more"
    );
    channel_closed(406, &text, MethodId::NONE)
}

/// A client without heartbeats, which would end it first.
fn silent(broker: &Arc<Broker>, arguments: &[(&str, Value<'_>)]) -> Client {
    let settings = Settings {
        consumer_timeout_ms: 500,
        ..Settings::default()
    };
    let mut client = Client::open_as(broker, settings, identity(".*", ".*"));
    client.send(&declare("q", 0, &table(arguments)));
    client.send(&consume("q", "t", 0));
    client.send(&publish(b"1"));
    client
}

#[test]
fn a_delivery_that_is_not_acknowledged_in_time_closes_its_channel_and_goes_back() {
    let broker = broker();
    let mut client = silent(&broker, &[]);
    assert_eq!(client.connection.poll_timeout(), Some(NOW.plus_ms(500)));
    assert_eq!(client.timeout_at(NOW.plus_ms(499)), b"");
    assert_eq!(client.timeout_at(NOW.plus_ms(500)), timed_out(500));
    let queue = broker.vhost("/").unwrap().queue("q").unwrap();
    assert_eq!((queue.status().messages, queue.unsettled()), (1, 0));
}

/// Notes that it was woken.
#[derive(Default)]
struct Alarm(AtomicBool);

impl std::task::Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_gets_an_overdue_delivery_next_is_woken_at_once() {
    let broker = broker();
    let mut client = silent(&broker, &[]);
    let mut other = Client::open(&broker);
    other.send(&consume("q", "t", 0));
    let alarm = Arc::new(Alarm::default());
    let waker = Arc::clone(&alarm).into();
    let outbox = Arc::clone(other.connection.outbox());
    let mut context = std::task::Context::from_waker(&waker);
    assert!(
        outbox
            .poll_stirred(other.connection.id, &mut context)
            .is_pending()
    );
    client.timeout_at(NOW.plus_ms(500));
    assert!(alarm.0.load(Ordering::SeqCst));
}

#[test]
fn an_acknowledged_delivery_times_nobody_out() {
    let broker = broker();
    let mut client = silent(&broker, &[]);
    client.now = NOW.plus_ms(300);
    client.send(&publish(b"2"));
    client.send(&ack(1, 0));
    assert_eq!(client.timeout_at(NOW.plus_ms(500)), b"");
    assert_eq!(client.connection.poll_timeout(), Some(NOW.plus_ms(800)));
    client.send(&ack(2, 0));
    assert_eq!(client.timeout_at(NOW.plus_ms(800)), b"");
    let heartbeat = Some(NOW.plus_ms(500 + 30_000));
    assert!(client.connection.poll_timeout() <= heartbeat);
}

#[test]
fn a_queue_has_its_own_consumer_timeout_by_argument_or_policy() {
    let broker = broker();
    let mut client = silent(&broker, &[("x-consumer-timeout", Value::I32(200))]);
    assert_eq!(client.timeout_at(NOW.plus_ms(200)), timed_out(200));
    let policy = Policy {
        vhost: "/".into(),
        pattern: regex::Regex::new("q").unwrap(),
        applies_to: AppliesTo::Queues,
        priority: 0,
        queue: routing::queue::QueueTerms {
            consumer_timeout_ms: Some(100),
            ..Default::default()
        },
        alternate_exchange: None,
    };
    let policies = Policies {
        users: vec![policy],
        operators: Vec::new(),
    };
    broker.set_policies(NOW, policies);
    let mut client = Client::open(&broker);
    let consumed = client.send(&consume("q", "t", 0));
    assert!(
        consumed.starts_with(&reply(Reply::Basic(BasicReply::ConsumeOk {
            consumer_tag: "t"
        })))
    );
    assert_eq!(client.timeout_at(NOW.plus_ms(100)), timed_out(100));
}
