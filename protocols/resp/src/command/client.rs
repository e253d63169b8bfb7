//! `CLIENT`: connections as clients see and name them.
//!
//! A user sees and ends only its own connections; an administrator all of them (non-normative:
//! Redis asks for a right to the command instead).

use std::sync::Arc;

use bytes::Bytes;
use routing::{Event, Timestamp, Wakes};

use super::{Call, is, write_help};
use crate::connection::ReplyMode;
use crate::error::Error;
use crate::server::{Client, Pause, Snapshot, Unblock};
use crate::wire::request::{Request, parse_number};

/// The longest pause, an hour (non-normative): a slip must not stop everybody for ever.
const PAUSE_MS_MAX: u64 = 3_600_000;

/// Longest name of a connection or its library (non-normative).
const NAME_BYTES_MAX: usize = 1024;

pub(super) fn id(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.integer(call.session.client.id_number());
    Ok(())
}

pub(super) fn info(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let own = call.session.snapshot();
    let text = describe(&call.session.client, &own, call.now);
    call.reply.verbatim(&text);
    Ok(())
}

/// RESP: `CLIENT LIST [TYPE type | ID id [id ...]]`.
pub(super) fn list(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let option = request.arg(2).unwrap_or_default();
    let mut filter = Filter::default();
    if request.len() == 4 && is(option, "type") {
        filter.kind = Some(Kind::of(request.arg(3).unwrap_or_default())?);
    } else if request.len() > 3 && is(option, "id") {
        let invalid = Error::Text("ERR Invalid client ID");
        filter.ids = request
            .args_from(3)
            .map(parse_number)
            .collect::<Option<_>>()
            .ok_or(invalid)?;
    } else if request.len() != 2 {
        return Err(Error::Syntax);
    }
    let now = call.now;
    let clients = visible(call, &filter);
    let text: String = clients
        .iter()
        .map(|(client, at)| describe(client, at, now))
        .collect();
    call.reply.verbatim(&text);
    Ok(())
}

/// RESP: `CLIENT KILL address`, or `CLIENT KILL option value [option value ...]`.
pub(super) fn kill(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let is_old_form = request.len() == 3;
    let filter = if is_old_form {
        Filter {
            address: Some(request.bytes(2)),
            ..Filter::default()
        }
    } else {
        Filter::parse(request)?
    };
    let is_administrator = check_administrator(call, "client|kill").is_ok();
    if let Some(user) = &filter.user
        && is_administrator
        && !super::acl::is_known(call, user)
    {
        return Err(Error::quoting("No such user '", user, "'"));
    }
    let own = call.session.client.id;
    let mut wakes = Wakes::default();
    let mut killed = 0;
    for (client, _) in visible(call, &filter) {
        if client.id == own {
            if filter.skips_own {
                continue;
            }
            call.session.is_closing = true;
        } else {
            let reason = "ended by CLIENT KILL".to_owned();
            client.outbox().notify(Event::Close { reason }, &mut wakes);
        }
        killed += 1;
    }
    match (is_old_form, killed) {
        (true, 0) => return Err(Error::Text("ERR No such client")),
        (true, _) => call.reply.ok(),
        (false, killed) => call.reply.integer(killed),
    }
    Ok(())
}

/// Which connections `LIST` and `KILL` mean.
#[derive(Default)]
struct Filter {
    address: Option<Bytes>,
    local: Option<Bytes>,
    user: Option<Bytes>,
    kind: Option<Kind>,
    /// Empty: any.
    ids: Vec<i64>,
    skips_own: bool,
}

/// What Redis calls a client's type; masters and replicas there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    PubSub,
    Replication,
}

impl Kind {
    fn of(name: &[u8]) -> Result<Self, Error> {
        match name {
            name if is(name, "normal") => Ok(Self::Normal),
            name if is(name, "pubsub") => Ok(Self::PubSub),
            name if ["master", "replica", "slave"]
                .iter()
                .any(|known| is(name, known)) =>
            {
                Ok(Self::Replication)
            }
            name => Err(Error::quoting("Unknown client type '", name, "'")),
        }
    }
}

impl Filter {
    fn parse(request: &Request) -> Result<Self, Error> {
        let mut filter = Self {
            skips_own: true,
            ..Self::default()
        };
        for index in (2..request.len()).step_by(2) {
            let option = request.arg(index).unwrap_or_default();
            let value = request.arg(index + 1).ok_or(Error::Syntax)?;
            match option {
                option if is(option, "id") => {
                    let id = parse_number(value).filter(|id| *id > 0);
                    let invalid = Error::Text("ERR client-id should be greater than 0");
                    filter.ids = vec![id.ok_or(invalid)?];
                }
                option if is(option, "type") => filter.kind = Some(Kind::of(value)?),
                option if is(option, "addr") => filter.address = Some(request.bytes(index + 1)),
                option if is(option, "laddr") => filter.local = Some(request.bytes(index + 1)),
                option if is(option, "user") => filter.user = Some(request.bytes(index + 1)),
                option if is(option, "skipme") && is(value, "yes") => filter.skips_own = true,
                option if is(option, "skipme") && is(value, "no") => filter.skips_own = false,
                _ => return Err(Error::Syntax),
            }
        }
        Ok(filter)
    }

