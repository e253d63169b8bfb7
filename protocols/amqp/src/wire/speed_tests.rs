//! How long reading a publish and writing a delivery take: the numbers behind the promise of less
//! than 50 ns each. They mean something in an optimised build on a quiet machine, so they run when
//! asked for: `cargo test --release -p amqp speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{
    OutBuf,
    content::{Body, BodyPart, ContentHeader, put_content},
    deliver::{PublishedTo, Redelivered, put_deliver},
    frame::{Batch, ChannelId, FrameLimit},
    method_id::MethodId,
    properties::{PropertiesBuf, Property, PropertyValue},
    publish::Publish,
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
    ns_per_message(|| {
        let mut buffer = BytesMut::from(&bytes[..]);
        let start = Instant::now();
        let mut batch = Batch::cut(&mut buffer, limit);
        for _ in 0..BATCH {
            let method = batch.next_frame().unwrap().unwrap();
            let (id, arguments) = MethodId::split(batch.frame(method).payload).unwrap();
            assert_eq!(id, MethodId::BASIC_PUBLISH);
            let publish = Publish::parse(arguments).unwrap();
            black_box(batch.share(publish.routing_key));
            let header = batch.next_frame().unwrap().unwrap();
            let header = ContentHeader::parse(batch.frame(header).payload).unwrap();
            header.properties.check(|_, _| {}).unwrap();
            black_box(batch.share(header.properties.as_bytes()));
            let mut body = Body::new(header.body_size);
            let span = batch.next_frame().unwrap().unwrap();
            let payload = batch.frame(span).payload;
            assert_eq!(body.push(payload), Ok(BodyPart::Whole));
            black_box(batch.share(payload));
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
    for (body_len, headers) in [(16, 0), (16, 3), (1024, 3)] {
        let (read, written) = (parse(body_len, headers), deliver(body_len, headers));
        println!("| {body_len} B, {headers} | {read:.0} ns | {written:.0} ns |");
        assert!(read < NS_MAX && written < NS_MAX);
    }
}
