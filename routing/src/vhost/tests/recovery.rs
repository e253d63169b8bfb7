use super::sessions::{open, subscribe};
use super::*;
use crate::queue::Settlement;

/// Everything durable, in a broker brought back from these records.
pub(super) fn recovered(
    records: impl IntoIterator<Item = (Lsn, Bytes)>,
    journal: &Arc<RecordingJournal>,
) -> Broker {
    let broker = broker(journal);
    let mut recovery = Recovery::new(&broker);
    for (at, record) in records {
        recovery.apply(record, at).unwrap();
    }
    assert_eq!(recovery.finish(NOW), Ok(0));
    broker
}

/// What can be seen of a virtual host's durable state.
fn state(broker: &Broker) -> String {
    let vhost = vhost(broker);
    let mut queues = vhost.queues();
    queues.sort_by_key(|queue| queue.id);
    let queues = queues.iter().map(|queue| {
        let messages = std::iter::from_fn(|| queue.get(NOW, ConsumerId(0), true))
            .map(|(delivery, _)| delivery.message.payload.clone())
            .collect::<Vec<_>>();
        (queue.name.clone(), queue.options.clone(), messages)
    });
    let session = vhost.session("c");
    let session = session.map(|session| {
        session.with(|state| {
            (
                state.subscriptions.clone(),
                state.received.clone(),
                state.expiry_s,
            )
        })
    });
    let mut retained = vhost.retained(&filter("#"));
    let retained = std::iter::from_fn(|| retained.next(NOW)).map(|m| m.payload.clone());
    format!(
        "{:?} {session:?} {:?} {:?}",
        queues.collect::<Vec<_>>(),
        retained.collect::<Vec<_>>(),
        vhost
            .exchange("x")
            .map(|exchange| (exchange.kind, exchange.is_unbound()))
    )
}

fn numbered(number: u32) -> impl FnOnce(&mut MessageBuilder) {
    move |builder| {
        builder.qos = QoS::AtLeastOnce;
        builder.payload = number.to_string().into();
    }
}

/// A bit of everything that is durable.
fn live(vhost: &Arc<VHost>) {
    let mut wakes = Wakes::default();
    let options = ExchangeOptions {
        durable: true,
        ..ExchangeOptions::default()
    };
    vhost
        .declare_exchange(&"x".into(), ExchangeKind::Direct, options)
        .unwrap();
    for name in ["q1", "q2", "gone"] {
        declare(vhost, name);
        bind(vhost, "x", name, "k");
    }
    let opened = vhost
        .open_session(NOW, &open("c", ConnectionId(1), 60), &mut wakes)
        .unwrap();
    subscribe(vhost, &opened.session, "a/+");
    subscribe(vhost, &opened.session, "b");
    vhost.unsubscribe(&opened.session, &"b".into());
    assert!(opened.session.receive(7).changed && opened.session.receive(8).changed);
    opened.session.release(7);
    for number in 0..5 {
        assert_eq!(
            publish_with(vhost, "x", "k", KeyForm::RoutingKey, numbered(number)),
            3
        );
    }
    let q1 = vhost.queue("q1").unwrap();
    // One is gone for good, one is handed out and comes back.
    for acknowledges in [false, true] {
        assert!(q1.get(NOW, ConsumerId(0), acknowledges).is_some());
    }
    vhost
        .delete_queue(ConnectionId(0), &"gone".into(), false, false, &mut wakes)
        .unwrap();
    let retain = |builder: &mut MessageBuilder| {
        numbered(9)(builder);
        builder.retain = true;
    };
    publish_with(vhost, BUS, "a/r", KeyForm::Canonical, retain);
}

