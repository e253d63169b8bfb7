//! A stop ends in bounded time, whatever clients do.

use std::time::{Duration, Instant};

use tests::TestGateway;

#[test]
fn clients_that_never_read_do_not_hold_up_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &["shutdown.drain_timeout = \"3s\""]);
    let mut deaf = gateway.connect("resp");
    deaf.send(b"SUBSCRIBE c\r\n")
        .expect(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let mut loud = gateway.connect("resp");
    let message = [
        b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$100000\r\n",
        &[b'x'; 100_000][..],
        b"\r\n",
    ]
    .concat();
    (0..100).for_each(|_| {
        loud.send(&message).expect(b":1\r\n");
    });
    let mut half_a_frame = gateway.connect("mqtt");
    half_a_frame.send(b"\x10\x0d\x00");
    let started = started_now();
    gateway.stop();
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    half_a_frame.expect_end();
}

#[expect(clippy::disallowed_methods, reason = "the test measures real time")]
fn started_now() -> Instant {
    Instant::now()
}
