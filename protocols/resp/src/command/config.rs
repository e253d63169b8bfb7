//! `CONFIG`: the parameters that Redis clients and tools ask for, with what holds here.
//!
//! An administrator changes some of them for as long as the gateway runs. The others are fixed by
//! its configuration: setting one to the value that it has succeeds, anything else is refused in
//! Redis's words for an immutable parameter.

use bytes::Bytes;
use routing::Glob;

use super::{Call, write_help};
use crate::error::Error;
use crate::settings::OutputLimit;
use crate::wire::request::{Request, parse_number};

/// RESP: `CONFIG GET pattern [pattern ...]`, a map that names each parameter once.
pub(super) fn get(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let patterns: Vec<_> = request
        .args_from(2)
        .map(|pattern| Glob::new(Bytes::from(pattern.to_ascii_lowercase())))
        .collect();
    let mut parameters = parameters(call);
    parameters.retain(|(name, _)| patterns.iter().any(|glob| glob.matches(name.as_bytes())));
    call.reply.map(parameters.len());
    for (name, value) in parameters {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// RESP: `CONFIG SET parameter value [parameter value ...]`: all or nothing. What the gateway's
/// configuration alone decides may be set to the value that it has.
pub(super) fn set(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if !request.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let may_set = call.session.login.as_ref();
    let may_set = may_set.is_some_and(|login| login.is_administrator);
    let parameters = parameters(call);
    let mut changes = Vec::new();
    for index in (2..request.len()).step_by(2) {
        let wanted = request.arg(index).unwrap_or_default();
        let value = request.arg(index + 1).unwrap_or_default();
        let known = parameters.iter().find(|(name, _)| super::is(wanted, name));
        let unknown = "Unknown option or number of arguments for CONFIG SET - '";
        let (name, present) = known.ok_or_else(|| Error::quoting(unknown, wanted, "'"))?;
        if value == present.as_bytes() {
            continue;
        }
        let refused = |why: &str| {
            let before = "CONFIG SET failed (possibly related to argument '";
            Error::quoting(before, wanted, &format!("') - {why}"))
        };
        if !may_set {
            return Err(refused("only an administrator may change it"));
        }
        changes.push(Change::parse(call, name, value).map_err(refused)?);
    }
    changes.into_iter().for_each(|change| change.apply(call));
    call.reply.ok();
    Ok(())
}

/// RESP: the longest time of a parameter.
const SECONDS_MAX: u32 = 2_147_483_647;

/// A value that a parameter is to have.
enum Change {
    ClientsMax(usize),
    TimeoutMs(u64),
    StringBytesMax(usize),
    Output(OutputLimit, OutputLimit),
}

impl Change {
    fn parse(call: &Call<'_>, name: &str, value: &[u8]) -> Result<Self, &'static str> {
        let number = || parse_number(value).ok_or("argument couldn't be parsed into an integer");
        match name {
            "maxclients" => match u32::try_from(number()?).map(usize::try_from) {
                Ok(Ok(clients @ 1..)) => Ok(Self::ClientsMax(clients)),
                _ => Err("argument must be between 1 and 4294967295 inclusive"),
            },
            "timeout" => match u32::try_from(number()?) {
                Ok(seconds) if seconds <= SECONDS_MAX => {
                    Ok(Self::TimeoutMs(u64::from(seconds) * 1000))
                }
                _ => Err("argument must be between 0 and 2147483647 inclusive"),
            },
            "maxmemory" => {
                let bytes = memory(value).ok_or("argument must be a memory value")?;
                Ok(Self::StringBytesMax(bytes))
            }
            "client-output-buffer-limit" => output_limits(call, value),
            _ => Err("can't set immutable config"),
        }
    }

    fn apply(self, call: &mut Call<'_>) {
        let tunables = &call.server.tunables;
        match self {
            Self::ClientsMax(clients) => tunables.set_clients_max(clients),
            Self::TimeoutMs(ms) => tunables.set_idle_timeout_ms(ms),
            Self::StringBytesMax(bytes) => call.keyspace().set_bytes_max(bytes),
            Self::Output(normal, subscriber) => {
                tunables.set_normal_output(normal);
                tunables.set_subscriber_output(subscriber);
            }
        }
    }
}

/// RESP: `32mb`; the units of 1000 have no b.
fn memory(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.strip_prefix(digits)? {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// RESP: `class hard soft seconds`, several times; replicas there are none.
fn output_limits(call: &Call<'_>, value: &[u8]) -> Result<Change, &'static str> {
    let tunables = &call.server.tunables;
    let (mut normal, mut subscriber) = (tunables.normal_output(), tunables.subscriber_output());
    let text = std::str::from_utf8(value).unwrap_or_default();
    let words = text.split_ascii_whitespace().collect::<Vec<_>>();
    if words.is_empty() || words.len() % 4 != 0 {
        return Err("Wrong number of arguments in buffer limit configuration.");
    }
    for class in words.chunks(4) {
        let [name, hard, soft, seconds] = class else {
            return Err("Wrong number of arguments in buffer limit configuration.");
        };
        let sizes = memory(hard.as_bytes()).zip(memory(soft.as_bytes()));
        let limit = sizes.zip(seconds.parse::<u64>().ok());
        let ((hard_bytes, soft_bytes), seconds) = limit
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        let limit = OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_ms: seconds.saturating_mul(1000),
        };
        match name.to_ascii_lowercase().as_str() {
            "normal" => normal = limit,
            "pubsub" => subscriber = limit,
            "slave" | "replica" => {}
            _ => return Err("Invalid client class specified in buffer limit configuration."),
        }
    }
    Ok(Change::Output(normal, subscriber))
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
fn parameters(call: &mut Call<'_>) -> Vec<(&'static str, String)> {
    let string_bytes_max = call.keyspace().bytes_max();
    let (settings, tunables) = (&call.server.settings, &call.server.tunables);
    let limit =
        |OutputLimit {
             hard_bytes,
             soft_bytes,
             soft_ms,
         }: OutputLimit| { format!("{hard_bytes} {soft_bytes} {}", soft_ms / 1000) };
    let output = format!(
        "normal {} slave 0 0 0 pubsub {}",
        limit(tunables.normal_output()),
        limit(tunables.subscriber_output())
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
        ("maxclients", tunables.clients_max().to_string()),
        ("maxmemory", string_bytes_max.to_string()),
        ("maxmemory-policy", text("noeviction")),
        ("notify-keyspace-events", String::new()),
        ("proto-max-bulk-len", requests.bulk_bytes_max.to_string()),
        ("replica-read-only", text("yes")),
        ("save", String::new()),
        ("slave-read-only", text("yes")),
        ("timeout", (tunables.idle_timeout_ms() / 1000).to_string()),
    ]
}
