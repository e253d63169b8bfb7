//! MQTT sessions: what outlives a connection (MQTT 5.0 §4.1): subscriptions, messages that wait or
//! are under way, packet identifiers, the will.

mod exactly_once;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use crate::address::Address;
use crate::delivery::{Delivery, Source};
use crate::error::Error;
use crate::ids::{ConnectionId, ConsumerId, Seq, SessionId};
use crate::journal::{Entry, Lsn};
use crate::message::Message;
use crate::name::Name;
use crate::outbox::{Item, Outbox, OutboxLimits, Wakes};
use crate::queue::{Consumer, Credit, Queue};
use crate::subscriber::{Subscriber, SubscriptionOptions};
use crate::sync::{Mutex, Rank};
use crate::time::Timestamp;
use crate::vhost::VHost;

pub use exactly_once::{NoRoom, Recovered};

/// A session expiry interval that never ends `[MQTT-3.1.2-11]`.
pub const EXPIRY_NEVER_S: u32 = u32::MAX;

/// A will and its delay (MQTT 5.0 §3.1.2.5).
#[derive(Clone, Debug)]
pub struct Will {
    /// What is published.
    pub message: Arc<Message>,
    /// How long after the connection is lost, in seconds.
    pub delay_s: u32,
    /// How long it is of use once it is published, in seconds (MQTT 5.0 §3.1.3.2.4).
    pub expiry_s: Option<u32>,
}

impl Will {
    /// The message as it is published now.
    pub(crate) fn message_at(&self, now: Timestamp) -> Arc<Message> {
        let Some(expiry_s) = self.expiry_s else {
            return Arc::clone(&self.message);
        };
        let mut builder = self.message.to_builder();
        builder.expires_at = Some(now.plus_ms(u64::from(expiry_s) * 1000));
        builder.build()
    }
}

/// A message under way to the client, under a packet identifier.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The identifier; never 0.
    pub packet_id: u16,
    /// The message and its place in the session's queue.
    pub delivery: Delivery,
    /// Whether the client has received it (PUBREC) and only PUBREL and PUBCOMP remain.
    pub is_released: bool,
}

/// Retained values of a subscription that were still to be sent when the connection was lost.
#[derive(Clone, Debug)]
pub struct PausedWalk {
    /// The subscription.
    pub filter: Name,
    /// The last address that was looked at.
    pub after: Option<Address>,
}

/// What a session remembers.
#[derive(Debug, Default)]
pub struct SessionState {
    /// Subscriptions by filter, `$share/group/` included.
    pub subscriptions: BTreeMap<Name, SubscriptionOptions>,
    /// Messages under way, in the order they were first sent.
    pub outgoing: VecDeque<Outgoing>,
    /// Exchanges of QoS 2 that an earlier run of the gateway began.
    pub recovered: Recovered,
    /// QoS 2 packet identifiers received and not yet released.
    pub received: BTreeSet<u16>,
    /// Retained values to go on with at the next connection.
    pub paused_walks: Vec<PausedWalk>,
    /// The will of the present connection, or of the last while its delay runs.
    pub will: Option<Will>,
    /// How long the session outlives its connection, in seconds.
    pub expiry_s: u32,
    /// What it was given and has not settled returns to its queue with the connection's end: the
    /// next one is given it again.
    pub(crate) returns_unsettled: bool,
    consumer: Option<ConsumerId>,
    /// Of the connection that has the session.
    credit: Option<Arc<Credit>>,
    expires_at: Option<Timestamp>,
    will_at: Option<Timestamp>,
    is_ended: bool,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// The client's identifier.
    pub client_id: Name,
    /// Its receiving side: outbox and queue.
    pub subscriber: Arc<Subscriber>,
    /// Whether it is journalled: it was opened to outlive its connection.
    pub is_durable: bool,
    vhost: Weak<VHost>,
    state: Mutex<SessionState>,
}

/// A session to be made.
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) client_id: Name,
    pub(crate) is_durable: bool,
}

/// A session opened by a connection.
#[derive(Debug)]
pub struct SessionOpened {
    /// The session.
    pub session: Arc<Session>,
    /// Whether it was there before `[MQTT-3.2.2-2]`.
    pub is_present: bool,
    /// The credit of its queue: Receive Maximum less what is under way. Give back one per message
    /// that is acknowledged.
    pub credit: Arc<Credit>,
}

/// What became of something that a session was to note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Whether it was news.
    pub changed: bool,
    /// Where its record ends: an answer that promises to remember waits until this is durable.
    /// None in a session that ends with its connection.
    pub lsn: Option<Lsn>,
}

impl Session {
    pub(crate) fn new(new: NewSession, vhost: Weak<VHost>) -> Arc<Self> {
        Arc::new(Self {
            id: new.id,
            client_id: new.client_id,
            subscriber: Subscriber::live(Outbox::detached()),
            is_durable: new.is_durable,
            vhost,
            state: Mutex::new(Rank::Session, SessionState::default()),
        })
    }

    /// The virtual host, unless the broker is gone.
    #[must_use]
    pub fn vhost(&self) -> Option<Arc<VHost>> {
        self.vhost.upgrade()
    }

