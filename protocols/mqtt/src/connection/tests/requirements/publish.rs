//! Chapters 3.3 and 4.7: PUBLISH, retained messages, topics.

use super::super::support::{Bench, packet, string};
use crate::wire::hex::hex;

#[test]
fn the_dup_flag_goes_no_further_mqtt_3_3_1_3() {
    let bench = Bench::new();
    let mut client = bench.v4("s");
    client.send(&bench, "82 06 00 01 00 01 't' 02");
    let mut publisher = bench.v4("p");
    publisher.send(
        &bench,
        "3A 06 00 01 't' 00 07 'x' 3C 06 00 01 't' 00 08 'y'",
    );
    let expected = "32 06 00 01 't' 00 01 'x' 34 06 00 01 't' 00 02 'y'";
    assert_eq!(client.recv(&bench), hex(expected));
}

#[test]
fn a_qos_0_message_is_sent_without_dup_and_identifier_mqtt_4_3_1_1() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    client.send(&bench, "82 07 00 01 00 00 01 't' 00");
    bench.v4("p").send(&bench, "3A 06 00 01 't' 00 07 'x'");
    assert_eq!(client.recv(&bench), hex("30 05 00 01 't' 00 'x'"));
}

#[test]
fn only_a_retained_message_replaces_a_retained_message_mqtt_3_3_1_8() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    let mut subscriber = bench.v4("s");
    let mut now_retained = |publish: &str| {
        publisher.send(&bench, publish);
        let suback = subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
        subscriber.send(&bench, "A2 05 00 02 00 01 't'");
        suback[5..].to_vec()
    };
    assert_eq!(now_retained("30 04 00 01 't' 'a'"), hex(""));
    assert_eq!(
        now_retained("33 06 00 01 't' 00 09 'b'"),
        hex("31 04 00 01 't' 'b'")
    );
    assert_eq!(
        now_retained("30 04 00 01 't' 'c'"),
        hex("31 04 00 01 't' 'b'")
    );
    assert_eq!(now_retained("30 03 00 01 't'"), hex("31 04 00 01 't' 'b'"));
    // One of QoS 0 replaces one of QoS 1, and is kept.
    assert_eq!(
        now_retained("31 04 00 01 't' 'd'"),
        hex("31 04 00 01 't' 'd'")
    );
    assert_eq!(now_retained("31 03 00 01 't'"), hex(""));
}

#[test]
fn an_empty_retained_message_is_sent_on_as_any_other_mqtt_3_3_1_6() {
    let bench = Bench::new();
    let mut client = bench.v4("s");
    client.send(&bench, "82 06 00 01 00 01 't' 01");
    bench.v4("p").send(&bench, "33 05 00 01 't' 00 09");
    assert_eq!(client.recv(&bench), hex("32 05 00 01 't' 00 01"));
}

#[test]
fn every_alias_up_to_the_maximum_is_taken_mqtt_3_3_2_12() {
    let bench = Bench::new();
    let mut subscriber = bench.v5("s");
    subscriber.send(&bench, "82 07 00 01 00 00 01 '#' 00");
    let mut publisher = bench.v5("p");
    for alias in 1..=10_u8 {
        publisher.send(
            &bench,
            &format!("30 09 00 02 't{}' 03 23 00 {alias:02X} 'x'", alias - 1),
        );
    }
    for alias in 1..=10_u8 {
        publisher.send(&bench, &format!("30 07 00 00 03 23 00 {alias:02X} 'y'"));
    }
    let expected: String = ["x", "y"]
        .into_iter()
        .flat_map(|payload| (0..10).map(move |n| format!("30 06 00 02 't{n}' 00 '{payload}' ")))
        .collect();
    assert_eq!(subscriber.recv(&bench), hex(&expected));
}

