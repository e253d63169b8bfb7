//! MQTT sessions of a virtual host.

use std::sync::Arc;

use bytes::Bytes;

use super::{ChannelFilter, Topology, VHost};
use crate::delivery::{Matched, Source};
use crate::error::Error;
use crate::ids::{ConnectionId, ConsumerId, QueueId, SessionId, SubscriberId};
use crate::journal::{Appended, Entry, Lsn, Urgency};
use crate::message::QoS;
use crate::name::Name;
use crate::outbox::{OutboxLimits, Wakes};
use crate::queue::{Queue, QueueLimits, QueueOptions};
use crate::session::{Ended, NewSession, Session, SessionOpened, Will};
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;
use crate::timer::Due;
use crate::topic::TopicFilter;

/// What a CONNECT asks of its session.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// The client's identifier, never empty.
    pub client_id: Name,
    /// The connection.
    pub connection: ConnectionId,
    /// Whether to begin anew.
    pub clean_start: bool,
    /// How long the session outlives the connection, in seconds;
    /// [`crate::session::EXPIRY_NEVER_S`] for ever.
    pub expiry_s: u32,
    /// The will of this connection.
    pub will: Option<Will>,
    /// Limits of the outbox.
    pub outbox_limits: OutboxLimits,
    /// Limits of the queue of a new session that is to last; none are those of all sessions,
    /// [`crate::Settings::session_queue_limits`].
    pub queue_limits: Option<QueueLimits>,
    /// How many messages of QoS 1 and 2 the client takes unacknowledged, at least 1.
    pub receive_max: u16,
}

/// How a connection leaves its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseSession {
    /// Whether the will is to be sent: the connection was not ended by a normal DISCONNECT.
    pub keep_will: bool,
    /// A new expiry interval in seconds, if the client gave one `[MQTT-3.14.2-2]`.
    pub expiry_s: Option<u32>,
}

/// Sessions of a virtual host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// All of them.
    pub all: usize,
    /// Those whose client is connected.
    pub connected: usize,
}

/// The session that a CONNECT gets.
struct FoundSession {
    session: Arc<Session>,
    /// Whether it was there before.
    is_present: bool,
    /// The one that a clean start leaves behind.
    left: Option<Arc<Session>>,
}

impl VHost {
    /// Opens a session: takes over the one of that client, or makes a new one. A connection that
    /// had it finds out by its outbox.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the session would outlive its connection and the disk has no room for
    /// that; [`Error::NotFound`] if its queue is being deleted.
    pub fn open_session(
        &self,
        now: Timestamp,
        open: &OpenSession,
        wakes: &mut Wakes,
    ) -> Result<SessionOpened, Error> {
        let FoundSession {
            session,
            is_present,
            left,
        } = {
            let mut topology = self.topology.lock();
            self.session_for(&mut topology, open)?
        };
        if let Some(left) = left {
            self.finish_session(now, &left, wakes);
        }
        let (former_will, had_will) = session.with(|state| {
            let has_owner = session.subscriber.outbox.owner().is_some();
            state.expiry_s = open.expiry_s;
            let former = std::mem::replace(&mut state.will, open.will.clone());
            let had_will = former.is_some();
            // A resumed session cancels a delayed will `[MQTT-3.1.3-9]`, but a will without delay
            // of a connection that is taken over is sent.
            let former = former.filter(|will| is_present && has_owner && will.delay_s == 0);
            (former, had_will)
        });
        if let Some(will) = former_will {
            self.publish_will(now, session.id, &will, wakes);
        } else if had_will {
            self.note_no_will(session.id);
        }
        if let Some(will) = &open.will {
            let (vhost, session, will) = (self.name.clone(), session.id, will.clone());
            let entry = Entry::WillSet {
                vhost,
                session,
                will,
            };
            self.append(&entry, Urgency::Lazy);
        }
        let credit = session.attach(
            now,
            open.connection,
            open.outbox_limits,
            open.receive_max,
            wakes,
        )?;
        Ok(SessionOpened {
            session,
            is_present,
            credit,
        })
    }

