//! Keys of the volatile map: which there are, and when they go.

use bytes::Bytes;
use routing::{Access, Glob, Timestamp};

use super::{Call, is};
use crate::error::Error;
use crate::wire::request::{Request, parse_number};

/// How an expiry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// From now on.
    Seconds,
    /// From now on.
    Milliseconds,
    /// Since the epoch.
    UnixSeconds,
    /// Since the epoch.
    UnixMilliseconds,
}

impl Unit {
    /// The option of `SET` and `GETEX`.
    pub(super) fn of(option: &[u8]) -> Option<Self> {
        let units = [
            ("ex", Self::Seconds),
            ("px", Self::Milliseconds),
            ("exat", Self::UnixSeconds),
            ("pxat", Self::UnixMilliseconds),
        ];
        units
            .into_iter()
            .find(|(name, _)| is(option, name))
            .map(|(_, unit)| unit)
    }

    const fn ms(self) -> i64 {
        match self {
            Self::Seconds | Self::UnixSeconds => 1000,
            Self::Milliseconds | Self::UnixMilliseconds => 1,
        }
    }

    const fn is_relative(self) -> bool {
        matches!(self, Self::Seconds | Self::Milliseconds)
    }
}

/// A positive expiry as a moment.
///
/// # Errors
/// [`Error::NotInteger`]; [`Error::ExpireTime`] for one that is not positive or too large.
pub(super) fn expires_at(
    now: Timestamp,
    unit: Unit,
    amount: &[u8],
    command: &'static str,
) -> Result<Timestamp, Error> {
    match parse_number(amount).ok_or(Error::NotInteger)? {
        ..=0 => Err(Error::ExpireTime(command)),
        amount => moment(now, unit, amount).ok_or(Error::ExpireTime(command)),
    }
}

/// The moment that an amount of `unit` stands for, the epoch if it lies before that; `None` if it
/// is too far off.
fn moment(now: Timestamp, unit: Unit, amount: i64) -> Option<Timestamp> {
    let ms = amount.checked_mul(unit.ms())?;
    let start = if unit.is_relative() {
        i64::try_from(now.0).ok()?
    } else {
        0
    };
    Some(Timestamp(
        u64::try_from(start.checked_add(ms)?).unwrap_or(0),
    ))
}

pub(super) fn del(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let database = call.session.database;
    let mut removed = 0;
    for key in request.args_from(1) {
        let is_string = call.keyspace().remove(database, key).is_some();
        let list = call.session.bus()?.list(Access::Read, key)?;
        let was_list = list.is_some_and(|list| list.queue.purge() > 0);
        removed += usize::from(is_string || was_list);
    }
    call.reply.count(removed);
    Ok(())
}

pub(super) fn unlink(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    del(call, request)
}

pub(super) fn exists(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let mut found = 0;
    for key in request.args_from(1) {
        found += usize::from(kind_of(call, key)? != "none");
    }
    call.reply.count(found);
    Ok(())
}

