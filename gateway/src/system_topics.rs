//! `$SYS/broker/...`: what the gateway says of itself to MQTT clients, under the names that
//! Mosquitto's users know. What is a virtual host's own (sessions, subscriptions, retained values)
//! is said in that virtual host; traffic is that of the whole gateway's MQTT clients.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mqtt::Count;
use routing::{Address, BUS, MessageBuilder, VHost, Wakes};

use crate::gateway::Shared;

/// The spans of the load averages with their names.
const SPANS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// Publishes at every interval until the gateway stops. An interval of zero is never.
pub fn run(shared: &Arc<Shared>, interval: Duration) {
    if interval.is_zero() {
        return;
    }
    let of_task = Arc::clone(shared);
    shared.shutdown.spawn("system topics", async move {
        let shared = of_task;
        let stop = shared.shutdown.token().clone();
        let mut reporter = Reporter::default();
        reporter.report(&shared, interval);
        while stop
            .run_until_cancelled(tokio::time::sleep(interval))
            .await
            .is_some()
        {
            reporter.report(&shared, interval);
        }
    });
}

/// What was said last.
#[derive(Debug, Default)]
struct Reporter {
    loads: HashMap<&'static str, Load>,
    said: HashMap<(String, String), String>,
    most_connected: HashMap<String, usize>,
}

/// The load averages of one counter, per minute.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    last: u64,
    averages: [f64; 3],
}

impl Load {
    /// Takes in what the counter has come to after `seconds`: averages with exponential decay, as
    /// Mosquitto and Unix have them.
    fn update(&mut self, total: u64, seconds: f64) {
        let counted = u32::try_from(total.saturating_sub(self.last)).unwrap_or(u32::MAX);
        self.last = total;
        let per_minute = f64::from(counted) * 60.0 / seconds;
        for (average, (_, span)) in self.averages.iter_mut().zip(SPANS) {
            let kept = (-seconds / span).exp();
            *average = per_minute + kept * (*average - per_minute);
        }
    }
}

impl Reporter {
    fn report(&mut self, shared: &Shared, interval: Duration) {
        let traffic = self.traffic(shared, interval);
        let now = shared.clock.now();
        for vhost in shared.broker.vhosts() {
            vhost.sweep_retained(now);
            let mut wakes = Wakes::default();
            let own = self.of_vhost(vhost);
            for (name, value) in own.into_iter().chain(traffic.iter().cloned()) {
                let key = (vhost.name.to_string(), name);
                if self.said.get(&key) == Some(&value) {
                    continue;
                }
                let address = Address::new(format!("$SYS/broker/{}", key.1).into());
                let payload = value.clone().into();
                let mut builder = MessageBuilder::new(address, BUS.into(), payload, &mqtt::ORIGIN);
                builder.retain = true;
                vhost.publish_system(now, &builder.build(), &mut wakes);
                self.said.insert(key, value);
            }
        }
    }

    fn of_vhost(&mut self, vhost: &VHost) -> Vec<(String, String)> {
        let (sessions, filters) = (vhost.session_counts(), vhost.filter_counts());
        let away = sessions.all - sessions.connected;
        let most = self
            .most_connected
            .entry(vhost.name.to_string())
            .or_default();
        *most = (*most).max(sessions.connected);
        let (stored, stored_bytes) = vhost.stored();
        let numbers = [
            ("clients/total", sessions.all),
            ("clients/connected", sessions.connected),
            ("clients/active", sessions.connected),
            ("clients/disconnected", away),
            ("clients/inactive", away),
            ("clients/maximum", *most),
            ("subscriptions/count", filters.all),
            ("shared_subscriptions/count", filters.shared),
            ("retained messages/count", vhost.retained_count()),
            ("messages/stored", stored),
            ("store/messages/count", stored),
            ("store/messages/bytes", stored_bytes),
        ];
        let text = |(name, number): (&str, usize)| (name.to_owned(), number.to_string());
        numbers.map(text).to_vec()
    }

    fn traffic(&mut self, shared: &Shared, interval: Duration) -> Vec<(String, String)> {
        let counters = shared.broker.core().counters();
        let total = |count| shared.mqtt.total(count);
        let opened = ["mqtt", "mqtt_ws"].map(|protocol| {
            let counts = shared.connections_of(protocol);
            counts.map_or(0, |counts| counts.opened.load(Ordering::Relaxed))
        });
        let connections = opened.iter().sum();
        let dropped = counters.refused_count();
        let loads = [
            ("load/messages/received", total(Count::PacketsIn)),
            ("load/messages/sent", total(Count::PacketsOut)),
            ("load/publish/received", total(Count::PublishesIn)),
            ("load/publish/sent", total(Count::PublishesOut)),
            ("load/publish/dropped", dropped),
            ("load/bytes/received", total(Count::BytesIn)),
            ("load/bytes/sent", total(Count::BytesOut)),
            ("load/connections", connections),
            ("load/sockets", connections),
        ];
        let totals = [
            ("bytes/received", total(Count::BytesIn)),
            ("bytes/sent", total(Count::BytesOut)),
            ("messages/received", total(Count::PacketsIn)),
            ("messages/sent", total(Count::PacketsOut)),
            ("publish/messages/received", total(Count::PublishesIn)),
            ("publish/messages/sent", total(Count::PublishesOut)),
            ("publish/messages/dropped", dropped),
            ("publish/bytes/received", total(Count::PayloadIn)),
            ("publish/bytes/sent", total(Count::PayloadOut)),
            ("clients/expired", counters.sessions_expired_count()),
        ];
        let uptime = shared.clock.uptime().as_secs();
        let mut said = vec![
            (
                "version".to_owned(),
                format!("busbar version {}", env!("CARGO_PKG_VERSION")),
            ),
            ("uptime".to_owned(), format!("{uptime} seconds")),
        ];
        said.extend(totals.map(|(name, number)| (name.to_owned(), number.to_string())));
        for (name, total) in loads {
            let load = self.loads.entry(name).or_default();
            load.update(total, interval.as_secs_f64());
            for (average, (span, _)) in load.averages.iter().zip(SPANS) {
                said.push((format!("{name}/{span}"), format!("{average:.2}")));
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_comes_near_to_what_is_counted_and_fades() {
        let mut load = Load::default();
        let mut total = 0;
        for _ in 0..360 {
            total += 100;
            load.update(total, 10.0);
        }
        let text = load.averages.map(|average| format!("{average:.0}"));
        assert_eq!(text, ["600", "600", "589"]);
        for _ in 0..6 {
            load.update(total, 10.0);
        }
        assert_eq!(format!("{:.0}", load.averages[0]), "221");
    }
}
