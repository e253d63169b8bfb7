//! Strings: what the volatile map holds.

use bytes::Bytes;

use super::{Call, is};
use crate::error::Error;
use crate::keyspace::Expiry;
use crate::wire::request::{Request, parse_number};

use super::keys::{Unit, expires_at};

/// Which state of the key `SET` wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Any,
    Absent,
    Present,
}

/// What follows key and value in `SET`.
struct SetOptions {
    condition: Condition,
    expiry: Option<Expiry>,
    returns_old: bool,
}

pub(super) fn get(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let value = value_of(call, request, 1);
    write_value(call, value.as_deref());
    Ok(())
}

pub(super) fn set(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let options = set_options(call, request)?;
    let old = value_of(call, request, 1);
    let is_wanted = match options.condition {
        Condition::Any => true,
        Condition::Absent => old.is_none(),
        Condition::Present => old.is_some(),
    };
    if is_wanted {
        store(call, request, 1, 2, options.expiry.unwrap_or(Expiry::Never))?;
    }
    match (options.returns_old, is_wanted) {
        (true, _) => write_value(call, old.as_deref()),
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

/// RESP: `SET key value [NX | XX] [GET] [EX | PX | EXAT | PXAT n | KEEPTTL]`.
fn set_options(call: &Call<'_>, request: &Request) -> Result<SetOptions, Error> {
    let mut options = SetOptions {
        condition: Condition::Any,
        expiry: None,
        returns_old: false,
    };
    // RESP: the options' order and number are wrong before an amount is.
    let mut timed = None;
    let mut args = request.args_from(3);
    while let Some(arg) = args.next() {
        if is(arg, "nx") && options.condition != Condition::Present {
            options.condition = Condition::Absent;
        } else if is(arg, "xx") && options.condition != Condition::Absent {
            options.condition = Condition::Present;
        } else if is(arg, "get") {
            options.returns_old = true;
        } else if is(arg, "keepttl") && timed.is_none() {
            options.expiry = Some(Expiry::Keep);
        } else if timed.is_some() || options.expiry.is_some() {
            return Err(Error::Syntax);
        } else {
            let unit = Unit::of(arg).ok_or(Error::Syntax)?;
            let amount = args.next().ok_or(Error::Syntax)?;
            timed = Some((unit, amount));
        }
    }
    if let Some((unit, amount)) = timed {
        options.expiry = Some(Expiry::At(expires_at(call.now, unit, amount, "set")?));
    }
    Ok(options)
}

pub(super) fn setnx(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let is_absent = value_of(call, request, 1).is_none();
    if is_absent {
        store(call, request, 1, 2, Expiry::Never)?;
    }
    call.reply.integer(is_absent.into());
    Ok(())
}

pub(super) fn setex(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_with_expiry(call, request, Unit::Seconds, "setex")
}

pub(super) fn psetex(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    set_with_expiry(call, request, Unit::Milliseconds, "psetex")
}

fn set_with_expiry(
    call: &mut Call<'_>,
    request: &Request,
    unit: Unit,
    command: &'static str,
) -> Result<(), Error> {
    let at = expires_at(call.now, unit, request.arg(2).unwrap_or_default(), command)?;
    store(call, request, 1, 3, Expiry::At(at))?;
    call.reply.ok();
    Ok(())
}

pub(super) fn getset(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let old = value_of(call, request, 1);
    store(call, request, 1, 2, Expiry::Never)?;
    write_value(call, old.as_deref());
    Ok(())
}

pub(super) fn getdel(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let database = call.session.database;
    let old = call
        .keyspace()
        .remove(database, request.arg(1).unwrap_or_default());
    write_value(call, old.as_deref());
    Ok(())
}

/// RESP: `GETEX key [EX | PX | EXAT | PXAT n | PERSIST]`.
pub(super) fn getex(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let change = match (request.arg(2), request.arg(3), request.len()) {
        (None, ..) => None,
        (Some(option), None, _) if is(option, "persist") => Some(None),
        (Some(option), amount @ Some(_), 4) => {
            Some(Some(Unit::of(option).ok_or(Error::Syntax)?).zip(amount))
        }
        _ => return Err(Error::Syntax),
    };
    let value = value_of(call, request, 1);
    if let (Some(change), Some(_)) = (change, &value) {
        let (now, database) = (call.now, call.session.database);
        let expiry = change.map(|(unit, amount)| expires_at(now, unit, amount, "getex"));
        let expiry = expiry.transpose()?;
        let keyspace = call.keyspace();
        keyspace.set_expiry(database, request.arg(1).unwrap_or_default(), expiry);
        keyspace.expire(now);
    }
    write_value(call, value.as_deref());
    Ok(())
}

pub(super) fn mget(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    call.reply.array(request.len() - 1);
    for index in 1..request.len() {
        let value = value_of(call, request, index);
        write_value(call, value.as_deref());
    }
    Ok(())
}

pub(super) fn mset(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_pairs(request, "mset")?;
    store_pairs(call, request)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn msetnx(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    check_pairs(request, "msetnx")?;
    let is_free = (1..request.len())
        .step_by(2)
        .all(|index| value_of(call, request, index).is_none());
    if is_free {
        store_pairs(call, request)?;
    }
    call.reply.integer(is_free.into());
    Ok(())
}

fn check_pairs(request: &Request, command: &'static str) -> Result<(), Error> {
    if request.len().is_multiple_of(2) {
        Err(Error::Arity(command))
    } else {
        Ok(())
    }
}

/// All or none: there must be room even if every key were a new one.
fn store_pairs(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let bytes = request.args_from(1).map(<[u8]>::len).sum();
    call.keyspace().check_room(request.len() / 2, bytes)?;
    (1..request.len())
        .step_by(2)
        .try_for_each(|key| store(call, request, key, key + 1, Expiry::Never))
}

pub(super) fn incr(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, 1)
}

pub(super) fn decr(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, -1)
}

pub(super) fn incrby(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    add(call, request, number(request, 2)?)
}

pub(super) fn decrby(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let amount = number(request, 2)?;
    let negated = amount
        .checked_neg()
        .ok_or(Error::Text("ERR decrement would overflow"))?;
    add(call, request, negated)
}

fn add(call: &mut Call<'_>, request: &Request, amount: i64) -> Result<(), Error> {
    let old = value_of(call, request, 1);
    let old = old.map_or(Ok(0), |old| parse_number(&old).ok_or(Error::NotInteger))?;
    let overflow = Error::Text("ERR increment or decrement would overflow");
    let new = old.checked_add(amount).ok_or(overflow)?;
    let database = call.session.database;
    let key = request.arg(1).unwrap_or_default();
    call.keyspace()
        .set(database, key, new.to_string().as_bytes(), Expiry::Keep)?;
    call.reply.integer(new);
    Ok(())
}

pub(super) fn append(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let old = value_of(call, request, 1).unwrap_or_default();
    let new = [&old, request.arg(2).unwrap_or_default()].concat();
    let database = call.session.database;
    call.keyspace().set(
        database,
        request.arg(1).unwrap_or_default(),
        &new,
        Expiry::Keep,
    )?;
    call.reply.count(new.len());
    Ok(())
}

pub(super) fn strlen(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let length = value_of(call, request, 1).map_or(0, |value| value.len());
    call.reply.count(length);
    Ok(())
}

/// The value of the key that argument `index` names.
fn value_of(call: &mut Call<'_>, request: &Request, index: usize) -> Option<Bytes> {
    let database = call.session.database;
    let key = request.arg(index).unwrap_or_default();
    call.keyspace()
        .get(database, key)
        .map(|entry| entry.value.clone())
}

/// Stores argument `value` under argument `key`.
fn store(
    call: &mut Call<'_>,
    request: &Request,
    key: usize,
    value: usize,
    expiry: Expiry,
) -> Result<(), Error> {
    let database = call.session.database;
    let (now, key) = (call.now, request.arg(key).unwrap_or_default());
    let keyspace = call.keyspace();
    keyspace.set(
        database,
        key,
        request.arg(value).unwrap_or_default(),
        expiry,
    )?;
    // The moment may lie in the past (`EXAT 1`): the key is gone at once.
    keyspace.expire(now);
    Ok(())
}

fn write_value(call: &mut Call<'_>, value: Option<&[u8]>) {
    match value {
        Some(value) => call.reply.bulk(value),
        None => call.reply.null(),
    }
}

/// Argument `index` as a number.
fn number(request: &Request, index: usize) -> Result<i64, Error> {
    request
        .arg(index)
        .and_then(parse_number)
        .ok_or(Error::NotInteger)
}
