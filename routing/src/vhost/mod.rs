//! A virtual host: one separate world of exchanges, queues, subscriptions, sessions and retained
//! values.
//!
//! Readers use the current `RouteTable`; writers take the topology lock, make the next table and
//! swap it in (`VHost::change`).

mod arguments;
mod exchanges;
mod queues;
mod recovery;
mod sessions;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use exchanges::Declare;
pub use recovery::Recovery;
pub use sessions::{CloseSession, OpenSession, parse_subscription};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use crate::address::Address;
use crate::binding::{Binding, Destination};
use crate::broker::Core;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::ids::{QueueId, SessionId};
use crate::journal::{Entry, Lsn, Urgency, encode};
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::outbox::Wakes;
use crate::queue::{Enqueue, Queue};
use crate::retained::{Retained, RetainedCursor};
use crate::route::Published;
use crate::session::Session;
use crate::sync::{Mutex, Rank};
use crate::table::{BUS, Found, RouteTable};
use crate::time::Timestamp;
use crate::topic::TopicFilter;

/// A virtual host.
#[derive(Debug)]
pub struct VHost {
    /// Its name, such as `/`.
    pub name: Name,
    core: Arc<Core>,
    table: ArcSwap<RouteTable>,
    /// Rises with each new table; publishers compare it to know whether their cache still holds.
    pub(crate) generation: AtomicU64,
    topology: Mutex<Topology>,
    retained: Mutex<Retained>,
    this: Weak<Self>,
}

/// What only writers need.
#[derive(Debug, Default)]
struct Topology {
    /// Every binding that leads to something, to remove them with it.
    bindings_to: HashMap<Destination, Vec<(Name, Binding)>>,
    sessions: HashMap<Name, Arc<Session>>,
    sessions_by_id: HashMap<SessionId, Arc<Session>>,
    queues_by_id: HashMap<QueueId, Arc<Queue>>,
}

impl VHost {
    pub(crate) fn new(name: Name, core: Arc<Core>) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let vhost = Self {
                name,
                core,
                table: ArcSwap::default(),
                generation: AtomicU64::new(1),
                topology: Mutex::new(Rank::Topology, Topology::default()),
                retained: Mutex::new(Rank::Leaf, Retained::default()),
                this: Weak::clone(this),
            };
            vhost.predeclare();
            vhost
        })
    }

    /// The exchange of that name; the default exchange's is empty.
    #[must_use]
    pub fn exchange(&self, name: &str) -> Option<Arc<Exchange>> {
        self.table.load().exchanges.get(name).cloned()
    }

    /// The queue of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn queue(&self, name: &str) -> Result<Arc<Queue>, Error> {
        self.table
            .load()
            .queues
            .get(name)
            .cloned()
            .ok_or_else(|| Error::NotFound {
                kind: Kind::Queue,
                name: name.into(),
            })
    }

    /// Names of all exchanges, in no order.
    #[must_use]
    pub fn exchange_names(&self) -> Vec<Name> {
        self.table.load().exchanges.keys().cloned().collect()
    }

    /// All queues, in no order.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.table.load().queues.values().cloned().collect()
    }

    /// The retained values that match a filter, for the subscriber to read at its own pace.
    #[must_use]
    pub fn retained(&self, filter: &TopicFilter) -> RetainedCursor {
        self.retained.lock().matching(filter)
    }

    /// How many retained values there are.
    #[must_use]
    pub fn retained_count(&self) -> usize {
        self.retained.lock().len()
    }

    /// Makes a message its address's retained value, or clears it when the payload is empty.
    /// Returns where its record ends if it is to survive a restart. An address that is no topic
    /// has no retained value, nor has one more than the limit.
    pub fn retain(&self, message: &Arc<Message>) -> Option<Lsn> {
        if !message.address.is_topic() {
            return None;
        }
        {
            let mut retained = self.retained.lock();
            let is_more = !message.payload.is_empty() && !retained.contains(&message.address);
            if is_more && retained.len() >= self.core.settings.retained_max {
                return None;
            }
            retained.put(message);
        }
        let urgency = if message.qos == QoS::AtMostOnce {
            Urgency::Lazy
        } else {
            Urgency::Sync
        };
        let entry = Entry::Retained {
            vhost: self.name.clone(),
            message: Arc::clone(message),
        };
        let end = self.append(&entry, urgency);
        (urgency == Urgency::Sync).then_some(end)
    }

    /// Publishes a message of the core's own making, such as a will, on the bus.
    pub fn publish(&self, now: Timestamp, message: &Arc<Message>, wakes: &mut Wakes) -> Published {
        let Some(bus) = self.exchange(BUS) else {
            return Published::default();
        };
        let found = self.route(&bus, &message.address, message);
        let mut published = found.route.deliver(now, message, &mut Enqueue::new(wakes));
        if message.retain {
            published.lsn = self.retain(message).or(published.lsn);
        }
        published
    }

    pub(crate) fn route(&self, exchange: &Exchange, address: &Address, message: &Message) -> Found {
        self.table.load().route(exchange, address, message)
    }

    /// A name that nobody else has: the prefix and 22 characters (`amq.gen-…`, `auto-…`).
    #[must_use]
    pub fn unique_name(&self, prefix: &str) -> Name {
        self.core.unique_name(prefix)
    }

    /// The journal's durable position and the means to wait for it.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Appends an entry to the journal.
    pub(crate) fn append(&self, entry: &Entry, urgency: Urgency) -> Lsn {
        let mut record = Vec::new();
        encode(entry, &mut record);
        self.core.journal.append(&[&record], urgency).end
    }

    /// Makes the next route table from the current one, and swaps it in.
    fn change<R>(
        &self,
        topology: &mut Topology,
        make: impl FnOnce(&mut Topology, &mut RouteTable) -> R,
    ) -> R {
        let mut table = RouteTable::clone(&self.table.load());
        let result = make(topology, &mut table);
        self.table.store(Arc::new(table));
        // After the swap, so that whoever sees the new number finds the new table.
        self.generation.fetch_add(1, Ordering::Release);
        result
    }
}
