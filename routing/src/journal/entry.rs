//! What is durable: each entry is one record of the journal, and a checkpoint is a list of them.

use std::sync::Arc;

use bytes::Bytes;

use crate::binding::Binding;
use crate::delivery::Matched;
use crate::exchange::{ExchangeKind, ExchangeOptions};
use crate::ids::{QueueId, Seq, SessionId};
use crate::journal::Lsn;
use crate::message::{Message, QoS};
use crate::name::Name;
use crate::queue::QueueOptions;
use crate::session::Will;
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;

/// One durable change. Applying an entry twice is the same as once, and entries older than a
/// checkpoint may be applied on top of it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the things named")]
pub enum Entry {
    /// A message entered its first durable queue, which keeps it until `expires_at` unless the
    /// message expires earlier.
    Publish {
        queue: QueueId,
        seq: Seq,
        qos: QoS,
        expires_at: Option<Timestamp>,
        matched: Option<Matched>,
        message: Arc<Message>,
    },
    /// A message whose body is in the `Publish` record at `body` entered another queue.
    Enqueue {
        queue: QueueId,
        seq: Seq,
        qos: QoS,
        expires_at: Option<Timestamp>,
        matched: Option<Matched>,
        body: Lsn,
    },
    /// Messages left a queue.
    Settled { queue: QueueId, seqs: Vec<Seq> },
    /// A line of a queue is in its page files up to `through`, as far as it is still wanted. One
    /// message there takes so many bytes on average, by [`Message::cost_bytes`] and by its body.
    /// In a checkpoint, `wanted` says which are.
    Paged {
        queue: QueueId,
        priority: u8,
        through: Seq,
        cost_bytes: u64,
        body_bytes: u64,
        wanted: Bytes,
    },
    /// Messages of a line in page files are gone, both ends included.
    PagesSettled {
        queue: QueueId,
        priority: u8,
        from: Seq,
        to: Seq,
    },
    /// Sequence numbers from `first` to below `next` are used; those below `delivered` may have
    /// been handed out.
    QueuePosition {
        queue: QueueId,
        first: Seq,
        next: Seq,
        delivered: Seq,
    },
    /// A queue gave this number out at this time: what the age of its messages is told from.
    Noted {
        queue: QueueId,
        seq: Seq,
        at: Timestamp,
    },
    /// An exchange exists; a delayed one keeps its messages under the identity `delays`.
    ExchangeDeclared {
        vhost: Name,
        name: Name,
        kind: ExchangeKind,
        options: ExchangeOptions,
        delays: Option<QueueId>,
    },
    /// An exchange is gone.
    ExchangeDeleted { vhost: Name, name: Name },
    /// A queue exists.
    QueueDeclared {
        vhost: Name,
        id: QueueId,
        name: Name,
        options: QueueOptions,
    },
    /// A queue is gone.
    QueueDeleted { vhost: Name, id: QueueId },
    /// A binding exists.
    Bound {
        vhost: Name,
        exchange: Name,
        binding: Binding,
    },
    /// A binding is gone.
    Unbound {
        vhost: Name,
        exchange: Name,
        binding: Binding,
    },
    /// A session that outlives its connection exists.
    SessionOpened {
        vhost: Name,
        id: SessionId,
        queue: QueueId,
        client_id: Name,
        expiry_s: u32,
    },
    /// A session is gone.
    SessionEnded { vhost: Name, id: SessionId },
    /// A session has a subscription; `filter` includes any `$share/group/`.
    Subscribed {
        vhost: Name,
        session: SessionId,
        filter: Name,
        options: SubscriptionOptions,
    },
    /// A session lost a subscription.
    Unsubscribed {
        vhost: Name,
        session: SessionId,
        filter: Name,
    },
    /// A QoS 2 packet identifier was received and not yet released.
    Received {
        vhost: Name,
        session: SessionId,
        packet_id: u16,
    },
    /// It was released.
    Released {
        vhost: Name,
        session: SessionId,
        packet_id: u16,
    },
    /// A session's messages of QoS 2 are sent under these packet identifiers.
    Sent {
        vhost: Name,
        session: SessionId,
        sent: Vec<(u16, Seq)>,
    },
    /// The client has received one of them: it is out of the queue, and the identifier is to be
    /// released.
    SentReceived {
        vhost: Name,
        session: SessionId,
        packet_id: u16,
        seq: Seq,
    },
    /// The identifier is free again.
    SentDone {
        vhost: Name,
        session: SessionId,
        packet_id: u16,
    },
    /// A connection has a will, which is to be published when it is lost. The session need not be
    /// durable.
    WillSet {
        vhost: Name,
        session: SessionId,
        will: Will,
    },
    /// It was published, or is not wanted any more.
    WillCleared { vhost: Name, session: SessionId },
    /// An address has this retained value; an empty payload means none.
    Retained { vhost: Name, message: Arc<Message> },
}
