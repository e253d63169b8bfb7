//! The only bridge between Redis's words and the core's: channels and addresses, subscriptions,
//! published messages, rights, and errors.
//!
//! | Redis | core |
//! | --- | --- |
//! | channel `plant/temp` | address `plant/temp` on the bus, byte for byte |
//! | `PUBLISH $retain/plant/temp` | the same address, and the message is retained |
//! | `PUBLISH $reply/q` | the queue `q`, through the default exchange |
//! | pattern | [`Glob`] |
//! | shard channel | a name space that only Redis sees |
//! | list | a queue, see [`list`] |
//! | `PUBLISH` | `write` on the bus exchange, or on `amq.default` for `$reply/` |
//! | `SUBSCRIBE`, `PSUBSCRIBE`, `SSUBSCRIBE` | `read` on the bus exchange |
//! | which channels | topic permissions of the bus exchange, see [`rights`] |

mod list;
mod rights;

pub(crate) use list::{Held, List, NewList, Revision, Side};
pub(crate) use rights::Rights;

use std::sync::Arc;

use bytes::Bytes;
use routing::queue::Enqueue;
use routing::reply::REPLY_PREFIX;
use routing::table::BUS;
use routing::{
    Address, Broker, ChannelFilter, ConnectionId, Glob, Identity, KeyForm, Lsn, MessageBuilder,
    Name, OpenSubscriber, Origin, Outbox, Properties, Published, Publisher, Session, SessionOpened,
    Subscriber, Timestamp, VHost,
};

use crate::command::Kind;
use crate::error::Error;

/// Redis as the source of messages: it writes no properties.
pub static ORIGIN: Origin = Origin {
    tag: 3,
    name: "resp",
    decode: no_properties,
};

fn no_properties(_: &Bytes) -> Properties {
    Properties::default()
}

/// Before a channel: the message becomes the retained value of the rest.
const RETAIN_PREFIX: &[u8] = b"$retain/";

/// Whether a channel may be subscribed to: nobody listens to other people's replies.
fn is_open(channel: &[u8]) -> bool {
    !channel.starts_with(REPLY_PREFIX.as_bytes())
}

/// One connection's place on the bus of one virtual host.
#[derive(Debug)]
pub(crate) struct Bus {
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
    identity: Arc<Identity>,
    connection: ConnectionId,
    rights: Rights,
}

impl Bus {
    /// # Errors
    /// [`Error::WrongPassword`]: there is no such virtual host, or it is not the user's.
    pub(crate) fn enter(
        broker: &Broker,
        vhost: &Name,
        identity: &Arc<Identity>,
        subscriber: &Arc<Subscriber>,
        connection: ConnectionId,
    ) -> Result<Self, Error> {
        let vhost = broker
            .vhost(vhost)
            .filter(|vhost| identity.may_enter(&vhost.name));
        let vhost = vhost.ok_or(Error::WrongPassword)?;
        let vhost = Arc::clone(vhost);
        Ok(Self {
            rights: Rights::of(identity, &vhost.name),
            subscriber: Arc::clone(subscriber),
            identity: Arc::clone(identity),
            connection,
            publisher: Publisher::new(vhost),
        })
    }

    const fn vhost(&self) -> &Arc<VHost> {
        self.publisher.vhost()
    }

    /// The user.
    pub(crate) const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What the user may do on the bus.
    pub(crate) const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether the user may subscribe to a channel, or with a pattern.
    pub(crate) fn may_subscribe(&self, kind: Kind, name: &Bytes) -> bool {
        self.rights.may_subscribe(kind, name)
    }

    /// Publishes and counts the receivers.
    ///
    /// # Errors
    /// [`Error::ChannelDenied`]; [`Error::Full`] when a full queue refused the message.
    pub(crate) fn publish(
        &mut self,
        now: Timestamp,
        channel: &Bytes,
        payload: Bytes,
    ) -> Result<Receivers, Error> {
        let retained = channel
            .strip_prefix(RETAIN_PREFIX)
            .map(|rest| channel.slice_ref(rest));
        let address = retained.as_ref().unwrap_or(channel);
        let to = self
            .publisher
            .resolve(BUS.as_bytes(), address, KeyForm::Canonical);
        let to = to.map_err(|error| refused(&error))?;
        let is_allowed = if to.exchange.name.is_empty() {
            self.rights.write_default
        } else {
            self.rights.may_publish(address)
        };
        if !is_allowed {
            return Err(Error::ChannelDenied);
        }
        let exchange = to.exchange.name.clone();
        let mut builder = self.message(to.address.clone(), exchange, payload);
        builder.retain = retained.is_some();
        let published = self.publisher.publish(now, &to, &builder.build());
        receivers(published)
    }

    /// Publishes to a shard channel.
    ///
    /// # Errors
    /// [`Error::ChannelDenied`].
    pub(crate) fn publish_to_shard(
        &mut self,
        now: Timestamp,
        channel: Bytes,
        payload: Bytes,
    ) -> Result<Receivers, Error> {
        if !self.rights.may_publish(&channel) {
            return Err(Error::ChannelDenied);
        }
        let message = self
            .message(Address::new(channel), BUS.into(), payload)
            .build();
        let vhost = Arc::clone(self.vhost());
        let mut enqueue = Enqueue::new(&mut self.publisher.wakes);
        receivers(vhost.publish_to_shard_channel(now, &message, &mut enqueue))
    }

