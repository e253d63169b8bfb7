//! What was acknowledged is there after a stop and after a crash.

use tests::TestGateway;

/// CONNECT of client `s` with a session that stays.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01s";
const SUBSCRIBE: &[u8] = b"\x82\x06\x00\x01\x00\x01q\x01";
const SUBACK: &[u8] = b"\x90\x03\x00\x01\x01";
const PUBLISHER: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p";

fn a_message_waits_for_its_session(end: impl Fn(TestGateway)) {
    let data = tempfile::tempdir().unwrap();
    let first = TestGateway::start(data.path(), &[]);
    let mut session = first.connect("mqtt");
    session.send(CONNECT).expect(b"\x20\x02\x00\x00");
    session.send(SUBSCRIBE).expect(SUBACK);
    session.send(b"\xe0\x00").expect_end();
    let mut publisher = first.connect("mqtt");
    publisher.send(PUBLISHER).expect(b"\x20\x02\x00\x00");
    publisher
        .send(b"\x32\x09\x00\x01q\x00\x07body")
        .expect(b"\x40\x02\x00\x07");
    end(first);
    let second = TestGateway::start(data.path(), &[]);
    let mut session = second.connect("mqtt");
    session.send(CONNECT).expect(b"\x20\x02\x01\x00");
    session.expect(b"\x32\x09\x00\x01q\x00\x01body");
    second.stop();
}

#[test]
fn an_acknowledged_message_survives_a_stop() {
    a_message_waits_for_its_session(TestGateway::stop);
}

#[test]
fn an_acknowledged_message_survives_a_crash() {
    a_message_waits_for_its_session(TestGateway::crash);
}
