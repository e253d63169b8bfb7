//! Hostile tables and arguments.

use super::*;

/// `count` tables inside each other, innermost empty: `1 'a' 'F' length ...`.
fn nested_tables(count: usize) -> Vec<u8> {
    let mut inside = Vec::new();
    for _ in 0..count {
        let mut outer = vec![1, b'a', b'F'];
        outer.extend(u32::try_from(inside.len()).unwrap().to_be_bytes());
        outer.extend(&inside);
        inside = outer;
    }
    inside
}

fn nested_arrays(count: usize) -> Vec<u8> {
    let mut inside = Vec::new();
    for _ in 0..count {
        let mut outer = vec![b'A'];
        outer.extend(u32::try_from(inside.len()).unwrap().to_be_bytes());
        outer.extend(&inside);
        inside = outer;
    }
    [&[1, b'a'][..], &inside].concat()
}

fn start_ok(table: &[u8]) -> Vec<u8> {
    let mut arguments = u32::try_from(table.len()).unwrap().to_be_bytes().to_vec();
    arguments.extend(table);
    arguments.extend(b"\x05PLAIN\x00\x00\x00\x04\x00u\x00p\x05en_US");
    arguments
}

#[test]
fn a_14_kb_frame_nested_2000_deep_is_refused() {
    let table = nested_tables(2000);
    assert_eq!(table.len(), 14_000);
    assert_eq!(
        check_method(MethodId::CONNECTION_START_OK, &start_ok(&table)),
        Err(Malformed::TableDepth)
    );
    assert_eq!(
        check_table(&nested_arrays(20_000), usize::MAX),
        Err(Malformed::TableDepth)
    );
}

#[test]
fn thirty_two_levels_pass_and_thirty_three_do_not() {
    assert_eq!(
        check_table(&nested_tables(DEPTH_MAX - 1), usize::MAX),
        Ok(())
    );
    assert_eq!(
        check_table(&nested_tables(DEPTH_MAX), usize::MAX),
        Err(Malformed::TableDepth)
    );
    assert_eq!(
        check_table(&nested_arrays(DEPTH_MAX - 1), usize::MAX),
        Ok(())
    );
    assert_eq!(
        check_table(&nested_arrays(DEPTH_MAX), usize::MAX),
        Err(Malformed::TableDepth)
    );
}

#[test]
fn values_are_counted_at_all_depths() {
    let array_of_void = |count: usize| {
        let mut table = vec![1, b'a', b'A'];
        table.extend(u32::try_from(count).unwrap().to_be_bytes());
        table.extend(vec![b'V'; count]);
        table
    };
    assert_eq!(check_table(&array_of_void(9), 10), Ok(()));
    assert_eq!(
        check_table(&array_of_void(10), 10),
        Err(Malformed::TableValues)
    );
}

#[test]
fn every_type_is_stepped_over_and_none_may_be_cut() {
    let values: [&[u8]; 17] = [
        b"t\x01",
        b"b\xff",
        b"B\xff",
        b"s\0\x01",
        b"u\0\x01",
        b"I\0\0\0\x01",
        b"i\0\0\0\x01",
        b"l\0\0\0\0\0\0\0\x01",
        b"L\0\0\0\0\0\0\0\x01",
        b"f\0\0\0\0",
        b"d\0\0\0\0\0\0\0\0",
        b"D\x02\0\0\0\x01",
        b"T\0\0\0\0\0\0\0\x01",
        b"S\0\0\0\x02hi",
        b"x\0\0\0\x02hi",
        b"V",
        b"A\0\0\0\x02t\x01",
    ];
    for value in values {
        let entry = [b"\x02kk", value].concat();
        assert_eq!(check_table(&entry, usize::MAX), Ok(()), "{value:?}");
        for len in 1..entry.len() {
            assert_eq!(
                check_table(&entry[..len], usize::MAX),
                Err(Malformed::Table),
                "{value:?}"
            );
        }
    }
}

#[test]
fn a_value_may_not_cross_the_end_of_its_table() {
    // The inner table says 3 bytes; its value needs 4, which the outer one would have.
    let table = b"\x01aF\0\0\0\x03\x01bt\x01";
    assert_eq!(check_table(table, usize::MAX), Err(Malformed::Table));
    let longer_than_outer = b"\x01aF\0\0\0\x09\x01bt\x01";
    assert_eq!(
        check_table(longer_than_outer, usize::MAX),
        Err(Malformed::Table)
    );
}

#[test]
fn types_rabbitmq_does_not_know_are_refused() {
    for tag in [b'U', b'_', 0, b'Z'] {
        let table = [1, b'a', tag, 0, 0];
        assert_eq!(
            check_table(&table, usize::MAX),
            Err(Malformed::TableType { tag })
        );
    }
}

#[test]
fn arguments_may_be_neither_short_nor_long() {
    let whole = start_ok(b"");
    assert_eq!(
        check_method(MethodId::CONNECTION_START_OK, &whole),
        Ok(&[][..])
    );
    for len in 0..whole.len() {
        assert_eq!(
            check_method(MethodId::CONNECTION_START_OK, &whole[..len]),
            Err(Malformed::Fields)
        );
    }
    let longer = [&whole[..], b"\0"].concat();
    assert_eq!(
        check_method(MethodId::CONNECTION_START_OK, &longer),
        Err(Malformed::Fields)
    );
}

#[test]
fn names_that_are_not_utf_8_are_refused_as_rabbitmq_does() {
    let get = b"\0\0\x01\xff\0";
    assert_eq!(
        check_method(MethodId::BASIC_GET, get),
        Err(Malformed::ShortString)
    );
    assert_eq!(
        Malformed::ShortString.to_string(),
        "Malformed UTF-8 in shortstr"
    );
}

#[test]
fn methods_only_a_server_sends_are_unknown() {
    for id in [
        MethodId::CONNECTION_START,
        MethodId::BASIC_DELIVER,
        MethodId::NONE,
    ] {
        assert_eq!(
            check_method(id, &[]),
            Err(Malformed::UnknownMethod {
                class: id.class,
                method: id.method
            })
        );
    }
}
