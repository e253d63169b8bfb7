use std::path::Path;

use routing::queue::QueueOptions;
use routing::{
    Address, ConnectionId, ConsumerId, Journal as _, KeyForm, MessageBuilder, Publisher, QoS,
};
use storage::SimFiles;

use super::*;

pub(super) const NOW: Timestamp = Timestamp(1_000);

/// Small frames, so that a few hundred kilobytes take several.
pub(super) fn settings() -> storage::Settings {
    let mut settings = storage::Settings::new(Path::new("/data"));
    settings.segment_bytes = 1 << 20;
    settings.frame_bytes_max = 64 << 10;
    settings.pending_bytes_max = 1 << 20;
    settings.disk_min_free_bytes = 0;
    settings
}

fn open(files: &SimFiles) -> (Arc<Journal>, storage::Recovery) {
    let (log, recovery) = storage::Journal::open(settings(), files.clone()).unwrap();
    (Journal::new(log, &settings()), recovery)
}

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|at| at.to_le_bytes()[0]).collect()
}

#[test]
fn a_record_of_any_size_is_read_back_whole() {
    let (journal, _) = open(&SimFiles::new(1));
    for bytes in [0, 1, 64 << 10, 300_000] {
        let record = body(bytes);
        let at = journal.append(&[b"head", &record], Urgency::Sync);
        journal.log().wait_durable(storage::Lsn(at.end.0)).unwrap();
        let expected = [b"head", record.as_ref()].concat();
        assert_eq!(journal.read(at.start).unwrap(), expected, "{bytes} bytes");
    }
}

#[test]
fn the_parts_of_a_record_are_needed_as_long_as_it_is() {
    let files = SimFiles::new(4);
    let (journal, _) = open(&files);
    let before = journal.append(&[b"before"], Urgency::Sync);
    let large = journal.append(&[&body(300_000)], Urgency::Sync);
    let first_part = journal.needed_from(large.start);
    assert!(first_part >= before.end && first_part.0 + 300_000 < large.start.0);
    journal
        .log()
        .wait_durable(storage::Lsn(large.end.0))
        .unwrap();
    drop(journal);
    let (journal, _) = open(&files);
    assert_eq!(
        journal.needed_from(large.start),
        large.start,
        "nothing has been read yet"
    );
    assert_eq!(journal.read(large.start).unwrap().len(), 300_000);
    assert_eq!(journal.needed_from(large.start), first_part);
    assert_eq!(journal.needed_from(large.end), large.end);
}

#[test]
fn a_large_message_comes_back_after_a_crash_and_after_a_checkpoint() {
    let files = SimFiles::new(2);
    let large = body(300_000);
    let (journal, recovery) = open(&files);
    let broker = broker(&journal);
    recover(&broker, &journal, recovery, NOW).unwrap();
    let vhost = broker.vhost("/").unwrap();
    let options = QueueOptions {
        durable: true,
        ..QueueOptions::default()
    };
    vhost
        .declare_queue(NOW, ConnectionId(1), &"q".into(), options)
        .unwrap();
    for _ in 0..2 {
        let lsn = publish(&broker, &large).unwrap();
        journal.log().wait_durable(storage::Lsn(lsn.0)).unwrap();
        checkpoint(&broker, &journal, 16 << 20).unwrap();
    }
    drop((broker, journal));
    files.crash();
    let (journal, recovery) = open(&files);
    let broker = self::broker(&journal);
    recover(&broker, &journal, recovery, NOW).unwrap();
    let queue = broker.vhost("/").unwrap().queue("q").unwrap();
    for _ in 0..2 {
        let (delivery, _) = queue.get(NOW, ConsumerId::unique(), false).unwrap();
        assert_eq!(delivery.message.payload, large);
    }
}

#[test]
fn publishers_are_held_up_while_too_much_waits_for_the_disk() {
    let files = SimFiles::new(3);
    let (journal, _) = open(&files);
    files.close_gate();
    assert!(journal.has_room());
    let appended = [0; 12].map(|_| journal.append(&[&body(50_000)], Urgency::Sync));
    assert!(!journal.has_room());
    files.open_gate();
    journal
        .log()
        .wait_durable(storage::Lsn(appended[11].end.0))
        .unwrap();
    assert!(journal.has_room());
}

fn broker(journal: &Arc<Journal>) -> Broker {
    let log: Arc<dyn routing::Journal> = Arc::clone(journal) as _;
    Broker::new(
        routing::Settings::default(),
        log,
        vec![&resp::ORIGIN],
        Box::new(|| {}),
    )
}

fn publish(broker: &Broker, payload: &Bytes) -> Option<Lsn> {
    let mut publisher = Publisher::new(Arc::clone(broker.vhost("/").unwrap()));
    let to = publisher
        .resolve(b"", &Bytes::from_static(b"q"), KeyForm::RoutingKey)
        .unwrap();
    let address: Address = to.address.clone();
    let exchange = to.exchange.name.clone();
    let mut message = MessageBuilder::new(address, exchange, payload.clone(), &resp::ORIGIN);
    message.qos = QoS::AtLeastOnce;
    publisher.publish(NOW, &to, &message.build()).lsn
}
