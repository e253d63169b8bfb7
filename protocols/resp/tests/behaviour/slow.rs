//! What becomes of subscribers that do not keep up, and of their publishers.

use resp::{OutputLimit, Settings, SubscriberRule, WhenFull};
use routing::{Frontend, Glob};

use crate::world::World;

/// An outbox that takes a few messages; each costs 258 bytes and more.
fn world(when_full: WhenFull) -> World {
    World::new(Settings {
        subscriber_output: OutputLimit {
            hard_bytes: 1536,
            soft_bytes: 0,
            soft_ms: 60_000,
        },
        subscriber_rules: vec![SubscriberRule {
            user: Glob::new("def*".into()),
            name: Glob::new("s*".into()),
            when_full,
        }],
        ..Settings::default()
    })
}

/// A subscriber that the rule is for, and that reads nothing from now on.
fn stalled(world: &mut World) {
    world.ask("s", "CLIENT SETNAME s1");
    world.ask("s", "SUBSCRIBE a");
}

#[test]
fn the_oldest_messages_give_way() {
    let mut world = world(WhenFull::DropOldest);
    stalled(&mut world);
    for number in 0..8 {
        assert_eq!(world.ask("p", &format!("PUBLISH a {number}")), ":1\\r\\n");
    }
    let received = world.received("s");
    assert!(received.ends_with("$1\\r\\n7\\r\\n"), "{received}");
    assert!(!received.contains("$1\\r\\n0\\r\\n"), "{received}");
    assert_eq!(received.matches("message").count(), 3);
    assert!(!world.is_closed("s"));
}

#[test]
fn as_in_redis_a_subscriber_that_no_rule_is_for_is_disconnected() {
    let mut world = world(WhenFull::DropOldest);
    world.ask("s", "SUBSCRIBE a");
    (0..8).for_each(|_| {
        world.ask("p", "PUBLISH a x");
    });
    assert_eq!(world.received("s"), "");
    assert!(world.is_closed("s"));
}

#[test]
fn a_publisher_is_held_until_its_receiver_has_caught_up_and_others_are_not() {
    let mut world = world(WhenFull::PausePublisher);
    stalled(&mut world);
    let mut published = 0;
    while world.client("p").connection.held_by().is_none() {
        assert_eq!(world.ask("p", "PUBLISH a x"), ":1\\r\\n");
        published += 1;
        assert!(published < 10, "nobody is held");
    }
    let full = world.client("p").connection.held_by().cloned().unwrap();
    let publisher = world.client("p").connection.outbox().clone();
    assert!(full.wait_for_room(&publisher));
    world.ask("other", "PUBLISH elsewhere x");
    assert!(world.client("other").connection.held_by().is_none());
    assert_eq!(world.received("s").matches("message").count(), published);
    assert!(!full.wait_for_room(&publisher));
}

#[test]
fn a_held_publishers_pipeline_stops_at_once() {
    let mut world = world(WhenFull::PausePublisher);
    stalled(&mut world);
    let pipeline = b"PUBLISH a x\r\n".repeat(50);
    world.send("p", &pipeline);
    let answered = world.received("p").matches(":1\\r\\n").count();
    assert!((4..8).contains(&answered), "{answered}");
    assert!(!world.client("p").input.is_empty());
}

#[test]
fn a_subscriber_that_reads_nothing_for_long_holds_nobody_for_ever() {
    let mut world = world(WhenFull::PausePublisher);
    stalled(&mut world);
    world.send("p", &b"PUBLISH a x\r\n".repeat(50));
    let now = world.now;
    let client = world.client("s");
    client.connection.handle_outbox(now, &mut client.out);
    world.wait_ms(60_001);
    assert!(world.is_closed("s"));
}
