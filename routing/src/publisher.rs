//! A connection's way into the core: finds receivers by a private cache, hands messages over,
//! wakes everybody once per batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::address::Address;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::live::LiveRun;
use crate::message::Message;
use crate::outbox::{Outbox, Wakes};
use crate::queue::Enqueue;
use crate::reply;
pub use crate::route::Published;
use crate::route::Route;
use crate::table::BUS;
use crate::time::Timestamp;
use crate::vhost::VHost;

/// Cached addresses per publisher; beyond it the cache starts over.
const CACHE_ENTRIES_MAX: usize = 4096;

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// Canonical: an MQTT topic, a Redis channel.
    Canonical,
    /// An AMQP routing key.
    RoutingKey,
}

/// A key looked up: what a message to it needs to know.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The address.
    pub address: Address,
    /// The exchange.
    pub exchange: Arc<Exchange>,
    /// The receivers, once found, unless they depend on the message.
    route: std::sync::OnceLock<Option<Arc<Route>>>,
}

type ByKey = HashMap<Bytes, Arc<Resolved>, foldhash::fast::RandomState>;

/// What was looked up, as long as the topology does not change.
#[derive(Debug, Default)]
struct Cache {
    generation: u64,
    by_exchange: HashMap<Bytes, ByKey, foldhash::fast::RandomState>,
    entries: usize,
}

/// One connection's publishing side. What only a publishing connection needs is made when it first
/// publishes.
#[derive(Debug)]
pub struct Publisher {
    vhost: Arc<VHost>,
    cache: Option<Box<Cache>>,
    /// Whom to wake; [`Publisher::flush`] does.
    pub wakes: Wakes,
    run: Option<Box<LiveRun>>,
    /// A receiver that could not keep up with what was published here.
    held_by: Option<Arc<Outbox>>,
}

impl Publisher {
    /// A publisher in this virtual host.
    #[must_use]
    pub fn new(vhost: Arc<VHost>) -> Self {
        Self {
            vhost,
            cache: None,
            wakes: Wakes::default(),
            run: None,
            held_by: None,
        }
    }

    /// The virtual host.
    #[must_use]
    pub const fn vhost(&self) -> &Arc<VHost> {
        &self.vhost
    }

    /// Looks an exchange and a key up.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such exchange.
    pub fn resolve(
        &mut self,
        exchange: &[u8],
        key: &[u8],
        form: KeyForm,
    ) -> Result<Arc<Resolved>, Error> {
        let generation = self.vhost.generation.load(Ordering::Acquire);
        let cache = self.cache.get_or_insert_default();
        cache.refresh(generation);
        let keys = cache.by_exchange.get(exchange);
        if let Some(known) = keys.and_then(|keys| keys.get(key)) {
            return Ok(Arc::clone(known));
        }
        self.resolve_new(exchange, key, form)
    }

    /// Hands a message to everybody who receives it. It was built for `to`.
    pub fn publish(&mut self, now: Timestamp, to: &Resolved, message: &Arc<Message>) -> Published {
        let cached = to.route.get_or_init(|| {
            let found = self.vhost.route(&to.exchange, &to.address, message);
            found.is_reusable.then(|| Arc::new(found.route.settled()))
        });
        let continued = cached.as_ref();
        if let Some(run) = &mut self.run
            && let Some(published) = continued.and_then(|route| run.join(route, message))
        {
            return published;
        }
        self.end_run();
        self.wakes.may_hold = false;
        let mut enqueue = Enqueue::new(&mut self.wakes);
        let mut published = match cached {
            Some(route) => {
                let published = route.deliver(now, message, &mut enqueue);
                // Who has to stop for a full receiver has to know with each message.
                if !self.wakes.may_hold {
                    let run = self.run.get_or_insert_default();
                    run.begin(now, route, message, published);
                }
                published
            }
            None => {
                let found = self.vhost.route(&to.exchange, &to.address, message);
                found.route.deliver(now, message, &mut enqueue)
            }
        };
        self.vhost.core().counters.refused(published.refused);
        if message.retain && to.exchange.name.as_str() == BUS {
            self.vhost.retain_published(message, &mut published);
        }
        published
    }