    fn message(&self, address: Address, exchange: Name, payload: Bytes) -> MessageBuilder {
        let mut builder = MessageBuilder::new(address, exchange, payload, &ORIGIN);
        builder.publisher = Some(self.subscriber.id);
        builder
    }

    /// Hands over what is published, before anything else is done.
    pub(crate) fn end_run(&mut self) {
        self.publisher.end_run();
    }

    /// Wakes the receivers of this batch.
    pub(crate) fn flush(&mut self) {
        self.publisher.flush();
    }

    /// Opens the session of a subscriber that is to miss nothing.
    ///
    /// # Errors
    /// [`Error::Limit`] when the virtual host has `sessions_max` sessions.
    pub(crate) fn open_subscriber(
        &mut self,
        now: Timestamp,
        open: &OpenSubscriber,
        sessions_max: usize,
    ) -> Result<SessionOpened, Error> {
        let limit = Error::Limit {
            what: "sessions",
            max: sessions_max,
        };
        let vhost = Arc::clone(self.vhost());
        if vhost.session_count() >= sessions_max {
            return Err(limit);
        }
        let opened = vhost.open_subscriber(now, open, &mut self.publisher.wakes);
        opened.map_err(|_| limit)
    }

    /// From now on the bus knows this connection as another subscriber.
    pub(crate) fn set_subscriber(&mut self, subscriber: &Arc<Subscriber>) {
        self.subscriber = Arc::clone(subscriber);
    }

    /// Subscribes a session; returns where the record of it ends.
    pub(crate) fn subscribe_kept(
        &self,
        session: &Session,
        filters: &[ChannelFilter],
    ) -> Option<Lsn> {
        self.vhost().subscribe_kept(session, filters)
    }

    pub(crate) fn unsubscribe_kept(&self, session: &Session, filters: &[ChannelFilter]) {
        self.vhost().unsubscribe_kept(session, filters);
    }

    /// Whether something was just published to a receiver that is full, and this connection is to
    /// wait for it.
    pub(crate) fn has_to_wait(&mut self) -> bool {
        if !self.publisher.wakes.has_full() {
            return false;
        }
        self.publisher.flush();
        let own = &self.subscriber.outbox;
        self.held_by().is_some_and(|full| full.wait_for_room(own))
    }

    /// The receiver that was full, for whose sake this connection is held up.
    pub(crate) const fn held_by(&self) -> Option<&Arc<Outbox>> {
        self.publisher.held_by()
    }

    /// Subscribes to all of them at once.
    pub(crate) fn subscribe(&self, filters: &[ChannelFilter]) {
        self.vhost().subscribe_channels(&self.subscriber, filters);
    }

    pub(crate) fn unsubscribe(&self, filters: &[ChannelFilter]) {
        self.vhost()
            .unsubscribe_channels(self.subscriber.id, filters);
    }

    /// Channels with an exact subscriber of this kind, of those that match, in order.
    pub(crate) fn channels(&self, kind: Kind, pattern: Option<&Glob>) -> Vec<Bytes> {
        let mut channels = match kind {
            Kind::ShardChannel => self.vhost().shard_channels(),
            Kind::Channel | Kind::Pattern => self.vhost().channels(),
        };
        channels.retain(|channel| pattern.is_none_or(|glob| glob.matches(channel)));
        channels.sort_unstable();
        channels
    }

    /// Exact subscribers of one channel.
    pub(crate) fn subscriber_count(&self, kind: Kind, channel: &[u8]) -> usize {
        match kind {
            Kind::ShardChannel => self.vhost().shard_channel_subscribers(channel),
            Kind::Channel | Kind::Pattern => self.vhost().channel_subscribers(channel),
        }
    }

    /// Different patterns in the virtual host.
    pub(crate) fn pattern_count(&self) -> usize {
        self.vhost().globs()
    }
}

/// A name as the core has it.
pub(crate) fn filter(kind: Kind, name: &Bytes) -> ChannelFilter {
    match kind {
        Kind::Channel => ChannelFilter::Channel(name.clone()),
        Kind::Pattern => ChannelFilter::Glob(Glob::new(name.clone())),
        Kind::ShardChannel => ChannelFilter::ShardChannel(name.clone()),
    }
}

/// Who received a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receivers {
    pub(crate) count: u64,
    /// It is safe for those who are to miss nothing once the journal is durable up to here.
    pub(crate) lsn: Option<Lsn>,
}

fn receivers(published: Published) -> Result<Receivers, Error> {
    if published.rejected && published.receivers == 0 {
        return Err(Error::Full);
    }
    Ok(Receivers {
        count: published.receivers,
        lsn: published.lsn,
    })
}

/// The core's refusals in Redis's words. Publishing can only meet the first; the others belong to
/// operations that Redis clients do not have.
fn refused(error: &routing::Error) -> Error {
    use routing::Error as Core;
    match error {
        Core::NotFound { .. } => Error::ChannelDenied,
        Core::LimitReached { .. } => Error::Full,
        Core::Inequivalent { .. }
        | Core::Locked { .. }
        | Core::ExclusiveUse { .. }
        | Core::InUse { .. }
        | Core::NotEmpty { .. }
        | Core::Reserved { .. }
        | Core::DefaultExchange
        | Core::Internal { .. }
        | Core::InvalidArgument { .. }
        | Core::UnfitQueue { .. }
        | Core::Invalid { .. }
        | Core::NotImplemented { .. } => Error::ChannelDenied,
    }
}
