//! Faults of `[[lan]]`.

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::faults::assert_reports;
use super::{parse, report};

/// A link with `keys` beside those that every link needs.
fn link(keys: &str) -> String {
    format!("[[lan]]\nname=\"a\"\ninterface=\"eth0\"\nport=5\n{keys}")
}

/// A link to the bus.
fn into(keys: &str) -> String {
    link(&format!("direction=\"in\"\ngroup=\"239.192.0.1\"\n{keys}"))
}

/// A link from the bus.
fn out(keys: &str) -> String {
    link(&format!("direction=\"out\"\ngroup=\"239.192.0.1\"\n{keys}"))
}

#[test]
fn a_link_has_one_address_that_fits_its_key() {
    parse(&into("")).unwrap();
    parse(&link("direction=\"in\"\nbroadcast=\"10.77.0.255\"")).unwrap();
    let group = |group: &str| link(&format!("direction=\"in\"\ngroup=\"{group}\""));
    let broadcast = link("direction=\"in\"\nbroadcast=\"239.1.1.1\"");
    assert_reports(&[
        (
            &link("direction=\"in\""),
            "[[lan]]",
            "`lan.group` is missing",
        ),
        (
            &group("10.0.0.1"),
            "\"10.0.0.1\"",
            "must be an IPv4 multicast address",
        ),
        (
            &group("224.0.0.9"),
            "\"224.0.0.9\"",
            "take one of 239.192.0.0/14",
        ),
        (
            &group("ff15::1"),
            "\"ff15::1\"",
            "must be an IPv4 multicast address",
        ),
        (&broadcast, "\"239.1.1.1\"", "such as \"10.77.0.255\""),
        (
            &into("broadcast=\"10.0.0.255\""),
            "\"10.0.0.255\"",
            "a link has one address",
        ),
    ]);
}

#[test]
fn links_that_send_need_filters_that_are_valid() {
    parse(&out("filters=\"plant/#\"")).unwrap();
    parse(&out("filters=[\"+\", \"a/+/b\", \"#\", \"/\"]")).unwrap();
    assert_reports(&[(&out(""), "[[lan]]", "`lan.filters` is missing")]);
    for filter in ["plant/#/x", "a+", "a/b#", ""] {
        let report = report(1, &out(&format!("filters=\"{filter}\"")));
        assert!(
            report.contains("write, for example, \"plant/+/temp\""),
            "{filter} {report}"
        );
    }
}

#[test]
fn topics_sources_and_limits_are_checked() {
    assert_reports(&[
        (
            &into("topic=\"a/#\""),
            "\"a/#\"",
            "it is a topic, not a filter",
        ),
        (
            &into("topic=\"{who}\""),
            "\"{who}\"",
            "may hold {group}, {port} and {src}",
        ),
        (&into("codec=\"lcm\""), "\"lcm\"", "must be one of \"raw\""),
        (
            &into("allow_sources=[\"10.0.0.1/24\"]"),
            "\"10.0.0.1/24\"",
            "\"10.0.0.0/24\"?",
        ),
        (
            &into("allow_sources=[\"10.0.0.0/33\"]"),
            "\"10.0.0.0/33\"",
            "must be like",
        ),
        (
            &into("message_bytes_max=\"64KiB\""),
            "\"64KiB\"",
            "\"1B\" to \"65507B\"",
        ),
        (&into("ttl=0"), "0", "must be 1 to 255"),
        (
            &into("vhost=\"x\""),
            "\"x\"",
            "there is no virtual host `x`",
        ),
    ]);
    let any = super::super::SourceRange::from_str("0.0.0.0/0").unwrap();
    assert!(any.contains(Ipv4Addr::BROADCAST));
}

#[test]
fn a_link_never_leaves_its_interface_to_the_system() {
    let text = into("").replace("eth0", "0.0.0.0");
    assert_reports(&[(&text, "\"0.0.0.0\"", "must name one interface")]);
    let text = into("").replace("eth0", "an interface of many letters");
    assert_reports(&[(
        &text,
        "\"an interface of many letters\"",
        "must be a name such as",
    )]);
}

#[test]
fn links_that_hear_themselves_are_refused() {
    let out = out("filters=\"lan/#\"");
    let into =
        |topic: &str| into(&format!("topic=\"{topic}\"")).replace("name=\"a\"", "name=\"b\"");
    let report = report(1, &format!("{out}\n{}", into("lan/{src}")));
    assert!(
        report.contains("LAN links `a` and `b` go in a circle"),
        "{report}"
    );
    assert!(report.contains("this sends `lan/127.0.0.1`"), "{report}");
    parse(&format!("{out}\n{}", into("sensors/{src}"))).unwrap();
    parse(&format!(
        "{out}\n{}",
        into("lan/{src}").replace("port=5", "port=6")
    ))
    .unwrap();
    // One link with both directions tells its own datagrams from others'.
    parse(&out.replace("direction=\"out\"", "direction=\"both\"")).unwrap();
}
