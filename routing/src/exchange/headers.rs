//! Matching of the headers exchange: `x-match` says whether all or any of the binding's arguments
//! must be among the message's headers.
//!
//! Arguments that begin with `x-` count only with `all-with-x` and `any-with-x`. An argument
//! without a value (void) asks only that the header is there.

use crate::error::Error;
use crate::value::{Table, Value};

/// What `x-match` can be.
const MODES: [&[u8]; 4] = [b"all", b"any", b"all-with-x", b"any-with-x"];

/// Checks a binding's `x-match`.
///
/// # Errors
/// [`Error::Invalid`] for any other value.
pub(super) fn check(arguments: &Table) -> Result<(), Error> {
    let reason = match arguments.get("x-match") {
        None => return Ok(()),
        Some(Value::Text(mode)) if MODES.contains(&mode.as_ref()) => return Ok(()),
        Some(Value::Text(mode)) => format!(
            "Invalid x-match field value <<\"{}\">>; expected all, any, all-with-x, or any-with-x",
            String::from_utf8_lossy(mode)
        ),
        Some(value) => format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            value.type_name(),
            value
                .as_i64()
                .map_or_else(|| "?".into(), |number| number.to_string())
        ),
    };
    Err(Error::Invalid { reason })
}

/// Whether the headers satisfy the binding's arguments.
pub(super) fn matches(arguments: &Table, headers: &Table) -> bool {
    let mode = arguments
        .get("x-match")
        .and_then(Value::as_str)
        .unwrap_or("all");
    let with_x = mode.ends_with("-with-x");
    let wanted = arguments
        .0
        .iter()
        .filter(|(name, _)| name != "x-match" && (with_x || !name.starts_with(b"x-")));
    let is_there = |(name, value): &(bytes::Bytes, Value)| {
        headers
            .0
            .iter()
            .any(|(n, v)| n == name && (*value == Value::Void || equal(value, v)))
    };
    if mode.starts_with("any") {
        wanted.into_iter().any(is_there)
    } else {
        wanted.into_iter().all(is_there)
    }
}

/// Equality across integer widths, as clients do not choose the width they send.
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn table(entries: &[(&'static str, Value)]) -> Table {
        Table(
            entries
                .iter()
                .map(|(n, v)| (Bytes::from_static(n.as_bytes()), v.clone()))
                .collect(),
        )
    }

    fn text(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn an_unknown_x_match_is_refused() {
        for good in ["all", "any", "all-with-x", "any-with-x"] {
            assert_eq!(check(&table(&[("x-match", text(good))])), Ok(()));
        }
        for bad in [text("some"), text(""), Value::I32(5), Value::Void] {
            assert!(check(&table(&[("x-match", bad)])).is_err());
        }
    }

    #[test]
    fn x_match_decides_between_all_and_any() {
        let headers = table(&[
            ("a", Value::I32(1)),
            ("b", text("x")),
            ("x-c", Value::Bool(true)),
        ]);
        let cases = [
            (vec![("a", Value::U8(1)), ("b", text("x"))], true),
            (vec![("a", Value::I32(2)), ("b", text("x"))], false),
            (
                vec![
                    ("x-match", text("any")),
                    ("a", Value::I32(2)),
                    ("b", text("x")),
                ],
                true,
            ),
            (vec![("x-match", text("any"))], false),
            (vec![], true),
            (vec![("a", Value::Void)], true),
            (vec![("z", Value::Void)], false),
            (vec![("x-c", Value::Bool(false))], true),
            (
                vec![("x-match", text("all-with-x")), ("x-c", Value::Bool(false))],
                false,
            ),
            (
                vec![("x-match", text("any-with-x")), ("x-c", Value::Bool(true))],
                true,
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(
                matches(&table(&arguments), &headers),
                expected,
                "{arguments:?}"
            );
        }
    }
}
