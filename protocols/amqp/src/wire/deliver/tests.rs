//! Deliver, get-ok and return.

use amq_protocol::{
    frame::{AMQPFrame, parse_frame},
    protocol::{AMQPClass, basic},
};

use super::*;

const PUBLISHED: PublishedTo<'_> = PublishedTo {
    exchange: b"ex",
    routing_key: b"a.b",
};

fn parsed(out: &OutBuf) -> AMQPFrame {
    let bytes = out.to_vec();
    let (rest, frame) = parse_frame(&bytes[..]).unwrap();
    assert!(rest.is_empty());
    frame
}

#[test]
fn deliver_has_its_exact_bytes() {
    let mut out = OutBuf::default();
    put_deliver(
        &mut out,
        ChannelId(1),
        b"ct",
        (DeliveryTag(258), Redelivered::Yes),
        PUBLISHED,
    );
    assert_eq!(
        out.to_vec(),
        b"\x01\0\x01\0\0\0\x17\0\x3c\0\x3c\x02ct\0\0\0\0\0\0\x01\x02\x01\x02ex\x03a.b\xce"
    );
    let expected = basic::Deliver {
        consumer_tag: "ct".into(),
        delivery_tag: 258,
        redelivered: true,
        exchange: "ex".into(),
        routing_key: "a.b".into(),
    };
    let class = AMQPClass::Basic(basic::AMQPMethod::Deliver(expected));
    assert_eq!(parsed(&out), AMQPFrame::Method(1, class));
}

#[test]
fn get_ok_is_what_amq_protocol_expects() {
    let mut out = OutBuf::default();
    put_get_ok(
        &mut out,
        ChannelId(2),
        (DeliveryTag(1), Redelivered::No),
        PUBLISHED,
        7,
    );
    let expected = basic::GetOk {
        delivery_tag: 1,
        redelivered: false,
        exchange: "ex".into(),
        routing_key: "a.b".into(),
        message_count: 7,
    };
    let class = AMQPClass::Basic(basic::AMQPMethod::GetOk(expected));
    assert_eq!(parsed(&out), AMQPFrame::Method(2, class));
}

#[test]
fn return_is_what_amq_protocol_expects() {
    let mut out = OutBuf::default();
    put_return(&mut out, ChannelId(3), (312, b"NO_ROUTE"), PUBLISHED);
    let expected = basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "ex".into(),
        routing_key: "a.b".into(),
    };
    let class = AMQPClass::Basic(basic::AMQPMethod::Return(expected));
    assert_eq!(parsed(&out), AMQPFrame::Method(3, class));
}

#[test]
fn a_name_too_long_is_cut_and_the_frame_stays_whole() {
    let mut out = OutBuf::default();
    let published = PublishedTo {
        exchange: b"",
        routing_key: &[b'k'; 300],
    };
    put_return(&mut out, ChannelId(3), (312, b"NO_ROUTE"), published);
    assert!(matches!(parsed(&out), AMQPFrame::Method(3, _)));
}
