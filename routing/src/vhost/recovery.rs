//! From entries back to a virtual host, and from a virtual host to the entries of a checkpoint.
//!
//! Entries are applied in journal order on top of a checkpoint that may be newer than they are:
//! each knows from identities and sequence numbers whether it has been applied already.

mod commits;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::exchanges::{add_binding, remove_binding};
use super::queues::insert_queue;
use super::sessions::NewSession;
use super::{ChannelFilter, VHost, parse_subscription};
use crate::broker::Broker;
use crate::delay::Delays;
use crate::exchange::Exchange;
use crate::ids::{QueueId, Seq, SessionId};
use crate::journal::{CommitId, DecodeError, Entry, Lsn, Role, decode};
use crate::message::Message;
use crate::name::Name;
use crate::outbox::Wakes;
use crate::pages::{LineId, PageError};
use crate::queue::{Queue, Restored};
use crate::session::Session;
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;

/// A broker being brought back to what it was.
#[derive(Debug)]
pub struct Recovery<'a> {
    broker: &'a Broker,
    queues: HashMap<QueueId, Arc<Queue>>,
    delays: HashMap<QueueId, Arc<Delays>>,
    sessions: HashMap<SessionId, Arc<Session>>,
    /// Bodies seen lately, for the entries of further queues.
    bodies: HashMap<Lsn, Weak<Message>>,
    /// The page files of queues that there were.
    lines: HashMap<QueueId, Vec<LineId>>,
    /// Commits whose end has not been seen.
    open_commits: HashMap<CommitId, commits::OpenCommit>,
    /// Messages that are named but whose bodies could not be read.
    missing: u64,
}

/// How many bodies are remembered; older ones are read again.
const BODIES_MAX: usize = 10_000;

impl<'a> Recovery<'a> {
    /// Starts on an empty broker.
    #[must_use]
    pub fn new(broker: &'a Broker) -> Self {
        broker
            .vhosts()
            .for_each(|vhost| vhost.topology.lock().is_recovering = true);
        let mut lines = HashMap::<_, Vec<LineId>>::new();
        for line in broker.core().paging.pages.lines() {
            lines.entry(line.queue).or_default().push(line);
        }
        Self {
            broker,
            queues: HashMap::new(),
            delays: HashMap::new(),
            sessions: HashMap::new(),
            bodies: HashMap::new(),
            open_commits: HashMap::new(),
            lines,
            missing: 0,
        }
    }

    /// Applies one record, which stands at `at` in the journal.
    ///
    /// # Errors
    /// When the record cannot be read: written by a newer version.
    pub fn apply(&mut self, record: Bytes, at: Lsn) -> Result<(), DecodeError> {
        match Role::of(record) {
            Role::Single(record) => {
                let entry = decode(record, self.broker.origins())?;
                self.apply_entry(entry, at);
            }
            Role::Part(commit, record) => {
                let entry = decode(record, self.broker.origins())?;
                self.apply_part(commit, entry, at);
            }
            Role::End(commit) => self.end_commit(commit),
        }
        Ok(())
    }

    /// Ends the recovery: takes page files over, sets timers. Returns how many messages could not
    /// be brought back because their bodies are gone; anything but 0 is damage.
    ///
    /// # Errors
    /// When page files lack what they must have.
    pub fn finish(mut self, now: Timestamp) -> Result<u64, PageError> {
        self.undo_open_commits();
        self.broker
            .vhosts()
            .for_each(|vhost| vhost.topology.lock().is_recovering = false);
        for queue in self.queues.values() {
            let lines = self.lines.remove(&queue.id).unwrap_or_default();
            queue.restore_cold(&lines)?;
            queue.touch(now, &mut Wakes::default());
        }
        self.delays.values().for_each(Delays::wake_up);
        let pages = &self.broker.core().paging.pages;
        let left = self.lines.into_values().flatten();
        left.for_each(|line| pages.drop_line(line));
        for session in self.sessions.values() {
            if let Some(vhost) = session.vhost() {
                match session.wait_for_return(now) {
                    Some(at) => vhost.set_session_timer(at, session),
                    None => vhost.end_session(now, session, &mut Wakes::default()),
                }
            }
        }
        Ok(self.missing)
    }

    fn apply_entry(&mut self, entry: Entry, at: Lsn) {
        match entry {
            Entry::Publish {
                queue,
                seq,
                qos,
                expires_at,
                matched,
                message,
            } => {
                let restored = Restored {
                    seq,
                    qos,
                    expires_at,
                    matched: matched.map(Arc::new),
                    body: at,
                };
                self.restore(queue, restored, Some(&message));
                if self.bodies.len() >= BODIES_MAX {
                    self.bodies.clear();
                }
                self.bodies.insert(at, Arc::downgrade(&message));
            }
            Entry::Enqueue {
                queue,
                seq,
                qos,
                expires_at,
                matched,
                body,
            } => {
                let restored = Restored {
                    seq,
                    qos,
                    expires_at,
                    matched: matched.map(Arc::new),
                    body,
                };
                self.restore(queue, restored, None);
            }
            Entry::Retained { vhost, message } => {
                if let Some(vhost) = self.broker.vhost(&vhost) {
                    vhost.retained.lock().put(&message);
                }
            }
            Entry::Received {
                session, packet_id, ..
            } => {
                if let Some(session) = self.sessions.get(&session) {
                    session.with(|state| state.received.insert(packet_id));
                }
            }
            Entry::Released {
                session, packet_id, ..
            } => {
                if let Some(session) = self.sessions.get(&session) {
                    session.with(|state| state.received.remove(&packet_id));
                }
            }
            other => self.apply_queue(other),
        }
    }

