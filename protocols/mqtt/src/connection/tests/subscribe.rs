//! SUBSCRIBE and UNSUBSCRIBE: wildcards, options, identifiers, shared subscriptions, limits.

use bytes::Bytes;
use routing::{Address, BUS, MessageBuilder, Wakes};

use super::support::{Bench, packet, string};
use crate::ORIGIN;
use crate::wire::hex::hex;

#[test]
fn wildcards_match_levels() {
    let bench = Bench::new();
    let table = [
        ("a/+/c", "a/b/c", true),
        ("a/+/c", "a/b/d", false),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("#", "a/b", true),
        ("#", "$own/x", false),
        ("+/x", "$own/x", false),
        ("$own/#", "$own/x", true),
        ("+", "a", true),
        ("+", "a/b", false),
        ("/+", "/a", true),
        ("é/+", "é/x", true),
    ];
    for (filter, topic, matches) in table {
        let mut client = bench.v4("s");
        let subscribe = packet(
            "82",
            &format!("00 01 {:04X} {} 00", filter.len(), utf8(filter)),
        );
        assert_eq!(client.send(&bench, &subscribe), hex("90 03 00 01 00"));
        // Through the core: some of them are closed to clients.
        let address = Address::new(Bytes::from_static(topic.as_bytes()));
        let message = MessageBuilder::new(address, BUS.into(), "x".into(), &ORIGIN).build();
        let vhost = bench.broker.vhost("/").unwrap();
        vhost.publish(bench.now, &message, &mut Wakes::default());
        let received = client.recv(&bench);
        assert_eq!(!received.is_empty(), matches, "{filter} {topic}");
    }
}

fn utf8(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X} ")).collect()
}

#[test]
fn each_filter_has_a_code_of_its_own() {
    let mut bench = Bench::new();
    bench.settings.subscriptions_max = 2;
    let mut client = bench.v5("s");
    let filters = "00 01 'a' 01 00 01 'b' 02 00 01 'c' 00 00 01 'a' 00 00 08 '$reply/q' 00";
    let subscribe = packet("82", &format!("00 01 00 {filters}"));
    assert_eq!(
        client.send(&bench, &subscribe),
        hex("90 08 00 01 00 01 02 97 00 87")
    );
    assert!(!client.is_closed());
}

#[test]
fn who_may_not_read_is_told() {
    let mut bench = Bench::new();
    bench.rights = (".*", "^nothing$");
    let v5 = bench.v5("p").send(&bench, "82 07 00 01 00 00 01 't' 01");
    assert_eq!(v5, hex("90 04 00 01 00 87"));
    let v4 = bench.v4("q").send(&bench, "82 06 00 01 00 01 't' 01");
    assert_eq!(v4, hex("90 03 00 01 80"));
}

#[test]
fn unsubscribing_says_whether_there_was_a_subscription() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    client.send(&bench, "82 07 00 01 00 00 01 't' 00");
    let unsuback = client.send(&bench, "A2 09 00 02 00 00 01 't' 00 01 'u'");
    assert_eq!(unsuback, hex("B0 05 00 02 00 00 11"));
    bench.v4("p").send(&bench, "30 04 00 01 't' 'x'");
    assert_eq!(client.recv(&bench), "");
    let mut old = bench.v4("o");
    assert_eq!(
        old.send(&bench, "A2 05 00 02 00 01 't'"),
        hex("B0 02 00 02")
    );
}

#[test]
fn overlapping_subscriptions_send_one_message_with_all_identifiers() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    client.send(&bench, "82 0B 00 01 02 0B 01 00 03 'a/#' 00");
    client.send(&bench, "82 0B 00 02 02 0B 02 00 03 'a/b' 01");
    client.send(&bench, "82 09 00 03 00 00 03 'a/+' 00");
    bench.v4("p").send(&bench, "32 08 00 03 'a/b' 00 09 'x'");
    let received = client.recv(&bench);
    let one = "32 0D 00 03 'a/b' 00 01 04 0B 01 0B 02 'x'";
    let other = "32 0D 00 03 'a/b' 00 01 04 0B 02 0B 01 'x'";
    assert!(
        received == hex(one) || received == hex(other),
        "{received:02x?}"
    );
}

#[test]
fn a_client_may_leave_out_its_own_messages_mqtt_3_8_3_3() {
    let bench = Bench::new();
    let mut client = bench.v5("s");
    client.send(&bench, "82 07 00 01 00 00 01 't' 04");
    assert_eq!(client.send(&bench, "30 05 00 01 't' 00 'x'"), "");
    bench.v4("p").send(&bench, "30 04 00 01 't' 'y'");
    assert_eq!(client.recv(&bench), hex("30 05 00 01 't' 00 'y'"));
}

