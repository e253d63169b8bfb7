//! MQTT through a whole gateway: what the state machine alone does not show.

use tests::{RawClient, TestGateway};

#[test]
fn scram_proves_both_ends_to_each_other() {
    let data = tempfile::tempdir().unwrap();
    // The verifier of RFC 7677's example: password "pencil".
    let settings = [
        "users = [{ name = \"user\", password_hash = \"\", scram_sha256 = \"\
         SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
         wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\", \
         permissions = [{ configure = \".*\", write = \".*\", read = \".*\" }] }]",
    ];
    let gateway = TestGateway::start(data.path(), &settings);
    let mut client = gateway.connect("mqtt");
    let method = b"\x15\x00\x0DSCRAM-SHA-256";
    let first = b"\x16\x00\x20n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    let properties = [&method[..], first].concat();
    let mut connect = b"\x10\x41\x00\x04MQTT\x05\x02\x00\x3C\x33".to_vec();
    connect.extend(&properties);
    connect.extend(b"\x00\x01c");
    assert_eq!(connect.len(), 67);
    client.send(&connect);
    // AUTH 0x18 with the server's nonce, salt and iterations.
    let mut head = [0; 4];
    client.receive(&mut head);
    let mut body = vec![0; usize::from(head[1]) - 2];
    client.receive(&mut body);
    assert_eq!((head[0], head[2]), (0xF0, 0x18));
    assert!(body.starts_with(method), "{body:?}");
    let challenge = String::from_utf8(body[method.len() + 3..].to_vec()).unwrap();
    let starts = challenge.starts_with("r=rOprNGfwEbeRWgbNEkqO");
    assert!(
        starts && challenge.ends_with(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
        "{challenge}"
    );
    // A proof that is none.
    let nonce = challenge.split(',').next().unwrap();
    let last = format!("c=biws,{nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let data_len = u8::try_from(last.len()).unwrap();
    let properties = [&method[..], &[0x16, 0, data_len], last.as_bytes()].concat();
    let length = u8::try_from(properties.len()).unwrap();
    let mut auth = vec![0xF0, length + 2, 0x18, length];
    auth.extend(properties);
    client.send(&auth).expect(b"\x20\x03\x00\x86\x00");
    gateway.stop();
}

#[test]
fn the_gateway_says_how_it_is_under_sys() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &["mqtt.sys_interval = \"100ms\""]);
    let mut client = gateway.connect("mqtt");
    client
        .send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
        .expect(b"\x20\x02\x00\x00");
    client
        .send(b"\x82\x20\x00\x01\x00\x1B$SYS/broker/clients/maximum\x00")
        .expect(b"\x90\x03\x00\x01\x00");
    // What was said last, and anew when it changes. Whether that was before the SUBSCRIBE, and how
    // often, depends on the machine; that it comes to 1, and with another client to 2, does not.
    let publish = |flags: u8, value: u8| {
        let mut publish = vec![0x30 | flags, 0x1E, 0, 0x1B];
        publish.extend(b"$SYS/broker/clients/maximum");
        publish.push(value);
        publish
    };
    let mut said = b'0';
    let mut hear = |client: &mut RawClient, awaited: u8| {
        while said < awaited {
            let mut got = vec![0; 32];
            client.receive(&mut got);
            let (flags, value) = (got[0] & 1, got[31]);
            assert_eq!(got, publish(flags, value));
            assert!((said..=awaited).contains(&value), "{value} after {said}");
            said = value;
        }
    };
    hear(&mut client, b'1');
    let mut second = gateway.connect("mqtt");
    second
        .send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b")
        .expect(b"\x20\x02\x00\x00");
    hear(&mut client, b'2');
    // Kept for who comes later.
    second
        .send(b"\x82\x20\x00\x01\x00\x1B$SYS/broker/clients/maximum\x00")
        .expect(b"\x90\x03\x00\x01\x00")
        .expect(&publish(1, b'2'));
    gateway.stop();
}
