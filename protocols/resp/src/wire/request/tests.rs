use proptest::prelude::*;

use super::*;

/// What the parser makes of `chunks` that arrive one after the other.
fn parse_chunks<'a>(
    parser: &mut RequestParser,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<Vec<u8>>>, Option<Malformed>, usize) {
    let mut input = BytesMut::new();
    let mut request = Request::default();
    let mut requests = Vec::new();
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            match parser.parse(&mut input, &mut request) {
                Ok(true) => requests.push(request.args_from(0).map(<[u8]>::to_vec).collect()),
                Ok(false) => break,
                Err(malformed) => {
                    assert_eq!(parser.parse(&mut input, &mut request), Err(malformed));
                    return (requests, Some(malformed), 0);
                }
            }
        }
    }
    (requests, None, input.len())
}

fn parse(input: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<Malformed>, usize) {
    parse_chunks(&mut RequestParser::new(Limits::default(), true), [input])
}

fn requests(input: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (requests, malformed, left) = parse(input);
    assert_eq!((malformed, left), (None, 0), "{}", input.escape_ascii());
    requests
}

fn malformed(input: &[u8]) -> String {
    let (_, malformed, _) = parse(input);
    malformed
        .map(|malformed| malformed.to_string())
        .unwrap_or_default()
}

#[test]
fn an_array_of_bulk_strings_is_a_request() {
    let wire = b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$2\r\nhi\r\n*1\r\n$4\r\nping\r\n";
    let expected: [&[&[u8]]; 2] = [&[b"PUBLISH", b"news", b"hi"], &[b"ping"]];
    assert_eq!(requests(wire), expected);
}

#[test]
fn arguments_hold_any_bytes_and_none() {
    let wire = b"*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n$1\r\n$2\r\n\x00\xff\r\n";
    let expected: [&[&[u8]]; 1] = [&[b"SET", b"", b"\r\n$1", b"\x00\xff"]];
    assert_eq!(requests(wire), expected);
}

#[test]
fn empty_requests_are_passed_over() {
    let wire = b"\r\n\n  \r\n*0\r\n*-10\r\n*-9223372036854775808\r\nPING\r\n";
    let expected: [&[&[u8]]; 1] = [&[b"PING"]];
    assert_eq!(requests(wire), expected);
}

#[test]
fn the_two_bytes_after_a_bulk_string_are_not_read() {
    let expected: [&[&[u8]]; 1] = [&[b"PING"]];
    assert_eq!(requests(b"*1\r\n$4\r\nPINGxx"), expected);
}

#[test]
fn inline_requests_are_split_like_a_shell_does() {
    let table: [(&[u8], &[&[u8]]); 12] = [
        (b"PING\r\n", &[b"PING"]),
        (b"PING\n", &[b"PING"]),
        (
            b"  SET a \"x\\x41\\n\" 'it\\'s'\r\n",
            &[b"SET", b"a", b"xA\n", b"it's"],
        ),
        (
            b"a \"\\r\\t\\b\\a\\q\\\\\\\"\"\r\n",
            &[b"a", b"\r\t\x08\x07q\\\""],
        ),
        (b"a \"\\x4g\\xfF\"\r\n", &[b"a", b"x4g\xff"]),
        (b"a '' \"\"\r\n", &[b"a", b"", b""]),
        (b"a'b'\r\n", &[b"ab"]),
        (b"a\\n 'b\\n'\r\n", &[b"a\\n", b"b\\n"]),
        (b"a\tb\x0bc\r\n", &[b"a", b"b\x0bc"]),
        (b"a\x00 b\r\n", &[b"a"]),
        (b"GET /\r\n", &[b"GET", b"/"]),
        (b"$4\r\n", &[b"$4"]),
    ];
    for (wire, expected) in table {
        assert_eq!(requests(wire), [expected], "{}", wire.escape_ascii());
    }
}

#[test]
fn unbalanced_quotes_close_the_connection() {
    for wire in [
        &b"a \"b\r\n"[..],
        b"a 'b\r\n",
        b"a \"b\"c\r\n",
        b"a 'b'c\r\n",
        b"a \"\\\"\r\n",
    ] {
        assert_eq!(
            malformed(wire),
            "Protocol error: unbalanced quotes in request"
        );
    }
}