#[test]
fn leaving_out_own_messages_leaves_out_nobody_else() {
    let bench = Bench::new();
    let mut clients = [bench.v5("a"), bench.v5("b")];
    for client in &mut clients {
        client.send(&bench, "82 07 00 01 00 00 01 't' 06");
    }
    let [publisher, other] = &mut clients;
    let puback = publisher.send(&bench, "32 07 00 01 't' 00 02 00 'x'");
    assert_eq!(puback, hex("40 02 00 02"));
    assert_eq!(other.recv(&bench), hex("32 07 00 01 't' 00 01 00 'x'"));
}

#[test]
fn retain_as_published_keeps_the_flag_mqtt_3_3_1_13() {
    let bench = Bench::new();
    let mut keeps = bench.v5("s");
    keeps.send(&bench, "82 07 00 01 00 00 01 't' 08");
    let mut clears = bench.v5("r");
    clears.send(&bench, "82 07 00 01 00 00 01 't' 00");
    bench.v4("p").send(&bench, "31 04 00 01 't' 'x'");
    assert_eq!(keeps.recv(&bench), hex("31 05 00 01 't' 00 'x'"));
    assert_eq!(clears.recv(&bench), hex("30 05 00 01 't' 00 'x'"));
}

#[test]
fn a_bridge_is_served_as_one() {
    let bench = Bench::new();
    let mut bridge = bench.connected("00 04 'MQTT' 84 02 00 0A 00 01 'b'");
    bridge.send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(bridge.send(&bench, "30 04 00 01 't' 'x'"), "");
    bench.v4("p").send(&bench, "31 04 00 01 't' 'y'");
    assert_eq!(bridge.recv(&bench), hex("31 04 00 01 't' 'y'"));
}

#[test]
fn sharers_take_turns_mqtt_4_8_2() {
    let bench = Bench::new();
    let subscribe = packet("82", &format!("00 01 {} 00", string("$share/g/t")));
    let mut sharers: Vec<_> = (0..3).map(|n| bench.v4(&format!("s{n}"))).collect();
    for sharer in &mut sharers {
        assert_eq!(sharer.send(&bench, &subscribe), hex("90 03 00 01 00"));
    }
    let mut publisher = bench.v4("p");
    for _ in 0..6 {
        publisher.send(&bench, "30 04 00 01 't' 'x'");
    }
    let twice = hex("30 04 00 01 't' 'x'").repeat(2);
    for sharer in &mut sharers {
        assert_eq!(sharer.recv(&bench), twice);
    }
    sharers.remove(0).lose(&bench);
    publisher.send(&bench, "30 04 00 01 't' 'x' 30 04 00 01 't' 'x'");
    for sharer in &mut sharers {
        assert_eq!(sharer.recv(&bench), hex("30 04 00 01 't' 'x'"));
    }
    let unsubscribe = packet("A2", &format!("00 02 {}", string("$share/g/t")));
    for sharer in &mut sharers {
        sharer.send(&bench, &unsubscribe);
    }
    publisher.send(&bench, "30 04 00 01 't' 'x'");
    assert!(
        sharers
            .iter_mut()
            .all(|sharer| sharer.recv(&bench).is_empty())
    );
}

#[test]
fn some_topics_may_be_closed_to_a_user() {
    let mut bench = Bench::new();
    bench.except = Some(("^secret\\.{client_id}$", "^test\\.nosubscribe$"));
    let filter = string("test/nosubscribe");
    let mut v4 = bench.v4("a");
    let subscribe = packet("82", &format!("00 01 {filter} 01 00 01 't' 01"));
    assert_eq!(v4.send(&bench, &subscribe), hex("90 04 00 01 80 01"));
    let mut v5 = bench.v5("b");
    let subscribe = packet("82", &format!("00 01 00 {filter} 02"));
    assert_eq!(v5.send(&bench, &subscribe), hex("90 04 00 01 00 87"));
    let shared = string("$share/g/test/nosubscribe");
    let subscribe = packet("82", &format!("00 01 00 {shared} 02"));
    assert_eq!(v5.send(&bench, &subscribe), hex("90 04 00 01 00 87"));
    let publish = |name| packet("32", &format!("{} 00 01 00", string(name)));
    assert_eq!(v5.send(&bench, &publish("secret/b")), hex("40 03 00 01 87"));
    assert_eq!(v5.send(&bench, &publish("secret/c")), hex("40 03 00 01 10"));
    let will = format!(
        "00 04 'MQTT' 05 06 00 00 00 00 01 'c' 00 {} 00 01 'x'",
        string("secret/c")
    );
    assert_eq!(
        bench.client().send(&bench, &packet("10", &will)),
        hex("20 03 00 87 00")
    );
}
