use proptest::prelude::*;

use super::*;
use crate::MappedTopic;

fn codec() -> Lcm {
    let topics = vec![MappedTopic {
        topic: Bytes::from_static(b"plant/a"),
        channel: Some(Bytes::from_static(b"A")),
        ..MappedTopic::default()
    }];
    Lcm::new(Arc::new(TopicMap::new(topics)), 128, 1000)
}

fn from(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 77, 0, 5], port))
}

fn encode(codec: &mut Lcm, topic: &[u8], payload: &[u8]) -> Result<Vec<Bytes>, Unsendable> {
    let mut out = VecDeque::new();
    let message = Departure {
        topic,
        payload: &Bytes::copy_from_slice(payload),
        retain: false,
    };
    codec.encode(message, &mut out).map(|()| out.into())
}

#[test]
fn a_short_message_is_one_datagram_with_its_channel() {
    let mut codec = codec();
    let sent = encode(&mut codec, b"a/b", b"21.5").unwrap();
    assert_eq!(sent, [&b"LC02\0\0\0\0a/b\x0021.5"[..]]);
    let sent = encode(&mut codec, b"plant/a", b"").unwrap();
    assert_eq!(sent, [&b"LC02\0\0\0\x01A\0"[..]]);
    let read = codec.decode(&sent[0], from(1)).unwrap().unwrap();
    assert_eq!(read.topic.unwrap(), "plant/a");
}

#[test]
fn a_long_message_is_cut_at_the_datagrams_size() {
    let mut codec = codec();
    let sent = encode(&mut codec, b"a", &[7; 220]).unwrap();
    assert_eq!(
        sent.iter().map(Bytes::len).collect::<Vec<_>>(),
        [128, 128, 26]
    );
    assert_eq!(
        &sent[0][..22],
        b"LC03\0\0\0\0\0\0\0\xdc\0\0\0\0\0\0\0\x03a\0"
    );
    assert_eq!(
        &sent[1][..20],
        b"LC03\0\0\0\0\0\0\0\xdc\0\0\0\x6a\0\x01\0\x03"
    );
    assert_eq!(
        &sent[2][..20],
        b"LC03\0\0\0\0\0\0\0\xdc\0\0\0\xd6\0\x02\0\x03"
    );
    // In any order, twice, and among another sender's.
    for (number, port) in [(2, 1), (0, 2), (2, 1), (0, 1)] {
        assert_eq!(codec.decode(&sent[number], from(port)), Ok(None));
    }
    let read = codec.decode(&sent[1], from(1)).unwrap().unwrap();
    assert_eq!(
        (read.topic.unwrap(), read.payload),
        ("a".into(), Bytes::from(vec![7; 220]))
    );
    assert_eq!(codec.partial.len(), 1);
}

#[test]
fn what_is_no_channel_or_too_large_is_refused() {
    let mut codec = codec();
    assert_eq!(
        encode(&mut codec, &[b'x'; 64], b""),
        Err(Unsendable::NoName)
    );
    assert_eq!(encode(&mut codec, b"a\0b", b""), Err(Unsendable::NoName));
    let (bytes, bytes_max) = (1001, 1000);
    let refused = encode(&mut codec, b"a", &[0; 1001]);
    assert_eq!(refused, Err(Unsendable::TooLarge { bytes, bytes_max }));
    assert!(encode(&mut codec, &[b'x'; 63], &[0; 1000]).is_ok());
    let huge = b"LC03\0\0\0\0\0\0\x03\xe9\0\0\0\0\0\0\0\x03a\0";
    assert_eq!(
        codec.decode(huge, from(1)),
        Err(Unread::TooLarge { bytes, bytes_max })
    );
}

#[test]
fn what_senders_have_counted_and_did_not_come_is_a_gap() {
    let mut codec = codec();
    let sent: Vec<_> = (0..6)
        .map(|_| encode(&mut codec, b"a", b"x").unwrap().remove(0))
        .collect();
    for (number, gaps) in [(0, 0), (1, 0), (4, 2), (3, 2), (5, 2), (0, 2)] {
        codec.decode(&sent[number], from(1)).unwrap();
        assert_eq!(codec.gaps, gaps, "{number}");
    }
    assert_eq!(
        codec.decode(b"LC02\0\0\0\0LCM_SELF_TEST\0x", from(9)),
        Err(Unread::Unknown)
    );
}

#[test]
fn pieces_that_never_become_whole_take_bounded_memory() {
    let mut codec = codec();
    for sequence in 0..1000_u32 {
        let mut piece = b"LC03\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\0\x03a\0x".to_vec();
        piece[4..8].copy_from_slice(&sequence.to_be_bytes());
        assert_eq!(codec.decode(&piece, from(1)), Ok(None));
        assert!(codec.partial.len() <= PARTIAL_MAX && codec.partial_bytes <= 2000);
    }
    assert_eq!(codec.partial.len(), 1);
}

#[test]
fn pieces_that_do_not_fit_together_are_no_message() {
    let piece = |offset: u8, number: u8, bytes: &[u8]| {
        let mut piece = b"LC03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02".to_vec();
        (piece[15], piece[17]) = (offset, number);
        piece.extend(bytes);
        piece
    };
    let mut codec = codec();
    assert_eq!(
        codec.decode(&piece(2, 1, b"x"), from(1)),
        Err(Unread::Malformed)
    );
    assert_eq!(codec.decode(&piece(0, 0, b"a\0x"), from(1)), Ok(None));
    // The same byte again, and the second one never.
    assert_eq!(
        codec.decode(&piece(0, 1, b""), from(1)),
        Err(Unread::Malformed)
    );
    assert!(codec.partial.is_empty() && codec.partial_bytes == 0);
}

proptest! {
    #[test]
    fn what_is_cut_is_joined(payload in prop::collection::vec(any::<u8>(), 0..1000),
                             channel in "[a-z/]{1,63}", seed: usize) {
        let mut codec = codec();
        let mut sent = encode(&mut codec, channel.as_bytes(), &payload).unwrap();
        let turn = seed % sent.len();
        sent.rotate_left(turn);
        let join = |it: &Bytes| codec.decode(it, from(1)).unwrap();
        let read: Vec<_> = sent.iter().filter_map(join).collect();
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(&read[0].payload, &payload);
        prop_assert_eq!(read[0].topic.as_deref(), Some(channel.as_bytes()));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..60),
                                       is_piece: bool) {
        let head: &[u8] = if is_piece { b"LC03\0\0\0\x01\0\0" } else { b"LC02" };
        let mut codec = codec();
        drop(codec.decode(&[head, &bytes].concat(), from(1)));
        prop_assert!(codec.partial_bytes <= 2000 + 65_536);
    }
}
