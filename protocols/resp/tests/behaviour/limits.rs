//! What one client may take, and what becomes of one that takes more.

use std::sync::atomic::Ordering;

use resp::{OutputLimit, Settings};
use routing::Frontend;

use crate::world::World;

#[test]
fn a_subscriber_that_does_not_read_is_cut_off_at_the_hard_limit() {
    let limit = OutputLimit {
        hard_bytes: 400 * 1024,
        soft_bytes: 0,
        soft_ms: 0,
    };
    let mut world = World::new(Settings {
        subscriber_output: limit,
        ..Settings::default()
    });
    world.ask("slow", "SUBSCRIBE news");
    world.ask("quick", "SUBSCRIBE news");
    let publish = format!("PUBLISH news {}", "x".repeat(10_000));
    let mut counts = Vec::new();
    for _ in 0..60 {
        counts.push(world.ask("b", &publish));
        world.received("quick");
        // The slow one's socket takes nothing, so what it is given stays in its buffer.
        let now = world.now;
        let slow = world.client("slow");
        slow.connection.handle_outbox(now, &mut slow.out);
        if world.is_closed("slow") {
            break;
        }
    }
    assert!(world.is_closed("slow") && !world.is_closed("quick"));
    assert_eq!(world.server.counters.cut_off.load(Ordering::Relaxed), 1);
    // Cut off mid-frame: what was not sent is dropped.
    assert!(world.client("slow").out.is_empty());
    assert!(
        counts.len() > 35 && counts.iter().all(|count| count == r":2\r\n"),
        "{counts:?}"
    );
    world.drain();
    assert_eq!(world.ask("b", &publish), r":1\r\n");
}

#[test]
fn a_publisher_is_told_who_took_the_message_when_an_outbox_is_full() {
    let limit = OutputLimit {
        hard_bytes: 2000,
        soft_bytes: 0,
        soft_ms: 0,
    };
    let mut world = World::new(Settings {
        subscriber_output: limit,
        ..Settings::default()
    });
    world.ask("slow", "SUBSCRIBE news");
    let publish = format!("PUBLISH news {}", "x".repeat(500));
    let counts: Vec<_> = (0..4).map(|_| world.ask("b", &publish)).collect();
    assert_eq!(counts, [r":1\r\n", r":1\r\n", r":0\r\n", r":0\r\n"]);
    world.received("slow");
    assert!(world.is_closed("slow"));
}

#[test]
fn the_soft_limit_gives_time_to_catch_up() {
    let limit = OutputLimit {
        hard_bytes: 0,
        soft_bytes: 1000,
        soft_ms: 60_000,
    };
    let mut world = World::new(Settings {
        subscriber_output: limit,
        ..Settings::default()
    });
    world.ask("slow", "SUBSCRIBE news");
    let publish = format!("PUBLISH news {}", "x".repeat(2000));
    for catches_up in [true, false] {
        world.ask("b", &publish);
        let now = world.now;
        let slow = world.client("slow");
        slow.connection.handle_outbox(now, &mut slow.out);
        let deadline = slow.connection.poll_timeout();
        assert_eq!(deadline, Some(now.plus_ms(60_000)));
        if catches_up {
            slow.out = routing::OutBuf::default();
            slow.connection.handle_outbox(now, &mut slow.out);
            assert_eq!(slow.connection.poll_timeout(), None);
        }
        world.now = now.plus_ms(60_000);
        let now = world.now;
        let slow = world.client("slow");
        slow.connection.handle_timeout(now, &mut slow.out);
        assert_eq!(slow.connection.is_closing(), !catches_up);
    }
}

#[test]
fn a_backlog_comes_whole_before_an_unsubscribe() {
    let mut world = World::new(Settings::default());
    world.ask("slow", "SUBSCRIBE news");
    let payload = "x".repeat(10_000);
    for _ in 0..50 {
        world.ask("b", &format!("PUBLISH news {payload}"));
    }
    let received = world.ask("slow", "UNSUBSCRIBE");
    assert_eq!(received.matches(&payload).count(), 50);
    assert!(received.ends_with(r"$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n"));
}

#[test]
fn pipelined_replies_have_a_limit() {
    let limit = OutputLimit {
        hard_bytes: 100_000,
        soft_bytes: 0,
        soft_ms: 0,
    };
    let mut world = World::new(Settings {
        normal_output: limit,
        ..Settings::default()
    });
    world.send("a", &b"COMMAND\r\n".repeat(100));
    assert!(world.is_closed("a"));
}

