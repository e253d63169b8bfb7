//! What only an administrator may do, and what everybody may ask.

use std::sync::Arc;

use resp::Settings;
use routing::Identity;

use crate::world::{World, user};

fn world() -> World {
    let mut world = World::new(Settings {
        has_debug: true,
        ..Settings::default()
    });
    let boss = Identity {
        tags: vec!["administrator".into()],
        ..Identity::clone(&user("boss", ".*", ".*"))
    };
    world.users.insert("boss".to_owned(), Arc::new(boss));
    world
        .users
        .insert("guest".to_owned(), user("guest", ".*", ".*"));
    assert_eq!(world.ask("boss", "AUTH boss secret"), "+OK\\r\\n");
    world
}

#[test]
fn a_user_who_logs_in_is_called_by_its_name() {
    let mut world = world();
    assert_eq!(world.ask("a", "ACL WHOAMI"), "$7\\r\\ndefault\\r\\n");
    assert_eq!(world.ask("a", "AUTH guest secret"), "+OK\\r\\n");
    assert_eq!(world.ask("a", "ACL WHOAMI"), "$5\\r\\nguest\\r\\n");
    assert_eq!(world.ask("a", "ACL USERS"), "*1\\r\\n$5\\r\\nguest\\r\\n");
    assert!(world.ask("a", "ACL LIST").contains("user guest on "));
    assert!(
        world
            .ask("a", "ACL GETUSER guest")
            .starts_with("*12\\r\\n$5\\r\\nflags")
    );
    assert_eq!(world.ask("a", "ACL GETUSER boss"), "$-1\\r\\n");
}

#[test]
fn an_administrator_sees_all_users() {
    let mut world = world();
    let known = ["boss", "guest"].map(|name| Arc::clone(&world.users[name]));
    let mute = user("mute", "", ".*");
    let known = known.into_iter().chain([mute]).collect();
    world.server.set_users(known);
    assert_eq!(
        world.ask("boss", "ACL USERS"),
        "*4\\r\\n$4\\r\\nboss\\r\\n$7\\r\\ndefault\\r\\n$5\\r\\nguest\\r\\n$4\\r\\nmute\\r\\n"
    );
    let rules = world.ask("boss", "ACL LIST");
    for rule in [
        "user boss on sanitize-payload ~* &* +@all\\r",
        "user default on nopass sanitize-payload ~* &* +@all -@admin\\r",
        "user mute on sanitize-payload resetchannels +@all -@admin -@write\\r",
    ] {
        assert!(rules.contains(rule), "{rules}");
    }
    let guest = world.ask("boss", "ACL GETUSER guest");
    assert!(guest.contains("+@all -@admin"), "{guest}");
    assert_eq!(world.ask("boss", "ACL GETUSER nobody"), "$-1\\r\\n");
    let refused = world.ask("boss", "CLIENT KILL USER nobody");
    assert_eq!(refused, "-ERR No such user \\'nobody\\'\\r\\n");
    assert_eq!(world.ask("boss", "CLIENT KILL USER mute"), ":0\\r\\n");
    assert_eq!(world.ask("a", "CLIENT KILL USER nobody"), ":0\\r\\n");
}

#[test]
fn a_command_is_explained() {
    let mut world = world();
    let docs = world.ask("a", "COMMAND DOCS get nosuch");
    assert!(
        docs.starts_with("*2\\r\\n$3\\r\\nget\\r\\n*8\\r\\n$7\\r\\nsummary\\r\\n"),
        "{docs}"
    );
    assert!(
        docs.contains(
            "$5\\r\\nsince\\r\\n$5\\r\\n1.0.0\\r\\n$5\\r\\ngroup\\r\\n$6\\r\\nstring\\r\\n"
        )
    );
    assert!(docs.ends_with(
        "$9\\r\\narguments\\r\\n*1\\r\\n*4\\r\\n$4\\r\\nname\\r\\n$3\\r\\nkey\\r\\n$4\\r\\ntype\\r\\n$3\\r\\nkey\\r\\n"
    ));
    world.ask("a", "HELLO 3");
    let docs = world.ask("a", "COMMAND DOCS pubsub");
    assert!(
        docs.starts_with("%1\\r\\n$6\\r\\npubsub\\r\\n%4\\r\\n"),
        "{docs}"
    );
    assert!(docs.contains("$11\\r\\nsubcommands\\r\\n%6\\r\\n$15\\r\\npubsub|channels\\r\\n"));
    let count = world.ask("a", "COMMAND COUNT").replace(':', "%");
    assert!(
        world.ask("a", "COMMAND DOCS").starts_with(&count),
        "{count}"
    );
}

#[test]
fn a_parameter_that_can_change_changes_and_is_shown() {
    let mut world = world();
    let set = "CONFIG SET client-output-buffer-limit 'pubsub 1mb 512kb 5' timeout 9";
    assert_eq!(world.ask("boss", set), "+OK\\r\\n");
    let shown = world.ask("boss", "CONFIG GET client-output-buffer-limit");
    assert!(shown.contains("pubsub 1048576 524288 5"), "{shown}");
    let shown = world.ask("boss", "CONFIG GET timeout");
    assert_eq!(shown, "*2\\r\\n$7\\r\\ntimeout\\r\\n$1\\r\\n9\\r\\n");
}

