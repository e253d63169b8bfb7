//! What the channels of one connection share: the virtual host, the way into the core, who is
//! asking, and what is gathered while a batch of input is handled.

use std::{collections::HashMap, sync::Arc};

use routing::{
    Access, ConnectionId, ConsumerId, Credit, Exchange, ExchangeKind, Identity, Name, Outbox,
    Publisher, Queue, QueueId, Seq, Timestamp, VHost, error::Kind, journal::Appended,
    queue::Settlement,
};

use crate::{
    error::Refused,
    settings::Settings,
    translate,
    wire::{frame::ChannelId, settle::Verdict},
};

/// Answers of the permission patterns that are remembered; beyond it the memory starts over.
const PERMISSIONS_MAX: usize = 1024;
/// The name by which permissions know the default exchange.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// A map without protection against chosen keys: all keys are ours or bounded in number.
pub(super) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The key of a consumer within its connection: what the core returns with each delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(pub(super) u64);

/// A consumer of a channel.
#[derive(Debug)]
pub(super) struct ActiveConsumer {
    pub(super) id: ConsumerId,
    pub(super) channel: ChannelId,
    pub(super) tag: Name,
    pub(super) queue: Arc<Queue>,
    pub(super) credit: Arc<Credit>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connection: ConnectionId,
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) vhost: Arc<VHost>,
    pub(super) identity: Arc<Identity>,
    pub(super) publisher: Publisher,
    /// Bytes of a frame with overhead; 0 is no limit.
    pub(super) frame_max: u32,
    pub(super) consumers: FastMap<Token, ActiveConsumer>,
    /// Queues that end with this connection.
    pub(super) exclusive_queues: FastMap<QueueId, Arc<Queue>>,
    pub(super) settlements: Settlements,
    /// Channels with publishes that are not confirmed yet, or a commit or a declaration that is not
    /// durable yet.
    pub(super) awaiting: Vec<ChannelId>,
    /// Whether any of them holds answers about topology.
    pub(super) is_holding: bool,
    /// Whether a message came in since the last look: only publishers are blocked.
    pub(super) has_published: bool,
    /// When the first delivery may have waited too long for its acknowledgement.
    pub(super) settle_by: Option<Timestamp>,
    /// Reused for routing keys.
    pub(super) key: Vec<u8>,
    next_token: u64,
    permissions: HashMap<(Access, Name), bool>,
    /// The exchange of the last publish that was allowed.
    last_written: Option<Name>,
}

impl Shared {
    pub(super) fn new(
        connection: ConnectionId,
        settings: Arc<Settings>,
        outbox: Arc<Outbox>,
        vhost: Arc<VHost>,
        identity: Arc<Identity>,
        frame_max: u32,
    ) -> Self {
        Self {
            connection,
            settings,
            outbox,
            publisher: Publisher::new(Arc::clone(&vhost)),
            vhost,
            identity,
            frame_max,
            consumers: FastMap::default(),
            exclusive_queues: FastMap::default(),
            settlements: Settlements::default(),
            awaiting: Vec::new(),
            is_holding: false,
            has_published: false,
            settle_by: None,
            key: Vec::new(),
            next_token: 0,
            permissions: HashMap::new(),
            last_written: None,
        }
    }

    pub(super) fn new_token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// Whether the user has the right; remembers the answer.
    pub(super) fn may(&mut self, access: Access, kind: Kind, name: &str) -> bool {
        let name = permission_name(kind, name);
        if self.permissions.len() >= PERMISSIONS_MAX {
            self.permissions.clear();
        }
        let key = (access, Name::from(name));
        *self
            .permissions
            .entry(key)
            .or_insert_with(|| self.identity.may(&self.vhost.name, access, name))
    }

    /// Refuses with 403 without the right.
    pub(super) fn check(&mut self, access: Access, kind: Kind, name: &str) -> Result<(), Refused> {
        if self.may(access, kind, name) {
            return Ok(());
        }
        let name = permission_name(kind, name);
        Err(translate::access_refused(
            access,
            kind,
            name,
            &self.vhost,
            &self.identity,
        ))
    }

    /// Refuses with 403 without any right, as RabbitMQ does for passive declarations.
    pub(super) fn check_any(&mut self, kind: Kind, name: &str) -> Result<(), Refused> {
        if self.may(Access::Read, kind, name) || self.may(Access::Write, kind, name) {
            return Ok(());
        }
        self.check(Access::Configure, kind, name)
    }