#[test]
fn everything_durable_comes_back_from_the_journal() {
    let journal = RecordingJournal::new();
    let before = broker(&journal);
    live(&vhost(&before));
    let after = recovered(journal.records(), &RecordingJournal::new());
    let seen = state(&after);
    let one = "b\"1\", b\"2\", b\"3\", b\"4\"";
    assert!(seen.contains(&format!("(\"q1\", QueueOptions {{ durable: true, auto_delete: false, exclusive: None, arguments: Table([]) }}, [{one}])")), "{seen}");
    assert!(seen.contains("[b\"0\", b\"1\""), "{seen}");
    assert!(
        seen.contains("{8}") && seen.contains("a/+") && seen.contains("[b\"9\"]"),
        "{seen}"
    );
    assert!(
        !seen.contains("gone") && !seen.contains("\"b\": "),
        "{seen}"
    );
    assert_eq!(
        vhost(&after)
            .session("c")
            .unwrap()
            .queue()
            .unwrap()
            .status()
            .messages,
        1
    );
    assert_eq!(
        publish_with(&vhost(&after), "x", "k", KeyForm::RoutingKey, numbered(5)),
        2
    );
}

#[test]
fn a_checkpoint_with_any_part_of_the_journal_behind_it_is_the_same() {
    let journal = RecordingJournal::new();
    let before = broker(&journal);
    live(&vhost(&before));
    let mut parts = Vec::new();
    before.checkpoint(&below(Lsn(0)), &mut |record| {
        parts.push((Lsn(0), Bytes::copy_from_slice(record)));
    });
    let expected = state(&recovered(journal.records(), &journal));
    // Fuzzy: the checkpoint may already contain what the journal behind it repeats.
    let records = journal.records();
    for from in 0..=records.len() {
        let both = parts.iter().chain(&records[from..]).cloned();
        assert_eq!(
            state(&recovered(both, &journal)),
            expected,
            "from record {from}"
        );
    }
}

#[test]
fn a_checkpoint_can_copy_bodies_so_that_nothing_below_is_needed() {
    let journal = RecordingJournal::new();
    let before = broker(&journal);
    live(&vhost(&before));
    let end = journal
        .records()
        .last()
        .map(|(at, record)| Lsn(at.0 + record.len() as u64))
        .unwrap();
    let mut parts = Vec::new();
    before.checkpoint(&below(end), &mut |record| {
        parts.push((Lsn(0), Bytes::copy_from_slice(record)));
    });
    let expected = state(&recovered(journal.records(), &journal));
    let kept = RecordingJournal::new();
    let copied = journal.records().into_iter().filter(|(at, _)| *at >= end);
    kept.put_all(copied);
    assert_eq!(state(&recovered(parts, &kept)), expected);
}

/// A commit of two publishes, the first to two queues, and an acknowledgement.
fn commit(vhost: &Arc<VHost>) {
    declare(vhost, "source");
    for name in ["q1", "q2"] {
        declare(vhost, name);
        bind(vhost, "amq.fanout", name, "");
    }
    publish_with(vhost, "", "source", KeyForm::RoutingKey, numbered(1));
    let source = vhost.queue("source").unwrap();
    let (taken, _) = source.get(NOW, ConsumerId(0), true).unwrap();
    let Source::Queue(taken) = taken.source else {
        panic!("from a queue");
    };
    let (_, end) = vhost.core().commit(|| {
        publish_with(vhost, "amq.fanout", "", KeyForm::RoutingKey, numbered(2));
        publish_with(vhost, "", "q1", KeyForm::RoutingKey, numbered(3));
        let mut wakes = Wakes::default();
        source.settle(NOW, &[taken.seq], Settlement::Ack, &mut wakes);
    });
    assert!(end.is_some());
    publish_with(vhost, "", "q1", KeyForm::RoutingKey, numbered(4));
}

