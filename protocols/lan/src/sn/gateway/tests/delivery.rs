//! Publishing, registering and subscribing, both ways.

use super::*;

#[test]
fn a_client_publishes_with_registered_predefined_and_short_names() {
    let mut bench = Bench::connected();
    bench.send(b"\x09\x0a\x00\x00\x00\x02a/b");
    assert_eq!(bench.answers(), [&b"\x07\x0b\x00\x01\x00\x02\x00"[..]]);
    bench.send(b"\x08\x0c\x00\x00\x01\x00\x00x");
    bench.send(b"\x08\x0c\x01\x00\x07\x00\x00x");
    bench.send(b"\x08\x0c\x02ab\x00\x00x");
    let topics = ["a/b", "plant/known", "ab"];
    let heard = topics.map(|topic| Upward::Publish(message(topic, "x", 0, 0)));
    assert_eq!(bench.heard(), heard);
    // An id that it has not registered.
    bench.send(b"\x08\x0c\x20\x00\x05\x00\x03x");
    assert_eq!(bench.answers(), [&b"\x07\x0d\x00\x05\x00\x03\x02"[..]]);
    // What is no topic.
    bench.send(b"\x09\x0a\x00\x00\x00\x02a/#");
    assert_eq!(bench.answers(), [&b"\x07\x0b\x00\x00\x00\x02\x03"[..]]);
}

#[test]
fn qos_1_is_answered_when_it_is_taken_and_repeated_once_only() {
    let mut bench = Bench::connected();
    bench.send(b"\x08\x0c\x21\x00\x07\x00\x05x");
    bench.send(b"\x08\x0c\xa1\x00\x07\x00\x05x");
    assert_eq!(
        bench.heard(),
        [Upward::Publish(message("plant/known", "x", 1, 5))]
    );
    bench.assert_quiet();
    bench.say(Downward::Puback(5, ReturnCode::Accepted));
    assert_eq!(bench.answers(), [&b"\x07\x0d\x00\x07\x00\x05\x00"[..]]);
    // The answer was lost.
    bench.send(b"\x08\x0c\xa1\x00\x07\x00\x05x");
    let again = Publish {
        dup: true,
        ..message("plant/known", "x", 1, 5)
    };
    assert_eq!(bench.heard(), [Upward::Publish(again)]);
    bench.say(Downward::Puback(5, ReturnCode::Congestion));
    assert_eq!(bench.answers(), [&b"\x07\x0d\x00\x07\x00\x05\x01"[..]]);
}

#[test]
fn qos_2_takes_its_four_steps() {
    let mut bench = Bench::connected();
    bench.send(b"\x08\x0c\x41\x00\x07\x00\x05x");
    bench.say(Downward::Pubrec(5, ReturnCode::Accepted));
    bench.send(b"\x04\x10\x00\x05");
    bench.say(Downward::Pubcomp(5));
    let heard = [
        Upward::Publish(message("plant/known", "x", 2, 5)),
        Upward::Pubrel(5),
    ];
    assert_eq!(bench.heard(), heard);
    assert_eq!(
        bench.answers(),
        [&b"\x04\x0f\x00\x05"[..], b"\x04\x0e\x00\x05"]
    );
}

