//! Faults of `[[mqtt_sn]]` and `[discovery]`.

use super::faults::assert_reports;
use super::parse;

/// A gateway with `keys` beside those that every gateway needs.
fn gateway(keys: &str) -> String {
    format!("[[mqtt_sn]]\nname=\"a\"\nbind=\"0.0.0.0:1884\"\nuser=\"guest\"\n{keys}")
}

#[test]
fn a_gateway_needs_a_name_an_address_and_a_user_that_there_is() {
    parse(&gateway("")).unwrap();
    let twice = gateway("") + &gateway("");
    assert_reports(&[
        (
            &gateway("").replace("bind=\"0.0.0.0:1884\"\n", ""),
            "[[mqtt_sn]]",
            "`mqtt_sn.bind` is missing",
        ),
        (
            &gateway("").replace("user=\"guest\"\n", ""),
            "[[mqtt_sn]]",
            "`mqtt_sn.user` is missing",
        ),
        (
            &gateway("").replace("guest", "nobody"),
            "\"nobody\"",
            "there is no user `nobody` for MQTT-SN devices",
        ),
        (
            &gateway("vhost=\"x\""),
            "\"x\"",
            "there is no virtual host `x`",
        ),
        (&twice, "\"a\"", "MQTT-SN gateway"),
    ]);
}

#[test]
fn a_gateway_is_found_on_a_network_that_is_named() {
    parse(&gateway(
        "interface=\"eth0\"\ngroup=\"239.192.0.4\"\nbroadcast=\"10.77.0.255\"",
    ))
    .unwrap();
    let bound = gateway("interface=\"eth0\"\ngroup=\"239.192.0.4\"").replace("0.0.0.0", "10.0.0.1");
    assert_reports(&[
        (
            &gateway("group=\"239.192.0.4\""),
            "[[mqtt_sn]]",
            "`mqtt_sn.interface` is missing",
        ),
        (&bound, "\"10.0.0.1:1884\"", "hears no group"),
        (
            &gateway("interface=\"eth0\"\ngroup=\"ff15::1\""),
            "\"ff15::1\"",
            "not of the family of `bind`",
        ),
    ]);
}

#[test]
fn predefined_topics_have_a_topic_and_an_id() {
    let topics = |keys: &str| gateway(&format!("[[mqtt_sn.topics]]\n{keys}"));
    parse(&topics("topic=\"plant/a\"\nid=7")).unwrap();
    assert_reports(&[
        (
            &topics("topic=\"plant/a\""),
            "[[mqtt_sn.topics]]",
            "`mqtt_sn.topics.id` is missing",
        ),
        (
            &topics("topic=\"plant/#\"\nid=7"),
            "\"plant/#\"",
            "without wildcards",
        ),
    ]);
}

#[test]
fn listeners_are_announced_on_named_interfaces() {
    parse("[discovery]\nmdns=[\"eth0\"]\nname=\"Press hall 3\"").unwrap();
    assert_reports(&[(
        "[discovery]\nmdns=[\"10.77.0.1\"]",
        "\"10.77.0.1\"",
        "must be a name such as \"eth0\"",
    )]);
}
