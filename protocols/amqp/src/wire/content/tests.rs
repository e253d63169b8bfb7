//! Content headers and bodies.

use amq_protocol::{
    frame::{AMQPFrame, parse_frame},
    types::ShortString,
};
use proptest::prelude::*;

use super::*;
use crate::wire::properties::{PropertiesBuf, Property, PropertyValue};

const NO_PROPERTIES: [u8; 2] = [0, 0];

fn content(body: &[u8], frame_max: u32) -> Vec<u8> {
    let mut out = OutBuf::default();
    let body = Bytes::copy_from_slice(body);
    put_content(&mut out, ChannelId(1), &NO_PROPERTIES, &body, frame_max);
    out.to_vec()
}

#[test]
fn an_empty_body_has_no_body_frame() {
    assert_eq!(
        content(b"", 131_072),
        [
            2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xCE
        ]
    );
}

#[test]
fn a_body_is_split_at_frame_max_with_overhead() {
    let bytes = content(&[b'x'; 25], 18);
    let header_len = 22;
    let mut body = vec![3, 0, 1, 0, 0, 0, 10];
    body.extend([b'x'; 10]);
    body.push(0xCE);
    let mut expected = [body.clone(), body].concat();
    expected.extend([3, 0, 1, 0, 0, 0, 5, b'x', b'x', b'x', b'x', b'x', 0xCE]);
    assert_eq!(bytes[header_len..], expected);
}

#[test]
fn a_body_that_fills_its_frames_gets_no_empty_one() {
    assert_eq!(content(&[b'x'; 20], 18).len(), 22 + 2 * 18);
    assert_eq!(content(&[b'x'; 20], 0).len(), 22 + 28);
}

#[test]
fn header_fields_are_read_and_properties_kept_verbatim() {
    let payload = b"\0\x3c\x12\x34\0\0\0\0\0\0\0\x05\x10\x02\x02";
    let header = ContentHeader::parse(payload).unwrap();
    assert_eq!((header.class, header.body_size), (60, 5));
    assert_eq!(header.properties.as_bytes(), b"\x10\x02\x02");
    for len in 0..14 {
        assert_eq!(
            ContentHeader::parse(&payload[..len]),
            Err(Malformed::Fields)
        );
    }
}

#[test]
fn one_frame_is_the_body_itself_and_several_are_joined() {
    assert_eq!(Body::new(3).push(b"abc"), Ok(BodyPart::Whole));
    let mut body = Body::new(5);
    assert_eq!(body.push(b"ab"), Ok(BodyPart::Partial));
    assert_eq!(body.push(b""), Ok(BodyPart::Partial));
    assert_eq!(
        body.push(b"cde"),
        Ok(BodyPart::Last(Bytes::from_static(b"abcde")))
    );
}

#[test]
fn a_body_longer_than_announced_is_a_frame_error() {
    assert_eq!(Body::new(2).push(b"abc"), Err(Malformed::BodyTooLong));
    let mut body = Body::new(4);
    assert_eq!(body.push(b"abc"), Ok(BodyPart::Partial));
    assert_eq!(body.push(b"de"), Err(Malformed::BodyTooLong));
}

proptest! {
    #[test]
    fn amq_protocol_reads_what_is_written(
        body in prop::collection::vec(any::<u8>(), 0..100),
        frame_max in 9_u32..50,
        correlation in "[a-z]{0,9}",
    ) {
        let mut properties = PropertiesBuf::new();
        properties.push(Property::DeliveryMode, PropertyValue::Octet(2));
        properties.push(
            Property::CorrelationId,
            PropertyValue::ShortString(correlation.as_bytes()),
        );
        let mut out = OutBuf::default();
        let body = Bytes::from(body);
        put_content(&mut out, ChannelId(7), &properties.finish(), &body, frame_max);
        let bytes = out.to_vec();
        let (mut rest, frame) = parse_frame(&bytes[..]).unwrap();
        let AMQPFrame::Header(7, header) = frame else { panic!("no header: {frame:?}") };
        prop_assert_eq!(header.body_size, u64::try_from(body.len()).unwrap());
        prop_assert_eq!(header.properties.delivery_mode(), &Some(2));
        let expected = ShortString::from(correlation);
        prop_assert_eq!(header.properties.correlation_id(), &Some(expected));
        let mut joined = Vec::new();
        while !rest.is_empty() {
            let (after, frame) = parse_frame(rest).unwrap();
            let AMQPFrame::Body(7, piece) = frame else { panic!("no body: {frame:?}") };
            joined.extend(piece);
            rest = after;
        }
        prop_assert_eq!(joined, body);
    }
}
