//! Other ways in than TCP: WebSockets, Unix sockets, and TCP behind a proxy.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use tests::{RawClient, TestGateway};

/// MQTT 3.1.1 CONNECT of client `a`, clean, and the CONNACK it gets.
const MQTT_CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
const MQTT_CONNACK: &[u8] = b"\x20\x02\x00\x00";
/// Not authorized.
const MQTT_REFUSED: &[u8] = b"\x20\x02\x00\x05";

const UPGRADE: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n";

const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    sec-websocket-protocol: mqtt\r\n\r\n";

/// A binary message of a client whose mask is 0.
fn message(payload: &[u8]) -> Vec<u8> {
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    [&[0x82, length, 0, 0, 0, 0], payload].concat()
}

fn with_web_sockets(data: &std::path::Path, more: &[&str]) -> TestGateway {
    let settings = [
        "listeners.mqtt_ws.enabled = true",
        "listeners.mqtt_ws.bind = \"127.0.0.1:0\"",
    ];
    TestGateway::start(data, &[&settings[..], more].concat())
}

#[test]
fn mqtt_in_web_sockets_meets_mqtt_over_tcp() {
    let data = tempfile::tempdir().unwrap();
    let gateway = with_web_sockets(data.path(), &[]);
    let mut page = gateway.connect("mqtt_ws");
    page.send(&[UPGRADE, b"\r\n"].concat()).expect(UPGRADED);
    page.send(&message(MQTT_CONNECT))
        .expect(b"\x82\x04")
        .expect(MQTT_CONNACK);
    page.send(&message(b"\x82\x06\x00\x01\x00\x01t\x00"))
        .expect(b"\x82\x05\x90\x03\x00\x01\x00");
    let mut device = gateway.connect("mqtt");
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b";
    device.send(connect).expect(MQTT_CONNACK);
    device.send(b"\x30\x05\x00\x01t21");
    page.expect(b"\x82\x07\x30\x05\x00\x01t21");
    // A payload larger than one message of ours arrives whole, in several.
    let mut payload = b"\x30\xE3\xA7\x12\x00\x01t".to_vec();
    payload.resize(payload.len() + 300_000, b'x');
    device.send(&payload);
    let mut got = Vec::new();
    while got.len() < payload.len() {
        got.extend(receive_message(&mut page));
    }
    assert!(got == payload);
    gateway.stop();
}

/// One binary message of the gateway.
fn receive_message(client: &mut RawClient) -> Vec<u8> {
    let mut head = [0; 2];
    client.receive(&mut head);
    assert_eq!(head[0], 0x82);
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            client.receive(&mut length);
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            client.receive(&mut length);
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    client.receive(&mut payload);
    payload
}

#[test]
fn a_page_from_elsewhere_is_no_local_guest() {
    let data = tempfile::tempdir().unwrap();
    let gateway = with_web_sockets(data.path(), &["listeners.mqtt_ws.origins = \"*\""]);
    let mut page = gateway.connect("mqtt_ws");
    let origin = b"Origin: https://evil.example\r\n\r\n";
    page.send(&[UPGRADE, origin].concat()).expect(UPGRADED);
    page.send(&message(MQTT_CONNECT))
        .expect(b"\x82\x04")
        .expect(MQTT_REFUSED);
    gateway.stop();
}

#[test]
fn every_messaging_protocol_is_served_at_unix_sockets() {
    let data = tempfile::tempdir().unwrap();
    let binds = ["amqp", "mqtt", "resp"].map(|protocol| {
        let path = data.path().join(protocol);
        format!("listeners.{protocol}.bind = \"unix:{}\"", path.display())
    });
    let binds = binds.each_ref().map(String::as_str);
    let gateway = TestGateway::start(&data.path().join("journal"), &binds);
    let exchange = |protocol: &str, sent: &[u8], received: &[u8]| {
        let mut client = UnixStream::connect(gateway.socket(protocol)).unwrap();
        client.write_all(sent).unwrap();
        let mut got = vec![0; received.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, received);
    };
    exchange("mqtt", MQTT_CONNECT, MQTT_CONNACK);
    exchange("resp", b"PING\r\n", b"+PONG\r\n");
    exchange("amqp", b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00");
    let paths = ["amqp", "mqtt", "resp"].map(|protocol| gateway.socket(protocol).to_owned());
    gateway.stop();
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn a_proxy_names_its_client() {
    let data = tempfile::tempdir().unwrap();
    let behind_proxy = [
        "listeners.mqtt.proxy_protocol = true",
        "listeners.resp.proxy_protocol = true",
    ];
    let gateway = TestGateway::start(data.path(), &behind_proxy);
    // The anonymous user is let in from this machine only: 192.0.2.7 is not.
    let far = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 1883\r\n";
    let near = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\x7F\0\0\x01\x7F\0\0\x01\x10\x00\x07\x5B";
    let connect = |header: &[u8]| {
        let mut client = gateway.connect("mqtt");
        client.send(&[header, MQTT_CONNECT].concat());
        client
    };
    connect(far).expect(MQTT_REFUSED);
    connect(near).expect(MQTT_CONNACK);
    connect(b"").expect_end();
    let mut redis = gateway.connect("resp");
    redis.send(b"PROXY TCP4 127.0.0.9 127.0.0.1 4711 6379\r\nCLIENT INFO\r\n");
    let mut length = [0; 6];
    redis.receive(&mut length);
    let mut info = [0; 60];
    redis.receive(&mut info);
    let info = String::from_utf8_lossy(&info);
    assert!(info.contains("addr=127.0.0.9:4711"), "{info}");
    gateway.stop();
}
