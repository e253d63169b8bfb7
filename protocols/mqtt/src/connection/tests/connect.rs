//! CONNECT and CONNACK, DISCONNECT, keep alive, shutdown.

use routing::Frontend;

use super::support::{Bench, packet, string};
use crate::wire::hex::hex;

const CONNACK_V5: &str = "20 0E 00 00 0B 22 00 0A 27 00 1E 84 80 21 00 14";

#[test]
fn each_version_is_greeted_in_its_own_form() {
    let bench = Bench::new();
    let table = [
        ("10 0F 00 06 'MQIsdp' 03 02 00 0A 00 01 'p'", "20 02 00 00"),
        ("10 0D 00 04 'MQTT' 04 02 00 0A 00 01 'q'", "20 02 00 00"),
        ("10 0E 00 04 'MQTT' 05 02 00 0A 00 00 01 'r'", CONNACK_V5),
    ];
    for (connect, connack) in table {
        let mut client = bench.client();
        assert_eq!(client.send(&bench, connect), hex(connack));
        assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
    }
}

#[test]
fn packets_behind_connect_wait_for_the_identity() {
    let bench = Bench::new();
    let mut client = bench.client();
    let all = client.send(
        &bench,
        "10 0D 00 04 'MQTT' 04 02 00 0A 00 01 'p' C0 00 C0 00",
    );
    assert_eq!(all, hex("20 02 00 00 D0 00 D0 00"));
}

#[test]
fn a_client_without_an_identifier_is_assigned_one_mqtt_3_2_2_16() {
    let bench = Bench::new();
    let mut client = bench.client();
    let connack = client.send(&bench, "10 0D 00 04 'MQTT' 05 02 00 0A 00 00 00");
    assert_eq!(connack[..8], hex("20 2C 00 00 29 22 00 0A"));
    assert_eq!(connack[8..16], hex("12 00 1B 'auto-'"));
    let mut other = bench.client();
    assert_ne!(
        other.send(&bench, "10 0D 00 04 'MQTT' 05 02 00 0A 00 00 00"),
        connack
    );
}

#[test]
fn the_server_may_set_the_keep_alive_mqtt_3_2_2_21() {
    let mut bench = Bench::new();
    bench.settings.keep_alive_max_secs = 60;
    let mut client = bench.client();
    let connack = client.send(&bench, "10 0E 00 04 'MQTT' 05 02 00 00 00 00 01 'p'");
    assert_eq!(
        connack,
        hex("20 11 00 00 0E 22 00 0A 13 00 3C 27 00 1E 84 80 21 00 14")
    );
    let mut old = bench.client();
    let refused = old.send(&bench, "10 0D 00 04 'MQTT' 04 02 00 3D 00 01 'q'");
    assert_eq!(refused, hex("20 02 00 02"));
    assert!(old.is_closed());
}

#[test]
fn a_session_expiry_above_the_maximum_is_lowered_and_told() {
    let mut bench = Bench::new();
    bench.settings.session_expiry_max_secs = 60;
    let mut client = bench.client();
    let connack = client.send(
        &bench,
        "10 13 00 04 'MQTT' 05 02 00 0A 05 11 00 00 0E 10 00 01 'p'",
    );
    let expected = "20 13 00 00 10 22 00 0A 11 00 00 00 3C 27 00 1E 84 80 21 00 14";
    assert_eq!(connack, hex(expected));
}

#[test]
fn response_information_is_given_if_asked_for_and_configured() {
    let mut bench = Bench::new();
    let connect = "10 10 00 04 'MQTT' 05 02 00 0A 02 19 01 00 01 'p'";
    assert_eq!(bench.client().send(&bench, connect), hex(CONNACK_V5));
    bench.settings.response_prefix = Some("reply/".into());
    let connack = bench.client().send(&bench, connect);
    assert_eq!(connack[8..18], hex("1A 00 07 'reply/p'"));
}

#[test]
fn a_wrong_password_is_refused() {
    let bench = Bench::new();
    let refused = |connect: &str| {
        let mut client = bench.client();
        let connack = client.send(&bench, connect);
        assert!(client.is_closed());
        connack
    };
    let v4 = "10 1A 00 04 'MQTT' 04 C2 00 0A 00 01 'p' 00 08 'stranger' 00 01 'x'";
    assert_eq!(refused(v4), hex("20 02 00 04"));
    let v5 = "10 1B 00 04 'MQTT' 05 C2 00 0A 00 00 01 'p' 00 08 'stranger' 00 01 'x'";
    assert_eq!(refused(v5), hex("20 03 00 86 00"));
}

