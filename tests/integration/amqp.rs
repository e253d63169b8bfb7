//! AMQP through a whole gateway: what depends on the driver and on a real journal.

use tests::TestGateway;
use tests::amqp::{AmqpClient, declare_queue, short};

/// Requests whose answers would overtake that of a declaration are set aside until the declaration
/// is on disk. Nothing more comes from the client then: the disk's news alone must go on with them.
#[test]
fn requests_behind_a_durable_declaration_are_answered_without_further_input() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[]);
    let mut client = AmqpClient::connect(gateway.address("amqp"));
    client.call(1, (20, 10), b"\0");
    for number in 0..20 {
        let name = format!("paused-{number}");
        client.put(1, (50, 10), &declare_queue(&name, 2));
        // basic.qos, and basic.consume under the queue's name.
        client.put(1, (60, 10), b"\0\0\0\0\0\x0a\0");
        let consume = [&[0, 0], &short(&name)[..], &short(&name), &[0, 0, 0, 0, 0]].concat();
        client.put(1, (60, 20), &consume);
        client.flush();
        let answers = [(); 3].map(|()| client.read().method());
        assert_eq!(answers, [(50, 11), (60, 11), (60, 21)]);
    }
    drop(client);
    gateway.stop();
}
