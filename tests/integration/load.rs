//! The load generator against the gateway: nothing is lost, doubled or out of order.

use std::process::Command;

use tests::TestGateway;

/// Runs `busbar-load` for a moment and returns what it says in JSON.
fn load(gateway: &TestGateway, protocol: &str, more: &str) -> String {
    let address = gateway.address(protocol).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_busbar-load"))
        .args([protocol, "--address", &address])
        .args("--warm-up 0 --duration 0.2 --json".split(' '))
        .args(more.split_whitespace())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{protocol} {more}: {text}{errors}");
    assert!(
        !text.contains("\"delivered\":0,"),
        "{protocol} {more}: {text}"
    );
    text
}

#[test]
fn the_load_generator_finds_no_fault() {
    let data = tempfile::tempdir().unwrap();
    let gateway = TestGateway::start(data.path(), &[]);
    for (protocol, more) in [
        ("resp", "--subscribers 20"),
        (
            "resp",
            "--publishers 5 --topics 5 --wildcard --idle 10 --idle-subscriptions 100",
        ),
        ("mqtt", "--subscribers 20 --topics 3"),
        ("mqtt", "--publishers 5 --topics 10 --wildcard --version 5"),
        ("mqtt", "--qos 1 --window 100 --groups 3 --version 5"),
        ("mqtt", "--qos 2 --window 100"),
        ("amqp", "--payload 300000 --window 10 --batch 2"),
        (
            "amqp",
            "--subscribers 3 --durable --confirm --ack --prefill 500",
        ),
        (
            "amqp",
            "--target fanout --subscribers 5 --ack --ack-every 10",
        ),
        ("amqp", "--target topic --topics 5 --wildcard --rate 500"),
    ] {
        load(&gateway, protocol, more);
    }
    gateway.stop();
}
