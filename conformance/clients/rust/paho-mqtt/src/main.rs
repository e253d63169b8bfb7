//! paho-mqtt (Paho's C library), MQTT 5: takes the port, prints `ok <case>` for each case.

use std::time::Duration;

use paho_mqtt::{
    Client, ConnectOptionsBuilder, CreateOptionsBuilder, Message, MessageBuilder, Properties,
    PropertyCode, SyncReceiver,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connected client.
struct Peer {
    client: Client,
    messages: SyncReceiver<Option<Message>>,
    is_resumed: bool,
}

impl Peer {
    fn connect(id: &str, expiry_s: Option<u32>, will: Option<&str>) -> Self {
        let port = std::env::args().nth(1).expect("a port");
        let options = CreateOptionsBuilder::new()
            .server_uri(format!("mqtt://127.0.0.1:{port}"))
            .client_id(id)
            .persistence(None)
            .finalize();
        let client = Client::new(options).expect("a client");
        let messages = client.start_consuming();
        let mut properties = Properties::new();
        properties.push_u32(PropertyCode::SessionExpiryInterval, expiry_s.unwrap_or(0)).expect("a property");
        let mut options = ConnectOptionsBuilder::new_v5();
        options.clean_start(expiry_s.is_none()).properties(properties);
        if let Some(topic) = will {
            options.will_message(Message::new(topic, "gone", 1));
        }
        let connack = client.connect(options.finalize()).expect("CONNACK");
        let is_resumed = connack.connect_response().expect("an answer").session_present;
        Self { client, messages, is_resumed }
    }

    fn subscribe(&self, filter: &str, qos: i32) {
        self.client.subscribe(filter, qos).expect("SUBACK");
    }

    fn publish(&self, topic: &str, payload: &str, qos: i32) {
        self.client.publish(Message::new(topic, payload, qos)).expect("a publish");
    }

    fn receive(&self) -> Message {
        self.messages.recv_timeout(PATIENCE).expect("a message").expect("a connection")
    }

    fn close(self) {
        self.client.disconnect(None).expect("an open connection");
    }
}

fn main() {
    let (peer, other) = (Peer::connect("rpaho-a", None, None), Peer::connect("rpaho-b", None, None));
    println!("ok connect");
    for qos in 0..3 {
        let topic = format!("rpaho/qos{qos}");
        peer.subscribe(&topic, qos);
        other.publish(&topic, "x", qos);
        let message = peer.receive();
        assert_eq!((message.payload(), message.qos() as i32, message.retained()), (&b"x"[..], qos, false));
        println!("ok qos{qos}");
    }
    other.client.publish(Message::new_retained("rpaho/retained", "kept", 1)).expect("a publish");
    peer.subscribe("rpaho/retained", 1);
    let message = peer.receive();
    assert_eq!((message.payload(), message.retained()), (&b"kept"[..], true));
    println!("ok retained");
    peer.subscribe("rpaho/will", 1);
    // A second client of the same identifier ends the first, whose will is then due.
    let first = Peer::connect("rpaho-will", None, Some("rpaho/will"));
    let second = Peer::connect("rpaho-will", None, None);
    assert_eq!(peer.receive().payload(), b"gone");
    second.close();
    drop(first);
    println!("ok will");
    let sleeper = Peer::connect("rpaho-session", Some(60), None);
    sleeper.subscribe("rpaho/away", 1);
    sleeper.close();
    other.publish("rpaho/away", "while away", 1);
    let sleeper = Peer::connect("rpaho-session", Some(60), None);
    assert!(sleeper.is_resumed);
    assert_eq!(sleeper.receive().payload(), b"while away");
    sleeper.close();
    println!("ok resume");
    share(&peer, &other);
    ask(&peer, &other);
    peer.close();
    other.close();
}

fn share(peer: &Peer, other: &Peer) {
    for member in [peer, other] {
        member.subscribe("$share/group/rpaho/shared", 1);
    }
    let publisher = Peer::connect("rpaho-c", None, None);
    for number in 0..10 {
        publisher.publish("rpaho/shared", &number.to_string(), 1);
    }
    let members = [peer, other].into_iter().flat_map(|member| [member; 5]);
    let mut got: Vec<_> = members.map(|member| member.receive().payload_str().into_owned()).collect();
    got.sort();
    assert_eq!(got, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    publisher.close();
    println!("ok shared");
}

fn ask(peer: &Peer, other: &Peer) {
    peer.subscribe("rpaho/request", 1);
    other.subscribe("rpaho/answer", 1);
    let mut asks = Properties::new();
    asks.push_string(PropertyCode::ResponseTopic, "rpaho/answer").expect("a property");
    asks.push_binary(PropertyCode::CorrelationData, b"7".to_vec()).expect("a property");
    let request = MessageBuilder::new().topic("rpaho/request").payload("6*7").qos(1).properties(asks);
    other.client.publish(request.finalize()).expect("a publish");
    let asked = peer.receive();
    let topic = asked.properties().get_string(PropertyCode::ResponseTopic).expect("a response topic");
    let correlation = asked.properties().get_binary(PropertyCode::CorrelationData).expect("correlation data");
    let mut answers = Properties::new();
    answers.push_binary(PropertyCode::CorrelationData, correlation).expect("a property");
    let answer = MessageBuilder::new().topic(topic).payload("42").qos(1).properties(answers);
    peer.client.publish(answer.finalize()).expect("a publish");
    let answered = other.receive();
    assert_eq!(answered.payload(), b"42");
    assert_eq!(answered.properties().get_binary(PropertyCode::CorrelationData).as_deref(), Some(&b"7"[..]));
    println!("ok request_response");
}
