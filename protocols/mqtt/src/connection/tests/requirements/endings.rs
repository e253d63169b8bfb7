//! What the codec refuses, seen from outside: the exact last bytes, and that nothing is heard after
//! them. Chapters 1.5, 2.1, 3.1.4, 3.6, 3.8, 3.10, 3.14, 4.13.

use super::super::support::{Bench, packet};
use crate::wire::hex::hex;

/// A PUBLISH and a PINGREQ that would be answered and passed on if anybody listened.
const MORE: &str = "30 04 00 01 't' 'x' C0 00";
const MORE_V5: &str = "30 05 00 01 't' 00 'x' C0 00";

#[test]
fn a_malformed_packet_ends_the_connection_mqtt_4_13_1_1() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    for (v4, v5) in [
        // Flags of PUBREL, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT.
        ("60 02 00 01", "60 02 00 01"),
        ("80 06 00 01 00 01 't' 00", "80 07 00 01 00 00 01 't' 00"),
        ("A0 05 00 01 00 01 't'", "A0 06 00 01 00 00 01 't'"),
        ("C1 00", "C1 00"),
        ("E1 00", "E1 00"),
        // QoS 3, of a PUBLISH and of a filter; a reserved bit of a filter's options.
        ("36 06 00 01 't' 00 01 'x'", "36 07 00 01 't' 00 01 00 'x'"),
        ("82 06 00 01 00 01 't' 03", "82 07 00 01 00 00 01 't' 03"),
        ("82 06 00 01 00 01 't' 80", "82 07 00 01 00 00 01 't' 80"),
        // A surrogate, bytes that are no UTF-8, U+0000.
        ("30 05 00 03 ED A0 80", "30 06 00 03 ED A0 80 00"),
        ("30 04 00 02 C3 28", "30 05 00 02 C3 28 00"),
        ("30 03 00 01 00", "30 04 00 01 00 00"),
    ] {
        let mut old = bench.v4("p");
        assert_eq!(old.send(&bench, &format!("{v4} {MORE}")), "", "{v4}");
        assert!(old.is_closed(), "{v4}");
        let mut new = bench.v5("q");
        let told = new.send(&bench, &format!("{v5} {MORE_V5}"));
        assert_eq!(told, hex("E0 01 81"), "{v5}");
        assert!(new.is_closed(), "{v5}");
    }
    assert_eq!(
        subscriber.recv(&bench),
        "",
        "what came behind was listened to"
    );
}

#[test]
fn a_connect_that_is_refused_closes_the_connection_mqtt_3_1_4_1() {
    let bench = Bench::new();
    let mut subscriber = bench.v4("s");
    subscriber.send(&bench, "82 06 00 01 00 01 't' 00");
    for (body, answer) in [
        // Another protocol, other versions.
        ("00 04 'MQTU' 04 02 00 0A 00 01 'p'", ""),
        ("00 06 'MQIsdp' 04 00 00 0A 00 01 'p'", "20 02 00 01"),
        ("00 04 'MQTT' 03 02 00 0A 00 01 'p'", "20 02 00 01"),
        ("00 04 'MQTT' 06 02 00 0A 00 01 'p'", "20 03 00 84 00"),
        // The reserved flag.
        ("00 04 'MQTT' 04 03 00 0A 00 01 'p'", ""),
        ("00 04 'MQTT' 05 03 00 0A 00 00 01 'p'", ""),
        // Client identifiers that are not allowed, and strings that are none.
        ("00 04 'MQTT' 04 00 00 0A 00 00", "20 02 00 02"),
        ("00 04 'MQTT' 04 02 00 0A 00 05 'top' 00 00", ""),
        ("00 04 'MQTT' 04 02 00 0A 00 05 'to' ED A0 80", ""),
        (
            "00 04 'MQTT' 05 02 00 0A 00 00 05 'top' 00 00",
            "20 03 00 85 00",
        ),
        // A property with half of its value; one that stands twice.
        ("00 04 'MQTT' 05 02 00 0A 01 11 00 01 'p'", "20 03 00 81 00"),
        (
            "00 04 'MQTT' 05 02 00 0A 06 21 00 01 21 00 01 00 01 'p'",
            "20 03 00 82 00",
        ),
        // What no flag announced.
        ("00 04 'MQTT' 04 02 00 0A 00 01 'p' 00", ""),
    ] {
        let mut client = bench.client();
        let connect = packet("10", body);
        let told = client.send(&bench, &format!("{connect} {MORE}"));
        assert_eq!(told, hex(answer), "{body}");
        assert!(client.is_closed(), "{body}");
    }
    let mut client = bench.client();
    let flagged = packet("11", "00 04 'MQTT' 04 02 00 0A 00 01 'p'");
    assert_eq!(client.send(&bench, &format!("{flagged} {MORE}")), "");
    assert!(client.is_closed());
    assert_eq!(
        subscriber.recv(&bench),
        "",
        "what came behind was listened to"
    );
}