/// The type of what a key holds.
fn kind_of(call: &mut Call<'_>, key: &[u8]) -> Result<&'static str, Error> {
    let database = call.session.database;
    if call.keyspace().get(database, key).is_some() {
        return Ok("string");
    }
    let is_list = call.session.bus()?.has_list(key);
    Ok(if is_list { "list" } else { "none" })
}

pub(super) fn touch(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    exists(call, request)
}

pub(super) fn type_of(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let kind = kind_of(call, request.arg(1).unwrap_or_default())?;
    call.reply.simple(kind);
    Ok(())
}

pub(super) fn expire(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_expiry(call, request, Unit::Seconds, "expire")
}

pub(super) fn pexpire(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_expiry(call, request, Unit::Milliseconds, "pexpire")
}

pub(super) fn expireat(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_expiry(call, request, Unit::UnixSeconds, "expireat")
}

pub(super) fn pexpireat(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_expiry(call, request, Unit::UnixMilliseconds, "pexpireat")
}

/// When `EXPIRE` applies, beyond the key's being there.
#[derive(Clone, Copy, Default)]
struct ExpireOptions {
    if_none: bool,
    if_some: bool,
    if_later: bool,
    if_earlier: bool,
}

impl ExpireOptions {
    fn parse(request: &Request) -> Result<Self, Error> {
        let mut options = Self::default();
        for arg in request.args_from(3) {
            match arg {
                arg if is(arg, "nx") => options.if_none = true,
                arg if is(arg, "xx") => options.if_some = true,
                arg if is(arg, "gt") => options.if_later = true,
                arg if is(arg, "lt") => options.if_earlier = true,
                arg => return Err(Error::quoting("Unsupported option ", arg, "")),
            }
        }
        if options.if_none && (options.if_some || options.if_later || options.if_earlier) {
            return Err(Error::Text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if options.if_later && options.if_earlier {
            return Err(Error::Text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(options)
    }

    /// A key without expiry counts as one that goes infinitely late.
    fn allow(self, old: Option<Timestamp>, new: Timestamp) -> bool {
        let is_later = old.is_some_and(|old| new > old);
        let is_earlier = old.is_none_or(|old| new < old);
        (!self.if_none || old.is_none())
            && (!self.if_some || old.is_some())
            && (!self.if_later || is_later)
            && (!self.if_earlier || is_earlier)
    }
}

fn set_expiry(
    call: &mut Call<'_>,
    request: &Request,
    unit: Unit,
    command: &'static str,
) -> Result<(), Error> {
    let (now, database) = (call.now, call.session.database);
    let key = request.arg(1).unwrap_or_default();
    let options = ExpireOptions::parse(request)?;
    let amount = request
        .arg(2)
        .and_then(parse_number)
        .ok_or(Error::NotInteger)?;
    let at = moment(now, unit, amount).ok_or(Error::ExpireTime(command))?;
    if kind_of(call, key)? == "list" {
        return Err(Error::Text(
            "ERR a list is a durable queue here and does not expire",
        ));
    }
    let keyspace = call.keyspace();
    let old = keyspace.get(database, key).map(|entry| entry.expires_at);
    let is_set = old.is_some_and(|old| options.allow(old, at));
    if is_set {
        keyspace.set_expiry(database, key, Some(at));
        keyspace.expire(now);
    }
    call.reply.integer(is_set.into());
    Ok(())
}

pub(super) fn persist(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let database = call.session.database;
    let key = request.arg(1).unwrap_or_default();
    let keyspace = call.keyspace();
    let expires = keyspace
        .get(database, key)
        .is_some_and(|entry| entry.expires_at.is_some());
    if expires {
        keyspace.set_expiry(database, key, None);
    }
    call.reply.integer(expires.into());
    Ok(())
}

pub(super) fn ttl(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_expiry(call, request, |now, at| {
        at.since_ms(now).saturating_add(500) / 1000
    });
    Ok(())
}

pub(super) fn pttl(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_expiry(call, request, |now, at| at.since_ms(now));
    Ok(())
}

pub(super) fn expiretime(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_expiry(call, request, |_, at| at.0.saturating_add(500) / 1000);
    Ok(())
}

pub(super) fn pexpiretime(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    write_expiry(call, request, |_, at| at.0);
    Ok(())
}

/// RESP: -2 without the key, -1 without an expiry; seconds are rounded to the nearest.
fn write_expiry(
    call: &mut Call<'_>,
    request: &Request,
    show: impl Fn(Timestamp, Timestamp) -> u64,
) {
    let (now, database) = (call.now, call.session.database);
    let key = request.arg(1).unwrap_or_default();
    let entry = call.keyspace().get(database, key);
    let expires_at = entry.map(|entry| entry.expires_at);
    let shown = match expires_at {
        None if kind_of(call, key).is_ok_and(|kind| kind == "list") => -1,
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(show(now, at)).unwrap_or(i64::MAX),
    };
    call.reply.integer(shown);
}

pub(super) fn keys(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let found = matching(call, Some(request.bytes(1)), "");
    call.reply.array(found.len());
    found.iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

/// RESP: `SCAN cursor [MATCH pattern] [COUNT n] [TYPE type]`. The map is small, so one call
/// returns all of it and the cursor is always 0.
pub(super) fn scan(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let cursor = request.arg(1).and_then(|arg| std::str::from_utf8(arg).ok());
    // RESP: nothing at all is 0, to C's strtoul.
    if cursor.is_none_or(|cursor| !cursor.is_empty() && cursor.parse::<u64>().is_err()) {
        return Err(Error::Text("ERR invalid cursor"));
    }
    let (mut pattern, mut kind) = (None, String::new());
    for index in (2..request.len()).step_by(2) {
        let option = request.arg(index).unwrap_or_default();
        let value = request.arg(index + 1).ok_or(Error::Syntax)?;
        if is(option, "match") {
            pattern = Some(request.bytes(index + 1));
        } else if is(option, "type") {
            kind = String::from_utf8_lossy(value).to_ascii_lowercase();
        } else if !is(option, "count") || parse_number(value).ok_or(Error::NotInteger)? < 1 {
            return Err(Error::Syntax);
        }
    }
    let found = matching(call, pattern, &kind);
    call.reply.array(2);
    call.reply.bulk(b"0");
    call.reply.array(found.len());
    found.iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

/// The keys that match, in order. An empty kind is any.
///
/// RESP: here `*` alone means all of them, the empty one too, which no glob matches.
fn matching(call: &mut Call<'_>, pattern: Option<Bytes>, kind: &str) -> Vec<Bytes> {
    let pattern = pattern.filter(|pattern| pattern != "*").map(Glob::new);
    let database = call.session.database;
    let mut found = Vec::new();
    if ["", "string"].contains(&kind) {
        found.extend(call.keyspace().keys(database).cloned());
    }
    if ["", "list"].contains(&kind)
        && let Ok(bus) = call.session.bus()
    {
        found.extend(bus.lists());
    }
    found.retain(|key| pattern.as_ref().is_none_or(|glob| glob.matches(key)));
    found.sort_unstable();
    found.dedup();
    found
}
