//! MQTT-SN devices at a whole gateway: their messages reach the others, and their sessions outlive
//! it.

use std::net::UdpSocket;
use std::time::Duration;

use tests::TestGateway;

const SETTINGS: &str =
    "mqtt_sn = [{ name = \"devices\", bind = \"127.0.0.1:0\", user = \"guest\" }]";

/// MQTT 3.1.1 CONNECT of client `a`, clean, and the CONNACK it gets.
const MQTT_CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
const MQTT_CONNACK: &[u8] = b"\x20\x02\x00\x00";

/// A device.
struct Device(UdpSocket);

impl Device {
    fn of(gateway: &TestGateway) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gateway.address("mqtt_sn")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(socket)
    }

    fn send(&self, packet: &[u8]) -> &Self {
        self.0.send(packet).unwrap();
        self
    }

    fn expect(&self, packet: &[u8]) -> &Self {
        let mut buffer = [0; 256];
        let bytes = self.0.recv(&mut buffer).unwrap();
        assert_eq!(buffer.get(..bytes), Some(packet));
        self
    }
}

#[test]
fn a_device_and_an_mqtt_client_hear_each_other() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[SETTINGS]);
    let mut mqtt = gateway.connect("mqtt");
    mqtt.send(MQTT_CONNECT).expect(MQTT_CONNACK);
    mqtt.send(b"\x82\x07\x00\x01\x00\x02ab\x00")
        .expect(b"\x90\x03\x00\x01\x00");
    let device = Device::of(&gateway);
    device
        .send(b"\x09\x04\x04\x01\x00\x3cdev")
        .expect(b"\x03\x05\x00")
        .send(b"\x08\x0c\x22ab\x00\x05x")
        .expect(b"\x07\x0dab\x00\x05\x00")
        .send(b"\x07\x12\x02\x00\x06cd")
        .expect(b"\x08\x13\x00\x00\x00\x00\x06\x00");
    mqtt.expect(b"\x30\x05\x00\x02abx");
    mqtt.send(b"\x30\x05\x00\x02cdy");
    device.expect(b"\x08\x0c\x02cd\x00\x00y");
    // Who has no right to a topic is told so: `$` is not for devices.
    device
        .send(b"\x0b\x0a\x00\x00\x00\x07$SYS/")
        .expect(b"\x07\x0b\x00\x00\x00\x07\x03");
    gateway.stop();
}

#[test]
fn a_session_of_a_device_outlives_a_restart_with_what_came_for_it() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[SETTINGS]);
    let device = Device::of(&gateway);
    device
        .send(b"\x09\x04\x00\x01\x00\x3cdev")
        .expect(b"\x03\x05\x00")
        .send(b"\x07\x12\x22\x00\x06ab")
        .expect(b"\x08\x13\x20\x00\x00\x00\x06\x00");
    gateway.stop();
    // The device is told, and asks again when it likes.
    device.expect(b"\x02\x18");

    let gateway = TestGateway::start(data.path(), &[SETTINGS]);
    let mut mqtt = gateway.connect("mqtt");
    mqtt.send(MQTT_CONNECT).expect(MQTT_CONNACK);
    mqtt.send(b"\x32\x07\x00\x02ab\x00\x01x")
        .expect(b"\x40\x02\x00\x01");
    let device = Device::of(&gateway);
    device
        .send(b"\x09\x04\x00\x01\x00\x3cdev")
        .expect(b"\x03\x05\x00")
        .expect(b"\x08\x0c\x22ab\x00\x01x")
        .send(b"\x07\x0dab\x00\x01\x00");
    gateway.stop();
}
