//! Splitting frames and protocol headers.

use proptest::prelude::*;

use super::*;

const UNLIMITED: FrameLimit = FrameLimit {
    frame_max: 0,
    frames_max: usize::MAX,
};

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes.push(FRAME_END);
    bytes
}

fn frames(batch: &mut Batch) -> Vec<(FrameType, u16, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some(span) = batch.next_frame().unwrap() {
        let frame = batch.frame(span);
        frames.push((frame.kind, frame.channel.0, frame.payload.to_vec()));
    }
    frames
}

#[test]
fn a_heartbeat_is_eight_octets() {
    let mut out = OutBuf::default();
    put_heartbeat(&mut out);
    assert_eq!(out.to_vec(), [8, 0, 0, 0, 0, 0, 0, 0xCE]);
}

#[test]
fn frames_are_cut_in_order_and_the_incomplete_one_stays() {
    let last = frame(1, 2, b"later");
    let mut input = BytesMut::new();
    input.extend(frame(3, 0x0102, b"body"));
    input.extend(frame(8, 0, b""));
    input.extend(&last[..last.len() - 1]);
    let mut batch = Batch::cut(&mut input, UNLIMITED);
    assert_eq!(
        frames(&mut batch),
        [
            (FrameType::Body, 0x0102, b"body".to_vec()),
            (FrameType::Heartbeat, 0, Vec::new())
        ]
    );
    assert!(batch.is_empty());
    assert_eq!(input, last[..last.len() - 1]);
}

#[test]
fn one_frame_at_a_time_while_the_limit_may_change() {
    let mut input = BytesMut::from(&[frame(8, 0, b""), frame(8, 0, b"")].concat()[..]);
    let limit = FrameLimit {
        frame_max: FRAME_MAX_LOWEST,
        frames_max: 1,
    };
    assert_eq!(frames(&mut Batch::cut(&mut input, limit)).len(), 1);
    assert_eq!(input.len(), 8);
}

#[test]
fn a_split_at_every_byte_changes_nothing() {
    let bytes = [
        frame(1, 1, b"method"),
        frame(2, 1, b"header"),
        frame(3, 1, b""),
    ]
    .concat();
    for split in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(split);
        let mut input = BytesMut::from(head);
        let mut seen = frames(&mut Batch::cut(&mut input, UNLIMITED));
        input.extend(tail);
        seen.extend(frames(&mut Batch::cut(&mut input, UNLIMITED)));
        assert_eq!(seen.len(), 3, "split at {split}");
        assert_eq!(seen[1], (FrameType::Header, 1, b"header".to_vec()));
        assert!(input.is_empty());
    }
}

#[test]
fn an_oversized_frame_is_refused_from_its_header_after_the_frames_before_it() {
    let limit = FrameLimit {
        frame_max: 8192,
        frames_max: usize::MAX,
    };
    let mut input = BytesMut::from(&frame(8, 0, b"")[..]);
    input.extend([2, 0, 1, 0, 0, 0x20, 0x01]);
    let mut batch = Batch::cut(&mut input, limit);
    assert!(batch.next_frame().unwrap().is_some());
    let fault = Malformed::FrameTooLarge {
        kind: 2,
        size: 8193,
        limit: 8184,
    };
    assert_eq!(batch.next_frame(), Err(fault));
    assert_eq!(
        fault.to_string(),
        "type 2, all octets = <<>>: {frame_too_large,8193,8184}"
    );
    assert!(fault.is_out_of_sync());
    assert_eq!(batch.next_frame(), Ok(None));
}

#[test]
fn a_frame_may_exceed_frame_max_by_its_overhead() {
    let limit = FrameLimit {
        frame_max: 8192,
        frames_max: usize::MAX,
    };
    let mut input = BytesMut::from(&frame(3, 1, &[7; 8192])[..]);
    assert_eq!(frames(&mut Batch::cut(&mut input, limit)).len(), 1);
}

