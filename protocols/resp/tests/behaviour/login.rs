//! Who a connection is, and when its requests are read.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use resp::Settings;
use routing::{AuthError, Frontend, Request, Response};

use crate::world::{World, user, user_of};

fn closed_world() -> World {
    World::with_password(true)
}

#[test]
fn no_request_is_read_while_a_password_is_checked() {
    let mut world = closed_world();
    let now = world.now;
    let identity = user("default", ".*", ".*");
    let client = world.client("a");
    let (connection, out) = (&mut client.connection, &mut client.out);
    let mut input = BytesMut::from(&b"AUTH secret\r\nPING\r\n"[..]);

    // The first question is whether the listener lets anybody in without a name.
    assert!(matches!(
        connection.poll_request(),
        Some(Request::Authenticate(_))
    ));
    connection.handle_input(now, &mut input, out);
    assert_eq!((input.len(), out.len()), (19, 0));
    let refused = Response::Authenticated(Err(AuthError::AnonymousRefused));
    connection.handle_response(now, refused, out);

    connection.handle_input(now, &mut input, out);
    assert_eq!((&input[..], out.len()), (&b"PING\r\n"[..], 0));
    assert!(matches!(
        connection.poll_request(),
        Some(Request::Authenticate(_))
    ));
    assert!(connection.poll_request().is_none());
    connection.handle_response(now, Response::Authenticated(Ok(identity)), out);
    connection.handle_input(now, &mut input, out);
    assert_eq!(out.to_vec(), b"+OK\r\n+PONG\r\n");
}

#[test]
fn a_refusal_changes_nothing() {
    let mut world = closed_world();
    world
        .users
        .insert("alice".to_owned(), user("alice", ".*", ".*"));
    assert_eq!(world.ask("a", "AUTH alice secret"), r"+OK\r\n");
    let wrong = r"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(world.ask("a", "AUTH bob secret"), wrong);
    assert_eq!(world.ask("a", "HELLO 3 AUTH bob secret SETNAME x"), wrong);
    assert_eq!(
        world.server.counters.logins_refused.load(Ordering::Relaxed),
        2
    );
    assert_eq!(world.ask("a", "CLIENT GETNAME"), r"$-1\r\n");
    assert_eq!(world.ask("a", "ACL WHOAMI"), r"$5\r\nalice\r\n");
}

#[test]
fn a_user_name_that_is_no_text_is_unknown() {
    let mut world = closed_world();
    let wrong = r"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(world.ask("a", r#"AUTH "\xff" secret"#), wrong);
}

#[test]
fn the_reply_to_auth_follows_client_reply() {
    let mut world = closed_world();
    world.ask("a", "AUTH secret");
    world.ask("a", "CLIENT REPLY OFF");
    assert_eq!(world.ask("a", "AUTH secret"), "");
    assert_eq!(world.ask("a", "CLIENT REPLY ON"), r"+OK\r\n");
}

#[test]
fn another_user_takes_the_subscriptions_along() {
    let mut world = World::new(Settings::default());
    world
        .users
        .insert("alice".to_owned(), user("alice", ".*", ".*"));
    world
        .users
        .insert("mute".to_owned(), user("mute", ".*", "^$"));
    world.ask("a", "HELLO 3");
    world.ask("a", "SUBSCRIBE news");
    assert_eq!(world.ask("a", "AUTH alice secret"), r"+OK\r\n");
    assert_eq!(world.ask("b", "PUBLISH news hi"), r":1\r\n");
    world.received("a");
    // One who may not read has none.
    assert_eq!(world.ask("a", "AUTH mute secret"), r"+OK\r\n");
    assert_eq!(world.ask("b", "PUBLISH news hi"), r":0\r\n");
    assert_eq!(
        world.ask("a", "UNSUBSCRIBE"),
        r">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"
    );
}

#[test]
fn the_listener_may_fix_the_virtual_host() {
    let settings = Settings {
        vhost: Some("plant".into()),
        ..Settings::default()
    };
    let mut world = World::new(settings);
    world.broker = two_virtual_hosts();
    world.anonymous = Some(user_of("plant", "anonymous", ".*", ".*"));
    world
        .users
        .insert("alice".to_owned(), user("alice", ".*", ".*"));
    assert_eq!(world.ask("a", "PUBLISH news hi"), r":0\r\n");
    // Alice is at home in `/` alone.
    let wrong = r"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(world.ask("a", "AUTH alice secret"), wrong);
}

#[test]
fn virtual_hosts_do_not_hear_each_other() {
    let mut world = World::new(Settings::default());
    world.broker = two_virtual_hosts();
    world
        .users
        .insert("alice".to_owned(), user_of("plant", "alice", ".*", ".*"));
    world.ask("a", "AUTH alice secret");
    world.ask("a", "SUBSCRIBE news");
    assert_eq!(world.ask("b", "PUBLISH news hi"), r":0\r\n");
    world.ask("b", "AUTH alice secret");
    assert_eq!(world.ask("b", "PUBLISH news hi"), r":1\r\n");
}

fn two_virtual_hosts() -> std::sync::Arc<routing::Broker> {
    let settings = routing::Settings {
        vhosts: vec!["/".into(), "plant".into()],
        ..Default::default()
    };
    let journal = std::sync::Arc::new(routing::MemoryJournal::default());
    let origins = vec![&resp::ORIGIN];
    std::sync::Arc::new(routing::Broker::new(
        settings,
        journal,
        origins,
        Box::new(|| {}),
    ))
}
