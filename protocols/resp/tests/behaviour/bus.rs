//! Channels as addresses of the bus: who receives what, and who may.

use std::sync::Arc;

use resp::Settings;
use routing::{Binding, ConnectionId, Destination, Queue, QueueOptions, Table, Timestamp};

use crate::world::{World, user, user_of};

fn world() -> World {
    World::new(Settings::default())
}

#[test]
fn a_retained_publish_reaches_subscribers_without_its_prefix() {
    let mut world = world();
    world.ask("a", "SUBSCRIBE plant/temp");
    assert_eq!(world.ask("b", "PUBLISH $retain/plant/temp 21.5"), r":1\r\n");
    let frame = r"*3\r\n$7\r\nmessage\r\n$10\r\nplant/temp\r\n$4\r\n21.5\r\n";
    assert_eq!(world.received("a"), frame);

    let vhost = Arc::clone(world.broker.vhost("/").unwrap());
    assert_eq!(vhost.retained_count(), 1);
    // A later subscriber of Redis gets none.
    let confirmed = r"*3\r\n$9\r\nsubscribe\r\n$10\r\nplant/temp\r\n:1\r\n";
    assert_eq!(world.ask("c", "SUBSCRIBE plant/temp"), confirmed);

    // An empty one clears it and is delivered all the same.
    assert_eq!(world.ask("b", "PUBLISH $retain/plant/temp \"\""), r":2\r\n");
    assert_eq!(vhost.retained_count(), 0);
}

#[test]
fn a_plain_publish_retains_nothing() {
    let mut world = world();
    world.ask("a", "PUBLISH plant/temp 21.5");
    assert_eq!(world.broker.vhost("/").unwrap().retained_count(), 0);
}

#[test]
fn a_reply_reaches_exactly_its_queue() {
    let mut world = world();
    world.ask("spy", "PSUBSCRIBE *");
    assert_eq!(world.ask("a", "PUBLISH $reply/amq.gen%2D7 done"), r":0\r\n");
    let queue = declare(&world, "amq.gen-7");
    assert_eq!(world.ask("a", "PUBLISH $reply/amq.gen%2D7 done"), r":1\r\n");
    assert_eq!(queue.status().messages, 1);
    assert_eq!(world.received("spy"), "");
}

#[test]
fn nobody_subscribes_to_replies() {
    let mut world = world();
    let denied = r"-NOPERM No permissions to access a channel\r\n";
    assert_eq!(world.ask("a", "SUBSCRIBE news $reply/q"), denied);
    assert_eq!(world.ask("a", "PUBSUB CHANNELS"), r"*0\r\n");
}

#[test]
fn queues_bound_to_the_bus_count_as_receivers() {
    let mut world = world();
    let queue = declare(&world, "q");
    let vhost = Arc::clone(world.broker.vhost("/").unwrap());
    let destination = Destination::Queue("q".into());
    let binding = Binding {
        destination,
        key: "plant.#".into(),
        arguments: Table::default(),
    };
    vhost.bind(&"amq.topic".into(), binding).unwrap();
    assert_eq!(world.ask("a", "PUBLISH plant/line1 x"), r":1\r\n");
    assert_eq!(queue.status().messages, 1);
}

#[test]
fn rights_to_the_bus_are_asked_for() {
    let mut world = world();
    world
        .users
        .insert("reader".to_owned(), user("reader", "^$", "^amq\\.topic$"));
    world
        .users
        .insert("writer".to_owned(), user("writer", "^amq\\.topic$", "^$"));
    assert_eq!(world.ask("r", "AUTH reader secret"), r"+OK\r\n");
    assert_eq!(world.ask("w", "AUTH writer secret"), r"+OK\r\n");
    let denied = r"-NOPERM No permissions to access a channel\r\n";
    for command in ["SUBSCRIBE a", "PSUBSCRIBE a", "SSUBSCRIBE a"] {
        assert_eq!(world.ask("w", command), denied);
    }
    for command in [
        "PUBLISH a x",
        "SPUBLISH a x",
        "PUBLISH $retain/a x",
        "PUBLISH $reply/q x",
    ] {
        assert_eq!(world.ask("r", command), denied);
    }
    assert_eq!(
        world.ask("r", "SET key value"),
        r"-NOPERM User reader has no permissions to run the \'set\' command\r\n"
    );
    assert_eq!(world.ask("r", "GET key"), r"$-1\r\n");
    assert_eq!(
        world.ask("r", "SUBSCRIBE a"),
        r"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
    );
    assert_eq!(world.ask("w", "PUBLISH a x"), r":1\r\n");
    // The default exchange is another one.
    assert_eq!(world.ask("w", "PUBLISH $reply/q x"), denied);
}

#[test]
fn a_user_of_an_unknown_virtual_host_does_not_get_in() {
    let mut world = world();
    world
        .users
        .insert("lost".to_owned(), user_of("elsewhere", "lost", ".*", ".*"));
    let wrong = r"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(world.ask("a", "AUTH lost secret"), wrong);
    assert_eq!(world.ask("a", "ACL WHOAMI"), r"$7\r\ndefault\r\n");
}

#[test]
fn a_large_payload_arrives_whole() {
    let mut world = world();
    world.ask("a", "SUBSCRIBE big");
    world.ask("b", "SUBSCRIBE big");
    let payload = "x".repeat(100_000);
    let publish = format!("*3\r\n$7\r\nPUBLISH\r\n$3\r\nbig\r\n$100000\r\n{payload}\r\n");
    world.send("c", publish.as_bytes());
    assert_eq!(world.received("c"), r":2\r\n");
    let frame = format!(r"*3\r\n$7\r\nmessage\r\n$3\r\nbig\r\n$100000\r\n{payload}\r\n");
    assert_eq!(world.received("a"), frame);
    assert_eq!(world.received("b"), frame);
}

#[test]
fn what_was_published_before_an_unsubscribe_comes_before_its_confirmation() {
    let mut world = world();
    world.ask("a", "SUBSCRIBE news");
    world.send("b", b"PUBLISH news hi\r\n");
    assert_eq!(
        world.ask("a", "UNSUBSCRIBE news"),
        r"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n"
    );
}

#[test]
fn a_connection_that_ends_leaves_no_subscription() {
    let mut world = world();
    world.ask("a", "SUBSCRIBE news");
    world.ask("a", "PSUBSCRIBE n*");
    world.ask("a", "SSUBSCRIBE s");
    world.ask("a", "QUIT");
    world.drain();
    assert_eq!(world.ask("b", "PUBLISH news hi"), r":0\r\n");
    assert_eq!(world.ask("b", "SPUBLISH s hi"), r":0\r\n");
    assert_eq!(world.ask("b", "PUBSUB NUMPAT"), r":0\r\n");
}

#[test]
fn the_server_going_down_ends_the_connection_after_what_waits() {
    use routing::Frontend;
    let mut world = world();
    world.ask("a", "SUBSCRIBE news");
    world.send("b", b"PUBLISH news hi\r\n");
    let client = world.client("a");
    client
        .connection
        .handle_shutdown(Timestamp(0), &mut client.out);
    assert!(world.is_closed("a"));
    assert_eq!(
        world.received("a"),
        r"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
    );
}

fn declare(world: &World, name: &str) -> Arc<Queue> {
    let vhost = world.broker.vhost("/").unwrap();
    let declared = vhost.declare_queue(
        Timestamp(0),
        ConnectionId::unique(),
        &name.into(),
        QueueOptions::default(),
    );
    declared.unwrap().0
}