    /// Reads or changes what the session remembers. Only queues and outboxes may be called inside.
    pub fn with<R>(&self, use_state: impl FnOnce(&mut SessionState) -> R) -> R {
        use_state(&mut self.state.lock())
    }

    /// The queue of messages of QoS 1 and 2; none as long as a session that ends with its
    /// connection has not asked for such.
    #[must_use]
    pub fn queue(&self) -> Option<&Arc<Queue>> {
        self.subscriber.queue.get()
    }

    /// Gives it its queue, which is new and empty.
    pub(crate) fn set_queue(&self, queue: Arc<Queue>) -> Result<(), Error> {
        let mut state = self.state.lock();
        let queue = self.subscriber.queue.get_or_init(|| queue);
        match state.credit.clone() {
            // With nothing in it there is nobody to wake, and no time to look at.
            Some(credit) if state.consumer.is_none() => {
                let consumer = self.consumer(&mut state, credit);
                queue.consume(Timestamp(0), consumer, &mut Wakes::default())
            }
            _ => Ok(()),
        }
    }

    /// Notes a QoS 2 packet identifier as received `[MQTT-4.3.3-10]`. Unchanged when it already
    /// was: the message is a repetition, and must not be published again.
    pub fn receive(&self, packet_id: u16) -> Noted {
        let changed = self.with(|state| state.received.insert(packet_id));
        let lsn = changed.then(|| {
            self.journal(packet_id, |vhost, session, packet_id| Entry::Received {
                vhost,
                session,
                packet_id,
            })
        });
        Noted {
            changed,
            lsn: lsn.flatten(),
        }
    }

    /// Forgets a received packet identifier (PUBREL) `[MQTT-4.3.3-12]`; unchanged when it was
    /// unknown.
    pub fn release(&self, packet_id: u16) -> Noted {
        let changed = self.with(|state| state.received.remove(&packet_id));
        let lsn = changed.then(|| {
            self.journal(packet_id, |vhost, session, packet_id| Entry::Released {
                vhost,
                session,
                packet_id,
            })
        });
        Noted {
            changed,
            lsn: lsn.flatten(),
        }
    }

    /// Where the journal ends now for this session, so that an answer can wait for it.
    fn journal(
        &self,
        packet_id: u16,
        entry: impl FnOnce(Name, SessionId, u16) -> Entry,
    ) -> Option<Lsn> {
        let vhost = self.vhost.upgrade().filter(|_| self.is_durable)?;
        Some(vhost.append_from_reserve(&entry(vhost.name.clone(), self.id, packet_id)))
    }

    /// Makes this connection the session's own, taking it over from any other.
    pub(crate) fn attach(
        self: &Arc<Self>,
        now: Timestamp,
        connection: ConnectionId,
        limits: OutboxLimits,
        receive_max: u16,
        wakes: &mut Wakes,
    ) -> Result<Arc<Credit>, Error> {
        let mut state = self.state.lock();
        self.stop_consuming(&mut state, now, wakes);
        self.subscriber.outbox.attach(connection, limits);
        (state.expires_at, state.will_at) = (None, None);
        let under_way = state.outgoing.len() + state.recovered.released.len();
        let credit = Credit::with_outstanding(receive_max.max(1).into(), under_way);
        state.credit = Some(Arc::clone(&credit));
        if let Some(queue) = self.queue() {
            let consumer = self.consumer(&mut state, Arc::clone(&credit));
            queue.consume(now, consumer, wakes)?;
        }
        Ok(credit)
    }

    /// The connection as the consumer of the queue.
    fn consumer(&self, state: &mut SessionState, credit: Arc<Credit>) -> Consumer {
        let id = ConsumerId::unique();
        state.consumer = Some(id);
        Consumer {
            id,
            outbox: Arc::clone(&self.subscriber.outbox),
            token: 0,
            acknowledges: true,
            exclusive: false,
            priority: 0,
            credit,
            shared_credit: None,
        }
    }

    /// Ends the connection's hold, if it still has it. Returns false when it was taken over.
    pub(crate) fn detach(
        self: &Arc<Self>,
        now: Timestamp,
        connection: ConnectionId,
        wakes: &mut Wakes,
    ) -> bool {
        let mut state = self.state.lock();
        if self.subscriber.outbox.owner() != Some(connection) {
            return false;
        }
        self.stop_consuming(&mut state, now, wakes);
        self.subscriber.outbox.detach(connection);
        true
    }

    /// Cancels the consumer and takes back what it was given but has not begun to send.
    fn stop_consuming(&self, state: &mut SessionState, now: Timestamp, wakes: &mut Wakes) {
        state.credit = None;
        let Some(queue) = self.queue() else { return };
        let consumer = state.consumer.take();
        if let Some(consumer) = consumer {
            queue.cancel(now, consumer, wakes);
        }
        let unsent = self.subscriber.outbox.drain_queue_deliveries();
        let seqs = unsent.iter().filter_map(seq_of).collect::<Vec<_>>();
        queue.untake(now, &seqs, wakes);
        if let Some(consumer) = consumer.filter(|_| state.returns_unsettled) {
            queue.release(now, consumer, wakes);
        }
    }

