//! Faults of `[[lan]]`.

use std::net::{IpAddr, Ipv4Addr};
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
            "must be a multicast address",
        ),
        (
            &group("224.0.0.9"),
            "\"224.0.0.9\"",
            "take one of 239.192.0.0/14",
        ),
        (&group("ff01::1"), "\"ff01::1\"", "never leave the machine"),
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
            "may hold {group}, {port}, {src} and {topic}",
        ),
        (
            &into("codec=\"x\""),
            "\"x\"",
            "must be one of \"raw\", \"mqtt-sn\"",
        ),
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
    assert!(any.contains(IpAddr::V4(Ipv4Addr::BROADCAST)));
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
    // Another network, but a second gateway like this would send it back.
    let both = |text: &str, name: &str| {
        let direction = "direction=\"both\"\ncodec=\"lcm\"";
        let text = text.replace("direction=\"out\"", direction);
        text.replace("name=\"a\"", &format!("name=\"{name}\""))
    };
    let there = both(&out, "b").replace("port=5", "port=6");
    let text = format!("{}\n{there}", both(&out, "a"));
    let bridged = super::report(1, &text);
    assert!(
        bridged.contains("`a` and `b` forward to each other"),
        "{bridged}"
    );
    let apart = there.replace("lan/#", "plant/#");
    let apart = format!("{}\ntopic=\"north/{{topic}}\"\n{apart}", both(&out, "a"));
    parse(&format!("{apart}\ntopic=\"south/{{topic}}\"")).unwrap();
    // Each direction has its own topics.
    let other = there.replace("lan/#", "south/+");
    parse(&format!("{}\n{other}", both(&out, "a"))).unwrap();
    // One link with both directions tells its own datagrams from others'.
    parse(&out.replace("direction=\"out\"", "direction=\"both\"")).unwrap();
}

#[test]
fn ipv6_groups_are_joined_by_name_and_sources_fit_their_group() {
    let v6 = |keys: &str| link(&format!("direction=\"in\"\ngroup=\"ff15::77\"\n{keys}"));
    let config = parse(&v6("source=\"fd00:77::5\"\nallow_sources=\"fd00:77::/32\"")).unwrap();
    let link = &config.lan[0];
    // What an Ethernet frame holds less the headers of IPv6 and UDP.
    assert_eq!(
        (link.message_bytes_max, link.datagram_bytes_max),
        (1452, 1452)
    );
    assert!(link.allow_sources[0].contains("fd00:77::9".parse().unwrap()));
    assert!(!link.allow_sources[0].contains("fd00:78::9".parse().unwrap()));
    assert!(!link.allow_sources[0].contains("10.77.0.9".parse().unwrap()));
    let by_address = v6("").replace("eth0", "fd00:77::1");
    assert_reports(&[
        (
            &by_address,
            "\"fd00:77::1\"",
            "must be the interface's name",
        ),
        (
            &v6("source=\"10.77.0.5\""),
            "\"10.77.0.5\"",
            "of the same family as `group`",
        ),
        (
            &v6("source=\"ff15::1\""),
            "\"ff15::1\"",
            "must be one machine's address",
        ),
    ]);
}

#[test]
fn codecs_have_their_own_topics_and_sizes() {
    let config = parse(&into("codec=\"lcm\"\nmessage_bytes_max=\"16MiB\"")).unwrap();
    assert_eq!(config.lan[0].topic.to_string(), "{topic}");
    let topics = "codec=\"uadp\"\n[[lan.topics]]\ntopic=\"a/b\"\nid=7\nfields=\"Double\"";
    let topic = parse(&into(topics)).unwrap().lan[0].topics[0].clone();
    assert_eq!((topic.topic.as_ref(), topic.id), (&b"a/b"[..], Some(7)));
    assert_eq!(topic.fields[0].kind, lan::FieldType::Double);
    let entry = |keys: &str| into(&format!("[[lan.topics]]\ntopic=\"a\"\n{keys}"));
    assert_reports(&[
        (
            &into("topic=\"{topic}\""),
            "\"{topic}\"",
            "use {group}, {port} and {src}",
        ),
        (&entry("id=0"), "0", "must be 1 to 65535"),
        (&entry("channel=\"\""), "\"\"", "must have 1 to 63 bytes"),
        (
            &entry("fields=\"a:Real\""),
            "\"a:Real\"",
            "must be like \"temp:Double\"",
        ),
        (
            &entry("fields=[\"Double\", \"Double\"]"),
            "[\"Double\", \"Double\"]",
            "name each",
        ),
        (
            &into("[[lan.topics]]\ntopic=\"a/#\""),
            "\"a/#\"",
            "must be an MQTT topic without wildcards",
        ),
    ]);
}

#[test]
fn rlan_says_what_its_keys_are_and_may_go_in_a_circle() {
    let rlan = |keys: &str| into(&format!("codec=\"rlan\"\n{keys}"));
    let key = "0123456789abcdef".repeat(4);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let file = file.to_str().unwrap();
    std::fs::write(file, format!("{key}\n")).unwrap();
    let read = parse(&rlan(&format!("keys=[\"2:{key}\", \"1:@{file}\"]"))).unwrap();
    let keys = &read.lan[0].keys;
    assert_eq!((keys[0].id, keys[1].id), (2, 1));
    assert_eq!(keys[0].secret, keys[1].secret);
    assert_eq!(keys[0].secret[..3], [0x01, 0x23, 0x45]);
    assert!(!format!("{keys:?}").contains("secret"), "{keys:?}");
    parse(&rlan("keys=[]")).unwrap();
    std::fs::write(file, "0123").unwrap();
    let one = |text: &str| format!("\"{text}\"");
    assert_reports(&[
        (
            &rlan(""),
            "[[lan]]",
            "anybody on the network can read, forge",
        ),
        (
            &rlan("keys=\"0123\""),
            &one("0123"),
            "64 hexadecimal digits",
        ),
        (&rlan("keys=\"0:00\""), &one("0:00"), "an id of 1 to 255"),
        (
            &rlan("keys=\"1:00\""),
            &one("1:00"),
            "2 digits instead of 64",
        ),
        (
            &rlan("keys=\"1:@/nowhere\""),
            &one("1:@/nowhere"),
            "cannot be read",
        ),
        (
            &rlan(&format!("keys=\"1:@{file}\"")),
            &one(&format!("1:@{file}")),
            "4 digits instead of 64",
        ),
        (
            &rlan(&format!("keys=[\"1:{key}\", \"1:{key}\"]")),
            &format!("[\"1:{key}\", \"1:{key}\"]"),
            "at most two",
        ),
        (
            &into(&format!("keys=\"1:{key}\"")),
            &one(&format!("1:{key}")),
            "only rlan is sealed",
        ),
    ]);
    // What other codecs are refused for.
    let both = |name: &str, port: u16| {
        let text = out("filters=\"#\"\ncodec=\"rlan\"\nkeys=[]");
        let text = text
            .replace("\"out\"", "\"both\"")
            .replace("port=5", &format!("port={port}"));
        text.replace("name=\"a\"", &format!("name=\"{name}\""))
    };
    parse(&format!("{}\n{}", both("a", 5), both("b", 6))).unwrap();
    parse(&format!("{}\n{}", both("a", 5), both("b", 5))).unwrap();
}
