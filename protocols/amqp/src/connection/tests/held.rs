//! Answers about durable topology: given when it is safe, in order, and never overtaken.

use super::*;
use crate::wire::replies::{BasicReply, QueueReply};

const DURABLE: u8 = 2;

fn declared(queue: &str) -> Vec<u8> {
    reply(Reply::Queue(QueueReply::DeclareOk {
        queue,
        message_count: 0,
        consumer_count: 0,
    }))
}

fn durable(queue: &str) -> Vec<u8> {
    declare(queue, DURABLE, &TableBuf::new())
}

fn transient(queue: &str) -> Vec<u8> {
    declare(queue, 0, &TableBuf::new())
}

fn client() -> (Client, Arc<GatedJournal>, Arc<Broker>) {
    let (broker, journal) = gated_broker();
    (Client::open(&broker), journal, broker)
}

#[test]
fn many_declarations_are_answered_in_order_by_one_sync() {
    let (mut client, journal, broker) = client();
    let sent = [durable("a"), transient("t"), durable("b")].concat();
    assert_eq!(client.send(&sent), b"");
    journal.sync(&broker);
    let answers = [declared("a"), declared("t"), declared("b")].concat();
    assert_eq!(client.receive(), answers);
    assert_eq!(client.send(&transient("u")), declared("u"));
}

#[test]
fn what_is_safe_is_answered_before_the_rest() {
    let (mut client, journal, broker) = client();
    client.send(&durable("a"));
    let safe = journal.end();
    client.send(&durable("b"));
    journal.durable.store(safe, Ordering::SeqCst);
    broker.handle_durable(Lsn(safe));
    assert_eq!(client.receive(), declared("a"));
    journal.sync(&broker);
    assert_eq!(client.receive(), declared("b"));
}

#[test]
fn another_request_waits_for_the_answers_before_it() {
    let (mut client, journal, broker) = client();
    let sent = [durable("q"), consume("q", "t", 0), transient("u")].concat();
    assert_eq!(client.send(&sent), b"");
    assert!(!client.connection.wants_input());
    journal.sync(&broker);
    let consuming = reply(Reply::Basic(BasicReply::ConsumeOk { consumer_tag: "t" }));
    let answers = [declared("q"), consuming, declared("u")].concat();
    assert_eq!(client.receive(), answers);
    assert!(client.connection.wants_input());
}

#[test]
fn publishes_and_other_channels_do_not_wait() {
    let (mut client, journal, broker) = client();
    client.send(&durable("q"));
    let open = Args::default().short("");
    let other = client.send(&method_on(2, MethodId::CHANNEL_OPEN, open));
    let opened = Reply::Channel(ChannelReply::OpenOk);
    assert_eq!(other, said(|out| put_reply(out, ChannelId(2), opened)));
    client.send(&publish(b"1"));
    let queue = broker.vhost("/").unwrap().queue("q").unwrap();
    assert_eq!(queue.status().messages, 1);
    journal.sync(&broker);
    assert_eq!(client.receive(), declared("q"));
}

#[test]
fn a_refusal_comes_after_the_answers_before_it() {
    let (mut client, journal, broker) = client();
    let sent = [durable("q"), declare("nothing", 1, &TableBuf::new())].concat();
    assert_eq!(client.send(&sent), b"");
    journal.sync(&broker);
    let closed = channel_closed(
        404,
        "NOT_FOUND - no queue 'nothing' in vhost '/'",
        MethodId::QUEUE_DECLARE,
    );
    assert_eq!(client.receive(), [declared("q"), closed].concat());
}

#[test]
fn who_declares_what_another_has_just_declared_waits_too() {
    let (mut client, journal, broker) = client();
    let mut other = Client::open(&broker);
    client.send(&durable("q"));
    assert_eq!(other.send(&durable("q")), b"");
    journal.sync(&broker);
    assert_eq!(other.receive(), declared("q"));
    assert_eq!(client.receive(), declared("q"));
    assert_eq!(other.send(&durable("q")), declared("q"));
}
