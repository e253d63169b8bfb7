//! The route table: one immutable snapshot of everything that decides who receives what.
//!
//! Writers make the next version from the current one, sharing all that did not change, and swap
//! it in whole; publishers read whichever version is current and take no lock. Everything in it is
//! therefore a persistent structure, in which a change costs the logarithm of its size.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use crate::address::Address;
use crate::binding::Destination;
use crate::delay;
use crate::delivery::Matched;
use crate::exchange::Exchange;
use crate::ids::SubscriberId;
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::queue::Queue;
use crate::route::{Own, Route, Target};
use crate::shared::SharedGroup;
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::topic::{GlobIndex, Trie};

/// The name of the exchange that MQTT, Redis and LAN links share with AMQP.
pub const BUS: &str = "amq.topic";

/// What the addresses of the gateway's own values begin with. Nobody else publishes there.
pub const SYSTEM_PREFIX: &[u8] = b"$SYS/";

/// One version of a virtual host's routing.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteTable {
    pub(crate) exchanges: HashMap<Name, Arc<Exchange>>,
    pub(crate) queues: HashMap<Name, Arc<Queue>>,
    pub(crate) filters: Trie<FilterKey, FilterEntry>,
    pub(crate) channels: HashMap<Bytes, OrdMap<SubscriberId, Arc<Subscriber>>>,
    pub(crate) shard_channels: HashMap<Bytes, OrdMap<SubscriberId, Arc<Subscriber>>>,
    pub(crate) globs: GlobIndex<SubscriberId, Arc<Subscriber>>,
}

/// Who has an MQTT filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FilterKey {
    Subscriber(SubscriberId),
    Group(Name),
}

/// What is behind it.
#[derive(Clone, Debug)]
pub(crate) enum FilterEntry {
    Subscriber(Arc<Subscriber>, SubscriptionOptions),
    Group(Arc<SharedGroup>),
}

/// A route, and whether it holds for every message to that address.
pub(crate) struct Found {
    pub(crate) route: Route,
    pub(crate) is_reusable: bool,
}

impl RouteTable {
    /// Everybody who receives `message` published to `exchange` at `address`.
    pub(crate) fn route(&self, exchange: &Exchange, address: &Address, message: &Message) -> Found {
        let mut search = Search {
            table: self,
            route: Route::default(),
            visited: HashSet::new(),
            pending: Vec::new(),
            is_reusable: true,
        };
        search.visit(exchange, address, message);
        Found {
            route: search.route,
            is_reusable: search.is_reusable,
        }
    }

    /// The subscribers of a Redis shard channel.
    pub(crate) fn shard_route(&self, channel: &Bytes) -> Route {
        let subscribers = self
            .shard_channels
            .get(channel)
            .into_iter()
            .flat_map(OrdMap::values);
        let matched = Arc::new(Matched::ShardChannel);
        let targets = subscribers.map(|s| Target::plain(s, &matched)).collect();
        Route {
            targets,
            ..Route::default()
        }
    }

    /// The MQTT subscribers of one of the gateway's own values.
    pub(crate) fn system_route(&self, address: &Address) -> Route {
        let mut route = Route::default();
        self.filter_subscriptions(address, &mut route);
        route
    }

    fn subscriptions(&self, address: &Address, route: &mut Route) {
        if address.is_topic() && !address.as_bytes().starts_with(SYSTEM_PREFIX) {
            self.filter_subscriptions(address, route);
        }
        if let Some(subscribers) = self.channels.get(address.as_bytes()) {
            let matched = Arc::new(Matched::Channel);
            route
                .targets
                .extend(subscribers.values().map(|s| Target::plain(s, &matched)));
        }
        self.globs
            .matches(address.as_bytes(), |glob, _, subscriber| {
                let matched = Arc::new(Matched::Glob(glob.clone()));
                route.targets.push(Target::plain(subscriber, &matched));
            });
    }

