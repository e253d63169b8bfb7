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
fn every_change_of_a_watched_key_is_noticed_even_if_it_is_undone() {
    type Change = fn(&mut Keyspace);
    let changes: [(bool, Change); 6] = [
        (false, |map| map.set(0, b"a", b"1", Expiry::Never).unwrap()),
        (true, |map| map.set(0, b"a", b"1", Expiry::Keep).unwrap()),
        (true, |map| assert!(map.set_expiry(0, b"a", Some(NOW)))),
        (true, |map| map.clear(0)),
        (true, |map| drop(map.remove(0, b"a").unwrap())),
        (true, |map| {
            map.set_expiry(0, b"a", Some(NOW));
            map.expire(NOW);
        }),
    ];
    for (is_there, change) in changes {
        let mut map = map();
        if is_there {
            map.set(0, b"a", b"1", Expiry::Never).unwrap();
        }
        let (own, other) = (map.watch(0, b"a"), map.watch(1, b"a"));
        map.set(1, b"b", b"", Expiry::Never).unwrap();
        assert!(!own.load(Ordering::Relaxed));
        change(&mut map);
        map.remove(0, b"a");
        assert!(own.load(Ordering::Relaxed) && !other.load(Ordering::Relaxed));
    }
}

#[test]
fn keys_that_nobody_watches_any_more_are_forgotten() {
    let mut map = map();
    let kept = map.watch(0, b"kept");
    for number in 0..10_000_u32 {
        map.watch(0, &number.to_be_bytes());
    }
    assert!(map.watched.len() <= WATCHED_SWEEP_MIN);
    map.set(0, b"kept", b"", Expiry::Never).unwrap();
    assert!(kept.load(Ordering::Relaxed));
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
