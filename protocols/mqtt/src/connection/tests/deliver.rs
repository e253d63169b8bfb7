//! What clients are sent: QoS flows, packet identifiers, flow control, aliases, expiry.

use bytes::Bytes;
use routing::{Address, MessageBuilder, Origin, Properties, QoS, Wakes};

use super::support::{Bench, Client, packet};
use crate::wire::hex::hex;

fn publish(bench: &Bench, packet: &str) {
    bench.v4("publisher").send(bench, packet);
}

/// A client that subscribed to `t`.
fn subscriber(bench: &Bench, qos: u8) -> Client {
    let mut client = bench.v4("s");
    let suback = client.send(bench, &format!("82 06 00 01 00 01 't' {qos:02X}"));
    assert_eq!(suback, hex(&format!("90 03 00 01 {qos:02X}")));
    client
}

#[test]
fn a_subscriber_receives_at_the_lower_qos_c_qos_3() {
    let bench = Bench::new();
    for (granted, published, received) in [
        (0, 2, 0),
        (1, 0, 0),
        (1, 1, 1),
        (1, 2, 1),
        (2, 1, 1),
        (2, 2, 2),
    ] {
        let mut client = subscriber(&bench, granted);
        let id = if published > 0 { "00 09" } else { "" };
        publish(
            &bench,
            &packet(
                &format!("3{:X}", published << 1),
                &format!("00 01 't' {id} 'x'"),
            ),
        );
        let id = if received > 0 { "00 01" } else { "" };
        let expected = packet(
            &format!("3{:X}", received << 1),
            &format!("00 01 't' {id} 'x'"),
        );
        assert_eq!(client.recv(&bench), hex(&expected), "{granted} {published}");
    }
}

#[test]
fn a_qos_2_delivery_takes_four_packets() {
    let bench = Bench::new();
    let mut client = subscriber(&bench, 2);
    publish(&bench, "34 06 00 01 't' 00 09 'x'");
    assert_eq!(client.recv(&bench), hex("34 06 00 01 't' 00 01 'x'"));
    assert_eq!(client.send(&bench, "50 02 00 01"), hex("62 02 00 01"));
    assert_eq!(client.send(&bench, "50 02 00 01"), hex("62 02 00 01"));
    assert_eq!(client.send(&bench, "70 02 00 01"), "");
    let session = bench.broker.vhost("/").unwrap().session("s").unwrap();
    assert_eq!(session.with(|state| state.outgoing.len()), 0);
    assert_eq!(session.queue().unwrap().unsettled(), 0);
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_is_a_protocol_error() {
    for (qos, acknowledgement) in [
        (1, "50 02 00 01"),
        (1, "70 02 00 01"),
        (2, "40 02 00 01"),
        (2, "70 02 00 01"),
    ] {
        let bench = Bench::new();
        let mut client = bench.v5("s");
        client.send(&bench, &format!("82 07 00 01 00 00 01 't' {qos:02X}"));
        publish(&bench, &format!("3{:X} 06 00 01 't' 00 09 'x'", qos << 1));
        assert!(!client.recv(&bench).is_empty());
        assert_eq!(
            client.send(&bench, acknowledgement),
            hex("E0 01 82"),
            "{acknowledgement}"
        );
    }
}

#[test]
fn unknown_acknowledgements_are_taken_and_answered() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    assert_eq!(client.send(&bench, "40 02 00 01"), "");
    assert_eq!(client.send(&bench, "70 02 00 01"), "");
    assert_eq!(client.send(&bench, "50 02 00 01"), hex("62 02 00 01"));
    assert_eq!(client.send(&bench, "50 03 00 01 80"), "");
    assert_eq!(client.send(&bench, "62 02 00 01"), hex("70 02 00 01"));
    assert!(!client.is_closed());
}

#[test]
fn a_refused_qos_2_delivery_is_over_mqtt_4_3_3_4() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    client.send(&bench, "82 07 00 01 00 00 01 't' 02");
    publish(&bench, "34 06 00 01 't' 00 09 'x'");
    assert_eq!(client.recv(&bench), hex("34 07 00 01 't' 00 01 00 'x'"));
    assert_eq!(client.send(&bench, "50 03 00 01 80"), "");
    publish(&bench, "34 06 00 01 't' 00 09 'y'");
    assert_eq!(client.recv(&bench), hex("34 07 00 01 't' 00 02 00 'y'"));
}