    /// One target per subscriber, however many of its filters match `[MQTT-3.3.4-2]`.
    fn filter_subscriptions(&self, address: &Address, route: &mut Route) {
        let levels = address.levels().collect::<Vec<_>>();
        let hide_dollar = address.as_bytes().first() == Some(&b'$');
        let mut overlapping: BTreeMap<SubscriberId, (&Arc<Subscriber>, Vec<&SubscriptionOptions>)> =
            BTreeMap::new();
        self.filters
            .matches(&levels, hide_dollar, |_, entry| match entry {
                FilterEntry::Group(group) => route.groups.push(Arc::clone(group)),
                FilterEntry::Subscriber(subscriber, options) => {
                    let all = overlapping
                        .entry(subscriber.id)
                        .or_insert((subscriber, Vec::new()));
                    all.1.push(options);
                }
            });
        let targets = overlapping
            .values()
            .map(|(s, options)| Target::of_filters(s, options));
        route.targets.extend(targets);
    }
}

/// One search for receivers.
struct Search<'a> {
    table: &'a RouteTable,
    route: Route,
    visited: HashSet<Name>,
    pending: Vec<&'a Exchange>,
    is_reusable: bool,
}

impl<'a> Search<'a> {
    fn visit(&mut self, exchange: &Exchange, address: &Address, message: &Message) {
        if exchange.name.is_empty() {
            return self.visit_default(address);
        }
        // The start is looked up again, as what is found must live as long as the table.
        let Some(start) = self.table.exchanges.get(&exchange.name) else {
            return;
        };
        self.pending.push(start);
        while let Some(exchange) = self.pending.pop() {
            if self.visited.insert(exchange.name.clone()) {
                self.visit_one(exchange, address, message);
            }
        }
    }

    fn visit_one(&mut self, exchange: &'a Exchange, address: &Address, message: &Message) {
        self.is_reusable &= !exchange.decides_by_message();
        if let Some(delays) = exchange.delays()
            && let Some(delay_ms) = delay::delay_ms(message)
        {
            return self.route.delays.push((Arc::clone(delays), delay_ms));
        }
        let mut matched = false;
        exchange.route(address, message, |destination| {
            matched = true;
            match destination {
                Destination::Queue(name) => self.add_queue(name),
                Destination::Exchange(name) => {
                    self.pending
                        .extend(self.table.exchanges.get(name).map(Arc::as_ref));
                }
            }
        });
        if exchange.name.as_str() == BUS {
            let before = self.route.targets.len() + self.route.groups.len();
            self.table.subscriptions(address, &mut self.route);
            matched |= self.route.targets.len() + self.route.groups.len() > before;
        }
        if !matched {
            let alternate = exchange
                .alternate()
                .and_then(|name| self.table.exchanges.get(name));
            self.pending.extend(alternate.map(Arc::as_ref));
        }
    }

    /// The default exchange: the queue of that name (AMQP 0-9-1 §3.1.3.1).
    fn visit_default(&mut self, address: &Address) {
        let key = address.routing_key().collect::<Vec<_>>();
        let queue = std::str::from_utf8(&key)
            .ok()
            .and_then(|name| self.table.queues.get(name));
        self.route.queues.extend(queue.cloned());
    }

    fn add_queue(&mut self, name: &Name) {
        let Some(queue) = self.table.queues.get(name) else {
            return;
        };
        // A queue bound twice receives one copy (AMQP 0-9-1 §3.1.4).
        if !self.route.queues.iter().any(|known| known.id == queue.id) {
            self.route.queues.push(Arc::clone(queue));
        }
    }
}

impl Target {
    fn plain(subscriber: &Arc<Subscriber>, matched: &Arc<Matched>) -> Self {
        Self {
            subscriber: Arc::clone(subscriber),
            matched: Arc::clone(matched),
            own: Own::Same,
        }
    }

    fn of_filters(subscriber: &Arc<Subscriber>, options: &[&SubscriptionOptions]) -> Self {
        let of_own = options
            .iter()
            .copied()
            .filter(|o| !o.no_local)
            .collect::<Vec<_>>();
        let own = match of_own.len() {
            n if n == options.len() => Own::Same,
            0 => Own::Nothing,
            _ => Own::Other(Arc::new(merged(&of_own))),
        };
        let matched = Arc::new(merged(options));
        Self {
            subscriber: Arc::clone(subscriber),
            matched,
            own,
        }
    }
}

fn merged(options: &[&SubscriptionOptions]) -> Matched {
    Matched::Filters {
        qos: options
            .iter()
            .map(|o| o.qos)
            .max()
            .unwrap_or(QoS::AtMostOnce),
        retain_as_published: options.iter().any(|o| o.retain_as_published),
        subscription_ids: options.iter().filter_map(|o| o.subscription_id).collect(),
    }
}
