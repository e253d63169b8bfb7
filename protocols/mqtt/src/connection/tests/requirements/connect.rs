//! Chapters 1, 3.1, 3.2, 3.14: strings, CONNECT and CONNACK, DISCONNECT.

use routing::Frontend;

use super::super::support::{Bench, packet, string};
use crate::wire::hex::hex;

/// Clean session 0, 3.1.1.
const PERSISTENT: &str = "00 04 'MQTT' 04 00 00 3C 00 01 's'";

#[test]
fn a_byte_order_mark_is_a_character_like_any_other_mqtt_1_5_4_3() {
    let bench = Bench::new();
    let mut client = bench.v4("s");
    client.send(
        &bench,
        "82 0F 00 01 00 04 EF BB BF 't' 00 00 03 EF BB BF 00",
    );
    bench.v4("p").send(&bench, "30 04 00 01 't' 'x'");
    assert_eq!(client.recv(&bench), "");
    let marked = "30 07 00 04 EF BB BF 't' 'x'";
    bench.v4("p").send(&bench, marked);
    assert_eq!(client.recv(&bench), hex(marked));
}

#[test]
fn client_identifiers_of_every_letter_and_digit_are_allowed_mqtt_3_1_3_5() {
    let bench = Bench::new();
    let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for at in 0..letters.len() {
        let id: String = letters.chars().cycle().skip(at).take(1 + at % 23).collect();
        let mut client = bench.client();
        let connect = packet("10", &format!("00 04 'MQTT' 04 02 00 0A {}", string(&id)));
        assert_eq!(client.send(&bench, &connect), hex("20 02 00 00"), "{id}");
    }
}

#[test]
fn clients_of_3_1_1_without_an_identifier_have_a_session_each_mqtt_3_1_3_6() {
    let bench = Bench::new();
    let connect = "10 0C 00 04 'MQTT' 04 02 00 0A 00 00";
    let mut clients = [bench.client(), bench.client()];
    for client in &mut clients {
        assert_eq!(client.send(&bench, connect), hex("20 02 00 00"));
    }
    for client in &mut clients {
        assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
    }
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 2);
}

#[test]
fn a_refused_client_is_not_listened_to_mqtt_3_1_4_5() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    let publish = "30 04 00 01 't' 'x'";
    let v4 = "10 1A 00 04 'MQTT' 04 C2 00 0A 00 01 'p' 00 08 'stranger' 00 01 'x'";
    let v5 = "10 1B 00 04 'MQTT' 05 C2 00 0A 00 00 01 'p' 00 08 'stranger' 00 01 'x'";
    for (connect, connack) in [(v4, "20 02 00 04"), (v5, "20 03 00 86 00")] {
        let mut client = bench.client();
        let all = client.send(&bench, &format!("{connect} {publish} C0 00"));
        assert_eq!(all, hex(connack));
        assert!(client.is_closed());
    }
    assert_eq!(subscriber.recv(&bench), "");
}

#[test]
fn a_refusal_says_that_no_session_is_present_mqtt_3_2_2_6() {
    let bench = Bench::new();
    bench.connected(PERSISTENT).lose(&bench);
    let mut client = bench.client();
    let connect = "10 1A 00 04 'MQTT' 04 C0 00 0A 00 01 's' 00 08 'stranger' 00 01 'x'";
    assert_eq!(client.send(&bench, connect), hex("20 02 00 04"));
    assert!(client.is_closed());
    let v5 = "10 1B 00 04 'MQTT' 05 C0 00 0A 00 00 01 's' 00 08 'stranger' 00 01 'x'";
    assert_eq!(bench.client().send(&bench, v5), hex("20 03 00 86 00"));
    let mut owner = bench.client();
    let connack = owner.send(&bench, &packet("10", PERSISTENT));
    assert_eq!(connack, hex("20 02 01 00"));
}

#[test]
fn response_information_is_given_to_those_who_ask_only_mqtt_3_1_2_28() {
    let mut bench = Bench::new();
    bench.settings.response_prefix = Some("reply/".into());
    for (length, properties) in [("0E", "00"), ("10", "02 19 00")] {
        let connect = format!("10 {length} 00 04 'MQTT' 05 02 00 0A {properties} 00 01 'p'");
        let connack = bench.client().send(&bench, &connect);
        assert!(
            !connack.windows(6).any(|part| part == b"reply/"),
            "{connack:02x?}"
        );
    }
}

#[test]
fn nothing_comes_before_connack_mqtt_3_14_0_1() {
    let bench = Bench::new();
    for garbage in [
        "00 00",
        "C0 00",
        "E0 00",
        "F0 00",
        "82 06 00 01 00 01 't' 00",
        "'GET /'",
    ] {
        let mut client = bench.client();
        assert_eq!(client.send(&bench, garbage), "", "{garbage}");
        assert!(client.is_closed(), "{garbage}");
    }
    let mut silent = bench.client();
    silent
        .connection
        .handle_shutdown(bench.now, &mut silent.out);
    assert_eq!(silent.recv(&bench), "");
    assert!(silent.is_closed());
}

#[test]
fn without_the_will_flag_there_is_no_will_mqtt_3_1_2_12() {
    let bench = Bench::new();
    let mut watcher = bench.v4("w");
    watcher.send(&bench, "82 06 00 01 00 01 '#' 00");
    bench.v4("c").lose(&bench);
    bench.v5("d").lose(&bench);
    assert_eq!(watcher.recv(&bench), "");
}

