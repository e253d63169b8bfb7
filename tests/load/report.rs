//! What a run found, as text for people and as JSON for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::Faults;
use crate::scenario::Scenario;

/// Of the measured time.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) time: Duration,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) own_cpu: Option<Duration>,
    pub(crate) latency: Histogram<u64>,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            published: 0,
            delivered: 0,
            time: Duration::ZERO,
            server_cpu: None,
            own_cpu: None,
            latency: Histogram::new_with_bounds(1, 2, 1).unwrap_or_else(|_| unreachable!()),
        }
    }
}

/// Of the whole run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    has_receivers: bool,
    pub(crate) connections: usize,
    pub(crate) connecting: Duration,
    pub(crate) measured: Measured,
    pub(crate) faults: Faults,
    /// The server's memory before anybody connected, in bytes.
    pub(crate) memory_before: Option<u64>,
    /// The same after the measured time, everybody still connected.
    pub(crate) memory_after: Option<u64>,
}

/// The numbers as they are printed; times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Numbers {
    connections: usize,
    connecting_ms: u128,
    published: u64,
    delivered: u64,
    published_per_s: f64,
    pub(crate) delivered_per_s: f64,
    /// Per delivery; per publish where nobody receives.
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) own_cpu_us: Option<f64>,
    pub(crate) p50_us: f64,
    p90_us: f64,
    pub(crate) p99_us: f64,
    p999_us: f64,
    max_us: f64,
    lost: u64,
    duplicates: u64,
    out_of_order: u64,
    pub(crate) memory_bytes: Option<u64>,
    /// What one connection added to the server's memory.
    pub(crate) connection_bytes: Option<u64>,
}

impl Report {
    pub(crate) fn new(scenario: &Scenario, connections: usize, connecting: Duration) -> Self {
        Self {
            has_receivers: scenario.receivers() > 0,
            connections,
            connecting,
            measured: Measured::default(),
            faults: Faults::default(),
            memory_before: None,
            memory_after: None,
        }
    }

    /// Whether every message came once and in order.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults == Faults::default()
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let measured = &self.measured;
        let messages = if self.has_receivers {
            measured.delivered
        } else {
            measured.published
        };
        let seconds = measured.time.as_secs_f64().max(f64::MIN_POSITIVE);
        let each = |cpu: Option<Duration>| {
            cpu.filter(|_| messages > 0)
                .map(|cpu| cpu.as_secs_f64() * 1e6 / float(messages))
        };
        let latency = |quantile| float(measured.latency.value_at_quantile(quantile)) / 1000.0;
        let added = self.memory_after.zip(self.memory_before);
        let connections = u64::try_from(self.connections).unwrap_or(1).max(1);
        Numbers {
            connections: self.connections,
            connecting_ms: self.connecting.as_millis(),
            published: measured.published,
            delivered: measured.delivered,
            published_per_s: float(measured.published) / seconds,
            delivered_per_s: float(measured.delivered) / seconds,
            server_cpu_us: each(measured.server_cpu),
            own_cpu_us: each(measured.own_cpu),
            p50_us: latency(0.5),
            p90_us: latency(0.9),
            p99_us: latency(0.99),
            p999_us: latency(0.999),
            max_us: latency(1.0),
            lost: self.faults.lost,
            duplicates: self.faults.duplicates,
            out_of_order: self.faults.out_of_order,
            memory_bytes: self.memory_after,
            connection_bytes: added
                .map(|(after, before)| after.saturating_sub(before) / connections),
        }
    }
}

/// Exact below 2^53, which no count of a run reaches.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3} µs"));
        writeln!(
            f,
            "connections  {} in {} ms",
            self.connections, self.connecting_ms
        )?;
        writeln!(
            f,
            "published    {} ({:.0}/s)",
            self.published, self.published_per_s
        )?;
        writeln!(
            f,
            "delivered    {} ({:.0}/s)",
            self.delivered, self.delivered_per_s
        )?;
        writeln!(f, "server CPU   {} a message", or_dash(self.server_cpu_us))?;
        writeln!(f, "own CPU      {} a message", or_dash(self.own_cpu_us))?;
        write!(
            f,
            "latency      p50 {:.0} p90 {:.0} ",
            self.p50_us, self.p90_us
        )?;
        write!(f, "p99 {:.0} p99.9 {:.0} ", self.p99_us, self.p999_us)?;
        writeln!(f, "max {:.0} µs", self.max_us)?;
        if let (Some(memory), Some(each)) = (self.memory_bytes, self.connection_bytes) {
            writeln!(
                f,
                "memory       {} KiB, {each} B a connection",
                memory / 1024
            )?;
        }
        write!(f, "lost {}, ", self.lost)?;
        write!(
            f,
            "duplicates {}, out of order {}",
            self.duplicates, self.out_of_order
        )
    }
}
