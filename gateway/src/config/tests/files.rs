//! `configs/`: the reference holds every key and nothing else, and every other file loads.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::document::Document;
use super::super::section::Reader;
use super::super::{Bind, Config, Destination, Direction, LoadError};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "configs", name]
        .iter()
        .collect()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn load(name: &str) -> Config {
    Config::load(Some(&path(name)), &[]).unwrap_or_else(|report| panic!("{report}"))
}

/// The reference with the blocks that are commented out because there are none by default.
fn reference_with_all() -> String {
    let text = text("busbar.toml");
    let (before, blocks) = text
        .split_once("# What follows is not there by default.")
        .unwrap();
    // The first line is the rest of that sentence.
    let blocks = blocks.lines().skip(1);
    let blocks: Vec<_> = blocks
        .map(|line| line.strip_prefix('#').unwrap().trim_start_matches(' '))
        .collect();
    format!("{before}{}\n", blocks.join("\n"))
}

#[test]
fn the_reference_holds_the_defaults() {
    assert_eq!(load("busbar.toml"), Config::default());
}

#[test]
fn the_reference_holds_every_key() {
    let text = reference_with_all();
    let mut document = Document::default();
    let mut faults = Vec::new();
    document.add("busbar.toml", &text, &mut faults);
    let reader = Reader::new(&document);
    reader.root(Config::read);
    let known = reader.keys();
    faults.extend(reader.finish());
    assert!(faults.is_empty(), "{faults:#?}");
    // A link has either; the comment above `group` names the other.
    let missing: BTreeSet<_> = known.difference(&keys(&text)).cloned().collect();
    assert_eq!(missing, BTreeSet::from(["lan.broadcast".to_owned()]));
    assert!(text.contains("write broadcast = "));
}

#[test]
fn every_key_of_the_reference_has_a_comment_of_one_line() {
    let text = reference_with_all();
    let lines: Vec<_> = text.lines().collect();
    for pair in lines.windows(2) {
        let is_key = !pair[1].starts_with(['#', '[']) && !pair[1].is_empty();
        let is_comment = pair[0].starts_with("# ") && pair[0].ends_with('.');
        assert!(!is_key || is_comment, "no comment above {:?}", pair[1]);
    }
    for line in lines
        .iter()
        .filter(|line| !line.contains("password_hash = ") && !line.contains("scram_sha256 = "))
    {
        assert!(line.len() <= 100, "{line:?} is too long");
    }
}

/// The keys as written, found without the parser that the other side of the comparison uses.
fn keys(text: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some((key, _)) = line.split_once(" = ") {
            assert!(
                keys.insert(format!("{section}.{key}")),
                "{section}.{key} twice"
            );
        }
    }
    keys
}

#[test]
fn minimal_opens_three_listeners_for_one_user() {
    let config = load("minimal.toml");
    for (_, listener) in config.listeners.messaging() {
        if listener.enabled {
            assert!(matches!(
                listener.bind[0],
                Bind::Tcp(address) if address.ip().is_unspecified()
            ));
        }
    }
    let [user] = config.users.as_slice() else {
        panic!("{:?}", config.users)
    };
    assert_eq!((user.name.as_str(), user.loopback_only), ("plant", false));
}

#[test]
fn durable_syncs_and_development_does_not() {
    use super::super::SyncPolicy;
    assert_eq!(load("durable.toml").storage.sync, SyncPolicy::Fsync);
    assert_eq!(load("development.toml").storage.sync, SyncPolicy::Os);
}

#[test]
fn lan_fanout_has_three_links() {
    let links = load("lan-fanout.toml").lan;
    let [displays, sensors, lights] = links.as_slice() else {
        panic!("{links:?}")
    };
    assert_eq!(
        (displays.direction, sensors.direction),
        (Direction::Out, Direction::In)
    );
    assert_eq!(displays.ttl, 1);
    assert!(sensors.allow_sources[0].contains("10.77.0.9".parse().unwrap()));
    assert!(!sensors.allow_sources[0].contains("10.78.0.9".parse().unwrap()));
    assert_eq!(
        lights.destination,
        Destination::Broadcast("10.77.0.255".parse().unwrap())
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Some(&path("nothing.toml")), &[]).unwrap_err();
    assert!(matches!(error, LoadError::Io { .. }));
    assert!(error.to_string().contains("nothing.toml"));
}