#[test]
fn a_will_of_every_qos_keeps_the_order_of_its_user_properties_mqtt_3_1_3_10() {
    for qos in 0..3_u8 {
        let bench = Bench::new();
        let mut watcher = bench.v5("watcher");
        watcher.send(&bench, "82 07 00 01 00 00 01 'w' 02");
        let block = "26 00 01 'b' 00 01 '2' 26 00 01 'a' 00 01 '1' 26 00 01 'b' 00 01 '1'";
        let flags = 0x06 | qos << 3;
        let connect = format!(
            "00 04 'MQTT' 05 {flags:02X} 00 3C 00 00 01 'c' 15 {block} 00 01 'w' 00 04 'gone'"
        );
        bench.connected(&connect).lose(&bench);
        let id = if qos > 0 { "00 01" } else { "" };
        let will = format!("00 01 'w' {id} 15 {block} 'gone'");
        let first = format!("3{:X}", qos << 1);
        assert_eq!(watcher.recv(&bench), hex(&packet(&first, &will)), "{qos}");
    }
}

#[test]
fn retained_messages_outlive_the_session_of_their_publisher_mqtt_3_1_2_7() {
    let bench = Bench::new();
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "31 04 00 01 't' 'x'");
    publisher.send(&bench, "E0 00");
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 0);
    let all = bench.v4("s").send(&bench, "82 06 00 01 00 01 't' 00");
    assert_eq!(all, hex("90 03 00 01 00 31 04 00 01 't' 'x'"));
}

#[test]
fn messages_of_qos_1_and_2_wait_for_a_client_that_is_away_mqtt_3_1_2_5() {
    let bench = Bench::new();
    let mut client = bench.connected(PERSISTENT);
    client.send(&bench, "82 06 00 01 00 01 't' 02");
    client.lose(&bench);
    let mut publisher = bench.v4("p");
    publisher.send(&bench, "30 04 00 01 't' '0'");
    publisher.send(&bench, "32 06 00 01 't' 00 01 '1'");
    publisher.send(&bench, "34 06 00 01 't' 00 02 '2'");
    let mut client = bench.client();
    let all = client.send(&bench, &packet("10", PERSISTENT));
    let kept = "32 06 00 01 't' 00 01 '1' 34 06 00 01 't' 00 02 '2'";
    assert_eq!(all, hex(&format!("20 02 01 00 {kept}")));
}

#[test]
fn aliases_end_with_the_connection_mqtt_3_3_2_7() {
    let bench = Bench::new();
    // Session expiry 60 s, Topic Alias Maximum 1.
    let connect = "00 04 'MQTT' 05 00 00 3C 08 11 00 00 00 3C 22 00 01 00 01 's'";
    for connection in 0..2 {
        let mut client = bench.connected(connect);
        let mut publisher = bench.v5("p");
        if connection == 0 {
            client.send(&bench, "82 07 00 01 00 00 01 't' 00");
        }
        publisher.send(&bench, "30 05 00 01 't' 00 'x'");
        assert_eq!(client.recv(&bench), hex("30 08 00 01 't' 03 23 00 01 'x'"));
        // The client's own alias, set in the first connection alone.
        if connection == 0 {
            client.send(&bench, "30 08 00 01 'u' 03 23 00 03 'x'");
            client.lose(&bench);
        } else {
            assert_eq!(
                client.send(&bench, "30 07 00 00 03 23 00 03 'x'"),
                hex("E0 01 82")
            );
        }
    }
}

#[test]
fn an_answer_fits_what_the_client_takes_mqtt_3_4_2_2() {
    let mut bench = Bench::new();
    bench.rights = ("^nothing$", "^nothing$");
    // Maximum Packet Size 16: its CONNACK fits and no reason string does.
    let mut client = bench.connected("00 04 'MQTT' 05 02 00 3C 05 27 00 00 00 10 00 01 'p'");
    let table = [
        ("32 07 00 01 't' 00 01 00 'x'", "40 03 00 01 87"),
        ("34 07 00 01 't' 00 01 00 'x'", "50 03 00 01 87"),
        ("82 07 00 01 00 00 01 't' 01", "90 04 00 01 00 87"),
        ("A2 06 00 01 00 00 01 't'", "B0 04 00 01 00 11"),
        ("50 02 00 09", "62 02 00 09"),
        ("62 02 00 09", "70 02 00 09"),
        ("30 03 00 01 '#'", "E0 01 81"),
    ];
    for (request, answer) in table {
        assert_eq!(client.send(&bench, request), hex(answer), "{request}");
    }
}

#[test]
fn auth_has_no_flags_mqtt_3_15_1_1() {
    let bench = Bench::new();
    for flags in 1..16 {
        let mut client = bench.v5("p");
        assert_eq!(
            client.send(&bench, &format!("F{flags:X} 00")),
            hex("E0 01 81")
        );
        assert!(client.is_closed());
    }
}

#[test]
fn an_empty_user_name_with_an_empty_password_is_nobody() {
    let mut bench = Bench::new();
    bench.stranger = "";
    let nobody = "10 11 00 04 'MQTT' 04 C2 00 0A 00 01 'p' 00 00 00 00";
    assert_eq!(bench.client().send(&bench, nobody), hex("20 02 00 00"));
    let with_password = "10 12 00 04 'MQTT' 04 C2 00 0A 00 01 'p' 00 00 00 01 'x'";
    assert_eq!(
        bench.client().send(&bench, with_password),
        hex("20 02 00 04")
    );
}
