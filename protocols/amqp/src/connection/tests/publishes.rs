//! Messages coming in: content, returns, properties, direct reply-to.

use super::*;
use crate::wire::{deliver::put_return, replies::BasicReply, table::ArrayBuf};

fn get(bits: u8) -> Vec<u8> {
    method(
        MethodId::BASIC_GET,
        Args::default().u16(0).short("q").u8(bits),
    )
}

/// Flags and one short string.
fn property(flag: u16, text: &str) -> Vec<u8> {
    [
        &flag.to_be_bytes()[..],
        &[u8::try_from(text.len()).unwrap()],
        text.as_bytes(),
    ]
    .concat()
}

const CORRELATION_ID: u16 = 0x0400;
const REPLY_TO: u16 = 0x0200;
const EXPIRATION: u16 = 0x0100;
const USER_ID: u16 = 0x0010;

fn headers(entries: &[(&str, Value<'_>)]) -> Vec<u8> {
    let table = table(entries);
    let inside = table.table().as_bytes();
    let len = u32::try_from(inside.len()).unwrap().to_be_bytes();
    [&[0x20, 0][..], &len, inside].concat()
}

fn refusal(properties: &[u8]) -> Vec<u8> {
    Client::with_queue(&broker()).send(&publish_to(("", "q"), 0, properties, b"x"))
}

#[test]
fn a_message_arrives_as_it_was_published() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    let properties = headers(&[
        ("z", Value::I8(1)),
        ("a", Value::Void),
        ("z", Value::Bool(true)),
    ]);
    let expected = Delivered {
        tag: 1,
        redelivered: Redelivered::No,
        exchange: "",
        key: "q",
        properties: &properties,
        body: b"body",
    };
    let said = client.send(&publish_to(("", "q"), 0, &properties, b"body"));
    assert_eq!(said, expected.bytes());
    assert_eq!(
        said[..30],
        *b"\x01\0\x01\0\0\0\x12\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\x01\0\0\x01q\xce\x02\0\x01\0"
    );
}

#[test]
fn a_publish_may_be_split_at_every_byte() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    let mut bytes = publish_frames("", "q", 0);
    bytes.extend(frame(2, 1, b"\0\x3c\0\0\0\0\0\0\0\0\0\x05\0\0"));
    bytes.extend(frame(3, 1, b"hel"));
    bytes.extend(frame(3, 1, b"lo"));
    for (split, tag) in (0..bytes.len()).zip(1..) {
        let (head, tail) = bytes.split_at(split);
        let said = [client.send(head), client.send(tail)].concat();
        assert_eq!(said, delivered(tag, b"hello"), "split at {split}");
    }
}

#[test]
fn bodies_are_of_any_size_up_to_the_limit() {
    let settings = Settings {
        message_bytes_max: 300_000,
        ..Settings::default()
    };
    let mut client = Client::open_as(&broker(), settings, identity(".*", ".*"));
    client.send(&declare("q", 0, &TableBuf::new()));
    client.send(&consume("q", "t", 2));
    assert_eq!(client.send(&publish(b"")), delivered(1, b""));
    let large: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    assert_eq!(client.send(&publish(&large)), delivered(2, &large));
    let text =
        "PRECONDITION_FAILED - message size 300001 is larger than configured max size 300000";
    let expected = channel_closed(406, text, MethodId::BASIC_PUBLISH);
    assert_eq!(client.send(&publish(&[0; 300_001])), expected);
}

#[test]
fn content_comes_in_its_order() {
    let publish = publish_frames("", "q", 0);
    let header = frame(2, 1, b"\0\x3c\0\0\0\0\0\0\0\0\0\x05\0\0");
    let body = frame(3, 1, b"hello!");
    let other_class = frame(2, 1, b"\0\x32\0\0\0\0\0\0\0\0\0\x05\0\0");
    let stray = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    assert_eq!(
        Client::with_queue(&broker()).send(&body),
        connection_closed(505, stray, MethodId::NONE)
    );
    let cases = [
        (
            vec![&publish, &body],
            "expected content header for class 60, got non content header frame instead",
        ),
        (
            vec![&publish, &publish],
            "expected content header for class 60, got non content header frame instead",
        ),
        (
            vec![&publish, &other_class],
            "expected content header for class 60, got one for class 50 instead",
        ),
        (
            vec![&publish, &header, &header],
            "expected content body, got non content body frame instead",
        ),
    ];
    for (frames, text) in cases {
        let bytes: Vec<u8> = frames.into_iter().flatten().copied().collect();
        let text = format!("UNEXPECTED_FRAME - {text}");
        let expected = connection_closed(505, &text, MethodId::BASIC_PUBLISH);
        assert_eq!(Client::with_queue(&broker()).send(&bytes), expected);
    }
    let text = "FRAME_ERROR - content body frame exceeds remaining content size";
    assert_eq!(
        Client::with_queue(&broker()).send(&[publish, header, body].concat()),
        connection_closed(501, text, MethodId::BASIC_PUBLISH)
    );
}

