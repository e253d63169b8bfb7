//! The commands: what each is called, how many arguments it takes, what it may do, and its code.
//!
//! One file per family; [`table`] lists them all. A handler writes its whole reply or returns an
//! [`Error`]; what must hold for every command (arity, authentication, rights, subscribed mode,
//! `MULTI`) is checked before, in [`crate::connection`].

mod acl;
mod blocking;
mod client;
mod config;
mod connection;
mod docs;
mod info;
mod keys;
mod lists;
mod memory;
mod pubsub;
mod server;
mod strings;
mod table;
mod transaction;

use std::sync::{MutexGuard, PoisonError};

use routing::Timestamp;

pub(crate) use blocking::{join, serve};
pub(crate) use connection::{DEFAULT_USER, Greeting, finish_login};
pub(crate) use pubsub::Kind;
pub(crate) use transaction::{Transaction, Watched};

use crate::connection::Session;
use crate::error::{Error, QUOTED_BYTES_MAX, printable};
use crate::keyspace::Keyspace;
use crate::server::Server;
use crate::wire::reply::ReplyWriter;
use crate::wire::request::{Request, parse_number};

#[cfg(test)]
mod tests;

/// What a handler works on.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The connection's own state.
    pub(crate) session: &'a mut Session,
    /// What all connections share.
    pub(crate) server: &'a Server,
    /// Where the reply goes.
    pub(crate) reply: ReplyWriter<'a>,
    /// The moment of the batch.
    pub(crate) now: Timestamp,
    keyspace: Option<MutexGuard<'a, Keyspace>>,
}

impl<'a> Call<'a> {
    pub(crate) const fn new(
        session: &'a mut Session,
        server: &'a Server,
        reply: ReplyWriter<'a>,
        now: Timestamp,
    ) -> Self {
        Self {
            session,
            server,
            reply,
            now,
            keyspace: None,
        }
    }

    /// The string map, locked until the call ends, so that `EXEC` sees no other connection's
    /// writes between its own.
    pub(crate) fn keyspace(&mut self) -> &mut Keyspace {
        let (server, now) = (self.server, self.now);
        self.keyspace.get_or_insert_with(|| {
            let mut keyspace = server
                .keyspace
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            keyspace.expire(now);
            keyspace
        })
    }
}

impl Call<'_> {
    /// Runs a command whose checks are done. What is for strings finds a list in its way; nothing
    /// overwrites one, since it is a durable queue (non-normative: SET does in Redis).
    pub(crate) fn execute(&mut self, spec: &Spec, request: &Request) -> Result<(), Error> {
        if spec.categories.contains(&"@string") && spec.name != "mget" {
            let bus = self.session.bus()?;
            if spec.key_args(request).any(|key| bus.has_list(key)) {
                if !["setnx", "msetnx"].contains(&spec.name) {
                    return Err(Error::WrongType);
                }
                self.reply.integer(0);
                return Ok(());
            }
        }
        // A subscriber's own messages have their place among its replies.
        if spec.name != "publish" || self.session.is_subscribed() {
            self.session.end_run();
        }
        let result = (spec.run)(self, request);
        let is_shown = !self.server.monitors.is_empty() && !spec.flags.has(Flags::ADMIN);
        if is_shown && result.is_ok() {
            let (session, monitors) = (&self.session, &self.server.monitors);
            let address = &session.client.address;
            monitors.show(self.now, session.database, address, request);
        }
        result
    }
}

/// A command's code.
pub(crate) type Handler = fn(&mut Call<'_>, &Request) -> Result<(), Error>;

/// One row of the command table.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The name, lower case; a subcommand's has its command and `|` before it.
    pub(crate) name: &'static str,
    /// The last word of the name: `id` of `client|id`.
    short_name: &'static str,
    /// The number of arguments with the name; negative: at least so many.
    pub(crate) arity: i8,
    /// What the command is and may.
    pub(crate) flags: Flags,
    /// Which arguments are keys: first, last (negative: from the end), step. All 0: none.
    pub(crate) keys: (i8, i8, i8),
    /// ACL categories beyond those that the flags imply.
    pub(crate) categories: &'static [&'static str],
    /// The code.
    pub(crate) run: Handler,
    /// The subcommands, if it is a container.
    pub(crate) subcommands: &'static [Self],
}

