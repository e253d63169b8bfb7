//! What a PUBLISH costs the allocator, from one client's bytes to another's.

use bytes::BytesMut;
use routing::{Frontend, OutBuf};

use super::support::{Bench, Client};
use crate::wire::hex::hex;

const PUBLISHES: u64 = 100;

/// Parses and routes a hundred PUBLISH packets one by one and takes each out at the subscriber;
/// returns allocations and bytes of one.
fn cost(
    publisher: &mut Client,
    subscriber: &mut Client,
    bench: &Bench,
    packet: &[u8],
) -> (u64, u64) {
    let mut out = OutBuf::default();
    let mut one = |input: &mut BytesMut, times: u64| {
        for _ in 0..times {
            let mut next = input.split_to(packet.len());
            publisher
                .connection
                .handle_input(bench.now, &mut next, &mut out);
            subscriber.connection.handle_outbox(bench.now, &mut out);
            assert!(out.len() >= packet.len());
            out.advance(out.len());
        }
    };
    let mut input = BytesMut::from(&packet.repeat(110)[..]);
    // Caches fill, buffers grow.
    one(&mut input, 10);
    let counted = allocation_counter::measure(|| one(&mut input, PUBLISHES));
    (
        counted.count_total.div_ceil(PUBLISHES),
        counted.bytes_total / PUBLISHES,
    )
}

#[test]
fn a_qos_0_publish_to_one_subscriber_takes_at_most_3_allocations() {
    let bench = Bench::new();
    for (version, small, large) in [
        (
            4,
            hex("30 0A 00 07 'plant/t' 'x'"),
            hex("30 89 20 00 07 'plant/t'"),
        ),
        (
            5,
            hex("30 0B 00 07 'plant/t' 00 'x'"),
            hex("30 8A 20 00 07 'plant/t' 00"),
        ),
    ] {
        let connect = |name: &str| match version {
            4 => bench.v4(name),
            _ => bench.v5(name),
        };
        let mut subscriber = connect("s");
        let subscribe = match version {
            4 => "82 0C 00 01 00 07 'plant/+' 00",
            _ => "82 0D 00 01 00 00 07 'plant/+' 00",
        };
        subscriber.send(&bench, subscribe);
        let mut publisher = connect("p");
        let (count, _) = cost(&mut publisher, &mut subscriber, &bench, &small);
        assert!(count <= 3, "{count} allocations in version {version}");
        let mut large = large.to_vec();
        large.resize(large.len() + 4096, b'x');
        let (large_count, large_bytes) = cost(&mut publisher, &mut subscriber, &bench, &large);
        assert!(
            large_count <= 3,
            "{large_count} allocations in version {version}"
        );
        // Nothing is proportional to the payload: it is passed on as it lies in the buffer.
        assert!(
            large_bytes < 1024,
            "{large_bytes} bytes in version {version}"
        );
    }
}
