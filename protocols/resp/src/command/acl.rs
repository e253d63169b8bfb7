//! `ACL`: the gateway's users in Redis's words. Users and their rights are in the gateway's
//! configuration and cannot be changed from here.
//!
//! An administrator sees all of them, anybody else itself. Rights are regular expressions there,
//! which Redis's rules cannot say: what a user may use whole is shown as all of it, what is limited
//! by a pattern as none. Passwords are nobody's to see.

use routing::Identity;

use super::{CATEGORIES, Call, DEFAULT_USER, all, is, write_help};
use crate::error::Error;
use crate::translate::Rights;
use crate::wire::request::Request;

pub(super) fn whoami(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let user = call.session.user();
    call.reply.bulk(user.as_bytes());
    Ok(())
}

/// RESP: `ACL USERS`.
pub(super) fn users(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let users = visible(call)?;
    call.reply.array(users.len());
    users
        .iter()
        .for_each(|user| call.reply.bulk(user.name.as_bytes()));
    Ok(())
}

/// RESP: `ACL LIST`: a rule for each user, as `ACL SETUSER` would take it.
pub(super) fn list(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let users = visible(call)?;
    call.reply.array(users.len());
    for user in &users {
        let (flags, commands) = (user.flags().join(" "), user.commands());
        let words = ["user", &user.name, &flags, user.keys(), user.channels()];
        let mut rule = words.to_vec();
        rule.push(&commands);
        rule.retain(|word| !word.is_empty());
        call.reply.bulk(rule.join(" ").as_bytes());
    }
    Ok(())
}

/// RESP: `ACL GETUSER name`: null for one that is not there, or not to be seen.
pub(super) fn getuser(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let users = visible(call)?;
    let wanted = |user: &&User| request.arg(2) == Some(user.name.as_bytes());
    let Some(user) = users.iter().find(wanted) else {
        call.reply.null();
        return Ok(());
    };
    let reply = &mut call.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(0);
    for (name, value) in [
        ("commands", user.commands().as_str()),
        ("keys", user.keys()),
        ("channels", user.channels()),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

/// A user as Redis would describe it.
struct User {
    name: String,
    /// Whether it is who connects without a password.
    is_open: bool,
    is_administrator: bool,
    rights: Rights,
    has_all_keys: bool,
}

impl User {
    fn of(call: &Call<'_>, identity: &Identity, is_open: bool) -> Self {
        let vhost = call.server.settings.vhost.as_ref();
        let vhost = vhost.unwrap_or(&identity.default_vhost);
        let name = if is_open {
            DEFAULT_USER
        } else {
            identity.user.as_str()
        };
        let is_all = |pattern: &str| [".*", "^.*$"].contains(&pattern);
        let permissions = identity.permissions.get(vhost);
        let has_all_keys = permissions.is_some_and(|permissions| {
            is_all(permissions.configure.as_str())
                && is_all(permissions.write.as_str())
                && is_all(permissions.read.as_str())
        });
        Self {
            name: name.to_owned(),
            is_open,
            is_administrator: identity.has_tag("administrator"),
            rights: Rights::of(identity, vhost),
            has_all_keys,
        }
    }

    fn flags(&self) -> Vec<&'static str> {
        let nopass = self.is_open.then_some("nopass");
        let flags = [Some("on"), nopass, Some("sanitize-payload")];
        flags.into_iter().flatten().collect()
    }

    fn commands(&self) -> String {
        let mut commands = "+@all".to_owned();
        let missing = [
            (!self.is_administrator, " -@admin"),
            (!self.rights.may_write(), " -@write"),
            (!self.rights.may_read(), " -@read"),
        ];
        missing
            .into_iter()
            .filter(|(is_missing, _)| *is_missing)
            .for_each(|(_, rule)| commands.push_str(rule));
        commands
    }

    const fn keys(&self) -> &'static str {
        if self.has_all_keys { "~*" } else { "" }
    }

    const fn channels(&self) -> &'static str {
        let rights = &self.rights;
        let has_all = rights.may_read() && rights.may_write() && !rights.is_limited();
        if has_all { "&*" } else { "resetchannels" }
    }
}

/// The users that the caller may see, by name.
fn visible(call: &Call<'_>) -> Result<Vec<User>, Error> {
    let login = call.session.login.as_ref();
    let login = login.ok_or(Error::AuthenticationRequired)?;
    let is_open = login.user.as_str() == DEFAULT_USER;
    if !login.is_administrator {
        return Ok(vec![User::of(call, login.bus.identity(), is_open)]);
    }
    let anonymous = call.session.anonymous.iter();
    let mut users: Vec<_> = anonymous.map(|user| User::of(call, user, true)).collect();
    let known = call.server.users();
    users.extend(known.iter().map(|user| User::of(call, user, false)));
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users.dedup_by(|one, other| one.name == other.name);
    Ok(users)
}

/// Whether there is a user of that name, or a connection of one that there was.
pub(super) fn is_known(call: &Call<'_>, name: &[u8]) -> bool {
    let is_it = |user: &str| user.as_bytes() == name;
    is_it(DEFAULT_USER)
        || call.server.users().iter().any(|user| is_it(&user.user))
        || call
            .server
            .clients()
            .iter()
            .any(|client| is_it(&client.snapshot().user))
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
