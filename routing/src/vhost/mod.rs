//! A virtual host: one separate world of exchanges, queues, subscriptions, sessions and retained
//! values.
//!
//! Readers use the current `RouteTable`; writers take the topology lock, make the next table and
//! swap it in (`VHost::change`).

mod arguments;
mod channels;
mod checkpoint;
mod exchanges;
mod queues;
mod recovery;
mod retained;
mod sessions;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use channels::{ChannelFilter, OpenSubscriber};
pub use exchanges::Declare;
pub use recovery::Recovery;
pub use sessions::{CloseSession, OpenSession, SessionCounts, parse_subscription};
pub use subscriptions::FilterCounts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use crate::address::Address;
use crate::binding::{Binding, BindingId, Destination};
use crate::broker::Core;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::ids::{QueueId, SessionId};
use crate::journal::{Appended, Entry, Lsn, Urgency, encode};
use crate::message::Message;
use crate::name::Name;
use crate::outbox::Wakes;
use crate::queue::{Enqueue, Queue};
use crate::retained::Retained;
use crate::route::Published;
use crate::session::Session;
use crate::sync::{Mutex, Rank};
use crate::table::{BUS, Found, RouteTable};
use crate::time::Timestamp;

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
    topology_end: AtomicU64,
    retained: Mutex<Retained>,
    /// The gateway's own values, `$SYS/...`: never journalled.
    system: Mutex<Retained>,
    this: Weak<Self>,
}

/// What only writers need.
#[derive(Debug, Default)]
struct Topology {
    /// Every binding that leads to something, by its exchange, to remove them with it.
    bindings_to: HashMap<Destination, HashMap<(Name, BindingId), Binding>>,
    /// While the journal is replayed it says what is removed; nothing is added to it.
    is_recovering: bool,
    sessions: HashMap<Name, Arc<Session>>,
    sessions_by_id: HashMap<SessionId, Arc<Session>>,
    queues_by_id: HashMap<QueueId, Arc<Queue>>,
}

impl Topology {
    /// Forgets what leads from an exchange to something.
    fn forget_source(&mut self, destination: &Destination, exchange: &Name) {
        if let Some(known) = self.bindings_to.get_mut(destination) {
            known.retain(|(source, _), _| source != exchange);
        }
    }
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
                topology_end: AtomicU64::new(0),
                retained: Mutex::new(Rank::Leaf, Retained::default()),
                system: Mutex::new(Rank::Leaf, Retained::default()),
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

    /// Since when the oldest message has been in a queue or session: see [`Queue::oldest_since`].
    #[must_use]
    pub fn oldest_message(&self) -> Option<Timestamp> {
        let queues = self.all_queues();
        queues.iter().filter_map(|queue| queue.oldest_since()).min()
    }

    /// All queues, those of sessions too, in no order.
    pub(crate) fn all_queues(&self) -> Vec<Arc<Queue>> {
        self.topology
            .lock()
            .queues_by_id
            .values()
            .cloned()
            .collect()
    }

    /// How many queues there are.
    #[must_use]
    pub fn queue_count(&self) -> usize {
        self.table.load().queues.len()
    }

    /// Publishes a message of the core's own making, such as a will, on the bus.
    pub fn publish(&self, now: Timestamp, message: &Arc<Message>, wakes: &mut Wakes) -> Published {
        let Some(bus) = self.exchange(BUS) else {
            return Published::default();
        };
        let found = self.route(&bus, &message.address, message);
        let mut published = found.route.deliver(now, message, &mut Enqueue::new(wakes));
        self.core.counters.refused(published.refused);
        if message.retain {
            self.retain_published(message, &mut published);
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

    /// Appends an entry that somebody waits for and that makes room, or was let in by
    /// [`Self::check_room`]: while the disk is low, from the journal's reserve.
    pub(crate) fn append_from_reserve(&self, entry: &Entry) -> Lsn {
        let end = self.append(entry, Urgency::Sync);
        if end == Appended::REFUSED.end {
            return self.append(entry, Urgency::Lazy);
        }
        end
    }

    /// Appends an entry about exchanges, queues and bindings, which somebody waits for.
    fn append_topology(&self, entry: &Entry) -> Lsn {
        let end = self.append_from_reserve(entry);
        if end != Appended::REFUSED.end {
            self.topology_end.fetch_max(end.0, Ordering::AcqRel);
        }
        end
    }

    /// Refuses something that would have to survive a restart while the journal cannot take it:
    /// otherwise its answer would wait until the disk has room again.
    fn check_room(&self, survives: bool) -> Result<(), Error> {
        if survives && !self.core.journal.takes_records() {
            let reason = "no room on the disk for what is to survive a restart".to_owned();
            return Err(Error::Invalid { reason });
        }
        Ok(())
    }

    /// Where the last of these entries ends, for who asks about something durable that is there:
    /// its own entry may not be safe yet.
    fn topology_end(&self, is_durable: bool) -> Option<Lsn> {
        is_durable.then(|| Lsn(self.topology_end.load(Ordering::Acquire)))
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
