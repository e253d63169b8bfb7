//! Who may do what: three patterns per user and virtual host, as RabbitMQ has them.
//!
//! | right | needed for |
//! | --- | --- |
//! | configure | declare and delete an exchange or a queue |
//! | write | publish to an exchange, bind a queue to something |
//! | read | consume from a queue, bind from an exchange, subscribe on the bus |
//!
//! MQTT and Redis clients publish to and subscribe on the bus exchange, so `write` and `read` on
//! its name are what they need.

use std::collections::HashMap;

use regex::Regex;

use crate::name::Name;

/// A right to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Create and delete.
    Configure,
    /// Put messages in.
    Write,
    /// Take messages out.
    Read,
}

impl Access {
    /// The word that clients know: `configure`, `write`, `read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// Why nobody was let in. Texts are the protocols' own; this says only which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Unknown user or wrong password: never told apart.
    #[error("user name or password is wrong")]
    BadCredentials,
    /// The user may connect from this machine only.
    #[error("the user may only connect from loopback")]
    LoopbackOnly,
    /// The listener wants a user.
    #[error("anonymous connections are not allowed here")]
    AnonymousRefused,
}

/// One user's rights in one virtual host. An empty pattern matches nothing but the empty name.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// Names that the user may create and delete.
    pub configure: Regex,
    /// Names that the user may publish to.
    pub write: Regex,
    /// Names that the user may receive from.
    pub read: Regex,
}

/// A user who has proved who it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name.
    pub user: Name,
    /// Tags such as `administrator`, `impersonator`.
    pub tags: Vec<Name>,
    /// The virtual host used when the client names none.
    pub default_vhost: Name,
    /// Rights per virtual host; one that is missing here may not be entered.
    pub permissions: HashMap<Name, Permissions>,
}

impl Identity {
    /// Whether the user may enter the virtual host.
    #[must_use]
    pub fn may_enter(&self, vhost: &str) -> bool {
        self.permissions.contains_key(vhost)
    }

    /// Whether the user has the right to the exchange or queue of that name. The default exchange
    /// is asked for as `amq.default`.
    #[must_use]
    pub fn may(&self, vhost: &str, access: Access, name: &str) -> bool {
        self.permissions.get(vhost).is_some_and(|permissions| {
            let pattern = match access {
                Access::Configure => &permissions.configure,
                Access::Write => &permissions.write,
                Access::Read => &permissions.read,
            };
            pattern.is_match(name) && (!pattern.as_str().is_empty() || name.is_empty())
        })
    }

    /// Whether the user has the tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t.as_str() == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_has_its_own_pattern() {
        let permissions = Permissions {
            configure: Regex::new("^$").unwrap(),
            write: Regex::new("^amq\\.topic$").unwrap(),
            read: Regex::new("").unwrap(),
        };
        let identity = Identity {
            user: "u".into(),
            tags: vec!["monitoring".into()],
            default_vhost: "/".into(),
            permissions: HashMap::from([(Name::from("/"), permissions)]),
        };
        assert!(identity.may("/", Access::Write, "amq.topic"));
        assert!(!identity.may("/", Access::Write, "amq.topic2"));
        assert!(!identity.may("/", Access::Read, "amq.topic"));
        assert!(!identity.may("/", Access::Configure, "q"));
        assert!(!identity.may("other", Access::Write, "amq.topic"));
        assert!(identity.may_enter("/") && !identity.may_enter("other"));
    }
}
