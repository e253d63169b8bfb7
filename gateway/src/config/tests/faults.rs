//! Every kind of fault: where its caret is and what it says would be right.

use super::{Config, parse, report, set};

/// Each row is a text with one fault, the words under the caret (behind it in the same line), and
/// words of the report.
pub(super) fn assert_reports(rows: &[(&str, &str, &str)]) {
    for (text, culprit, words) in rows {
        let report = report(1, text);
        assert!(report.contains(words), "{text}\n{report}");
        let (line, caret) = place(&report);
        assert_eq!(
            line.get(caret).unwrap_or_default(),
            *culprit,
            "{text}\n{report}"
        );
    }
}

/// The line that is shown first and the range of it that has the caret.
fn place(report: &str) -> (&str, std::ops::Range<usize>) {
    let lines: Vec<_> = report.lines().collect();
    let is_carets = |line: &str| line.trim_start().starts_with("| ") && line.contains('^');
    let carets = lines.iter().position(|line| is_carets(line)).unwrap();
    let start = lines[carets].find('^').unwrap();
    let end = lines[carets].rfind('^').unwrap() + 1;
    (lines[carets - 1], start..end)
}

#[test]
fn a_report_has_file_line_caret_and_remedy() {
    let text = "[storage]\ndata_dir = \"a\"\nsegment_bytes = \"64mib\"\n";
    let expected = "\
error: `storage.segment_bytes` is not a size
 --> busbar.toml:3:17
  |
3 | segment_bytes = \"64mib\"
  |                 ^^^^^^^ did you mean \"64MiB\"?
  |
  = help: units of a size: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (of 1000)

the configuration has 1 error";
    assert_eq!(report(1, text), expected);
}

#[test]
fn unknown_keys_are_answered_with_the_nearest_known_one() {
    assert_reports(&[
        (
            "[storge]\nsync = \"os\"",
            "storge",
            "did you mean `storage`?",
        ),
        (
            "[storage]\ndata_dri = \"x\"",
            "data_dri",
            "did you mean `data_dir`?",
        ),
        (
            "[listeners.mqtt]\nframe_max = 1",
            "frame_max",
            "did you mean `amqp.frame_max`?",
        ),
        ("listeners.http.vhost = \"/\"", "vhost", "did you mean"),
        ("[log]\ncolour = 1", "colour", "the keys of log are: level"),
        (
            "[[users]]\nname=\"a\"\npassword_hash=\"\"\nrole=1",
            "role",
            "the keys of users are:",
        ),
        (
            "[[policies]]\nname='p'\npattern=''\ndefinition = {message_ttl = 1}",
            "message_ttl",
            "did you mean `message-ttl`?",
        ),
        (
            "x = 1",
            "x",
            "the keys of the top level are: amqp, authentication,",
        ),
    ]);
}

#[test]
fn wrong_types_are_told_from_right_ones() {
    assert_reports(&[
        (
            "[listeners.amqp]\nenabled = 1",
            "1",
            "`listeners.amqp.enabled` is an integer",
        ),
        (
            "[listeners.amqp]\nbind = 5672",
            "5672",
            "must be an address with a port",
        ),
        (
            "listeners.amqp = \"x\"",
            "\"x\"",
            "must be a table: [listeners.amqp]",
        ),
        ("[amqp]\nchannel_max = \"9\"", "\"9\"", "must be an integer"),
        (
            "[amqp]\nchannel_max = 9.5",
            "9.5",
            "`amqp.channel_max` is a float",
        ),
        (
            "[amqp]\nproduct = 1979-05-27",
            "1979-05-27",
            "`amqp.product` is a date",
        ),
        (
            "[amqp]\nheartbeat = true",
            "true",
            "must be a duration such as \"10s\"",
        ),
        ("vhosts = [\"/\"]", "\"/\"", "must be a table: [[vhosts]]"),
        (
            "[vhosts]\nname = \"/\"",
            "[vhosts]",
            "must be tables: [[vhosts]]",
        ),
    ]);
}

