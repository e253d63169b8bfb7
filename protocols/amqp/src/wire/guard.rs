//! Walks a method's arguments before amq-protocol sees them.
//!
//! amq-protocol parses nested tables by recursion without a bound: one frame of 14 KB, sent before
//! login, would overflow the stack and abort the process. It also allocates per value, so a bound
//! on their number is a bound on memory. The walk here is a loop over a fixed stack.

use super::{Malformed, method_id::MethodId, reader::Reader};

/// Tables and arrays that may lie inside each other, the outermost counted.
pub const DEPTH_MAX: usize = 32;
/// Values in the table of a method, at all depths together. Real ones have some twenty (a client's
/// properties); at most about a hundred bytes are allocated for each.
pub const METHOD_VALUES_MAX: usize = 4096;

/// A table or array that the walk is inside of.
#[derive(Clone, Copy)]
struct Level {
    /// Bytes of the whole walk that are left when this level ends.
    rest_len: usize,
    is_named: bool,
}

/// Checks the inside of a table, the length octets already removed.
///
/// # Errors
/// [`Malformed::Table`] when a value crosses the end of its table, [`Malformed::TableType`],
/// [`Malformed::TableDepth`] and [`Malformed::TableValues`].
#[inline]
pub fn check_table(inside: &[u8], values_max: usize) -> Result<(), Malformed> {
    if is_flat(inside, values_max) {
        return Ok(());
    }
    check_nested(inside, values_max)
}

/// The same for tables of any shape.
fn check_nested(inside: &[u8], values_max: usize) -> Result<(), Malformed> {
    let mut stack = [Level {
        rest_len: 0,
        is_named: true,
    }; DEPTH_MAX];
    let mut depth = 1_usize;
    let mut reader = Reader::new(inside);
    let mut values = 0;
    while let Some(level) = depth.checked_sub(1).and_then(|top| stack.get(top).copied()) {
        if reader.rest().len() == level.rest_len {
            depth -= 1;
            continue;
        }
        values += 1;
        if values > values_max {
            return Err(Malformed::TableValues);
        }
        let opened = next_value(&mut reader, level)?;
        if let Some(inner) = opened {
            *stack.get_mut(depth).ok_or(Malformed::TableDepth)? = inner;
            depth += 1;
        }
    }
    Ok(())
}

/// Whether it is well-formed and has no table or array inside it, as most. Texts, which most values
/// are, are asked for first.
#[inline]
fn is_flat(inside: &[u8], values_max: usize) -> bool {
    let mut reader = Reader::new(inside);
    for _ in 0..values_max {
        if reader.is_empty() {
            return true;
        }
        let is_fine = reader.short_string().is_some()
            && match reader.u8() {
                Some(b'S') => reader.long_string().is_some(),
                Some(tag) => skip_value(&mut reader, tag).is_ok(),
                None => false,
            };
        if !is_fine {
            return false;
        }
    }
    reader.is_empty()
}

/// Steps over one value of `level`, or into it if it is a table or an array.
fn next_value(reader: &mut Reader<'_>, level: Level) -> Result<Option<Level>, Malformed> {
    if level.is_named {
        reader.short_string().ok_or(Malformed::Table)?;
    }
    let tag = reader.u8().ok_or(Malformed::Table)?;
    let inner_len = match tag {
        b'F' | b'A' => Some(reader.u32().ok_or(Malformed::Table)?),
        _ => {
            skip_value(reader, tag)?;
            None
        }
    };
    let left = reader
        .rest()
        .len()
        .checked_sub(level.rest_len)
        .ok_or(Malformed::Table)?;
    let Some(len) = inner_len else {
        return Ok(None);
    };
    let len = usize::try_from(len).map_err(|_too_large| Malformed::Table)?;
    let after = left.checked_sub(len).ok_or(Malformed::Table)?;
    Ok(Some(Level {
        rest_len: level.rest_len + after,
        is_named: tag == b'F',
    }))
}

fn skip_value(reader: &mut Reader<'_>, tag: u8) -> Result<(), Malformed> {
    let value = match tag {
        b'V' => reader.take(0),
        b't' | b'b' | b'B' => reader.take(1),
        b's' | b'u' => reader.take(2),
        b'I' | b'i' | b'f' => reader.take(4),
        b'D' => reader.take(5),
        b'l' | b'L' | b'd' | b'T' => reader.take(8),
        b'S' | b'x' => reader.long_string(),
        _ => return Err(Malformed::TableType { tag }),
    };
    value.map(|_skipped| ()).ok_or(Malformed::Table)
}

