//! Queues of a virtual host.

use std::sync::Arc;

use bytes::Bytes;

use super::{Declare, Topology, VHost, arguments};
use crate::address::Address;
use crate::binding::Destination;
use crate::error::{Error, Kind};
use crate::ids::{ConnectionId, ConsumerId, QueueId};
use crate::journal::{Entry, Lsn};
use crate::message::Message;
use crate::name::Name;
use crate::outbox::Wakes;
use crate::queue::{Home, Queue, QueueOptions, QueuePolicy};
use crate::route::Route;
use crate::table::RouteTable;
use crate::time::Timestamp;
use crate::timer::Timers;

impl VHost {
    /// Declares a queue, or checks that the existing one is the same. The name is not empty:
    /// server-named queues are named by the front with [`VHost::unique_name`].
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Inequivalent`], [`Error::InvalidArgument`].
    pub fn declare_queue(
        &self,
        now: Timestamp,
        connection: ConnectionId,
        name: &Name,
        options: QueueOptions,
    ) -> Result<(Arc<Queue>, Declare), Error> {
        let mut topology = self.topology.lock();
        if let Ok(current) = self.queue(name) {
            current.check_owner(connection)?;
            check_same(&current, &options)?;
            current.touch(now, &mut Wakes::default());
            let survives = current.options.durable && current.options.exclusive.is_none();
            let lsn = self.topology_end(survives);
            return Ok((current, Declare::Existed(lsn)));
        }
        let policy = self.queue_policy(name, &options)?;
        let survives = options.durable && options.exclusive.is_none();
        self.check_room(survives)?;
        let id = QueueId(self.core.ids.next());
        let entry = Entry::QueueDeclared {
            vhost: self.name.clone(),
            id,
            name: name.clone(),
            options: options.clone(),
        };
        // An exclusive queue ends with its connection, so its messages need no journal.
        let stored = QueueOptions {
            durable: options.durable,
            ..options
        };
        let store = self.core.store_for(survives);
        let home = self.this.clone();
        let queue = Queue::new(id, name.clone(), stored, policy, store, home);
        queue.touch(now, &mut Wakes::default());
        self.change(&mut topology, |topology, table| {
            insert_queue(topology, table, &queue);
        });
        let lsn = survives.then(|| self.append_topology(&entry));
        Ok((queue, Declare::Created(lsn)))
    }

    /// What a queue of that name and these options does.
    pub(super) fn queue_policy(
        &self,
        name: &Name,
        options: &QueueOptions,
    ) -> Result<QueuePolicy, Error> {
        let declared = arguments::declared(name, options)?;
        Ok(declared.under(&self.core.policies.load(), &self.name, name))
    }

    /// Gives all queues and exchanges what the policies say now.
    pub(crate) fn apply_policies(&self, now: Timestamp, wakes: &mut Wakes) {
        let mut topology = self.topology.lock();
        self.change(&mut topology, |_, table| {
            self.apply_exchange_policies(table);
        });
        for queue in self.queues() {
            // What was declared once is valid.
            if let Ok(policy) = self.queue_policy(&queue.name, &queue.options)
                && **queue.policy() != policy
            {
                queue.set_policy(now, policy, wakes);
            }
        }
    }

    /// Deletes a queue, its bindings and its messages; returns how many messages were ready. One
    /// that is not there is deleted.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::InUse`], [`Error::NotEmpty`].
    pub fn delete_queue(
        &self,
        connection: ConnectionId,
        name: &Name,
        if_unused: bool,
        if_empty: bool,
        wakes: &mut Wakes,
    ) -> Result<(usize, Option<Lsn>), Error> {
        let mut topology = self.topology.lock();
        let Ok(queue) = self.queue(name) else {
            return Ok((0, None));
        };
        queue.check_owner(connection)?;
        let status = queue.status();
        if if_unused && status.consumers > 0 {
            return Err(Error::InUse {
                kind: Kind::Queue,
                name: name.clone(),
            });
        }
        if if_empty && status.messages > 0 {
            return Err(Error::NotEmpty { name: name.clone() });
        }
        Ok(self.remove_queue(&mut topology, &queue, wakes))
    }

    /// Deletes a connection's exclusive queue: it is gone.
    pub fn delete_exclusive_queue(&self, queue: &Arc<Queue>, wakes: &mut Wakes) {
        self.remove_queue(&mut self.topology.lock(), queue, wakes);
    }

    /// Cancels a consumer; a queue that is deleted with its last consumer goes with it.
    pub fn cancel_consumer(
        &self,
        now: Timestamp,
        queue: &Arc<Queue>,
        consumer: ConsumerId,
        wakes: &mut Wakes,
    ) {
        let remaining = queue.cancel(now, consumer, wakes);
        if remaining == Some(0) && queue.options.auto_delete {
            self.remove_queue(&mut self.topology.lock(), queue, wakes);
        }
    }

    fn remove_queue(
        &self,
        topology: &mut Topology,
        queue: &Arc<Queue>,
        wakes: &mut Wakes,
    ) -> (usize, Option<Lsn>) {
        if topology.queues_by_id.remove(&queue.id).is_none() {
            return (0, None);
        }
        self.change(topology, |topology, table| {
            table.queues.remove(&queue.name);
            self.remove_bindings_to(topology, table, &Destination::Queue(queue.name.clone()));
        });
        let messages = queue.delete(wakes);
        let entry = Entry::QueueDeleted {
            vhost: self.name.clone(),
            id: queue.id,
        };
        let survives = queue.options.durable && queue.options.exclusive.is_none();
        let survives = survives && !topology.is_recovering;
        (messages, survives.then(|| self.append_topology(&entry)))
    }
}

