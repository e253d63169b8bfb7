use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(0);

/// 1970-01-01 in OPC UA's time.
const EPOCH: &[u8] = b"\x00\x80\x3e\xd5\xde\xb1\x9d\x01";

fn topic(topic: &'static str, id: u16, fields: &[&str]) -> MappedTopic {
    MappedTopic {
        topic: Bytes::from_static(topic.as_bytes()),
        id: Some(id),
        fields: fields.iter().map(|text| text.parse().unwrap()).collect(),
        ..MappedTopic::default()
    }
}

fn codec(datagram_bytes_max: usize) -> Uadp {
    let topics = TopicMap::new(vec![
        topic("plant/a", 7, &["temp:Double", "ok:Boolean"]),
        topic("plant/b", 8, &["Double"]),
        topic("plant/c", 9, &["name:String", "raw:ByteString", "n:Int16"]),
    ]);
    Uadp::new(Arc::new(topics), (2234, 100), datagram_bytes_max)
}

fn encode(codec: &mut Uadp, topic: &str, payload: &str) -> Result<Option<Bytes>, Unsendable> {
    let message = Departure {
        topic: topic.as_bytes(),
        payload: &Bytes::copy_from_slice(payload.as_bytes()),
        retain: false,
    };
    codec.encode(NOW, message)
}

fn decode(codec: &mut Uadp, datagram: &[u8]) -> Vec<(String, String)> {
    let mut arrivals = Vec::new();
    codec.decode(datagram, &mut arrivals).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pairs = arrivals
        .iter()
        .map(|it| (text(it.topic.as_ref().unwrap()), text(&it.payload)));
    pairs.collect()
}

#[test]
fn a_message_has_group_and_payload_header_and_typed_fields() {
    let mut codec = codec(1472);
    assert_eq!(encode(&mut codec, "plant/b", "21.5"), Ok(None));
    let datagram = codec.flush().unwrap();
    let expected = [
        &b"\xf1\x01\xba\x08\x09\x64\x00\x00\x00\x01\x08\x00\x89\x10\x00\x00"[..],
        EPOCH,
        b"\x01\x00\x0b\x00\x00\x00\x00\x00\x80\x35\x40",
    ];
    assert_eq!(datagram, expected.concat());
    assert_eq!(datagram.len(), 35);
    let read = decode(&mut codec, &datagram);
    assert_eq!(read, [("plant/b".to_owned(), "21.5".to_owned())]);
    assert_eq!(codec.flush(), None);
}