    /// Gives a session up at the end of a connection. Nothing happens when it was taken over.
    pub fn close_session(
        &self,
        now: Timestamp,
        session: &Arc<Session>,
        connection: ConnectionId,
        close: CloseSession,
        wakes: &mut Wakes,
    ) {
        if !session.detach(now, connection, wakes) {
            return;
        }
        let cancelled = session.with(|state| {
            state.expiry_s = close.expiry_s.unwrap_or(state.expiry_s);
            state.will.take_if(|_| !close.keep_will)
        });
        if cancelled.is_some() {
            self.note_no_will(session.id);
        }
        match session.wait_for_return(now) {
            None => self.end_session(now, session, wakes),
            Some(at) => self.set_session_timer(at, session),
        }
    }

    /// Ends a session at once, whoever has it: an administrator wants it gone.
    pub fn end_session(&self, now: Timestamp, session: &Arc<Session>, wakes: &mut Wakes) {
        let forgotten = self.forget_session(&mut self.topology.lock(), session);
        if forgotten {
            self.finish_session(now, session, wakes);
        }
    }

    /// The session of that client.
    #[must_use]
    pub fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.topology.lock().sessions.get(client_id).cloned()
    }

    /// How many sessions there are, and how many of them are connected.
    #[must_use]
    pub fn session_counts(&self) -> SessionCounts {
        let topology = self.topology.lock();
        let connected = topology
            .sessions
            .values()
            .filter(|session| session.is_connected());
        SessionCounts {
            all: topology.sessions.len(),
            connected: connected.count(),
        }
    }

    /// How many messages wait in sessions' queues or are retained, and what the retained ones take
    /// in bytes.
    #[must_use]
    pub fn stored(&self) -> (usize, usize) {
        let topology = self.topology.lock();
        let queues = topology
            .sessions
            .values()
            .filter_map(|session| session.queue());
        let waiting: usize = queues.map(|queue| queue.status().messages).sum();
        drop(topology);
        (waiting + self.retained_count(), self.retained_bytes())
    }

    /// How many sessions there are, connected or not.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.topology.lock().sessions.len()
    }

    /// Subscribes a session. `filter` is the text as subscribed, with any `$share/group/`;
    /// `parsed` and `group` its parts. Returns whether the subscription was there before, and
    /// where its record ends.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is to outlive the connection and the disk has no room for that.
    pub fn subscribe(
        &self,
        session: &Session,
        filter: &Name,
        parsed: &TopicFilter,
        group: Option<&Name>,
        options: SubscriptionOptions,
    ) -> Result<(bool, Option<Lsn>), Error> {
        self.check_room(session.is_durable)?;
        if options.qos > QoS::AtMostOnce && session.queue().is_none() {
            let id = QueueId(self.core.ids.next());
            self.give_queue(&mut self.topology.lock(), session, id, None)?;
        }
        match group {
            Some(group) => self.join_group(group, &session.subscriber, parsed, options),
            None => self.subscribe_filter(&session.subscriber, parsed, options),
        }
        let existed = session
            .with(|state| state.subscriptions.insert(filter.clone(), options))
            .is_some();
        let entry = Entry::Subscribed {
            vhost: self.name.clone(),
            session: session.id,
            filter: filter.clone(),
            options,
        };
        let lsn = session.is_durable.then(|| self.append_from_reserve(&entry));
        Ok((existed, lsn))
    }

    /// Ends a session's subscription; returns whether it was there, and where the record ends.
    pub fn unsubscribe(&self, session: &Session, filter: &Name) -> (bool, Option<Lsn>) {
        let existed = session
            .with(|state| state.subscriptions.remove(filter))
            .is_some();
        self.remove_subscription(session.subscriber.id, filter);
        let entry = Entry::Unsubscribed {
            vhost: self.name.clone(),
            session: session.id,
            filter: filter.clone(),
        };
        let journalled = existed && session.is_durable;
        (
            existed,
            journalled.then(|| self.append_from_reserve(&entry)),
        )
    }

    /// Looks at a session whose time has come.
    pub(crate) fn session_due(&self, now: Timestamp, session: &Arc<Session>, wakes: &mut Wakes) {
        let due = session.due(now);
        if let Some(will) = due.will {
            self.publish_will(now, session.id, &will, wakes);
        }
        if due.has_expired {
            self.core.counters.session_expired();
            self.end_session(now, session, wakes);
        } else if let Some(at) = due.next_at {
            self.set_session_timer(at, session);
        }
    }

    pub(super) fn set_session_timer(&self, at: Timestamp, session: &Arc<Session>) {
        if at < Timestamp(u64::MAX) {
            self.core
                .timers
                .set(at, Due::Session(Arc::downgrade(session)));
        }
    }

    /// The session to use: the one that is there, or a new one.
    fn session_for(
        &self,
        topology: &mut Topology,
        open: &OpenSession,
    ) -> Result<FoundSession, Error> {
        let existing = topology.sessions.get(&open.client_id).cloned();
        let wants_durable = open.expiry_s > 0;
        let left = match existing {
            Some(session) if !open.clean_start && (session.is_durable || !wants_durable) => {
                return Ok(FoundSession {
                    session,
                    is_present: true,
                    left: None,
                });
            }
            other => {
                self.check_room(wants_durable)?;
                other.filter(|session| self.forget_session(topology, session))
            }
        };
        let id = SessionId(self.core.ids.next());
        let session = self.new_session(
            topology,
            NewSession {
                id,
                client_id: open.client_id.clone(),
                is_durable: wants_durable,
            },
        );
        if wants_durable {
            let queue = QueueId(self.core.ids.next());
            self.give_queue(topology, &session, queue, open.queue_limits)?;
            let entry = Entry::SessionOpened {
                vhost: self.name.clone(),
                id,
                queue,
                client_id: open.client_id.clone(),
                expiry_s: open.expiry_s,
            };
            self.append_from_reserve(&entry);
        }
        Ok(FoundSession {
            session,
            is_present: false,
            left,
        })
    }

    pub(super) fn new_session(&self, topology: &mut Topology, new: NewSession) -> Arc<Session> {
        let session = Session::new(new, self.this.clone());
        let by_name = &mut topology.sessions;
        by_name.insert(session.client_id.clone(), Arc::clone(&session));
        topology
            .sessions_by_id
            .insert(session.id, Arc::clone(&session));
        session
    }

    /// Gives a session its queue, unless it has one or is over.
    pub(super) fn give_queue(
        &self,
        topology: &mut Topology,
        session: &Session,
        id: QueueId,
        limits: Option<QueueLimits>,
    ) -> Result<(), Error> {
        if session.queue().is_some() || !topology.sessions_by_id.contains_key(&session.id) {
            return Ok(());
        }
        let options = QueueOptions {
            durable: session.is_durable,
            ..QueueOptions::default()
        };
        let store = self.core.store_for(session.is_durable);
        let (name, home) = (session.client_id.clone(), self.this.clone());
        let limits = limits.unwrap_or(self.core.settings.session_queue_limits);
        let queue = Queue::new(id, name, options, limits.into(), store, home);
        topology.queues_by_id.insert(queue.id, Arc::clone(&queue));
        session.set_queue(queue)
    }

    /// Takes a session out of the books; false when it was not in them.
    fn forget_session(&self, topology: &mut Topology, session: &Arc<Session>) -> bool {
        if topology.sessions_by_id.remove(&session.id).is_none() {
            return false;
        }
        topology.sessions.remove(&session.client_id);
        if let Some(queue) = session.queue() {
            topology.queues_by_id.remove(&queue.id);
        }
        if session.is_durable {
            let entry = Entry::SessionEnded {
                vhost: self.name.clone(),
                id: session.id,
            };
            self.append(&entry, Urgency::Sync);
        }
        true
    }

    /// Ends what a forgotten session still has: subscriptions, queue, will, connection.
    fn finish_session(&self, now: Timestamp, session: &Arc<Session>, wakes: &mut Wakes) {
        let Some(ended) = session.end() else {
            return;
        };
        for filter in ended.subscriptions.keys() {
            self.remove_subscription(session.subscriber.id, filter);
        }
        if let Some(queue) = session.queue() {
            self.pass_on_shared(now, &ended, queue, wakes);
            queue.delete(wakes);
        }
        if let Some(owner) = session.subscriber.outbox.owner() {
            session.subscriber.outbox.detach(owner);
        }
        if let Some(will) = ended.will {
            self.publish_will(now, session.id, &will, wakes);
        }
    }

    /// Publishes a will, once: what it led to and its end are journalled together.
    pub(super) fn publish_will(
        &self,
        now: Timestamp,
        session: SessionId,
        will: &Will,
        wakes: &mut Wakes,
    ) {
        let _group = self.core.group();
        self.publish(now, &will.message_at(now), wakes);
        self.note_no_will(session);
    }

    fn note_no_will(&self, session: SessionId) {
        let vhost = self.name.clone();
        let entry = Entry::WillCleared { vhost, session };
        // Nobody waits for it, but a crash after a goodbye should not publish the will.
        let end = self.append(&entry, Urgency::Sync);
        if end == Appended::REFUSED.end {
            self.append(&entry, Urgency::Lazy);
        }
    }

    /// Gives messages of shared subscriptions that the session has not acknowledged to other
    /// members, but for those of QoS 2 that were being sent `[MQTT-4.8.2-5]`.
    ///
    /// Which subscription a message came by is told by what it matched. Where a plain one of the
    /// same options matches as well that is not known, and a message of QoS 2 is not passed on.
    fn pass_on_shared(&self, now: Timestamp, ended: &Ended, queue: &Arc<Queue>, wakes: &mut Wakes) {
        let parsed = ended.subscriptions.iter().filter_map(|(filter, options)| {
            let (group, filter) = parse_subscription(filter)?;
            Some((group, filter, Matched::of_subscription(options)))
        });
        let (shared, plain): (Vec<_>, Vec<_>) = parsed.partition(|(group, ..)| group.is_some());
        if shared.is_empty() {
            return;
        }
        let reader = ConsumerId::unique();
        let mut left = queue.unsettled_deliveries();
        left.extend(std::iter::from_fn(|| queue.get(now, reader, true)).map(|(next, _)| next));
        for delivery in left {
            let Source::Queue(from) = &delivery.source else {
                continue;
            };
            let message = &delivery.message;
            let fits = |(_, filter, matched): &&(Option<Name>, TopicFilter, Arc<Matched>)| {
                from.matched.as_ref() == Some(matched) && filter.matches(&message.address)
            };
            let is_doubtful = plain.iter().any(|candidate| fits(&candidate));
            let is_bound = ended.begun.contains(&from.seq) || is_doubtful;
            if let Some((Some(group), filter, _)) = shared.iter().find(fits)
                && !(from.qos == QoS::ExactlyOnce && is_bound)
            {
                self.pass_on(now, group, filter, message, wakes);
            }
        }
    }

    /// Takes a session away without a trace in the journal: it is already there.
    pub(super) fn drop_session(&self, session: &Arc<Session>) {
        let mut topology = self.topology.lock();
        topology.sessions_by_id.remove(&session.id);
        topology.sessions.remove(&session.client_id);
        session.queue().into_iter().for_each(|queue| {
            topology.queues_by_id.remove(&queue.id);
        });
        drop(topology);
        let ended = session.end();
        for filter in ended.iter().flat_map(|ended| ended.subscriptions.keys()) {
            self.remove_subscription(session.subscriber.id, filter);
        }
    }

    pub(super) fn remove_subscription(&self, subscriber: SubscriberId, filter: &Name) {
        if let Some(channels) = ChannelFilter::of_session(filter) {
            return self.unsubscribe_channels(subscriber, &[channels]);
        }
        let Some((group, parsed)) = parse_subscription(filter) else {
            return;
        };
        match group {
            Some(group) => self.leave_group(&group, subscriber, &parsed),
            None => self.unsubscribe_filter(subscriber, &parsed),
        };
    }
}

/// Splits a subscription's text into the group that shares it, if any, and the filter
/// `[MQTT-4.8.2-1]`; none when it is malformed.
#[must_use]
pub fn parse_subscription(text: &str) -> Option<(Option<Name>, TopicFilter)> {
    let parse = |filter: &str| TopicFilter::parse(Bytes::copy_from_slice(filter.as_bytes())).ok();
    let Some(shared) = text.strip_prefix("$share/") else {
        return Some((None, parse(text)?));
    };
    let (group, filter) = shared.split_once('/')?;
    let is_name = !group.is_empty() && !group.contains(['+', '#']);
    is_name.then(|| parse(filter).map(|filter| (Some(group.into()), filter)))?
}
