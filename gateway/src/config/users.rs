//! `[authentication]`, `[[vhosts]]`, `[[users]]`: who may do what where.

use argon2::Algorithm;
use argon2::password_hash::phc::PasswordHash;
use regex::Regex;

use super::section::Section;
use crate::auth::Verifier;

/// The built-in user.
pub const GUEST: &str = "guest";

/// The tag of a user who may see and change everything.
pub const ADMINISTRATOR: &str = "administrator";

/// The hash of the password `guest`. It is cheap because the password is no secret: clients on this
/// machine should not wait for a key derivation that protects nothing.
const GUEST_HASH: &str = "$argon2id$v=19$m=256,t=1,p=1$YnVzYmFyLCBsb29wYmFjaw$dBU7o4xHvB/cD55ZgBBHwR0g5aPLKDaZVexaVRMATN4";

/// What proves the password `guest` by SCRAM.
const GUEST_VERIFIER: &str = "SCRAM-SHA-256$4096:YnVzYmFyLCBsb29wYmFjaw==$ZNFNvZ7tTpxrAVTER8gXsMmGwLMIg0/z2MgKwCYcTbE=:K56vbHHn5WCwR/2Gat92LO42V9SBTYe1uaK5nSaPmng=";

/// `[authentication]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The user whose permissions and virtual host a client without credentials gets.
    pub anonymous_user: String,
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            anonymous_user: GUEST.to_owned(),
        }
    }
}

impl Authentication {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            anonymous_user: section.text("anonymous_user", &default.anonymous_user),
        }
    }
}

/// One virtual host: a world of its own with exchanges, queues and topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vhost {
    /// Its name, `/` by default.
    pub name: String,
}

impl Vhost {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        section.require("name", "\"plant\"");
        Self {
            name: read_name(section, "\"plant\""),
        }
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name clients log in with.
    pub name: String,
    /// An argon2id hash as a PHC string, which `busbar passwd` makes; `None`: no login by password.
    pub password_hash: Option<String>,
    /// What proves the password by SCRAM-SHA-256, which `busbar passwd --scram` makes; `None`: no
    /// login by SCRAM.
    pub scram_sha256: Option<Verifier>,
    /// Roles: `administrator`, `monitoring`, `impersonator`, or any other word.
    pub tags: Vec<String>,
    /// The virtual host of clients that name none.
    pub default_vhost: String,
    /// Whether the user may log in from this machine only.
    pub loopback_only: bool,
    /// What the user may do, at most once per virtual host. Without an entry: nothing.
    pub permissions: Vec<Permission>,
    /// Which routing keys the user may use, at most once per virtual host and exchange. Without an
    /// entry: all.
    pub topic_permissions: Vec<TopicPermission>,
}

/// Which routing keys a user may use at one topic exchange: regular expressions, in which
/// `{username}` and `{vhost}` stand for these names. An empty one matches the empty key alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPermission {
    /// The virtual host.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// Publish.
    pub write: String,
    /// Bind.
    pub read: String,
    /// Not publish, whatever `write` says; empty: nothing.
    pub write_except: String,
    /// Not bind, whatever `read` says; empty: nothing.
    pub read_except: String,
}

/// What a user may do in one virtual host: regular expressions over the names of exchanges and
/// queues, as RabbitMQ has them. They match anywhere in the name unless anchored; an empty one
/// matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The virtual host.
    pub vhost: String,
    /// Declare and delete.
    pub configure: String,
    /// Publish, and bind as a destination.
    pub write: String,
    /// Consume, get, purge, subscribe, and bind as a source.
    pub read: String,
}

