//! The page store over simulated files: in order, acknowledged out of order, damaged, crashed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Owner, PageSettings, PageStore};
use crate::journal::open_shared;
use crate::{DiskFiles, Error, Health, Journal, Operation, Settings, SimFiles};

const A: Owner = Owner(1);
const B: Owner = Owner(0xb0b);

fn open(files: &SimFiles) -> Result<PageStore, Error> {
    let settings = Settings {
        segment_bytes: 8 << 10,
        frame_bytes_max: 4 << 10,
        disk_min_free_bytes: 0,
        ..Settings::new("/data")
    };
    let (shared, ..) = open_shared(settings, Arc::new(files.clone()))?;
    PageStore::with_shared(shared, PageSettings { file_bytes: 2000 })
}

fn body(seq: u64) -> Vec<u8> {
    let len = usize::try_from(seq * 37 % 300).unwrap();
    seq.to_le_bytes().into_iter().cycle().take(len).collect()
}

fn append(store: &PageStore, owner: Owner, seqs: impl IntoIterator<Item = u64>) {
    let bodies: Vec<(u64, Vec<u8>)> = seqs.into_iter().map(|seq| (seq, body(seq))).collect();
    let records: Vec<(u64, &[u8])> = bodies.iter().map(|(seq, body)| (*seq, &**body)).collect();
    store.append(owner, &records).unwrap();
}

/// Reads everything in small steps, and checks every body.
fn read_all(store: &PageStore, owner: Owner, from: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    let mut from = from;
    loop {
        let records = store.read(owner, from, 400).unwrap();
        let Some((last, _)) = records.last() else {
            return seqs;
        };
        from = last + 1;
        for (seq, found) in records {
            assert_eq!(found, body(seq));
            seqs.push(seq);
        }
    }
}

fn page_files(files: &SimFiles) -> Vec<PathBuf> {
    let pages = Path::new("/data/pages");
    files
        .paths()
        .into_iter()
        .filter(|path| path.parent() == Some(pages))
        .collect()
}

#[test]
fn records_come_back_in_order_across_files_and_owners() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    let seqs: Vec<u64> = (1..100).chain([500, 10_000_000, 10_000_001]).collect();
    append(&store, A, seqs.iter().copied());
    append(&store, B, [7, 8]);
    append(&store, A, [10_000_009]);
    assert!(page_files(&files).len() > 8);
    assert_eq!(read_all(&store, A, 0)[..102], seqs);
    assert_eq!(
        read_all(&store, A, 97),
        [97, 98, 99, 500, 10_000_000, 10_000_001, 10_000_009]
    );
    assert_eq!(read_all(&store, A, 42)[..3], [42, 43, 44], "backwards too");
    assert_eq!(read_all(&store, B, 0), [7, 8]);
    assert_eq!(read_all(&store, Owner(9), 0), []);
    let owners = store.owners();
    assert_eq!(
        (owners[0].owner, owners[0].first, owners[0].count),
        (A, Some(1), 103)
    );
    assert_eq!(
        (owners[1].owner, owners[1].last, owners[1].files),
        (B, Some(8), 1)
    );
}

#[test]
fn numbers_must_grow() {
    let store = open(&SimFiles::new(1)).unwrap();
    append(&store, A, [5]);
    for wrong in [
        &[(5, &b"x"[..])][..],
        &[(6, b"x"), (6, b"x")],
        &[(7, b"x"), (6, b"x")],
    ] {
        assert!(matches!(
            store.append(A, wrong),
            Err(Error::Sequence { .. })
        ));
    }
    assert_eq!(read_all(&store, A, 0), [5]);
}

#[test]
fn one_large_record_is_read_although_it_is_over_every_limit() {
    let store = open(&SimFiles::new(1)).unwrap();
    let large = vec![3; 900_000];
    store
        .append(A, &[(1, b"small"), (2, &large), (3, b"small")])
        .unwrap();
    let records = store.read(A, 2, 10).unwrap();
    assert_eq!(
        (records.len(), records[0].0, &records[0].1[..]),
        (1, 2, &large[..])
    );
}

