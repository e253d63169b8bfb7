//! Keys cut to a short string, and headers that say yes.

use super::{outbound::cut_len, *};

#[test]
fn a_key_is_cut_after_its_last_whole_character() {
    let key = [&[b'x'; 254][..], "é".as_bytes()].concat();
    assert_eq!(cut_len(&key), 254);
    assert_eq!(cut_len(&[0xFF; 300]), SHORT_STRING_BYTES_MAX);
    assert_eq!(cut_len(b"short"), 5);
}

#[test]
fn header_says_true_for_true_numbers_and_text() {
    use crate::wire::table::Value;
    let cases = [
        (Value::Bool(true), true),
        (Value::Bool(false), false),
        (Value::I64(-1), true),
        (Value::U8(0), false),
        (Value::LongString(b"true"), true),
        (Value::LongString(b"yes"), false),
        (Value::Void, false),
    ];
    for (value, expected) in cases {
        assert_eq!(header_says_true(value), expected, "{value:?}");
    }
}
