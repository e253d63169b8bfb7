//! The table: what is compared, and what Busbar is to reach.

use std::time::Duration;

use crate::report::Numbers;
use crate::scenario::{Protocol, Scenario, Target};

/// Idle connections of a memory case: enough that what the server has anyway does not count.
const IDLE: usize = 2000;

/// What a case is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    /// Microseconds of server CPU per delivery.
    Cpu,
    /// Microseconds, the median and the 99th percentile.
    Latency,
    /// Bytes of server memory per connection.
    Memory,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) measure: Measure,
    /// What Busbar is to stay below, in the measure's units; latency: median, 99th percentile.
    pub(crate) targets: &'static [f64],
    /// What others, measured elsewhere by the same rules, need.
    pub(crate) known: &'static str,
    pub(crate) scenario: Scenario,
}

impl Measure {
    /// The values of a run that this is about.
    pub(crate) fn of(self, numbers: &Numbers) -> Vec<f64> {
        match self {
            Self::Cpu => numbers.server_cpu_us.into_iter().collect(),
            Self::Latency => vec![numbers.p50_us, numbers.p99_us],
            Self::Memory => {
                let bytes = numbers.connection_bytes.map(crate::report::float);
                bytes.into_iter().map(|bytes| bytes / 1024.0).collect()
            }
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Latency => "µs",
            Self::Memory => "KiB",
        }
    }
}

/// The rows in their order.
pub(crate) fn all(duration: Duration) -> Vec<Case> {
    let mut cases = resp();
    cases.extend(mqtt());
    cases.extend(amqp());
    cases.extend(latency());
    cases.extend(memory());
    for case in &mut cases {
        case.scenario.duration = duration;
        case.scenario.warm_up = Duration::from_millis(500);
    }
    cases
}

fn cpu(
    name: &'static str,
    targets: &'static [f64],
    known: &'static str,
    scenario: Scenario,
) -> Case {
    Case {
        name,
        measure: Measure::Cpu,
        targets,
        known,
        scenario,
    }
}

fn to_many(protocol: Protocol, subscribers: usize, window: u32) -> Scenario {
    Scenario {
        protocol,
        subscribers,
        window,
        batch: window.min(50),
        ..Scenario::default()
    }
}

fn resp() -> Vec<Case> {
    let resp = Protocol::Resp;
    vec![
        cpu("RESP 1:1", &[0.6], "Valkey 8: 1.00", to_many(resp, 1, 1000)),
        cpu(
            "RESP 1:50",
            &[0.10],
            "Valkey 8: 0.154",
            to_many(resp, 50, 1000),
        ),
        cpu(
            "RESP 1:1000",
            &[0.30],
            "Valkey 8: 0.69",
            to_many(resp, 1000, 20),
        ),
    ]
}

fn mqtt() -> Vec<Case> {
    let mqtt = Protocol::Mqtt3;
    let fan_in = Scenario {
        publishers: 100,
        topics: 100,
        wildcard: true,
        ..to_many(mqtt, 1, 100)
    };
    let acknowledged = |qos| Scenario {
        qos,
        ..to_many(mqtt, 1, 200)
    };
    vec![
        cpu(
            "MQTT QoS 0 1:1",
            &[0.8],
            "FlashMQ: 2.0",
            to_many(mqtt, 1, 1000),
        ),
        cpu(
            "MQTT QoS 0 1:50",
            &[0.15],
            "FlashMQ: 1.6",
            to_many(mqtt, 50, 1000),
        ),
        cpu(
            "MQTT QoS 0 1:1000",
            &[0.35],
            "FlashMQ: 1.7",
            to_many(mqtt, 1000, 20),
        ),
        cpu("MQTT 100:1 wildcard", &[0.6], "FlashMQ: 0.9", fan_in),
        cpu("MQTT QoS 1", &[1.6], "FlashMQ: 3.9", acknowledged(1)),
        cpu("MQTT QoS 2", &[2.6], "FlashMQ: 5.2", acknowledged(2)),
    ]
}

fn amqp() -> Vec<Case> {
    let durable = Scenario {
        durable: true,
        confirm: true,
        acknowledges: true,
        prefetch: 200,
        ..to_many(Protocol::Amqp, 1, 500)
    };
    let fanout = Scenario {
        target: Target::Fanout,
        ..to_many(Protocol::Amqp, 50, 1000)
    };
    vec![
        cpu(
            "AMQP transient",
            &[1.0],
            "LavinMQ 1.0: 3.3",
            to_many(Protocol::Amqp, 1, 1000),
        ),
        cpu(
            "AMQP durable",
            &[2.5],
            "LavinMQ 1.0, no fsync: 3.0",
            durable,
        ),
        cpu("AMQP fanout 1:50", &[0.4], "LavinMQ 1.0: 2.4", fanout),
    ]
}

fn latency() -> Vec<Case> {
    let slow = |name, known, protocol| Case {
        name,
        measure: Measure::Latency,
        targets: &[70.0, 200.0],
        known,
        scenario: Scenario {
            rate: Some(2000.0),
            batch: 1,
            ..to_many(protocol, 1, 1000)
        },
    };
    vec![
        slow("RESP latency", "Valkey 8: 74 / 275", Protocol::Resp),
        slow("MQTT latency", "Mosquitto 2.1: 81 / 210", Protocol::Mqtt3),
        slow("AMQP latency", "RabbitMQ 3.10: 532 / 6095", Protocol::Amqp),
    ]
}

fn memory() -> Vec<Case> {
    let idle = |name, targets, known, protocol| Case {
        name,
        measure: Measure::Memory,
        targets,
        known,
        scenario: Scenario {
            publishers: 0,
            subscribers: 0,
            idle: IDLE,
            ..to_many(protocol, 0, 1)
        },
    };
    vec![
        idle(
            "RESP idle connection",
            &[3.0],
            "Valkey 8: 5.3",
            Protocol::Resp,
        ),
        idle(
            "MQTT idle connection",
            &[3.0],
            "FlashMQ: 3.6",
            Protocol::Mqtt3,
        ),
        idle(
            "AMQP idle connection",
            &[8.0],
            "LavinMQ 1.0: 48",
            Protocol::Amqp,
        ),
    ]
}
