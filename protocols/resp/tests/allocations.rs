//! What a publish costs the allocator: a file of its own because it counts this whole program.

use bytes::BytesMut;
use resp::wire::request::{Limits, Request, RequestParser};

const PUBLISH: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n$9\r\nplant/one\r\n$5\r\nhello\r\n";

#[test]
fn parsing_a_publish_allocates_nothing() {
    let mut parser = RequestParser::new(Limits::default(), true);
    let mut request = Request::default();
    let mut input = BytesMut::new();
    (0..102).for_each(|_| input.extend_from_slice(PUBLISH));
    // The first two requests share the buffer and fill both lists of ranges.
    for _ in 0..2 {
        assert_eq!(parser.parse(&mut input, &mut request), Ok(true));
    }
    let mut publishes = 0;
    let counted = allocation_counter::measure(|| {
        while parser.parse(&mut input, &mut request) == Ok(true) {
            let (channel, payload) = (request.bytes(1), request.bytes(2));
            publishes += usize::from(channel == "plant/one" && payload == "hello");
        }
    });
    assert_eq!((publishes, counted.count_total), (100, 0));
}
