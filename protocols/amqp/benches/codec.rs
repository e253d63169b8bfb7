//! How long reading a publish and writing a delivery take: the numbers behind the promise of less
//! than 50 ns each. `cargo bench -p amqp --bench codec` prints them, and fails when one is missed.
//!
//! Read: three frames found in the read buffer, all of their fields, properties and headers
//! checked. Kept: the same, and the counted references to properties and body that a message holds.
//! Written: three frames in the output, the body copied. Each is the best of many rounds in turn,
//! as all that disturbs only adds to it.

#![expect(clippy::print_stdout, reason = "a command line program")]
#![expect(clippy::unwrap_used, reason = "its own bytes are well-formed")]
#![expect(clippy::disallowed_methods, reason = "the clock is what it is about")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use amqp::wire::{
    content::put_content,
    deliver::{PublishedTo, Redelivered, put_deliver},
    frame::{Batch, ChannelId, FrameLimit},
    properties::{PropertiesBuf, Property, PropertyValue},
    settle::DeliveryTag,
    table::{TableBuf, Value},
};
use bytes::{Bytes, BytesMut};
use routing::OutBuf;

const NS_MAX: f64 = 50.0;
/// Messages in one read buffer, and in one output.
const BATCH: u32 = 20;
const ROUNDS: usize = 20_000;
const CHANNEL: ChannelId = ChannelId(1);
const FRAME_MAX: u32 = 131_072;
const LIMIT: FrameLimit = FrameLimit {
    frame_max: FRAME_MAX,
    frames_max: usize::MAX,
};
/// `basic.publish` to the exchange `amq.test` with the key `plant.line1.t`.
const METHOD: &[u8] = b"\x01\0\x01\0\0\0\x1e\0\x3c\0\x28\0\0\x08amq.test\x0dplant.line1.t\0\xce";
const TO: PublishedTo<'_> = PublishedTo {
    exchange: b"amq.test",
    routing_key: b"plant.line1.t",
};

/// Messages of one kind.
struct Case {
    name: String,
    body: Bytes,
    properties: Vec<u8>,
    publishes: Vec<u8>,
    out: OutBuf,
    kept: Vec<(Bytes, Bytes)>,
    best: Figures,
}

/// Times of one batch.
#[derive(Clone, Copy)]
struct Figures {
    read: Duration,
    kept: Duration,
    written: Duration,
}

impl Case {
    fn new(body_len: usize, headers: usize) -> Self {
        let body = Bytes::from(vec![b'x'; body_len]);
        let properties = properties(headers);
        let mut publishes = OutBuf::default();
        for _ in 0..BATCH {
            publishes.put_slice(METHOD);
            put_content(&mut publishes, CHANNEL, &properties, &body, FRAME_MAX);
        }
        Self {
            name: format!("{body_len} B, {headers}"),
            body,
            properties,
            publishes: publishes.to_vec(),
            out: OutBuf::default(),
            kept: Vec::new(),
            best: Figures {
                read: Duration::MAX,
                kept: Duration::MAX,
                written: Duration::MAX,
            },
        }
    }

    /// A buffer as a read leaves it. Its first cut makes it shared, once per buffer.
    fn read_buffer(&self) -> BytesMut {
        let mut buffer = BytesMut::from(&self.publishes[..]);
        let _first_cut = buffer.split_to(0);
        buffer
    }

    fn round(&mut self) {
        self.best.read = self.best.read.min(self.read());
        self.best.kept = self.best.kept.min(self.keep());
        self.best.written = self.best.written.min(self.write());
    }

    fn read(&self) -> Duration {
        let mut buffer = self.read_buffer();
        let start = Instant::now();
        let mut batch = Batch::cut(&mut buffer, LIMIT);
        while let Some(whole) = batch.whole_publish() {
            whole.properties.check(|_, _| {}).unwrap();
            let len = black_box(&whole).len;
            batch.skip(len);
        }
        let taken = start.elapsed();
        assert!(batch.is_empty() && buffer.is_empty());
        taken
    }

    fn keep(&mut self) -> Duration {
        let mut buffer = self.read_buffer();
        self.kept.clear();
        let start = Instant::now();
        let mut batch = Batch::cut(&mut buffer, LIMIT);
        while let Some(whole) = batch.whole_publish() {
            black_box((whole.channel, whole.publish));
            whole.properties.check(|_, _| {}).unwrap();
            let properties = batch.share_properties(whole.properties);
            self.kept.push((properties, batch.share(whole.body)));
            let len = whole.len;
            batch.skip(len);
        }
        let taken = start.elapsed();
        assert!(batch.is_empty() && buffer.is_empty());
        taken
    }

    fn write(&mut self) -> Duration {
        self.out.advance(self.out.len());
        let start = Instant::now();
        for tag in 0..u64::from(BATCH) {
            let delivery = (DeliveryTag(tag), Redelivered::No);
            let out = &mut self.out;
            put_deliver(out, CHANNEL, b"amq.ctag-0123456789", delivery, TO);
            put_content(out, CHANNEL, &self.properties, &self.body, FRAME_MAX);
        }
        start.elapsed()
    }
}

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

fn ns_per_message(batch: Duration) -> f64 {
    batch.as_secs_f64() * 1e9 / f64::from(BATCH)
}

fn main() -> ExitCode {
    let mut cases = [(64, 0), (64, 3), (1024, 3)].map(|(body, headers)| Case::new(body, headers));
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(Case::round);
    }
    println!("| body, headers | read a publish | and keep it | write a delivery |");
    println!("| --- | --- | --- | --- |");
    let mut slowest = 0.0_f64;
    for Case { name, best, .. } in &cases {
        let [read, kept, written] = [best.read, best.kept, best.written].map(ns_per_message);
        println!("| {name} | {read:.0} ns | {kept:.0} ns | {written:.0} ns |");
        slowest = slowest.max(read).max(written);
    }
    if slowest < NS_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
