//! The codec of AMQP without a connection: publishes read and kept, deliveries written. Their time
//! is what `cargo bench -p amqp --bench codec` prints.

use amqp::wire::{
    content::put_content,
    deliver::{PublishedTo, Redelivered, put_deliver},
    frame::{Batch, ChannelId, FRAME_END, FrameLimit},
    properties::Properties,
    settle::DeliveryTag,
};
use bytes::{Bytes, BytesMut};
use routing::OutBuf;

const CHANNEL: ChannelId = ChannelId(1);
const FRAME_MAX: u32 = 131_072;
/// `basic.publish` to the exchange `amq.test` with the key `plant.line1.t`.
const METHOD: &[u8] = b"\x01\0\x01\0\0\0\x1e\0\x3c\0\x28\0\0\x08amq.test\x0dplant.line1.t\0\xce";
/// Persistent, with the headers `a` and `b`, each a text of four octets.
const PROPERTIES: &[u8] = b"\x30\0\0\0\0\x16\x01aS\0\0\0\x04text\x01bS\0\0\0\x04text\x02";
static BODY: Bytes = Bytes::from_static(&[b'x'; 64]);

/// What a read brings of a client that publishes.
pub(crate) fn read_buffer(messages: usize) -> BytesMut {
    let mut publishes = OutBuf::default();
    for _ in 0..messages {
        publishes.put_slice(METHOD);
        put_content(&mut publishes, CHANNEL, PROPERTIES, &BODY, FRAME_MAX);
    }
    BytesMut::from(&publishes.to_vec()[..])
}

/// Reads all publishes, and takes and drops the references that messages hold; returns how many
/// were as they should be.
pub(crate) fn read(input: &mut BytesMut) -> usize {
    let limit = FrameLimit {
        frame_max: FRAME_MAX,
        frames_max: usize::MAX,
    };
    let mut batch = Batch::cut(input, limit);
    let mut messages = 0;
    while let Some(whole) = batch.whole_publish() {
        let is_fine = whole.properties.check(|_, _| {}).is_ok();
        let properties = batch.share_properties(whole.properties);
        let body = batch.share(whole.body);
        let is_kept = Properties::new(&properties) == Ok(whole.properties) && body == whole.body;
        messages += usize::from(is_fine && is_kept);
        let len = whole.len;
        batch.skip(len);
    }
    messages
}

/// Writes deliveries.
pub(crate) fn write(messages: usize, out: &mut OutBuf) {
    let to = PublishedTo {
        exchange: b"amq.test",
        routing_key: b"plant.line1.t",
    };
    for tag in (1..).take(messages) {
        let delivery = (DeliveryTag(tag), Redelivered::No);
        put_deliver(out, CHANNEL, b"amq.ctag-0123456789", delivery, to);
        put_content(out, CHANNEL, PROPERTIES, &BODY, FRAME_MAX);
    }
}

/// Deliveries written, by their three end octets: no other octet of them is one.
pub(crate) fn written(out: &OutBuf) -> usize {
    let ends = out.to_vec().into_iter().filter(|octet| *octet == FRAME_END);
    ends.count() / 3
}
