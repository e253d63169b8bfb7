//! MQTT clients that send a byte now and then: each is ended by the limit that names it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tests::TestGateway;

/// How long a client waits between two bytes.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes until the gateway is taken to put up with it.
const BYTES_MAX: usize = 400;

/// Sends bytes one by one, then the last again and again; gives what came until the gateway ended
/// the connection, and how many bytes that took.
fn drip(gateway: &TestGateway, at_once: &[u8], bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut stream = TcpStream::connect(gateway.address("mqtt")).unwrap();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    stream.write_all(at_once).unwrap();
    let mut received = Vec::new();
    let last = bytes.last().into_iter().cycle();
    for (sent, byte) in bytes.iter().chain(last).enumerate().take(BYTES_MAX) {
        let written = stream.write_all(&[*byte]);
        let mut chunk = [0; 64];
        match stream.read(&mut chunk) {
            Ok(0) => return (received, sent),
            Ok(count) => received.extend(chunk.into_iter().take(count)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (received, sent),
            Err(_) => written.unwrap(),
        }
    }
    (received, BYTES_MAX)
}

#[test]
fn a_connect_that_comes_byte_by_byte_is_ended_by_the_connect_timeout() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &["mqtt.connect_timeout = \"500ms\""]);
    let connect = b"\x10\x70\x00\x04MQTT\x04\x02\x00\x00\x00\x64c";
    let (received, sent) = drip(&gateway, &[], connect);
    assert!(received.is_empty(), "{received:02x?}");
    // The CONNECT would be whole after 114 bytes.
    assert!(sent < 114, "{sent}");
    gateway.stop();
}

#[test]
fn a_publish_that_comes_byte_by_byte_is_ended_by_the_keep_alive_mqtt_3_1_2_22() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[]);
    // Keep alive 1 s.
    let connect = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x01\x00\x00\x01c";
    let (received, sent) = drip(&gateway, connect, b"\x30\xFF\x7F\x00\x01t\x00x");
    assert!(received.starts_with(b"\x20\x0E"), "{received:02x?}");
    assert!(sent < BYTES_MAX, "{sent}");
    gateway.stop();
}
