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
//! | `PUBLISH` | `write` on the bus exchange, or on `amq.default` for `$reply/` |
//! | `SUBSCRIBE`, `PSUBSCRIBE`, `SSUBSCRIBE` | `read` on the bus exchange |

use std::sync::Arc;

use bytes::Bytes;
use routing::queue::Enqueue;
use routing::reply::REPLY_PREFIX;
use routing::table::BUS;
use routing::{
    Access, Address, Broker, Glob, Identity, KeyForm, MessageBuilder, Name, Origin, Properties,
    Published, Publisher, Subscriber, Timestamp, VHost,
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

/// The name by which rights to the default exchange are asked for.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// Whether a channel may be subscribed to: nobody listens to other people's replies.
pub(crate) fn is_open(channel: &[u8]) -> bool {
    !channel.starts_with(REPLY_PREFIX.as_bytes())
}

/// One connection's place on the bus of one virtual host.
#[derive(Debug)]
pub(crate) struct Bus {
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
    may_read: bool,
    may_write: bool,
    may_reply: bool,
}

impl Bus {
    /// # Errors
    /// [`Error::WrongPassword`]: there is no such virtual host, or it is not the user's.
    pub(crate) fn enter(
        broker: &Broker,
        vhost: &Name,
        identity: &Identity,
        subscriber: &Arc<Subscriber>,
    ) -> Result<Self, Error> {
        let vhost = broker
            .vhost(vhost)
            .filter(|vhost| identity.may_enter(&vhost.name));
        let vhost = vhost.ok_or(Error::WrongPassword)?;
        let vhost = Arc::clone(vhost);
        let may = |access, exchange| identity.may(&vhost.name, access, exchange);
        Ok(Self {
            may_read: may(Access::Read, BUS),
            may_write: may(Access::Write, BUS),
            may_reply: may(Access::Write, DEFAULT_EXCHANGE),
            subscriber: Arc::clone(subscriber),
            publisher: Publisher::new(vhost),
        })
    }

    const fn vhost(&self) -> &Arc<VHost> {
        self.publisher.vhost()
    }

    /// Whether the user may subscribe.
    pub(crate) const fn may_read(&self) -> bool {
        self.may_read
    }

    /// Whether the user may publish to the bus.
    pub(crate) const fn may_write(&self) -> bool {
        self.may_write
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
    ) -> Result<u64, Error> {
        let retained = channel
            .strip_prefix(RETAIN_PREFIX)
            .map(|rest| channel.slice_ref(rest));
        let address = retained.as_ref().unwrap_or(channel);
        let to = self
            .publisher
            .resolve(BUS.as_bytes(), address, KeyForm::Canonical);
        let to = to.map_err(|error| refused(&error))?;
        let is_allowed = if to.exchange.name.is_empty() {
            self.may_reply
        } else {
            self.may_write
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
    ) -> Result<u64, Error> {
        if !self.may_write {
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

    /// Wakes the receivers of this batch.
    pub(crate) fn flush(&mut self) {
        self.publisher.flush();
    }

    pub(crate) fn subscribe(&self, kind: Kind, name: &Bytes) {
        let (vhost, subscriber) = (self.vhost(), &self.subscriber);
        match kind {
            Kind::Channel => vhost.subscribe_channel(subscriber, name.clone()),
            Kind::Pattern => vhost.subscribe_glob(subscriber, Glob::new(name.clone())),
            Kind::ShardChannel => vhost.subscribe_shard_channel(subscriber, name.clone()),
        }
    }

    pub(crate) fn unsubscribe(&self, kind: Kind, name: &Bytes) {
        let (vhost, id) = (self.vhost(), self.subscriber.id);
        match kind {
            Kind::Channel => vhost.unsubscribe_channel(id, name),
            Kind::Pattern => vhost.unsubscribe_glob(id, &Glob::new(name.clone())),
            Kind::ShardChannel => vhost.unsubscribe_shard_channel(id, name),
        }
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

fn receivers(published: Published) -> Result<u64, Error> {
    if published.rejected && published.receivers == 0 {
        return Err(Error::Full);
    }
    Ok(published.receivers)
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
        | Core::NotImplemented { .. } => Error::ChannelDenied,
    }
}
