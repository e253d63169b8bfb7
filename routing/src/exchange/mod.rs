//! Exchanges: who receives what is published to them (AMQP 0-9-1 §3.1.3).
//!
//! An exchange is immutable; a binding added makes the next version, which shares all it can with
//! the last one.

mod consistent_hash;
mod headers;
mod random;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use imbl::{HashMap, OrdMap};

use crate::address::Address;
use crate::binding::{Binding, BindingId, Destination};
use crate::delay::Delays;
use crate::error::Error;
use crate::message::Message;
use crate::name::Name;
use crate::topic::{TopicPattern, Trie};
use crate::value::{Table, Value};
use consistent_hash::{ConsistentHash, HashOn, weight};
use random::Random;

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
    /// One binding, the same for the same key.
    ConsistentHash,
    /// One binding, whichever.
    Random,
    /// As the exchange of the type in `x-delayed-type`, but later.
    Delayed,
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
            Self::ConsistentHash => "x-consistent-hash",
            Self::Random => "x-random",
            Self::Delayed => "x-delayed-message",
        }
    }

    /// The kind of that type name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let kinds = [
            Self::Direct,
            Self::Fanout,
            Self::Topic,
            Self::Headers,
            Self::ConsistentHash,
            Self::Random,
            Self::Delayed,
        ];
        kinds.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether an exchange of this kind can have these arguments.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(crate) fn check(self, arguments: &Table) -> Result<(), Error> {
        let invalid = |reason: String| Error::Invalid { reason };
        match self {
            Self::Delayed => {
                let inner = inner_kind(arguments).map_err(invalid)?;
                inner.check(arguments)
            }
            Self::ConsistentHash => HashOn::of(arguments).map(drop).map_err(invalid),
            Self::Direct | Self::Fanout | Self::Topic | Self::Headers | Self::Random => Ok(()),
        }
    }
}

