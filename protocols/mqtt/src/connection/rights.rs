//! What a client may publish and subscribe to, asked once: patterns are not free to match.

use routing::{Access, BUS, Identity, Name, TopicPermissions, VHost};

/// The rights of one client in its virtual host.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    write_bus: bool,
    read_bus: bool,
    /// The default exchange, for `$reply/...`.
    pub(super) write_default: bool,
    /// Which topics; none is all.
    topics: Option<Box<TopicPermissions>>,
}

impl Rights {
    pub(super) fn of(identity: &Identity, vhost: &VHost, client_id: &str) -> Self {
        let may = |access, exchange| identity.may(&vhost.name, access, exchange);
        let at = (vhost.name.clone(), Name::from(BUS));
        let topics = identity.topic_permissions.get(&at);
        let filled = topics.map(|topics| topics.for_client(client_id));
        // A pattern that an identifier makes too large allows nothing.
        let is_sound = !matches!(filled, Some(Err(_)));
        Self {
            write_bus: is_sound && may(Access::Write, BUS),
            read_bus: is_sound && may(Access::Read, BUS),
            write_default: may(Access::Write, "amq.default"),
            topics: filled.and_then(Result::ok).map(Box::new),
        }
    }

    pub(super) fn may_publish(&self, topic: &[u8]) -> bool {
        self.write_bus && self.allow(Access::Write, topic)
    }

    /// `filter` is without any `$share/group/`.
    pub(super) fn may_subscribe(&self, filter: &[u8]) -> bool {
        self.read_bus && self.allow(Access::Read, filter)
    }

    fn allow(&self, access: Access, topic: &[u8]) -> bool {
        let Some(topics) = &self.topics else {
            return true;
        };
        // Both are UTF-8 where they were checked.
        std::str::from_utf8(topic).is_ok_and(|topic| topics.allow(access, &key(topic)))
    }
}

/// A topic or filter as the routing key that AMQP clients see.
fn key(topic: &str) -> String {
    let swap = |character| match character {
        '/' => '.',
        '.' => '/',
        '+' => '*',
        other => other,
    };
    topic.chars().map(swap).collect()
}
