//! Exchanges and bindings of a virtual host.

use std::sync::Arc;

use super::{Topology, VHost, arguments};
use crate::binding::{Binding, Destination};
use crate::delay::Delays;
use crate::error::{Error, Kind};
use crate::exchange::{Exchange, ExchangeKind, ExchangeOptions};
use crate::ids::QueueId;
use crate::journal::{Entry, Lsn};
use crate::name::Name;
use crate::table::{BUS, RouteTable};

/// What a declaration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// It was there already; that a durable one is, is safe up to here.
    Existed(Option<Lsn>),
    /// It is new; a durable one is safe once the journal is durable up to here.
    Created(Option<Lsn>),
}

/// The exchanges that every virtual host has.
const PREDECLARED: [(&str, ExchangeKind); 7] = [
    ("", ExchangeKind::Direct),
    ("amq.direct", ExchangeKind::Direct),
    ("amq.fanout", ExchangeKind::Fanout),
    ("amq.headers", ExchangeKind::Headers),
    ("amq.match", ExchangeKind::Headers),
    (TRACE, ExchangeKind::Topic),
    (BUS, ExchangeKind::Topic),
];
/// Where RabbitMQ's firehose publishes; clients may bind to it, and nothing comes.
const TRACE: &str = "amq.rabbitmq.trace";

impl VHost {
    pub(super) fn predeclare(&self) {
        self.change(&mut self.topology.lock(), |_, table| {
            for (name, kind) in PREDECLARED {
                let options = ExchangeOptions {
                    durable: true,
                    internal: name == TRACE,
                    ..ExchangeOptions::default()
                };
                let mut exchange = Exchange::new(name.into(), kind, options);
                exchange.set_policy_alternate(self.policy_alternate(name));
                table.exchanges.insert(name.into(), Arc::new(exchange));
            }
        });
    }

    /// Declares an exchange, or checks that the existing one is the same.
    ///
    /// # Errors
    /// [`Error::Reserved`] for a new name that begins with `amq.`; [`Error::Inequivalent`];
    /// [`Error::DefaultExchange`].
    pub fn declare_exchange(
        &self,
        name: &Name,
        kind: ExchangeKind,
        options: ExchangeOptions,
    ) -> Result<Declare, Error> {
        if name.is_empty() {
            return Err(Error::DefaultExchange);
        }
        let mut topology = self.topology.lock();
        if let Some(current) = self.exchange(name) {
            check_same(&current, kind, &options)?;
            return Ok(Declare::Existed(self.topology_end(options.durable)));
        }
        if name.starts_with("amq.") {
            return Err(Error::Reserved {
                kind: Kind::Exchange,
                name: name.clone(),
            });
        }
        kind.check(&options.arguments)?;
        let durable = options.durable;
        self.check_room(durable)?;
        let delays = (kind == ExchangeKind::Delayed).then(|| QueueId(self.core.ids.next()));
        let entry = Entry::ExchangeDeclared {
            vhost: self.name.clone(),
            name: name.clone(),
            kind,
            options: options.clone(),
            delays,
        };
        let exchange = self.new_exchange(name, kind, options, delays);
        self.change(&mut topology, |_, table| {
            table.exchanges.insert(name.clone(), Arc::new(exchange));
        });
        Ok(Declare::Created(
            durable.then(|| self.append_topology(&entry)),
        ))
    }

    pub(super) fn new_exchange(
        &self,
        name: &Name,
        kind: ExchangeKind,
        options: ExchangeOptions,
        delays: Option<QueueId>,
    ) -> Exchange {
        let durable = options.durable;
        let mut exchange = Exchange::new(name.clone(), kind, options);
        exchange.set_policy_alternate(self.policy_alternate(name));
        if let Some(id) = delays {
            let (store, home) = (self.core.store_for(durable), self.this.clone());
            let delays = Delays::new(id, name.clone(), durable, store.journal, home);
            exchange.set_delays(delays);
        }
        exchange
    }

    /// The alternate exchange that a policy gives to an exchange.
    pub(super) fn policy_alternate(&self, exchange: &str) -> Option<Name> {
        let policies = self.core.policies.load();
        // The default exchange leads to queues by their names, and nowhere else.
        let exchange = Some(exchange).filter(|name| !name.is_empty())?;
        policies.alternate(&self.name, exchange).cloned()
    }

