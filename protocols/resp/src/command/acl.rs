//! `ACL`: as much of it as a client may want to know of itself. Users and their rights are in the
//! gateway's configuration and cannot be changed from here.

use super::{CATEGORIES, Call, all, is, write_help};
use crate::error::Error;
use crate::wire::request::Request;

pub(super) fn whoami(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let user = call.session.user();
    call.reply.bulk(user.as_bytes());
    Ok(())
}

/// RESP: `ACL USERS`: the connection's own user; others are the gateway's secret.
pub(super) fn users(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.reply.array(1);
    whoami(call, request)
}

/// What the user may do in Redis's words, as far as they have any for it.
fn rights(call: &mut Call<'_>) -> Result<[&'static str; 3], Error> {
    let is_administrator = call.session.login.as_ref();
    let is_administrator = is_administrator.is_some_and(|login| login.is_administrator);
    let bus = call.session.bus()?;
    let commands = if is_administrator {
        "+@all"
    } else {
        "+@all -@admin"
    };
    let channels = if bus.may_read() || bus.may_write() {
        "&*"
    } else {
        "resetchannels"
    };
    Ok([commands, "~*", channels])
}

pub(super) fn list(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let [commands, keys, channels] = rights(call)?;
    let user = call.session.user();
    let rule = format!("user {user} on sanitize-payload {keys} {channels} {commands}");
    call.reply.array(1);
    call.reply.bulk(rule.as_bytes());
    Ok(())
}

/// RESP: `ACL GETUSER name`: null for anybody else.
pub(super) fn getuser(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let user = call.session.user();
    if request.arg(2) != Some(user.as_bytes()) {
        call.reply.null();
        return Ok(());
    }
    let [commands, keys, channels] = rights(call)?;
    let reply = &mut call.reply;
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(2);
    reply.bulk(b"on");
    reply.bulk(b"sanitize-payload");
    reply.bulk(b"passwords");
    reply.array(0);
    for (name, value) in [
        ("commands", commands),
        ("keys", keys),
        ("channels", channels),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

/// RESP: `ACL CAT [category]`.
pub(super) fn cat(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let names: Vec<_> = match request.arg(2) {
        None => CATEGORIES
            .iter()
            .filter_map(|name| name.strip_prefix('@'))
            .collect(),
        Some(_) if request.len() > 3 => {
            return Err(Error::quoting(
                "unknown subcommand or wrong number of arguments for '",
                request.arg(1).unwrap_or_default(),
                "'. Try ACL HELP.",
            ));
        }
        Some(wanted) => {
            let names = CATEGORIES.iter().filter_map(|name| name.strip_prefix('@'));
            let category = names.into_iter().find(|category| is(wanted, category));
            let unknown = || Error::quoting("Unknown category '", wanted, "'");
            let category = category.ok_or_else(unknown)?;
            let specs = all()
                .iter()
                .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
            specs
                .filter(|spec| spec.is_in(category))
                .map(|spec| spec.name)
                .collect()
        }
    };
    call.reply.array(names.len());
    names
        .iter()
        .for_each(|name| call.reply.bulk(name.as_bytes()));
    Ok(())
}

pub(super) fn help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "ACL", HELP);
    Ok(())
}

const HELP: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "GETUSER <username>",
    "    Get the user's details.",
    "LIST",
    "    Show users details in config file format.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];