    fn matches(&self, client: &Client, at: &Snapshot) -> bool {
        let kind = if at.is_subscribed() {
            Kind::PubSub
        } else {
            Kind::Normal
        };
        let is_equal = |wanted: &Option<Bytes>, is: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == is.as_bytes())
        };
        is_equal(&self.address, &client.address)
            && is_equal(&self.local, &client.local)
            && is_equal(&self.user, &at.user)
            && self.kind.is_none_or(|wanted| wanted == kind)
            && (self.ids.is_empty() || self.ids.contains(&client.id_number()))
    }
}

/// The connections that the caller may see and that `filter` lets through, the caller's as it is
/// at this moment.
fn visible(call: &Call<'_>, filter: &Filter) -> Vec<(Arc<Client>, Snapshot)> {
    let own = call.session.snapshot();
    let sees_all = call
        .session
        .login
        .as_ref()
        .is_some_and(|login| login.is_administrator);
    let mut found = Vec::new();
    for client in call.server.clients() {
        let at = if client.id == call.session.client.id {
            own.clone()
        } else {
            client.snapshot()
        };
        if (sees_all || at.user == own.user) && filter.matches(&client, &at) {
            found.push((client, at));
        }
    }
    found
}

/// One line of `CLIENT LIST`. Numbers of buffers that exist in Redis alone are 0.
pub(crate) fn describe(client: &Client, at: &Snapshot, now: Timestamp) -> String {
    let text = |bytes: &Option<Bytes>| {
        bytes
            .as_ref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .unwrap_or_default()
    };
    let mut flags = String::new();
    let marks = [
        (at.is_subscribed(), 'P'),
        (at.is_monitor, 'O'),
        (at.is_blocked, 'b'),
        (at.queued.is_some(), 'x'),
        (at.is_evict_protected, 'e'),
        (at.leaves_untouched, 'T'),
    ];
    flags.extend(
        marks
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, mark)| mark),
    );
    if flags.is_empty() {
        flags.push('N');
    }
    let outbox = client.outbox();
    let waiting = outbox.bytes();
    format!(
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={} psub={} \
         ssub={} multi={} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 obl=0 oll={} \
         omem={waiting} tot-mem={} events=r cmd={} user={} redir=-1 resp={} lib-name={} \
         lib-ver={}\n",
        client.id.0,
        client.address,
        client.local,
        text(&at.name),
        now.since_ms(client.connected_at) / 1000,
        now.since_ms(at.last_request_at) / 1000,
        at.database,
        at.channels,
        at.patterns,
        at.shard_channels,
        at.queued
            .map_or_else(|| "-1".to_owned(), |queued| queued.to_string()),
        at.queued_bytes,
        outbox.len(),
        waiting + at.queued_bytes,
        at.last_command,
        at.user,
        at.version.number(),
        text(&at.library_name),
        text(&at.library_version),
    )
}

pub(super) fn getname(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    match &call.session.name {
        Some(name) => call.reply.bulk(name),
        None => call.reply.null(),
    }
    Ok(())
}

pub(super) fn setname(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.session.name = checked_name(request, 2)?;
    call.reply.ok();
    Ok(())
}

/// Argument `index` as a connection's name; an empty one takes the name away.
///
/// # Errors
/// [`Error::Text`] for bytes that would break the lines of `CLIENT LIST`.
pub(super) fn checked_name(request: &Request, index: usize) -> Result<Option<Bytes>, Error> {
    let name = request.arg(index).unwrap_or_default();
    let text = "ERR Client names cannot contain spaces, newlines or special characters.";
    check_word(name, || Error::Text(text))
}

pub(super) fn setinfo(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let option = request.arg(2).unwrap_or_default();
    let value = request.arg(3).unwrap_or_default();
    let rest = " cannot contain spaces, newlines or special characters.";
    let invalid = || Error::quoting("", option, rest);
    if is(option, "lib-name") {
        call.session.library_name = check_word(value, invalid)?;
    } else if is(option, "lib-ver") {
        call.session.library_version = check_word(value, invalid)?;
    } else {
        return Err(Error::quoting("Unrecognized option '", option, "'"));
    }
    call.reply.ok();
    Ok(())
}

fn check_word(word: &[u8], invalid: impl Fn() -> Error) -> Result<Option<Bytes>, Error> {
    if word.len() > NAME_BYTES_MAX {
        return Err(Error::Limit {
            what: "client name bytes",
            max: NAME_BYTES_MAX,
        });
    }
    if !word.iter().all(u8::is_ascii_graphic) {
        return Err(invalid());
    }
    Ok(Some(word)
        .filter(|word| !word.is_empty())
        .map(Bytes::copy_from_slice))
}