#[test]
fn an_idle_connection_is_closed_unless_it_is_subscribed() {
    let mut world = World::new(Settings {
        idle_timeout_ms: 5000,
        ..Settings::default()
    });
    world.ask("idle", "PING");
    world.ask("subscribed", "SUBSCRIBE news");
    let due = world.now.plus_ms(5000);
    assert_eq!(world.client("idle").connection.poll_timeout(), Some(due));
    assert_eq!(world.client("subscribed").connection.poll_timeout(), None);
    world.now = due;
    for name in ["idle", "subscribed"] {
        let client = world.client(name);
        client.connection.handle_timeout(due, &mut client.out);
    }
    assert!(world.is_closed("idle") && !world.is_closed("subscribed"));
}

#[test]
fn subscriptions_have_a_limit_and_all_of_a_request_is_refused() {
    let mut world = World::new(Settings {
        subscriptions_max: 3,
        ..Settings::default()
    });
    world.ask("a", "SUBSCRIBE a");
    world.ask("a", "PSUBSCRIBE b");
    let refused = r"-ERR subscriptions limit reached: at most 3\r\n";
    assert_eq!(world.ask("a", "SSUBSCRIBE c d"), refused);
    assert_eq!(
        world.ask("a", "SSUBSCRIBE c"),
        r"*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n"
    );
    assert_eq!(world.ask("a", "SUBSCRIBE e"), refused);
}

#[test]
fn a_transaction_has_a_limit_and_is_aborted_there() {
    let mut world = World::new(Settings {
        transaction_bytes_max: 1000,
        ..Settings::default()
    });
    world.ask("a", "MULTI");
    world.ask("a", "SET key value");
    let refused = world.ask("a", &format!("SET key {}", "x".repeat(1000)));
    assert_eq!(
        refused,
        r"-ERR transaction bytes limit reached: at most 1000\r\n"
    );
    let aborted = r"-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(world.ask("a", "EXEC"), aborted);
    assert_eq!(world.ask("a", "GET key"), r"$-1\r\n");
}

#[test]
fn watched_keys_have_a_limit() {
    let mut world = World::new(Settings {
        watched_keys_max: 2,
        ..Settings::default()
    });
    assert_eq!(world.ask("a", "WATCH a b"), r"+OK\r\n");
    let refused = r"-ERR watched keys limit reached: at most 2\r\n";
    assert_eq!(world.ask("a", "WATCH c"), refused);
}

#[test]
fn the_volatile_map_has_limits() {
    let mut world = World::new(Settings {
        keys_max: 2,
        key_bytes_max: 100,
        ..Settings::default()
    });
    let full = r"-OOM command not allowed when used memory > \'maxmemory\'.\r\n";
    assert_eq!(world.ask("a", "MSET a 1 b 2 c 3"), full);
    assert_eq!(world.ask("a", "DBSIZE"), r":0\r\n");
    world.ask("a", "MSET a 1 b 2");
    assert_eq!(world.ask("a", "SET c 3"), full);
    assert_eq!(
        world.ask("a", &format!("APPEND a {}", "x".repeat(100))),
        full
    );
    assert_eq!(world.ask("a", "GET a"), r"$1\r\n1\r\n");
}

#[test]
fn names_of_connections_have_a_limit() {
    let mut world = World::new(Settings::default());
    let refused = r"-ERR client name bytes limit reached: at most 1024\r\n";
    assert_eq!(
        world.ask("a", &format!("CLIENT SETNAME {}", "x".repeat(1025))),
        refused
    );
}

#[test]
fn a_request_beyond_the_query_buffer_limit_closes_without_a_word() {
    let mut settings = Settings::default();
    settings.requests.request_bytes_max = 1000;
    let mut world = World::new(settings);
    world.send("a", b"*2\r\n$4\r\nECHO\r\n$1000\r\n");
    assert_eq!(world.received("a"), "");
    assert!(world.is_closed("a"));
    assert_eq!(world.server.counters.malformed.load(Ordering::Relaxed), 1);
}

#[test]
fn clients_have_a_limit() {
    let mut world = World::new(Settings {
        clients_max: 1,
        ..Settings::default()
    });
    assert_eq!(world.ask("a", "PING"), r"+PONG\r\n");
    assert_eq!(
        world.ask("b", "PING"),
        r"-ERR max number of clients reached\r\n"
    );
    assert!(world.is_closed("b"));
    assert_eq!(world.server.counters.refused.load(Ordering::Relaxed), 1);
    world.drain();
    world.ask("a", "QUIT");
    world.drain();
    assert_eq!(world.ask("c", "PING"), r"+PONG\r\n");
}
