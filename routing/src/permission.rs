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

/// The keys that a user may use at one topic exchange.
#[derive(Clone, Debug)]
pub struct TopicPermissions {
    /// Routing keys to publish with.
    pub write: Regex,
    /// Keys to bind with.
    pub read: Regex,
    /// Keys not to publish with, whatever `write` says.
    pub write_except: Option<Regex>,
    /// Keys not to bind with, whatever `read` says.
    pub read_except: Option<Regex>,
}

/// What stands for an MQTT client's identifier in a pattern.
const CLIENT_ID: &str = "{client_id}";

impl TopicPermissions {
    /// Whether the key may be used.
    #[must_use]
    pub fn allow(&self, access: Access, key: &str) -> bool {
        let (pattern, except) = match access {
            Access::Configure => return true,
            Access::Write => (&self.write, &self.write_except),
            Access::Read => (&self.read, &self.read_except),
        };
        pattern.is_match(key) && !except.as_ref().is_some_and(|except| except.is_match(key))
    }

    /// The same with an MQTT client's identifier filled in.
    ///
    /// # Errors
    /// When a pattern becomes too large by it.
    pub fn for_client(&self, client_id: &str) -> Result<Self, regex::Error> {
        let (from, to) = (regex::escape(CLIENT_ID), regex::escape(client_id));
        let fill = |pattern: &Regex| match pattern.as_str().contains(&from) {
            true => Regex::new(&pattern.as_str().replace(&from, &to)),
            false => Ok(pattern.clone()),
        };
        Ok(Self {
            write: fill(&self.write)?,
            read: fill(&self.read)?,
            write_except: self.write_except.as_ref().map(fill).transpose()?,
            read_except: self.read_except.as_ref().map(fill).transpose()?,
        })
    }
}

/// The pattern of a topic permission, in which `{username}` and `{vhost}` stand for these names. An
/// empty one is for the empty key alone.
///
/// # Errors
/// When it is no regular expression then.
pub fn key_pattern(pattern: &str, username: &str, vhost: &str) -> Result<Regex, regex::Error> {
    if pattern.is_empty() {
        return Regex::new("^$");
    }
    // Only MQTT clients have an identifier; to others the words stand for themselves.
    let filled = pattern
        .replace("{username}", &regex::escape(username))
        .replace("{vhost}", &regex::escape(vhost))
        .replace(CLIENT_ID, &regex::escape(CLIENT_ID));
    Regex::new(&filled)
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
    /// Keys per virtual host and topic exchange; where one is missing here, all may be used.
    pub topic_permissions: HashMap<(Name, Name), TopicPermissions>,
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

    /// Whether the user may publish with a routing key to a topic exchange, or bind with it.
    #[must_use]
    pub fn may_use_key(&self, vhost: &Name, exchange: &Name, access: Access, key: &[u8]) -> bool {
        if self.topic_permissions.is_empty() {
            return true;
        }
        let at = (vhost.clone(), exchange.clone());
        let key = String::from_utf8_lossy(key);
        self.topic_permissions
            .get(&at)
            .is_none_or(|permissions| permissions.allow(access, &key))
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
            topic_permissions: HashMap::new(),
        };
        assert!(identity.may("/", Access::Write, "amq.topic"));
        assert!(!identity.may("/", Access::Write, "amq.topic2"));
        assert!(!identity.may("/", Access::Read, "amq.topic"));
        assert!(!identity.may("/", Access::Configure, "q"));
        assert!(!identity.may("other", Access::Write, "amq.topic"));
        assert!(identity.may_enter("/") && !identity.may_enter("other"));
    }

    #[test]
    fn keys_are_free_unless_the_exchange_has_patterns() {
        let permissions = TopicPermissions {
            write: key_pattern("^{username}\\.", "a.b", "/").unwrap(),
            read: key_pattern("", "a.b", "/").unwrap(),
            write_except: Some(key_pattern("secret$", "a.b", "/").unwrap()),
            read_except: None,
        };
        let identity = Identity {
            user: "a.b".into(),
            tags: Vec::new(),
            default_vhost: "/".into(),
            permissions: HashMap::new(),
            topic_permissions: HashMap::from([(("/".into(), "t".into()), permissions)]),
        };
        let may = |exchange: &str, access, key: &str| {
            identity.may_use_key(&"/".into(), &exchange.into(), access, key.as_bytes())
        };
        assert!(may("t", Access::Write, "a.b.c") && !may("t", Access::Write, "aXb.c"));
        assert!(!may("t", Access::Write, "a.b.secret"));
        assert!(may("t", Access::Read, "") && !may("t", Access::Read, "a.b.c"));
        assert!(may("other", Access::Write, "x"));
    }

    #[test]
    fn a_client_identifier_is_filled_in_as_it_is() {
        let pattern = |text| key_pattern(text, "u", "/").unwrap();
        let permissions = TopicPermissions {
            write: pattern("^{client_id}\\."),
            read: pattern(".*"),
            write_except: None,
            read_except: Some(pattern("^not\\.{client_id}$")),
        };
        let own = permissions.for_client("a+").unwrap();
        assert!(own.allow(Access::Write, "a+.x") && !own.allow(Access::Write, "aa.x"));
        assert!(own.allow(Access::Read, "x") && !own.allow(Access::Read, "not.a+"));
    }
}
