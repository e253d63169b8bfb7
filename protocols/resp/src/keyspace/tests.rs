use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1000);

fn map() -> Keyspace {
    Keyspace::new(2, 3, 20)
}

#[test]
fn databases_are_apart() {
    let mut map = map();
    map.set(0, b"a", b"1", Expiry::Never).unwrap();
    map.set(1, b"a", b"2", Expiry::Never).unwrap();
    assert_eq!(map.get(0, b"a").unwrap().value, "1");
    assert_eq!(map.remove(1, b"a").unwrap(), "2");
    assert_eq!((map.len(0), map.len(1), map.bytes()), (1, 0, 2));
}

#[test]
fn a_full_map_refuses_and_keeps_what_it_has() {
    let mut map = map();
    for key in [b"a", b"b", b"c"] {
        map.set(0, key, b"1", Expiry::Never).unwrap();
    }
    assert_eq!(map.set(1, b"d", b"", Expiry::Never), Err(Error::Full));
    assert_eq!(
        map.set(0, b"a", &[b'x'; 16], Expiry::Never),
        Err(Error::Full)
    );
    assert_eq!(map.get(0, b"a").unwrap().value, "1");
    map.set(0, b"a", &[b'x'; 15], Expiry::Never).unwrap();
    assert_eq!(map.bytes(), 20);
}

#[test]
fn keys_go_at_their_moment_and_make_room() {
    let mut map = map();
    for key in [b"a", b"b", b"c"] {
        map.set(0, key, b"1", Expiry::At(NOW)).unwrap();
    }
    map.expire(Timestamp(999));
    assert_eq!(map.len(0), 3);
    map.expire(NOW);
    assert_eq!((map.len(0), map.bytes(), map.expiries.len()), (0, 0, 0));
}

#[test]
fn writes_keep_or_replace_the_expiry() {
    let mut map = map();
    map.set(0, b"a", b"1", Expiry::At(NOW)).unwrap();
    map.set(0, b"a", b"2", Expiry::Keep).unwrap();
    assert_eq!(map.get(0, b"a").unwrap().expires_at, Some(NOW));
    map.set(0, b"a", b"3", Expiry::Never).unwrap();
    map.expire(NOW);
    assert_eq!(map.get(0, b"a").unwrap().value, "3");
    assert!(map.set_expiry(0, b"a", Some(NOW)));
    assert!(!map.set_expiry(0, b"b", Some(NOW)));
    map.expire(NOW);
    assert_eq!(map.get(0, b"a"), None);
}

#[test]
fn every_change_has_its_own_version() {
    let mut map = map();
    assert_eq!(map.version(0, b"a"), 0);
    map.set(0, b"a", b"1", Expiry::Never).unwrap();
    let first = map.version(0, b"a");
    map.set(0, b"a", b"1", Expiry::Never).unwrap();
    let second = map.version(0, b"a");
    map.set_expiry(0, b"a", Some(NOW));
    let third = map.version(0, b"a");
    map.clear(0);
    assert!(0 < first && first < second && second < third);
    assert_eq!(map.version(0, b"a"), 0);
}

proptest! {
    /// The books (keys, bytes, expiries) agree with the content after any history.
    #[test]
    fn the_books_balance(
        steps in prop::collection::vec((0..6_u8, 0..2_u8, 0..4_u8, 0..9_usize, 0..8_u64), 0..60),
    ) {
        let mut map = Keyspace::new(2, 5, 30);
        let mut now = 0;
        for (step, database, key, bytes, ms) in steps {
            let (key, value) = ([key], vec![b'v'; bytes]);
            let at = Timestamp(now + ms);
            match step {
                0 => drop(map.set(database, &key, &value, Expiry::Keep)),
                1 => drop(map.set(database, &key, &value, Expiry::At(at))),
                2 => drop(map.remove(database, &key)),
                3 => drop(map.set_expiry(database, &key, (ms > 2).then_some(at))),
                4 => now += ms,
                _ if ms == 0 => map.clear(database),
                _ => {}
            }
            map.expire(Timestamp(now));
            let entries = || map.databases.iter().flatten();
            let bytes = entries().map(|(key, entry)| key.len() + entry.value.len()).sum::<usize>();
            let expiring = entries().filter(|(_, entry)| entry.expires_at.is_some()).count();
            prop_assert_eq!((entries().count(), bytes), (map.keys, map.bytes));
            prop_assert_eq!(expiring, map.expiries.len());
            prop_assert!(map.keys <= 5 && map.bytes <= 30);
            prop_assert!(entries().all(|(_, entry)| entry.expires_at.is_none_or(|at| at.0 > now)));
        }
    }
}
