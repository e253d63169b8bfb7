//! Lists: queues of the virtual host, seen from both ends. [`crate::translate`] says how.

use bytes::Bytes;
use routing::{Access, Lsn};

use super::{Call, is};
use crate::error::Error;
use crate::translate::{List, NewList, Side};
use crate::wire::request::{Request, parse_number};

pub(super) fn lpush(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    push(call, request, Side::Left)
}

pub(super) fn rpush(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    push(call, request, Side::Right)
}

pub(super) fn lpushx(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    push_if_there(call, request, Side::Left)
}

pub(super) fn rpushx(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    push_if_there(call, request, Side::Right)
}

fn push_if_there(call: &mut Call<'_>, request: &Request, side: Side) -> Result<(), Error> {
    if elements(call, Access::Write, request, 1)?.is_none() {
        call.reply.integer(0);
        return Ok(());
    }
    push(call, request, side)
}

fn push(call: &mut Call<'_>, request: &Request, side: Side) -> Result<(), Error> {
    let key = request.bytes(1);
    check_type(call, &key)?;
    let elements = (2..request.len()).map(|index| request.bytes(index));
    let (now, new) = (call.now, new_list(call, side));
    let pushed = call.session.bus()?.push(now, &key, side, elements, new)?;
    promise(call, pushed.lsn);
    call.reply.count(pushed.len);
    Ok(())
}

/// What a list is like that this command begins: its newest element is where it pushes.
pub(super) const fn new_list(call: &Call<'_>, newest: Side) -> NewList {
    NewList {
        newest,
        empty_expires_ms: call.server.settings.list_empty_expires_ms,
        queues_max: call.server.settings.queues_max,
    }
}

/// The reply waits until the journal is durable up to `lsn`.
pub(super) fn promise(call: &mut Call<'_>, lsn: Option<Lsn>) {
    call.session.has_journalled |= lsn.is_some();
    if call.server.settings.waits_for_disk {
        call.session.promised = call.session.promised.max(lsn);
    }
}

/// The list of a key, none if it has no elements.
pub(super) fn elements(
    call: &mut Call<'_>,
    access: Access,
    request: &Request,
    index: usize,
) -> Result<Option<List>, Error> {
    let key = request.bytes(index);
    list_of(call, access, &key)
}

pub(super) fn list_of(
    call: &mut Call<'_>,
    access: Access,
    key: &[u8],
) -> Result<Option<List>, Error> {
    check_type(call, key)?;
    let list = call.session.bus()?.list(access, key)?;
    Ok(list.filter(|list| list.len() > 0))
}

/// # Errors
/// [`Error::WrongType`]: the key holds a string. The string map stays locked until the call is
/// over, so no other Redis client comes between the commands of an `EXEC`.
pub(super) fn check_type(call: &mut Call<'_>, key: &[u8]) -> Result<(), Error> {
    let database = call.session.database;
    match call.keyspace().get(database, key) {
        Some(_) => Err(Error::WrongType),
        None => Ok(()),
    }
}

pub(super) fn lpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    pop(call, request, Side::Left, "lpop")
}

pub(super) fn rpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    pop(call, request, Side::Right, "rpop")
}

/// RESP: `LPOP key [count]`: with a count, an array.
fn pop(
    call: &mut Call<'_>,
    request: &Request,
    side: Side,
    command: &'static str,
) -> Result<(), Error> {
    if request.len() > 3 {
        return Err(Error::Arity(command));
    }
    let count = request.arg(2).map(|count| {
        let count = parse_number(count).and_then(|count| usize::try_from(count).ok());
        let out_of_range = "ERR value is out of range, must be positive";
        count.ok_or(Error::Text(out_of_range))
    });
    let count = count.transpose()?;
    let now = call.now;
    let list = elements(call, Access::Read, request, 1)?;
    let popped = list.map(|list| list.pop(now, side, count.unwrap_or(1)));
    match (popped, count) {
        (None, None) => call.reply.null(),
        (None, Some(_)) => call.reply.null_array(),
        (Some(popped), Some(_)) => write_elements(call, &popped),
        (Some(popped), None) => match popped.first() {
            Some(element) => call.reply.bulk(element),
            None => call.reply.null(),
        },
    }
    Ok(())
}

pub(super) fn write_elements(call: &mut Call<'_>, elements: &[Bytes]) {
    call.reply.array(elements.len());
    elements.iter().for_each(|element| call.reply.bulk(element));
}

pub(super) fn llen(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let list = elements(call, Access::Read, request, 1)?;
    call.reply.count(list.map_or(0, |list| list.len()));
    Ok(())
}

/// RESP: `LRANGE key start stop`, both counted from the left, or from the right when negative.
pub(super) fn lrange(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let (first, last) = (number(request, 2)?, number(request, 3)?);
    let Some(list) = elements(call, Access::Read, request, 1)? else {
        call.reply.array(0);
        return Ok(());
    };
    let (start, count) = span(first, last, list.len());
    let elements = list.range(call.now, start, count);
    write_elements(call, &elements);
    Ok(())
}

/// Where a range starts and how many elements it has, as Redis counts.
fn span(first: i64, last: i64, len: usize) -> (usize, usize) {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |index: i64| {
        if index < 0 {
            len.saturating_add(index)
        } else {
            index
        }
    };
    let (first, last) = (place(first).max(0), place(last).min(len - 1));
    let count = last.saturating_sub(first).saturating_add(1).max(0);
    (
        usize::try_from(first).unwrap_or(usize::MAX),
        usize::try_from(count).unwrap_or(0),
    )
}