impl User {
    /// `guest`, who may do anything, from this machine.
    pub(super) fn guest() -> Self {
        let all = || ".*".to_owned();
        Self {
            name: GUEST.to_owned(),
            password_hash: Some(GUEST_HASH.to_owned()),
            scram_sha256: Verifier::parse(GUEST_VERIFIER),
            tags: vec![ADMINISTRATOR.to_owned()],
            default_vhost: "/".to_owned(),
            loopback_only: true,
            permissions: vec![Permission {
                vhost: "/".to_owned(),
                configure: all(),
                write: all(),
                read: all(),
            }],
            topic_permissions: Vec::new(),
        }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        section.require("name", "\"press4\"");
        section.require("password_hash", "\"$argon2id$…\" (made by `busbar passwd`)");
        Self {
            name: read_name(section, "\"press4\""),
            // A refused hash must not look like a user whom nobody can log in as.
            password_hash: section.parsed(
                "password_hash",
                "a password hash",
                Some(String::new()),
                read_hash,
            ),
            scram_sha256: section.parsed("scram_sha256", "a SCRAM verifier", None, |text| {
                let wanted = "must be what `busbar passwd --scram` prints";
                match text {
                    "" => Ok(None),
                    _ => Verifier::parse(text)
                        .map(Some)
                        .ok_or_else(|| wanted.to_owned()),
                }
            }),
            tags: section.parsed_list("tags", "a string", Vec::new(), |tag| Ok(tag.to_owned())),
            default_vhost: section.text("default_vhost", "/"),
            loopback_only: section.boolean("loopback_only", false),
            permissions: section
                .tables("permissions", Permission::read)
                .unwrap_or_default(),
            topic_permissions: section
                .tables("topic_permissions", TopicPermission::read)
                .unwrap_or_default(),
        }
    }
}

impl User {
    /// The hash of guest's built-in password.
    pub(crate) fn guest_hash() -> &'static str {
        GUEST_HASH
    }
}

impl Permission {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            vhost: section.text("vhost", "/"),
            configure: read_pattern(section, "configure"),
            write: read_pattern(section, "write"),
            read: read_pattern(section, "read"),
        }
    }
}

impl TopicPermission {
    fn read(section: &mut Section<'_>) -> Self {
        section.require("exchange", "\"amq.topic\"");
        Self {
            vhost: section.text("vhost", "/"),
            exchange: section.text("exchange", ""),
            write: read_key_pattern(section, "write", ".*"),
            read: read_key_pattern(section, "read", ".*"),
            write_except: read_key_pattern(section, "write_except", ""),
            read_except: read_key_pattern(section, "read_except", ""),
        }
    }
}

pub(super) fn read_name(section: &mut Section<'_>, example: &str) -> String {
    section.parsed("name", "a name", String::new(), |text| match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err(format!("must have 1 to 255 bytes, for example {example}")),
    })
}

/// The empty string is a user that nobody can log in as.
fn read_hash(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let right = "must be an argon2id PHC string: `busbar passwd` makes one";
    let hash = PasswordHash::new(text).map_err(|reason| format!("{right} ({reason})"))?;
    let is_complete = hash.salt.is_some() && hash.hash.is_some();
    let is_argon2id = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id);
    let is_known = argon2::Params::try_from(&hash).is_ok();
    if is_complete && is_argon2id && is_known {
        Ok(Some(text.to_owned()))
    } else {
        Err(right.to_owned())
    }
}

pub(super) fn read_pattern(section: &mut Section<'_>, key: &'static str) -> String {
    section.parsed(key, "a regular expression", String::new(), |text| {
        Regex::new(text)
            .map(|_| text.to_owned())
            .map_err(|reason| gist(&reason))
    })
}

/// A pattern with names to be filled in; they are checked as if empty.
fn read_key_pattern(section: &mut Section<'_>, key: &'static str, default: &str) -> String {
    section.parsed(key, "a regular expression", default.to_owned(), |text| {
        routing::permission::key_pattern(text, "", "")
            .map(|_| text.to_owned())
            .map_err(|reason| gist(&reason))
    })
}

/// The reason's last line is the gist; the rest draws the place once more.
fn gist(reason: &regex::Error) -> String {
    let reason = reason.to_string();
    reason
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}
