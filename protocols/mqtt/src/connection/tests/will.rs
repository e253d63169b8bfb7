//! Wills: when they are published and when they are not.

use super::support::{Bench, Client};
use crate::wire::hex::hex;

/// 3.1.1, will `gone` on `w`, QoS 0.
const V4: &str = "00 04 'MQTT' 04 06 00 3C 00 01 'c' 00 01 'w' 00 04 'gone'";

fn v5(delay: u8, expiry: u8) -> String {
    format!(
        "00 04 'MQTT' 05 04 00 3C 05 11 00 00 00 {expiry:02X} 00 01 'c' \
         05 18 00 00 00 {delay:02X} 00 01 'w' 00 04 'gone'"
    )
}

fn watcher(bench: &Bench) -> Client {
    let mut watcher = bench.v4("watcher");
    watcher.send(bench, "82 06 00 01 00 01 'w' 00");
    watcher
}

const WILL: &str = "30 07 00 01 'w' 'gone'";

#[test]
fn a_lost_connection_publishes_its_will_mqtt_3_1_2_8() {
    let bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(V4).lose(&bench);
    assert_eq!(watcher.recv(&bench), hex(WILL));
}

#[test]
fn a_normal_disconnect_discards_the_will_mqtt_3_14_4_3() {
    let bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(V4).send(&bench, "E0 00");
    assert_eq!(watcher.recv(&bench), "");
    bench.connected(&v5(0, 0)).send(&bench, "E0 00");
    assert_eq!(watcher.recv(&bench), "");
}

#[test]
fn a_disconnect_with_another_reason_publishes_it() {
    let bench = Bench::new();
    let mut watcher = watcher(&bench);
    for reason in ["04", "80", "98"] {
        bench
            .connected(&v5(0, 0))
            .send(&bench, &format!("E0 01 {reason}"));
        assert_eq!(watcher.recv(&bench), hex(WILL), "{reason}");
    }
}

#[test]
fn a_published_will_is_forgotten_mqtt_3_1_2_10() {
    let mut bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(&v5(0, 60)).lose(&bench);
    bench.pass(1);
    assert_eq!(watcher.recv(&bench), hex(WILL));
    // Its session goes on without it: neither the next connection's end nor its own publishes it.
    let without = "00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 3C 00 01 'c'";
    bench.connected(without).lose(&bench);
    bench.pass(1);
    assert_eq!(watcher.recv(&bench), "");
    bench.pass(61_000);
    assert!(bench.broker.vhost("/").unwrap().session("c").is_none());
    assert_eq!(watcher.recv(&bench), "");
}

#[test]
fn faults_and_silence_publish_it() {
    let mut bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(V4).send(&bench, "00 00");
    assert_eq!(watcher.recv(&bench), hex(WILL));
    let mut client = bench.connected(V4);
    bench.pass(90_000);
    client.timeout(&bench);
    assert_eq!(watcher.recv(&bench), hex(WILL));
}

#[test]
fn a_will_waits_for_its_delay_mqtt_3_1_3_9() {
    let mut bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(&v5(5, 60)).lose(&bench);
    bench.pass(4_999);
    assert_eq!(watcher.recv(&bench), "");
    bench.pass(1);
    assert_eq!(watcher.recv(&bench), hex(WILL));
}

#[test]
fn a_client_that_returns_in_time_cancels_it() {
    let mut bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(&v5(5, 60)).lose(&bench);
    bench.pass(3_000);
    let _client = bench.connected(&v5(5, 60));
    bench.pass(60_000);
    assert_eq!(watcher.recv(&bench), "");
}

#[test]
fn the_end_of_the_session_does_not_wait_for_the_delay() {
    let mut bench = Bench::new();
    let mut watcher = watcher(&bench);
    bench.connected(&v5(60, 0)).lose(&bench);
    assert_eq!(watcher.recv(&bench), hex(WILL));
    bench.connected(&v5(60, 5)).lose(&bench);
    bench.pass(5_000);
    assert_eq!(watcher.recv(&bench), hex(WILL));
}

#[test]
fn a_takeover_publishes_the_will_of_the_former_connection() {
    let bench = Bench::new();
    let mut watcher = watcher(&bench);
    let mut first = bench.connected(V4);
    let _second = bench.connected("00 04 'MQTT' 04 02 00 3C 00 01 'c'");
    first.recv(&bench);
    assert_eq!(watcher.recv(&bench), hex(WILL));
}

#[test]
fn a_will_may_be_retained_and_has_its_properties() {
    let bench = Bench::new();
    let connect = "00 04 'MQTT' 05 2E 00 3C 00 00 01 'c' \
                   0C 02 00 00 00 3C 26 00 01 'n' 00 01 'v' 00 01 'w' 00 04 'gone'";
    bench.connected(connect).lose(&bench);
    let mut late = bench.v5("late");
    let all = late.send(&bench, "82 07 00 01 00 00 01 'w' 01");
    let will = "33 16 00 01 'w' 00 01 0C 02 00 00 00 3C 26 00 01 'n' 00 01 'v' 'gone'";
    assert_eq!(all, hex(&format!("90 04 00 01 00 01 {will}")));
}

#[test]
fn a_client_that_may_not_publish_may_have_no_will() {
    let mut bench = Bench::new();
    bench.rights = ("^nothing$", ".*");
    let mut client = bench.client();
    let connack = client.send(&bench, &super::support::packet("10", V4));
    assert_eq!(connack, hex("20 02 00 05"));
}
