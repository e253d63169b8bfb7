//! Splits an inline request (`SET a "x\x41\n"\r\n`) into arguments: shell-like quoting, as typed
//! into a terminal. Separate from `request` because it is a language of its own.
//!
//! | written | read |
//! |---|---|
//! | `"..."` | escapes `\xHH \n \r \t \b \a`; `\` before any other byte is that byte |
//! | `'...'` | only `\'` is an escape |
//! | closing quote | must be followed by white space or the end of the line |

use std::ops::Range;

use super::Malformed;

/// Appends the arguments' bytes to `unquoted` and where each one lies in it to `args`.
///
/// A NUL ends the line, as it does in Redis.
///
/// # Errors
/// [`Malformed::UnbalancedQuotes`].
pub(super) fn split(
    line: &[u8],
    unquoted: &mut Vec<u8>,
    args: &mut Vec<Range<usize>>,
) -> Result<(), Malformed> {
    let end = line
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(line.len());
    let mut rest = line.get(..end).unwrap_or(line);
    loop {
        rest = skip_space(rest);
        if rest.is_empty() {
            return Ok(());
        }
        let start = unquoted.len();
        rest = take_arg(rest, unquoted)?;
        args.push(start..unquoted.len());
    }
}

/// The bytes that C's `isspace` calls white space.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [first, tail @ ..] = rest
        && is_space(*first)
    {
        rest = tail;
    }
    rest
}

/// Reads one argument up to the white space after it. A quote may begin in the middle of a word
/// (`a"b"` is `ab`) but always ends it.
fn take_arg<'a>(mut rest: &'a [u8], unquoted: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    loop {
        match rest {
            // Not `is_space`: Redis splits words at vertical tabs only between arguments.
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', tail @ ..] => return take_double_quoted(tail, unquoted),
            [b'\'', tail @ ..] => return take_single_quoted(tail, unquoted),
            [byte, tail @ ..] => {
                unquoted.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_double_quoted<'a>(
    mut rest: &'a [u8],
    unquoted: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    loop {
        match rest {
            [] => return Err(Malformed::UnbalancedQuotes),
            [b'"', tail @ ..] => return after_quote(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                unquoted.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                unquoted.push(unescape(*escaped));
                rest = tail;
            }
            [byte, tail @ ..] => {
                unquoted.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_single_quoted<'a>(
    mut rest: &'a [u8],
    unquoted: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    loop {
        match rest {
            [] => return Err(Malformed::UnbalancedQuotes),
            [b'\'', tail @ ..] => return after_quote(tail),
            [b'\\', b'\'', tail @ ..] => {
                unquoted.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                unquoted.push(*byte);
                rest = tail;
            }
        }
    }
}

fn after_quote(rest: &[u8]) -> Result<&[u8], Malformed> {
    match rest {
        [glued, ..] if !is_space(*glued) => Err(Malformed::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

const fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of an ASCII hexadecimal digit; the caller has checked that it is one.
const fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}
