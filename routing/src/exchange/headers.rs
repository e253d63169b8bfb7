//! Matching of the headers exchange: `x-match` says whether all or any of the binding's arguments
//! must be among the message's headers.
//!
//! Arguments that begin with `x-` count only with `all-with-x` and `any-with-x`. An argument
//! without a value (void) asks only that the header is there.

use crate::value::{Table, Value};

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
