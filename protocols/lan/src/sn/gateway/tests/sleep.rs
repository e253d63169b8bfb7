//! Clients that sleep. MQTT-SN 1.2 §6.14

use super::*;

fn asleep() -> Bench {
    let mut bench = Bench::connected();
    bench.send(b"\x04\x18\x01\x2c");
    assert_eq!(bench.answers(), [&b"\x02\x18"[..]]);
    assert_eq!(bench.heard(), []);
    bench
}

#[test]
fn what_comes_for_a_sleeper_waits_until_it_asks() {
    let mut bench = asleep();
    bench.say(Downward::Publish(message("ab", "1", 0, 0)));
    bench.say(Downward::Publish(message("ab", "2", 1, 1)));
    bench.pass(200_000);
    bench.assert_quiet();
    bench.send(b"\x05\x16dev");
    let waited = [&b"\x08\x0c\x02ab\x00\x001"[..], b"\x08\x0c\x22ab\x00\x012"];
    assert_eq!(bench.answers(), waited);
    // The end of what waits is said when all of it has arrived.
    bench.send(b"\x07\x0dab\x00\x01\x00");
    assert_eq!(bench.answers(), [&b"\x02\x17"[..]]);
    assert_eq!(bench.heard(), [Upward::Puback(1)]);
    // It sleeps again.
    bench.say(Downward::Publish(message("ab", "3", 0, 0)));
    bench.assert_quiet();
}

#[test]
fn what_was_not_answered_before_the_sleep_is_sent_first_after_it() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("ab", "1", 1, 1)));
    bench.say(Downward::Publish(message("ab", "2", 0, 0)));
    bench.send(b"\x04\x18\x01\x2c");
    bench.answers();
    bench.pass(60_000);
    bench.assert_quiet();
    bench.send(b"\x05\x16dev");
    assert_eq!(bench.answers(), [&b"\x08\x0c\xa2ab\x00\x011"[..]]);
}

#[test]
fn a_sleeper_is_buffered_for_to_a_bound_and_the_oldest_of_qos_0_gives_way() {
    let mut bench = Bench::new(|settings| settings.waiting_max = 2);
    bench.connect();
    bench.send(b"\x04\x18\x01\x2c");
    for (text, qos, id) in [
        ("1", 1, 1),
        ("2", 0, 0),
        ("3", 0, 0),
        ("4", 1, 2),
        ("5", 2, 3),
    ] {
        bench.say(Downward::Publish(message("ab", text, qos, id)));
    }
    bench.answers();
    // What finds no room is settled, and so is not kept for ever.
    assert_eq!(bench.heard(), [Upward::Pubrec(3)]);
    assert_eq!(bench.gateway.counts().dropped, 3);
    bench.say(Downward::Pubrel(3));
    assert_eq!(bench.heard(), [Upward::Pubcomp(3)]);
    bench.send(b"\x05\x16dev");
    assert_eq!(bench.answers(), [&b"\x08\x0c\x22ab\x00\x011"[..]]);
    bench.send(b"\x07\x0dab\x00\x01\x00");
    assert_eq!(bench.answers(), [&b"\x08\x0c\x22ab\x00\x024"[..]]);
}

#[test]
fn a_sleeper_that_does_not_come_back_is_lost() {
    let mut bench = asleep();
    bench.pass(329_999);
    assert_eq!(bench.heard(), []);
    bench.pass(1);
    assert_eq!(
        (bench.heard(), bench.gateway.clients()),
        (vec![Upward::Lost], 0)
    );
}

#[test]
fn a_sleeper_that_connects_goes_on_and_is_told_its_ids_anew() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("a/b", "1", 0, 0)));
    bench.send(b"\x07\x0b\x00\x01\x00\x01\x00");
    bench.send(b"\x04\x18\x01\x2c");
    bench.say(Downward::Publish(message("a/b", "2", 0, 0)));
    bench.answers();
    bench.send(b"\x09\x04\x00\x01\x00\x3cdev");
    let told = [&b"\x03\x05\x00"[..], b"\x09\x0a\x00\x01\x00\x01a/b"];
    assert_eq!(bench.answers(), told);
    assert_eq!(bench.heard(), []);
    bench.pass(10_000);
    bench.send(b"\x07\x0b\x00\x01\x00\x01\x00");
    assert_eq!(
        bench.answers().last().unwrap(),
        &b"\x08\x0c\x00\x00\x01\x00\x002"[..]
    );
}

#[test]
fn a_sleeper_may_come_back_from_another_port_of_its_address_only() {
    let mut bench = asleep();
    bench.say(Downward::Publish(message("ab", "1", 0, 0)));
    let stranger = SocketAddr::from(([10, 77, 0, 2], 1));
    let ping = b"\x05\x16dev";
    bench
        .gateway
        .handle_datagram(bench.now, stranger, ping, false);
    assert_eq!(bench.sent_to(Receivers::One(stranger)), [&b"\x02\x18"[..]]);
    bench
        .gateway
        .handle_datagram(bench.now, device(5), ping, false);
    let waited = [&b"\x08\x0c\x02ab\x00\x001"[..], b"\x02\x17"];
    assert_eq!(bench.sent_to(Receivers::One(device(5))), waited);
    assert_eq!(bench.gateway.clients(), 1);
}
