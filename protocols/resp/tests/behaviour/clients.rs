//! What `CLIENT` and `INFO` tell, and whom `CLIENT KILL` reaches.

use std::sync::Arc;

use resp::Settings;
use routing::Identity;

use crate::world::{World, user};

#[test]
fn info_describes_the_connection_itself() {
    let mut world = World::new(Settings::default());
    world.ask("a", "CLIENT SETNAME me");
    world.ask("a", "CLIENT SETINFO lib-name redis-py");
    world.ask("a", "HELLO 3");
    world.ask("a", "SUBSCRIBE a b");
    world.ask("a", "PSUBSCRIBE c");
    world.ask("a", "SSUBSCRIBE d");
    world.ask("a", "SELECT 3");
    world.now = world.now.plus_ms(2500);
    let info = world.ask("a", "CLIENT INFO");
    for field in [
        " name=me ",
        " age=2 ",
        " idle=0 ",
        " flags=P ",
        " db=3 ",
        " sub=2 ",
        " psub=1 ",
        " ssub=1 ",
        " multi=-1 ",
        " cmd=client|info ",
        " user=default ",
        " resp=3 ",
        " lib-name=redis-py ",
    ] {
        assert!(info.contains(field), "{field} in {info}");
    }
    assert!(info.starts_with("=") && info.contains("txt:id="));
}

#[test]
fn list_tells_what_others_did_last() {
    let mut world = World::new(Settings::default());
    world.ask("a", "SUBSCRIBE news");
    world.now = world.now.plus_ms(7000);
    let list = world.ask("b", "CLIENT LIST");
    assert!(list.contains(" idle=7 flags=P db=0 sub=1 ") && list.contains(" cmd=subscribe "));
    assert_eq!(list.matches("id=").count(), 2, "{list}");
    assert_eq!(
        world
            .ask("b", "CLIENT LIST TYPE pubsub")
            .matches("id=")
            .count(),
        1
    );
    assert_eq!(
        world
            .ask("b", "CLIENT LIST TYPE normal")
            .matches("id=")
            .count(),
        1
    );
}

#[test]
fn a_transaction_shows_in_the_list() {
    let mut world = World::new(Settings::default());
    world.ask("a", "MULTI");
    world.ask("a", "PING");
    let list = world.ask("b", "CLIENT LIST");
    assert!(
        list.contains(" flags=x ") && list.contains(" multi=1 "),
        "{list}"
    );
}

#[test]
fn users_see_and_end_their_own_connections_and_administrators_all() {
    let mut world = World::new(Settings::default());
    let mut admin = Identity::clone(&user("root", ".*", ".*"));
    admin.tags.push("administrator".into());
    world.users.insert("root".to_owned(), Arc::new(admin));
    world
        .users
        .insert("alice".to_owned(), user("alice", ".*", ".*"));
    for name in ["alice", "root"] {
        world.ask(name, &format!("AUTH {name} secret"));
    }
    world.ask("a", "PING");
    assert_eq!(world.ask("alice", "CLIENT LIST").matches("id=").count(), 1);
    assert_eq!(world.ask("root", "CLIENT LIST").matches("id=").count(), 3);
    assert_eq!(world.ask("alice", "CLIENT KILL TYPE normal"), r":0\r\n");
    assert_eq!(world.ask("root", "CLIENT KILL USER alice"), r":1\r\n");
    world.received("alice");
    assert!(world.is_closed("alice") && !world.is_closed("a"));
}

#[test]
fn hello_describes_the_server_in_both_versions() {
    let mut world = World::new(Settings::default());
    let info = world.ask("a", "CLIENT ID");
    let id = info
        .trim_start_matches(':')
        .trim_end_matches(r"\r\n")
        .to_owned();
    let rest = |proto| {
        format!(
            r"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:{proto}\r\n$2\r\nid\r\n:{id}\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
        )
    };
    assert_eq!(world.ask("a", "HELLO"), format!(r"*14\r\n{}", rest(2)));
    assert_eq!(world.ask("a", "HELLO 3"), format!(r"%7\r\n{}", rest(3)));
}

#[test]
fn info_has_what_clients_look_for() {
    let mut world = World::new(Settings::default());
    world.ask("a", "SUBSCRIBE news");
    world.ask("b", "SET key value EX 100");
    world.now = world.now.plus_ms(90_000_000);
    world.ask("b", "SET other value");
    let info = world.ask("b", "INFO");
    for field in [
        r"# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\n",
        r"\r\nuptime_in_seconds:90000\r\nuptime_in_days:1\r\n",
        r"\r\n\r\n# Clients\r\nconnected_clients:2\r\n",
        r"\r\npubsub_clients:1\r\n",
        r"\r\nloading:0\r\n",
        r"\r\ntotal_connections_received:2\r\ntotal_commands_processed:4\r\n",
        r"\r\npubsub_channels:1\r\n",
        r"# Replication\r\nrole:master\r\n",
        r"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n",
    ] {
        assert!(info.contains(field), "{field} in {info}");
    }
    assert_eq!(
        world
            .ask("b", "INFO server replication")
            .matches('#')
            .count(),
        2
    );
}

#[test]
fn time_is_the_gateways() {
    let mut world = World::new(Settings::default());
    world.now = world.now.plus_ms(123);
    let time = r"*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n";
    assert_eq!(world.ask("a", "TIME"), time);
}

#[test]
fn keys_go_when_their_time_has_come() {
    let mut world = World::new(Settings::default());
    world.ask("a", "SET key value EX 10");
    world.ask("a", "WATCH key");
    world.now = world.now.plus_ms(9600);
    assert_eq!(world.ask("a", "TTL key"), r":0\r\n");
    assert_eq!(world.ask("a", "PTTL key"), r":400\r\n");
    world.now = world.now.plus_ms(400);
    assert_eq!(world.ask("a", "GET key"), r"$-1\r\n");
    // It changed, as far as WATCH is concerned.
    world.ask("a", "MULTI");
    assert_eq!(world.ask("a", "EXEC"), r"*-1\r\n");
}