#[test]
fn acknowledged_records_are_not_read_and_their_files_go_except_the_newest() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    append(&store, A, 1..=100);
    let all = page_files(&files).len();
    store.ack(A, [2..=2, 4..=50, 60..=u64::MAX]);
    let left: Vec<u64> = [1, 3].into_iter().chain(51..60).collect();
    assert_eq!(read_all(&store, A, 0), left);
    store.sweep().unwrap();
    assert!(page_files(&files).len() < all / 2);
    store.ack(A, [0..=u64::MAX]);
    store.ack(A, [RangeInclusive::new(9, 3)]);
    store.sweep().unwrap();
    assert_eq!(page_files(&files).len(), 1);
    assert_eq!(store.owners()[0].last, Some(100));
    store.drop_owner(A).unwrap();
    assert_eq!(page_files(&files).len(), 0);
    assert_eq!(store.owners(), []);
    files.crash();
    assert_eq!(open(&files).unwrap().owners(), []);
}

#[test]
fn a_start_finds_what_was_appended_and_the_snapshot_what_was_acknowledged() {
    for crash in [false, true] {
        let files = SimFiles::new(1);
        let store = open(&files).unwrap();
        append(&store, A, 1..=100);
        store.ack(A, [3..=3, 10..=60]);
        let snapshot = store.snapshot(A);
        append(&store, A, 101..=120);
        store.ack(A, [80..=80]);
        drop(store);
        if crash {
            files.crash();
        }
        let store = open(&files).unwrap();
        store.restore(A, &snapshot).unwrap();
        store.ack(A, [80..=80]);
        store.confirm(A, Some(110)).unwrap();
        let expected: Vec<u64> = (1..=110)
            .filter(|seq| *seq != 3 && *seq != 80 && !(10..=60).contains(seq))
            .collect();
        assert_eq!(read_all(&store, A, 0), expected);
        append(&store, A, 111..=130);
        drop(store);
        let store = open(&files).unwrap();
        store.restore(A, &snapshot).unwrap();
        store.confirm(A, Some(130)).unwrap();
        assert_eq!(
            store.owners()[0].count,
            130 - 52,
            "80 was acknowledged after the snapshot"
        );
        assert!(matches!(
            store.restore(A, &snapshot[1..]),
            Err(Error::Settings { .. })
        ));
    }
}

#[test]
fn nothing_migrated_leaves_nothing() {
    let files = SimFiles::new(1);
    append(&open(&files).unwrap(), A, 5..=50);
    let store = open(&files).unwrap();
    store.confirm(A, None).unwrap();
    store.confirm(B, None).unwrap();
    assert_eq!(
        (read_all(&store, A, 0), page_files(&files)),
        (Vec::new(), Vec::new())
    );
    append(&store, A, 5..=6);
    drop(store);
    assert_eq!(read_all(&open(&files).unwrap(), A, 0), [5, 6]);
}

#[test]
fn missing_records_are_damage_and_the_rest_is_still_read() {
    let files = SimFiles::new(1);
    append(&open(&files).unwrap(), A, 1..=10);
    let store = open(&files).unwrap();
    let error = store.confirm(A, Some(12)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::DamagedPage {
                owner: A,
                seq: 11,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        store.confirm(B, Some(1)),
        Err(Error::DamagedPage { seq: 1, .. })
    ));
    assert_eq!(read_all(&store, A, 0), (1..=10).collect::<Vec<_>>());
}

#[test]
fn no_flipped_byte_is_ever_served() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    append(&store, A, 1..=12);
    append(&store, A, 13..=30);
    let paths = page_files(&files);
    assert!(paths.len() >= 2);
    for path in &paths[..2] {
        let whole = files.contents(path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            files.put(path, bytes);
            let read = store.read(A, 0, usize::MAX);
            match &read {
                Ok(records) => assert!(records.iter().all(|(seq, found)| *found == body(*seq))),
                Err(error) => assert!(matches!(error, Error::DamagedPage { .. })),
            }
        }
        files.put(path, whole);
    }
    let mut bytes = files.contents(&paths[0]).unwrap();
    bytes[100] ^= 1;
    files.put(&paths[0], bytes);
    let error = store.read(A, 0, usize::MAX).unwrap_err();
    assert!(
        matches!(error, Error::DamagedPage { seq: 1, .. }),
        "{error}"
    );
}

