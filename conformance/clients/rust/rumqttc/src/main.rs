//! rumqttc, MQTT 5: takes the port, prints `ok <case>` for each case.

use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, LastWill, Packet, Publish, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connected client; a thread runs its event loop and sorts what comes.
struct Peer {
    client: Client,
    messages: Receiver<Publish>,
    /// SUBACKs, PUBACKs, PUBCOMPs.
    answers: Receiver<()>,
    connack: ConnAck,
    event_loop: JoinHandle<()>,
}

impl Peer {
    fn connect(id: &str, expiry: Option<u32>, will: Option<&str>) -> Self {
        let port = std::env::args().nth(1).expect("a port").parse().expect("a port");
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_clean_start(expiry.is_none());
        options.set_session_expiry_interval(expiry);
        if let Some(topic) = will {
            options.set_last_will(LastWill::new(topic, "gone", QoS::AtLeastOnce, false, None));
        }
        let (client, mut connection) = Client::new(options, 10);
        let (to_messages, messages) = mpsc::channel();
        let (to_answers, answers) = mpsc::channel();
        let (to_connack, connack) = mpsc::channel();
        let has_will = will.is_some();
        // The loop ends, and with it the socket, at the first error; the one with a will at once.
        let event_loop = thread::spawn(move || {
            while let Ok(Ok(event)) = connection.recv() {
                match event {
                    Event::Incoming(Packet::ConnAck(connack)) => {
                        to_connack.send(connack).expect("somebody waits");
                        if has_will {
                            return;
                        }
                    }
                    Event::Incoming(Packet::Publish(publish)) => drop(to_messages.send(publish)),
                    Event::Incoming(Packet::SubAck(_) | Packet::PubAck(_) | Packet::PubComp(_)) => {
                        let _ = to_answers.send(());
                    }
                    Event::Incoming(_) | Event::Outgoing(_) => {}
                }
            }
        });
        let connack = connack.recv_timeout(PATIENCE).expect("CONNACK");
        Self { client, messages, answers, connack, event_loop }
    }

    fn subscribe(&self, filter: &str, qos: QoS) {
        self.client.subscribe(filter, qos).expect("a subscription");
        self.answers.recv_timeout(PATIENCE).expect("SUBACK");
    }

    fn publish(&self, topic: &str, payload: &str, qos: QoS, retain: bool, properties: PublishProperties) {
        let payload = payload.to_owned();
        self.client.publish_with_properties(topic, qos, retain, payload, properties).expect("a publish");
        if qos != QoS::AtMostOnce {
            self.answers.recv_timeout(PATIENCE).expect("PUBACK or PUBCOMP");
        }
    }

    fn send(&self, topic: &str, payload: &str, qos: QoS) {
        self.publish(topic, payload, qos, false, PublishProperties::default());
    }

    fn receive(&self) -> Publish {
        self.messages.recv_timeout(PATIENCE).expect("a message")
    }

    fn close(self) {
        self.client.disconnect().expect("an open connection");
        self.event_loop.join().expect("an event loop");
    }
}

fn main() {
    let (peer, other) = (Peer::connect("rumqttc-a", None, None), Peer::connect("rumqttc-b", None, None));
    println!("ok connect");
    for (number, qos) in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().enumerate() {
        let topic = format!("rumqttc/qos{number}");
        peer.subscribe(&topic, qos);
        other.send(&topic, "x", qos);
        let message = peer.receive();
        assert_eq!((&message.payload[..], message.qos, message.retain), (&b"x"[..], qos, false));
        println!("ok qos{number}");
    }
    other.publish("rumqttc/retained", "kept", QoS::AtLeastOnce, true, PublishProperties::default());
    peer.subscribe("rumqttc/retained", QoS::AtLeastOnce);
    let message = peer.receive();
    assert_eq!((&message.payload[..], message.retain), (&b"kept"[..], true));
    println!("ok retained");
    peer.subscribe("rumqttc/will", QoS::AtLeastOnce);
    Peer::connect("rumqttc-will", None, Some("rumqttc/will")).event_loop.join().expect("an end");
    assert_eq!(peer.receive().payload, "gone");
    println!("ok will");
    resume(&other);
    share(&peer, &other);
    ask(&peer, &other);
    peer.close();
    other.close();
}

fn resume(other: &Peer) {
    let sleeper = Peer::connect("rumqttc-session", Some(60), None);
    sleeper.subscribe("rumqttc/away", QoS::AtLeastOnce);
    sleeper.close();
    other.send("rumqttc/away", "while away", QoS::AtLeastOnce);
    let sleeper = Peer::connect("rumqttc-session", Some(60), None);
    assert!(sleeper.connack.session_present);
    assert_eq!(sleeper.receive().payload, "while away");
    sleeper.close();
    println!("ok resume");
}

fn share(peer: &Peer, other: &Peer) {
    for member in [peer, other] {
        member.subscribe("$share/group/rumqttc/shared", QoS::AtLeastOnce);
    }
    let publisher = Peer::connect("rumqttc-c", None, None);
    for number in 0..10 {
        publisher.send("rumqttc/shared", &number.to_string(), QoS::AtLeastOnce);
    }
    let members = [peer, other].into_iter().flat_map(|member| [member; 5]);
    let mut got: Vec<_> = members.map(|member| member.receive().payload).collect();
    got.sort();
    assert_eq!(got, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    publisher.close();
    println!("ok shared");
}

fn ask(peer: &Peer, other: &Peer) {
    peer.subscribe("rumqttc/request", QoS::AtLeastOnce);
    other.subscribe("rumqttc/answer", QoS::AtLeastOnce);
    let asks = PublishProperties {
        response_topic: Some("rumqttc/answer".to_owned()),
        correlation_data: Some("7".into()),
        ..PublishProperties::default()
    };
    other.publish("rumqttc/request", "6*7", QoS::AtLeastOnce, false, asks);
    let request = peer.receive().properties.expect("properties");
    let answers =
        PublishProperties { correlation_data: request.correlation_data, ..PublishProperties::default() };
    let topic = request.response_topic.expect("a response topic");
    peer.publish(&topic, "42", QoS::AtLeastOnce, false, answers);
    let answer = other.receive();
    assert_eq!(answer.payload, "42");
    assert_eq!(answer.properties.and_then(|p| p.correlation_data).as_deref(), Some(&b"7"[..]));
    println!("ok request_response");
}
