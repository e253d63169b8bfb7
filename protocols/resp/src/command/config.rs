//! `CONFIG`: the parameters that Redis clients and tools ask for, with what holds here.
//!
//! All are fixed by the gateway's own configuration: setting one to the value that it has
//! succeeds, anything else is refused in Redis's words for an immutable parameter.

use bytes::Bytes;
use routing::Glob;

use super::{Call, write_help};
use crate::error::Error;
use crate::settings::{OutputLimit, Settings};
use crate::wire::request::Request;

/// RESP: `CONFIG GET pattern [pattern ...]`, a map that names each parameter once.
pub(super) fn get(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let patterns: Vec<_> = request
        .args_from(2)
        .map(|pattern| Glob::new(Bytes::from(pattern.to_ascii_lowercase())))
        .collect();
    let mut parameters = parameters(&call.server.settings);
    parameters.retain(|(name, _)| patterns.iter().any(|glob| glob.matches(name.as_bytes())));
    call.reply.map(parameters.len());
    for (name, value) in parameters {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// RESP: `CONFIG SET parameter value [parameter value ...]`.
pub(super) fn set(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if !request.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let parameters = parameters(&call.server.settings);
    for index in (2..request.len()).step_by(2) {
        let wanted = request.arg(index).unwrap_or_default();
        let known = parameters.iter().find(|(name, _)| super::is(wanted, name));
        let unknown = || {
            Error::quoting(
                "Unknown option or number of arguments for CONFIG SET - '",
                wanted,
                "'",
            )
        };
        let (_, value) = known.ok_or_else(unknown)?;
        if request.arg(index + 1) != Some(value.as_bytes()) {
            return Err(Error::quoting(
                "CONFIG SET failed (possibly related to argument '",
                wanted,
                "') - can't set immutable config",
            ));
        }
    }
    call.reply.ok();
    Ok(())
}

/// There are no statistics of this connection type alone to reset.
pub(super) fn resetstat(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.reply.ok();
    Ok(())
}

pub(super) fn rewrite(_: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    Err(Error::Text(
        "ERR The server is running without a config file",
    ))
}

pub(super) fn help(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    write_help(&mut call.reply, "CONFIG", HELP);
    Ok(())
}

const HELP: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
];

/// Name and value of each parameter, by name.
fn parameters(settings: &Settings) -> Vec<(&'static str, String)> {
    let limit =
        |OutputLimit {
             hard_bytes,
             soft_bytes,
             soft_ms,
         }: OutputLimit| { format!("{hard_bytes} {soft_bytes} {}", soft_ms / 1000) };
    let output = format!(
        "normal {} slave 0 0 0 pubsub {}",
        limit(settings.normal_output),
        limit(settings.subscriber_output)
    );
    let requests = &settings.requests;
    let text = str::to_owned;
    vec![
        ("appendonly", text("no")),
        ("client-output-buffer-limit", output),
        (
            "client-query-buffer-limit",
            requests.request_bytes_max.to_string(),
        ),
        ("databases", settings.databases.to_string()),
        ("maxclients", settings.clients_max.to_string()),
        ("maxmemory", settings.key_bytes_max.to_string()),
        ("maxmemory-policy", text("noeviction")),
        ("notify-keyspace-events", String::new()),
        ("proto-max-bulk-len", requests.bulk_bytes_max.to_string()),
        ("replica-read-only", text("yes")),
        ("save", String::new()),
        ("slave-read-only", text("yes")),
        ("timeout", (settings.idle_timeout_ms / 1000).to_string()),
    ]
}
