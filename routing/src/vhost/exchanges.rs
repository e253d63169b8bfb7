//! Exchanges and bindings of a virtual host.

use std::sync::Arc;

use super::{Topology, VHost, arguments};
use crate::binding::{Binding, Destination};
use crate::error::{Error, Kind};
use crate::exchange::{Exchange, ExchangeKind, ExchangeOptions};
use crate::journal::{Entry, Lsn, Urgency};
use crate::name::Name;
use crate::table::{BUS, RouteTable};

/// What a declaration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// It was there already.
    Existed,
    /// It is new; a durable one is safe once the journal is durable up to here.
    Created(Option<Lsn>),
}

/// The exchanges that every virtual host has.
const PREDECLARED: [(&str, ExchangeKind); 6] = [
    ("", ExchangeKind::Direct),
    ("amq.direct", ExchangeKind::Direct),
    ("amq.fanout", ExchangeKind::Fanout),
    ("amq.headers", ExchangeKind::Headers),
    ("amq.match", ExchangeKind::Headers),
    (BUS, ExchangeKind::Topic),
];

impl VHost {
    pub(super) fn predeclare(&self) {
        self.change(&mut self.topology.lock(), |_, table| {
            for (name, kind) in PREDECLARED {
                let options = ExchangeOptions {
                    durable: true,
                    ..ExchangeOptions::default()
                };
                let exchange = Arc::new(Exchange::new(name.into(), kind, options));
                table.exchanges.insert(name.into(), exchange);
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
            return Ok(Declare::Existed);
        }
        if name.starts_with("amq.") {
            return Err(Error::Reserved {
                kind: Kind::Exchange,
                name: name.clone(),
            });
        }
        let durable = options.durable;
        let entry = Entry::ExchangeDeclared {
            vhost: self.name.clone(),
            name: name.clone(),
            kind,
            options: options.clone(),
        };
        self.change(&mut topology, |_, table| {
            table.exchanges.insert(
                name.clone(),
                Arc::new(Exchange::new(name.clone(), kind, options)),
            );
        });
        Ok(Declare::Created(
            durable.then(|| self.append(&entry, Urgency::Sync)),
        ))
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
    /// [`Error::NotFound`]; [`Error::DefaultExchange`].
    pub fn bind(&self, exchange: &Name, binding: Binding) -> Result<Option<Lsn>, Error> {
        let mut topology = self.topology.lock();
        let durable = self.check_ends(exchange, &binding)?;
        let entry = Entry::Bound {
            vhost: self.name.clone(),
            exchange: exchange.clone(),
            binding: binding.clone(),
        };
        let is_new = self.change(&mut topology, |topology, table| {
            add_binding(topology, table, exchange, binding)
        });
        Ok((is_new && durable).then(|| self.append(&entry, Urgency::Sync)))
    }

    /// Removes a binding; one that is not there is removed. An exchange that is deleted with its
    /// last binding goes with it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::DefaultExchange`].
    pub fn unbind(&self, exchange: &Name, binding: &Binding) -> Result<Option<Lsn>, Error> {
        let mut topology = self.topology.lock();
        let durable = self.check_ends(exchange, binding)?;
        let was_there = self.change(&mut topology, |topology, table| {
            let was_there = remove_binding(topology, table, exchange, binding);
            if was_there {
                self.auto_delete_exchange(topology, table, exchange);
            }
            was_there
        });
        let entry = Entry::Unbound {
            vhost: self.name.clone(),
            exchange: exchange.clone(),
            binding: binding.clone(),
        };
        Ok((was_there && durable).then(|| self.append(&entry, Urgency::Sync)))
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
        Ok(source.options.durable
            && match &binding.destination {
                Destination::Queue(name) => {
                    let queue = self.queue(name)?;
                    queue.options.durable && queue.options.exclusive.is_none()
                }
                Destination::Exchange(name) if name.is_empty() => {
                    return Err(Error::DefaultExchange);
                }
                Destination::Exchange(name) => found(name)?.options.durable,
            })
    }

    pub(super) fn remove_exchange(
        &self,
        topology: &mut Topology,
        table: &mut RouteTable,
        name: &Name,
    ) -> Option<Lsn> {
        let exchange = table.exchanges.remove(name)?;
        self.remove_bindings_to(topology, table, &Destination::Exchange(name.clone()));
        for known in topology.bindings_to.values_mut() {
            known.retain(|(source, _)| source != name);
        }
        let entry = Entry::ExchangeDeleted {
            vhost: self.name.clone(),
            name: name.clone(),
        };
        exchange
            .options
            .durable
            .then(|| self.append(&entry, Urgency::Sync))
    }

    /// Removes every binding that leads to something that goes away.
    pub(super) fn remove_bindings_to(
        &self,
        topology: &mut Topology,
        table: &mut RouteTable,
        destination: &Destination,
    ) {
        for (source, binding) in topology.bindings_to.remove(destination).unwrap_or_default() {
            if let Some(exchange) = table.exchanges.get_mut(&source) {
                Arc::make_mut(exchange).unbind(&binding);
            }
            self.auto_delete_exchange(topology, table, &source);
        }
    }

    fn auto_delete_exchange(&self, topology: &mut Topology, table: &mut RouteTable, name: &Name) {
        let is_done =
            |exchange: &Arc<Exchange>| exchange.options.auto_delete && exchange.is_unbound();
        if table.exchanges.get(name).is_some_and(is_done) {
            self.remove_exchange(topology, table, name);
        }
    }
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
        known.push((exchange.clone(), binding));
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
        known.retain(|(source, other)| source != exchange || other != binding);
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
            received: format!("'{}'", kind.as_str()),
            current: format!("'{}'", current.kind.as_str()),
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
