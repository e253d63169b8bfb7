//! RESP requests: any bytes, in any split, beside the oracle `redis-protocol`.

use bytes::BytesMut;
use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
use resp::wire::request::{Limits, Request, RequestParser};

/// The first byte says how many bytes come at a time, the others are what a client sends.
///
/// However they are cut, the same requests come of them and the same fault ends them; and where
/// the oracle reads a flat array of bulk strings first, so do we.
///
/// # Panics
/// When that does not hold.
pub fn resp_requests(script: &[u8]) {
    let Some((size, wire)) = script.split_first() else {
        return;
    };
    let whole = parse(wire, wire.len().max(1));
    let split = parse(wire, usize::from(*size).max(1));
    assert_eq!(whole, split, "cut every {size} bytes");
    if let Some(expected) = first_array(wire) {
        assert_eq!(whole.0.first(), Some(&expected));
    }
}

/// The requests of a stream, and the text of the fault that ended it.
fn parse(wire: &[u8], size: usize) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let mut parser = RequestParser::new(Limits::default(), true);
    let (mut input, mut request) = (BytesMut::new(), Request::default());
    let mut requests = Vec::new();
    for chunk in wire.chunks(size) {
        input.extend_from_slice(chunk);
        loop {
            match parser.parse(&mut input, &mut request) {
                Ok(true) => requests.push(request.args_from(0).map(<[u8]>::to_vec).collect()),
                Ok(false) => break,
                Err(malformed) => return (requests, Some(malformed.to_string())),
            }
        }
    }
    (requests, None)
}

/// The array of bulk strings that the oracle finds first, where it is right: it takes headers
/// with signs and zeros in front, recurses into arrays, and knows of no limit.
fn first_array(wire: &[u8]) -> Option<Vec<Vec<u8>>> {
    let is_header_plain = |two: &[u8]| match two {
        [b'*' | b'$', digit] => (b'1'..=b'9').contains(digit),
        _ => true,
    };
    let is_plain = wire.first() == Some(&b'*')
        && wire.iter().filter(|byte| **byte == b'*').count() == 1
        && wire.windows(2).all(is_header_plain);
    if !is_plain {
        return None;
    }
    let Ok(Some((OwnedFrame::Array(frames), _))) = decode(wire) else {
        return None;
    };
    frames
        .into_iter()
        .map(|frame| match frame {
            OwnedFrame::BulkString(bytes) => Some(bytes),
            _ => None,
        })
        .collect()
}
