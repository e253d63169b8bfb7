//! MQTT clients that hardly write and clients that never read, through a whole gateway: each is
//! ended by the limit that is for it. What they cost in memory is measured on the binary, by
//! `conformance/suites/mqtt/test_slow.py`.

#![expect(
    clippy::disallowed_methods,
    reason = "how long the gateway waits is what is looked at"
)]

use std::time::{Duration, Instant};

use tests::{RawClient, TestGateway};

/// Between two bytes of a client that hardly writes. It stands for the second of a real one, as the
/// limits here stand for longer ones.
const PACE: Duration = Duration::from_millis(20);

/// A PUBLISH of 1,999,876 bytes, of which only some hundred are ever sent.
const LARGE_PUBLISH: &[u8] = b"\x30\x80\x88\x7A\x00\x01t\x00";

/// A 5.0 CONNECT with this keep alive, in seconds.
fn connect(keep_alive_secs: u8) -> Vec<u8> {
    let head = b"\x10\x0E\x00\x04MQTT\x05\x02\x00";
    [&head[..], &[keep_alive_secs], b"\x00\x00\x01s"].concat()
}

/// The CONNACK of 5.0 with the limits of the defaults.
const CONNACK: &[u8] = b"\x20\x0E\x00\x00\x0B\x22\x00\x0A\x27\x00\x1E\x84\x80\x21\x00\x14";

/// A DISCONNECT of 5.0 with its reason in words.
fn disconnect(reason: u8, words: &str) -> Vec<u8> {
    let length = u8::try_from(words.len()).unwrap();
    let head = [0xE0, length + 5, reason, length + 3, 0x1F, 0, length];
    [&head, words.as_bytes()].concat()
}

/// Drips a large PUBLISH into a connection; returns what the gateway says at the end, and after how
/// long.
fn drip(client: &mut RawClient) -> (Vec<u8>, Duration) {
    let mut bytes = LARGE_PUBLISH.to_vec();
    bytes.resize(400, b'x');
    let started = Instant::now();
    let (_, said) = client.drip(&bytes, PACE);
    (said, started.elapsed())
}

#[test]
fn who_drips_a_connect_is_ended_by_connect_timeout() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &["mqtt.connect_timeout = \"300ms\""]);
    let mut client = gateway.connect("mqtt");
    let started = Instant::now();
    let (_, said) = client.drip(&connect(0).repeat(1000), PACE);
    assert!(started.elapsed() >= Duration::from_millis(290));
    assert_eq!(said, b"");
    gateway.stop();
}

#[test]
fn who_drips_a_packet_is_ended_by_its_keep_alive() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &["mqtt.reason_strings = true"]);
    let mut client = gateway.connect("mqtt");
    client.send(&connect(1)).expect(CONNACK);
    let (said, after) = drip(&mut client);
    assert_eq!(said, disconnect(0x8D, "keep alive timed out"));
    assert!(after >= Duration::from_millis(1400), "{after:?}");
    gateway.stop();
}

#[test]
fn who_drips_a_packet_without_keep_alive_is_ended_by_packet_timeout() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        "mqtt.packet_timeout = \"300ms\"",
        "mqtt.reason_strings = true",
    ];
    let gateway = TestGateway::start(data.path(), &settings);
    let mut client = gateway.connect("mqtt");
    client.send(&connect(0)).expect(CONNACK);
    let (said, after) = drip(&mut client);
    assert_eq!(said, disconnect(0x83, "a packet took too long to arrive"));
    assert!(after >= Duration::from_millis(290), "{after:?}");
    gateway.stop();
}

#[test]
fn who_never_reads_its_messages_is_ended_by_write_timeout() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        "listeners.mqtt.write_timeout = \"300ms\"",
        "mqtt.waiting_bytes_max = \"1MiB\"",
    ];
    let gateway = TestGateway::start(data.path(), &settings);
    // Its will says when it is cut off.
    let mut deaf = gateway.connect("mqtt");
    deaf.send(b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01a\x00\x01w\x00\x01x")
        .expect(b"\x20\x02\x00\x00");
    deaf.send(b"\x82\x06\x00\x01\x00\x01t\x00")
        .expect(b"\x90\x03\x00\x01\x00");
    let mut publisher = gateway.connect("mqtt");
    publisher
        .send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b")
        .expect(b"\x20\x02\x00\x00");
    publisher
        .send(b"\x82\x06\x00\x01\x00\x01w\x00")
        .expect(b"\x90\x03\x00\x01\x00");
    // The sockets hold some MB. The publisher is not held up, and hears of the end at last.
    let mut publish = b"\x30\xA3\x8D\x06\x00\x01t".to_vec();
    publish.resize(4 + 100_003, b'x');
    let started = Instant::now();
    let mut head = [0; 2];
    while head != *b"\x30\x04" {
        assert!(started.elapsed() < Duration::from_secs(20));
        publisher.send(&publish.repeat(10)).send(b"\xC0\x00");
        publisher.receive(&mut head);
    }
    publisher.expect(b"\x00\x01wx");
    gateway.stop();
}

#[test]
fn who_never_reads_the_answers_is_listened_to_no_more_and_ended_by_write_timeout() {
    let data = tempfile::tempdir().unwrap();
    let settings = ["listeners.mqtt.write_timeout = \"300ms\""];
    let gateway = TestGateway::start(data.path(), &settings);
    let mut deaf = gateway.connect("mqtt");
    deaf.send(&connect(0)).expect(CONNACK);
    // Each PINGREQ has an answer as long as itself, so what the gateway takes waits for the client.
    let sent = deaf.pour(&b"\xC0\x00".repeat(50_000), 1 << 28);
    assert!(sent < 1 << 26, "{sent} bytes were taken");
    gateway.stop();
}
