//! Publisher confirms, and what a full disk does to publishers.

use super::*;
use crate::wire::settle::{Extent, put_ack, put_nack};

fn select() -> Vec<u8> {
    method(MethodId::CONFIRM_SELECT, Args::default().u8(0))
}

fn acked(tag: u64, extent: Extent) -> Vec<u8> {
    said(|out| put_ack(out, CH, DeliveryTag(tag), extent))
}

/// A client with durable queue `d` on a journal that is not durable yet.
fn confirming() -> (Client, Arc<GatedJournal>, Arc<Broker>) {
    let (broker, journal) = gated_broker();
    let mut client = Client::open(&broker);
    client.send(&declare("d", 2, &TableBuf::new()));
    journal.sync(&broker);
    client.receive();
    assert_eq!(client.send(&select()), reply(Reply::ConfirmSelectOk));
    (client, journal, broker)
}

/// Whether the driver would call the connection.
fn is_stirred(client: &Client) -> bool {
    let connection = &client.connection;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let outbox = connection.outbox();
    outbox.poll_stirred(connection.id, &mut cx).is_ready()
}

fn persistent(body: &[u8]) -> Vec<u8> {
    publish_to(("", "d"), 0, PERSISTENT, body)
}

#[test]
fn a_confirm_waits_for_the_journal() {
    let (mut client, journal, broker) = confirming();
    assert_eq!(client.send(&persistent(b"1")), b"");
    assert_eq!(client.send(&persistent(b"2")), b"");
    journal.durable.store(u64::MAX, Ordering::SeqCst);
    broker.handle_durable(Lsn(u64::MAX));
    assert_eq!(client.receive(), acked(2, Extent::Multiple));
}

#[test]
fn a_transient_message_is_confirmed_in_its_turn() {
    let (mut client, journal, broker) = confirming();
    assert_eq!(
        client.send(&publish_to(("", "d"), 0, PLAIN, b"")),
        acked(1, Extent::One)
    );
    client.send(&persistent(b"2"));
    assert_eq!(client.send(&publish_to(("", "d"), 0, PLAIN, b"")), b"");
    journal.durable.store(u64::MAX, Ordering::SeqCst);
    broker.handle_durable(Lsn(u64::MAX));
    assert_eq!(client.receive(), acked(3, Extent::Multiple));
}

#[test]
fn a_batch_is_confirmed_by_one_frame() {
    let mut client = Client::with_queue(&broker());
    client.send(&select());
    let batch = [publish(b"1"), publish(b"2"), publish(b"3")].concat();
    assert_eq!(client.send(&batch), acked(3, Extent::Multiple));
}

#[test]
fn a_returned_message_is_confirmed_after_its_return() {
    let mut client = Client::open(&broker());
    client.send(&select());
    let said = client.send(&publish_to(("amq.direct", "nobody"), 1, PLAIN, b"x"));
    assert_eq!(said[9..11], [0, 50]);
    assert!(said.ends_with(&acked(1, Extent::One)));
}

#[test]
fn a_full_queue_refuses_with_nack() {
    let mut client = Client::open(&broker());
    let arguments = table(&[
        ("x-max-length", Value::I32(1)),
        ("x-overflow", Value::LongString(b"reject-publish")),
    ]);
    client.send(&declare("q", 0, &arguments));
    client.send(&select());
    assert_eq!(client.send(&publish(b"1")), acked(1, Extent::One));
    let nacked = said(|out| put_nack(out, CH, DeliveryTag(2), Extent::One));
    assert_eq!(client.send(&publish(b"2")), nacked);
}

#[test]
fn a_full_disk_blocks_the_publisher_and_says_so() {
    let (mut client, journal, broker) = confirming();
    journal.is_full.store(true, Ordering::SeqCst);
    let blocked = ConnectionReply::Blocked {
        reason: "low on disk",
    };
    let blocked = said(|out| put_reply(out, ChannelId::CONNECTION, Reply::Connection(blocked)));
    assert_eq!(client.send(&persistent(b"1")), blocked);
    assert_eq!(client.send(&select()), b"");
    // News of the journal, but still no room.
    broker.handle_durable(Lsn(0));
    assert!(!is_stirred(&client));
    journal.is_full.store(false, Ordering::SeqCst);
    broker.handle_durable(Lsn(0));
    assert!(is_stirred(&client));
    let unblocked = Reply::Connection(ConnectionReply::Unblocked);
    let unblocked = said(|out| put_reply(out, ChannelId::CONNECTION, unblocked));
    let both = [unblocked, reply(Reply::ConfirmSelectOk)].concat();
    assert_eq!(client.receive(), both);
}

#[test]
fn a_consumer_is_never_blocked() {
    let (mut client, journal, _broker) = confirming();
    journal.is_full.store(true, Ordering::SeqCst);
    assert_eq!(client.send(&select()), reply(Reply::ConfirmSelectOk));
}
