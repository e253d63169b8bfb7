//! What reading a publish costs: no allocation at all, whatever its headers are.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    OutBuf,
    content::{Body, BodyPart, ContentHeader, put_content},
    frame::{Batch, ChannelId, FrameLimit},
    method_id::MethodId,
    properties::{PropertiesBuf, Property, PropertyValue},
    publish::Publish,
    table::{TableBuf, Value},
};

const PUBLISHES: usize = 10;

fn read_buffer() -> BytesMut {
    let mut headers = TableBuf::new();
    headers.push(b"trace", Value::LongString(b"4711")).unwrap();
    headers.push(b"count", Value::I64(3)).unwrap();
    let mut properties = PropertiesBuf::new();
    properties.push(
        Property::Headers,
        PropertyValue::Table(headers.table().as_bytes()),
    );
    properties.push(Property::DeliveryMode, PropertyValue::Octet(2));
    let mut out = OutBuf::default();
    let properties = properties.finish();
    for _ in 0..PUBLISHES {
        out.put_slice(b"\x01\0\x01\0\0\0\x0f\0\x3c\0\x28\0\0\x02ex\x04a.b.\0\xce");
        put_content(
            &mut out,
            ChannelId(1),
            &properties,
            &Bytes::from_static(b"body"),
            8192,
        );
    }
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.put_slice(&out.to_vec());
    // The first cut of a read buffer makes it shared, which costs one allocation per buffer.
    let _first_cut = buffer.split_to(0);
    buffer
}

/// Reads every publish of `batch` and keeps what a message keeps.
fn read(batch: &mut Batch, kept: &mut Vec<(Bytes, Bytes)>) {
    for _ in 0..PUBLISHES {
        let method = batch.next_frame().unwrap().unwrap();
        let (id, arguments) = MethodId::split(batch.frame(method).payload).unwrap();
        assert_eq!(id, MethodId::BASIC_PUBLISH);
        assert_eq!(Publish::parse(arguments).unwrap().routing_key, b"a.b.");
        let header = batch.next_frame().unwrap().unwrap();
        let header = ContentHeader::parse(batch.frame(header).payload).unwrap();
        header.properties.check(|_, _| {}).unwrap();
        assert_eq!(header.properties.header(b"count"), Some(Value::I64(3)));
        let properties = batch.share(header.properties.as_bytes());
        let mut body = Body::new(header.body_size);
        let span = batch.next_frame().unwrap().unwrap();
        let payload = batch.frame(span).payload;
        assert_eq!(body.push(payload), Ok(BodyPart::Whole));
        kept.push((properties, batch.share(payload)));
    }
}

/// The same in one go, as a connection does it.
fn read_whole(batch: &mut Batch, kept: &mut Vec<(Bytes, Bytes)>) {
    for _ in 0..PUBLISHES {
        let whole = batch.whole_publish().unwrap();
        assert_eq!(whole.publish.routing_key, b"a.b.");
        whole.properties.check(|_, _| {}).unwrap();
        let properties = batch.share(whole.properties.as_bytes());
        kept.push((properties, batch.share(whole.body)));
        let len = whole.len;
        batch.skip(len);
    }
}

#[test]
fn reading_a_publish_allocates_nothing() {
    for read in [read, read_whole] {
        assert_no_allocation(read);
    }
}

fn assert_no_allocation(read: fn(&mut Batch, &mut Vec<(Bytes, Bytes)>)) {
    let mut buffer = read_buffer();
    let mut kept = Vec::with_capacity(PUBLISHES);
    let limit = FrameLimit {
        frame_max: 8192,
        frames_max: usize::MAX,
    };
    let counted = allocation_counter::measure(|| {
        let mut batch = Batch::cut(&mut buffer, limit);
        read(&mut batch, &mut kept);
    });
    assert_eq!(kept.len(), PUBLISHES);
    assert_eq!(kept[9].1, "body");
    assert_eq!(counted.count_total, 0);
}