/// RESP: OFF and SKIP are not answered; pushed frames and confirmations still come.
pub(super) fn reply(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    match request.arg(2).unwrap_or_default() {
        mode if is(mode, "on") => {
            call.session.reply_mode = ReplyMode::On;
            call.reply.ok();
        }
        mode if is(mode, "off") => call.session.reply_mode = ReplyMode::Off,
        mode if is(mode, "skip") => {
            if call.session.reply_mode != ReplyMode::Off {
                call.session.reply_mode = ReplyMode::SkipNext;
            }
        }
        _ => return Err(Error::Syntax),
    }
    Ok(())
}

pub(super) fn no_evict(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.session.is_evict_protected = switch(request)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn no_touch(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.session.leaves_untouched = switch(request)?;
    call.reply.ok();
    Ok(())
}

/// Client-side caching is accepted and never invalidates anything: the volatile map is no cache's
/// source (non-normative). Some clients refuse a server that refuses it.
pub(super) fn tracking(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    switch(request)?;
    let mut options = request.args_from(3);
    while let Some(option) = options.next() {
        let has_value = is(option, "redirect") || is(option, "prefix");
        let stands_alone = ["bcast", "optin", "optout", "noloop"]
            .iter()
            .any(|word| is(option, word));
        let is_known = stands_alone || has_value && options.next().is_some();
        if !is_known {
            return Err(Error::Syntax);
        }
    }
    call.reply.ok();
    Ok(())
}

fn switch(request: &Request) -> Result<bool, Error> {
    match request.arg(2).unwrap_or_default() {
        word if is(word, "on") => Ok(true),
        word if is(word, "off") => Ok(false),
        _ => Err(Error::Syntax),
    }
}

pub(super) fn trackinginfo(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let reply = &mut call.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.integer(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
    Ok(())
}

/// RESP: `CLIENT PAUSE milliseconds [WRITE | ALL]`: holds requests of Redis clients back. Only an
/// administrator may.
pub(super) fn pause(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let writes_only = match request.arg(3) {
        None => false,
        Some(word) if is(word, "all") => false,
        Some(word) if is(word, "write") => true,
        Some(_) => {
            return Err(Error::Text("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
    };
    let ms = request.arg(2).and_then(parse_number);
    let ms = ms.ok_or(Error::Text("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| Error::Text("ERR timeout is negative"))?;
    check_administrator(call, "client|pause")?;
    let until = call.now.plus_ms(ms.min(PAUSE_MS_MAX));
    call.server.set_pause(Some(Pause { until, writes_only }));
    call.reply.ok();
    Ok(())
}

pub(super) fn unpause(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    check_administrator(call, "client|unpause")?;
    call.server.set_pause(None);
    call.reply.ok();
    Ok(())
}

/// RESP: `MONITOR`. What others ask for is an administrator's to see.
pub(super) fn monitor(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    if call.session.is_executing {
        let text = "ERR MONITOR isn't allowed for DENY BLOCKING client";
        return Err(Error::Text(text));
    }
    check_administrator(call, "monitor")?;
    let outbox = Arc::clone(call.session.outbox());
    call.server.monitors.add(call.session.client.id, outbox);
    call.session.is_monitor = true;
    call.reply.ok();
    Ok(())
}

fn check_administrator(call: &Call<'_>, command: &'static str) -> Result<(), Error> {
    let login = call.session.login.as_ref();
    if login.is_some_and(|login| login.is_administrator) {
        return Ok(());
    }
    let user = call.session.user().to_string();
    Err(Error::CommandDenied { user, command })
}

pub(super) fn getredir(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.integer(-1);
    Ok(())
}

pub(super) fn caching(_: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    Err(Error::Text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled",
    ))
}

/// RESP: `CLIENT UNBLOCK id [TIMEOUT | ERROR]`.
pub(super) fn unblock(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let reason = request.arg(3).unwrap_or(b"timeout");
    if !is(reason, "timeout") && !is(reason, "error") {
        return Err(Error::Text(
            "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ));
    }
    let id = request.arg(2).and_then(parse_number);
    let id = id.ok_or(Error::NotInteger)?;
    let how = if is(reason, "error") {
        Unblock::Error
    } else {
        Unblock::Timeout
    };
    let filter = Filter {
        ids: vec![id],
        ..Filter::default()
    };
    let found = visible(call, &filter);
    let blocked = found.iter().find(|(_, at)| at.is_blocked);
    if let Some((client, _)) = blocked {
        client.unblock(how);
    }
    call.reply.integer(blocked.is_some().into());
    Ok(())
}

pub(super) fn help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "CLIENT", HELP);
    Ok(())
}

const HELP: &[&str] = &[
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * ID <id>",
    "      Kill the connection with this ID.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|PUBSUB)",
    "      Return clients of specified type.",
    "    * ID <id> [<id> ...]",
    "      Return the clients with these IDs.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
];