#[test]
fn wrong_units_and_ranges_are_told_from_right_ones() {
    assert_reports(&[
        (
            "[amqp]\nframe_max = 131072",
            "131072",
            "\"131072B\" if that was meant",
        ),
        ("[amqp]\nheartbeat = 60", "60", "\"60s\" if that was meant"),
        (
            "[amqp]\nheartbeat = \"1 min\"",
            "\"1 min\"",
            "did you mean \"1m\"?",
        ),
        (
            "[amqp]\nheartbeat = \"soon\"",
            "\"soon\"",
            "write a whole number and a unit",
        ),
        (
            "[amqp]\nheartbeat = \"9parsecs\"",
            "\"9parsecs\"",
            "there is no such unit",
        ),
        (
            "[amqp]\nframe_max = \"1KiB\"",
            "\"1KiB\"",
            "must be \"8KiB\" to \"1GiB\"",
        ),
        (
            "[amqp]\nframe_max = \"99999999TiB\"",
            "\"99999999TiB\"",
            "more than 64 bits hold",
        ),
        ("[mqtt]\ninflight_max = 0", "0", "must be 1 to 65535"),
        ("[mqtt]\ninflight_max = -1", "-1", "must be 1 to 65535"),
        (
            "[mqtt]\ninflight_max = 70000",
            "70000",
            "must be 1 to 65535",
        ),
        (
            "[storage]\nsync = \"always\"",
            "\"always\"",
            "must be one of \"fsync\", \"os\"",
        ),
        (
            "[storage]\ndata_dir = \"\"",
            "\"\"",
            "must name a directory",
        ),
        (
            "[log]\nlevel = \"x=loud\"",
            "\"x=loud\"",
            "is not a log level",
        ),
        (
            "[log]\nlevel = \"wran\"",
            "\"wran\"",
            "levels are: error, warn,",
        ),
        ("[log]\nlevel = \"\"", "\"\"", "levels are: error, warn,"),
    ]);
}

