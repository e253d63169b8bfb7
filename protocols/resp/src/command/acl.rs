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
    "WHOAMI",
    "    Return the current connection username.",
];