#[test]
fn a_bad_header_or_a_newer_format_is_refused() {
    let files = SimFiles::new(1);
    append(&open(&files).unwrap(), A, 1..=3);
    let path = page_files(&files).remove(0);
    let whole = files.contents(&path).unwrap();
    for at in 0..64 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        files.put(&path, bytes);
        assert!(open(&files).is_err(), "{at}");
    }
    let mut bytes = whole;
    bytes[4] = 2;
    files.put(&path, bytes);
    assert!(matches!(
        open(&files),
        Err(Error::NewerVersion { found: 2, .. })
    ));
}

#[test]
fn a_full_disk_is_survived_and_any_other_failure_fails_the_journal() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    append(&store, A, 1..=5);
    files.fail(Operation::Write, 0, ErrorKind::StorageFull);
    assert!(matches!(
        store.append(A, &[(6, b"six")]),
        Err(Error::Io { .. })
    ));
    append(&store, A, 6..=8);
    assert_eq!(read_all(&store, A, 0), (1..=8).collect::<Vec<_>>());
    assert_eq!(store.pages_health(), Health::Ok);
    files.fail(Operation::Sync, 0, ErrorKind::Other);
    assert!(matches!(
        store.append(A, &[(9, b"nine")]),
        Err(Error::Io { .. })
    ));
    assert_eq!(store.pages_health(), Health::Failed);
}

#[test]
fn real_files_beside_a_real_journal() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        segment_bytes: 64 << 10,
        frame_bytes_max: 8 << 10,
        disk_min_free_bytes: 0,
        ..Settings::new(dir.path())
    };
    let (journal, _) = Journal::open(settings.clone(), DiskFiles).unwrap();
    let pages = PageStore::open(&journal, PageSettings { file_bytes: 2000 }).unwrap();
    append(&pages, A, 1..=100);
    pages.ack(A, [0..=50]);
    pages.sweep().unwrap();
    journal.close().unwrap();
    drop(pages);
    let (journal, _) = Journal::open(settings, DiskFiles).unwrap();
    let pages = PageStore::open(&journal, PageSettings::default()).unwrap();
    pages.ack(A, [0..=50]);
    pages.confirm(A, Some(100)).unwrap();
    assert_eq!(read_all(&pages, A, 0), (51..=100).collect::<Vec<_>>());
    pages.drop_owner(A).unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path().join("pages")).unwrap().count(),
        0
    );
}

