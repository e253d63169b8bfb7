//! The numbers at `/metrics`, in the OpenMetrics text format. They are read from the core when they
//! are asked for, so that counting costs the hot path nothing new.
//!
//! Labels are bounded by the configuration (protocol, virtual host, link): no client can add one.

mod mqtt_sn;
mod storage;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::gateway::Shared;
use crate::net::lan::Counters;

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections of one protocol, ever.
#[derive(Debug, Default)]
pub struct Connections {
    /// Accepted.
    pub opened: AtomicU64,
    /// Ended.
    pub closed: AtomicU64,
}

impl Connections {
    /// Counts one that begins.
    pub fn open(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that ends.
    pub fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// All numbers as text.
///
/// # Errors
/// None that is known; the encoder may refuse.
pub fn text(shared: &Shared) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("busbar");
    registry.register_collector(Box::new(Snapshot::of(shared)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// One reading of everything.
#[derive(Debug)]
struct Snapshot {
    numbers: Vec<Family>,
    distributions: Vec<storage::Distribution>,
}

/// A metric and its values by label.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    values: Vec<(Vec<(&'static str, String)>, u64)>,
}

impl Snapshot {
    fn of(shared: &Shared) -> Self {
        let mut numbers = connections(shared);
        numbers.extend(vhosts(shared));
        let stats = shared.journal.log().stats();
        numbers.extend(storage::families(shared, &stats));
        numbers.extend(
            shared
                .resp
                .get()
                .into_iter()
                .flat_map(|server| resp(server)),
        );
        numbers.extend(lan(shared));
        numbers.extend(reliable_lan(shared));
        numbers.extend(mqtt_sn::families(shared));
        numbers.extend(losses(shared));
        numbers.push(Family {
            name: "password_checks",
            help: "Passwords hashed because they were not known to be right",
            kind: MetricType::Counter,
            values: vec![(Vec::new(), shared.authenticator.load().slow_checks())],
        });
        Self {
            numbers,
            distributions: storage::distributions(&stats),
        }
    }
}

fn connections(shared: &Shared) -> Vec<Family> {
    let by_protocol = |read: fn(&Connections) -> &AtomicU64| {
        let protocols = shared.connections.iter();
        let value = |(protocol, counts): &(&'static str, Connections)| {
            let labels = vec![("protocol", (*protocol).to_owned())];
            (labels, read(counts).load(Ordering::Relaxed))
        };
        protocols.map(value).collect()
    };
    vec![
        Family {
            name: "connections_opened",
            help: "Connections accepted",
            kind: MetricType::Counter,
            values: by_protocol(|counts| &counts.opened),
        },
        Family {
            name: "connections_closed",
            help: "Connections ended",
            kind: MetricType::Counter,
            values: by_protocol(|counts| &counts.closed),
        },
    ]
}

fn vhosts(shared: &Shared) -> Vec<Family> {
    let gauge = |name, help, read: &dyn Fn(&routing::VHost) -> u64| {
        let value = |vhost: &std::sync::Arc<routing::VHost>| {
            (vec![("vhost", vhost.name.to_string())], read(vhost))
        };
        let values = shared.broker.vhosts().map(value).collect();
        Family {
            name,
            help,
            kind: MetricType::Gauge,
            values,
        }
    };
    let ready = |vhost: &routing::VHost| {
        vhost
            .queues()
            .iter()
            .map(|queue| wide(queue.status().messages))
            .sum()
    };
    let unsettled = |vhost: &routing::VHost| {
        vhost
            .queues()
            .iter()
            .map(|queue| wide(queue.unsettled()))
            .sum()
    };
    vec![
        gauge("queues", "Queues", &|vhost| wide(vhost.queues().len())),
        gauge(
            "queue_messages_ready",
            "Messages that wait for a consumer",
            &ready,
        ),
        gauge(
            "queue_messages_unsettled",
            "Messages handed out and not settled",
            &unsettled,
        ),
        gauge("mqtt_sessions", "MQTT sessions", &|vhost| {
            wide(vhost.session_count())
        }),
        gauge("retained_values", "Retained values", &|vhost| {
            wide(vhost.retained_count())
        }),
        gauge("retained_bytes", "Memory of retained values", &|vhost| {
            wide(vhost.retained_bytes())
        }),
    ]
}

/// What was not kept or passed on, and sessions that ended by themselves.
fn losses(shared: &Shared) -> Vec<Family> {
    let counters = shared.broker.core().counters();
    let counter = |name, help, value| Family {
        name,
        help,
        kind: MetricType::Counter,
        values: vec![(Vec::new(), value)],
    };
    vec![
        counter(
            "subscriber_messages_refused",
            "Messages that a slow or full subscriber did not get",
            counters.refused_count(),
        ),
        counter(
            "retained_refused",
            "Messages that did not become retained values, because there are too many",
            counters.unretained_count(),
        ),
        counter(
            "mqtt_sessions_expired",
            "Sessions that ended because their time was over",
            counters.sessions_expired_count(),
        ),
    ]
}

fn resp(server: &resp::Server) -> Vec<Family> {
    let one = |name, help, kind, value| Family {
        name,
        help,
        kind,
        values: vec![(Vec::new(), value)],
    };
    let counters = &server.counters;
    let counter = |name, help, value: &AtomicU64| {
        let value = value.load(Ordering::Relaxed);
        one(name, help, MetricType::Counter, value)
    };
    vec![
        counter(
            "resp_requests",
            "Redis requests handled",
            &counters.requests,
        ),
        counter(
            "resp_refused",
            "Redis connections refused because there were too many",
            &counters.refused,
        ),
        counter(
            "resp_malformed",
            "Redis connections closed for a request that breaks the protocol or its limits",
            &counters.malformed,
        ),
        counter(
            "resp_cut_off",
            "Redis connections closed for too much unread output",
            &counters.cut_off,
        ),
        counter(
            "resp_logins_refused",
            "Wrong names and passwords of Redis clients",
            &counters.logins_refused,
        ),
        counter(
            "resp_publishers_held",
            "Times that a publisher was held up for a slow Redis subscriber",
            &counters.held_up,
        ),
        one(
            "resp_dropped",
            "Messages dropped because a Redis subscriber did not keep up",
            MetricType::Counter,
            server.dropped(),
        ),
        one(
            "resp_blocked",
            "Redis clients that wait for an element of a list",
            MetricType::Gauge,
            wide(server.blocked()),
        ),
    ]
}

/// The name of a family, what it counts, and where that stands.
type Counted = (&'static str, &'static str, fn(&Counters) -> &AtomicU64);

const RELIABLE: [Counted; 5] = [
    (
        "lan_missing",
        "Datagrams found missing when later ones came",
        |it| &it.missing,
    ),
    (
        "lan_naks_sent",
        "Requests for missing datagrams, sent",
        |it| &it.naks_sent,
    ),
    (
        "lan_naks_received",
        "Requests for missing datagrams, received",
        |it| &it.naks_received,
    ),
    ("lan_repairs", "Datagrams sent again", |it| &it.repairs),
    (
        "lan_gone",
        "Times that a receiver was told it has lost something for good",
        |it| &it.gone,
    ),
];

fn lan(shared: &Shared) -> Vec<Family> {
    let mut received = Vec::new();
    let mut sent = Vec::new();
    let mut lost = Vec::new();
    let mut gaps = Vec::new();
    let mut rejoins = Vec::new();
    for (link, counters) in &shared.lan_links {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let labels = |reason: Option<&str>| {
            let link = ("link", link.clone());
            std::iter::once(link)
                .chain(reason.map(|r| ("reason", r.to_owned())))
                .collect()
        };
        received.push((labels(None), number(&counters.received)));
        sent.push((labels(None), number(&counters.sent)));
        gaps.push((labels(None), number(&counters.gaps)));
        rejoins.push((labels(None), number(&counters.rejoins)));
        for (reason, counter) in [
            ("received_too_large", &counters.received_too_large),
            ("received_too_fast", &counters.received_too_fast),
            ("sent_too_large", &counters.sent_too_large),
            ("malformed", &counters.malformed),
            ("unknown", &counters.unknown),
            ("unnamed", &counters.unnamed),
            ("unfit", &counters.unfit),
            ("kernel_drop", &counters.kernel_drops),
            ("refused_source", &counters.refused_sources),
            ("echo", &counters.echoes),
            ("refused_authentication", &counters.refused_seals),
            ("replay", &counters.replays),
            ("duplicate", &counters.duplicates),
            ("loop", &counters.loops),
            ("expired", &counters.expired),
            ("dropped", &counters.dropped),
            ("failed", &counters.failed),
        ] {
            lost.push((labels(Some(reason)), number(counter)));
        }
    }
    let counter = |name, help, values| Family {
        name,
        help,
        kind: MetricType::Counter,
        values,
    };
    vec![
        counter(
            "lan_received",
            "Datagrams received and understood; one may be several messages, or a piece of one",
            received,
        ),
        counter("lan_sent", "Datagrams given to the network", sent),
        counter(
            "lan_not_passed",
            "Datagrams and messages not passed on, by reason",
            lost,
        ),
        counter(
            "lan_gaps",
            "Messages that senders have counted and that did not come",
            gaps,
        ),
        counter("lan_rejoins", "Times a group was joined again", rejoins),
    ]
}

/// What only rlan counts.
fn reliable_lan(shared: &Shared) -> impl Iterator<Item = Family> {
    RELIABLE.into_iter().map(|(name, help, counter)| {
        let links = shared.lan_links.iter().map(|(link, counters)| {
            let number = counter(counters).load(Ordering::Relaxed);
            (vec![("link", link.clone())], number)
        });
        Family {
            name,
            help,
            kind: MetricType::Counter,
            values: links.collect(),
        }
    })
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in self
            .numbers
            .iter()
            .filter(|family| !family.values.is_empty())
        {
            let metric = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            family.encode(metric)?;
        }
        let mut distributions = self.distributions.iter();
        distributions.try_for_each(|distribution| distribution.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (labels, value) in &self.values {
            if labels.is_empty() {
                self.put(&mut encoder, *value)?;
            } else {
                self.put(&mut encoder.encode_family(labels)?, *value)?;
            }
        }
        Ok(())
    }

    fn put(&self, encoder: &mut MetricEncoder<'_>, value: u64) -> Result<(), fmt::Error> {
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
            _ => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