/// An argument of a method, as far as the walk needs to know it.
#[derive(Clone, Copy)]
enum Argument {
    /// Integers and bits, that many bytes of them.
    Fixed(usize),
    LongString,
    ShortString,
    Table,
}

/// Checks the arguments of a method that a client may send, other than publish, ack, nack and
/// reject; gives the inside of its table, empty if the method has none.
///
/// # Errors
/// [`Malformed::UnknownMethod`]; [`Malformed::Fields`] when an argument is cut short or bytes are
/// left over; [`Malformed::ShortString`] when one is not UTF-8, which RabbitMQ checks in methods
/// without content; what [`check_table`] finds.
pub fn check_method(id: MethodId, arguments: &[u8]) -> Result<&[u8], Malformed> {
    let shape = arguments_of(id).ok_or(Malformed::UnknownMethod {
        class: id.class,
        method: id.method,
    })?;
    let mut reader = Reader::new(arguments);
    let mut table: &[u8] = &[];
    for argument in shape {
        match argument {
            Argument::Fixed(len) => {
                reader.take(*len).ok_or(Malformed::Fields)?;
            }
            Argument::LongString => {
                reader.long_string().ok_or(Malformed::Fields)?;
            }
            Argument::ShortString => {
                let string = reader.short_string().ok_or(Malformed::Fields)?;
                std::str::from_utf8(string).map_err(|_not_utf8| Malformed::ShortString)?;
            }
            Argument::Table => {
                table = reader.long_string().ok_or(Malformed::Fields)?;
                check_table(table, METHOD_VALUES_MAX)?;
            }
        }
    }
    if reader.is_empty() {
        Ok(table)
    } else {
        Err(Malformed::Fields)
    }
}

/// The arguments of each method a client may send (AMQP 0-9-1 §1.8 and RabbitMQ's extensions).
fn arguments_of(id: MethodId) -> Option<&'static [Argument]> {
    use Argument::{Fixed, LongString, ShortString, Table};
    Some(match id {
        MethodId::CONNECTION_START_OK => &[Table, ShortString, LongString, ShortString],
        MethodId::CONNECTION_SECURE_OK => &[LongString],
        MethodId::CONNECTION_TUNE_OK => &[Fixed(8)],
        MethodId::CONNECTION_OPEN => &[ShortString, ShortString, Fixed(1)],
        MethodId::CONNECTION_CLOSE | MethodId::CHANNEL_CLOSE => &[Fixed(2), ShortString, Fixed(4)],
        MethodId::CONNECTION_UPDATE_SECRET => &[LongString, ShortString],
        MethodId::CONNECTION_CLOSE_OK
        | MethodId::CHANNEL_CLOSE_OK
        | MethodId::TX_SELECT
        | MethodId::TX_COMMIT
        | MethodId::TX_ROLLBACK => &[],
        MethodId::CHANNEL_OPEN | MethodId::BASIC_CANCEL_OK => &[ShortString],
        MethodId::CHANNEL_FLOW
        | MethodId::CHANNEL_FLOW_OK
        | MethodId::BASIC_RECOVER
        | MethodId::BASIC_RECOVER_ASYNC
        | MethodId::CONFIRM_SELECT => &[Fixed(1)],
        MethodId::ACCESS_REQUEST | MethodId::BASIC_CANCEL => &[ShortString, Fixed(1)],
        MethodId::EXCHANGE_DECLARE => &[Fixed(2), ShortString, ShortString, Fixed(1), Table],
        MethodId::EXCHANGE_DELETE
        | MethodId::QUEUE_PURGE
        | MethodId::QUEUE_DELETE
        | MethodId::BASIC_GET => &[Fixed(2), ShortString, Fixed(1)],
        MethodId::EXCHANGE_BIND | MethodId::EXCHANGE_UNBIND | MethodId::QUEUE_BIND => &[
            Fixed(2),
            ShortString,
            ShortString,
            ShortString,
            Fixed(1),
            Table,
        ],
        MethodId::QUEUE_DECLARE => &[Fixed(2), ShortString, Fixed(1), Table],
        MethodId::QUEUE_UNBIND => &[Fixed(2), ShortString, ShortString, ShortString, Table],
        MethodId::BASIC_QOS => &[Fixed(7)],
        MethodId::BASIC_CONSUME => &[Fixed(2), ShortString, ShortString, Fixed(1), Table],
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
