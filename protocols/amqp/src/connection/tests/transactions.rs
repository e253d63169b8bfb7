//! The class tx.

use super::*;
use crate::wire::replies::{BasicReply, QueueReply, TxReply};

fn tx(id: MethodId) -> Vec<u8> {
    method(id, Args::default())
}

fn ok(reply_of: TxReply) -> Vec<u8> {
    reply(Reply::Tx(reply_of))
}

fn transactional(broker: &Arc<Broker>) -> Client {
    let mut client = Client::with_queue(broker);
    assert_eq!(client.send(&tx(MethodId::TX_SELECT)), ok(TxReply::SelectOk));
    client
}

fn messages(client: &mut Client) -> Vec<u8> {
    client.send(&declare("q", 1, &TableBuf::new()))
}

fn ready(message_count: u32) -> Vec<u8> {
    let queue = QueueReply::DeclareOk {
        queue: "q",
        message_count,
        consumer_count: 0,
    };
    reply(Reply::Queue(queue))
}

#[test]
fn publishes_wait_for_the_commit() {
    let broker = broker();
    let mut client = transactional(&broker);
    client.send(&[publish(b"1"), publish(b"2")].concat());
    let mut other = Client::open(&broker);
    assert_eq!(messages(&mut other), ready(0));
    assert_eq!(client.send(&tx(MethodId::TX_COMMIT)), ok(TxReply::CommitOk));
    assert_eq!(messages(&mut other), ready(2));
}

#[test]
fn a_rollback_forgets_publishes_and_settlements() {
    let broker = broker();
    let mut client = transactional(&broker);
    client.send(&publish(b"1"));
    client.send(&tx(MethodId::TX_COMMIT));
    client.send(&consume("q", "t", 0));
    client.send(&[publish(b"2"), ack(1, 0)].concat());
    assert_eq!(
        client.send(&tx(MethodId::TX_ROLLBACK)),
        ok(TxReply::RollbackOk)
    );
    let queue = broker.vhost("/").unwrap().queue("q").unwrap();
    assert_eq!((queue.status().messages, queue.unsettled()), (0, 1));
    client.send(&ack(1, 0));
    client.send(&tx(MethodId::TX_COMMIT));
    assert_eq!(queue.unsettled(), 0);
}

#[test]
fn a_commit_waits_for_the_journal_and_nothing_may_come_between() {
    let (broker, journal) = gated_broker();
    let mut client = Client::open(&broker);
    client.send(&declare("d", 2, &TableBuf::new()));
    journal.sync(&broker);
    client.receive();
    client.send(&tx(MethodId::TX_SELECT));
    client.send(&publish_to(("", "d"), 0, PERSISTENT, b"x"));
    assert_eq!(client.send(&tx(MethodId::TX_COMMIT)), b"");
    journal.durable.store(u64::MAX, Ordering::SeqCst);
    broker.handle_durable(Lsn(u64::MAX));
    assert_eq!(client.receive(), ok(TxReply::CommitOk));
    journal.durable.store(0, Ordering::SeqCst);
    client.send(&publish_to(("", "d"), 0, PERSISTENT, b"x"));
    client.send(&tx(MethodId::TX_COMMIT));
    let text = "CHANNEL_ERROR - unexpected command while processing 'tx.commit'";
    let get = method(MethodId::BASIC_GET, Args::default().u16(0).short("d").u8(0));
    assert_eq!(
        client.send(&get),
        connection_closed(504, text, MethodId::BASIC_GET)
    );
}

#[test]
fn a_commit_of_acknowledgements_alone_waits_for_the_journal_too() {
    let (broker, journal) = gated_broker();
    let mut client = Client::open(&broker);
    client.send(&declare("d", 2, &TableBuf::new()));
    client.send(&publish_to(("", "d"), 0, PERSISTENT, b"x"));
    journal.sync(&broker);
    client.receive();
    client.send(&tx(MethodId::TX_SELECT));
    client.send(&consume("d", "t", 0));
    let sent = [ack(1, 0), tx(MethodId::TX_COMMIT)].concat();
    assert_eq!(client.send(&sent), b"");
    journal.sync(&broker);
    assert_eq!(client.receive(), ok(TxReply::CommitOk));
}

#[test]
fn a_mandatory_message_comes_back_at_the_commit() {
    let mut client = transactional(&broker());
    assert_eq!(
        client.send(&publish_to(("amq.direct", "nobody"), 1, PLAIN, b"x")),
        b""
    );
    let said = client.send(&tx(MethodId::TX_COMMIT));
    assert_eq!(said[9..11], [0, 50]);
    assert!(said.ends_with(&ok(TxReply::CommitOk)));
}

