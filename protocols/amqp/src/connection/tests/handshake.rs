//! From the first octets to the last: handshake, limits, channels, closing.

use routing::{AuthError, Event, Wakes};

use super::*;
use crate::wire::methods::Tune;

fn connection_reply(reply: ConnectionReply<'_>) -> Vec<u8> {
    said(|out| put_reply(out, ChannelId::CONNECTION, Reply::Connection(reply)))
}

fn started() -> Client {
    let mut client = Client::unconnected(&broker(), Settings::default());
    client.send(b"AMQP\x00\x00\x09\x01");
    client
}

#[test]
fn another_protocol_gets_our_header_and_is_closed() {
    let mut client = Client::unconnected(&broker(), Settings::default());
    assert_eq!(client.send(b"GET / HTTP/1.1\r\n"), b"AMQP\x00\x00\x09\x01");
    assert!(client.connection.is_closing());
}

#[test]
fn start_offers_rabbitmqs_capabilities_and_mechanisms() {
    let mut client = Client::unconnected(&broker(), Settings::default());
    let start = client.send(b"AMQP\x00\x00\x09\x01");
    assert_eq!(&start[..3], [1, 0, 0]);
    let text = String::from_utf8_lossy(&start);
    for part in [
        "PLAIN AMQPLAIN ANONYMOUS",
        "en_US",
        "publisher_confirms",
        "RabbitMQ",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn the_handshake_may_come_byte_by_byte() {
    let mut client = Client::unconnected(&broker(), Settings::default());
    for byte in [&b"AMQP\x00\x00\x09\x01"[..], &start_ok(b"\0guest\0guest")].concat() {
        client.send(&[byte]);
    }
    let tune = Tune {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat_secs: 60,
    };
    let expected = connection_reply(ConnectionReply::Tune(tune));
    assert_eq!(client.authenticated(identity(".*", ".*")), expected);
}

#[test]
fn nothing_is_read_while_the_gateway_checks_the_login() {
    let mut client = started();
    let both = [start_ok(b"\0guest\0guest"), tune_ok(0, 131_072, 0)].concat();
    assert_eq!(client.send(&both), b"");
    assert!(!client.input.is_empty());
}

#[test]
fn a_failed_login_is_told_to_clients_that_ask_for_it() {
    let mut client = started();
    client.send(&start_ok(b"\0guest\0wrong"));
    assert!(client.connection.poll_request().is_some());
    let mut out = OutBuf::default();
    let response = Response::Authenticated(Err(AuthError::BadCredentials));
    client.connection.handle_response(NOW, response, &mut out);
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For \
                details see the broker logfile.";
    assert_eq!(out.to_vec(), connection_closed(403, text, MethodId::NONE));
    client.send(&method_on(
        0,
        MethodId::CONNECTION_CLOSE_OK,
        Args::default(),
    ));
    assert!(client.connection.is_closing());
}

#[test]
fn a_malformed_start_ok_closes_without_a_word() {
    let mut client = started();
    let nested = b"\x01aF\0\0\0\x09\x01bF\0\0\0\x99";
    let start_ok = Args::default()
        .long(nested)
        .short("PLAIN")
        .long(b"")
        .short("");
    assert_eq!(
        client.send(&method_on(0, MethodId::CONNECTION_START_OK, start_ok)),
        b""
    );
    assert!(client.connection.is_closing());
}

#[test]
fn limits_outside_the_offer_are_refused() {
    let cases = [
        (
            tune_ok(2047, 4096, 60),
            "NOT_ALLOWED - negotiated frame_max = 4096 is lower than the minimum allowed value \
             (8192)",
        ),
        (
            tune_ok(4096, 131_072, 60),
            "NOT_ALLOWED - negotiated channel_max = 4096 is higher than the maximum allowed value \
             (2047)",
        ),
    ];
    for (tune_ok, text) in cases {
        let mut client = started();
        client.send(&start_ok(b"\0guest\0guest"));
        client.authenticated(identity(".*", ".*"));
        let expected = connection_closed(530, text, MethodId::CONNECTION_TUNE);
        assert_eq!(client.send(&tune_ok), expected);
    }
}

#[test]
fn a_virtual_host_must_be_there() {
    let mut client = started();
    client.send(&start_ok(b"\0guest\0guest"));
    client.authenticated(identity(".*", ".*"));
    client.send(&tune_ok(0x7FF, 131_072, 60));
    let open = Args::default().short("nosuch").short("").u8(0);
    assert_eq!(
        client.send(&method_on(0, MethodId::CONNECTION_OPEN, open)),
        connection_closed(
            530,
            "NOT_ALLOWED - vhost nosuch not found",
            MethodId::CONNECTION_OPEN
        )
    );
}

#[test]
fn a_slow_handshake_ends() {
    let mut client = started();
    let until = client.connection.poll_timeout().unwrap();
    assert_eq!(until, NOW.plus_ms(10_000));
    client.timeout_at(until);
    assert!(client.connection.is_closing());
}

#[test]
fn heartbeats_are_sent_at_half_the_interval_and_missed_after_two() {
    let mut client = Client::open(&broker());
    assert_eq!(client.connection.poll_timeout(), Some(NOW.plus_ms(30_000)));
    assert_eq!(
        client.timeout_at(NOW.plus_ms(30_000)),
        [8, 0, 0, 0, 0, 0, 0, 0xCE]
    );
    assert_eq!(client.connection.poll_timeout(), Some(NOW.plus_ms(60_000)));
    client.send(&[8, 0, 0, 0, 0, 0, 0, 0xCE]);
    client.timeout_at(NOW.plus_ms(149_999));
    assert!(!client.connection.is_closing());
    client.timeout_at(NOW.plus_ms(150_000));
    assert!(client.connection.is_closing());
}

#[test]
fn a_heartbeat_on_a_channel_is_unexpected() {
    let mut client = Client::open(&broker());
    let text = "UNEXPECTED_FRAME - type 8, all octets = <<>>";
    let expected = connection_closed(505, text, MethodId::NONE);
    assert_eq!(client.send(&[8, 0, 1, 0, 0, 0, 0, 0xCE]), expected);
}

#[test]
fn a_frame_too_large_ends_the_connection_deaf() {
    let mut client = Client::open(&broker());
    let text = "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131073,131064}";
    let expected = connection_closed(501, text, MethodId::NONE);
    assert_eq!(client.send(&[3, 0, 1, 0, 2, 0, 1]), expected);
    assert_eq!(
        client.send(&method_on(
            0,
            MethodId::CONNECTION_CLOSE_OK,
            Args::default()
        )),
        b""
    );
    assert!(!client.connection.is_closing());
    client.timeout_at(NOW.plus_ms(10_000));
    assert!(client.connection.is_closing());
}

#[test]
fn channels_are_opened_before_they_are_used_and_once() {
    let mut client = Client::open(&broker());
    let refused = connection_closed(
        504,
        "CHANNEL_ERROR - second 'channel.open' seen",
        MethodId::CHANNEL_OPEN,
    );
    assert_eq!(
        client.send(&method(MethodId::CHANNEL_OPEN, Args::default().short(""))),
        refused
    );
    let mut client = Client::open(&broker());
    let get = Args::default().u16(0).short("q").u8(0);
    assert_eq!(
        client.send(&method_on(9, MethodId::BASIC_GET, get)),
        connection_closed(
            504,
            "CHANNEL_ERROR - expected 'channel.open'",
            MethodId::BASIC_GET
        )
    );
}

#[test]
fn channels_are_limited() {
    let settings = Settings {
        channels_max: 1,
        ..Settings::default()
    };
    let mut client = Client::unconnected(&broker(), settings);
    client.send(b"AMQP\x00\x00\x09\x01");
    client.send(&start_ok(b"\0guest\0guest"));
    client.authenticated(identity(".*", ".*"));
    client.send(&tune_ok(1, 131_072, 0));
    client.send(&method_on(
        0,
        MethodId::CONNECTION_OPEN,
        Args::default().short("/").short("").u8(0),
    ));
    client.send(&method_on(
        1,
        MethodId::CHANNEL_OPEN,
        Args::default().short(""),
    ));
    let text =
        "NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)";
    assert_eq!(
        client.send(&method_on(
            2,
            MethodId::CHANNEL_OPEN,
            Args::default().short("")
        )),
        connection_closed(530, text, MethodId::NONE)
    );
}

#[test]
fn a_closed_channel_ignores_all_until_close_ok_and_can_be_opened_again() {
    let mut client = Client::open(&broker());
    let get = || method(MethodId::BASIC_GET, Args::default().u16(0).short("x").u8(0));
    let closed = channel_closed(
        404,
        "NOT_FOUND - no queue 'x' in vhost '/'",
        MethodId::BASIC_GET,
    );
    assert_eq!(client.send(&get()), closed);
    assert_eq!(client.send(&get()), b"");
    client.send(&method(MethodId::CHANNEL_CLOSE_OK, Args::default()));
    let opened = client.send(&method(MethodId::CHANNEL_OPEN, Args::default().short("")));
    assert_eq!(opened, reply(Reply::Channel(ChannelReply::OpenOk)));
    assert_eq!(client.send(&get()), closed);
}

#[test]
fn flow_can_be_started_but_not_stopped() {
    let mut client = Client::open(&broker());
    let flow = |active| method(MethodId::CHANNEL_FLOW, Args::default().u8(active));
    assert_eq!(
        client.send(&flow(1)),
        reply(Reply::Channel(ChannelReply::FlowOk { active: true }))
    );
    let text = "NOT_IMPLEMENTED - active=false";
    assert_eq!(
        client.send(&flow(0)),
        connection_closed(540, text, MethodId::CHANNEL_FLOW)
    );
}

#[test]
fn close_is_answered_and_ends_the_connection() {
    let mut client = Client::open(&broker());
    let close = Args::default().u16(200).short("bye").u16(0).u16(0);
    assert_eq!(
        client.send(&method_on(0, MethodId::CONNECTION_CLOSE, close)),
        connection_reply(ConnectionReply::CloseOk)
    );
    assert!(client.connection.is_closing());
}

#[test]
fn a_new_secret_is_taken() {
    let mut client = Client::open(&broker());
    let update = Args::default().long("token").short("expired");
    assert_eq!(
        client.send(&method_on(0, MethodId::CONNECTION_UPDATE_SECRET, update)),
        connection_reply(ConnectionReply::UpdateSecretOk)
    );
}

#[test]
fn the_server_says_goodbye_when_it_stops() {
    let mut client = Client::open(&broker());
    let mut out = OutBuf::default();
    client.connection.handle_shutdown(NOW, &mut out);
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    assert_eq!(out.to_vec(), connection_closed(320, text, MethodId::NONE));
    client.send(&method_on(
        0,
        MethodId::CONNECTION_CLOSE_OK,
        Args::default(),
    ));
    assert!(client.connection.is_closing());
}

#[test]
fn an_administrator_ends_a_connection() {
    let mut client = Client::open(&broker());
    let event = Event::Close {
        reason: "maintenance".into(),
    };
    client
        .connection
        .outbox()
        .notify(event, &mut Wakes::default());
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'maintenance'";
    assert_eq!(
        client.receive(),
        connection_closed(320, text, MethodId::NONE)
    );
}

#[test]
fn any_bytes_end_without_a_panic() {
    let broker = broker();
    proptest::proptest!(|(bytes: Vec<u8>)| {
        let mut client = Client::open(&broker);
        client.send(&bytes);
        client.send(&frame(bytes.first().copied().unwrap_or(1) % 4, 1, &bytes));
    });
}