#[test]
fn duplicates_show_both_places() {
    let repeated = report(1, "[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
    assert!(
        repeated.contains("2 | level = \"info\"\n  | ----- first written here"),
        "{repeated}"
    );
    assert!(
        repeated.contains("3 | level = \"warn\"\n  | ^^^^^ remove one"),
        "{repeated}"
    );
    let vhosts = report(1, "[[vhosts]]\nname = \"/\"\n[[vhosts]]\nname = \"/\"\n");
    assert!(
        vhosts.contains("virtual host `/` is declared twice"),
        "{vhosts}"
    );
    assert!(
        vhosts.contains("2 | name = \"/\"\n  |        --- first declared here"),
        "{vhosts}"
    );
    let ports = report(
        1,
        "[listeners]\namqp.bind = \"[::1]:1\"\nmqtt.bind = \"[::1]:1\"\n",
    );
    assert!(ports.contains("[::1]:1 is bound twice"), "{ports}");
    let user = "[[users]]\nname = \"a\"\npassword_hash = \"\"\n";
    assert!(report(1, &format!("{user}{user}")).contains("user `a` is declared twice"));
    let grant = "[[users.permissions]]\nvhost = \"/\"\n";
    let report = report(1, &format!("{user}{grant}{grant}"));
    assert!(
        report.contains("permission of user `a` in virtual host `/` is declared"),
        "{report}"
    );
}

#[test]
fn names_must_resolve() {
    assert_reports(&[
        (
            "[listeners.amqp]\nvhost = \"x\"",
            "\"x\"",
            "there is no virtual host `x`",
        ),
        (
            "[[vhosts]]\nname = \"x\"",
            "[[vhosts]]",
            "there is no virtual host `/`",
        ),
        (
            "[authentication]\nanonymous_user = \"x\"",
            "\"x\"",
            "must be declared as [[users]]",
        ),
        (
            "listeners.mqtt.allow_anonymous = true\nusers = []",
            "true",
            "declare `guest` as [[users]], or set `authentication.anonymous_user`",
        ),
        (
            "[[users]]\nname = \"a\"\npassword_hash = \"\"\ndefault_vhost = \"x\"",
            "\"x\"",
            "declared: `/`",
        ),
    ]);
}

#[test]
fn a_listener_open_to_the_network_needs_somebody_who_may_come_in() {
    assert_reports(&[
        (
            "[listeners.mqtt]\nbind = \"0.0.0.0:1\"",
            "\"0.0.0.0:1\"",
            "nobody may log in",
        ),
        (
            "[listeners.amqp]\nbind = \"[::]:1\"",
            "\"[::]:1\"",
            "nobody may log in",
        ),
        (
            "[listeners.resp]\nbind = \"10.0.0.1:1\"",
            "\"10.0.0.1:1\"",
            "nobody may log in",
        ),
    ]);
    let open = "[listeners.mqtt]\nbind = \"0.0.0.0:1\"\n";
    let user = "[[users]]\nname = \"a\"\npassword_hash = \"$argon2id$v=19$m=8,t=1,p=1$\
                YnVzYmFyLCB0ZXN0$8mzv5ZPeUXUiyOivm9LpbbE3naloa4K3wI/O3kmfyk8\"\n";
    for harmless in ["allow_anonymous = true", "enabled = false", user] {
        parse(&format!("{open}{harmless}")).unwrap();
    }
    let local = format!("{open}{user}loopback_only = true");
    assert!(report(1, &local).contains("nobody may log in"));
    parse("[listeners.http]\nbind = \"0.0.0.0:1\"").unwrap();
}

#[test]
fn limits_must_fit_each_other() {
    assert_reports(&[
        (
            "[resp]\noutput_bytes_soft = \"64MiB\"",
            "\"64MiB\"",
            "must be at most `resp.output_bytes_hard`, \"32MiB\"",
        ),
        (
            "[storage]\ndisk_free_min = \"100MiB\"",
            "\"100MiB\"",
            "must be at least 4 segments, \"256MiB\"",
        ),
        (
            "[listeners.amqp]\nbind = []",
            "[]",
            "listener `amqp` has no address",
        ),
        (
            "[storage]\nsegment_bytes = \"60001kB\"",
            "\"60001kB\"",
            "must be a multiple of \"4KiB\"",
        ),
        (
            "[storage]\npending_bytes_max = \"64MiB\"",
            "\"64MiB\"",
            "`storage.pending_bytes_max` must be at least \"129MiB\"",
        ),
        (
            "[amqp]\nmessage_bytes_max = \"512MiB\"",
            "\"512MiB\"",
            "`storage.pending_bytes_max` must be at least \"513MiB\"",
        ),
        (
            "[amqp]\nframe_max = \"1GiB\"",
            "\"1GiB\"",
            "the largest message is larger than what may wait for the disk",
        ),
    ]);
}

#[test]
fn users_need_a_name_a_hash_and_patterns_that_compile() {
    let user = "[[users]]\nname = \"a\"\n";
    let hash = |hash: &str| format!("{user}password_hash = \"{hash}\"");
    let argon2i = "$argon2i$v=19$m=8,t=1,p=1$YnVzYmFyLCB0ZXN0$8mzv5ZPeUXU";
    assert_reports(&[
        (
            "[[users]]\npassword_hash = \"\"",
            "[[users]]",
            "`users.name` is missing",
        ),
        (user, "[[users]]", "`users.password_hash` is missing"),
        (&hash("secret"), "\"secret\"", "`busbar passwd` makes one"),
        (
            &hash(argon2i),
            &format!("\"{argon2i}\""),
            "must be an argon2id PHC string",
        ),
        (
            &format!("{}\n[[users.permissions]]\nread = \"a(\"", hash("")),
            "\"a(\"",
            "unclosed group",
        ),
    ]);
}

#[test]
fn everything_is_reported_at_once_in_the_order_of_the_file() {
    let report = report(
        6,
        "[amqp]\nchannel_max = 0\nx = 1\nx = 2\n[mqtt]\ninflight_max = \n\
         queued_max = 0\n[log]\nlevel = 7\n",
    );
    let lines: Vec<_> = report
        .lines()
        .filter(|line| line.contains("--> "))
        .collect();
    let places = ["2:15", "3:1", "4:1", "6:16", "7:14", "9:9"];
    let expected: Vec<_> = places
        .map(|place| format!(" --> busbar.toml:{place}"))
        .into();
    assert_eq!(lines, expected, "{report}");
}

#[test]
fn an_overlay_is_checked_as_the_file_is_and_named_as_its_source() {
    let file = "[storage]\nsync = \"os\"\ndata_dir = \"a\"\n";
    let overlay = [set("storage.data_dir=\"b\""), set("storage.syncc=\"os\"")];
    let report = Config::parse(Some(("busbar.toml", file)), &overlay).unwrap_err();
    let expected = "\
error: unknown key `storage.syncc`
 --> --set:1:9
  |
1 | storage.syncc=\"os\"
  |         ^^^^^ did you mean `sync`?

the configuration has 1 error";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn an_overlay_replaces_the_value_and_its_fault() {
    let file = Some((
        "busbar.toml",
        "[storage]\nsync = \"never\"\ndata_dir = \"a\"\n",
    ));
    let config = Config::parse(file, &[set("storage.sync=\"os\"")]).unwrap();
    assert_eq!(config.storage.data_dir.to_str(), Some("a"));
    let listeners = set("listeners={amqp={enabled=false}}");
    let config = Config::parse(None, &[listeners, set("listeners.mqtt.enabled=false")]).unwrap();
    assert!(!config.listeners.amqp.enabled && !config.listeners.mqtt.enabled);
    assert!(config.listeners.resp.enabled);
}

#[test]
fn an_overlay_without_quotes_or_value_is_answered_with_an_example() {
    for text in ["storage.sync=os", "storage.sync", "storage.sync=", "=", ""] {
        let result = Config::parse(None, &[set(text)]);
        let Err(report) = result.map(|_| assert!(text.is_empty())) else {
            continue;
        };
        let report = report.to_string();
        assert!(
            report.contains("--set 'storage.sync=\"os\"'"),
            "{text}: {report}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_in_part_is_not_blamed_for_what_is_missing() {
    // The user may well be in the part that is lost.
    let report = report(
        1,
        "listeners.amqp.bind = \"0.0.0.0:1\"\n[[users]\nname = \"a\"\n",
    );
    assert!(report.contains("this is not TOML"), "{report}");
}
