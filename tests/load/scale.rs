//! `busbar-load scale`: one thing at a time grows by powers of ten, and the cost of a message is to
//! stay where it was.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::arguments::{self, Compare};
use crate::compare::page;
use crate::compare::servers::{Kind, Server};
use crate::compare::{busbar, spread};
use crate::plot::{self, Series};
use crate::run;
use crate::scenario::Protocol::{self, Amqp, Mqtt3, Resp};
use crate::scenario::{Scenario, Target};

/// A line's name, and its scenario at a size.
type Line = (&'static str, fn(usize) -> Scenario);

/// One thing that grows.
struct Growth {
    name: &'static str,
    /// The file's name, and the axis.
    what: &'static str,
    steps: &'static [usize],
    lines: Vec<Line>,
}

fn of(protocol: Protocol) -> Scenario {
    Scenario {
        protocol,
        window: 500,
        ..Scenario::default()
    }
}

fn idle(protocol: Protocol, connections: usize) -> Scenario {
    Scenario {
        idle: connections.saturating_sub(2),
        ..of(protocol)
    }
}

fn subscriptions(protocol: Protocol, count: usize) -> Scenario {
    Scenario {
        idle: if count > 1 { 10 } else { 0 },
        idle_subscriptions: count.saturating_sub(1),
        ..of(protocol)
    }
}

fn topics(protocol: Protocol, topics: usize) -> Scenario {
    Scenario {
        topics,
        wildcard: true,
        target: Target::Topic,
        ..of(protocol)
    }
}

fn payload(protocol: Protocol, payload_bytes: usize) -> Scenario {
    let window = u32::try_from(4 * 1024 * 1024 / payload_bytes)
        .unwrap_or(500)
        .clamp(4, 500);
    Scenario {
        payload_bytes,
        window,
        batch: (window / 4).clamp(1, 50),
        ..of(protocol)
    }
}

/// Pairs that all carry messages.
fn pairs(protocol: Protocol, connections: usize) -> Scenario {
    let groups = (connections / 2).max(1);
    let window = u32::try_from(20_000 / groups).unwrap_or(500).clamp(4, 500);
    Scenario {
        groups,
        window,
        batch: (window / 4).clamp(1, 50),
        ..of(protocol)
    }
}

fn queues(count: usize) -> Scenario {
    Scenario {
        topics: count,
        ..of(Amqp)
    }
}

fn queued(count: usize, durable: bool) -> Scenario {
    Scenario {
        durable,
        confirm: true,
        acknowledges: true,
        prefetch: 200,
        prefill: u32::try_from(count).unwrap_or(0),
        ..of(Amqp)
    }
}

const TO_10_K: &[usize] = &[2, 10, 100, 1000, 10_000];
const TO_100_K: &[usize] = &[1, 10, 100, 1000, 10_000, 100_000];

fn of_connections() -> Vec<Growth> {
    vec![
        Growth {
            name: "Connections, one pair active",
            what: "connections",
            steps: TO_10_K,
            lines: vec![
                ("AMQP", |n| idle(Amqp, n)),
                ("MQTT", |n| idle(Mqtt3, n)),
                ("RESP", |n| idle(Resp, n)),
            ],
        },
        Growth {
            name: "Connections, all active in pairs",
            what: "pairs",
            steps: TO_10_K,
            lines: vec![
                ("AMQP", |n| pairs(Amqp, n)),
                ("MQTT", |n| pairs(Mqtt3, n)),
                ("RESP", |n| pairs(Resp, n)),
            ],
        },
    ]
}

fn of_addresses() -> Vec<Growth> {
    vec![
        Growth {
            name: "Topics published to in turn",
            what: "topics",
            steps: TO_100_K,
            lines: vec![
                ("AMQP", |n| topics(Amqp, n)),
                ("MQTT", |n| topics(Mqtt3, n)),
                ("RESP", |n| topics(Resp, n)),
            ],
        },
        Growth {
            name: "Subscriptions of others",
            what: "subscriptions",
            steps: TO_100_K,
            lines: vec![
                ("AMQP bindings", |n| Scenario {
                    target: Target::Topic,
                    ..subscriptions(Amqp, n)
                }),
                ("MQTT", |n| subscriptions(Mqtt3, n)),
                ("RESP", |n| subscriptions(Resp, n)),
            ],
        },
        Growth {
            name: "Queues published to in turn",
            what: "queues",
            steps: &[1, 10, 100, 1000, 10_000],
            lines: vec![("AMQP", queues)],
        },
    ]
}

fn of_messages() -> Vec<Growth> {
    vec![
        Growth {
            name: "Payload in bytes",
            what: "payload",
            steps: &[16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576],
            lines: vec![
                ("AMQP", |n| payload(Amqp, n)),
                ("MQTT", |n| payload(Mqtt3, n)),
                ("RESP", |n| payload(Resp, n)),
            ],
        },
        Growth {
            name: "Messages already in the queue",
            what: "queued",
            steps: &[1, 1000, 10_000, 100_000, 1_000_000],
            lines: vec![
                ("transient", |n| queued(n, false)),
                ("durable", |n| queued(n, true)),
            ],
        },
    ]
}

/// Runs everything, writes the plots beside the page and their table into it.
///
/// # Errors
/// When Busbar cannot be started or the page cannot be written.
pub(crate) fn scale(arguments: &Compare) -> Result<(), Box<dyn Error>> {
    let busbar = busbar(arguments.busbar.as_deref())?;
    let mut text = page::machine();
    text += &format!(
        "{}; a fresh server for each line.\n",
        Kind::Busbar.version(&busbar)
    );
    let chosen = [of_connections(), of_addresses(), of_messages()]
        .into_iter()
        .flatten();
    for growth in chosen.filter(|growth| growth.what.contains(&arguments.only)) {
        let mut series = Vec::new();
        text += &format!("\n### {}\n\n| |", growth.name);
        growth
            .steps
            .iter()
            .for_each(|step| text += &format!(" {step} |"));
        text += &format!("\n| --- |{}\n", " --- |".repeat(growth.steps.len()));
        for (name, scenario) in &growth.lines {
            let points = line(&growth, name, *scenario, arguments, &busbar)?;
            text += &format!("| {name} |");
            for step in growth.steps {
                let found = points.iter().find(|(at, _)| at == step);
                text += &found
                    .map_or_else(|| " failed |".to_owned(), |(_, cpu)| format!(" {cpu:.2} |"));
            }
            text += "\n";
            let points = points
                .into_iter()
                .map(|(step, cpu)| (f64::from(u32::try_from(step).unwrap_or(u32::MAX)), cpu));
            series.push(Series {
                name: (*name).to_owned(),
                points: points.collect(),
            });
        }
        if let Some(page) = &arguments.page {
            let picture = plot::svg(
                growth.name,
                growth.what,
                "server CPU, µs per message",
                &series,
            );
            let file = format!("scaling-{}.svg", growth.what);
            fs::write(page.with_file_name("images").join(&file), picture)?;
            text += &format!("\n![{}](images/{file})\n", growth.name);
        }
    }
    println!("{text}");
    if let Some(page) = &arguments.page {
        page::replace(page, "scaling", &text)?;
    }
    Ok(())
}

/// The server CPU of a message at each step that went well.
fn line(
    growth: &Growth,
    name: &str,
    scenario: fn(usize) -> Scenario,
    arguments: &Compare,
    busbar: &Path,
) -> Result<Vec<(usize, f64)>, Box<dyn Error>> {
    let mut points = Vec::new();
    for step in growth.steps {
        let mut values = Vec::new();
        for _ in 0..arguments.rounds {
            let server = Server::start(Kind::Busbar, busbar)?;
            let scenario = scenario(*step);
            let scenario = Scenario {
                address: server.address(scenario.protocol),
                server_pid: Some(server.pid()),
                duration: arguments::seconds(arguments.duration),
                warm_up: Duration::from_millis(500),
                ..scenario
            };
            let report = run::run(&scenario);
            match report {
                Ok(report) if report.is_clean() => values.extend(report.numbers().server_cpu_us),
                Ok(report) => println!("{} {name} {step}: {:?}", growth.what, report.faults),
                Err(error) => println!("{} {name} {step}: {error}", growth.what),
            }
        }
        if let Some((median, ..)) = spread(values.into_iter()) {
            println!("{} {name} {step}: {median:.3} µs", growth.what);
            points.push((*step, median));
        }
    }
    Ok(points)
}
