//! From entries back to a virtual host, and from a virtual host to the entries of a checkpoint.
//!
//! Entries are applied in journal order on top of a checkpoint that may be newer than they are:
//! each knows from identities and sequence numbers whether it has been applied already.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::exchanges::{add_binding, remove_binding};
use super::queues::insert_queue;
use super::{ChannelFilter, VHost, parse_subscription};
use crate::broker::Broker;
use crate::delay::Delays;
use crate::exchange::Exchange;
use crate::ids::{QueueId, Seq, SessionId};
use crate::journal::{DecodeError, Entry, Lsn, decode, place_of};
use crate::message::Message;
use crate::name::Name;
use crate::outbox::Wakes;
use crate::pages::{LineId, PageError};
use crate::queue::{Queue, Restored};
use crate::session::NewSession;
use crate::session::{Session, SessionState, Will};
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
    bodies: HashMap<Lsn, Weak<Message>, foldhash::fast::RandomState>,
    /// How far queues are in their page files when all is applied, as far as that is known: what
    /// lies there need not be brought back before.
    in_pages: HashMap<QueueId, Seq, foldhash::fast::RandomState>,
    /// The page files of queues that there were.
    lines: HashMap<QueueId, Vec<LineId>>,
    /// Messages that clients have received, and that were not in their queue yet when that was
    /// read.
    received: Vec<(QueueId, Seq)>,
    /// Wills by session, durable or not.
    wills: HashMap<SessionId, (Name, Will)>,
    /// Messages that are named but whose bodies could not be read.
    missing: u64,
    /// The last run ended by its own will.
    was_clean: bool,
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
            bodies: HashMap::default(),
            in_pages: HashMap::default(),
            lines,
            received: Vec::new(),
            wills: HashMap::new(),
            missing: 0,
            was_clean: false,
        }
    }

    /// The last run ended cleanly: nothing was handed out after the checkpoint was written.
    pub const fn was_clean(&mut self) {
        self.was_clean = true;
    }

    /// Looks at a record that [`Recovery::apply`] is going to get: one that
    /// [`crate::journal::tells_of_pages`]. Without it, messages are brought back to memory first
    /// that turn out to be in page files.
    ///
    /// # Errors
    /// As [`Recovery::apply`].
    pub fn foresee(&mut self, record: Bytes) -> Result<(), DecodeError> {
        let entry = decode(record, self.broker.origins())?;
        if let Entry::Paged {
            queue,
            priority: 0,
            through,
            ..
        } = entry
        {
            let known = self.in_pages.entry(queue).or_insert(through);
            *known = through.max(*known);
        }
        Ok(())
    }

    /// Applies one record, which stands at `at` in the journal.
    ///
    /// # Errors
    /// When the record cannot be read: written by a newer version.
    pub fn apply(&mut self, record: Bytes, at: Lsn) -> Result<(), DecodeError> {
        if place_of(&record).is_some_and(|(queue, seq)| self.is_in_pages(queue, seq)) {
            return Ok(());
        }
        let entry = decode(record, self.broker.origins())?;
        self.apply_entry(entry, at);
        Ok(())
    }

    /// Ends the recovery: takes page files over, sets timers. Returns how many messages could not
    /// be brought back because their bodies are gone; anything but 0 is damage.
    ///
    /// # Errors
    /// When page files lack what they must have.
    pub fn finish(mut self, now: Timestamp) -> Result<u64, PageError> {
        self.broker
            .vhosts()
            .for_each(|vhost| vhost.topology.lock().is_recovering = false);
        for (queue, seq) in std::mem::take(&mut self.received) {
            self.restore_settled(queue, &[seq]);
        }
        for queue in self.queues.values() {
            let lines = self.lines.remove(&queue.id).unwrap_or_default();
            queue.restore_cold(&lines)?;
            queue.restore_delivered(self.was_clean);
            queue.touch(now, &mut Wakes::default());
        }
        self.delays.values().for_each(Delays::wake_up);
        let pages = &self.broker.core().paging.pages;
        let left = std::mem::take(&mut self.lines).into_values().flatten();
        left.for_each(|line| pages.drop_line(line));
        self.restore_wills(now);
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
            Entry::QueuePosition {
                queue,
                first,
                next,
                delivered,
            } => {
                if let Some(queue) = self.queues.get(&queue) {
                    queue.restore_position(first, next, delivered);
                } else if let Some(delays) = self.delays.get(&queue) {
                    delays.restore_position(next);
                }
            }
            Entry::Noted { queue, seq, at } => {
                if let Some(queue) = self.queues.get(&queue) {
                    queue.restore_noted(seq, at);
                }
            }
            other => self.apply_topology(other),
        }
    }

    /// Whether a message is in page files for certain. Only for queues with one line: of others it
    /// is not known without the message in which it is.
    fn is_in_pages(&self, queue: QueueId, seq: Seq) -> bool {
        let through = self.in_pages.get(&queue);
        through.is_some_and(|through| seq <= *through)
            && self
                .queues
                .get(&queue)
                .is_some_and(|queue| queue.may_page(seq))
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
            other => self.apply_exchange(other),
        }
    }

    /// Packets between a session's client and the gateway, and its will.
    fn apply_exchange(&mut self, entry: Entry) {
        match entry {
            Entry::Received {
                session, packet_id, ..
            } => self.in_session(session, |state| {
                state.received.insert(packet_id);
            }),
            Entry::Released {
                session, packet_id, ..
            } => self.in_session(session, |state| {
                state.received.remove(&packet_id);
            }),
            Entry::Sent { session, sent, .. } => self.in_session(session, |state| {
                state.recovered.restore_sent(&sent);
            }),
            Entry::SentReceived {
                session,
                packet_id,
                seq,
                ..
            } => {
                self.in_session(session, |state| {
                    state.recovered.restore_received(packet_id, seq);
                });
                self.restore_received(session, seq);
            }
            Entry::SentDone {
                session, packet_id, ..
            } => self.in_session(session, |state| state.recovered.restore_done(packet_id)),
            Entry::WillSet {
                vhost,
                session,
                will,
            } => {
                self.broker.core().ids.skip(session.0);
                self.wills.insert(session, (vhost, will));
            }
            Entry::WillCleared { session, .. } => {
                self.wills.remove(&session);
            }
            _ => {}
        }
    }

    fn in_session(&self, id: SessionId, apply: impl FnOnce(&mut SessionState)) {
        if let Some(session) = self.sessions.get(&id) {
            session.with(apply);
        }
    }

    /// A message that its client has received leaves its queue. In a checkpoint this stands before
    /// the queue's messages: then it is done at the end.
    fn restore_received(&mut self, session: SessionId, seq: Seq) {
        let queue = self.sessions.get(&session);
        let Some(queue) = queue.and_then(|session| session.queue()) else {
            return;
        };
        if queue.wants(seq) {
            self.received.push((queue.id, seq));
        } else {
            self.restore_settled(queue.id, &[seq]);
        }
    }

    /// Every connection was lost with the earlier run. The will of a session that goes on waits
    /// for its delay; others are published.
    fn restore_wills(&mut self, now: Timestamp) {
        for (id, (vhost, will)) in std::mem::take(&mut self.wills) {
            if let Some(session) = self.sessions.get(&id) {
                session.with(|state| state.will = Some(will));
            } else if let Some(vhost) = self.broker.vhost(&vhost) {
                vhost.publish_will(now, id, &will, &mut Wakes::default());
            }
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
        let new = NewSession {
            id,
            client_id,
            is_durable: true,
        };
        let session = self.new_session(&mut topology, new);
        self.give_queue(&mut topology, &session, queue, None).ok()?;
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
}