    pub(super) fn apply_exchange_policies(&self, table: &mut RouteTable) {
        let names: Vec<_> = table.exchanges.keys().cloned().collect();
        for name in names {
            if let Some(exchange) = table.exchanges.get_mut(&name) {
                Arc::make_mut(exchange).set_policy_alternate(self.policy_alternate(&name));
            }
        }
    }

    /// Deletes an exchange and its bindings. One that is not there is deleted.
    ///
    /// # Errors
    /// [`Error::InUse`] when asked to delete only if unused; [`Error::Reserved`];
    /// [`Error::DefaultExchange`].
    pub fn delete_exchange(&self, name: &Name, if_unused: bool) -> Result<Option<Lsn>, Error> {
        if name.is_empty() {
            return Err(Error::DefaultExchange);
        }
        if name.starts_with("amq.") {
            return Err(Error::Reserved {
                kind: Kind::Exchange,
                name: name.clone(),
            });
        }
        let mut topology = self.topology.lock();
        let Some(exchange) = self.exchange(name) else {
            return Ok(None);
        };
        if if_unused && !exchange.is_unbound() {
            return Err(Error::InUse {
                kind: Kind::Exchange,
                name: name.clone(),
            });
        }
        Ok(self.change(&mut topology, |topology, table| {
            self.remove_exchange(topology, table, name)
        }))
    }

    /// Adds a binding; one that is there already is the same.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::DefaultExchange`]; [`Error::Invalid`].
    pub fn bind(&self, exchange: &Name, binding: Binding) -> Result<Option<Lsn>, Error> {
        let mut topology = self.topology.lock();
        let durable = self.check_ends(exchange, &binding)?;
        if let Some(exchange) = self.exchange(exchange) {
            exchange.check_binding(&binding)?;
        }
        self.check_room(durable)?;
        let entry = Entry::Bound {
            vhost: self.name.clone(),
            exchange: exchange.clone(),
            binding: binding.clone(),
        };
        let is_new = self.change(&mut topology, |topology, table| {
            add_binding(topology, table, exchange, binding)
        });
        if is_new && durable {
            return Ok(Some(self.append_topology(&entry)));
        }
        Ok(self.topology_end(durable))
    }

    /// Removes a binding; one that is not there is removed. An exchange that is deleted with its
    /// last binding goes with it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::DefaultExchange`].
    pub fn unbind(&self, exchange: &Name, binding: &Binding) -> Result<Option<Lsn>, Error> {
        let mut topology = self.topology.lock();
        let durable = match self.check_ends(exchange, binding) {
            Err(Error::NotFound { .. }) => return Ok(None),
            ends => ends?,
        };
        let was_there = self.change(&mut topology, |topology, table| {
            let was_there = remove_binding(topology, table, exchange, binding);
            if was_there && is_done(table, exchange) {
                self.remove_exchange(topology, table, exchange);
            }
            was_there
        });
        let entry = Entry::Unbound {
            vhost: self.name.clone(),
            exchange: exchange.clone(),
            binding: binding.clone(),
        };
        if was_there && durable {
            return Ok(Some(self.append_topology(&entry)));
        }
        Ok(self.topology_end(durable))
    }

    /// Whether both ends are there; returns whether both survive a restart.
    pub(super) fn check_ends(&self, exchange: &Name, binding: &Binding) -> Result<bool, Error> {
        if exchange.is_empty() {
            return Err(Error::DefaultExchange);
        }
        let found = |name: &Name| {
            self.exchange(name).ok_or_else(|| Error::NotFound {
                kind: Kind::Exchange,
                name: name.clone(),
            })
        };
        let source = found(exchange)?;
        let destination_survives = match &binding.destination {
            Destination::Queue(name) => {
                let queue = self.queue(name)?;
                queue.options.durable && queue.options.exclusive.is_none()
            }
            Destination::Exchange(name) if name.is_empty() => {
                return Err(Error::DefaultExchange);
            }
            Destination::Exchange(name) => found(name)?.options.durable,
        };
        Ok(source.options.durable && destination_survives)
    }

