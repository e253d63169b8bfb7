//! Receiving: consumers, credit, settlement, cancellation.

use super::*;
use crate::wire::{deliver::put_get_ok, replies::BasicReply};

fn cancel(tag: &str) -> Vec<u8> {
    method(MethodId::BASIC_CANCEL, Args::default().short(tag).u8(0))
}

fn nack(tag: u64, bits: u8) -> Vec<u8> {
    method(MethodId::BASIC_NACK, Args::default().u64(tag).u8(bits))
}

fn basic(reply_of: BasicReply<'_>) -> Vec<u8> {
    reply(Reply::Basic(reply_of))
}

fn again(tag: u64, body: &[u8]) -> Vec<u8> {
    let redelivered = Redelivered::Yes;
    Delivered {
        tag,
        redelivered,
        exchange: "",
        key: "q",
        properties: PLAIN,
        body,
    }
    .bytes()
}

fn publish_each(client: &mut Client, bodies: &[&[u8]]) {
    for body in bodies {
        client.send(&publish(body));
    }
}

#[test]
fn consume_ok_comes_before_what_waits() {
    let mut client = Client::with_queue(&broker());
    publish_each(&mut client, &[b"1", b"2"]);
    let expected = [
        basic(BasicReply::ConsumeOk { consumer_tag: "t" }),
        delivered(1, b"1"),
        delivered(2, b"2"),
    ];
    assert_eq!(client.send(&consume("q", "t", 0)), expected.concat());
}

#[test]
fn a_consumer_tag_is_used_once() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    assert_eq!(
        client.send(&consume("q", "t", 0)),
        connection_closed(
            530,
            "NOT_ALLOWED - attempt to reuse consumer tag 't'",
            MethodId::BASIC_CONSUME
        )
    );
}

#[test]
fn an_exclusive_consumer_wants_to_be_alone() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 4));
    assert_eq!(
        client.send(&consume("q", "u", 0)),
        channel_closed(
            403,
            "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
            MethodId::BASIC_CONSUME
        )
    );
}

#[test]
fn prefetch_holds_deliveries_back_until_they_are_settled() {
    let mut client = Client::with_queue(&broker());
    assert_eq!(client.send(&qos(2, 0)), basic(BasicReply::QosOk));
    client.send(&consume("q", "t", 0));
    client.send(&publish(b"1"));
    client.send(&publish(b"2"));
    assert_eq!(client.send(&publish(b"3")), b"");
    client.send(&publish(b"4"));
    assert_eq!(client.send(&ack(2, 0)), delivered(3, b"3"));
    assert_eq!(client.send(&ack(3, 1)), delivered(4, b"4"));
}

#[test]
fn a_global_prefetch_is_shared_and_can_be_changed() {
    let mut client = Client::with_queue(&broker());
    client.send(&declare("r", 0, &TableBuf::new()));
    client.send(&qos(1, 1));
    client.send(&consume("q", "t", 0));
    client.send(&consume("r", "u", 0));
    publish_each(&mut client, &[b"1"]);
    assert_eq!(client.send(&publish_to(("", "r"), 0, PLAIN, b"other")), b"");
    assert_eq!(client.send(&publish(b"2")), b"");
    let after_ack = client.send(&ack(1, 0));
    assert!(!after_ack.is_empty());
    let after_qos = client.send(&qos(0, 1));
    assert!(after_qos.len() > basic(BasicReply::QosOk).len());
}

#[test]
fn qos_by_bytes_is_not_implemented() {
    let qos = method(MethodId::BASIC_QOS, Args::default().u32(1).u16(0).u8(0));
    let text = "NOT_IMPLEMENTED - prefetch_size!=0 (1)";
    let expected = connection_closed(540, text, MethodId::BASIC_QOS);
    assert_eq!(Client::open(&broker()).send(&qos), expected);
}

#[test]
fn what_is_rejected_with_requeue_comes_again_in_its_place() {
    let mut client = Client::with_queue(&broker());
    client.send(&qos(1, 0));
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1", b"2"]);
    assert_eq!(client.send(&nack(1, 2)), again(2, b"1"));
    let reject = |tag, bits| method(MethodId::BASIC_REJECT, Args::default().u64(tag).u8(bits));
    assert_eq!(client.send(&reject(2, 1)), again(3, b"1"));
    assert_eq!(client.send(&reject(3, 0)), delivered(4, b"2"));
}

#[test]
fn an_unknown_delivery_tag_closes_the_channel() {
    for request in [ack(99, 0), ack(99, 1), nack(99, 0), ack(0, 0)] {
        let id = MethodId::split(&request[7..]).unwrap().0;
        let tag = request[18];
        let text = format!("PRECONDITION_FAILED - unknown delivery tag {tag}");
        let mut client = Client::with_queue(&broker());
        assert_eq!(client.send(&request), channel_closed(406, &text, id));
    }
}

