//! The server: what commands it has, what time it is, and what it is not (a cluster, a replica).

use bytes::Bytes;
use routing::Glob;

use super::{Call, Spec, all, find, is, lookup, write_help};
use crate::error::Error;
use crate::wire::reply::ReplyWriter;
use crate::wire::request::{Request, parse_number};

/// RESP: `COMMAND`: all there are, in detail.
pub(super) fn command(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.array(all().len());
    all()
        .iter()
        .for_each(|spec| write_info(&mut call.reply, spec));
    Ok(())
}

pub(super) fn command_count(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.count(all().len());
    Ok(())
}

/// RESP: `COMMAND INFO [name ...]`; null for a name that is unknown.
pub(super) fn command_info(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if request.len() == 2 {
        return command(call, request);
    }
    call.reply.array(request.len() - 2);
    for name in request.args_from(2) {
        match named(name) {
            Some(spec) => write_info(&mut call.reply, spec),
            None => call.reply.null(),
        }
    }
    Ok(())
}

/// RESP: `COMMAND LIST [FILTERBY ACLCAT category | PATTERN pattern | MODULE name]`.
pub(super) fn command_list(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let specs = all()
        .iter()
        .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    let value = request.arg(4).unwrap_or_default();
    let names: Vec<_> = match (request.len(), request.arg(2), request.arg(3)) {
        (2, ..) => all().iter().map(|spec| spec.name).collect(),
        (5, Some(filter), Some(by)) if is(filter, "filterby") && is(by, "aclcat") => {
            let category = std::str::from_utf8(value)
                .unwrap_or_default()
                .to_ascii_lowercase();
            specs
                .filter(|spec| spec.is_in(&category))
                .map(|spec| spec.name)
                .collect()
        }
        (5, Some(filter), Some(by)) if is(filter, "filterby") && is(by, "pattern") => {
            let glob = Glob::new(Bytes::from(value.to_ascii_lowercase()));
            specs
                .map(|spec| spec.name)
                .filter(|name| glob.matches(name.as_bytes()))
                .collect()
        }
        (5, Some(filter), Some(by)) if is(filter, "filterby") && is(by, "module") => Vec::new(),
        _ => return Err(Error::Syntax),
    };
    call.reply.array(names.len());
    names
        .iter()
        .for_each(|name| call.reply.bulk(name.as_bytes()));
    Ok(())
}

/// RESP: `COMMAND GETKEYS command [arg ...]`.
pub(super) fn command_getkeys(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let inner = request.without_first(2);
    let spec = find(&inner, None).map_err(|error| match error {
        Error::Arity(_) => Error::Text("ERR Invalid number of arguments specified for command"),
        _ => Error::Text("ERR Invalid command specified"),
    })?;
    let keys: Vec<_> = spec.key_args(&inner).collect();
    if keys.is_empty() {
        return Err(Error::Text("ERR The command has no key arguments"));
    }
    call.reply.array(keys.len());
    keys.iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

pub(super) fn command_help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "COMMAND", HELP);
    Ok(())
}

const HELP: &[&str] = &[
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
];

/// A command by its full name, `client|id` included.
pub(super) fn named(name: &[u8]) -> Option<&'static Spec> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let command = lookup(all(), words.next()?)?;
    match words.next() {
        Some(word) => lookup(command.subcommands, word),
        None => Some(command),
    }
}

/// RESP: ten elements; the subcommands, one level deep, are the last.
fn write_info(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    write_own_info(reply, spec);
    match spec.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    for subcommand in spec.subcommands {
        write_own_info(reply, subcommand);
        reply.set(0);
    }
}

/// All of an entry but its last element.
fn write_own_info(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.into());
    let flags: Vec<_> = spec.flags.names().collect();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    let (first, last, step) = spec.keys;
    [first, last, step]
        .into_iter()
        .for_each(|number| reply.integer(number.into()));
    let categories = spec.all_categories();
    reply.set(categories.len());
    categories
        .iter()
        .for_each(|category| reply.simple(category));
    // Tips for cluster clients, and key specifications: none are kept.
    reply.set(0);
    reply.set(0);
}

pub(super) fn time(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let ms = call.now.0;
    call.reply.array(2);
    call.reply.bulk((ms / 1000).to_string().as_bytes());
    call.reply.bulk((ms % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

/// RESP: a master without replicas.
pub(super) fn role(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.array(3);
    call.reply.bulk(b"master");
    call.reply.integer(0);
    call.reply.array(0);
    Ok(())
}

/// RESP: no replica ever acknowledges, so it answers at once.
pub(super) fn wait(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    request
        .arg(1)
        .and_then(parse_number)
        .ok_or(Error::NotInteger)?;
    let timeout = request.arg(2).and_then(parse_number);
    match timeout.ok_or(Error::Text("ERR timeout is not an integer or out of range"))? {
        ..=-1 => Err(Error::Text("ERR timeout is negative")),
        _ => {
            call.reply.integer(0);
            Ok(())
        }
    }
}

/// Nothing is ever saved from here; the start is what Redis reports then.
pub(super) fn lastsave(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let seconds = call.server.started_at.0 / 1000;
    call.reply
        .integer(i64::try_from(seconds).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn no_cluster(_: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    Err(Error::NoCluster)
}

pub(super) fn dbsize(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let database = call.session.database;
    let keys = call.keyspace().len(database);
    let lists = call.session.bus()?.lists().len();
    call.reply.count(keys + lists);
    Ok(())
}

/// RESP: `FLUSHALL [ASYNC | SYNC]`.
pub(super) fn flushall(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_flush(request)?;
    let databases = call.server.settings.databases;
    let keyspace = call.keyspace();
    (0..databases).for_each(|database| keyspace.clear(database));
    call.session.bus()?.empty_lists();
    call.reply.ok();
    Ok(())
}

pub(super) fn flushdb(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_flush(request)?;
    let database = call.session.database;
    call.keyspace().clear(database);
    call.session.bus()?.empty_lists();
    call.reply.ok();
    Ok(())
}

fn check_flush(request: &Request) -> Result<(), Error> {
    match (request.len(), request.arg(1)) {
        (1, _) => Ok(()),
        (2, Some(mode)) if is(mode, "async") || is(mode, "sync") => Ok(()),
        _ => Err(Error::Syntax),
    }
}