/// Random appends, acknowledgements and crashes of two owners against a model. What `append`
/// reported is there; what it did not is forgotten by `confirm` or was there before.
#[test]
fn what_was_appended_survives_every_crash() {
    let histories = std::env::var("STORAGE_CRASHES")
        .ok()
        .and_then(|value| value.parse().ok());
    for seed in 0..histories.unwrap_or(300) {
        let files = SimFiles::new(seed);
        let mut random = fastrand(seed);
        // Per owner: what must be there, and the number that was reported last.
        let mut model: BTreeMap<Owner, (Vec<u64>, Option<u64>)> = BTreeMap::new();
        for _ in 0..4 {
            match random(4) {
                0 => files.fail(Operation::Sync, random(6), ErrorKind::Other),
                _ => files.crash_after(random(40)),
            }
            if let Ok(store) = open(&files) {
                live(&store, &mut model, &mut random);
            }
            match random(3) {
                0 => files.kill(),
                _ => files.crash(),
            }
        }
        let store = open(&files).unwrap();
        check(&store, &model).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

type Model = BTreeMap<Owner, (Vec<u64>, Option<u64>)>;

fn check(store: &PageStore, model: &Model) -> Result<(), Error> {
    for (owner, (wanted, through)) in model {
        // Acknowledgements are in the journal: they are all repeated.
        let is_wanted = |seq: &u64| wanted.binary_search(seq).is_ok();
        let acked = (0..through.unwrap_or(0) + 1).filter(|seq| !is_wanted(seq));
        store.ack(*owner, acked.map(|seq| seq..=seq));
        store.confirm(*owner, *through)?;
        assert_eq!(read_all(store, *owner, 0), *wanted);
    }
    Ok(())
}

fn live(store: &PageStore, model: &mut Model, random: &mut impl FnMut(u64) -> u64) {
    if check(store, model).is_err() {
        return;
    }
    for _ in 0..12 {
        let owner = if random(3) == 0 { B } else { A };
        let (wanted, through) = model.entry(owner).or_default();
        if random(3) == 0 {
            let from = random(through.unwrap_or(0) + 2);
            let to = from + random(20);
            store.ack(owner, [from..=to]);
            wanted.retain(|seq| !(from..=to).contains(seq));
            continue;
        }
        let start = through.unwrap_or(0) + 1 + random(3);
        let seqs: Vec<u64> = (start..=start + random(12)).collect();
        let bodies: Vec<Vec<u8>> = seqs.iter().map(|seq| body(*seq)).collect();
        let records = seqs.iter().zip(&bodies).map(|(seq, body)| (*seq, &**body));
        if store.append(owner, &records.collect::<Vec<_>>()).is_err() {
            return;
        }
        *through = seqs.last().copied();
        wanted.extend(seqs);
    }
}

/// SplitMix64, as a function of the bound.
fn fastrand(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[test]
fn a_file_that_is_mostly_acknowledged_is_written_again_without_that() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    append(&store, A, 1..200);
    append(&store, A, [200]);
    let before = store.owner(A).unwrap();
    store.ack(A, (1..200).filter(|seq| seq % 10 != 0).map(|seq| seq..=seq));
    let wanted: Vec<u64> = (10..=200).step_by(10).collect();
    // A reader has stopped in the middle.
    assert_eq!(store.read(A, 50, 1).unwrap()[0].0, 50);
    for _ in 0..before.files + 2 {
        store.sweep().unwrap();
    }
    let after = store.owner(A).unwrap();
    assert!(
        after.bytes < before.bytes / 2 && after.count == 20,
        "{} of {} bytes",
        after.bytes,
        before.bytes
    );
    assert_eq!(read_all(&store, A, 51)[0], 60);
    assert_eq!(read_all(&store, A, 0), wanted);
    drop(store);
    files.crash();
    let store = open(&files).unwrap();
    store.confirm(A, Some(200)).unwrap();
    let mut found = read_all(&store, A, 0);
    found.retain(|seq| wanted.contains(seq));
    assert_eq!(found, wanted, "and no more than before");
}

#[test]
fn a_crash_amid_a_rewrite_leaves_the_file_as_it_was_or_as_it_is_to_be() {
    for nth in 0..12 {
        let files = SimFiles::new(nth);
        let store = open(&files).unwrap();
        append(&store, A, 1..60);
        append(&store, A, [60]);
        store.ack(A, (1..60).filter(|seq| seq % 6 != 0).map(|seq| seq..=seq));
        files.crash_after(nth);
        for _ in 0..10 {
            drop(store.sweep());
        }
        drop(store);
        files.crash();
        let store = open(&files).unwrap();
        store.confirm(A, Some(60)).unwrap();
        let mut found = read_all(&store, A, 0);
        found.retain(|seq| seq % 6 == 0);
        assert_eq!(found, (6..=60).step_by(6).collect::<Vec<_>>(), "{nth}");
    }
}

#[test]
fn the_last_file_gives_its_space_back_when_nothing_in_it_is_wanted() {
    let files = SimFiles::new(1);
    let store = open(&files).unwrap();
    append(&store, A, 1..9);
    let before = store.owner(A).unwrap();
    store.ack(A, [1..=8]);
    store.sweep().unwrap();
    let after = store.owner(A).unwrap();
    assert!(before.bytes > 1024 && after.bytes < 100, "{after:?}");
    append(&store, A, 9..12);
    assert_eq!(read_all(&store, A, 0), [9, 10, 11]);
    drop(store);
    files.crash();
    let store = open(&files).unwrap();
    store.confirm(A, Some(11)).unwrap();
    let mut found = read_all(&store, A, 0);
    found.retain(|seq| *seq > 8);
    assert_eq!(found, [9, 10, 11]);
}