#[test]
fn what_a_publish_may_not_carry_ends_the_connection_mqtt_3_3_4_6() {
    let bench = Bench::new();
    let table = [
        // A subscription identifier.
        ("30 07 00 01 't' 02 0B 01 'x'", "E0 01 82"),
        // A response topic with a wildcard.
        ("30 0B 00 01 't' 06 08 00 03 'a/#' 'x'", "E0 01 82"),
        // Strings that are no UTF-8: topic, response topic, content type.
        ("30 06 00 02 C3 28 00 'x'", "E0 01 81"),
        ("30 0A 00 01 't' 05 08 00 02 C3 28 'x'", "E0 01 81"),
        ("30 0A 00 01 't' 05 03 00 02 C3 28 'x'", "E0 01 81"),
        // Both QoS bits, and DUP without QoS.
        ("36 07 00 01 't' 00 01 00 'x'", "E0 01 81"),
        ("38 05 00 01 't' 00 'x'", "E0 01 81"),
        // Wildcards in the topic, no topic at all, no packet identifier.
        ("30 05 00 01 '+' 00 'x'", "E0 01 81"),
        ("30 04 00 00 00 'x'", "E0 01 82"),
        ("32 07 00 01 't' 00 00 00 'x'", "E0 01 81"),
    ];
    for (publish, disconnect) in table {
        let mut client = bench.v5("p");
        let answer = client.send(&bench, &format!("{publish} C0 00"));
        let reason = answer.get(2).copied();
        assert_eq!(answer[..2], hex("E0 01"), "{publish}: {answer:02x?}");
        assert!(
            matches!(reason, Some(0x81 | 0x82)),
            "{publish}: {disconnect}, not {answer:02x?}"
        );
        assert!(client.is_closed(), "{publish}");
    }
}

#[test]
fn topics_are_compared_byte_by_byte_mqtt_4_7_3_4() {
    // é composed, e with an accent, other case, an empty level, a slash behind, a space.
    let topics = [
        "C3 A9", "65 CC 81", "'t'", "'T'", "'a/b'", "'a//b'", "'/a/b'", "'a/b/'", "'a /b'",
    ];
    let body = |topic: &str| format!("{:04X} {topic}", hex(topic).len());
    for filter in topics {
        let bench = Bench::new();
        let mut client = bench.v4("s");
        client.send(&bench, &packet("82", &format!("00 01 {} 00", body(filter))));
        for topic in topics {
            bench
                .v4("p")
                .send(&bench, &packet("30", &format!("{} 'x'", body(topic))));
        }
        let own = packet("30", &format!("{} 'x'", body(filter)));
        assert_eq!(client.recv(&bench), hex(&own), "{filter}");
    }
}

#[test]
fn a_topic_of_65535_bytes_is_a_topic_mqtt_4_7_3_3() {
    let mut bench = Bench::new();
    bench.settings.sizes.subscribe = 1 << 20;
    let topic = vec![b't'; 65_535];
    let mut client = bench.v4("s");
    let subscribe = [&hex("82 84 80 04 00 01 FF FF"), &topic[..], &[0]].concat();
    assert_eq!(client.send_bytes(&bench, &subscribe), hex("90 03 00 01 00"));
    let publish = [&hex("30 82 80 04 FF FF"), &topic[..], b"x"].concat();
    bench.v4("p").send_bytes(&bench, &publish);
    assert_eq!(client.recv(&bench), publish);
}

#[test]
fn messages_of_one_topic_keep_their_order_for_every_subscriber_mqtt_4_6_0_6() {
    let bench = Bench::new();
    let filters = ["a/b", "a/+", "#"];
    let mut clients: Vec<_> = filters
        .iter()
        .enumerate()
        .map(|(n, filter)| {
            let mut client = bench.v4(&format!("s{n}"));
            let subscribe = packet("82", &format!("00 01 {} 02", string(filter)));
            client.send(&bench, &subscribe);
            client
        })
        .collect();
    let mut publisher = bench.v4("p");
    for n in 1..=9 {
        let qos = n % 3;
        let id = if qos > 0 {
            format!("00 0{n}")
        } else {
            String::new()
        };
        publisher.send(
            &bench,
            &packet(
                &format!("3{:X}", qos << 1),
                &format!("00 03 'a/b' {id} '{n}'"),
            ),
        );
        publisher.send(&bench, &format!("62 02 00 0{n}"));
    }
    for client in &mut clients {
        let all = client.recv(&bench);
        for qos in 0..3_u8 {
            let mut payloads = Vec::new();
            let mut rest = &all[..];
            while let [first, length, body @ ..] = rest {
                let (packet, behind) = body.split_at(usize::from(*length));
                if first >> 1 & 3 == qos {
                    payloads.push(packet[packet.len() - 1]);
                }
                rest = behind;
            }
            let expected: Vec<u8> = (b'1'..=b'9').filter(|n| (n - b'0') % 3 == qos).collect();
            assert_eq!(payloads, expected, "{qos}");
        }
    }
}