#[test]
fn multiple_0_settles_all_and_may_settle_none() {
    let mut client = Client::with_queue(&broker());
    client.send(&qos(2, 0));
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1", b"2", b"3"]);
    assert_eq!(client.send(&ack(0, 1)), delivered(3, b"3"));
    assert_eq!(client.send(&[ack(0, 1), ack(0, 1)].concat()), b"");
}

#[test]
fn a_message_delivered_twice_at_once_is_settled_by_each_tag() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1", b"2"]);
    client.send(&[ack(2, 0), ack(1, 0)].concat());
    let queue = client_queue(&client);
    assert_eq!(queue.unsettled(), 0);
}

fn client_queue(client: &Client) -> Arc<routing::Queue> {
    client
        .connection
        .broker
        .vhost("/")
        .unwrap()
        .queue("q")
        .unwrap()
}

#[test]
fn get_takes_one_and_counts_the_rest() {
    let mut client = Client::with_queue(&broker());
    publish_each(&mut client, &[b"1", b"2"]);
    let get = |bits| {
        method(
            MethodId::BASIC_GET,
            Args::default().u16(0).short("q").u8(bits),
        )
    };
    let got = |tag, left, redelivered, body: &'static [u8]| {
        let to = PublishedTo {
            exchange: b"",
            routing_key: b"q",
        };
        said(|out| {
            put_get_ok(out, CH, (DeliveryTag(tag), redelivered), to, left);
            put_content(out, CH, PLAIN, &Bytes::from_static(body), 131_072);
        })
    };
    assert_eq!(client.send(&get(0)), got(1, 1, Redelivered::No, b"1"));
    assert_eq!(client.send(&get(1)), got(2, 0, Redelivered::No, b"2"));
    assert_eq!(client.send(&get(0)), basic(BasicReply::GetEmpty));
    client.send(&nack(1, 2));
    assert_eq!(client.send(&get(0)), got(3, 0, Redelivered::Yes, b"1"));
    client.send(&ack(3, 0));
    assert_eq!(client.send(&get(0)), basic(BasicReply::GetEmpty));
}

#[test]
fn recover_gives_all_back() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1", b"2"]);
    let recover = |requeue| method(MethodId::BASIC_RECOVER, Args::default().u8(requeue));
    let expected = [basic(BasicReply::RecoverOk), again(3, b"1"), again(4, b"2")];
    assert_eq!(client.send(&recover(1)), expected.concat());
    let text = "NOT_IMPLEMENTED - requeue=false";
    assert_eq!(
        client.send(&recover(0)),
        connection_closed(540, text, MethodId::BASIC_RECOVER)
    );
}

#[test]
fn cancel_delivers_what_was_given_and_nothing_after_it() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&consume("q", "t", 2));
    let mut other = Client::open(&broker);
    other.send(&publish(b"given"));
    let cancel_ok = basic(BasicReply::CancelOk { consumer_tag: "t" });
    assert_eq!(
        client.send(&cancel("t")),
        [delivered(1, b"given"), cancel_ok.clone()].concat()
    );
    other.send(&publish(b"kept"));
    assert_eq!(client.receive(), b"");
    assert_eq!(client_queue(&client).status().messages, 1);
    assert_eq!(client.send(&cancel("t")), cancel_ok);
}

#[test]
fn an_auto_delete_queue_ends_with_its_last_consumer() {
    let broker = broker();
    let mut client = Client::open(&broker);
    client.send(&declare("auto", 8, &TableBuf::new()));
    client.send(&consume("auto", "t", 0));
    client.send(&cancel("t"));
    assert!(broker.vhost("/").unwrap().queue("auto").is_err());
}

#[test]
fn a_deleted_queue_cancels_its_consumers() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&consume("q", "t", 0));
    let mut other = Client::open(&broker);
    other.send(&method(
        MethodId::QUEUE_DELETE,
        Args::default().u16(0).short("q").u8(0),
    ));
    assert_eq!(
        client.receive(),
        basic(BasicReply::Cancel { consumer_tag: "t" })
    );
    client.send(&declare("q", 0, &TableBuf::new()));
    let consumed = basic(BasicReply::ConsumeOk { consumer_tag: "t" });
    assert_eq!(client.send(&consume("q", "t", 0)), consumed);
}

