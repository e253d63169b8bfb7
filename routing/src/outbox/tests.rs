use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::testing::ORIGIN;
use crate::{Address, Matched, Message, MessageBuilder, RunForm};

const OWNER: ConnectionId = ConnectionId(1);

fn message(body: &'static str) -> Arc<Message> {
    let body = Bytes::from_static(body.as_bytes());
    MessageBuilder::new(Address::new("a".into()), "amq.topic".into(), body, &ORIGIN).build()
}

fn run(bodies: &[&'static str]) -> Arc<Run> {
    Run::new(bodies.iter().map(|body| message(body)).collect())
}

fn push_run(outbox: &Arc<Outbox>, bodies: &[&'static str]) -> u64 {
    let matched = Arc::new(Matched::Channel);
    outbox.push_run(&run(bodies), &matched, &mut Wakes::default())
}

fn outbox(items_max: usize, overflow: Overflow) -> Arc<Outbox> {
    let limits = OutboxLimits {
        items_max,
        overflow,
        ..OutboxLimits::default()
    };
    Outbox::attached(OWNER, limits)
}

/// The bodies of each item that waits.
fn taken(outbox: &Outbox, bytes_max: usize) -> Vec<Vec<Bytes>> {
    let mut items = VecDeque::new();
    outbox.take(OWNER, bytes_max, &mut items, &mut Vec::new());
    let bodies = |item: &Item| {
        let messages = item.messages().iter();
        messages.map(|it| it.payload.clone()).collect()
    };
    items.iter().map(bodies).collect()
}

#[test]
fn a_run_that_has_room_stays_whole_and_counts_as_its_messages() {
    let outbox = outbox(5, Overflow::DropNewest);
    assert_eq!(push_run(&outbox, &["1", "2", "3"]), 0);
    assert_eq!(outbox.len(), 3);
    assert_eq!(outbox.bytes(), run(&["1", "2", "3"]).cost_bytes());
    assert_eq!(push_run(&outbox, &["4", "5"]), 0);
    assert_eq!(
        taken(&outbox, usize::MAX),
        [vec!["1", "2", "3"], vec!["4", "5"]]
    );
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
}

#[test]
fn of_a_run_that_has_no_room_the_newest_are_dropped() {
    let outbox = outbox(2, Overflow::DropNewest);
    assert_eq!(push_run(&outbox, &["1", "2", "3"]), 1);
    assert_eq!(taken(&outbox, usize::MAX), [vec!["1"], vec!["2"]]);
    assert_eq!(outbox.dropped(), 1);
}

#[test]
fn the_oldest_of_a_run_make_room_for_newer_messages() {
    let outbox = outbox(3, Overflow::DropOldest);
    push_run(&outbox, &["1", "2", "3"]);
    assert_eq!(push_run(&outbox, &["4", "5"]), 0);
    assert_eq!(taken(&outbox, usize::MAX), [["3"], ["4"], ["5"]]);
    assert_eq!((outbox.len(), outbox.bytes(), outbox.dropped()), (0, 0, 2));
}

#[test]
fn a_run_that_is_little_beside_the_limits_makes_room_whole() {
    let outbox = outbox(32, Overflow::DropOldest);
    for _ in 0..16 {
        push_run(&outbox, &["1", "2"]);
    }
    assert_eq!(push_run(&outbox, &["3", "4"]), 0);
    assert_eq!((outbox.len(), outbox.dropped()), (32, 2));
    let source = Source::Subscription(Arc::new(Matched::Channel));
    let message = message("5");
    assert!(outbox.push(Delivery { message, source }, &mut Wakes::default()));
    assert_eq!((outbox.len(), outbox.dropped()), (31, 4));
    let last = taken(&outbox, usize::MAX).split_off(14);
    assert_eq!(last, [vec!["3", "4"], vec!["5"]]);
}

#[test]
fn a_receiver_that_a_run_breaks_gets_no_more_and_has_to_go() {
    let outbox = outbox(2, Overflow::Disconnect);
    assert_eq!(push_run(&outbox, &["1", "2", "3", "4"]), 2);
    assert_eq!(push_run(&outbox, &["5"]), 1);
    assert_eq!(outbox.standing(OWNER), Standing::Overflowed);
}

#[test]
fn messages_that_are_large_together_are_taken_one_by_one() {
    let outbox = outbox(100, Overflow::DropNewest);
    let large = MessageBuilder::new(
        Address::new("a".into()),
        "amq.topic".into(),
        vec![7; 40_000].into(),
        &ORIGIN,
    );
    let run = Run::new(vec![large.clone().build(), large.build()]);
    let matched = Arc::new(Matched::Channel);
    outbox.push_run(&run, &matched, &mut Wakes::default());
    assert_eq!(taken(&outbox, 1).len(), 1);
    assert_eq!(outbox.len(), 1);
}

#[test]
fn a_run_of_one_receiver_has_no_shared_form_until_another_made_it() {
    let run = run(&["1", "2"]);
    let encode = |messages: &[Arc<Message>]| vec![b'x'; messages.len()].into();
    assert_eq!(run.form(RunForm::Resp2, encode), None);
    let others = [Arc::clone(&run), Arc::clone(&run)];
    assert_eq!(run.form(RunForm::Resp2, encode).unwrap(), "xx");
    drop(others);
    assert_eq!(run.form(RunForm::Resp2, |_| panic!()).unwrap(), "xx");
    assert_eq!(run.form(RunForm::Mqtt3, encode), None);
}
