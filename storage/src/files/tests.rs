//! The simulator must forget and fail as it says: every crash test rests on it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{DiskFiles, Files, Operation, SimFiles, read_all};

fn path() -> PathBuf {
    PathBuf::from("/d/file")
}

#[test]
fn synced_bytes_survive_and_unsynced_sectors_come_out_old_new_or_torn() {
    let (mut old, mut new, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let files = SimFiles::new(seed);
        let file = files.create(&path()).unwrap();
        file.write_all_at(&[&[1; 4096]], 0).unwrap();
        file.sync_data().unwrap();
        files.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[&[2; 2000], &[2; 96]], 1000).unwrap();
        files.crash();
        assert!(file.sync_data().is_err(), "handles do not outlive a crash");
        let bytes = files.contents(&path()).unwrap();
        assert!(
            bytes[..1000]
                .iter()
                .chain(&bytes[3096..])
                .all(|byte| *byte == 1)
        );
        match bytes[1000..3096].iter().filter(|byte| **byte == 2).count() {
            0 => old += 1,
            2096 => new += 1,
            _ => torn += 1,
        }
    }
    assert!(old > 20 && new > 20 && torn > 20, "{old} {new} {torn}");
}

#[test]
fn the_death_of_a_process_loses_its_handles_and_nothing_else() {
    let files = SimFiles::new(1);
    let file = files.create(&path()).unwrap();
    file.write_all_at(&[&[1; 4096]], 0).unwrap();
    let _lock = files.lock(Path::new("/d/lock")).unwrap();
    files.kill();
    assert!(file.sync_data().is_err());
    assert_eq!(files.contents(&path()).unwrap(), [1; 4096]);
    files.lock(Path::new("/d/lock")).unwrap();
}

#[test]
fn a_name_is_durable_only_after_its_directory_was_synced() {
    let lost = |sync: bool| {
        let lost = (0..100).filter(|seed| {
            let files = SimFiles::new(*seed);
            files.create(&path()).unwrap();
            if sync {
                files.sync_dir(Path::new("/d")).unwrap();
            }
            files.crash();
            files.paths().is_empty()
        });
        lost.count()
    };
    assert_eq!(lost(true), 0);
    assert!((20..80).contains(&lost(false)));
}

#[test]
fn a_failed_sync_is_reported_once_and_its_sectors_are_forgotten() {
    let lost = (0..100).filter(|seed| {
        let files = SimFiles::new(*seed);
        let file = files.create(&path()).unwrap();
        files.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[&[1; 512]], 0).unwrap();
        files.fail(Operation::Sync, 0, ErrorKind::Other);
        assert!(file.sync_data().is_err());
        assert_eq!(
            read_all(&*file).unwrap(),
            [1; 512],
            "the page cache still shows it"
        );
        file.sync_data().unwrap();
        files.crash();
        files.contents(&path()).unwrap() != [1; 512]
    });
    assert!(lost.count() > 20);
}

#[test]
fn the_disk_fills_up_and_the_nth_operation_fails() {
    let files = SimFiles::new(1);
    files.set_capacity_bytes(1000);
    let file = files.create(&path()).unwrap();
    file.write_all_at(&[&[1; 900]], 0).unwrap();
    assert_eq!(files.free_bytes(Path::new("/d")).unwrap(), 100);
    let full = file.write_all_at(&[&[1; 200]], 900).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    files.fail(Operation::Write, 1, ErrorKind::Other);
    file.write_all_at(&[&[1]], 0).unwrap();
    assert!(file.write_all_at(&[&[1]], 0).is_err());
    files.crash_after(1);
    file.write_all_at(&[&[1]], 0).unwrap();
    assert!(file.write_all_at(&[&[1]], 0).is_err());
    assert!(files.is_down() && files.open(&path()).is_err());
}

#[test]
fn disk_files_write_more_slices_than_one_call_takes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = DiskFiles.create(&path).unwrap();
    let bytes: Vec<u8> = (0..3000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut slices: Vec<&[u8]> = bytes.chunks(1).collect();
    slices.insert(0, &[]);
    slices.push(&[]);
    file.write_all_at(&slices, 5).unwrap();
    assert_eq!(&read_all(&*file).unwrap()[5..], bytes);
    assert_eq!(DiskFiles.list(dir.path()).unwrap(), ["file"]);
    assert!(DiskFiles.free_bytes(dir.path()).unwrap() > 0);
    let held = DiskFiles.lock(&dir.path().join("lock")).unwrap();
    let again = DiskFiles.lock(&dir.path().join("lock")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::WouldBlock);
    drop(held);
    DiskFiles.lock(&dir.path().join("lock")).unwrap();
}