impl Spec {
    const fn new(name: &'static str, arity: i8, flags: Flags, run: Handler) -> Self {
        Self {
            name,
            short_name: last_word(name),
            arity,
            flags,
            keys: (0, 0, 0),
            categories: &[],
            run,
            subcommands: &[],
        }
    }

    const fn container(name: &'static str, subcommands: &'static [Self]) -> Self {
        Self {
            subcommands,
            ..Self::new(name, -2, Flags::NONE, without_subcommand)
        }
    }

    const fn keys(mut self, first: i8, last: i8, step: i8) -> Self {
        self.keys = (first, last, step);
        self
    }

    const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    /// Whether a request of `count` arguments fits.
    pub(crate) fn takes(&self, count: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 {
            count >= wanted
        } else {
            count == wanted
        }
    }

    /// The arguments of a request that are keys.
    pub(crate) fn key_args<'r>(&self, request: &'r Request) -> impl Iterator<Item = &'r [u8]> {
        let index = |place: i8| match usize::try_from(place) {
            Ok(place) => place,
            Err(_) => request.len().saturating_sub(place.unsigned_abs().into()),
        };
        let (mut first, mut last, step) = (index(self.keys.0), index(self.keys.1), self.keys.2);
        if self.flags.has(Flags::MOVABLEKEYS) {
            let at = usize::from(self.flags.has(Flags::BLOCKING)) + 1;
            let count = request.arg(at).and_then(parse_number).unwrap_or(0);
            let count = usize::try_from(count).unwrap_or(0);
            (first, last) = (at + 1, at.saturating_add(count));
        }
        let has_keys = first > 0 && last >= first;
        let end = if has_keys { last + 1 } else { first };
        let step = usize::try_from(step).unwrap_or(1).max(1);
        (first..end.min(request.len()))
            .step_by(step)
            .filter_map(|index| request.arg(index))
    }

    /// Whether the command belongs to an ACL category, named without `@`.
    fn is_in(&self, category: &str) -> bool {
        self.all_categories()
            .iter()
            .any(|own| own.strip_prefix('@') == Some(category))
    }

    /// The ACL categories: those listed and those that the flags imply, in Redis's order.
    fn all_categories(&self) -> Vec<&'static str> {
        let speed = if self.flags.has(Flags::FAST) {
            "@fast"
        } else {
            "@slow"
        };
        let is_implied = |category| match category {
            "@write" => self.flags.has(Flags::WRITE),
            "@read" => self.flags.has(Flags::READONLY),
            "@pubsub" => self.flags.has(Flags::PUBSUB),
            "@admin" | "@dangerous" => self.flags.has(Flags::ADMIN),
            other => other == speed,
        };
        let mut all = CATEGORIES.to_vec();
        all.retain(|category| is_implied(category) || self.categories.contains(category));
        all
    }
}

/// What follows the `|`, or all of it.
const fn last_word(name: &'static str) -> &'static str {
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'|' {
            return name.split_at(name.len() - tail.len()).1;
        }
        rest = tail;
    }
    name
}

/// A container is only ever called with a subcommand; its arity says so.
fn without_subcommand(_: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    Err(Error::Syntax)
}

/// What a command is and may, as `COMMAND INFO` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const WRITE: Self = Self(1);
    pub(crate) const READONLY: Self = Self(1 << 1);
    pub(crate) const DENYOOM: Self = Self(1 << 2);
    pub(crate) const ADMIN: Self = Self(1 << 3);
    pub(crate) const PUBSUB: Self = Self(1 << 4);
    pub(crate) const NOSCRIPT: Self = Self(1 << 5);
    pub(crate) const LOADING: Self = Self(1 << 6);
    pub(crate) const STALE: Self = Self(1 << 7);
    pub(crate) const SKIP_SLOWLOG: Self = Self(1 << 8);
    pub(crate) const FAST: Self = Self(1 << 9);
    /// May be used before authentication.
    pub(crate) const NO_AUTH: Self = Self(1 << 10);
    pub(crate) const ALLOW_BUSY: Self = Self(1 << 11);
    /// May be used by a subscribed RESP2 connection; ours, not listed.
    pub(crate) const SUBSCRIBED: Self = Self(1 << 12);
    /// Acts at once inside `MULTI`; ours, not listed.
    pub(crate) const UNQUEUED: Self = Self(1 << 13);
    /// Confirms by pushed frames, which `CLIENT REPLY OFF` does not silence; ours, not listed.
    pub(crate) const CONFIRMS: Self = Self(1 << 14);
    /// Ends subscriptions; ours, not listed.
    pub(crate) const UNSUBSCRIBES: Self = Self(1 << 15);
    /// May have to wait for the gateway's answer, which `EXEC` cannot; ours, not listed.
    pub(crate) const ASKS: Self = Self(1 << 16);
    pub(crate) const BLOCKING: Self = Self(1 << 17);
    pub(crate) const MOVABLEKEYS: Self = Self(1 << 18);
    /// Asks for rights to the queues that it uses, not to the bus; ours, not listed.
    pub(crate) const LIST: Self = Self(1 << 19);

    const NAMES: [(Self, &'static str); 14] = [
        (Self::WRITE, "write"),
        (Self::READONLY, "readonly"),
        (Self::DENYOOM, "denyoom"),
        (Self::ADMIN, "admin"),
        (Self::PUBSUB, "pubsub"),
        (Self::NOSCRIPT, "noscript"),
        (Self::BLOCKING, "blocking"),
        (Self::LOADING, "loading"),
        (Self::STALE, "stale"),
        (Self::SKIP_SLOWLOG, "skip_slowlog"),
        (Self::FAST, "fast"),
        (Self::NO_AUTH, "no_auth"),
        (Self::ALLOW_BUSY, "allow_busy"),
        (Self::MOVABLEKEYS, "movablekeys"),
    ];

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| name)
    }
}