#[test]
fn a_mandatory_message_without_receivers_comes_back() {
    let mut client = Client::with_queue(&broker());
    let to = PublishedTo {
        exchange: b"amq.direct",
        routing_key: b"nobody",
    };
    let returned = said(|out| {
        put_return(out, CH, (312, b"NO_ROUTE"), to);
        put_content(out, CH, PERSISTENT, &Bytes::from_static(b"x"), 131_072);
    });
    let publish = |bits| publish_to(("amq.direct", "nobody"), bits, PERSISTENT, b"x");
    assert_eq!(client.send(&publish(1)), returned);
    assert_eq!(client.send(&publish(0)), b"");
}

#[test]
fn immediate_is_not_implemented() {
    let text = "NOT_IMPLEMENTED - immediate=true";
    assert_eq!(
        Client::with_queue(&broker()).send(&publish_to(("", "q"), 2, PLAIN, b"x")),
        connection_closed(540, text, MethodId::BASIC_PUBLISH)
    );
}

#[test]
fn a_missing_or_internal_exchange_closes_the_channel() {
    let mut client = Client::open(&broker());
    assert_eq!(
        client.send(&publish_to(("x", "k"), 0, PLAIN, b"")),
        channel_closed(
            404,
            "NOT_FOUND - no exchange 'x' in vhost '/'",
            MethodId::BASIC_PUBLISH
        )
    );
    let mut client = Client::open(&broker());
    let internal = Args::default()
        .u16(0)
        .short("i")
        .short("fanout")
        .u8(8)
        .long([]);
    client.send(&method(MethodId::EXCHANGE_DECLARE, internal));
    assert_eq!(
        client.send(&publish_to(("i", "k"), 0, PLAIN, b"")),
        channel_closed(
            403,
            "ACCESS_REFUSED - cannot publish to internal exchange 'i' in vhost '/'",
            MethodId::BASIC_PUBLISH
        )
    );
}

#[test]
fn expiration_is_decimal_milliseconds() {
    let cases = [
        ("abc", "no_integer"),
        ("12x", "{leftover_string,\"x\"}"),
        ("-1", "{value_negative,-1}"),
        ("315360000001", "{value_too_large,315360000001}"),
        ("", "no_integer"),
    ];
    for (expiration, why) in cases {
        let text = format!("PRECONDITION_FAILED - invalid expiration '{expiration}': {why}");
        let expected = channel_closed(406, &text, MethodId::BASIC_PUBLISH);
        assert_eq!(refusal(&property(EXPIRATION, expiration)), expected);
    }
}

#[test]
fn an_expired_message_is_delivered_to_nobody() {
    let mut client = Client::with_queue(&broker());
    client.send(&publish_to(
        ("", "q"),
        0,
        &property(EXPIRATION, "1000"),
        b"x",
    ));
    client.now = NOW.plus_ms(1000);
    assert_eq!(
        client.send(&get(1)),
        reply(Reply::Basic(BasicReply::GetEmpty))
    );
}

#[test]
fn a_user_id_is_the_publishers_own() {
    assert_eq!(refusal(&property(USER_ID, "guest")), b"");
    let text = "PRECONDITION_FAILED - user_id property set to 'zed' but authenticated user was \
                'guest'";
    let expected = channel_closed(406, text, MethodId::BASIC_PUBLISH);
    assert_eq!(refusal(&property(USER_ID, "zed")), expected);
}

#[test]
fn malformed_properties_close_the_connection() {
    let text = "SYNTAX_ERROR - field value of unknown type 90";
    let properties = b"\x20\0\0\0\0\x03\x01hZ";
    assert_eq!(
        refusal(properties),
        connection_closed(502, text, MethodId::BASIC_PUBLISH)
    );
}

#[test]
fn cc_and_bcc_are_keys_too_and_nobody_sees_bcc() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    for queue in ["r", "s"] {
        client.send(&declare(queue, 0, &TableBuf::new()));
    }
    client.send(&consume("q", "t", 0));
    let keys = |keys: &[&[u8]]| {
        let mut array = ArrayBuf::new();
        keys.iter()
            .for_each(|key| array.push(Value::LongString(key)));
        array
    };
    let (cc, bcc) = (keys(&[b"r", b"q"]), keys(&[b"s"]));
    let cc = Value::Array(cc.array());
    let sent = headers(&[
        ("CC", cc),
        ("BCC", Value::Array(bcc.array())),
        ("b", Value::U8(2)),
    ]);
    let kept = headers(&[("CC", cc), ("b", Value::U8(2))]);
    let expected = Delivered {
        tag: 1,
        redelivered: Redelivered::No,
        exchange: "",
        key: "q",
        properties: &kept,
        body: b"x",
    };
    assert_eq!(
        client.send(&publish_to(("", "q"), 0, &sent, b"x")),
        expected.bytes()
    );
    for queue in ["r", "s"] {
        assert_eq!(
            broker
                .vhost("/")
                .unwrap()
                .queue(queue)
                .unwrap()
                .status()
                .messages,
            1
        );
    }
}

