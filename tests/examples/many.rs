//! Many channels, connections, queues and bindings against a running gateway:
//! `cargo run --release -p tests --example many -- 127.0.0.1:5672 $(pidof busbar)`
//!
//! Prints how long each stage took, the bystander's round trips, and the gateway's memory. Both
//! processes need file descriptors for 10,000 connections (`ulimit -n`), and the gateway
//! `listeners.amqp.connections_max` above that.

use tests::many::{Scale, run};

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("which address?")?.parse()?;
    let process = arguments.next();
    let scale = Scale {
        channels: 2047,
        connections: 10_000,
        queues: 100_000,
        bindings: 100_000,
    };
    println!("{scale:?}");
    println!("| stage | took | others' p50 | p99 | max | memory |");
    println!("| --- | --- | --- | --- | --- | --- |");
    run(address, scale, |stage| {
        let ms = |hundredths| stage.percentile(hundredths).as_secs_f64() * 1000.0;
        let memory = process.as_deref().and_then(resident_mib);
        println!(
            "| {} | {:.2} s | {:.1} ms | {:.1} ms | {:.1} ms | {} |",
            stage.name,
            stage.took.as_secs_f64(),
            ms(50),
            ms(99),
            ms(100),
            memory.map_or_else(String::new, |mib| format!("{mib} MiB")),
        );
    });
    Ok(())
}

/// What a process has in memory.
fn resident_mib(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}
