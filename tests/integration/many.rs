//! Many of everything on one gateway, in numbers that an unoptimised build takes; the full ones
//! are those of `tests/examples/many.rs`.

use std::time::Duration;

use tests::TestGateway;
use tests::many::{Scale, quiet_round_trip, run};

#[test]
fn many_of_everything_stall_nobody() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[]);
    let scale = Scale {
        channels: 2047,
        connections: 200,
        queues: 2_000,
        bindings: 5_000,
    };
    let address = gateway.address("amqp");
    run(address, scale, |stage| {
        // What is quadratic takes seconds at this size. The longest round trips are those of the
        // machine that the tests run on; they count where it is quiet, in the example.
        let median = stage.percentile(50);
        if median < Duration::from_secs(1) {
            return;
        }
        // A machine that is as slow with nothing to do is busy with something else.
        let quiet = quiet_round_trip(address);
        assert!(
            median < 4 * quiet,
            "{}: {median:?}, with nothing to do {quiet:?}",
            stage.name
        );
    });
    gateway.stop();
}