#[test]
fn cc_of_another_type_is_refused() {
    let text = "PRECONDITION_FAILED - invalid message: \
                {unacceptable_type_in_header,\"CC\",longstr}";
    let properties = headers(&[("CC", Value::LongString(b"r"))]);
    let expected = channel_closed(406, text, MethodId::BASIC_PUBLISH);
    assert_eq!(refusal(&properties), expected);
}

#[test]
fn a_copy_needs_the_permission_of_where_it_leads() {
    let settings = Settings::default();
    let user = identity("^(amq\\.default|q)$", ".*");
    let mut client = Client::open_as(&broker(), settings, user);
    let mut keys = ArrayBuf::new();
    keys.push(Value::LongString(b"$topic/a"));
    let properties = headers(&[("CC", Value::Array(keys.array()))]);
    let text = "ACCESS_REFUSED - write access to exchange 'amq.topic' in vhost '/' refused for \
                user 'guest'";
    let expected = channel_closed(403, text, MethodId::BASIC_PUBLISH);
    assert_eq!(
        client.send(&publish_to(("", "q"), 0, &properties, b"x")),
        expected
    );
}

#[test]
fn a_key_of_any_bytes_is_relayed() {
    let mut client = Client::with_queue(&broker());
    let bind = Args::default()
        .u16(0)
        .short("q")
        .short("amq.fanout")
        .short("")
        .u8(0)
        .long([]);
    client.send(&method(MethodId::QUEUE_BIND, bind));
    client.send(&consume("q", "t", 0));
    let args = Args::default()
        .u16(0)
        .short("amq.fanout")
        .short(b"\xff/.\x00")
        .u8(0);
    let content = said(|out| put_content(out, CH, PLAIN, &Bytes::new(), 131_072));
    let said_bytes = client.send(&[method(MethodId::BASIC_PUBLISH, args), content].concat());
    assert!(
        said_bytes
            .windows(5)
            .any(|window| window == b"\x04\xff/.\x00")
    );
}

#[test]
fn direct_reply_to_answers_the_asking_channel() {
    let broker = broker();
    let mut server = Client::with_queue(&broker);
    server.send(&consume("q", "t", 2));
    let mut asking = Client::open(&broker);
    asking.send(&consume("amq.rabbitmq.reply-to", "t", 2));
    let request = property(REPLY_TO, "amq.rabbitmq.reply-to");
    asking.send(&publish_to(("", "q"), 0, &request, b"question"));
    let seen = server.receive();
    let prefix = b"amq.rabbitmq.reply-to.g";
    let at = seen
        .windows(prefix.len())
        .position(|window| window == prefix)
        .unwrap();
    let len = usize::from(seen[at - 1]);
    let name = String::from_utf8(seen[at..at + len].to_vec()).unwrap();
    let properties = property(CORRELATION_ID, "7");
    server.send(&publish_to(("", &name), 0, &properties, b"answer"));
    let expected = Delivered {
        tag: 1,
        redelivered: Redelivered::No,
        exchange: "",
        key: &name,
        properties: &properties,
        body: b"answer",
    };
    assert_eq!(asking.receive(), expected.bytes());
    asking.send(&method(
        MethodId::BASIC_CANCEL,
        Args::default().short("t").u8(0),
    ));
    assert!(broker.vhost("/").unwrap().queue(&name).is_err());
}

#[test]
fn misuse_of_direct_reply_to_is_refused() {
    let reply_to = "amq.rabbitmq.reply-to";
    let text = "PRECONDITION_FAILED - reply consumer cannot acknowledge";
    assert_eq!(
        Client::open(&broker()).send(&consume(reply_to, "t", 0)),
        channel_closed(406, text, MethodId::BASIC_CONSUME)
    );
    let mut client = Client::open(&broker());
    client.send(&consume(reply_to, "t", 2));
    let text = "PRECONDITION_FAILED - reply consumer already set";
    assert_eq!(
        client.send(&consume(reply_to, "u", 2)),
        channel_closed(406, text, MethodId::BASIC_CONSUME)
    );
    let text = "PRECONDITION_FAILED - fast reply consumer does not exist";
    assert_eq!(
        refusal(&property(REPLY_TO, reply_to)),
        channel_closed(406, text, MethodId::BASIC_PUBLISH)
    );
}

#[test]
fn a_get_finds_all_that_was_published_before_in_the_same_read() {
    let mut client = Client::with_queue(&broker());
    let published = [publish(b"1"), publish(b"2"), publish(b"3"), get(2)].concat();
    let said = client.send(&published);
    // Messages left: the last field of the method, before its frame's end.
    let method_len = 7 + 4 + 9 + 1 + 2 + 4;
    assert_eq!(said[method_len - 4..=method_len], *b"\0\0\0\x02\xce");
}
