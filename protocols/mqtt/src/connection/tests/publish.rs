//! What clients publish: acknowledgements, their order, aliases, permissions.

use super::support::{Bench, packet};
use crate::wire::hex::hex;

#[test]
fn nobody_to_receive_is_told_in_5_0_only() {
    let bench = Bench::new();
    let mut new = bench.v5("p");
    let puback = new.send(&bench, "32 07 00 01 't' 04 D2 00 'x'");
    assert_eq!(puback, hex("40 03 04 D2 10"));
    // 0x10 is no failure: the exchange goes on.
    let pubrec = new.send(&bench, "34 07 00 01 't' 04 D2 00 'x'");
    assert_eq!(pubrec, hex("50 03 04 D2 10"));
    assert_eq!(new.send(&bench, "62 02 04 D2"), hex("70 02 04 D2"));
    let mut old = bench.v4("q");
    let puback = old.send(&bench, "32 06 00 01 't' 04 D2 'x'");
    assert_eq!(puback, hex("40 02 04 D2"));
    let pubrec = old.send(&bench, "34 06 00 01 't' 04 D2 'x'");
    assert_eq!(pubrec, hex("50 02 04 D2"));
}

#[test]
fn somebody_who_is_away_is_somebody() {
    let bench = Bench::new();
    let lasting = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 'm'";
    let mut away = bench.connected(lasting);
    away.send(&bench, "82 07 00 01 00 00 01 't' 02");
    away.lose(&bench);
    let mut publisher = bench.v5("p");
    let pubrec = publisher.send(&bench, "34 07 00 01 't' 00 07 00 'x'");
    assert_eq!(pubrec, hex("50 02 00 07"));
}

#[test]
fn a_message_kept_by_no_local_counts_as_received() {
    let bench = Bench::new();
    let mut client = bench.v5("p");
    client.send(&bench, "82 07 00 01 00 00 01 't' 05");
    assert_eq!(
        client.send(&bench, "32 07 00 01 't' 00 02 00 'x'"),
        hex("40 02 00 02")
    );
}

#[test]
fn a_qos_2_message_is_handed_on_once_mqtt_4_3_3_10() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v4("p");
    assert_eq!(
        publisher.send(&bench, "34 06 00 01 't' 00 07 'x'"),
        hex("50 02 00 07")
    );
    assert_eq!(
        publisher.send(&bench, "3C 06 00 01 't' 00 07 'x'"),
        hex("50 02 00 07")
    );
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'x'"));
    assert_eq!(publisher.send(&bench, "62 02 00 07"), hex("70 02 00 07"));
    assert_eq!(publisher.send(&bench, "62 02 00 07"), hex("70 02 00 07"));
    assert_eq!(
        publisher.send(&bench, "34 06 00 01 't' 00 07 'y'"),
        hex("50 02 00 07")
    );
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'y'"));
}

#[test]
fn own_messages_come_before_their_puback_and_after_their_pubrec() {
    let bench = Bench::new();
    let mut client = bench.v4("p");
    client.send(&bench, "82 06 00 01 00 01 't' 02");
    let echoed = client.send(&bench, "32 06 00 01 't' 00 02 'x'");
    assert_eq!(echoed, hex("32 06 00 01 't' 00 01 'x' 40 02 00 02"));
    client.send(&bench, "40 02 00 01");
    let echoed = client.send(&bench, "34 06 00 01 't' 00 03 'y'");
    assert_eq!(echoed, hex("50 02 00 03 34 06 00 01 't' 00 02 'y'"));
}

#[test]
fn pubacks_leave_in_the_order_of_their_publishes_mqtt_4_6_0_2() {
    let bench = Bench::new();
    let mut client = bench.v4("p");
    let three = "32 06 00 01 't' 00 09 'x' 34 06 00 01 't' 00 08 'x' 32 06 00 01 't' 00 07 'x'";
    let answers = client.send(&bench, three);
    assert_eq!(answers, hex("40 02 00 09 50 02 00 08 40 02 00 07"));
}

#[test]
fn a_topic_alias_stands_for_its_topic_and_goes_no_further() {
    let bench = Bench::new();
    let mut subscriber = bench.v5("s");
    subscriber.send(&bench, "82 09 00 01 00 00 03 'a/b' 00");
    let mut publisher = bench.v5("p");
    publisher.send(&bench, "30 0A 00 03 'a/b' 03 23 00 05 'x'");
    publisher.send(&bench, "30 07 00 00 03 23 00 05 'y'");
    let expected = "30 07 00 03 'a/b' 00 'x' 30 07 00 03 'a/b' 00 'y'";
    assert_eq!(subscriber.recv(&bench), hex(expected));
}

