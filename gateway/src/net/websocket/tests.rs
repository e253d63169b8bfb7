//! A WebSocket against raw bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// The handshake of RFC 6455 §1.3, with more header lines.
fn handshake(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: plant.example:15675\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}

const MQTT: &str = "Sec-WebSocket-Protocol: chat, mqtt\r\n";

fn terms() -> Terms {
    Terms {
        path: None,
        origins: vec!["https://panel.example".to_owned()],
        message_bytes_max: 100,
    }
}

/// Sends a handshake; returns what came back, and the stream if there is one.
async fn shake(
    request: String,
    terms: Terms,
) -> (
    String,
    DuplexStream,
    Option<(WebSocket<DuplexStream>, bool)>,
) {
    let (mut client, server) = duplex(4096);
    client.write_all(request.as_bytes()).await.unwrap();
    let accepted = accept(server, &terms).await;
    let mut answer = vec![0; 1024];
    let length = client.read(&mut answer).await.unwrap();
    answer.truncate(length);
    (String::from_utf8(answer).unwrap(), client, accepted.ok())
}

async fn open() -> (DuplexStream, WebSocket<DuplexStream>) {
    let (_, client, accepted) = shake(handshake("/mqtt", MQTT), terms()).await;
    (client, accepted.unwrap().0)
}

/// A frame of a client whose mask is 0.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    [&[first_byte, length, 0, 0, 0, 0], payload].concat()
}

async fn expect(client: &mut DuplexStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(got, bytes);
}

#[tokio::test]
async fn the_subprotocol_is_mqtt_mqtt_6_0_0_4() {
    let (answer, _, accepted) = shake(handshake("/any", MQTT), terms()).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let answer = answer.to_lowercase();
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="));
    assert!(
        answer.contains("sec-websocket-protocol: mqtt\r\n"),
        "{answer}"
    );
    assert!(accepted.unwrap().1);
}

#[tokio::test]
async fn other_handshakes_are_refused() {
    let served = Terms {
        path: Some("/mqtt".to_owned()),
        ..terms()
    };
    let foreign = format!("{MQTT}Origin: https://evil.example\r\n");
    for (path, lines, status) in [
        ("/ws", MQTT, "404"),
        ("/mqtt", "", "400"),
        ("/mqtt", "Sec-WebSocket-Protocol: chat\r\n", "400"),
        ("/mqtt", &foreign, "403"),
    ] {
        let (answer, _, accepted) = shake(handshake(path, lines), served.clone()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(accepted.is_none());
    }
}

#[tokio::test]
async fn pages_of_elsewhere_are_not_trusted_as_this_machine() {
    for (origin, is_trusted) in [
        ("https://panel.example", false),
        ("http://plant.example:8080", false),
        ("null", false),
    ] {
        let lines = format!("{MQTT}Origin: {origin}\r\n");
        let mut terms = terms();
        terms.origins.push("null".to_owned());
        let (_, _, accepted) = shake(handshake("/", &lines), terms).await;
        assert_eq!(accepted.unwrap().1, is_trusted, "{origin}");
    }
    assert!(is_of_this_machine("http://localhost:3000"));
    assert!(is_of_this_machine("http://[::1]:3000"));
    assert!(!is_of_this_machine("http://localhost.evil.example"));
}

#[tokio::test]
async fn bounds_of_messages_mean_nothing_mqtt_6_0_0_2() {
    let (mut client, mut server) = open().await;
    // Two messages, the second in two fragments.
    for part in [frame(0x82, b"ab"), frame(0x02, b"c"), frame(0x80, b"def")] {
        client.write_all(&part).await.unwrap();
    }
    let mut got = [0; 6];
    server.read_exact(&mut got[..3]).await.unwrap();
    server.read_exact(&mut got[3..]).await.unwrap();
    assert_eq!(&got, b"abcdef");
    let slices = [IoSlice::new(b"\xD0\x00"), IoSlice::new(b"x")];
    let written = server.write_vectored(&slices).await.unwrap();
    assert_eq!(written, 3);
    expect(&mut client, b"\x82\x03\xD0\x00x").await;
}

#[tokio::test]
async fn a_ping_is_answered() {
    let (mut client, mut server) = open().await;
    client.write_all(&frame(0x89, b"hi")).await.unwrap();
    client.write_all(&frame(0x82, b"a")).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'a');
    server.flush().await.unwrap();
    expect(&mut client, b"\x8A\x02hi").await;
}

#[tokio::test]
async fn a_text_message_ends_the_connection_mqtt_6_0_0_1() {
    let (mut client, mut server) = open().await;
    client.write_all(&frame(0x81, b"hello")).await.unwrap();
    assert!(server.read_u8().await.is_err());
    server.shutdown().await.unwrap();
    // Close, 1003: unsupported data. RFC 6455 §7.4.1
    expect(&mut client, b"\x88\x02\x03\xEB").await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_connection() {
    let (mut client, mut server) = open().await;
    client.write_all(&frame(0x82, &[b'x'; 101])).await.unwrap();
    assert!(server.read_u8().await.is_err());
    server.shutdown().await.unwrap();
    expect(&mut client, b"\x88\x02\x03\xF1").await;
}

#[tokio::test]
async fn goodbye_is_a_closing_frame() {
    let (mut client, mut server) = open().await;
    server.shutdown().await.unwrap();
    expect(&mut client, b"\x88\x02\x03\xE8").await;
    client.write_all(&frame(0x88, b"\x03\xE8")).await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}
