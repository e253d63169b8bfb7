//! The core of Busbar: addresses, exchanges, queues, subscriptions, sessions and retained values.
//!
//! It knows no protocol, no socket, no clock and no file format. Protocol state machines call it
//! directly ([`VHost`], [`Publisher`], [`Queue`], [`Session`]); what it has for a connection waits
//! in that connection's [`Outbox`]; what must survive goes to a [`Journal`]. Time is an argument.
//!
//! Invariant: a publisher takes no lock to find its receivers; see [`table`].

pub mod address;
pub mod binding;
pub mod broker;
pub mod counters;
pub mod death;
pub mod delay;
pub mod delivery;
pub mod error;
pub mod exchange;
pub mod frontend;
pub mod ids;
pub mod journal;
mod live;
pub mod message;
pub mod name;
pub mod outbox;
pub mod outbuf;
pub mod pages;
pub mod paging;
pub mod permission;
pub mod policy;
pub mod properties;
pub mod publisher;
pub mod queue;
pub mod reply;
pub mod retained;
pub mod route;
pub mod run;
pub mod session;
pub mod shared;
pub mod subscriber;
mod sync;
pub mod table;
#[cfg(test)]
mod testing;
pub mod time;
pub mod timer;
pub mod topic;
pub mod value;
pub mod vhost;

pub use address::Address;
pub use binding::{Binding, Destination};
pub use broker::{Broker, CheckpointBounds, Settings};
pub use death::{Death, DeathReason, Deaths};
pub use delivery::{Delivery, Matched, Source};
pub use error::Error;
pub use exchange::{Exchange, ExchangeKind, ExchangeOptions};
pub use frontend::{Credentials, Frontend, Peer, Request, Response, SaslReply, SaslStep};
pub use ids::{ConnectionId, ConsumerId, QueueId, Seq, SessionId, SubscriberId};
pub use journal::{Journal, Lsn, MemoryJournal, Urgency};
pub use message::{Message, MessageBuilder, Origin, QoS, WireForm};
pub use name::Name;
pub use outbox::{Event, Outbox, OutboxLimits, Overflow, Wakes};
pub use outbuf::OutBuf;
pub use pages::{LineId, PageError, Pages};
pub use paging::{PageSettings, PageWork};
pub use permission::{Access, AuthError, Identity, Permissions, TopicPermissions};
pub use policy::{AppliesTo, Policies, Policy};
pub use properties::{Properties, ReplyTo};
pub use publisher::{KeyForm, Published, Publisher, Resolved};
pub use queue::{Consumer, Credit, Queue, QueueOptions, QueuePolicy, QueueStatus};
pub use retained::{RetainedCursor, RetainedLimits, RetainedStep};
pub use run::{Run, RunForm};
pub use session::{PausedWalk, Session, SessionOpened, Will};
pub use shared::SharedStrategy;
pub use subscriber::{Subscriber, SubscriptionOptions};
pub use table::BUS;
pub use time::Timestamp;
pub use topic::{Glob, TopicFilter, TopicPattern};
pub use value::{Table, Value};
pub use vhost::{ChannelFilter, CloseSession, OpenSession, OpenSubscriber, VHost};
