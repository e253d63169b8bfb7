//! One publish reaches the other protocols' clients.

use tests::TestGateway;

/// MQTT 3.1.1 CONNECT of client `a`, clean, and the CONNACK it gets.
const MQTT_CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
const MQTT_CONNACK: &[u8] = b"\x20\x02\x00\x00";

#[test]
fn an_mqtt_publish_is_a_redis_message_and_back() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[]);
    let mut redis = gateway.connect("resp");
    redis
        .send(b"SUBSCRIBE plant/t\r\n")
        .expect(b"*3\r\n$9\r\nsubscribe\r\n$7\r\nplant/t\r\n:1\r\n");
    let mut mqtt = gateway.connect("mqtt");
    mqtt.send(MQTT_CONNECT).expect(MQTT_CONNACK);
    mqtt.send(b"\x82\x0c\x00\x01\x00\x07plant/+\x00")
        .expect(b"\x90\x03\x00\x01\x00");
    mqtt.send(b"\x30\x0d\x00\x07plant/t21.5")
        .expect(b"\x30\x0d\x00\x07plant/t21.5");
    redis.expect(b"*3\r\n$7\r\nmessage\r\n$7\r\nplant/t\r\n$4\r\n21.5\r\n");
    let mut other = gateway.connect("resp");
    other.send(b"PUBLISH plant/t 22\r\n").expect(b":2\r\n");
    mqtt.expect(b"\x30\x0b\x00\x07plant/t22");
    redis.expect(b"*3\r\n$7\r\nmessage\r\n$7\r\nplant/t\r\n$2\r\n22\r\n");
    gateway.stop();
}
