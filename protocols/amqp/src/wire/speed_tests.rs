//! How long reading a publish and writing a delivery take: the numbers behind the promise of less
//! than 50 ns each. Read: three frames found in the read buffer, all of their fields, properties
//! and headers checked, and what the message keeps of them (properties, body) referenced. Written:
//! three frames in the output. They mean something in an optimised build on a quiet machine, so
//! they run when asked for: `cargo test --release -p amqp speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{
    OutBuf,
    content::put_content,
    deliver::{PublishedTo, Redelivered, put_deliver},
    frame::{Batch, ChannelId, FrameLimit},
    properties::{PropertiesBuf, Property, PropertyValue},
    settle::DeliveryTag,
    table::{TableBuf, Value},
};

const NS_MAX: f64 = 50.0;
/// Messages in one read buffer.
const BATCH: u32 = 100;
const ROUNDS: usize = 400;

fn properties(headers: usize) -> Vec<u8> {
    let mut table = TableBuf::new();
    for number in 0..headers {
        let name = format!("header-{number}");
        table
            .push(name.as_bytes(), Value::LongString(b"some value"))
            .unwrap();
    }
    let mut properties = PropertiesBuf::new();
    if headers > 0 {
        let inside = table.table().as_bytes();
        properties.push(Property::Headers, PropertyValue::Table(inside));
    }
    properties.push(Property::DeliveryMode, PropertyValue::Octet(2));
    properties.finish()
}

fn publishes(body: &Bytes, properties: &[u8]) -> Vec<u8> {
    let mut out = OutBuf::default();
    for _ in 0..BATCH {
        out.put_slice(b"\x01\0\x01\0\0\0\x1e\0\x3c\0\x28\0\0\x08amq.test\x0dplant.line1.t\0\xce");
        put_content(&mut out, ChannelId(1), properties, body, 131_072);
    }
    out.to_vec()
}

/// The best of several runs, as all that disturbs only adds to it.
fn ns_per_message(mut run: impl FnMut() -> Duration) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        best = best.min(run().as_secs_f64());
    }
    best * 1e9 / f64::from(BATCH)
}

#[expect(clippy::disallowed_methods, reason = "this is what it measures")]
fn parse(body_len: usize, headers: usize) -> f64 {
    let body = Bytes::from(vec![b'x'; body_len]);
    let bytes = publishes(&body, &properties(headers));
    let limit = FrameLimit {
        frame_max: 131_072,
        frames_max: usize::MAX,
    };
    let mut kept = Vec::with_capacity(ROUNDS);
    ns_per_message(|| {
        let mut buffer = BytesMut::from(&bytes[..]);
        // The first cut of a read buffer makes it shared, once per buffer.
        let _first_cut = buffer.split_to(0);
        kept.clear();
        let start = Instant::now();
        let mut batch = Batch::cut(&mut buffer, limit);
        for _ in 0..BATCH {
            let whole = batch.whole_publish().unwrap();
            black_box((whole.channel, whole.publish));
            whole.properties.check(|_, _| {}).unwrap();
            let properties = batch.share(whole.properties.as_bytes());
            kept.push((properties, batch.share(whole.body)));
            let len = whole.len;
            batch.skip(len);
        }
        start.elapsed()
    })
}

#[expect(clippy::disallowed_methods, reason = "this is what it measures")]
fn deliver(body_len: usize, headers: usize) -> f64 {
    let body = Bytes::from(vec![b'x'; body_len]);
    let properties = properties(headers);
    let to = PublishedTo {
        exchange: b"amq.test",
        routing_key: b"plant.line1.t",
    };
    let mut out = OutBuf::default();
    ns_per_message(|| {
        out.advance(out.len());
        let start = Instant::now();
        for tag in 0..u64::from(BATCH) {
            let delivered = (DeliveryTag(tag), Redelivered::No);
            put_deliver(
                &mut out,
                ChannelId(1),
                b"amq.ctag-0123456789",
                delivered,
                to,
            );
            put_content(&mut out, ChannelId(1), &properties, &body, 131_072);
        }
        start.elapsed()
    })
}

#[test]
#[ignore = "a number of an optimised build"]
fn speed_of_a_publish_read_and_a_delivery_written() {
    println!("| body, headers | read a publish | write a delivery |");
    println!("| --- | --- | --- |");
    let mut slowest = 0.0_f64;
    for (body_len, headers) in [(16, 0), (16, 3), (1024, 3)] {
        let (read, written) = (parse(body_len, headers), deliver(body_len, headers));
        println!("| {body_len} B, {headers} | {read:.0} ns | {written:.0} ns |");
        slowest = slowest.max(read).max(written);
    }
    assert!(slowest < NS_MAX, "{slowest:.0} ns");
}