#[test]
fn subscriptions_by_name_wildcard_predefined_id_and_short_name() {
    let mut bench = Bench::connected();
    let table: [(&[u8], &'static str, &[u8]); 4] = [
        (
            b"\x08\x12\x20\x00\x01a/b",
            "a/b",
            b"\x08\x13\x20\x00\x01\x00\x01\x00",
        ),
        (
            b"\x08\x12\x20\x00\x02a/#",
            "a/#",
            b"\x08\x13\x20\x00\x00\x00\x02\x00",
        ),
        (
            b"\x07\x12\x21\x00\x03\x00\x07",
            "plant/known",
            b"\x08\x13\x20\x00\x07\x00\x03\x00",
        ),
        (
            b"\x07\x12\x22\x00\x04ab",
            "ab",
            b"\x08\x13\x20\x00\x00\x00\x04\x00",
        ),
    ];
    for (id, (asked, filter, answer)) in (1..).zip(table) {
        bench.send(asked);
        let filter = filter.into();
        assert_eq!(bench.heard(), [Upward::Subscribe { id, filter, qos: 1 }]);
        bench.say(Downward::Suback(id, Ok(1)));
        assert_eq!(bench.answers(), [answer]);
    }
    // Each message then comes by the name that the client used.
    for topic in ["a/b", "plant/known", "ab"] {
        bench.say(Downward::Publish(message(topic, "x", 0, 0)));
    }
    let by_name = [
        &b"\x08\x0c\x00\x00\x01\x00\x00x"[..],
        b"\x08\x0c\x01\x00\x07\x00\x00x",
        b"\x08\x0c\x02ab\x00\x00x",
    ];
    assert_eq!(bench.answers(), by_name);
    bench.send(b"\x08\x12\x20\x00\x09a#b");
    assert_eq!(bench.answers(), [&b"\x08\x13\x00\x00\x00\x00\x09\x02"[..]]);
    bench.send(b"\x08\x14\x00\x00\x0aa/b");
    let filter = "a/b".into();
    assert_eq!(bench.heard(), [Upward::Unsubscribe { id: 10, filter }]);
    bench.say(Downward::Unsuback(10));
    assert_eq!(bench.answers(), [&b"\x04\x15\x00\x0a"[..]]);
}

#[test]
fn an_unknown_topic_is_registered_first_and_order_is_kept() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("a/b", "1", 1, 1)));
    bench.say(Downward::Publish(message("ab", "2", 0, 0)));
    assert_eq!(bench.answers(), [&b"\x09\x0a\x00\x01\x00\x01a/b"[..]]);
    bench.send(b"\x07\x0b\x00\x01\x00\x01\x00");
    assert_eq!(bench.answers(), [&b"\x08\x0c\x20\x00\x01\x00\x011"[..]]);
    // Nobody answers: it is sent again, marked.
    bench.pass(10_000);
    assert_eq!(bench.answers(), [&b"\x08\x0c\xa0\x00\x01\x00\x011"[..]]);
    bench.send(b"\x07\x0d\x00\x01\x00\x01\x00");
    assert_eq!(bench.heard(), [Upward::Puback(1)]);
    assert_eq!(bench.answers(), [&b"\x08\x0c\x02ab\x00\x002"[..]]);
}

#[test]
fn a_client_that_has_forgotten_an_id_is_told_it_again() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("a/b", "1", 1, 1)));
    bench.send(b"\x07\x0b\x00\x01\x00\x01\x00");
    bench.answers();
    bench.send(b"\x07\x0d\x00\x01\x00\x01\x02");
    assert_eq!(bench.answers(), [&b"\x09\x0a\x00\x01\x00\x01a/b"[..]]);
    bench.send(b"\x07\x0b\x00\x01\x00\x01\x00");
    assert_eq!(bench.answers().len(), 1);
    // One that refuses for good does not hold up what follows.
    bench.send(b"\x07\x0d\x00\x01\x00\x01\x03");
    assert_eq!(bench.heard(), [Upward::Puback(1)]);
    assert_eq!(bench.gateway.counts().unnamed, 1);
}

#[test]
fn a_qos_2_delivery_takes_its_four_steps_and_repeats_each() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("ab", "x", 2, 3)));
    // The MQTT side repeats itself: it is the same message.
    bench.say(Downward::Publish(message("ab", "x", 2, 3)));
    assert_eq!(bench.answers(), [&b"\x08\x0c\x42ab\x00\x03x"[..]]);
    bench.send(b"\x04\x0f\x00\x03");
    assert_eq!(
        (bench.heard(), bench.answers().len()),
        (vec![Upward::Pubrec(3)], 0)
    );
    bench.say(Downward::Pubrel(3));
    bench.pass(10_000);
    assert_eq!(bench.answers(), [&b"\x04\x10\x00\x03"[..]; 2]);
    bench.send(b"\x04\x0e\x00\x03");
    assert_eq!(bench.heard(), [Upward::Pubcomp(3)]);
    // PUBREL of a session that was resumed, without its PUBLISH.
    bench.say(Downward::Pubrel(4));
    assert_eq!(bench.answers(), [&b"\x04\x10\x00\x04"[..]]);
}

#[test]
fn a_client_that_answers_nothing_is_lost() {
    let mut bench = Bench::connected();
    bench.say(Downward::Publish(message("ab", "x", 1, 3)));
    for _ in 0..3 {
        bench.pass(10_000);
    }
    assert_eq!((bench.answers().len(), bench.heard()), (4, vec![]));
    bench.pass(10_000);
    assert_eq!(
        (bench.heard(), bench.gateway.clients()),
        (vec![Upward::Lost], 0)
    );
}