#[test]
fn a_closed_channel_gives_back_what_it_had() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&qos(1, 0));
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1", b"2"]);
    client.send(&method(
        MethodId::BASIC_GET,
        Args::default().u16(0).short("q").u8(0),
    ));
    let close = Args::default().u16(200).short("").u16(0).u16(0);
    let closed = client.send(&method(MethodId::CHANNEL_CLOSE, close));
    assert_eq!(closed, reply(Reply::Channel(ChannelReply::CloseOk)));
    let mut other = Client::open(&broker);
    let expected = [
        basic(BasicReply::ConsumeOk { consumer_tag: "t" }),
        again(1, b"1"),
        again(2, b"2"),
    ];
    assert_eq!(other.send(&consume("q", "t", 0)), expected.concat());
}

#[test]
fn a_lost_connection_gives_back_what_it_had() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&consume("q", "t", 0));
    publish_each(&mut client, &[b"1"]);
    drop(client);
    let mut other = Client::open(&broker);
    let ok = basic(BasicReply::ConsumeOk { consumer_tag: "t" });
    assert_eq!(
        other.send(&consume("q", "t", 0)),
        [ok, again(1, b"1")].concat()
    );
}

#[test]
fn consumers_of_higher_priority_are_served_first() {
    let broker = broker();
    let mut low = Client::with_queue(&broker);
    low.send(&consume("q", "t", 0));
    let mut high = Client::open(&broker);
    let arguments = table(&[("x-priority", Value::I8(10))]);
    let consume = Args::default().u16(0).short("q").short("t").u8(0);
    let consume = consume.long(arguments.table().as_bytes());
    high.send(&method(MethodId::BASIC_CONSUME, consume));
    low.send(&[publish(b"1"), publish(b"2")].concat());
    assert_eq!(
        high.receive(),
        [delivered(1, b"1"), delivered(2, b"2")].concat()
    );
}

#[test]
fn a_slow_reader_gets_its_deliveries_in_portions() {
    let broker = broker();
    let mut client = Client::with_queue(&broker);
    client.send(&consume("q", "t", 2));
    let mut other = Client::open(&broker);
    for _ in 0..8 {
        other.send(&publish(&[7; 100_000]));
    }
    let mut out = OutBuf::default();
    client.connection.handle_outbox(NOW, &mut out);
    let first = out.len();
    assert!((256 * 1024..400_000).contains(&first), "{first}");
    client.connection.handle_outbox(NOW, &mut out);
    assert_eq!(out.len(), first);
    let written = out.len();
    out.advance(written);
    client.connection.handle_outbox(NOW, &mut out);
    assert!(out.len() >= 256 * 1024);
}

#[test]
fn a_quorum_queue_knows_no_prefetch_of_a_channel() {
    let mut client = Client::open(&broker());
    let quorum = table(&[("x-queue-type", Value::LongString(b"quorum"))]);
    client.send(&declare("qq", 2, &quorum));
    client.send(&qos(2, 1));
    let text = "NOT_IMPLEMENTED - queue 'qq' in vhost '/' does not support global qos";
    let closed = connection_closed(540, text, MethodId::BASIC_CONSUME);
    assert_eq!(client.send(&consume("qq", "t", 0)), closed);
}

#[test]
fn a_consumer_that_acknowledges_nothing_gets_what_comes_in_one_read_in_order() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 2));
    let published = [publish(b"1"), publish(b"2"), publish(b"3")].concat();
    let expected = [delivered(1, b"1"), delivered(2, b"2"), delivered(3, b"3")];
    assert_eq!(client.send(&published), expected.concat());
    assert_eq!(client.send(&publish(b"4")), delivered(4, b"4"));
}

#[test]
fn a_cancelled_consumer_gets_what_was_published_before_in_the_same_read() {
    let mut client = Client::with_queue(&broker());
    client.send(&consume("q", "t", 2));
    let published = [publish(b"1"), publish(b"2"), publish(b"3"), cancel("t")].concat();
    client.send(&published);
    let queue = client.connection.broker.vhost("/").unwrap();
    assert_eq!(queue.queue("q").unwrap().status().messages, 0);
}

#[test]
fn each_delivery_says_its_own_routing_key() {
    let mut client = Client::with_queue(&broker());
    let bind = Args::default().u16(0).short("q").short("amq.fanout");
    client.send(&method(MethodId::QUEUE_BIND, bind.short("").u8(0).long([])));
    client.send(&consume("q", "t", 2));
    let keys = ["a", "a", "a", "b", "b", "b", "a"];
    let published = keys.map(|key| publish_to(("amq.fanout", key), 0, PLAIN, b"x"));
    let expected = (1..).zip(keys).map(|(tag, key)| {
        let (redelivered, exchange) = (Redelivered::No, "amq.fanout");
        Delivered {
            tag,
            redelivered,
            exchange,
            key,
            properties: PLAIN,
            body: b"x",
        }
        .bytes()
    });
    let expected = expected.collect::<Vec<_>>().concat();
    assert_eq!(client.send(&published.concat()), expected);
}
