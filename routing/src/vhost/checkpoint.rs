//! A virtual host as the entries of a checkpoint.

use std::sync::Arc;

use super::{Topology, VHost};
use crate::journal::{Entry, Lsn};
use crate::queue::Queue;
use crate::session::Session;

impl VHost {
    /// All durable things as entries, in an order in which they can be applied. Bodies stay in the
    /// journal, but for those below `copy_below`, which are written anew first. Returns the
    /// position from which on the journal is needed.
    pub(crate) fn checkpoint(
        &self,
        copy_below: Lsn,
        keep_from: Lsn,
        entry: &mut dyn FnMut(&Entry),
    ) -> Lsn {
        let mut needed = keep_from;
        let topology = self.topology.lock();
        let table = self.table.load();
        let vhost = || self.name.clone();
        for exchange in table
            .exchanges
            .values()
            .filter(|exchange| exchange.options.durable)
        {
            let (name, kind) = (exchange.name.clone(), exchange.kind);
            let options = exchange.options.clone();
            entry(&Entry::ExchangeDeclared {
                vhost: vhost(),
                name,
                kind,
                options,
                delays: exchange.delays().map(|delays| delays.id),
            });
            if let Some(delays) = exchange.delays() {
                needed = needed.min(delays.checkpoint(copy_below, entry));
            }
        }
        let durable =
            |queue: &&Arc<Queue>| queue.options.durable && queue.options.exclusive.is_none();
        for queue in table.queues.values().filter(durable) {
            let (id, name, options) = (queue.id, queue.name.clone(), queue.options.clone());
            entry(&Entry::QueueDeclared {
                vhost: vhost(),
                id,
                name,
                options,
            });
        }
        let bindings = topology.bindings_to.values().flatten();
        for ((exchange, _), binding) in bindings {
            if self.check_ends(exchange, binding) == Ok(true) {
                let (exchange, binding) = (exchange.clone(), binding.clone());
                entry(&Entry::Bound {
                    vhost: vhost(),
                    exchange,
                    binding,
                });
            }
        }
        for session in topology
            .sessions
            .values()
            .filter(|session| session.is_durable)
        {
            self.checkpoint_session(session, entry);
        }
        self.checkpoint_wills(&topology, entry);
        for queue in topology.queues_by_id.values().filter(durable) {
            needed = needed.min(queue.checkpoint(copy_below, entry));
        }
        let retained = self.retained.lock().snapshot();
        for message in retained.values() {
            entry(&Entry::Retained {
                vhost: vhost(),
                message: Arc::clone(message),
            });
        }
        needed
    }

    fn checkpoint_wills(&self, topology: &Topology, entry: &mut dyn FnMut(&Entry)) {
        for session in topology.sessions.values() {
            if let Some(will) = session.with(|state| state.will.clone()) {
                let (vhost, session) = (self.name.clone(), session.id);
                entry(&Entry::WillSet {
                    vhost,
                    session,
                    will,
                });
            }
        }
    }

    fn checkpoint_session(&self, session: &Session, entry: &mut dyn FnMut(&Entry)) {
        let (vhost, id) = (&self.name, session.id);
        let Some(queue) = session.queue() else { return };
        session.with(|state| {
            entry(&Entry::SessionOpened {
                vhost: vhost.clone(),
                id,
                queue: queue.id,
                client_id: session.client_id.clone(),
                expiry_s: state.expiry_s,
            });
            for (filter, options) in &state.subscriptions {
                let (filter, options) = (filter.clone(), *options);
                entry(&Entry::Subscribed {
                    vhost: vhost.clone(),
                    session: id,
                    filter,
                    options,
                });
            }
            for packet_id in &state.received {
                let packet_id = *packet_id;
                entry(&Entry::Received {
                    vhost: vhost.clone(),
                    session: id,
                    packet_id,
                });
            }
            session.checkpoint_sent(state, &mut |sent| entry(&sent));
        });
    }
}
