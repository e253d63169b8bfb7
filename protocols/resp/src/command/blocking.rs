//! The list commands that wait: each tries first, and if there is nothing leaves a [`Blocked`] in
//! the session, which the connection answers when something comes or the time is over.

use bytes::Bytes;
use routing::{Access, Timestamp};

use super::Call;
use super::lists::{self, ManyWanted};
use crate::connection::{Blocked, Want};
use crate::error::Error;
use crate::translate::{Held, Side};
use crate::wire::request::Request;

pub(super) fn blpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    pop(call, request, Side::Left)
}

pub(super) fn brpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    pop(call, request, Side::Right)
}

/// RESP: `BLPOP key [key ...] timeout`: the first list that has an element.
fn pop(call: &mut Call<'_>, request: &Request, side: Side) -> Result<(), Error> {
    let deadline = deadline(call, request.arg(request.len() - 1))?;
    let keys: Vec<_> = (1..request.len() - 1).map(|i| request.bytes(i)).collect();
    let now = call.now;
    for key in &keys {
        let list = lists::list_of(call, Access::Read, key)?;
        if let Some(element) = list.and_then(|list| list.pop(now, side, 1).pop()) {
            write_one(call, key, &element);
            return Ok(());
        }
    }
    block(call, &keys, side, Want::One, deadline)
}

fn write_one(call: &mut Call<'_>, key: &[u8], element: &[u8]) {
    call.reply.array(2);
    call.reply.bulk(key);
    call.reply.bulk(element);
}

/// RESP: `BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]`.
pub(super) fn blmpop(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let wanted = ManyWanted::parse(request, 2)?;
    let deadline = deadline(call, request.arg(1))?;
    for key in &wanted.keys {
        if lists::pop_many(call, key, wanted.side, wanted.count)? {
            return Ok(());
        }
    }
    let want = Want::Many(wanted.count);
    block(call, &wanted.keys, wanted.side, want, deadline)
}

/// RESP: `BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout`.
pub(super) fn blmove(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    let (from, to) = (lists::side(request, 3)?, lists::side(request, 4)?);
    move_one(call, request, from, to, 5)
}

pub(super) fn brpoplpush(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    move_one(call, request, Side::Right, Side::Left, 3)
}

fn move_one(
    call: &mut Call<'_>,
    request: &Request,
    from: Side,
    to: Side,
    timeout: usize,
) -> Result<(), Error> {
    let deadline = deadline(call, request.arg(timeout))?;
    if lists::try_move(call, request, from, to)? {
        return Ok(());
    }
    let want = Want::Move(request.bytes(2), to);
    block(call, &[request.bytes(1)], from, want, deadline)
}

/// A timeout in seconds, with a fraction; 0 is for ever.
pub(super) fn deadline(
    call: &Call<'_>,
    timeout: Option<&[u8]>,
) -> Result<Option<Timestamp>, Error> {
    let text = timeout.and_then(|timeout| std::str::from_utf8(timeout).ok());
    let seconds = text.and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| !seconds.is_nan());
    let seconds = seconds.ok_or(Error::Text("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Error::Text("ERR timeout is negative"));
    }
    let duration = std::time::Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::Text("ERR timeout is out of range"))?;
    // A timeout below a millisecond is one, not none.
    let ms = u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    let is_too_long = ms > u64::MAX / 2;
    if is_too_long {
        return Err(Error::Text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then(|| call.now.plus_ms(ms)))
}

/// RESP: inside `EXEC` nothing waits: it is as if the time were over at once.
fn block(
    call: &mut Call<'_>,
    keys: &[Bytes],
    side: Side,
    want: Want,
    deadline: Option<Timestamp>,
) -> Result<(), Error> {
    if call.session.is_executing {
        match want {
            Want::Move(..) => call.reply.null(),
            Want::One | Want::Many(_) => call.reply.null_array(),
            Want::Sleep => call.reply.ok(),
        }
        return Ok(());
    }
    let token = call.session.next_token();
    let keys = keys.iter().map(|key| Bytes::copy_from_slice(key)).collect();
    let mut blocked = Blocked::new(token, keys, side, want, deadline);
    blocked.is_silent = call.session.is_silent();
    join(call, &mut blocked)?;
    call.session.blocked = Some(Box::new(blocked));
    Ok(())
}

/// Waits for a moment, and for nothing else.
pub(super) fn wait_until(call: &mut Call<'_>, want: Want, at: Timestamp) {
    let token = call.session.next_token();
    let mut blocked = Blocked::new(token, Vec::new(), Side::Left, want, Some(at));
    blocked.is_silent = call.session.is_silent();
    call.session.blocked = Some(Box::new(blocked));
}

/// Waits at all lists of the wait. Those that are not there yet begin as what they are asked for:
/// who takes from the left expects pushes at the right.
///
/// # Errors
/// Those of the first list that cannot be waited at; then it waits at none.
pub(crate) fn join(call: &mut Call<'_>, blocked: &mut Blocked) -> Result<(), Error> {
    let now = call.now;
    let new = lists::new_list(call, blocked.side.other());
    let outbox = std::sync::Arc::clone(call.session.outbox());
    for key in blocked.keys.clone() {
        let bus = call.session.bus()?;
        let joined = bus
            .list_or_new(now, Access::Read, &key, new)
            .and_then(|(list, _)| blocked.wait_at(now, &list, &outbox, bus.wakes()));
        if let Err(error) = joined {
            blocked.give_up(now, bus.wakes());
            return Err(error);
        }
    }
    Ok(())
}

/// Answers a wait with the element that came.
///
/// # Errors
/// [`Error::WrongType`] and others when it cannot be moved: it is put back.
pub(crate) fn serve(call: &mut Call<'_>, blocked: Blocked, held: Held) -> Result<(), Error> {
    let now = call.now;
    let list = held.list();
    let key = Bytes::copy_from_slice(list.queue.name.as_bytes());
    match blocked.want {
        Want::Move(destination, side) => {
            if let Err(error) = lists::check_type(call, &destination) {
                held.put_back(now, call.session.bus()?.wakes());
                return Err(error);
            }
            return lists::put_moved(call, held, &destination, side);
        }
        Want::One | Want::Sleep => write_one(call, &key, &held.element),
        Want::Many(count) => {
            let mut elements = vec![held.element.clone()];
            elements.extend(list.pop(now, blocked.side, count - 1));
            call.reply.array(2);
            call.reply.bulk(&key);
            lists::write_elements(call, &elements);
        }
    }
    held.acknowledge(now, call.session.bus()?.wakes());
    Ok(())
}