    /// Removes an exchange, its bindings, and the exchanges that end with these. Returns where the
    /// last record of it ends.
    pub(super) fn remove_exchange(
        &self,
        topology: &mut Topology,
        table: &mut RouteTable,
        name: &Name,
    ) -> Option<Lsn> {
        let (mut end, mut pending) = (None, vec![name.clone()]);
        while let Some(name) = pending.pop() {
            let Some(exchange) = table.exchanges.remove(&name) else {
                continue;
            };
            if let Some(delays) = exchange.delays() {
                delays.delete();
            }
            for destination in exchange.destinations() {
                topology.forget_source(&destination, &name);
            }
            pending.extend(unbind_all(
                topology,
                table,
                &Destination::Exchange(name.clone()),
            ));
            if exchange.options.durable && !topology.is_recovering {
                let vhost = self.name.clone();
                let entry = Entry::ExchangeDeleted { vhost, name };
                end = Some(self.append_topology(&entry));
            }
        }
        end
    }

    /// Removes every binding that leads to something that goes away.
    pub(super) fn remove_bindings_to(
        &self,
        topology: &mut Topology,
        table: &mut RouteTable,
        destination: &Destination,
    ) {
        for unused in unbind_all(topology, table, destination) {
            self.remove_exchange(topology, table, &unused);
        }
    }
}

/// Whether an exchange ends, as nothing is bound to it any more.
fn is_done(table: &RouteTable, name: &Name) -> bool {
    let exchange = table.exchanges.get(name);
    exchange.is_some_and(|exchange| exchange.options.auto_delete && exchange.is_unbound())
}

/// Removes every binding that leads to something; returns the exchanges that end with them.
fn unbind_all(
    topology: &mut Topology,
    table: &mut RouteTable,
    destination: &Destination,
) -> Vec<Name> {
    let bindings = topology.bindings_to.remove(destination).unwrap_or_default();
    let mut unused = Vec::new();
    for ((source, _), binding) in bindings {
        if let Some(exchange) = table.exchanges.get_mut(&source) {
            Arc::make_mut(exchange).unbind(&binding);
        }
        if is_done(table, &source) {
            unused.push(source);
        }
    }
    unused
}

pub(super) fn add_binding(
    topology: &mut Topology,
    table: &mut RouteTable,
    exchange: &Name,
    binding: Binding,
) -> bool {
    let Some(source) = table.exchanges.get_mut(exchange) else {
        return false;
    };
    let is_new = Arc::make_mut(source).bind(binding.clone());
    if is_new {
        let known = topology
            .bindings_to
            .entry(binding.destination.clone())
            .or_default();
        known.insert((exchange.clone(), binding.id()), binding);
    }
    is_new
}

pub(super) fn remove_binding(
    topology: &mut Topology,
    table: &mut RouteTable,
    exchange: &Name,
    binding: &Binding,
) -> bool {
    let Some(source) = table.exchanges.get_mut(exchange) else {
        return false;
    };
    let was_there = Arc::make_mut(source).unbind(binding);
    if let Some(known) = topology.bindings_to.get_mut(&binding.destination) {
        known.remove(&(exchange.clone(), binding.id()));
    }
    was_there
}

fn check_same(
    current: &Exchange,
    kind: ExchangeKind,
    options: &ExchangeOptions,
) -> Result<(), Error> {
    let name = &current.name;
    if current.kind != kind {
        return Err(Error::Inequivalent {
            kind: Kind::Exchange,
            name: name.clone(),
            argument: "type".into(),
            received: quoted(kind),
            current: quoted(current.kind),
        });
    }
    let same = |argument: &str, received, current| {
        arguments::same_flag(Kind::Exchange, name, argument, received, current)
    };
    same("durable", options.durable, current.options.durable)?;
    same(
        "auto_delete",
        options.auto_delete,
        current.options.auto_delete,
    )?;
    same("internal", options.internal, current.options.internal)?;
    arguments::same_arguments(
        Kind::Exchange,
        name,
        &options.arguments,
        &current.options.arguments,
    )
}

/// A type in RabbitMQ's words, where it is an atom of Erlang's: one with a dash has quotes of its
/// own.
fn quoted(kind: ExchangeKind) -> String {
    match kind.as_str() {
        name if name.contains('-') => format!("''{name}''"),
        name => format!("'{name}'"),
    }
}
