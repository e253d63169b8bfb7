use super::*;

fn frame(head: &[u8], tail: &[u8]) -> String {
    [head, tail].concat().escape_ascii().to_string()
}

#[test]
fn deliveries_are_heads_with_one_common_tail() {
    let tail = tail(b"news", b"hi");
    let table: [(&[u8], &str); 6] = [
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
        (
            &pattern_message_head(Version::Resp2, b"n*s"),
            r"*4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n",
        ),
        (
            &pattern_message_head(Version::Resp3, b"n*s"),
            r">4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n",
        ),
    ];
    for (head, expected) in table {
        assert_eq!(
            frame(head, &tail),
            format!(r"{expected}$4\r\nnews\r\n$2\r\nhi\r\n")
        );
    }
}

#[test]
fn a_large_payload_goes_between_two_parts_of_the_tail() {
    for payload in [&b""[..], b"hi", &[7; 100_000]] {
        let parts = [
            &tail_before_payload(b"news", payload.len()),
            payload,
            b"\r\n",
        ];
        assert_eq!(parts.concat(), tail(b"news", payload));
    }
}

#[test]
fn binary_channels_and_payloads_stay_as_they_are() {
    assert_eq!(
        frame(b"", &tail(b"\x00\r\n", b"")),
        r"$3\r\n\x00\r\n\r\n$0\r\n\r\n"
    );
}
