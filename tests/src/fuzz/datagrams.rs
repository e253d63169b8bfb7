//! What anybody on the network can send to a LAN link, by codec, and to an MQTT-SN gateway.
//!
//! The input is a list of datagrams: `u8 sender, u16 length, bytes`. Whatever they say, a link
//! publishes no more messages than a datagram has bytes, and a gateway answers who has no session
//! with no more bytes than he sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Buf;
use lan::sn::{Downward, Gateway, Receivers, ReturnCode, Upward};
use lan::{
    Codec, Envelope, Lcm, Link, MappedTopic, MqttSn, Raw, Settings, SnVersion, TopicMap,
    TopicTemplate, Uadp,
};
use routing::{Broker, Timestamp};

const START: Timestamp = Timestamp(1_700_000_000_000);

/// What passes between two datagrams.
const TICK_MS: u64 = 500;

const DATAGRAM_BYTES_MAX: usize = 1472;
const MESSAGE_BYTES_MAX: usize = 65_536;

/// A link of the codec `raw`, each line a message.
pub fn lan_raw(script: &[u8]) {
    let raw = Raw {
        payload_bytes_max: MESSAGE_BYTES_MAX,
        split_lines: true,
    };
    link(Codec::Raw(raw), TopicTemplate::default(), script);
}

/// A link of the codec `mqtt-sn`, which reads both versions.
pub fn lan_mqtt_sn(script: &[u8]) {
    let codec = MqttSn {
        version: SnVersion::V2,
        topics: topics(),
        datagram_bytes_max: DATAGRAM_BYTES_MAX,
    };
    link(Codec::MqttSn(codec), TopicTemplate::carried(), script);
}

/// A link of the codec `lcm`.
pub fn lan_lcm(script: &[u8]) {
    let codec = Lcm::new(topics(), DATAGRAM_BYTES_MAX, MESSAGE_BYTES_MAX);
    link(Codec::Lcm(codec), TopicTemplate::carried(), script);
}

/// A link of the codec `uadp`.
pub fn lan_uadp(script: &[u8]) {
    let codec = Uadp::new(topics(), (2234, 100), DATAGRAM_BYTES_MAX);
    link(Codec::Uadp(codec), TopicTemplate::carried(), script);
}

fn topics() -> Arc<TopicMap> {
    let fields = [
        "a:Double",
        "b:Boolean",
        "c:String",
        "d:ByteString",
        "e:Int64",
    ];
    let fields = fields.iter().filter_map(|field| field.parse().ok());
    let topic = MappedTopic {
        topic: "plant/a".into(),
        id: Some(7),
        channel: Some("A".into()),
        fields: fields.collect(),
    };
    Arc::new(TopicMap::new(vec![topic]))
}

fn link(codec: Codec, topic: TopicTemplate, mut script: &[u8]) {
    let broker = Broker::in_memory(vec![&lan::ORIGIN]);
    let Some(vhost) = broker.vhost("/") else {
        return;
    };
    let settings = Settings {
        codec,
        topic,
        message_bytes_max: MESSAGE_BYTES_MAX,
        ..Settings::default()
    };
    let mut link = Link::new(Arc::clone(vhost), settings);
    while let Some((source, datagram)) = next(&mut script) {
        let envelope = Envelope {
            group: IpAddr::V4(Ipv4Addr::new(239, 192, 0, 1)),
            port: 5000,
            source,
        };
        if let Ok(count) = link.handle_datagram(START, datagram, envelope) {
            let bytes = u64::try_from(datagram.len()).unwrap_or(u64::MAX);
            assert!(count <= bytes + 1, "{count} messages of {bytes} bytes");
        }
        link.flush();
    }
}

/// A gateway for devices whose MQTT side says yes to all, and echoes what is published.
pub fn mqtt_sn_gateway(mut script: &[u8]) {
    let settings = lan::sn::Settings {
        topics: topics(),
        clients_max: 4,
        topics_max: 8,
        waiting_max: 32,
        inflight_max: 4,
        ..lan::sn::Settings::default()
    };
    let (mut gateway, mut now) = (Gateway::new(settings, START), START);
    while let Some((from, datagram)) = next(&mut script) {
        let is_to_all = from.port() % 4 == 3;
        // A device that slept may come back from another port, and says who it is.
        let returns = datagram.get(1) == Some(&0x16);
        let is_stranger = !gateway.has_client(from) && !returns;
        gateway.handle_datagram(now, from, datagram, is_to_all);
        let sent = transmit(&mut gateway);
        assert!(
            !is_stranger || sent <= datagram.len(),
            "{sent} bytes for {datagram:?}"
        );
        assert!(gateway.clients() <= 4);
        answer(&mut gateway, now);
        transmit(&mut gateway);
        now = now.plus_ms(TICK_MS);
        gateway.handle_timeout(now);
        answer(&mut gateway, now);
        transmit(&mut gateway);
    }
    // All of them are silent from now on, and end.
    gateway.handle_timeout(now.plus_ms(1_000_000_000));
    assert_eq!(gateway.clients(), 0, "a silent client stays");
}

/// Bytes that a gateway sends to single devices.
fn transmit(gateway: &mut Gateway) -> usize {
    let sent = std::iter::from_fn(|| gateway.poll_transmit());
    let to_one = sent.filter(|sent| sent.to != Receivers::All);
    to_one.map(|sent| sent.datagram.len()).sum()
}

/// The MQTT side, for as many words as a real one would say to one datagram.
fn answer(gateway: &mut Gateway, now: Timestamp) {
    const WORDS_MAX: usize = 64;
    for _ in 0..WORDS_MAX {
        let Some((line, word)) = gateway.poll_upward() else {
            return;
        };
        let yes = ReturnCode::Accepted;
        let mut say = |word| gateway.handle_downward(now, line, word);
        match word {
            Upward::Connect(_) => say(Downward::Connack(yes)),
            Upward::Publish(message) => {
                match message.qos {
                    0 => {}
                    1 => say(Downward::Puback(message.id, yes)),
                    _ => say(Downward::Pubrec(message.id, yes)),
                }
                say(Downward::Publish(message));
            }
            Upward::Pubrel(id) => say(Downward::Pubcomp(id)),
            Upward::Pubrec(id) => say(Downward::Pubrel(id)),
            Upward::Subscribe { id, qos, .. } => say(Downward::Suback(id, Ok(qos))),
            Upward::Unsubscribe { id, .. } => say(Downward::Unsuback(id)),
            Upward::Disconnect { .. } | Upward::Lost => say(Downward::Closed),
            Upward::Puback(_) | Upward::Pubcomp(_) => {}
        }
    }
}

fn next<'a>(script: &mut &'a [u8]) -> Option<(SocketAddr, &'a [u8])> {
    let sender = script.try_get_u8().ok()?;
    let length = usize::from(script.try_get_u16().ok()?).min(script.len());
    let (datagram, rest) = script.split_at_checked(length)?;
    *script = rest;
    Some((SocketAddr::from(([10, 77, 0, 1], sender.into())), datagram))
}
