//! Exchanges: who receives what is published to them (AMQP 0-9-1 §3.1.3).
//!
//! An exchange is immutable; a binding added makes the next version, which shares all it can with
//! the last one.

mod headers;

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use crate::address::Address;
use crate::binding::{Binding, BindingId, Destination};
use crate::message::Message;
use crate::name::Name;
use crate::topic::{TopicPattern, Trie};
use crate::value::{Table, Value};

/// The kinds of exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// The routing key equals the binding key.
    Direct,
    /// Everything.
    Fanout,
    /// The routing key matches the binding pattern.
    Topic,
    /// The headers match the binding's arguments.
    Headers,
}

impl ExchangeKind {
    /// The type name in `exchange.declare`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }

    /// The kind of that type name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let kinds = [Self::Direct, Self::Fanout, Self::Topic, Self::Headers];
        kinds.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The attributes of an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeOptions {
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last binding.
    pub auto_delete: bool,
    /// Takes messages from other exchanges only.
    pub internal: bool,
    /// All arguments, as declared.
    pub arguments: Table,
}

/// An exchange and its bindings.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The name; empty for the default exchange.
    pub name: Name,
    /// The kind.
    pub kind: ExchangeKind,
    /// The attributes.
    pub options: ExchangeOptions,
    bindings: Bindings,
}

#[derive(Clone, Debug)]
enum Bindings {
    Direct(HashMap<Bytes, OrdMap<BindingId, Binding>>),
    Fanout(OrdMap<BindingId, Binding>),
    Topic(Trie<BindingId, Binding>),
    Headers(OrdMap<BindingId, Binding>),
}

impl Exchange {
    pub(crate) fn new(name: Name, kind: ExchangeKind, options: ExchangeOptions) -> Self {
        let bindings = match kind {
            ExchangeKind::Direct => Bindings::Direct(HashMap::new()),
            ExchangeKind::Fanout => Bindings::Fanout(OrdMap::new()),
            ExchangeKind::Topic => Bindings::Topic(Trie::default()),
            ExchangeKind::Headers => Bindings::Headers(OrdMap::new()),
        };
        Self {
            name,
            kind,
            options,
            bindings,
        }
    }

    /// The exchange that takes what this one could route nowhere.
    #[must_use]
    pub fn alternate(&self) -> Option<&str> {
        self.options
            .arguments
            .get("alternate-exchange")
            .and_then(Value::as_str)
    }

    /// Whether the receivers depend on more than the routing key.
    pub(crate) const fn looks_at_headers(&self) -> bool {
        matches!(self.kind, ExchangeKind::Headers)
    }

    /// Whether nothing is bound to it.
    #[must_use]
    pub fn is_unbound(&self) -> bool {
        match &self.bindings {
            Bindings::Direct(keys) => keys.is_empty(),
            Bindings::Fanout(all) | Bindings::Headers(all) => all.is_empty(),
            Bindings::Topic(trie) => trie.is_empty(),
        }
    }

    /// Adds a binding; false when it was there.
    pub(crate) fn bind(&mut self, binding: Binding) -> bool {
        let id = binding.id();
        let old = match &mut self.bindings {
            Bindings::Direct(keys) => keys
                .entry(canonical(&binding))
                .or_default()
                .insert(id, binding),
            Bindings::Fanout(all) | Bindings::Headers(all) => all.insert(id, binding),
            Bindings::Topic(trie) => trie.insert(&segments(&binding), id, binding),
        };
        old.is_none()
    }

    /// Removes a binding; false when there was none.
    pub(crate) fn unbind(&mut self, binding: &Binding) -> bool {
        let id = binding.id();
        let old = match &mut self.bindings {
            Bindings::Direct(keys) => {
                let key = canonical(binding);
                let Some(all) = keys.get_mut(&key) else {
                    return false;
                };
                let old = all.remove(&id);
                if all.is_empty() {
                    keys.remove(&key);
                }
                old
            }
            Bindings::Fanout(all) | Bindings::Headers(all) => all.remove(&id),
            Bindings::Topic(trie) => trie.remove(&segments(binding), &id),
        };
        old.is_some()
    }

    /// Calls `found` with the destination of each binding that matches. A destination bound twice
    /// is found twice.
    pub(crate) fn route<'a>(
        &'a self,
        address: &Address,
        message: &Message,
        mut found: impl FnMut(&'a Destination),
    ) {
        match &self.bindings {
            Bindings::Direct(keys) => {
                let bound = keys
                    .get(address.as_bytes())
                    .into_iter()
                    .flat_map(OrdMap::values);
                bound.for_each(|b| found(&b.destination));
            }
            Bindings::Fanout(all) => all.values().for_each(|b| found(&b.destination)),
            Bindings::Topic(trie) => {
                let levels = address.levels().collect::<Vec<_>>();
                trie.matches(&levels, false, |_, b| found(&b.destination));
            }
            Bindings::Headers(all) if !all.is_empty() => {
                let headers = &message.properties().headers;
                let matching = all
                    .values()
                    .filter(|b| headers::matches(&b.arguments, headers));
                matching.for_each(|b| found(&b.destination));
            }
            Bindings::Headers(_) => {}
        }
    }
}

fn canonical(binding: &Binding) -> Bytes {
    Address::from_routing_key(&binding.key).as_bytes().clone()
}

fn segments(binding: &Binding) -> Vec<crate::topic::Segment> {
    TopicPattern::from_binding_key(&binding.key)
        .segments()
        .collect()
}