    /// [`Shared::check`] for a publish; the exchange is mostly that of the last one.
    pub(super) fn check_write(&mut self, exchange: &Name) -> Result<(), Refused> {
        if self.last_written.as_ref() == Some(exchange) {
            return Ok(());
        }
        self.check(Access::Write, Kind::Exchange, exchange)?;
        self.last_written = Some(exchange.clone());
        Ok(())
    }

    /// Refuses with 403 a key that the user may not use at a topic exchange.
    pub(super) fn check_key(
        &self,
        access: Access,
        exchange: &Exchange,
        key: &[u8],
    ) -> Result<(), Refused> {
        let (vhost, name) = (&self.vhost.name, &exchange.name);
        if exchange.kind != ExchangeKind::Topic
            || self.identity.may_use_key(vhost, name, access, key)
        {
            return Ok(());
        }
        Err(translate::key_refused(
            access,
            (name, key),
            vhost,
            &self.identity,
        ))
    }

    /// A refusal of the core in AMQP's words.
    pub(super) fn refused(&self, error: routing::Error) -> Refused {
        translate::refused(error, &self.vhost)
    }

    /// How long a delivery of this queue may stay unsettled, in milliseconds; none for ever.
    pub(super) fn settle_timeout_ms(&self, queue: &Queue) -> Option<u64> {
        let of_queue = queue.policy().consumer_timeout_ms;
        let timeout_ms = of_queue.unwrap_or(self.settings.consumer_timeout_ms);
        Some(timeout_ms).filter(|timeout_ms| *timeout_ms > 0)
    }

    /// A delivery of this queue is to be settled in time.
    pub(super) fn expect_settlement(&mut self, now: Timestamp, queue: &Queue) {
        let Some(timeout_ms) = self.settle_timeout_ms(queue) else {
            return;
        };
        let at = now.plus_ms(timeout_ms);
        self.settle_by = Some(self.settle_by.map_or(at, |first| first.min(at)));
    }

    /// Hands what was settled to the queues; what they give in turn waits in the outbox. False if
    /// the journal did not take the record of it.
    pub(super) fn flush_settlements(&mut self, now: Timestamp) -> bool {
        self.settlements.flush(now, &mut self.publisher.wakes)
    }

    /// Takes the consumer off its queue, which may end with it. What it was sent stays unsettled.
    pub(super) fn remove_consumer(
        &mut self,
        now: Timestamp,
        token: Token,
    ) -> Option<ActiveConsumer> {
        let consumer = self.consumers.remove(&token)?;
        let wakes = &mut self.publisher.wakes;
        self.vhost
            .cancel_consumer(now, &consumer.queue, consumer.id, wakes);
        Some(consumer)
    }
}

fn permission_name(kind: Kind, name: &str) -> &str {
    if kind == Kind::Exchange && name.is_empty() {
        DEFAULT_EXCHANGE
    } else {
        name
    }
}

/// Settled messages by queue, so that a queue is locked once for all acknowledgements of a read.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    by_queue: FastMap<QueueId, ForQueue>,
}

#[derive(Debug)]
struct ForQueue {
    queue: Arc<Queue>,
    acked: Vec<Seq>,
    discarded: Vec<Seq>,
    requeued: Vec<Seq>,
}

impl Settlements {
    pub(super) fn add(&mut self, queue: &Arc<Queue>, seq: Seq, verdict: Verdict) {
        let of_queue = self.by_queue.entry(queue.id).or_insert_with(|| ForQueue {
            queue: Arc::clone(queue),
            acked: Vec::new(),
            discarded: Vec::new(),
            requeued: Vec::new(),
        });
        match verdict {
            Verdict::Ack => of_queue.acked.push(seq),
            Verdict::Discard => of_queue.discarded.push(seq),
            Verdict::Requeue => of_queue.requeued.push(seq),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_queue.is_empty()
    }

    fn flush(&mut self, now: Timestamp, wakes: &mut routing::Wakes) -> bool {
        let mut is_recorded = true;
        for (_, of_queue) in self.by_queue.drain() {
            for (seqs, settlement) in [
                (&of_queue.acked, Settlement::Ack),
                (&of_queue.discarded, Settlement::Discard),
                (&of_queue.requeued, Settlement::Requeue),
            ] {
                if !seqs.is_empty() {
                    let end = of_queue.queue.settle(now, seqs, settlement, wakes);
                    is_recorded &= end != Some(Appended::REFUSED.end);
                }
            }
        }
        is_recorded
    }
}
