//! What a user may do with some channels and not with others: the topic permissions of the bus.

use std::collections::HashMap;
use std::sync::Arc;

use resp::Settings;
use routing::permission::key_pattern;
use routing::{BUS, Identity, TopicPermissions};

use crate::world::{World, user};

const DENIED: &str = r"-NOPERM No permissions to access a channel\r\n";

/// Alice may use `plant/` but for what is secret; all others may use everything.
fn world() -> World {
    let pattern = |text| key_pattern(text, "alice", "/").unwrap();
    let topics = TopicPermissions {
        write: pattern("^plant\\."),
        read: pattern("^plant\\."),
        write_except: Some(pattern("\\.secret$")),
        read_except: Some(pattern("\\.secret$")),
    };
    let alice = Identity {
        topic_permissions: HashMap::from([(("/".into(), BUS.into()), topics)]),
        ..Identity::clone(&user("alice", ".*", ".*"))
    };
    let mut world = World::new(Settings::default());
    world.users.insert("alice".to_owned(), Arc::new(alice));
    assert_eq!(world.ask("a", "AUTH alice secret"), r"+OK\r\n");
    assert_eq!(world.ask("a", "HELLO 3").get(..2), Some("%7"));
    world
}

#[test]
fn a_channel_that_is_not_the_users_is_refused() {
    let mut world = world();
    for allowed in ["PUBLISH plant/a x", "SPUBLISH plant/a x"] {
        assert_eq!(world.ask("a", allowed), r":0\r\n", "{allowed}");
    }
    for refused in [
        "PUBLISH office/a x",
        "PUBLISH plant/secret x",
        "PUBLISH plant/\\xff x",
        "PUBLISH $retain/office/a x",
        "SPUBLISH plant/secret x",
        "SUBSCRIBE office/a",
        "SUBSCRIBE plant/secret",
        "SSUBSCRIBE office/a",
        "PSUBSCRIBE *",
        "PSUBSCRIBE office/*",
        "PSUBSCRIBE */secret",
    ] {
        assert_eq!(world.ask("a", &inline(refused)), DENIED, "{refused}");
    }
    assert!(
        world
            .ask("a", "SUBSCRIBE plant/a")
            .starts_with(r">3\r\n$9\r\nsubscribe")
    );
}

/// With the bytes of `\x..` as redis-cli quotes them.
fn inline(line: &str) -> String {
    line.split(' ')
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn one_channel_that_is_refused_refuses_all_of_them() {
    let mut world = world();
    assert_eq!(world.ask("a", "SUBSCRIBE plant/a plant/secret"), DENIED);
    assert_eq!(world.ask("b", "PUBLISH plant/a x"), r":0\r\n");
}

#[test]
fn a_pattern_brings_only_what_its_user_may_read() {
    let mut world = world();
    assert!(world.ask("a", "PSUBSCRIBE plant/*").contains("psubscribe"));
    world.ask("b", "PUBLISH plant/secret x");
    assert_eq!(world.received("a"), "");
    world.ask("b", "PUBLISH plant/a x");
    assert!(
        world
            .received("a")
            .contains(r"pmessage\r\n$7\r\nplant/*\r\n$7\r\nplant/a\r\n")
    );
}

#[test]
fn who_becomes_another_user_loses_what_that_one_may_not_read() {
    let mut world = world();
    world.ask("c", "HELLO 3");
    world.ask("c", "SUBSCRIBE plant/a plant/secret office/a");
    world.ask("c", "PSUBSCRIBE *");
    assert_eq!(world.ask("c", "AUTH alice secret"), r"+OK\r\n");
    for (channel, receivers) in [("plant/a", 1), ("plant/secret", 0), ("office/a", 0)] {
        let answer = world.ask("b", &format!("PUBLISH {channel} x"));
        assert_eq!(answer, format!(r":{receivers}\r\n"), "{channel}");
    }
}

#[test]
fn in_a_transaction_the_refusal_is_the_elements() {
    let mut world = world();
    for line in ["MULTI", "PUBLISH office/a x", "PUBLISH plant/a x"] {
        world.ask("a", line);
    }
    let expected = format!(r"*2\r\n{DENIED}:0\r\n");
    assert_eq!(world.ask("a", "EXEC"), expected);
}
