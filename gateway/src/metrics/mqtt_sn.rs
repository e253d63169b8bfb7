//! The numbers of the MQTT-SN gateways.

use std::sync::Arc;

use prometheus_client::metrics::MetricType;

use super::{Family, wide};
use crate::gateway::Shared;
use crate::net::mqtt_sn::Counters;

/// One reading of all of them.
pub(super) fn families(shared: &Shared) -> Vec<Family> {
    let family = |name, help, kind, read: &dyn Fn(&Counters) -> u64| {
        let value = |(gateway, counters): &(String, Arc<Counters>)| {
            (vec![("gateway", gateway.clone())], read(counters))
        };
        Family {
            name,
            help,
            kind,
            values: shared.mqtt_sn.iter().map(value).collect(),
        }
    };
    let counter =
        |name, help, read: &dyn Fn(&Counters) -> u64| family(name, help, MetricType::Counter, read);
    let clients = |counters: &Counters| wide(counters.machine().1);
    vec![
        family(
            "mqtt_sn_clients",
            "MQTT-SN devices with a session, asleep ones included",
            MetricType::Gauge,
            &clients,
        ),
        counter("mqtt_sn_received", "MQTT-SN packets received", &|it| {
            it.machine().0.received
        }),
        counter("mqtt_sn_sent", "MQTT-SN packets sent", &|it| {
            it.machine().0.sent
        }),
        counter(
            "mqtt_sn_repeated",
            "MQTT-SN packets sent again because a device did not answer",
            &|it| it.machine().0.repeated,
        ),
        counter(
            "mqtt_sn_lost",
            "MQTT-SN devices given up because they were silent",
            &|it| it.machine().0.lost,
        ),
        counter("mqtt_sn_rejoins", "Times a group was joined again", &|it| {
            it.rejoins()
        }),
        not_passed(shared),
    ]
}

fn not_passed(shared: &Shared) -> Family {
    let mut values = Vec::new();
    for (gateway, counters) in &shared.mqtt_sn {
        let (counts, _) = counters.machine();
        for (reason, value) in [
            ("malformed", counts.malformed),
            ("unknown", counts.unknown),
            ("unexpected", counts.unexpected),
            ("refused", counts.refused),
            ("unnamed", counts.unnamed),
            ("dropped", counts.dropped),
            ("too_large", counts.too_large),
            ("refused_source", counters.refused_sources()),
            ("failed", counters.failed()),
        ] {
            let labels = vec![("gateway", gateway.clone()), ("reason", reason.to_owned())];
            values.push((labels, value));
        }
    }
    Family {
        name: "mqtt_sn_not_passed",
        help: "MQTT-SN packets and messages not passed on, by reason",
        kind: MetricType::Counter,
        values,
    }
}