#[test]
fn a_commit_survives_as_a_whole_or_not_at_all() {
    let journal = RecordingJournal::new();
    commit(&vhost(&broker(&journal)));
    let waiting = |written: usize| {
        let broker = recovered(journal.survivors(written), &journal);
        ["source", "q1", "q2"].map(|name| {
            let queue = vhost(&broker).queue(name).unwrap();
            let all = std::iter::from_fn(|| queue.get(NOW, ConsumerId(0), true));
            all.map(|(delivery, _)| String::from_utf8(delivery.message.payload.to_vec()).unwrap())
                .collect::<String>()
        })
    };
    // Four records in a group (one body in two queues), and the last publish.
    let first = journal.records().len() - 5;
    for written in first..first + 4 {
        assert_eq!(waiting(written), ["1", "", ""], "{written} records");
    }
    assert_eq!(waiting(first + 4), ["", "23", "2"]);
    assert_eq!(waiting(first + 5), ["", "234", "2"]);
}

#[test]
fn a_commit_that_journals_nothing_waits_for_nothing() {
    let broker = broker(&RecordingJournal::new());
    assert_eq!(broker.core().commit(|| 7), (7, None));
}

#[test]
fn the_body_for_several_queues_is_journalled_once() {
    let journal = RecordingJournal::new();
    let vhost = vhost(&broker(&journal));
    for name in ["q1", "q2", "q3"] {
        declare(&vhost, name);
        bind(&vhost, "amq.fanout", name, "");
    }
    let before = journal.kinds().len();
    publish_with(&vhost, "amq.fanout", "", KeyForm::RoutingKey, numbered(1));
    assert_eq!(journal.kinds()[before..], ["Publish", "Enqueue", "Enqueue"]);
}

#[test]
fn what_may_have_been_handed_out_before_a_start_is_a_redelivery_after_it() {
    let journal = RecordingJournal::new();
    let before = broker(&journal);
    let queue = declare(&vhost(&before), "q1");
    for number in 0..3 {
        publish_with(
            &vhost(&before),
            "",
            "q1",
            KeyForm::RoutingKey,
            numbered(number),
        );
    }
    queue.get(NOW, ConsumerId(0), true).unwrap();
    let mut records = journal.records();
    before.checkpoint(&below(Lsn(0)), &mut |record| {
        records.push((Lsn(0), Bytes::copy_from_slice(record)));
    });
    for (was_clean, expected) in [(true, [true, false, false]), (false, [true; 3])] {
        let after = broker(&journal);
        let mut recovery = Recovery::new(&after);
        for (at, record) in records.clone() {
            recovery.apply(record, at).unwrap();
        }
        if was_clean {
            recovery.was_clean();
        }
        assert_eq!(recovery.finish(NOW), Ok(0));
        publish_with(&vhost(&after), "", "q1", KeyForm::RoutingKey, numbered(3));
        let queue = vhost(&after).queue("q1").unwrap();
        let seen = std::iter::from_fn(|| queue.get(NOW, ConsumerId(0), true));
        let seen = seen.map(|(delivery, _)| match delivery.source {
            Source::Queue(from) => from.is_redelivered,
            Source::Subscription(_) => unreachable!("it came from a queue"),
        });
        let seen = seen.collect::<Vec<_>>();
        assert_eq!(seen[..3], expected, "{was_clean}");
        assert!(!seen[3], "it came after the start");
    }
}

#[test]
fn the_age_of_a_message_counts_over_a_restart() {
    let journal = RecordingJournal::new();
    let before = broker(&journal);
    declare(&vhost(&before), "q1");
    publish_with(&vhost(&before), "", "q1", KeyForm::RoutingKey, numbered(1));
    let later = NOW.plus_ms(60_000);
    let mut parts = Vec::new();
    before.checkpoint(&below(Lsn(0)), &mut |record| {
        parts.push((Lsn(0), Bytes::copy_from_slice(record)));
    });
    for records in [journal.records(), parts] {
        let after = broker(&journal);
        let mut recovery = Recovery::new(&after);
        for (at, record) in records {
            recovery.apply(record, at).unwrap();
        }
        assert_eq!(recovery.finish(later), Ok(0));
        assert_eq!(vhost(&after).oldest_message(), Some(NOW));
    }
}