/// RESP: all categories that Redis 7.2 has, used here or not, in its order.
const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

/// Finds the command that a request names and checks the number of its arguments. `last` is the
/// connection's last command: most requests are the same again, and one comparison tells.
///
/// # Errors
/// [`Error::Unknown`] or [`Error::Arity`].
pub(crate) fn find(request: &Request, last: Option<&'static Spec>) -> Result<&'static Spec, Error> {
    let name = request.name();
    // A subcommand's name is no command's.
    let is_same = |last: &&Spec| {
        last.subcommands.is_empty() && last.name == last.short_name && is(name, last.name)
    };
    let spec = match last.filter(is_same) {
        Some(last) => last,
        None => find_new(request)?,
    };
    if spec.takes(request.len()) {
        Ok(spec)
    } else {
        Err(Error::Arity(spec.name))
    }
}

fn find_new(request: &Request) -> Result<&'static Spec, Error> {
    let command = lookup(all(), request.name()).ok_or_else(|| unknown(request))?;
    match request.arg(1) {
        Some(name) if !command.subcommands.is_empty() => {
            let rest = || format!("'. Try {} HELP.", command.name.to_ascii_uppercase());
            lookup(command.subcommands, name)
                .ok_or_else(|| Error::quoting("unknown subcommand '", name, &rest()))
        }
        _ => Ok(command),
    }
}

/// Every command, sorted by name.
pub(crate) const fn all() -> &'static [Spec] {
    table::COMMANDS
}

/// Longer than any name in the table.
const NAME_BYTES_MAX: usize = 24;

/// Binary search: the table is sorted by short name.
fn lookup(specs: &'static [Spec], name: &[u8]) -> Option<&'static Spec> {
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let at = specs
        .binary_search_by(|spec| spec.short_name.as_bytes().cmp(lower))
        .ok()?;
    specs.get(at)
}

/// RESP: the text by which several clients recognise that a command is missing.
fn unknown(request: &Request) -> Error {
    let mut args = Vec::new();
    for arg in request.args_from(1) {
        let Some(room @ 1..) = QUOTED_BYTES_MAX.checked_sub(args.len()) else {
            break;
        };
        let arg = printable(arg);
        args.push(b'\'');
        args.extend_from_slice(arg.get(..room).unwrap_or(arg));
        args.extend_from_slice(b"' ");
    }
    let rest = "', with args beginning with: ";
    let mut error = Error::quoting("unknown command '", request.name(), rest);
    if let Error::Unknown { text } = &mut error {
        text.extend_from_slice(&args);
    }
    error
}

/// Whether an argument is this keyword, which must be given in lower case.
pub(crate) fn is(arg: &[u8], keyword: &str) -> bool {
    arg.eq_ignore_ascii_case(keyword.as_bytes())
}

/// Writes help texts as `HELP` subcommands do: the title, `lines`, and how to get help.
pub(crate) fn write_help(reply: &mut ReplyWriter<'_>, command: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!(
        "{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    lines.iter().for_each(|line| reply.simple(line));
    reply.simple("HELP");
    reply.simple("    Print this help.");
}
