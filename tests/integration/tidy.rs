//! The rules of ARCHITECTURE.md and STYLE.md that a machine can check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// Which crates of the workspace a crate may name in its `[dependencies]`.
const MAY_IMPORT: [(&str, &[&str]); 8] = [
    (
        "gateway",
        &["amqp", "lan", "mqtt", "resp", "routing", "storage"],
    ),
    ("protocols/amqp", &["routing"]),
    ("protocols/lan", &["routing"]),
    ("protocols/mqtt", &["routing"]),
    ("protocols/resp", &["routing"]),
    ("routing", &[]),
    ("storage", &[]),
    (
        "tests",
        &[
            "amqp", "gateway", "lan", "mqtt", "resp", "routing", "storage",
        ],
    ),
];

/// Foreign crates that only these crates of the workspace may name.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("tokio", &["gateway", "tests"]),
    ("tokio-util", &["gateway", "tests"]),
    ("socket2", &["gateway"]),
    ("amq-protocol", &["protocols/amqp"]),
    ("mqttbytes", &["protocols/mqtt"]),
    ("redis-protocol", &["protocols/resp", "tests"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files of the workspace with their text.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = MAY_IMPORT.map(|(folder, _)| root().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path, text);
            }
        }
    }
    assert!(found.len() > 100, "the sources are somewhere else");
    found
}

/// The names in a manifest's section.
fn names(folder: &str, section: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let section = manifest
        .split(&format!("\n[{section}]\n"))
        .nth(1)
        .unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next().map(str::to_owned))
        .collect()
}

#[test]
fn crates_import_only_what_they_may() {
    let ours = MAY_IMPORT.map(|(folder, _)| folder.rsplit('/').next().unwrap());
    for (folder, allowed) in MAY_IMPORT {
        let named = names(folder, "dependencies");
        let imported = named.iter().filter(|name| ours.contains(&name.as_str()));
        for name in imported {
            assert!(allowed.contains(&name.as_str()), "{folder} imports {name}");
        }
    }
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    for (folder, _) in MAY_IMPORT {
        for name in names(folder, "dependencies")
            .iter()
            .chain(&names(folder, "dev-dependencies"))
        {
            let rule = ONLY_IN.iter().find(|(foreign, _)| foreign == name);
            assert!(
                rule.is_none_or(|(_, only)| only.contains(&folder)),
                "{folder} imports {name}"
            );
        }
    }
}

#[test]
fn codec_crates_are_seen_only_in_wire_and_tests() {
    for (path, text) in sources() {
        let shown = path.display().to_string();
        let is_inside = shown.contains("/wire") || shown.contains("test");
        for name in ["amq_protocol", "mqttbytes", "redis_protocol"] {
            assert!(
                is_inside || !text.contains(&format!("{name}::")),
                "{shown} uses {name}"
            );
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, text) in sources() {
        let shown = path.display();
        assert!(
            text.lines().count() <= LINES_MAX,
            "{shown} has more than {LINES_MAX} lines"
        );
        let is_test = shown.to_string().contains("test");
        assert!(
            is_test || text.starts_with("//!"),
            "{shown} does not say what it is"
        );
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            // Texts and addresses cannot be broken.
            let is_whole = line.contains('"') || line.contains("https://");
            let fits = columns <= COLUMNS_MAX || is_whole;
            assert!(fits, "{shown}:{} has {columns} columns", number + 1);
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    for (path, text) in sources() {
        let found = marks.iter().find(|mark| text.contains(mark.as_str()));
        assert!(found.is_none(), "{} has a {found:?}", path.display());
    }
}

#[test]
fn each_protocol_has_the_same_rooms() {
    for protocol in ["amqp", "mqtt", "resp", "lan"] {
        let source = root().join("protocols").join(protocol).join("src");
        for room in ["wire", "connection", "translate"] {
            let exists = source.join(room).is_dir() || source.join(format!("{room}.rs")).is_file();
            assert!(exists, "protocols/{protocol} has no {room}");
        }
        assert!(
            source.join("settings.rs").is_file(),
            "protocols/{protocol} has no settings"
        );
    }
}

#[test]
fn every_crate_of_the_table_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let table = table.split("\n[").next().unwrap();
    let foreign = table
        .lines()
        .filter(|line| line.contains('=') && !line.contains("path ="));
    let reasons = architecture.split("## Why each crate").nth(1).unwrap();
    for name in foreign.filter_map(|line| line.split(' ').next()) {
        assert!(
            reasons.contains(name),
            "ARCHITECTURE.md does not say why {name}"
        );
    }
}
