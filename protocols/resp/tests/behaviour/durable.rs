//! Subscribers that are to miss nothing: what is sent again, and what proves that it need not be.

use resp::{Settings, WhenFull};

use crate::world::World;

fn world() -> World {
    World::new(Settings {
        when_full: WhenFull::Durable,
        ..Settings::default()
    })
}

/// Connects under a name and subscribes.
fn subscribe(world: &mut World, name: &str, line: &str) -> String {
    assert_eq!(
        world.ask(name, &format!("CLIENT SETNAME {name}")),
        "+OK\\r\\n"
    );
    world.ask(name, line)
}

const A: &str = "*3\\r\\n$9\\r\\nsubscribe\\r\\n$1\\r\\na\\r\\n:1\\r\\n";
const ONE: &str = "*3\\r\\n$7\\r\\nmessage\\r\\n$1\\r\\na\\r\\n$1\\r\\n1\\r\\n";
const TWO: &str = "*3\\r\\n$7\\r\\nmessage\\r\\n$1\\r\\na\\r\\n$1\\r\\n2\\r\\n";

#[test]
fn what_was_missed_follows_an_unchanged_subscribe() {
    let mut world = world();
    assert_eq!(subscribe(&mut world, "s", "SUBSCRIBE a"), A);
    world.disconnect("s");
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":1\\r\\n");
    assert_eq!(world.ask("p", "PUBLISH other 1"), ":0\\r\\n");
    assert_eq!(world.ask("p", "PUBLISH a 2"), ":1\\r\\n");
    assert_eq!(
        subscribe(&mut world, "s", "SUBSCRIBE a"),
        format!("{A}{ONE}{TWO}")
    );
}

#[test]
fn what_is_not_proved_to_be_read_is_sent_again_in_order() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("p", "PUBLISH a 1");
    assert_eq!(world.received("s"), ONE);
    world.disconnect("s");
    world.ask("p", "PUBLISH a 2");
    assert_eq!(
        subscribe(&mut world, "s", "SUBSCRIBE a"),
        format!("{A}{ONE}{TWO}")
    );
}

#[test]
fn a_request_after_a_reply_proves_what_came_before_the_reply() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("s", "PING");
    world.ask("p", "PUBLISH a 1");
    assert_eq!(world.received("s"), ONE);
    world.ask("s", "PING");
    world.ask("p", "PUBLISH a 2");
    assert_eq!(world.received("s"), TWO);
    world.ask("s", "PING");
    world.disconnect("s");
    assert_eq!(
        subscribe(&mut world, "s", "SUBSCRIBE a"),
        format!("{A}{TWO}")
    );
}

#[test]
fn time_on_a_living_connection_proves_it() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("p", "PUBLISH a 1");
    world.received("s");
    world.wait_ms(30_001);
    world.disconnect("s");
    assert_eq!(subscribe(&mut world, "s", "SUBSCRIBE a"), A);
}

#[test]
fn so_many_bytes_after_it_prove_it() {
    let mut world = World::new(Settings {
        when_full: WhenFull::Durable,
        durable: resp::Durable {
            window_bytes: 100,
            settle_ms: 0,
            ..Settings::default().durable
        },
        ..Settings::default()
    });
    subscribe(&mut world, "s", "SUBSCRIBE a");
    for _ in 0..5 {
        world.ask("p", "PUBLISH a 1");
        world.received("s");
    }
    world.wait_ms(1001);
    world.disconnect("s");
    // All but the first, of 31 bytes each, begin within the window of 100.
    let again = [A, ONE, ONE, ONE, ONE].concat();
    assert_eq!(subscribe(&mut world, "s", "SUBSCRIBE a"), again);
}

#[test]
fn an_unsubscribed_channel_is_kept_no_more() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a b");
    world.ask("s", "UNSUBSCRIBE a");
    world.disconnect("s");
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":0\\r\\n");
    assert_eq!(world.ask("p", "PUBLISH b 1"), ":1\\r\\n");
}

#[test]
fn patterns_are_kept_too_and_each_waits_for_its_own_renewal() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("s", "PSUBSCRIBE b*");
    world.disconnect("s");
    world.ask("p", "PUBLISH b1 x");
    world.ask("p", "PUBLISH a 1");
    assert_eq!(
        subscribe(&mut world, "s", "SUBSCRIBE a"),
        format!("{A}{ONE}")
    );
    let renewed = world.ask("s", "PSUBSCRIBE b*");
    assert_eq!(
        renewed,
        "*3\\r\\n$10\\r\\npsubscribe\\r\\n$2\\r\\nb*\\r\\n:2\\r\\n\
         *4\\r\\n$8\\r\\npmessage\\r\\n$2\\r\\nb*\\r\\n$2\\r\\nb1\\r\\n$1\\r\\nx\\r\\n"
    );
}

#[test]
fn what_is_not_renewed_in_time_ends() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a b");
    world.disconnect("s");
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("p", "PUBLISH b 1");
    world.wait_ms(30_001);
    assert_eq!(world.ask("p", "PUBLISH b 2"), ":0\\r\\n");
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":1\\r\\n");
}

#[test]
fn a_second_connection_of_that_name_takes_over_and_gets_what_the_first_has_not_read() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("p", "PUBLISH a 1");
    assert_eq!(world.received("s"), ONE);
    assert_eq!(world.ask("t", "CLIENT SETNAME s"), "+OK\\r\\n");
    assert_eq!(world.ask("t", "SUBSCRIBE a"), format!("{A}{ONE}"));
    world.received("s");
    assert!(world.is_closed("s"));
    world.disconnect("s");
    world.ask("p", "PUBLISH a 2");
    assert_eq!(world.received("t"), TWO);
}

#[test]
fn a_connection_without_a_name_keeps_nothing() {
    let mut world = world();
    assert_eq!(world.ask("s", "SUBSCRIBE a"), A);
    world.disconnect("s");
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":0\\r\\n");
}

#[test]
fn shard_channels_are_live_also_there() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.ask("s", "SSUBSCRIBE sh");
    assert_eq!(world.ask("p", "SPUBLISH sh 1"), ":1\\r\\n");
    assert_eq!(
        world.received("s"),
        "*3\\r\\n$8\\r\\nsmessage\\r\\n$2\\r\\nsh\\r\\n$1\\r\\n1\\r\\n"
    );
    world.disconnect("s");
    assert_eq!(world.ask("p", "SPUBLISH sh 1"), ":0\\r\\n");
}

#[test]
fn the_session_ends_when_its_subscriber_stays_away() {
    let mut world = world();
    subscribe(&mut world, "s", "SUBSCRIBE a");
    world.disconnect("s");
    world.now = world.now.plus_ms(7 * 24 * 3600 * 1000 + 1);
    world.broker.handle_timeout(world.now);
    assert_eq!(world.ask("p", "PUBLISH a 1"), ":0\\r\\n");
}
