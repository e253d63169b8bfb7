//! Typed values of AMQP headers as text, for user properties that have no types (rules C-headers-3
//! to C-headers-5). Nested values become JSON; they are walked with a stack of our own, because a
//! peer chooses how deep they are.

use std::slice::Iter;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use routing::{Table, Value};

/// A value that is no array and no table as text; those as compact JSON.
pub(super) fn of_value(value: &Value) -> String {
    match value {
        Value::Text(bytes) => of_text(bytes),
        Value::Binary(bytes) => STANDARD.encode(bytes),
        Value::Void => String::new(),
        Value::Array(_) | Value::Table(_) => json(value),
        scalar => of_scalar(scalar),
    }
}

/// UTF-8 without NUL stays text, with spaces for what MQTT lets a receiver refuse; other bytes
/// become base64.
pub(super) fn of_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => without_controls(text),
        _ => STANDARD.encode(bytes),
    }
}

/// The text with a space for each control character.
pub(super) fn without_controls(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// Booleans and numbers, the same in JSON.
fn of_scalar(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I8(value) => value.to_string(),
        Value::U8(value) => value.to_string(),
        Value::I16(value) => value.to_string(),
        Value::U16(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        // The shortest form that reads back the same, always with a point or an exponent.
        Value::F32(value) => format!("{value:?}"),
        Value::F64(value) => format!("{value:?}"),
        Value::Decimal { scale, value } => decimal(*scale, *value),
        Value::Timestamp(secs) => secs.to_string(),
        Value::Text(_) | Value::Binary(_) | Value::Void | Value::Array(_) | Value::Table(_) => {
            String::new()
        }
    }
}

/// `value / 10^scale` with all its digits: scale 2, value 1250 is `12.50`.
fn decimal(scale: u8, value: i32) -> String {
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits
        .split_at_checked(digits.len() - scale)
        .unwrap_or((&digits, ""));
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// One array or table that is being written.
enum Open<'a> {
    Array(Iter<'a, Value>),
    Table(Iter<'a, (Bytes, Value)>),
}

impl<'a> Open<'a> {
    fn next(&mut self) -> Option<(Option<&'a Bytes>, &'a Value)> {
        match self {
            Self::Array(values) => values.next().map(|value| (None, value)),
            Self::Table(entries) => entries.next().map(|(name, value)| (Some(name), value)),
        }
    }

    fn close(&self) -> char {
        match self {
            Self::Array(_) => ']',
            Self::Table(_) => '}',
        }
    }
}

/// Compact JSON, the names of a table in their order.
fn json(value: &Value) -> String {
    let mut out = String::new();
    let mut open = Vec::new();
    open.extend(json_begin(value, &mut out));
    while let Some(innermost) = open.last_mut() {
        let Some((name, value)) = innermost.next() else {
            out.push(innermost.close());
            open.pop();
            continue;
        };
        if !out.ends_with(['[', '{']) {
            out.push(',');
        }
        if let Some(name) = name {
            json_string(&of_text(name), &mut out);
            out.push(':');
        }
        open.extend(json_begin(value, &mut out));
    }
    out
}

/// Writes a value, or the bracket that opens it.
fn json_begin<'a>(value: &'a Value, out: &mut String) -> Option<Open<'a>> {
    match value {
        Value::Array(values) => {
            out.push('[');
            return Some(Open::Array(values.iter()));
        }
        Value::Table(Table(entries)) => {
            out.push('{');
            return Some(Open::Table(entries.iter()));
        }
        Value::Text(bytes) => json_string(&of_text(bytes), out),
        Value::Binary(bytes) => json_string(&STANDARD.encode(bytes), out),
        Value::Void => out.push_str("null"),
        // JSON has no word for these.
        Value::F32(number) if !number.is_finite() => out.push_str("null"),
        Value::F64(number) if !number.is_finite() => out.push_str("null"),
        scalar => out.push_str(&of_scalar(scalar)),
    }
    None
}

/// A JSON string; its text has no control characters left to escape.
fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn scalars_become_text_c_headers_3() {
        let table = [
            (Value::Bool(true), "true"),
            (Value::I8(-8), "-8"),
            (Value::U16(65_535), "65535"),
            (Value::I64(i64::MIN), "-9223372036854775808"),
            (Value::F32(0.1), "0.1"),
            (Value::F64(1.5), "1.5"),
            (Value::F64(2.0), "2.0"),
            (Value::F64(1e300), "1e300"),
            (
                Value::Decimal {
                    scale: 2,
                    value: 1250,
                },
                "12.50",
            ),
            (Value::Decimal { scale: 3, value: 7 }, "0.007"),
            (
                Value::Decimal {
                    scale: 2,
                    value: -5,
                },
                "-0.05",
            ),
            (
                Value::Decimal {
                    scale: 0,
                    value: 42,
                },
                "42",
            ),
            (Value::Timestamp(1_700_000_000), "1700000000"),
            (Value::Void, ""),
            (text("grün"), "grün"),
        ];
        for (value, expected) in table {
            assert_eq!(of_value(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn bytes_become_base64_and_controls_become_spaces_c_headers_5() {
        assert_eq!(
            of_value(&Value::Binary(Bytes::from_static(&[0, 255]))),
            "AP8="
        );
        assert_eq!(
            of_value(&Value::Text(Bytes::from_static(&[0xC0, 0x80]))),
            "wIA="
        );
        assert_eq!(of_value(&text("a\0b")), "YQBi");
        assert_eq!(of_value(&text("a\tb\u{9F}c")), "a b c");
    }

    #[test]
    fn nested_values_become_json_c_headers_4() {
        let inner = Table(vec![
            (Bytes::from_static(b"b"), text("say \"\\\"")),
            (
                Bytes::from_static(b"a"),
                Value::Array(vec![Value::I32(1), Value::Array(vec![])]),
            ),
            (Bytes::from_static(b"v"), Value::Void),
            (
                Bytes::from_static(b"x"),
                Value::Binary(Bytes::from_static(&[255])),
            ),
            (Bytes::from_static(b"n"), Value::F64(f64::NAN)),
            (Bytes::from_static(b"t"), Value::Table(Table::default())),
        ]);
        let json = r#"{"b":"say \"\\\"","a":[1,[]],"v":null,"x":"/w==","n":null,"t":{}}"#;
        assert_eq!(of_value(&Value::Table(inner)), json);
    }

    #[test]
    fn a_deeply_nested_value_is_walked_without_recursion() {
        let mut value = Value::Array(vec![]);
        for _ in 0..1_000 {
            value = Value::Array(vec![value]);
        }
        assert_eq!(of_value(&value).len(), 2_002);
    }
}