#[test]
fn no_more_is_under_way_than_the_client_takes_mqtt_3_3_4_9() {
    let bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 21 00 02 00 01 's'");
    client.send(&bench, "82 07 00 01 00 00 01 't' 01");
    for payload in ["a", "b", "c", "d"] {
        publish(&bench, &format!("32 06 00 01 't' 00 09 '{payload}'"));
    }
    let first = "32 07 00 01 't' 00 01 00 'a' 32 07 00 01 't' 00 02 00 'b'";
    assert_eq!(client.recv(&bench), hex(first));
    assert_eq!(
        client.send(&bench, "40 02 00 02"),
        hex("32 07 00 01 't' 00 03 00 'c'")
    );
    let last = client.send(&bench, "40 02 00 01");
    assert_eq!(last, hex("32 07 00 01 't' 00 04 00 'd'"));
    assert_eq!(client.send(&bench, "40 02 00 03 40 02 00 04"), "");
}

#[test]
fn a_packet_larger_than_the_client_takes_is_not_sent_mqtt_3_1_2_24() {
    let bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 05 27 00 00 00 14 00 01 's'");
    client.send(&bench, "82 07 00 01 00 00 01 't' 01");
    let large = "0123456789012345";
    publish(&bench, &packet("30", &format!("00 01 't' '{large}'")));
    publish(&bench, &packet("32", &format!("00 01 't' 00 09 '{large}'")));
    publish(&bench, "32 06 00 01 't' 00 09 'x'");
    assert_eq!(client.recv(&bench), hex("32 07 00 01 't' 00 02 00 'x'"));
    let session = bench.broker.vhost("/").unwrap().session("s").unwrap();
    assert_eq!(session.queue().unwrap().unsettled(), 1);
}

#[test]
fn aliases_are_set_once_and_then_used_if_the_client_takes_them() {
    let bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 22 00 01 00 01 's'");
    client.send(&bench, "82 09 00 01 00 00 03 'a/#' 00");
    for topic in ["a/b", "a/b", "a/c"] {
        publish(&bench, &format!("30 06 00 03 '{topic}' 'x'"));
    }
    let expected = "30 0A 00 03 'a/b' 03 23 00 01 'x' 30 07 00 00 03 23 00 01 'x' \
                    30 07 00 03 'a/c' 00 'x'";
    assert_eq!(client.recv(&bench), hex(expected));
}

#[test]
fn the_time_left_is_told_in_seconds_rounded_up_c_expiry_2() {
    let mut bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 21 00 01 00 01 's'");
    client.send(&bench, "82 07 00 01 00 00 01 't' 01");
    publish(&bench, "32 06 00 01 't' 00 01 '1'");
    bench
        .v5("p")
        .send(&bench, "32 0C 00 01 't' 00 09 05 02 00 00 00 0A '2'");
    assert_eq!(client.recv(&bench), hex("32 07 00 01 't' 00 01 00 '1'"));
    bench.pass(3_500);
    let second = client.send(&bench, "40 02 00 01");
    assert_eq!(second, hex("32 0C 00 01 't' 00 02 05 02 00 00 00 07 '2'"));
}

#[test]
fn an_expired_message_is_not_sent_c_expiry_4() {
    let mut bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 0A 03 21 00 01 00 01 's'");
    client.send(&bench, "82 07 00 01 00 00 01 't' 01");
    publish(&bench, "32 06 00 01 't' 00 01 '1'");
    bench
        .v5("p")
        .send(&bench, "32 0C 00 01 't' 00 09 05 02 00 00 00 01 '2'");
    bench
        .v5("p")
        .send(&bench, "30 0A 00 01 't' 05 02 00 00 00 01 '3'");
    bench.pass(1_000);
    assert_eq!(client.recv(&bench), hex("32 07 00 01 't' 00 01 00 '1'"));
    assert_eq!(client.send(&bench, "40 02 00 01"), "");
}