#[test]
fn nothing_changes_when_one_parameter_is_refused_or_the_user_is_no_administrator() {
    let mut world = world();
    let refused = world.ask("boss", "CONFIG SET timeout 9 databases 3");
    assert!(refused.contains("immutable config"), "{refused}");
    assert!(
        world
            .ask("a", "CONFIG SET timeout 9")
            .starts_with("-ERR CONFIG SET failed")
    );
    let shown = world.ask("boss", "CONFIG GET timeout");
    assert_eq!(shown, "*2\\r\\n$7\\r\\ntimeout\\r\\n$1\\r\\n0\\r\\n");
}

#[test]
fn a_monitor_sees_requests_without_passwords() {
    let mut world = world();
    assert!(world.ask("a", "MONITOR").starts_with("-NOPERM"));
    assert_eq!(world.ask("boss", "MONITOR"), "+OK\\r\\n");
    world.ask("a", "SET key \"a\\nb\"");
    world.ask("a", "AUTH guest secret");
    world.ask("a", "CONFIG GET *");
    let seen = world.received("boss");
    let lines: Vec<_> = seen.split_terminator("\\r\\n").collect();
    assert_eq!(lines.len(), 2, "{seen}");
    assert_eq!(
        lines[0],
        r#"+1700000000.000000 [0 ?:0] \"set\" \"key\" \"a\\nb\""#.replace("set", "SET")
    );
    assert!(
        lines[1].contains("redacted") && !seen.contains("secret"),
        "{seen}"
    );
    assert_eq!(world.ask("boss", "RESET"), "+RESET\\r\\n");
    world.ask("a", "GET key");
    assert_eq!(world.received("boss"), "");
}

#[test]
fn a_pause_holds_requests_back_and_keeps_their_order() {
    let mut world = world();
    world.ask("a", "PING");
    assert_eq!(world.ask("boss", "CLIENT PAUSE 1000 WRITE"), "+OK\\r\\n");
    assert_eq!(world.ask("a", "GET key"), "$-1\\r\\n");
    assert_eq!(world.ask("a", "SET key 1"), "");
    assert_eq!(world.ask("a", "GET key"), "");
    world.wait_ms(1001);
    let received = world.drain().into_iter().find(|(name, ..)| name == "a");
    let (_, bytes, _) = received.unwrap();
    assert_eq!(bytes, b"+OK\r\n$1\r\n1\r\n");
}

#[test]
fn an_unpause_lets_them_go() {
    let mut world = world();
    world.ask("a", "PING");
    assert_eq!(world.ask("boss", "CLIENT PAUSE 1000 WRITE"), "+OK\\r\\n");
    assert_eq!(world.ask("a", "PUBLISH c 1"), "");
    assert_eq!(world.ask("boss", "CLIENT UNPAUSE"), "+OK\\r\\n");
    assert_eq!(world.received("a"), ":0\\r\\n");
}

#[test]
fn a_sleep_holds_this_connection_alone() {
    let mut world = world();
    assert_eq!(world.ask("a", "DEBUG SLEEP 0.5"), "");
    assert_eq!(world.ask("b", "PING"), "+PONG\\r\\n");
    world.wait_ms(501);
    assert_eq!(world.received("a"), "+OK\\r\\n");
}

#[test]
fn a_wait_can_be_ended_by_another_client() {
    let mut world = world();
    let id = world
        .ask("a", "CLIENT ID")
        .replace("\\r\\n", "")
        .replace(':', "");
    assert_eq!(world.ask("a", "BLPOP k 0"), "");
    let info = world.ask("boss", "INFO clients");
    assert!(info.contains("blocked_clients:1"), "{info}");
    assert_eq!(
        world.ask("boss", &format!("CLIENT UNBLOCK {id} ERROR")),
        ":1\\r\\n"
    );
    let text = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\\r\\n";
    assert_eq!(world.received("a"), text);
    assert_eq!(
        world.ask("boss", &format!("CLIENT UNBLOCK {id}")),
        ":0\\r\\n"
    );
    world.ask("b", "RPUSH k 1");
    assert_eq!(world.ask("a", "LPOP k"), "$1\\r\\n1\\r\\n");
}

#[test]
fn the_slow_log_is_empty_and_memory_is_estimated() {
    let mut world = world();
    assert_eq!(world.ask("a", "SLOWLOG LEN"), ":0\\r\\n");
    assert_eq!(world.ask("a", "SLOWLOG GET"), "*0\\r\\n");
    world.ask("a", "SET key value");
    assert_eq!(world.ask("a", "MEMORY USAGE key"), ":104\\r\\n");
    assert_eq!(world.ask("a", "MEMORY USAGE nothing"), "$-1\\r\\n");
}