impl Home for VHost {
    fn timers(&self) -> &Timers {
        &self.core.timers
    }

    fn route_by_keys(&self, exchange: &str, keys: &[Bytes], message: &Message) -> Option<Route> {
        let exchange = self.exchange(exchange)?;
        let mut all = Route::default();
        for key in keys {
            let address = Address::from_routing_key(key);
            all.merge(self.route(&exchange, &address, message).route);
        }
        Some(all)
    }

    fn queue_due(&self, now: Timestamp, queue: &Arc<Queue>, wakes: &mut Wakes) {
        let policy = queue.policy();
        if policy.unused_max_ms.is_none() && policy.empty_max_ms.is_none() {
            queue.due(now, wakes);
            return;
        }
        // Locked before the queue ends, so that nobody declares it in between.
        let mut topology = self.topology.lock();
        let place = Destination::Queue(queue.name.clone());
        // An empty list that somebody has bound is in use.
        if policy.unused_max_ms.is_none() && topology.bindings_to.contains_key(&place) {
            queue.touch(now, wakes);
        }
        if queue.due(now, wakes) {
            self.remove_queue(&mut topology, queue, wakes);
        }
    }
}

pub(super) fn insert_queue(topology: &mut Topology, table: &mut RouteTable, queue: &Arc<Queue>) {
    topology.queues_by_id.insert(queue.id, Arc::clone(queue));
    table.queues.insert(queue.name.clone(), Arc::clone(queue));
}

fn check_same(current: &Queue, options: &QueueOptions) -> Result<(), Error> {
    let same = |argument: &str, received, current_value| {
        arguments::same_flag(
            Kind::Queue,
            &current.name,
            argument,
            received,
            current_value,
        )
    };
    if options.exclusive.is_some() != current.options.exclusive.is_some() {
        return Err(Error::Locked {
            name: current.name.clone(),
        });
    }
    same("durable", options.durable, current.options.durable)?;
    same(
        "auto_delete",
        options.auto_delete,
        current.options.auto_delete,
    )?;
    let (received, current_arguments) = (&options.arguments, &current.options.arguments);
    arguments::same_arguments(Kind::Queue, &current.name, received, current_arguments)
}