    fn apply_queue(&mut self, entry: Entry) {
        match entry {
            Entry::Settled { queue, seqs } => self.restore_settled(queue, &seqs),
            Entry::Paged {
                queue,
                priority,
                through,
                cost_bytes,
                body_bytes,
                wanted,
            } => {
                if let Some(queue) = self.queues.get(&queue) {
                    queue.restore_paged(priority, through, (cost_bytes, body_bytes), &wanted);
                }
            }
            Entry::PagesSettled {
                queue,
                priority,
                from,
                to,
            } => {
                let line = LineId { queue, priority };
                self.broker.core().paging.pages.settle(line, from, to);
            }
            Entry::QueuePosition { queue, first, next } => {
                self.restore_position(queue, first, next);
            }
            other => self.apply_topology(other),
        }
    }

    fn restore(&mut self, queue: QueueId, restored: Restored, message: Option<&Arc<Message>>) {
        let (seq, body) = (restored.seq, restored.body);
        let found = || message.map_or_else(|| self.body(body), |message| Some(Arc::clone(message)));
        let kept = self.queues.get(&queue).filter(|queue| queue.wants(seq));
        let delays = self.delays.get(&queue).filter(|delays| delays.wants(seq));
        let restore = |message: Arc<Message>| match (kept, delays) {
            (Some(queue), _) => queue.restore(restored, &message),
            (None, Some(delays)) => delays.restore(&restored, &message),
            (None, None) => {}
        };
        if kept.is_none() && delays.is_none() {
            return;
        }
        match found() {
            Some(message) => restore(message),
            None => self.missing += 1,
        }
    }

    fn restore_settled(&self, queue: QueueId, seqs: &[Seq]) {
        let lines = self.lines.get(&queue).map_or(&[][..], Vec::as_slice);
        if let Some(queue) = self.queues.get(&queue) {
            queue.restore_settled(lines, seqs);
        } else if let Some(delays) = self.delays.get(&queue) {
            delays.restore_settled(seqs);
        }
    }

    fn restore_position(&self, queue: QueueId, first: Seq, next: Seq) {
        if let Some(queue) = self.queues.get(&queue) {
            queue.restore_position(first, next);
        } else if let Some(delays) = self.delays.get(&queue) {
            delays.restore_position(next);
        }
    }

    /// The message whose record is at `at`: seen in this recovery, or still in the journal.
    fn body(&self, at: Lsn) -> Option<Arc<Message>> {
        if let Some(message) = self.bodies.get(&at).and_then(Weak::upgrade) {
            return Some(message);
        }
        match decode(self.broker.core().journal.read(at)?, self.broker.origins()) {
            Ok(Entry::Publish { message, .. }) => Some(message),
            _ => None,
        }
    }

    fn apply_topology(&mut self, entry: Entry) {
        match entry {
            Entry::ExchangeDeclared {
                vhost,
                name,
                kind,
                options,
                delays,
            } => {
                let ids = &self.broker.core().ids;
                delays.iter().for_each(|id| ids.skip(id.0));
                let Some(vhost) = self.broker.vhost(&vhost) else {
                    return;
                };
                let exchange = vhost.new_exchange(&name, kind, options, delays);
                if let Some(delays) = vhost.restore_exchange(exchange) {
                    self.delays.insert(delays.id, delays);
                }
            }
            Entry::ExchangeDeleted { vhost, name } => {
                self.in_vhost(&vhost, |vhost| {
                    vhost.change(&mut vhost.topology.lock(), |topology, table| {
                        vhost.remove_exchange(topology, table, &name);
                    });
                });
            }
            Entry::QueueDeclared {
                vhost,
                id,
                name,
                options,
            } => {
                self.broker.core().ids.skip(id.0);
                let Some(vhost) = self.broker.vhost(&vhost) else {
                    return;
                };
                if let Some(queue) = vhost.restore_queue(id, &name, options) {
                    self.queues.insert(id, queue);
                }
            }
            Entry::QueueDeleted { vhost, id } => {
                let (Some(vhost), Some(queue)) =
                    (self.broker.vhost(&vhost), self.queues.remove(&id))
                else {
                    return;
                };
                vhost.delete_exclusive_queue(&queue, &mut Wakes::default());
            }
            Entry::Bound {
                vhost,
                exchange,
                binding,
            } => self.in_vhost(&vhost, |vhost| {
                vhost.change(&mut vhost.topology.lock(), |topology, table| {
                    add_binding(topology, table, &exchange, binding);
                });
            }),
            Entry::Unbound {
                vhost,
                exchange,
                binding,
            } => self.in_vhost(&vhost, |vhost| {
                vhost.change(&mut vhost.topology.lock(), |topology, table| {
                    remove_binding(topology, table, &exchange, &binding);
                });
            }),
            other => self.apply_session(other),
        }
    }

