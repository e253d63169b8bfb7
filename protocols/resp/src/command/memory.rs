//! `MEMORY`, `SLOWLOG` and `DEBUG`: what of them has a meaning here.

use super::{Call, is, write_help};
use crate::connection::Want;
use crate::error::Error;
use crate::wire::request::{Request, parse_number};

/// What a key costs beside its bytes, roughly: its entry in the map.
const KEY_COST_BYTES: usize = 96;

/// RESP: `MEMORY USAGE key [SAMPLES count]`: an estimate; null for a key that is not there.
pub(super) fn usage(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let samples = request.arg(4).and_then(parse_number);
    match (request.len(), request.arg(3)) {
        (3, _) => {}
        (5, Some(word)) if is(word, "samples") && samples.is_some_and(|n| n >= 0) => {}
        _ => return Err(Error::Syntax),
    }
    let database = call.session.database;
    let key = request.arg(2).unwrap_or_default();
    let entry = call.keyspace().get(database, key);
    match entry.map(|entry| entry.value.len()) {
        Some(bytes) => call.reply.count(bytes + key.len() + KEY_COST_BYTES),
        None => call.reply.null(),
    }
    Ok(())
}

pub(super) fn doctor(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply
        .verbatim("No memory issue is known here; /metrics tells what is used.\n");
    Ok(())
}

pub(super) fn malloc_stats(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply
        .verbatim("Stats not supported for the current allocator");
    Ok(())
}

pub(super) fn purge(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.ok();
    Ok(())
}

pub(super) fn stats(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let databases = call.server.settings.databases;
    let keyspace = call.keyspace();
    let keys: usize = (0..databases).map(|database| keyspace.len(database)).sum();
    let bytes = keyspace.bytes();
    call.reply.map(2);
    call.reply.bulk(b"keys.count");
    call.reply.count(keys);
    call.reply.bulk(b"dataset.bytes");
    call.reply.count(bytes);
    Ok(())
}

pub(super) fn memory_help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "MEMORY", MEMORY_HELP);
    Ok(())
}

const MEMORY_HELP: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value.",
];

/// No command is timed, so none is ever slow.
pub(super) fn slowlog_get(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let count = request.arg(2).map_or(Some(10), parse_number);
    if request.len() > 3 {
        return Err(Error::Arity("slowlog|get"));
    }
    if count.is_none_or(|count| count < -1) {
        return Err(Error::Text(
            "ERR count should be greater than or equal to -1",
        ));
    }
    call.reply.array(0);
    Ok(())
}

pub(super) fn slowlog_len(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.integer(0);
    Ok(())
}

pub(super) fn slowlog_reset(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.ok();
    Ok(())
}

pub(super) fn slowlog_help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "SLOWLOG", SLOWLOG_HELP);
    Ok(())
}

const SLOWLOG_HELP: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

/// RESP: `DEBUG SLEEP seconds`: here, this connection alone.
pub(super) fn debug_sleep(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_debug(call)?;
    let deadline = super::blocking::deadline(call, request.arg(2))?;
    match deadline {
        None => call.reply.ok(),
        Some(at) => super::blocking::wait_until(call, Want::Sleep, at),
    }
    Ok(())
}

/// RESP: `DEBUG LOG message`.
pub(super) fn debug_log(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_debug(call)?;
    let message = String::from_utf8_lossy(request.arg(2).unwrap_or_default());
    tracing::info!(%message, "DEBUG LOG");
    call.reply.ok();
    Ok(())
}

fn check_debug(call: &Call<'_>) -> Result<(), Error> {
    if call.server.settings.has_debug {
        return Ok(());
    }
    Err(Error::Text(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}
