//! Field tables, against amq-protocol as oracle.

use amq_protocol::types::{AMQPValue, FieldTable as OracleTable, parsing::parse_field_table};
use proptest::prelude::*;

use super::*;
use crate::wire::guard::check_table;

#[test]
fn every_type_has_its_exact_bytes() {
    let mut inner = TableBuf::new();
    inner.push(b"k", Value::Void).unwrap();
    let mut array = ArrayBuf::new();
    array.push(Value::Bool(true));
    let cases: [(Value<'_>, &[u8]); 17] = [
        (Value::Array(array.array()), b"A\0\0\0\x02t\x01"),
        (Value::Binary(b"\xff"), b"x\0\0\0\x01\xff"),
        (Value::Bool(false), b"t\0"),
        (
            Value::Decimal {
                scale: 2,
                unscaled: 1250,
            },
            b"D\x02\0\0\x04\xe2",
        ),
        (Value::F64(1.5), b"d\x3f\xf8\0\0\0\0\0\0"),
        (Value::F32(1.5), b"f\x3f\xc0\0\0"),
        (Value::I8(-1), b"b\xff"),
        (Value::I16(-2), b"s\xff\xfe"),
        (Value::I32(-3), b"I\xff\xff\xff\xfd"),
        (Value::I64(-4), b"l\xff\xff\xff\xff\xff\xff\xff\xfc"),
        (Value::LongString(b"hi"), b"S\0\0\0\x02hi"),
        (Value::Table(inner.table()), b"F\0\0\0\x03\x01kV"),
        (Value::Timestamp(1), b"T\0\0\0\0\0\0\0\x01"),
        (Value::U8(255), b"B\xff"),
        (Value::U16(65535), b"u\xff\xff"),
        (Value::U32(1), b"i\0\0\0\x01"),
        (Value::Void, b"V"),
    ];
    for (value, bytes) in cases {
        let mut table = TableBuf::new();
        table.push(b"n", value).unwrap();
        assert_eq!(table.table().as_bytes(), [b"\x01n", bytes].concat());
        assert_eq!(check_table(table.table().as_bytes(), usize::MAX), Ok(()));
        assert_eq!(table.table().value(b"n"), Some(value));
    }
}

#[test]
fn both_letters_of_a_64_bit_integer_are_signed() {
    let table = FieldTable::new(b"\x01aL\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(table.value(b"a"), Some(Value::I64(-1)));
}

#[test]
fn an_edit_leaves_order_duplicates_and_types_of_the_others() {
    let bytes = b"\x01zL\0\0\0\0\0\0\0\x01\x01aV\x01zt\x07\x03BCCV";
    let mut table = TableBuf::from(FieldTable::new(bytes));
    table.remove(b"BCC");
    assert_eq!(
        table.table().as_bytes(),
        b"\x01zL\0\0\0\0\0\0\0\x01\x01aV\x01zt\x07"
    );
    table.set(b"a", Value::U8(9)).unwrap();
    table.set(b"new", Value::Void).unwrap();
    assert_eq!(
        table.table().as_bytes(),
        b"\x01zL\0\0\0\0\0\0\0\x01\x01aB\x09\x01zt\x07\x03newV"
    );
    table.remove(b"z");
    assert_eq!(table.table().as_bytes(), b"\x01aB\x09\x03newV");
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let mut table = TableBuf::new();
    assert_eq!(table.push(&[b'n'; 255], Value::Void), Ok(()));
    assert_eq!(table.set(&[b'n'; 256], Value::Void), Err(NameTooLong));
    assert_eq!(table.table().entries().count(), 1);
}

#[test]
fn reading_malformed_bytes_ends_early() {
    assert_eq!(FieldTable::new(b"\x01aS\0\0\0\x09hi").entries().count(), 0);
    assert_eq!(FieldTable::new(b"\x01aV\x09").entries().count(), 1);
}

/// Encodes with the editor what amq-protocol describes; recursion is fine on a test's own values.
fn encode(oracle: &OracleTable) -> TableBuf {
    let mut table = TableBuf::new();
    for (name, value) in oracle {
        push(
            &mut Target::Table(&mut table, name.as_str().as_bytes()),
            value,
        );
    }
    table
}

enum Target<'a> {
    Table(&'a mut TableBuf, &'a [u8]),
    Array(&'a mut ArrayBuf),
}

fn push(target: &mut Target<'_>, value: &AMQPValue) {
    let (inner_table, inner_array);
    let value = match value {
        AMQPValue::Boolean(value) => Value::Bool(*value),
        AMQPValue::ShortShortInt(value) => Value::I8(*value),
        AMQPValue::ShortShortUInt(value) => Value::U8(*value),
        AMQPValue::ShortInt(value) => Value::I16(*value),
        AMQPValue::ShortUInt(value) => Value::U16(*value),
        AMQPValue::LongInt(value) => Value::I32(*value),
        AMQPValue::LongUInt(value) => Value::U32(*value),
        AMQPValue::LongLongInt(value) => Value::I64(*value),
        AMQPValue::Double(value) => Value::F64(*value),
        AMQPValue::Timestamp(value) => Value::Timestamp(*value),
        AMQPValue::LongString(value) => Value::LongString(value.as_bytes()),
        AMQPValue::ByteArray(value) => Value::Binary(value.as_slice()),
        AMQPValue::Void => Value::Void,
        AMQPValue::FieldTable(table) => {
            inner_table = encode(table);
            Value::Table(inner_table.table())
        }
        AMQPValue::FieldArray(values) => {
            let mut array = ArrayBuf::new();
            for value in values.as_slice() {
                push(&mut Target::Array(&mut array), value);
            }
            inner_array = array;
            Value::Array(inner_array.array())
        }
        other => panic!("not generated: {other:?}"),
    };
    match target {
        Target::Table(table, name) => table.push(name, value).unwrap(),
        Target::Array(array) => array.push(value),
    }
}

fn value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        (-1e9..1e9).prop_map(AMQPValue::Double),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        any::<Vec<u8>>().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        any::<Vec<u8>>().prop_map(|bytes| AMQPValue::ByteArray(bytes.into())),
        Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| AMQPValue::FieldArray(values.into())),
            prop::collection::vec(("[a-z]{0,9}", inner), 0..5)
                .prop_map(|entries| AMQPValue::FieldTable(oracle_table(entries))),
        ]
    })
}

fn oracle_table(entries: Vec<(String, AMQPValue)>) -> OracleTable {
    let mut table = OracleTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

proptest! {
    #[test]
    fn amq_protocol_reads_what_the_editor_writes(
        entries in prop::collection::vec(("[a-z]{0,9}", value()), 0..6),
    ) {
        let oracle = oracle_table(entries);
        let table = encode(&oracle);
        let inside = table.table().as_bytes();
        prop_assert_eq!(check_table(inside, usize::MAX), Ok(()));
        let mut bytes = u32::try_from(inside.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(inside);
        let (rest, parsed) = parse_field_table(&bytes[..]).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(parsed, oracle);
    }

    #[test]
    fn the_guard_passes_nothing_that_amq_protocol_cannot_read(bytes: Vec<u8>) {
        // Random names are rarely UTF-8, which amq-protocol wants and tables need not be.
        let bytes: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
        if check_table(&bytes, usize::MAX).is_ok() {
            let mut table = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
            table.extend(&bytes);
            prop_assert!(parse_field_table(&table[..]).is_ok());
        }
    }

    #[test]
    fn reading_any_bytes_ends(bytes: Vec<u8>) {
        prop_assert!(FieldTable::new(&bytes).entries().count() <= bytes.len());
    }
}