    /// [`Publisher::publish`] to several addresses at once (AMQP's sender-selected distribution):
    /// everybody receives one copy, whichever of them lead to it.
    pub fn publish_to_all(
        &mut self,
        now: Timestamp,
        to: &[Arc<Resolved>],
        message: &Arc<Message>,
    ) -> Published {
        self.end_run();
        let mut route = Route::default();
        for to in to {
            route.merge(self.vhost.route(&to.exchange, &to.address, message).route);
        }
        let mut published = route.deliver(now, message, &mut Enqueue::new(&mut self.wakes));
        self.vhost.core().counters.refused(published.refused);
        if message.retain && to.iter().any(|to| to.exchange.name.as_str() == BUS) {
            self.vhost.retain_published(message, &mut published);
        }
        published
    }

    /// Hands over what still waits to go along with the message before it: call it before anything
    /// else that the same client asks for, so that all happens in the client's order.
    pub fn end_run(&mut self) {
        if let Some(run) = &mut self.run {
            let refused = run.end(&mut self.wakes);
            self.vhost.core().counters.refused(refused);
        }
    }

    /// Wakes everybody who got something: call it once per batch.
    pub fn flush(&mut self) {
        self.end_run();
        self.wakes.wake_all();
        if let Some(full) = self.wakes.take_full() {
            self.held_by = Some(full);
        }
    }

    /// The outbox of a receiver that was full, and for whose sake this publisher's connection is
    /// not to be read until [`Outbox::wait_for_room`] says that it may go on.
    #[must_use]
    pub const fn held_by(&self) -> Option<&Arc<Outbox>> {
        self.held_by.as_ref()
    }

    fn resolve_new(
        &mut self,
        exchange: &[u8],
        key: &[u8],
        form: KeyForm,
    ) -> Result<Arc<Resolved>, Error> {
        // The key may be a slice of a read buffer, which the cache must not pin.
        let key = Bytes::copy_from_slice(key);
        let address = match form {
            KeyForm::Canonical => Address::new(key.clone()),
            KeyForm::RoutingKey => Address::from_routing_key(&key),
        };
        let name = String::from_utf8_lossy(exchange);
        let (name, address) = match self.redirected(&name, &address) {
            Some((name, address)) => (Cow::Borrowed(name), address),
            None => (name, address),
        };
        let found = self.vhost.exchange(&name).ok_or_else(|| Error::NotFound {
            kind: Kind::Exchange,
            name: name.as_ref().into(),
        })?;
        let route = std::sync::OnceLock::new();
        let resolved = Arc::new(Resolved {
            address,
            exchange: found,
            route,
        });
        self.cache
            .get_or_insert_default()
            .insert(exchange, key, &resolved);
        Ok(resolved)
    }

    /// Where a reply address really leads: `$reply/<queue>` on the bus to that queue,
    /// `$topic/<topic>` on the default exchange to the bus, unless a queue has that very name.
    fn redirected(&self, exchange: &str, address: &Address) -> Option<(&'static str, Address)> {
        match exchange {
            BUS => reply::queue_of_topic(address.as_bytes())
                .map(|queue| ("", Address::from_routing_key(&queue))),
            "" => {
                let key = address.routing_key().collect::<Vec<_>>();
                let name = std::str::from_utf8(&key).ok()?;
                let topic = name.strip_prefix(reply::TOPIC_PREFIX)?;
                let topic = Address::new(Bytes::copy_from_slice(topic.as_bytes()));
                self.vhost.queue(name).is_err().then_some((BUS, topic))
            }
            _ => None,
        }
    }
}

impl Cache {
    /// Forgets all when the topology is another than it was, or it has become large.
    fn refresh(&mut self, generation: u64) {
        if generation != self.generation || self.entries > CACHE_ENTRIES_MAX {
            self.by_exchange.clear();
            self.entries = 0;
            self.generation = generation;
        }
    }

    fn insert(&mut self, exchange: &[u8], key: Bytes, resolved: &Arc<Resolved>) {
        let exchange = Bytes::copy_from_slice(exchange);
        let keys = self.by_exchange.entry(exchange).or_default();
        keys.insert(key, Arc::clone(resolved));
        self.entries += 1;
    }
}

impl Drop for Publisher {
    /// What was published is handed over, however the connection ends.
    fn drop(&mut self) {
        self.flush();
    }
}
