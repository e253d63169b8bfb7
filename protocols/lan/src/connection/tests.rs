//! Links against a broker in memory: a publisher and a subscriber on the bus at the other side.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use routing::topic::TopicFilter;
use routing::{Broker, MessageBuilder, OutboxLimits, Overflow};

use super::*;
use crate::{Lcm, MqttSn, ORIGIN, Raw, SnVersion, TopicMap, TopicTemplate};

const NOW: Timestamp = Timestamp(1_000_000);

const FROM: Envelope = Envelope {
    group: IpAddr::V4(Ipv4Addr::new(239, 192, 0, 1)),
    port: 5000,
    source: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 77, 0, 5)), 4000),
};

fn filter(text: &'static str) -> TopicFilter {
    TopicFilter::parse(Bytes::from_static(text.as_bytes())).unwrap()
}

fn settings(topic: &str, filters: &[&'static str]) -> Settings {
    Settings {
        codec: Codec::Raw(Raw {
            payload_bytes_max: 8,
            split_lines: false,
        }),
        topic: TopicTemplate::parse(topic).unwrap(),
        filters: filters.iter().map(|text| filter(text)).collect(),
        ..Settings::default()
    }
}

struct Bus {
    vhost: Arc<VHost>,
    id: ConnectionId,
    subscriber: Arc<Subscriber>,
}

impl Bus {
    /// A bus with somebody on it who hears everything.
    fn new() -> Self {
        let broker = Broker::in_memory(vec![&ORIGIN]);
        let vhost = Arc::clone(broker.vhost("/").unwrap());
        let id = ConnectionId::unique();
        let outbox = Outbox::attached(id, OutboxLimits::default());
        let subscriber = Subscriber::live(outbox);
        vhost.subscribe_filter(&subscriber, &filter("#"), SubscriptionOptions::default());
        Self {
            vhost,
            id,
            subscriber,
        }
    }

    fn link(&self, topic: &str, filters: &[&'static str]) -> Link {
        Link::new(Arc::clone(&self.vhost), settings(topic, filters))
    }

    fn publish(&self, change: impl FnOnce(&mut MessageBuilder)) -> u64 {
        let address = Address::new(Bytes::from_static(b"plant/a"));
        let mut builder = MessageBuilder::new(address, BUS.into(), Bytes::new(), &ORIGIN);
        change(&mut builder);
        let message = builder.build();
        let mut publisher = Publisher::new(Arc::clone(&self.vhost));
        let key = message.address.as_bytes();
        let to = publisher
            .resolve(BUS.as_bytes(), key, KeyForm::Canonical)
            .unwrap();
        publisher.publish(NOW, &to, &message).receivers
    }

    fn publish_payload(&self, payload: &'static [u8]) -> u64 {
        self.publish(|message| message.payload = Bytes::from_static(payload))
    }

    /// What the listener heard since the last call.
    fn heard(&self) -> Vec<Arc<Message>> {
        let mut items = VecDeque::new();
        self.subscriber
            .outbox
            .take(self.id, usize::MAX, &mut items, &mut Vec::new());
        items.iter().flat_map(Item::messages).cloned().collect()
    }
}

fn datagrams(link: &mut Link) -> (Vec<Bytes>, Taken) {
    let mut out = VecDeque::new();
    let taken = link.poll_datagrams(NOW, &mut out);
    (out.into(), taken)
}

#[test]
fn a_datagram_is_published_under_the_topic_of_its_sender() {
    let bus = Bus::new();
    let mut link = bus.link("lan/{src}/{port}", &[]);
    assert_eq!(link.handle_datagram(NOW, b"21.5", FROM), Ok(1));
    assert_eq!(link.handle_datagram(NOW, b"", FROM), Ok(1));
    link.flush();
    let heard = bus.heard();
    assert_eq!(heard[0].address.as_bytes(), "lan/10.77.0.5/5000");
    assert_eq!(
        (&heard[0].payload[..], heard[0].qos),
        (&b"21.5"[..], QoS::AtMostOnce)
    );
    assert_eq!(heard[0].properties(), &routing::Properties::default());
    assert!(heard[1].payload.is_empty() && !heard[1].retain);
}

#[test]
fn a_message_on_a_linked_topic_becomes_one_datagram() {
    let bus = Bus::new();
    let mut link = bus.link("lan", &["plant/#", "plant/+"]);
    // The listener and the link, which matches twice.
    assert_eq!(bus.publish_payload(b"21.5"), 2);
    assert_eq!(bus.publish_payload(b""), 2);
    let (sent, taken) = datagrams(&mut link);
    assert_eq!(sent, [&b"21.5"[..], b""]);
    let sent = 2;
    assert_eq!(
        taken,
        Taken {
            sent,
            ..Taken::default()
        }
    );
    assert_eq!(
        bus.publish(|message| message.address = Address::new("other".into())),
        1
    );
    assert!(datagrams(&mut link).0.is_empty());
}

#[test]
fn what_came_in_by_a_link_goes_out_by_others_only() {
    let bus = Bus::new();
    let mut first = bus.link("lan/in", &["lan/#"]);
    let mut second = bus.link("lan/other", &["lan/#"]);
    assert_eq!(first.handle_datagram(NOW, b"x", FROM), Ok(1));
    assert!(datagrams(&mut first).0.is_empty());
    assert_eq!(datagrams(&mut second).0, [&b"x"[..]]);
}

#[test]
fn too_large_is_refused_both_ways_and_reaches_all_others() {
    let bus = Bus::new();
    let mut link = bus.link("lan", &["plant/#"]);
    let refused = Unread::TooLarge {
        bytes: 9,
        bytes_max: 8,
    };
    assert_eq!(link.handle_datagram(NOW, b"123456789", FROM), Err(refused));
    assert!(bus.heard().is_empty());
    bus.publish_payload(b"123456789");
    bus.publish_payload(b"12345678");
    let (sent, taken) = datagrams(&mut link);
    assert_eq!(sent, [&b"12345678"[..]]);
    assert_eq!(
        taken,
        Taken {
            sent: 1,
            too_large: 1,
            ..Taken::default()
        }
    );
    assert_eq!(bus.heard().len(), 2);
}

#[test]
fn an_expired_message_is_not_sent() {
    let bus = Bus::new();
    let mut link = bus.link("lan", &["plant/#"]);
    bus.publish(|message| message.expires_at = Some(Timestamp(NOW.0 + 1)));
    bus.publish(|message| message.expires_at = Some(NOW));
    let (sent, taken) = datagrams(&mut link);
    assert_eq!((sent.len(), taken.expired), (1, 1));
}

#[test]
fn a_link_that_cannot_send_drops_the_oldest() {
    let bus = Bus::new();
    let mut settings = settings("lan", &["plant/#"]);
    settings.waiting = OutboxLimits {
        items_max: 2,
        bytes_max: 1 << 20,
        overflow: Overflow::DropOldest,
    };
    let mut link = Link::new(Arc::clone(&bus.vhost), settings);
    for payload in [&b"1"[..], b"2", b"3"] {
        assert_eq!(bus.publish_payload(payload), 2);
    }
    assert_eq!(datagrams(&mut link).0, [&b"2"[..], b"3"]);
    assert_eq!(link.outbox().dropped(), 1);
}

#[test]
fn a_link_that_is_gone_receives_nothing_and_one_told_to_end_says_so() {
    let bus = Bus::new();
    let mut link = bus.link("lan", &["plant/#"]);
    let reason = "asked to".to_owned();
    link.outbox()
        .notify(Event::Close { reason }, &mut routing::Wakes::default());
    assert!(datagrams(&mut link).1.is_closed);
    drop(link);
    assert_eq!(bus.publish_payload(b"x"), 1);
}

fn link_of(bus: &Bus, codec: Codec, topic: &str, filters: &[&'static str]) -> Link {
    let settings = Settings {
        codec,
        message_bytes_max: 1000,
        ..settings(topic, filters)
    };
    Link::new(Arc::clone(&bus.vhost), settings)
}

fn pubwos() -> Codec {
    Codec::MqttSn(MqttSn {
        version: SnVersion::V2,
        topics: Arc::default(),
        datagram_bytes_max: 1472,
    })
}

#[test]
fn a_topic_that_the_datagram_carries_is_published_and_retained() {
    let bus = Bus::new();
    let mut link = link_of(&bus, pubwos(), "line/{topic}", &[]);
    assert_eq!(
        link.handle_datagram(NOW, b"\x09\x12\x13\0\x03a/bx", FROM),
        Ok(1)
    );
    assert_eq!(bus.heard()[0].address.as_bytes(), "line/a/b");
    assert_eq!(bus.vhost.retained_count(), 1);
}

#[test]
fn no_datagram_reaches_what_is_no_topic_or_not_the_networks() {
    let bus = Bus::new();
    let mut link = link_of(&bus, pubwos(), "{topic}", &[]);
    for name in [&b"a/#"[..], b"$SYS/x", b"$reply/q", b"\xff", b""] {
        let length = u8::try_from(name.len()).unwrap();
        let packet = [&[5 + length, 0x12, 3, 0, length][..], name].concat();
        let refused = link.handle_datagram(NOW, &packet, FROM);
        assert_eq!(refused, Err(Unread::Malformed), "{name:?}");
    }
    assert!(bus.heard().is_empty());
}

#[test]
fn what_a_codec_cannot_say_is_counted_by_its_reason() {
    let bus = Bus::new();
    let lcm = Codec::Lcm(Lcm::new(Arc::new(TopicMap::default()), 1472, 1000));
    let mut link = link_of(&bus, lcm, "{topic}", &["#"]);
    bus.publish(|message| message.address = Address::new("x".repeat(64).into()));
    bus.publish(|message| message.payload = Bytes::from(vec![0; 1001]));
    bus.publish_payload(b"21.5");
    let (sent, taken) = datagrams(&mut link);
    assert_eq!(sent, [&b"LC02\0\0\0\0plant/a\x0021.5"[..]]);
    let counts = (taken.sent, taken.unnamed, taken.too_large);
    assert_eq!(counts, (1, 1, 1));
}

#[test]
fn the_carousel_sends_retained_values_by_turns() {
    let bus = Bus::new();
    for topic in ["plant/a", "plant/b", "other"] {
        bus.publish(|message| {
            message.address = Address::new(topic.into());
            message.payload = Bytes::from_static(topic.as_bytes());
            message.retain = true;
        });
    }
    let settings = Settings {
        carousel_per_second: 2,
        ..settings("lan", &["plant/#"])
    };
    let mut link = Link::new(Arc::clone(&bus.vhost), settings);
    let (mut now, mut out) = (NOW, VecDeque::new());
    for _ in 0..6 {
        link.handle_timeout(now, &mut out);
        assert_eq!(link.poll_timeout(), Some(now.plus_ms(500)));
        now = now.plus_ms(500);
    }
    // After each round one turn finds nothing, and the next begins anew.
    assert_eq!(out, [&b"plant/a"[..], b"plant/b", b"plant/a", b"plant/b"]);
    // Before it is time, nothing.
    link.handle_timeout(now, &mut out);
    let length = out.len();
    link.handle_timeout(now.plus_ms(499), &mut out);
    assert_eq!(out.len(), length);
}
