//! Many of everything on one gateway, in numbers that an unoptimised build takes; the full ones
//! are those of `tests/examples/many.rs`.

use std::time::Duration;

use tests::TestGateway;
use tests::many::{Scale, run};

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
    run(gateway.address("amqp"), scale, |stage| {
        // What is quadratic takes seconds at this size. The longest round trips are those of the
        // machine that the tests run on; they count where it is quiet, in the example.
        let median = stage.percentile(50);
        assert!(
            median < Duration::from_secs(1),
            "{}: {median:?}",
            stage.name
        );
    });
    gateway.stop();
}