#[test]
fn broken_headers_close_the_connection_with_the_texts_of_redis() {
    let table: [(&[u8], &str); 16] = [
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*99999999999999999999999\r\n", "invalid multibulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*-0\r\n", "invalid multibulk length"),
        (b"*1 \r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$bla\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
        (b"*1\r\n*1\r\n", "expected '$', got '*'"),
        (b"*1\r\n\r\n", "expected '$', got '\r'"),
    ];
    for (wire, text) in table {
        assert_eq!(
            malformed(wire),
            format!("Protocol error: {text}"),
            "{}",
            wire.escape_ascii()
        );
    }
}

#[test]
fn lines_without_an_end_are_cut_at_64_kib() {
    let endless = |start: &[u8], bytes: usize| {
        let mut wire = start.to_vec();
        wire.resize(wire.len() + bytes, b'1');
        wire
    };
    let table: [(&[u8], &str); 3] = [
        (b"a", "too big inline request"),
        (b"*", "too big mbulk count string"),
        (b"*1\r\n$", "too big bulk count string"),
    ];
    for (start, text) in table {
        assert_eq!(
            malformed(&endless(start, 65_536)),
            format!("Protocol error: {text}")
        );
        assert_eq!(malformed(&endless(start, 65_535)), "");
    }
}

#[test]
fn before_authentication_a_request_has_ten_short_arguments() {
    let stranger = |wire: &[u8]| {
        let (_, malformed, _) =
            parse_chunks(&mut RequestParser::new(Limits::default(), false), [wire]);
        malformed
            .map(|malformed| malformed.to_string())
            .unwrap_or_default()
    };
    assert_eq!(stranger(b"*10\r\n$16384\r\n"), "");
    assert_eq!(
        stranger(b"*11\r\n"),
        "Protocol error: unauthenticated multibulk length"
    );
    assert_eq!(
        stranger(b"*1\r\n$16385\r\n"),
        "Protocol error: unauthenticated bulk length"
    );
    assert_eq!(
        stranger(b"*3\r\n$7\r\nPUBLISH\r\n$16385\r\n"),
        stranger(b"*1\r\n$16385\r\n")
    );
}

#[test]
fn authentication_lifts_the_limits_for_the_next_request() {
    let mut parser = RequestParser::new(Limits::default(), false);
    parser.set_authenticated(true);
    assert_eq!(
        parse_chunks(&mut parser, [&b"*11\r\n"[..]]),
        (vec![], None, 5)
    );
}

#[test]
fn a_request_is_limited_as_a_whole() {
    let limits = Limits {
        request_bytes_max: 64,
        ..Limits::default()
    };
    let mut parser = RequestParser::new(limits, true);
    let wire = b"*2\r\n$40\r\n0123456789012345678901234567890123456789\r\n$10\r\n";
    let (_, malformed, _) = parse_chunks(&mut parser, [&wire[..]]);
    assert_eq!(malformed, Some(Malformed::RequestTooLarge));
    assert!(!Malformed::RequestTooLarge.is_answered());
}

#[test]
fn a_header_waits_for_the_byte_after_its_carriage_return() {
    for wire in [
        &b"*1"[..],
        b"*1\r",
        b"*1\n",
        b"*1\r\n$4",
        b"*1\r\n$4\r",
        b"*1\r\n$1\r\na\r",
    ] {
        assert_eq!(
            parse(wire),
            (vec![], None, wire.len()),
            "{}",
            wire.escape_ascii()
        );
    }
}

/// A parser that began again at the frame's first byte would be quadratic in the number of reads.
#[test]
fn no_byte_is_looked_at_twice() {
    let mut parser = RequestParser::new(Limits::default(), true);
    let mut input = BytesMut::from(&b"*2\r\n$4\r\nECHO\r\n$"[..]);
    let mut request = Request::default();
    assert_eq!(parser.parse(&mut input, &mut request), Ok(false));
    assert_eq!((parser.position, parser.searched), (14, 1));
    input.extend_from_slice(&[b'1'; 100]);
    assert_eq!(parser.parse(&mut input, &mut request), Ok(false));
    assert_eq!((parser.position, parser.searched), (14, 101));
}

#[test]
fn arguments_share_the_memory_of_the_read_buffer() {
    let mut input = BytesMut::from(&b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n"[..]);
    let payload = input.as_ptr().wrapping_add(18);
    let mut request = Request::default();
    let mut parser = RequestParser::new(Limits::default(), true);
    assert_eq!(parser.parse(&mut input, &mut request), Ok(true));
    assert_eq!(request.bytes(1).as_ptr(), payload);
    assert_eq!(
        (request.bytes(1), request.bytes(2)),
        (Bytes::from("hello"), Bytes::new())
    );
}

#[test]
fn a_cleared_request_lets_the_read_buffer_be_filled_again() {
    let mut input = BytesMut::from(&b"*1\r\n$4\r\nPING\r\n"[..]);
    let memory = input.as_ptr();
    let mut request = Request::default();
    let mut parser = RequestParser::new(Limits::default(), true);
    assert_eq!(parser.parse(&mut input, &mut request), Ok(true));
    request.clear();
    assert!(request.is_empty() && request.name().is_empty());
    input.reserve(14);
    assert_eq!(input.as_ptr(), memory);
}

#[test]
fn the_list_of_a_long_request_is_not_kept() {
    let mut parser = RequestParser::new(Limits::default(), true);
    let mut wire = b"*2000\r\n".to_vec();
    (0..2000).for_each(|_| wire.extend_from_slice(b"$0\r\n\r\n"));
    (0..2).for_each(|_| wire.extend_from_slice(b"PING\r\n"));
    assert_eq!(parse_chunks(&mut parser, [&wire[..]]).0.len(), 3);
    assert!(parser.args.capacity() <= ARGS_KEPT_MAX);
}

#[test]
fn numbers_have_one_spelling() {
    let good: [(&[u8], i64); 6] = [
        (b"0", 0),
        (b"7", 7),
        (b"-1", -1),
        (b"1048576", 1_048_576),
        (b"9223372036854775807", i64::MAX),
        (b"-9223372036854775808", i64::MIN),
    ];
    for (text, value) in good {
        assert_eq!(parse_number(text), Some(value));
    }
    let bad: [&[u8]; 10] = [
        b"",
        b"-",
        b"-0",
        b"00",
        b"01",
        b"+1",
        b" 1",
        b"1 ",
        b"1e3",
        b"9223372036854775808",
    ];
    for text in bad {
        assert_eq!(parse_number(text), None, "{}", text.escape_ascii());
    }
}

fn array(args: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        wire.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        wire.extend_from_slice(arg);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

fn args() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6)
}

/// Pieces from which both whole and broken requests come about often.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => args().prop_map(|args| array(&args)),
        2 => Just(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nhi\r\n".to_vec()),
        2 => prop::sample::select(vec![
            &b"*"[..], b"$", b"\r", b"\n", b"\r\n", b"*3\r\n$7\r\nPUB", b"\"", b"'", b"*0\r\n",
            b"PING\r\n", b"*-1\r\n", b"$3\r\n", b"9", b"a b\n", b"LISH\r\n", b"\\x",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (30_usize..80).prop_map(|bytes| vec![b'1'; bytes]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_any_bytes_gives_the_same_requests(
        wire in wire(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        is_authenticated in any::<bool>(),
    ) {
        let limits = Limits {
            line_bytes_max: 48,
            request_bytes_max: 60,
            unauthenticated_args_max: 4,
            unauthenticated_bulk_bytes_max: 15,
            ..Limits::default()
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]);
        let split = parse_chunks(&mut RequestParser::new(limits, is_authenticated), chunks);
        let bytewise =
            parse_chunks(&mut RequestParser::new(limits, is_authenticated), wire.chunks(1));
        let whole = parse_chunks(&mut RequestParser::new(limits, is_authenticated), [&wire[..]]);
        prop_assert_eq!(&split, &whole);
        prop_assert_eq!(&bytewise, &whole);
    }

    #[test]
    fn what_a_client_encodes_comes_out(sent in prop::collection::vec(args(), 0..8)) {
        let wire: Vec<u8> = sent.iter().flat_map(|args| array(args)).collect();
        prop_assert_eq!(requests(&wire), sent);
    }

    #[test]
    fn another_implementation_reads_the_same_request(args in args()) {
        use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
        let wire = array(&args);
        let expected = args.iter().map(|arg| OwnedFrame::BulkString(arg.clone())).collect();
        prop_assert_eq!(decode(&wire).unwrap(), Some((OwnedFrame::Array(expected), wire.len())));
        prop_assert_eq!(requests(&wire), [args]);
    }
}
