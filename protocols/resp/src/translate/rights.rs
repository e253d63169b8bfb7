//! What a connection may do on the bus, asked once where it can be: patterns are not free to match.
//!
//! A user's topic permissions say which routing keys of the bus it may use. A channel's key is the
//! one that AMQP clients see; a pattern must be allowed like a channel of its letters, as Redis
//! wants a pattern to be one of the user's own, and brings only channels that are allowed too.

use bytes::Bytes;
use routing::{Access, Address, BUS, Identity, Name, TopicPermissions};

use crate::command::Kind;

/// The name by which rights to the default exchange are asked for.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// The rights of one user in one virtual host.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    read_bus: bool,
    write_bus: bool,
    /// The default exchange, for `$reply/...`.
    pub(super) write_default: bool,
    /// Which channels; none is all.
    topics: Option<TopicPermissions>,
}

impl Rights {
    pub(crate) fn of(identity: &Identity, vhost: &Name) -> Self {
        let may = |access, exchange| identity.may(vhost, access, exchange);
        let at = (vhost.clone(), Name::from(BUS));
        Self {
            read_bus: may(Access::Read, BUS),
            write_bus: may(Access::Write, BUS),
            write_default: may(Access::Write, DEFAULT_EXCHANGE),
            topics: identity.topic_permissions.get(&at).cloned(),
        }
    }

    /// Whether there is a channel to subscribe to.
    pub(crate) const fn may_read(&self) -> bool {
        self.read_bus
    }

    /// Whether there is a channel to publish to.
    pub(crate) const fn may_write(&self) -> bool {
        self.write_bus
    }

    /// Whether channels are told apart.
    pub(crate) const fn is_limited(&self) -> bool {
        self.topics.is_some()
    }

    pub(super) fn may_publish(&self, channel: &Bytes) -> bool {
        self.write_bus && self.allow(Access::Write, channel)
    }

    pub(super) fn may_subscribe(&self, kind: Kind, name: &Bytes) -> bool {
        let is_open = kind != Kind::Channel || super::is_open(name);
        self.read_bus && is_open && self.allow(Access::Read, name)
    }

    /// Whether what a pattern has matched may be delivered.
    pub(crate) fn may_receive(&self, channel: &Bytes) -> bool {
        self.topics.is_none() || self.allow(Access::Read, channel)
    }

    /// What is no text has no key that a rule could be for, and is refused.
    fn allow(&self, access: Access, channel: &Bytes) -> bool {
        let Some(topics) = &self.topics else {
            return true;
        };
        let key = Address::new(channel.clone()).routing_key().collect();
        String::from_utf8(key).is_ok_and(|key| topics.allow(access, &key))
    }
}
