//! Property flags and values.

use amq_protocol::protocol::basic::{AMQPProperties, gen_properties, parse_properties};
use amq_protocol::{frame::WriteContext, types::FieldTable as OracleTable};
use proptest::prelude::*;

use super::*;
use crate::wire::table::TableBuf;

/// All fourteen, headers `{"h": void}`.
fn all() -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    for property in ORDER {
        properties.push(
            property,
            match property {
                Property::Headers => PropertyValue::Table(b"\x01hV"),
                Property::DeliveryMode => PropertyValue::Octet(2),
                Property::Priority => PropertyValue::Octet(9),
                Property::Timestamp => PropertyValue::Timestamp(1),
                _ => PropertyValue::ShortString(b"s"),
            },
        );
    }
    properties.finish()
}

#[test]
fn all_properties_have_their_exact_bytes() {
    let bytes = all();
    assert_eq!(
        bytes,
        b"\xff\xfc\x01s\x01s\0\0\0\x03\x01hV\x02\x09\x01s\x01s\x01s\x01s\
          \0\0\0\0\0\0\0\x01\x01s\x01s\x01s\x01s"
    );
    let properties = Properties::new(&bytes).unwrap();
    assert_eq!(properties.check(|_, _| {}), Ok(()));
    assert_eq!(
        properties.value(Property::Priority),
        Some(PropertyValue::Octet(9))
    );
    assert_eq!(
        properties.short_string(Property::ClusterId),
        Some(&b"s"[..])
    );
    assert_eq!(properties.header(b"h"), Some(Value::Void));
    assert!(properties.iter().map(|(property, _)| property).eq(ORDER));
}

#[test]
fn flags_without_values_and_values_without_flags_are_refused() {
    let whole = all();
    for len in 2..whole.len() {
        let properties = Properties::new(&whole[..len]).unwrap();
        assert_eq!(
            properties.check(|_, _| {}),
            Err(Malformed::Properties),
            "cut at {len}"
        );
    }
    let longer = [&whole[..], b"\0"].concat();
    assert_eq!(
        Properties::new(&longer).unwrap().check(|_, _| {}),
        Err(Malformed::Properties)
    );
}

#[test]
fn a_second_word_of_flags_is_refused() {
    assert_eq!(
        Properties::new(&[0x80, 1, 0]),
        Err(Malformed::PropertyFlags)
    );
    assert_eq!(Properties::new(&[0x80]), Err(Malformed::Fields));
}

#[test]
fn malformed_headers_are_found() {
    let properties = Properties::new(b"\x20\0\0\0\0\x03\x01hZ").unwrap();
    assert_eq!(
        properties.check(|_, _| {}),
        Err(Malformed::TableType { tag: b'Z' })
    );
}

#[test]
fn other_headers_leave_the_other_properties() {
    let bytes = all();
    let properties = Properties::new(&bytes).unwrap();
    let mut headers = TableBuf::new();
    headers.push(b"new", Value::Void).unwrap();
    let changed = with_headers(properties, headers.table(), &[Property::Expiration]);
    assert_eq!(
        changed,
        b"\xfe\xfc\x01s\x01s\0\0\0\x05\x03newV\x02\x09\x01s\x01s\x01s\
          \0\0\0\0\0\0\0\x01\x01s\x01s\x01s\x01s"
    );
    let without = with_headers(properties, FieldTable::default(), &[]);
    assert!(!Properties::new(&without).unwrap().has(Property::Headers));
}

#[derive(Clone, Debug)]
struct Some14 {
    strings: Vec<Option<String>>,
    octets: (Option<u8>, Option<u8>),
    timestamp: Option<u64>,
    has_headers: bool,
}

fn some() -> impl Strategy<Value = Some14> {
    let strings = prop::collection::vec(prop::option::of("[a-z]{0,20}"), 10);
    (
        strings,
        any::<(Option<u8>, Option<u8>)>(),
        any::<Option<u64>>(),
        any::<bool>(),
    )
        .prop_map(|(strings, octets, timestamp, has_headers)| Some14 {
            strings,
            octets,
            timestamp,
            has_headers,
        })
}

fn ours(some: &Some14) -> Vec<u8> {
    let mut strings = some.strings.iter();
    let mut properties = PropertiesBuf::new();
    for property in ORDER {
        let value = match property {
            Property::Headers => some.has_headers.then_some(PropertyValue::Table(b"\x01hV")),
            Property::DeliveryMode => some.octets.0.map(PropertyValue::Octet),
            Property::Priority => some.octets.1.map(PropertyValue::Octet),
            Property::Timestamp => some.timestamp.map(PropertyValue::Timestamp),
            _ => strings
                .next()
                .unwrap()
                .as_ref()
                .map(|string| PropertyValue::ShortString(string.as_bytes())),
        };
        if let Some(value) = value {
            properties.push(property, value);
        }
    }
    properties.finish()
}

fn oracle_headers() -> OracleTable {
    let mut table = OracleTable::default();
    table.insert("h".into(), amq_protocol::types::AMQPValue::Void);
    table
}

proptest! {
    #[test]
    fn amq_protocol_agrees(some in some()) {
        let bytes = ours(&some);
        let (rest, parsed) = parse_properties(&bytes[..]).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(parsed.priority(), &some.octets.1);
        prop_assert_eq!(parsed.timestamp(), &some.timestamp);
        prop_assert_eq!(parsed.headers().clone(), some.has_headers.then(oracle_headers));
        let last = some.strings[9].clone().map(Into::into);
        prop_assert_eq!(parsed.cluster_id(), &last);
        let written = gen_properties(&parsed)(WriteContext::from(Vec::new())).unwrap();
        prop_assert_eq!(written.into_inner().0, bytes);
    }

    #[test]
    fn any_bytes_are_walked_without_a_panic(bytes: Vec<u8>) {
        if let Ok(properties) = Properties::new(&bytes) {
            let checked = properties.check(|_, _| {});
            let _walked = properties.iter().count();
            let oracle: Result<(&[u8], AMQPProperties), _> = parse_properties(&bytes[..]);
            if let Ok((rest, _)) = oracle && rest.is_empty() && bytes.iter().all(u8::is_ascii) {
                prop_assert!(checked.is_ok() || bytes.contains(&b'U'));
            }
        }
    }
}