    /// Sets what happens when the connection does not come back: the will after its delay, the
    /// session's end after its expiry. Returns when to look again, or none when it ends now.
    pub(crate) fn wait_for_return(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state.lock();
        if state.expiry_s == 0 {
            return None;
        }
        let expiry_ms = u64::from(state.expiry_s) * 1000;
        state.expires_at = (state.expiry_s != EXPIRY_NEVER_S).then(|| now.plus_ms(expiry_ms));
        let delay_ms = state
            .will
            .as_ref()
            .map(|will| u64::from(will.delay_s) * 1000);
        state.will_at = delay_ms.map(|delay_ms| {
            let latest = state.expires_at.unwrap_or(Timestamp(u64::MAX));
            now.plus_ms(delay_ms).min(latest)
        });
        state
            .will_at
            .into_iter()
            .chain(state.expires_at)
            .min()
            .or(Some(Timestamp(u64::MAX)))
    }

    /// What is due by now: a will to publish, whether the session has expired, and when to look
    /// again.
    pub(crate) fn due(&self, now: Timestamp) -> Due {
        let mut state = self.state.lock();
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut due = Due {
            has_expired: is_due(state.expires_at),
            ..Due::default()
        };
        if is_due(state.will_at) {
            state.will_at = None;
            due.will = state.will.take();
        }
        if !due.has_expired {
            due.next_at = state.will_at.into_iter().chain(state.expires_at).min();
        }
        due
    }

    /// Marks it ended; none when it already was.
    pub(crate) fn end(&self) -> Option<Ended> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.is_ended, true) {
            return None;
        }
        let begun = state
            .outgoing
            .iter()
            .filter_map(|sent| match &sent.delivery.source {
                Source::Queue(from) => Some(from.seq),
                Source::Subscription(_) => None,
            });
        let begun = begun.collect();
        Some(Ended {
            subscriptions: std::mem::take(&mut state.subscriptions),
            begun,
            will: state.will.take(),
        })
    }

    /// Whether its client is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.subscriber.outbox.owner().is_some()
    }
}

/// What an ended session leaves.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) subscriptions: BTreeMap<Name, SubscriptionOptions>,
    /// Messages that were being sent.
    pub(crate) begun: BTreeSet<Seq>,
    /// Its will, if it is still to be sent.
    pub(crate) will: Option<Will>,
}

/// What [`Session::due`] found.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) will: Option<Will>,
    pub(crate) has_expired: bool,
    pub(crate) next_at: Option<Timestamp>,
}

fn seq_of(item: &Item) -> Option<Seq> {
    match item {
        Item::Delivery(Delivery {
            source: Source::Queue(from),
            ..
        }) => Some(from.seq),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;
    use crate::vhost::OpenSession;

    fn session(broker: &Broker, expiry_s: u32) -> Arc<Session> {
        let open = OpenSession {
            client_id: "c".into(),
            connection: ConnectionId::unique(),
            clean_start: true,
            expiry_s,
            will: None,
            outbox_limits: OutboxLimits::default(),
            queue_limits: None,
            receive_max: 1,
        };
        let vhost = broker.vhost("/").unwrap();
        vhost
            .open_session(Timestamp(0), &open, &mut Wakes::default())
            .unwrap()
            .session
    }

    #[test]
    fn a_packet_identifier_is_noted_once_and_its_record_can_be_waited_for() {
        let broker = Broker::in_memory(vec![]);
        let durable = session(&broker, 60);
        let received = durable.receive(7);
        assert!(received.changed && received.lsn.is_some());
        assert_eq!(
            durable.receive(7),
            Noted {
                changed: false,
                lsn: None
            }
        );
        let released = durable.release(7);
        assert!(released.changed && released.lsn > received.lsn);
        assert_eq!(
            durable.release(7),
            Noted {
                changed: false,
                lsn: None
            }
        );
    }

    #[test]
    fn a_will_expires_after_it_is_published_not_after_connect() {
        static ORIGIN: crate::Origin = crate::Origin {
            tag: 0,
            name: "test",
            decode: |_| crate::Properties::default(),
        };
        let address = Address::new("a".into());
        let message =
            crate::MessageBuilder::new(address, "amq.topic".into(), "x".into(), &ORIGIN).build();
        let will = |expiry_s| Will {
            message: Arc::clone(&message),
            delay_s: 0,
            expiry_s,
        };
        let published = will(Some(5)).message_at(Timestamp(60_000));
        assert_eq!(published.expires_at, Some(Timestamp(65_000)));
        assert_eq!(will(None).message_at(Timestamp(60_000)).expires_at, None);
    }

    #[test]
    fn a_session_that_ends_with_its_connection_leaves_no_records() {
        let broker = Broker::in_memory(vec![]);
        let transient = session(&broker, 0);
        assert_eq!(
            transient.receive(7),
            Noted {
                changed: true,
                lsn: None
            }
        );
        assert_eq!(
            transient.release(7),
            Noted {
                changed: true,
                lsn: None
            }
        );
    }
}