#[test]
fn a_fan_out_has_the_same_bytes_for_everybody() {
    let bench = Bench::new();
    let mut clients: Vec<_> = (0..4).map(|n| bench.v4(&format!("old{n}"))).collect();
    clients.extend((0..4).map(|n| bench.v5(&format!("new{n}"))));
    for (n, client) in clients.iter_mut().enumerate() {
        let subscribe = if n < 4 {
            "82 06 00 01 00 01 't' 00"
        } else {
            "82 07 00 01 00 00 01 't' 00"
        };
        client.send(&bench, subscribe);
    }
    bench
        .v5("p")
        .send(&bench, "30 0C 00 01 't' 07 26 00 01 'n' 00 01 'v' 'x'");
    for (n, client) in clients.iter_mut().enumerate() {
        let expected = if n < 4 {
            "30 04 00 01 't' 'x'"
        } else {
            "30 0C 00 01 't' 07 26 00 01 'n' 00 01 'v' 'x'"
        };
        assert_eq!(client.recv(&bench), hex(expected), "{n}");
    }
}

#[test]
fn a_large_fan_out_is_not_copied_and_has_the_same_bytes() {
    let bench = Bench::new();
    let mut clients: Vec<_> = (0..3).map(|n| bench.v5(&format!("new{n}"))).collect();
    for client in &mut clients {
        client.send(&bench, "82 07 00 01 00 00 01 't' 00");
    }
    let payload = vec![7_u8; 10_000];
    let mut publish = hex("30 94 4E 00 01 't' 00");
    publish.extend(&payload);
    bench.v5("p").send_bytes(&bench, &publish);
    for client in &mut clients {
        assert_eq!(client.recv(&bench), publish);
    }
}

#[test]
fn messages_of_one_qos_keep_their_order_c_order() {
    let mut bench = Bench::new();
    bench.settings.inflight_max = 300;
    let mut client = subscriber(&bench, 1);
    let mut publisher = bench.v4("p");
    let mut expected = Vec::new();
    for n in 0..300_u16 {
        let [hi, lo] = (n + 1).to_be_bytes();
        publisher.send_bytes(&bench, &[0x32, 7, 0, 1, b't', hi, lo, hi, lo]);
        expected.extend([0x32, 7, 0, 1, b't', hi, lo, hi, lo]);
    }
    assert_eq!(client.recv(&bench), expected);
}

static FOREIGN: Origin = Origin {
    tag: 200,
    name: "foreign",
    decode: |_| Properties {
        content_type: Some(Bytes::from_static(b"text/plain")),
        ..Properties::default()
    },
};

#[test]
fn a_message_of_another_protocol_is_converted_for_every_receiver() {
    let bench = Bench::new();
    let mut live = bench.v5("live");
    live.send(&bench, "82 07 00 01 00 00 01 't' 00");
    let mut queued = bench.v5("queued");
    queued.send(&bench, "82 09 00 01 02 0B 07 00 01 't' 01");
    let mut old = bench.v4("old");
    old.send(&bench, "82 06 00 01 00 01 't' 01");
    let address = Address::new(Bytes::from_static(b"t"));
    let payload = Bytes::from_static(b"x");
    let mut builder = MessageBuilder::new(address, "amq.topic".into(), payload, &FOREIGN);
    builder.raw_properties = Bytes::from_static(b"text");
    builder.qos = QoS::AtLeastOnce;
    builder.expires_at = Some(bench.now.plus_ms(1_500));
    let vhost = bench.broker.vhost("/").unwrap();
    vhost.publish(bench.now, &builder.build(), &mut Wakes::default());
    let shared = "03 00 0A 'text/plain' 'x'";
    let expected = format!("30 17 00 01 't' 12 02 00 00 00 02 {shared}");
    assert_eq!(live.recv(&bench), hex(&expected));
    let expected = format!("32 1B 00 01 't' 00 01 14 02 00 00 00 02 0B 07 {shared}");
    assert_eq!(queued.recv(&bench), hex(&expected));
    assert_eq!(old.recv(&bench), hex("32 06 00 01 't' 00 01 'x'"));
}