    fn apply_session(&mut self, entry: Entry) {
        match entry {
            Entry::SessionOpened {
                vhost,
                id,
                queue,
                client_id,
                expiry_s,
            } => {
                self.broker.core().ids.skip(id.0.max(queue.0));
                let Some(vhost) = self.broker.vhost(&vhost) else {
                    return;
                };
                if let Some(session) = vhost.restore_session(id, queue, client_id, expiry_s) {
                    session.queue().into_iter().for_each(|queue| {
                        self.queues.insert(queue.id, Arc::clone(queue));
                    });
                    self.sessions.insert(id, session);
                }
            }
            Entry::SessionEnded { vhost, id } => {
                let (Some(vhost), Some(session)) =
                    (self.broker.vhost(&vhost), self.sessions.remove(&id))
                else {
                    return;
                };
                session.queue().into_iter().for_each(|queue| {
                    self.queues.remove(&queue.id);
                });
                vhost.drop_session(&session);
            }
            Entry::Subscribed {
                vhost,
                session,
                filter,
                options,
            } => {
                if let (Some(vhost), Some(session)) =
                    (self.broker.vhost(&vhost), self.sessions.get(&session))
                {
                    vhost.restore_subscription(session, &filter, options);
                }
            }
            Entry::Unsubscribed {
                vhost,
                session,
                filter,
            } => {
                if let (Some(vhost), Some(session)) =
                    (self.broker.vhost(&vhost), self.sessions.get(&session))
                {
                    session.with(|state| state.subscriptions.remove(&filter));
                    vhost.remove_subscription(session.subscriber.id, &filter);
                }
            }
            _ => {}
        }
    }

    fn in_vhost(&self, name: &Name, apply: impl FnOnce(&VHost)) {
        // A virtual host that the configuration no longer has: its entries are left alone.
        if let Some(vhost) = self.broker.vhost(name) {
            apply(vhost);
        }
    }
}

impl VHost {
    /// Brings an exchange back, unless it is there; returns where its messages wait, if they do.
    fn restore_exchange(&self, exchange: Exchange) -> Option<Arc<Delays>> {
        self.change(&mut self.topology.lock(), |_, table| {
            if table.exchanges.contains_key(&exchange.name) {
                return None;
            }
            let delays = exchange.delays().cloned();
            let name = exchange.name.clone();
            table.exchanges.insert(name, Arc::new(exchange));
            delays
        })
    }

    fn restore_queue(
        &self,
        id: QueueId,
        name: &Name,
        options: crate::queue::QueueOptions,
    ) -> Option<Arc<Queue>> {
        let mut topology = self.topology.lock();
        // A newer queue of that name is there already: this entry is older than the checkpoint.
        if self.queue(name).is_ok_and(|known| known.id >= id) {
            return None;
        }
        let policy = self.queue_policy(name, &options).unwrap_or_default();
        let store = self.core.store_for(true);
        let home = self.this.clone();
        let queue = Queue::new(id, name.clone(), options, policy, store, home);
        self.change(&mut topology, |topology, table| {
            insert_queue(topology, table, &queue);
        });
        Some(queue)
    }

    fn restore_session(
        &self,
        id: SessionId,
        queue: QueueId,
        client_id: Name,
        expiry_s: u32,
    ) -> Option<Arc<Session>> {
        let mut topology = self.topology.lock();
        if topology
            .sessions
            .get(&client_id)
            .is_some_and(|known| known.id >= id)
        {
            return None;
        }
        let limits = self.core.settings.session_queue_limits;
        let new = NewSession {
            id,
            queue,
            client_id,
            is_durable: true,
            limits,
        };
        let session = self.new_session(&mut topology, new);
        session.with(|state| state.expiry_s = expiry_s);
        Some(session)
    }

    fn restore_subscription(&self, session: &Session, filter: &Name, options: SubscriptionOptions) {
        if let Some(channels) = ChannelFilter::of_session(filter) {
            self.subscribe_channels(&session.subscriber, &[channels]);
            session.with(|state| state.subscriptions.insert(filter.clone(), options));
            return;
        }
        let Some((group, parsed)) = parse_subscription(filter) else {
            return;
        };
        match &group {
            Some(group) => self.join_group(group, &session.subscriber, &parsed, options),
            None => self.subscribe_filter(&session.subscriber, &parsed, options),
        }
        session.with(|state| state.subscriptions.insert(filter.clone(), options));
    }

    /// All durable things as entries, in an order in which they can be applied. Bodies stay in the
    /// journal, but for those below `copy_below`, which are written anew first. Returns the
    /// position from which on the journal is needed.
    pub(crate) fn checkpoint(&self, copy_below: Lsn, entry: &mut dyn FnMut(&Entry)) -> Lsn {
        let mut needed = copy_below;
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
        });
    }
}