#[test]
fn a_bad_topic_alias_ends_the_connection() {
    let bench = Bench::new();
    let table = [
        ("30 08 00 01 't' 03 23 00 0B 'x'", "E0 01 94"),
        ("30 08 00 01 't' 03 23 00 00 'x'", "E0 01 94"),
        ("30 07 00 00 03 23 00 01 'x'", "E0 01 82"),
    ];
    for (publish, disconnect) in table {
        let mut client = bench.v5("p");
        assert_eq!(client.send(&bench, publish), hex(disconnect), "{publish}");
        assert!(client.is_closed());
    }
}

#[test]
fn who_may_not_publish_is_told_in_5_0_and_acknowledged_in_3_x() {
    let mut bench = Bench::new();
    bench.rights = ("^nothing$", ".*");
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(
        bench.v5("p").send(&bench, "32 07 00 01 't' 00 01 00 'x'"),
        hex("40 03 00 01 87")
    );
    let mut v5 = bench.v5("p");
    assert_eq!(
        v5.send(&bench, "34 07 00 01 't' 00 01 00 'x'"),
        hex("50 03 00 01 87")
    );
    assert_eq!(
        bench.v4("q").send(&bench, "32 06 00 01 't' 00 01 'x'"),
        hex("40 02 00 01")
    );
    assert_eq!(v5.send(&bench, "30 05 00 01 't' 00 'x'"), "");
    assert!(!v5.is_closed());
    assert_eq!(subscriber.recv(&bench), "");
}

#[test]
fn topics_of_the_server_are_not_for_clients() {
    let bench = Bench::new();
    let mut client = bench.v5("p");
    for topic in ["00 06 '$SYS/x'", "00 0A '$share/g/t'", "00 04 '$own'"] {
        let publish = packet("32", &format!("{topic} 00 01 00"));
        assert_eq!(
            client.send(&bench, &publish),
            hex("40 03 00 01 87"),
            "{topic}"
        );
    }
}

#[test]
fn properties_reach_other_clients_as_they_came() {
    let bench = Bench::new();
    let mut subscriber = bench.v5("s");
    subscriber.send(&bench, "82 07 00 01 00 00 01 't' 00");
    let block = "01 01 03 00 04 'text' 08 00 03 'a/b' 09 00 02 FF 00 \
                 26 00 01 'b' 00 01 '2' 26 00 01 'a' 00 01 '1' 26 00 01 'b' 00 01 '1'";
    let publish = packet(
        "30",
        &format!("00 01 't' {:02X} {block} 'x'", hex(block).len()),
    );
    bench.v5("p").send(&bench, &publish);
    assert_eq!(subscriber.recv(&bench), hex(&publish));
    let mut old = bench.v4("o");
    old.send(&bench, "82 06 00 01 00 01 't' 00");
    bench.v5("p").send(&bench, &publish);
    assert_eq!(old.recv(&bench), hex("30 04 00 01 't' 'x'"));
}

#[test]
fn a_malformed_packet_does_not_undo_what_came_before_it() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let mut publisher = bench.v5("p");
    let answers = publisher.send(
        &bench,
        "30 05 00 01 't' 00 'x' 36 05 00 01 't' 00 'y' C0 00",
    );
    assert_eq!(answers, hex("E0 01 81"));
    assert_eq!(subscriber.recv(&bench), hex("30 04 00 01 't' 'x'"));
}

#[test]
fn a_user_id_is_vouched_for_if_it_is_the_name_logged_in_with_c_properties_3() {
    let bench = Bench::new();
    let mut client = bench.connected("00 04 'MQTT' 05 82 00 3C 00 00 01 'p' 00 05 'alice'");
    for (user, expected) in [("alice", Some("alice")), ("bobby", None)] {
        let block = format!("26 00 01 'n' 00 01 'v' 26 00 07 'user-id' 00 05 '{user}'");
        client.send(&bench, &packet("31", &format!("00 01 't' 18 {block} 'x'")));
        let filter = routing::TopicFilter::parse("t".into()).unwrap();
        let mut retained = bench.broker.vhost("/").unwrap().retained(&filter);
        let message = retained.next(bench.now).unwrap();
        let user_id = message.properties().user_id.as_deref();
        assert_eq!(user_id, expected.map(str::as_bytes));
    }
}