#[test]
fn a_transaction_has_a_limit() {
    let settings = Settings {
        transaction_bytes_max: 1000,
        ..Settings::default()
    };
    let mut client = Client::open_as(&broker(), settings, identity(".*", ".*"));
    client.send(&declare("q", 0, &TableBuf::new()));
    client.send(&tx(MethodId::TX_SELECT));
    let text = "PRECONDITION_FAILED - transaction is larger than configured max size 1000";
    let expected = channel_closed(406, text, MethodId::BASIC_PUBLISH);
    assert_eq!(client.send(&publish(&[0; 900])), expected);
}

#[test]
fn a_channel_is_transactional_or_confirming() {
    let select_confirms = || method(MethodId::CONFIRM_SELECT, Args::default().u8(0));
    let mut client = transactional(&broker());
    let text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode";
    let expected = channel_closed(406, text, MethodId::CONFIRM_SELECT);
    assert_eq!(client.send(&select_confirms()), expected);
    let mut client = Client::open(&broker());
    client.send(&select_confirms());
    let text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode";
    assert_eq!(
        client.send(&tx(MethodId::TX_SELECT)),
        channel_closed(406, text, MethodId::TX_SELECT)
    );
    for id in [MethodId::TX_COMMIT, MethodId::TX_ROLLBACK] {
        let text = "PRECONDITION_FAILED - channel is not transactional";
        assert_eq!(
            Client::open(&broker()).send(&tx(id)),
            channel_closed(406, text, id)
        );
    }
}

#[test]
fn a_closed_channel_rolls_back() {
    let broker = broker();
    let mut client = transactional(&broker);
    client.send(&publish(b"1"));
    client.send(&tx(MethodId::TX_COMMIT));
    client.send(&method(
        MethodId::BASIC_GET,
        Args::default().u16(0).short("q").u8(0),
    ));
    client.send(&[ack(1, 0), publish(b"2")].concat());
    drop(client);
    let mut other = Client::open(&broker);
    assert_eq!(messages(&mut other), ready(1));
    let said = other.send(&consume("q", "t", 0));
    assert!(said.starts_with(&reply(Reply::Basic(BasicReply::ConsumeOk {
        consumer_tag: "t"
    }))));
}

/// A client on a gated journal that has taken the message of durable queue `d`, in a transaction.
fn holding_a_message() -> (Client, Arc<GatedJournal>, Arc<Broker>) {
    let (broker, journal) = gated_broker();
    journal.durable.store(u64::MAX, Ordering::SeqCst);
    let mut client = Client::open(&broker);
    client.send(&declare("d", 2, &TableBuf::new()));
    client.send(&publish_to(("", "d"), 0, PERSISTENT, b"x"));
    client.send(&tx(MethodId::TX_SELECT));
    client.send(&method(
        MethodId::BASIC_GET,
        Args::default().u16(0).short("d").u8(0),
    ));
    (client, journal, broker)
}

fn depth(broker: &Broker) -> (usize, usize) {
    let queue = broker.vhost("/").unwrap().queue("d").unwrap();
    (queue.status().messages, queue.unsettled())
}

#[test]
fn a_commit_that_the_journal_cannot_take_does_nothing_and_is_refused() {
    let (mut client, journal, broker) = holding_a_message();
    client.send(&publish_to(("", "d"), 0, PERSISTENT, b"y"));
    client.send(&ack(1, 0));
    journal.is_shut.store(true, Ordering::SeqCst);
    let text = "PRECONDITION_FAILED - the journal takes no records: nothing is committed";
    let closed = channel_closed(406, text, MethodId::TX_COMMIT);
    assert_eq!(client.send(&tx(MethodId::TX_COMMIT)), closed);
    assert_eq!(depth(&broker), (1, 0));
}

#[test]
fn a_commit_of_acknowledgements_alone_that_the_journal_refuses_is_not_ok() {
    let (mut client, journal, _broker) = holding_a_message();
    client.send(&ack(1, 0));
    journal.is_fickle.store(true, Ordering::SeqCst);
    let text = "PRECONDITION_FAILED - partial tx completion";
    let closed = channel_closed(406, text, MethodId::TX_COMMIT);
    assert_eq!(client.send(&tx(MethodId::TX_COMMIT)), closed);
}

#[test]
fn a_commit_of_what_no_restart_needs_asks_nothing_of_the_journal() {
    let (broker, journal) = gated_broker();
    let mut client = transactional(&broker);
    journal.is_shut.store(true, Ordering::SeqCst);
    client.send(&publish(b"1"));
    assert_eq!(client.send(&tx(MethodId::TX_COMMIT)), ok(TxReply::CommitOk));
    assert_eq!(messages(&mut client), ready(1));
}
