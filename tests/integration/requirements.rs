//! The requirement lists of `conformance/requirements` against the tests that are there.
//!
//! ```toml
//! ["MQTT-3.1.0-1"]
//! level = "MUST"                    # MUST | SHOULD | MAY
//! binds = "server"                  # server | client | both
//! text = "what it asks for, in short words of our own"
//! tests = [                         # what proves it: at least one, or
//!     "mqtt: name_of_the_function",              # a test of a crate of the workspace,
//!     "conformance: smoke/test_mqtt.py::test_x", # or one of the conformance suite
//! ]
//! reason = "why it does not apply"  # instead of tests
//! ```
//!
//! Separate from the tidy tests: those hold our own rules, these the standards'.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;

/// How many requirements each standard has: the numbered statements of MQTT's appendices B.
const COUNTS: [(&str, usize); 2] = [("mqtt-3.1.1", 141), ("mqtt-5.0", 251)];

/// Folders whose citations are checked, and the folder of each name that a test may stand behind.
const FOLDERS: [(&str, &str); 9] = [
    ("amqp", "protocols/amqp"),
    ("conformance", "conformance"),
    ("gateway", "gateway"),
    ("lan", "protocols/lan"),
    ("mqtt", "protocols/mqtt"),
    ("resp", "protocols/resp"),
    ("routing", "routing"),
    ("storage", "storage"),
    ("tests", "tests"),
];

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "MAY")]
    May,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Binds {
    Server,
    Client,
    Both,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    level: Level,
    binds: Binds,
    text: String,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    reason: String,
}

impl Requirement {
    /// What is wrong with it in itself.
    fn fault(&self) -> Option<&'static str> {
        let is_owed = self.level == Level::Must && self.binds != Binds::Client;
        match (self.tests.is_empty(), self.reason.is_empty()) {
            _ if self.text.is_empty() => Some("has no text"),
            (true, true) if is_owed => Some("is a MUST without a test or a reason"),
            (false, false) => Some("has both tests and a reason not to have them"),
            _ => None,
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lists by name. A list in which an id occurs twice is not TOML.
fn lists() -> BTreeMap<String, BTreeMap<String, Requirement>> {
    let files = fs::read_dir(root().join("conformance/requirements")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let lists = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    lists
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let list = toml::from_str(&fs::read_to_string(path).unwrap());
            let list = list.map_err(|error| format!("{name}: {error}")).unwrap();
            (name, list)
        })
        .collect()
}

/// Every source file of ours under a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    const FOREIGN: [&str; 5] = ["target", "node_modules", ".venv", "__pycache__", "corpus"];
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !FOREIGN.contains(&name.as_ref()) {
                folders.push(path);
            } else if ["rs", "py", "mjs", "js"].contains(&extension.as_ref()) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The names of the test functions in a Rust file: those whose attributes say so.
fn rust_tests(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        let (_, name) = line.split_once("fn ").unwrap_or_default();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !name.is_empty() && !line.starts_with("//") {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            return std::mem::take(&mut is_test).then_some(name);
        }
        None
    })
}

/// All Rust tests as `crate: function`.
static RUST_TESTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut found = BTreeSet::new();
    for (name, folder) in FOLDERS {
        for (_, text) in sources(folder) {
            found.extend(rust_tests(&text).map(|test| format!("{name}: {test}")));
        }
    }
    found
});

/// Whether `path/of/a/file.py::name`, or with a class between the two, is in the suite.
fn is_conformance_test(place: &str) -> bool {
    let parts = place.split("::").collect::<Vec<_>>();
    let [path, classes @ .., name] = parts.as_slice() else {
        return false;
    };
    let path = root().join("conformance").join(path);
    let text = fs::read_to_string(path).unwrap_or_default();
    let has_classes = classes.iter().all(|class| {
        text.contains(&format!("class {class}:")) || text.contains(&format!("class {class}("))
    });
    has_classes && name.starts_with("test_") && text.contains(&format!("def {name}("))
}

fn is_test(test: &str) -> bool {
    match test.split_once(": ") {
        Some(("conformance", place)) => is_conformance_test(place),
        _ => RUST_TESTS.contains(test),
    }
}

/// The ids cited as `[MQTT-3.1.0-1]`, with rustdoc's backslash or without, by prefix.
fn citations<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let opening = format!("[{prefix}-");
    let starts = text.match_indices(&opening).map(|(at, _)| at + 1);
    starts
        .filter_map(|at| text.get(at..)?.split_once(']'))
        .map(|(id, _)| id.trim_end_matches('\\'))
        .filter(|id| !id.contains(['{', '\n']))
        .collect()
}

#[test]
fn every_must_that_binds_a_server_has_a_test_or_a_reason() {
    let mut faults = Vec::new();
    for (name, list) in lists() {
        for (id, requirement) in list {
            faults.extend(
                requirement
                    .fault()
                    .map(|fault| format!("{name}: {id} {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_named_test_of_a_requirement_exists() {
    let mut missing = Vec::new();
    for (name, list) in lists() {
        for (id, requirement) in list {
            let tests = requirement.tests.into_iter().filter(|test| !is_test(test));
            missing.extend(tests.map(|test| format!("{name}: {id}: there is no test {test:?}")));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_cited_requirement_is_in_a_list() {
    let known = lists().into_values().flatten().map(|(id, _)| id);
    let known = known.collect::<BTreeSet<_>>();
    let prefixes = known.iter().filter_map(|id| Some(id.split_once('-')?.0));
    let prefixes = prefixes.collect::<BTreeSet<_>>();
    let mut unknown = Vec::new();
    for (path, text) in FOLDERS.into_iter().flat_map(|(_, folder)| sources(folder)) {
        for prefix in &prefixes {
            let cited = citations(&text, prefix).into_iter();
            let cited = cited.filter(|id| !known.contains(*id));
            unknown.extend(cited.map(|id| format!("{}: {id}", path.display())));
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn lists_are_as_long_as_their_standards() {
    let lists = lists();
    for (name, count) in COUNTS {
        assert_eq!(lists.get(name).map(BTreeMap::len), Some(count), "{name}");
    }
}

#[test]
fn the_checks_see_what_they_look_for() {
    let text =
        "#[test]\nfn one() {\nfn two() {}\n#[tokio::test]\nasync fn three() {}\n// fn four()\n";
    assert_eq!(rust_tests(text).collect::<Vec<_>>(), ["one", "three"]);
    let text = "// [MQTT-3.1.0-1\\] and [MQTT-1.5.4-2], `[MQTT-{id}]`";
    assert_eq!(citations(text, "MQTT"), ["MQTT-3.1.0-1", "MQTT-1.5.4-2"]);
    assert!(is_test("tests: the_checks_see_what_they_look_for"));
    assert!(!is_test("tests: root"));
    assert!(is_test(
        "conformance: smoke/test_mqtt.py::TestSession::test_a_second_connection_takes_over"
    ));
    assert!(!is_test(
        "conformance: smoke/test_mqtt.py::TestSession::test_nothing"
    ));
    assert!(!is_test("conformance: smoke/nowhere.py::test_nothing"));
}