#[test]
fn several_messages_share_a_datagram_with_their_sizes() {
    let mut codec = codec(1472);
    encode(&mut codec, "plant/a", r#"{"temp":-1,"ok":true,"more":0}"#).unwrap();
    encode(&mut codec, "plant/c", r#"{"name":"x","raw":"AP8=","n":-2}"#).unwrap();
    let datagram = codec.flush().unwrap();
    assert_eq!(&datagram[9..18], b"\x02\x07\x00\x09\x00\x19\x00\x1e\x00");
    let read = decode(&mut codec, &datagram);
    assert_eq!(read[0].1, r#"{"ok":true,"temp":-1.0}"#);
    assert_eq!(read[1].1, r#"{"n":-2,"name":"x","raw":"AP8="}"#);
}

#[test]
fn a_full_datagram_leaves_before_the_message_that_does_not_fit() {
    let mut codec = codec(70);
    assert_eq!(encode(&mut codec, "plant/b", "1"), Ok(None));
    assert_eq!(encode(&mut codec, "plant/b", "2"), Ok(None));
    let first = encode(&mut codec, "plant/b", "3").unwrap().unwrap();
    assert_eq!(first.len(), 64);
    assert_eq!(decode(&mut codec, &first).len(), 2);
    assert_eq!(codec.flush().unwrap().len(), 35);
}

#[test]
fn what_the_fields_cannot_hold_is_refused() {
    let mut codec = codec(50);
    for (topic, payload, reason) in [
        ("plant/x", "1", Unsendable::NoName),
        ("plant/b", "\"1\"", Unsendable::NoFields),
        ("plant/b", "21,5", Unsendable::NoFields),
        ("plant/a", r#"{"temp":1}"#, Unsendable::NoFields),
        (
            "plant/c",
            r#"{"name":"","raw":"","n":40000}"#,
            Unsendable::NoFields,
        ),
        (
            "plant/c",
            r#"{"name":"12345678901234567890","raw":"","n":1}"#,
            Unsendable::TooLarge {
                bytes: 59,
                bytes_max: 50,
            },
        ),
    ] {
        assert_eq!(encode(&mut codec, topic, payload), Err(reason), "{payload}");
    }
    assert_eq!(codec.flush(), None);
}

#[test]
fn raw_fields_delta_frames_data_values_and_arrays_are_read() {
    let head = b"\xf1\x01\xba\x08\x09\x64\x00\x00\x00\x01\x07\x00";
    let mut codec = codec(1472);
    for (set, json) in [
        (
            &b"\x03\x00\x00\x00\x00\x00\x80\x35\x40\x01"[..],
            r#"{"ok":true,"temp":21.5}"#,
        ),
        (b"\x81\x01\x01\x00\x01\x00\x01\x00", r#"{"ok":false}"#),
        (
            b"\x05\x01\x00\x03\x05\x07\x00\x00\x00\x00\x00",
            r#"{"temp":7}"#,
        ),
        (
            b"\x01\x01\x00\x83\x02\x00\x00\x00\x01\x02",
            r#"{"temp":[1,2]}"#,
        ),
        (
            b"\x01\x01\x00\x0b\x00\x00\x00\x00\x00\x00\xf8\x7f",
            r#"{"temp":null}"#,
        ),
    ] {
        let read = decode(&mut codec, &[&head[..], set].concat());
        assert_eq!(read[0].1, json, "{set:?}");
    }
    // A key frame of nothing is a keep-alive.
    assert!(decode(&mut codec, &[&head[..], b"\x81\x03"].concat()).is_empty());
}

#[test]
fn what_is_not_for_this_link_is_told_from_what_is_malformed() {
    let mut codec = codec(1472);
    let mut read = |bytes: &[u8]| codec.decode(bytes, &mut Vec::new()).unwrap_err();
    // Secured; a chunk; a writer that nobody named.
    assert_eq!(read(b"\xf1\x11\xba\x08"), Unread::Unknown);
    assert_eq!(read(b"\xf1\x81\x01\xba\x08"), Unread::Unknown);
    assert_eq!(read(b"\x51\x01\x01\x63\x00\x01\x00\x00"), Unread::Unknown);
    assert_eq!(read(b""), Unread::Malformed);
    assert_eq!(read(b"\xf2\x01"), Unread::Malformed);
    assert_eq!(
        read(b"\x51\x01\x01\x07\x00\x01\x01\x00\x0b\x00"),
        Unread::Malformed
    );
    assert_eq!(
        read(b"\x51\x01\x01\x07\x00\x01\x01\x00\x83\xff\xff\xff\x7f"),
        Unread::Malformed
    );
}

#[test]
fn what_a_writer_has_counted_and_did_not_come_is_a_gap() {
    let mut codec = codec(1472);
    for (sequence, gaps) in [(1, 0), (2, 0), (5, 2), (6, 2)] {
        let datagram = [b"\x51\x01\x01\x08\x00\x89\x00", &[sequence, 0, 0, 0][..]].concat();
        codec.decode(&datagram, &mut Vec::new()).unwrap();
        assert_eq!(codec.gaps, gaps, "{sequence}");
    }
}

proptest! {
    #[test]
    fn numbers_and_texts_come_back(number in any::<i16>(), name in ".{0,20}") {
        let mut codec = codec(1472);
        let payload = serde_json::json!({"name": name, "raw": "", "n": number}).to_string();
        encode(&mut codec, "plant/c", &payload).unwrap();
        let datagram = codec.flush().unwrap();
        let read: Value = serde_json::from_str(&decode(&mut codec, &datagram)[0].1).unwrap();
        prop_assert_eq!(read, serde_json::from_str::<Value>(&payload).unwrap());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..60),
                                       has_head: bool) {
        let head: &[u8] = if has_head { b"\xf1\x01\xba\x08\x09\x64\x00\x00\x00" } else { b"" };
        codec(1472)
            .decode(&[head, &bytes].concat(), &mut Vec::new())
            .unwrap_or_default();
    }
}
