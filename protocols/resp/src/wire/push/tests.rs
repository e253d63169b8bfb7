use super::*;

fn written(write: impl FnOnce(&mut OutBuf)) -> String {
    let mut out = OutBuf::default();
    write(&mut out);
    out.to_vec().escape_ascii().to_string()
}

#[test]
fn deliveries_are_heads_with_one_common_tail() {
    let tail = tail(b"news", &Bytes::from("hi"));
    let table: [(&[u8], &str); 4] = [
        (message_head(Version::Resp2), r"*3\r\n$7\r\nmessage\r\n"),
        (message_head(Version::Resp3), r">3\r\n$7\r\nmessage\r\n"),
        (
            shard_message_head(Version::Resp2),
            r"*3\r\n$8\r\nsmessage\r\n",
        ),
        (
            shard_message_head(Version::Resp3),
            r">3\r\n$8\r\nsmessage\r\n",
        ),
    ];
    for (head, expected) in table {
        let frame = [head, &tail].concat().escape_ascii().to_string();
        assert_eq!(frame, format!(r"{expected}$4\r\nnews\r\n$2\r\nhi\r\n"));
    }
}

#[test]
fn a_pattern_is_part_of_the_head() {
    for (version, kind) in [(Version::Resp2, '*'), (Version::Resp3, '>')] {
        assert_eq!(
            written(|out| put_pattern_head(version, b"n*s", out)),
            format!(r"{kind}4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n")
        );
    }
}

#[test]
fn the_tail_is_the_same_in_one_piece_and_in_several() {
    for payload in [&b""[..], b"hi", &[7; 100_000]] {
        let payload = Bytes::copy_from_slice(payload);
        let in_pieces = written(|out| put_tail(b"news", &payload, out));
        assert_eq!(
            in_pieces,
            tail(b"news", &payload).escape_ascii().to_string()
        );
    }
}

#[test]
fn binary_channels_and_payloads_stay_as_they_are() {
    let tail = tail(b"\x00\r\n", &Bytes::new());
    assert_eq!(
        tail.escape_ascii().to_string(),
        r"$3\r\n\x00\r\n\r\n$0\r\n\r\n"
    );
}