#[test]
fn the_user_name_may_name_the_virtual_host() {
    let mut bench = Bench::new();
    let connect = |bench: &Bench, user: &str| {
        let body = format!("00 04 'MQTT' 04 82 00 0A 00 01 'p' {}", string(user));
        bench.client().send(bench, &packet("10", &body))
    };
    assert_eq!(connect(&bench, "/:alice"), hex("20 02 00 00"));
    assert_eq!(connect(&bench, "elsewhere:alice"), hex("20 02 00 05"));
    bench.settings.vhost = Some("/".into());
    assert_eq!(connect(&bench, "alice"), hex("20 02 00 00"));
    assert_eq!(connect(&bench, "elsewhere:alice"), hex("20 02 00 05"));
    bench.settings.vhost = Some("elsewhere".into());
    assert_eq!(connect(&bench, "alice"), hex("20 02 00 05"));
}

#[test]
fn an_authentication_method_is_not_served() {
    let bench = Bench::new();
    let mut client = bench.client();
    let connect = "10 12 00 04 'MQTT' 05 02 00 0A 04 15 00 01 'm' 00 01 'p'";
    assert_eq!(client.send(&bench, connect), hex("20 03 00 8C 00"));
    assert!(client.is_closed());
    assert_eq!(bench.v5("p").send(&bench, "F0 00"), hex("E0 01 82"));
}

#[test]
fn a_client_that_cannot_be_told_is_not_connected() {
    let bench = Bench::new();
    let mut client = bench.client();
    let connect = "10 13 00 04 'MQTT' 05 02 00 0A 05 27 00 00 00 02 00 01 'p'";
    assert_eq!(client.send(&bench, connect), "");
    assert!(client.is_closed());
    assert_eq!(bench.broker.vhost("/").unwrap().session_count(), 0);
}

#[test]
fn a_second_connect_is_a_protocol_error_mqtt_3_1_0_2() {
    let bench = Bench::new();
    let mut v5 = bench.v5("p");
    let again = v5.send(&bench, "10 0E 00 04 'MQTT' 05 02 00 0A 00 00 01 'p'");
    assert_eq!(again, hex("E0 01 82"));
    let mut v4 = bench.v4("q");
    assert_eq!(
        v4.send(&bench, "10 0D 00 04 'MQTT' 04 02 00 0A 00 01 'q'"),
        ""
    );
    assert!(v4.is_closed() && v5.is_closed());
}

#[test]
fn a_stranger_who_says_nothing_is_closed() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    assert_eq!(
        client.connection.poll_timeout(),
        Some(bench.now.plus_ms(10_000))
    );
    client.send(&bench, "10 0D 00 04");
    bench.pass(9_999);
    client.timeout(&bench);
    assert!(!client.is_closed());
    bench.pass(1);
    assert_eq!(client.timeout(&bench), "");
    assert!(client.is_closed());
}

#[test]
fn a_silent_client_is_closed_after_one_and_a_half_keep_alives_mqtt_3_1_2_22() {
    let mut bench = Bench::new();
    let mut client = bench.v5("p");
    bench.pass(60_000);
    assert_eq!(client.send(&bench, "C0 00"), hex("D0 00"));
    bench.pass(89_999);
    assert_eq!(client.timeout(&bench), "");
    bench.pass(1);
    assert_eq!(client.timeout(&bench), hex("E0 01 8D"));
    assert!(client.is_closed());
}

#[test]
fn a_server_that_stops_says_so() {
    let bench = Bench::new();
    let (mut v5, mut v4) = (bench.v5("p"), bench.v4("q"));
    for client in [&mut v5, &mut v4] {
        client
            .connection
            .handle_shutdown(bench.now, &mut client.out);
        assert!(client.is_closed());
    }
    assert_eq!(v5.recv(&bench), hex("E0 01 8B"));
    assert_eq!(v4.recv(&bench), "");
}

#[test]
fn disconnect_may_not_give_a_session_a_life_that_connect_did_not_mqtt_3_14_2_2() {
    let bench = Bench::new();
    let mut client = bench.v5("p");
    assert_eq!(
        client.send(&bench, "E0 07 00 05 11 00 00 00 01"),
        hex("E0 01 82")
    );
    let mut other = bench.v5("q");
    assert_eq!(other.send(&bench, "E0 07 00 05 11 00 00 00 00"), "");
    assert!(other.is_closed());
}

#[test]
fn packets_of_a_server_are_protocol_errors() {
    let bench = Bench::new();
    for bytes in [
        "20 03 00 00 00",
        "90 04 00 01 00 00",
        "B0 04 00 01 00 00",
        "D0 00",
        "00 00",
    ] {
        assert_eq!(
            bench.v5("p").send(&bench, bytes),
            hex("E0 01 82"),
            "{bytes}"
        );
        assert_eq!(bench.v4("q").send(&bench, bytes), "", "{bytes}");
    }
}