#[test]
fn a_wrong_end_octet_is_a_frame_error() {
    let mut bytes = frame(1, 1, b"x");
    *bytes.last_mut().unwrap() = 0xCD;
    let mut batch = Batch::cut(&mut BytesMut::from(&bytes[..]), UNLIMITED);
    let fault = Malformed::FrameEnd {
        kind: 1,
        found: 0xCD,
    };
    assert_eq!(batch.next_frame(), Err(fault));
    assert_eq!(fault.code(), super::super::FaultCode::FrameError);
}

#[test]
fn an_unknown_type_costs_its_frame_only() {
    let bytes = [frame(4, 1, b"?"), frame(8, 0, b"")].concat();
    let mut batch = Batch::cut(&mut BytesMut::from(&bytes[..]), UNLIMITED);
    assert_eq!(batch.next_frame(), Err(Malformed::FrameType { kind: 4 }));
    assert_eq!(frames(&mut batch).len(), 1);
}

#[test]
fn a_shared_part_points_into_the_read() {
    let mut input = BytesMut::from(&frame(3, 1, b"body")[..]);
    let mut batch = Batch::cut(&mut input, UNLIMITED);
    let span = batch.next_frame().unwrap().unwrap();
    let payload = batch.frame(span).payload;
    assert_eq!(batch.share(payload).as_ptr(), payload.as_ptr());
}

#[test]
fn protocol_headers_of_0_9_1_and_0_9_are_served() {
    for header in [*b"AMQP\x00\x00\x09\x01", *b"AMQP\x01\x01\x00\x09"] {
        let mut input = BytesMut::from(&header[..]);
        input.extend([1]);
        assert_eq!(
            ProtocolHeader::cut(&mut input),
            Some(ProtocolHeader::Amqp091)
        );
        assert_eq!(input, [1][..]);
    }
}

#[test]
fn other_protocols_are_seen_as_soon_as_they_differ() {
    for start in [
        &b"GET / HT"[..],
        b"\x16\x03",
        b"AMQX",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x00\x09\x02",
    ] {
        let mut input = BytesMut::from(start);
        assert_eq!(
            ProtocolHeader::cut(&mut input),
            Some(ProtocolHeader::Other),
            "{start:?}"
        );
    }
}

#[test]
fn a_protocol_header_may_come_byte_by_byte() {
    for len in 0..SUPPORTED_HEADER.len() {
        let mut input = BytesMut::from(&SUPPORTED_HEADER[..len]);
        assert_eq!(ProtocolHeader::cut(&mut input), None);
        assert_eq!(input.len(), len);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_cut_without_a_panic(bytes: Vec<u8>, frame_max in 0_u32..200) {
        let mut input = BytesMut::from(&bytes[..]);
        let limit = FrameLimit { frame_max, frames_max: usize::MAX };
        let mut batch = Batch::cut(&mut input, limit);
        for _ in 0..=bytes.len() {
            match batch.next_frame() {
                Ok(Some(span)) => prop_assert!(batch.frame(span).payload.len() <= bytes.len()),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        prop_assert!(batch.is_empty());
    }
}

#[test]
fn the_commonest_properties_are_constants_and_all_are_as_they_came() {
    for (properties, is_constant) in [
        (&[0, 0][..], true),
        (&[0x10, 0, 1], true),
        (&[0x10, 0, 2], true),
        (&[0x10, 0, 0], false),
        (&[0x08, 0, 2], false),
    ] {
        let mut input = BytesMut::from(&frame(2, 1, properties)[..]);
        let mut batch = Batch::cut(&mut input, UNLIMITED);
        let span = batch.next_frame().unwrap().unwrap();
        let payload = batch.frame(span).payload;
        let kept = batch.share_properties(Properties::new(payload).unwrap());
        assert_eq!(kept, properties);
        assert_eq!(kept.as_ptr() != payload.as_ptr(), is_constant);
    }
}