/// The kind of exchange that a delayed exchange is when the time has come; never a delayed one.
fn inner_kind(arguments: &Table) -> Result<ExchangeKind, String> {
    let name = arguments.get("x-delayed-type").and_then(Value::as_str);
    let name =
        name.ok_or("Invalid argument, 'x-delayed-type' must be an existing exchange type")?;
    match ExchangeKind::parse(name) {
        Some(ExchangeKind::Delayed) => {
            Err("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'".into())
        }
        Some(kind) => Ok(kind),
        None => Err(format!("unknown exchange type '{name}'")),
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
    /// The alternate exchange, by its arguments or else by a policy.
    alternate: Option<Name>,
    /// The messages that a delayed exchange keeps; all its versions share them.
    delays: Option<Arc<Delays>>,
    bindings: Bindings,
}

#[derive(Clone, Debug)]
enum Bindings {
    Direct(HashMap<Bytes, OrdMap<BindingId, Binding>>),
    Fanout(OrdMap<BindingId, Binding>),
    Topic(Trie<BindingId, Binding>),
    Headers(OrdMap<BindingId, Binding>),
    ConsistentHash(ConsistentHash),
    Random(Random),
}

impl Bindings {
    /// No bindings, of the kind that an exchange with these arguments has.
    fn new(kind: ExchangeKind, arguments: &Table) -> Self {
        match kind {
            ExchangeKind::Direct => Self::Direct(HashMap::new()),
            ExchangeKind::Fanout => Self::Fanout(OrdMap::new()),
            ExchangeKind::Topic => Self::Topic(Trie::default()),
            ExchangeKind::Headers => Self::Headers(OrdMap::new()),
            ExchangeKind::ConsistentHash => {
                let on = HashOn::of(arguments).unwrap_or(HashOn::RoutingKey);
                Self::ConsistentHash(ConsistentHash::new(on))
            }
            ExchangeKind::Random => Self::Random(Random::new()),
            // Checked when it was declared, so there is another kind inside.
            ExchangeKind::Delayed => match inner_kind(arguments) {
                Ok(inner) => Self::new(inner, arguments),
                Err(_) => Self::Fanout(OrdMap::new()),
            },
        }
    }
}

impl Exchange {
    pub(crate) fn new(name: Name, kind: ExchangeKind, options: ExchangeOptions) -> Self {
        let bindings = Bindings::new(kind, &options.arguments);
        let mut exchange = Self {
            name,
            kind,
            options,
            alternate: None,
            delays: None,
            bindings,
        };
        exchange.set_policy_alternate(None);
        exchange
    }

    /// What a policy says of where goes what this one routes nowhere; an argument says it better.
    pub(crate) fn set_policy_alternate(&mut self, by_policy: Option<Name>) {
        let argument = self.options.arguments.get("alternate-exchange");
        let by_argument = argument.and_then(Value::as_str).map(Name::from);
        self.alternate = by_argument.or(by_policy);
    }

    /// The exchange that takes what this one could route nowhere.
    #[must_use]
    pub fn alternate(&self) -> Option<&str> {
        self.alternate.as_deref()
    }

    /// Makes it keep messages for later.
    pub(crate) fn set_delays(&mut self, delays: Arc<Delays>) {
        self.delays = Some(delays);
    }

    /// Where messages wait for their time, at a delayed exchange.
    pub(crate) const fn delays(&self) -> Option<&Arc<Delays>> {
        self.delays.as_ref()
    }

    /// How many messages wait for their time.
    #[must_use]
    pub fn delayed_messages(&self) -> usize {
        self.delays.as_ref().map_or(0, |delays| delays.len())
    }

    /// Whether the receivers depend on more than the routing key.
    pub(crate) fn decides_by_message(&self) -> bool {
        self.delays.is_some()
            || match &self.bindings {
                Bindings::Headers(_) | Bindings::Random(_) => true,
                Bindings::ConsistentHash(hash) => hash.on != HashOn::RoutingKey,
                Bindings::Direct(_) | Bindings::Fanout(_) | Bindings::Topic(_) => false,
            }
    }

    /// Whether it can have such a binding.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(crate) fn check_binding(&self, binding: &Binding) -> Result<(), Error> {
        match &self.bindings {
            Bindings::ConsistentHash(_) => weight(&binding.key)
                .map(drop)
                .map_err(|reason| Error::Invalid { reason }),
            Bindings::Headers(_) => headers::check(&binding.arguments),
            Bindings::Direct(_)
            | Bindings::Fanout(_)
            | Bindings::Topic(_)
            | Bindings::Random(_) => Ok(()),
        }
    }

    /// Everything that is bound to it, each once.
    pub(crate) fn destinations(&self) -> HashSet<Destination> {
        let all: Vec<&Binding> = match &self.bindings {
            Bindings::Direct(keys) => keys.values().flat_map(OrdMap::values).collect(),
            Bindings::Fanout(all) | Bindings::Headers(all) => all.values().collect(),
            Bindings::Topic(trie) => trie.values(),
            Bindings::ConsistentHash(hash) => hash.iter().collect(),
            Bindings::Random(random) => random.bindings.values().collect(),
        };
        all.into_iter().map(|b| b.destination.clone()).collect()
    }

    /// Whether nothing is bound to it.
    #[must_use]
    pub fn is_unbound(&self) -> bool {
        match &self.bindings {
            Bindings::Direct(keys) => keys.is_empty(),
            Bindings::Fanout(all) | Bindings::Headers(all) => all.is_empty(),
            Bindings::Topic(trie) => trie.is_empty(),
            Bindings::ConsistentHash(hash) => hash.is_empty(),
            Bindings::Random(random) => random.bindings.is_empty(),
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
            Bindings::ConsistentHash(hash) => return !hash.insert(id, binding),
            Bindings::Random(random) => random.bindings.insert(id, binding),
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
            Bindings::ConsistentHash(hash) => return hash.remove(&id),
            Bindings::Random(random) => random.bindings.remove(&id),
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
            Bindings::ConsistentHash(hash) => {
                let chosen = hash.choose(address.as_bytes(), message);
                chosen.into_iter().for_each(|b| found(&b.destination));
            }
            Bindings::Random(random) => {
                let chosen = random.choose();
                chosen.into_iter().for_each(|b| found(&b.destination));
            }
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