pub(super) fn lindex(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    // RESP: what is wrong with the index matters only if there is a list.
    let Some(list) = elements(call, Access::Read, request, 1)? else {
        call.reply.null();
        return Ok(());
    };
    let index = number(request, 2)?;
    let len = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let place = if index < 0 {
        len.saturating_add(index)
    } else {
        index
    };
    let place = usize::try_from(place).ok();
    let element = place.and_then(|place| list.range(call.now, place, 1).into_iter().next());
    match element {
        Some(element) => call.reply.bulk(&element),
        None => call.reply.null(),
    }
    Ok(())
}

/// RESP: `LREM key count element`: from the left, from the right when negative, all for 0.
pub(super) fn lrem(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let count = number(request, 2)?;
    let now = call.now;
    let list = elements(call, Access::Read, request, 1)?;
    let side = if count < 0 { Side::Right } else { Side::Left };
    let max = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(max) => max,
    };
    let element = request.arg(3).unwrap_or_default();
    let removed = list.map_or(0, |list| list.remove(now, side, max, element));
    call.reply.count(removed);
    Ok(())
}

/// RESP: `LTRIM key start stop`: what is outside goes.
pub(super) fn ltrim(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let (first, last) = (number(request, 2)?, number(request, 3)?);
    let now = call.now;
    if let Some(list) = elements(call, Access::Read, request, 1)? {
        let len = list.len();
        match span(first, last, len) {
            (_, 0) => list.trim(now, len, 0),
            (start, count) => list.trim(now, start, len.saturating_sub(start + count)),
        }
    }
    call.reply.ok();
    Ok(())
}

fn number(request: &Request, index: usize) -> Result<i64, Error> {
    let number = request.arg(index).and_then(parse_number);
    number.ok_or(Error::NotInteger)
}

/// RESP: `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`.
pub(super) fn lmove(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let (from, to) = (side(request, 3)?, side(request, 4)?);
    move_one(call, request, from, to)
}

pub(super) fn rpoplpush(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    move_one(call, request, Side::Right, Side::Left)
}

fn move_one(call: &mut Call<'_>, request: &Request, from: Side, to: Side) -> Result<(), Error> {
    if !try_move(call, request, from, to)? {
        call.reply.null();
    }
    Ok(())
}

/// Moves an element and writes it; false when there is none.
pub(super) fn try_move(
    call: &mut Call<'_>,
    request: &Request,
    from: Side,
    to: Side,
) -> Result<bool, Error> {
    let now = call.now;
    let Some(list) = elements(call, Access::Read, request, 1)? else {
        return Ok(false);
    };
    let destination = request.bytes(2);
    check_type(call, &destination)?;
    let Some(held) = list.hold(now, from) else {
        return Ok(false);
    };
    put_moved(call, held, &destination, to)?;
    Ok(true)
}

/// The second half of a move. The element is journalled at its new place before it leaves the old
/// one: a crash in between leaves both, never none.
pub(super) fn put_moved(
    call: &mut Call<'_>,
    held: crate::translate::Held,
    destination: &[u8],
    side: Side,
) -> Result<(), Error> {
    let (now, new) = (call.now, new_list(call, side));
    let element = held.element.clone();
    let bus = call.session.bus()?;
    match bus.push(
        now,
        destination,
        side,
        std::iter::once(element.clone()),
        new,
    ) {
        Ok(pushed) => {
            held.acknowledge(now, bus.wakes());
            promise(call, pushed.lsn);
            call.reply.bulk(&element);
            Ok(())
        }
        Err(error) => {
            held.put_back(now, bus.wakes());
            Err(error)
        }
    }
}

pub(super) fn side(request: &Request, index: usize) -> Result<Side, Error> {
    match request.arg(index).unwrap_or_default() {
        word if is(word, "left") => Ok(Side::Left),
        word if is(word, "right") => Ok(Side::Right),
        _ => Err(Error::Syntax),
    }
}

/// RESP: `LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]`.
pub(super) fn lmpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let wanted = ManyWanted::parse(request, 1)?;
    for key in &wanted.keys {
        if pop_many(call, key, wanted.side, wanted.count)? {
            return Ok(());
        }
    }
    call.reply.null_array();
    Ok(())
}

/// Pops up to `count` elements and writes key and elements; false when there are none.
pub(super) fn pop_many(
    call: &mut Call<'_>,
    key: &Bytes,
    side: Side,
    count: usize,
) -> Result<bool, Error> {
    let now = call.now;
    let Some(list) = list_of(call, Access::Read, key)? else {
        return Ok(false);
    };
    let popped = list.pop(now, side, count);
    if popped.is_empty() {
        return Ok(false);
    }
    call.reply.array(2);
    call.reply.bulk(key);
    write_elements(call, &popped);
    Ok(true)
}

/// What `LMPOP` and `BLMPOP` are asked for.
pub(super) struct ManyWanted {
    pub(super) keys: Vec<Bytes>,
    pub(super) side: Side,
    pub(super) count: usize,
}

impl ManyWanted {
    /// `index` is that of the number of keys.
    pub(super) fn parse(request: &Request, index: usize) -> Result<Self, Error> {
        let positive = |index: usize, text| {
            let number = request.arg(index).and_then(parse_number);
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.filter(|number| *number > 0).ok_or(Error::Text(text))
        };
        let keys = positive(index, "ERR numkeys should be greater than 0")?;
        let end = index.saturating_add(keys).saturating_add(1);
        if end >= request.len() {
            return Err(Error::Syntax);
        }
        let side = side(request, end)?;
        let count = match request.arg(end + 1) {
            None => 1,
            Some(word) if is(word, "count") && request.len() == end + 3 => {
                positive(end + 2, "ERR count should be greater than 0")?
            }
            Some(_) => return Err(Error::Syntax),
        };
        let keys = (index + 1..end).map(|index| request.bytes(index)).collect();
        Ok(Self { keys, side, count })
    }
}
