//! `check`, `salvage` and `backup`: what an operator has when something went wrong, or may.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Stepped, copy_with, replayed, segments, settings};
use crate::backup::backup;
use crate::journal::open_shared;
use crate::{
    Appended, Error, Files, Journal, Lsn, Owner, PageSettings, PageStore, Settings, SimFiles,
    Urgency, check, salvage,
};

const FROM: &str = "/data";
const TO: &str = "/saved";

type Written = Vec<(Appended, Vec<u8>)>;

/// A log of several segments with two checkpoints, cleanly sealed, and some page files.
fn filled() -> (SimFiles, Written) {
    let files = SimFiles::new(11);
    let (mut journal, _) = Stepped::open(&files).unwrap();
    let mut written = Vec::new();
    for number in 0..14_u8 {
        let body = vec![number; 100 + 400 * usize::from(number)];
        written.push((journal.write(&[&body])[0], body));
        if number == 1 || number == 3 {
            journal.checkpoint(written[usize::from(number)].0.end, b"state");
        }
    }
    journal.committer.tick().unwrap();
    let settings = PageSettings { file_bytes: 1000 };
    let pages = PageStore::with_shared(Arc::clone(&journal.shared), settings).unwrap();
    let records: Vec<(u64, &[u8])> = (1..40).map(|seq| (seq, &b"a paged record"[..])).collect();
    pages.append(Owner(5), &records).unwrap();
    (files, written)
}

fn open_at(files: &SimFiles, dir: &str) -> Result<(Lsn, Written, usize), Error> {
    let settings = Settings {
        data_dir: dir.into(),
        ..settings()
    };
    let (shared, _, recovery) = open_shared(settings, Arc::new(files.clone()))?;
    let start = recovery.start();
    let records = replayed(recovery);
    let pages = PageStore::with_shared(shared, PageSettings::default())?;
    let paged = pages.read(Owner(5), 0, usize::MAX)?;
    Ok((start, records, paged.len()))
}

fn rescue(files: &SimFiles) -> crate::Salvaged {
    salvage(Path::new(FROM), Path::new(TO), files).unwrap()
}

fn page_paths(files: &SimFiles) -> Vec<PathBuf> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|end| end == "page");
    files.paths().into_iter().filter(is_page).collect()
}

#[test]
fn a_whole_directory_is_reported_as_whole_and_salvaged_completely() {
    let (files, written) = filled();
    let before = files.operations();
    let report = check(Path::new(FROM), &files).unwrap();
    assert_eq!(files.operations(), before, "it only reads");
    assert!(report.is_whole());
    assert_eq!(report.log.unwrap(), (Lsn(written[13].0.end.0 + 32), false));
    let contents: Vec<_> = report
        .checkpoints
        .iter()
        .map(|found| found.content)
        .collect();
    assert_eq!(
        contents,
        [Some((written[3].0.end, 1)), Some((written[1].0.end, 1))]
    );
    assert_eq!(
        report
            .segments
            .iter()
            .map(|segment| segment.records)
            .sum::<u64>(),
        14
    );
    assert_eq!(
        report.pages.iter().map(|page| page.records).sum::<u64>(),
        39
    );
    assert_eq!(report.pages.last().unwrap().last, Some(39));

    let saved = rescue(&files);
    assert_eq!(
        (saved.checkpoints, saved.records, saved.page_records),
        (2, 14, 39)
    );
    assert_eq!((saved.gaps, saved.damaged_pages), (Vec::new(), Vec::new()));
    let (start, records, paged) = open_at(&files, TO).unwrap();
    assert_eq!((start, paged), (written[3].0.end, 39));
    assert_eq!(records, written[4..]);
    assert!(matches!(
        salvage(Path::new(FROM), Path::new(TO), &files),
        Err(Error::Settings { .. })
    ));
}

#[test]
fn whatever_byte_of_the_log_is_bad_the_rest_is_saved_in_place() {
    let (files, written) = filled();
    for path in segments(&files) {
        let whole = files.contents(&path).unwrap();
        for at in (0..60).chain((4096..whole.len()).step_by(61)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let bad = copy_with(&files, &path, bytes);
            let refused = matches!(Stepped::open(&bad), Err(Error::Damaged { .. }));
            let report = check(Path::new(FROM), &bad).unwrap();
            assert!(!refused || report.log.is_err(), "{path:?} {at}");
            let saved = rescue(&bad);
            assert!(saved.records >= 13, "{path:?} {at}: {saved:?}");
            let (_, records, _) = open_at(&bad, TO).unwrap();
            let lost = written[4..]
                .iter()
                .filter(|record| !records.contains(record))
                .count();
            assert_eq!(
                written[4..].len() - lost,
                records.len(),
                "nothing is invented"
            );
            assert!(
                lost <= 1 && (lost == 0 || saved.gaps.len() == 1),
                "{path:?} {at}"
            );
        }
    }
}

#[test]
fn a_group_is_saved_whole_or_not_at_all() {
    let files = SimFiles::new(12);
    let (mut journal, _) = Stepped::open(&files).unwrap();
    let before = (journal.write(&[b"before"])[0], b"before".to_vec());
    journal.shared.begin_group();
    // Three segments' worth.
    let bodies = (0..10_u8).map(|number| vec![number; 3500]);
    let group = bodies.map(|body| (journal.append(&body), body));
    let group = group.collect::<Written>();
    journal.shared.end_group();
    journal.commit();
    let after = (journal.write(&[b"after"])[0], b"after".to_vec());
    journal.committer.tick().unwrap();
    drop(journal);
    assert!(segments(&files).len() >= 3);
    let first = segments(&files)[0].clone();
    let whole = copy_with(&files, &first, files.contents(&first).unwrap());
    rescue(&whole);
    assert_eq!(open_at(&whole, TO).unwrap().1.len(), 12);
    for (at, _) in &group {
        let base = at.start.0 / (16 << 10) * (16 << 10);
        let path = segments(&files)[usize::try_from(base / (16 << 10)).unwrap()].clone();
        let mut bytes = files.contents(&path).unwrap();
        bytes[usize::try_from(at.start.0 - base).unwrap() + 100] ^= 1;
        let bad = copy_with(&files, &path, bytes);
        rescue(&bad);
        let records = open_at(&bad, TO).unwrap().1;
        assert!(
            records == [before.clone(), after.clone()],
            "{at:?}: {} records",
            records.len()
        );
    }
}

#[test]
fn a_missing_segment_costs_only_its_own_records() {
    let (files, written) = filled();
    let paths = segments(&files);
    assert!(paths.len() >= 4);
    for (index, missing) in paths.iter().enumerate() {
        let copy = SimFiles::new(1);
        for path in files.paths().iter().filter(|path| *path != missing) {
            copy.put(path, files.contents(path).unwrap());
        }
        rescue(&copy);
        let (_, records, paged) = open_at(&copy, TO).unwrap();
        let base = u64::try_from(index).unwrap() * (16 << 10);
        let is_left =
            |(at, _): &&(Appended, Vec<u8>)| at.start.0 < base || at.start.0 >= base + (16 << 10);
        assert!(
            records.iter().eq(written[4..].iter().filter(is_left)),
            "{missing:?}"
        );
        assert_eq!(paged, 39);
    }
}

#[test]
fn a_bad_paged_record_costs_only_itself() {
    let (files, _) = filled();
    for path in page_paths(&files) {
        let whole = files.contents(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 8;
            let bad = copy_with(&files, &path, bytes);
            let saved = rescue(&bad);
            assert!(saved.page_records >= 38, "{path:?} {at}: {saved:?}");
            let (_, _, paged) = open_at(&bad, TO).unwrap();
            assert_eq!(u64::try_from(paged).unwrap(), saved.page_records);
            let report = check(Path::new(FROM), &bad).unwrap();
            let is_last = page_paths(&files).last() == Some(&path);
            assert!(
                saved.page_records == 39 || !report.is_whole() || is_last,
                "{path:?} {at}"
            );
        }
    }
}

#[test]
fn without_any_checkpoint_the_records_are_still_saved() {
    let (files, written) = filled();
    let copy = SimFiles::new(1);
    let is_checkpoint = |path: &PathBuf| path.extension().is_some_and(|end| end == "ckpt");
    let first = segments(&files).remove(0);
    for path in files
        .paths()
        .iter()
        .filter(|path| !is_checkpoint(path) && **path != first)
    {
        copy.put(path, files.contents(path).unwrap());
    }
    assert_eq!(rescue(&copy).checkpoints, 0);
    let (start, records, _) = open_at(&copy, TO).unwrap();
    assert_eq!(start, Lsn::ZERO);
    assert!(written.ends_with(&records) && records.len() > 5);
}

#[test]
fn nothing_is_removed_while_a_backup_is_made_and_everything_due_is_afterwards() {
    let (files, written) = filled();
    let (journal, _) = Stepped::open(&files).unwrap();
    let settings = PageSettings { file_bytes: 1000 };
    let pages = PageStore::with_shared(Arc::clone(&journal.shared), settings).unwrap();
    pages.confirm(Owner(5), Some(39)).unwrap();
    journal.shared.refill().unwrap();
    let end = written[13].0.end;
    journal.checkpoint(written[12].0.end, b"newer");
    journal.checkpoint(end, b"newest");
    let count = || (segments(&files).len(), page_paths(&files).len());
    let before = count();
    files.close_gate();
    std::thread::scope(|scope| {
        let backup = scope.spawn(|| backup(&journal.shared, Path::new(TO)));
        files.wait_at_gate();
        journal.trim(end).unwrap();
        pages.ack(Owner(5), [0..=39]);
        pages.sweep().unwrap();
        let is_saved = |path: &PathBuf| path.starts_with(TO);
        let saved_pages = page_paths(&files)
            .iter()
            .filter(|path| is_saved(path))
            .count();
        let during = (count().0, count().1 - saved_pages);
        files.open_gate();
        backup.join().unwrap().unwrap();
        assert_eq!(during, before);
    });
    let (_, _, paged) = open_at(&files, TO).unwrap();
    assert_eq!(paged, 39);
    journal.shared.refill().unwrap();
    pages.sweep().unwrap();
    assert!(count().0 < before.0);
    assert!(
        page_paths(&files)
            .iter()
            .filter(|path| path.starts_with(FROM))
            .count()
            < before.1
    );
}

#[test]
fn a_backup_of_a_busy_journal_opens_with_everything_durable() {
    let files = SimFiles::new(1);
    let settings = settings();
    let (journal, _) = Journal::open(settings.clone(), files.clone()).unwrap();
    let pages = PageStore::open(&journal, PageSettings { file_bytes: 1000 }).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let busy = journal.clone();
    let busy_pages = pages;
    let thread = std::thread::spawn(move || {
        let mut seq = 0;
        while stopped.try_recv().is_err() {
            let at = busy.append(&[&[7; 1500]], Urgency::Sync).unwrap();
            busy.wait_durable(at.end).unwrap();
            busy.checkpoint(at.end, [Bytes::from_static(b"state")])
                .unwrap();
            busy.trim(at.end);
            seq += 1;
            busy_pages.append(Owner(1), &[(seq, &[3; 200])]).unwrap();
            busy_pages.ack(Owner(1), [0..=seq.saturating_sub(9)]);
            busy_pages.sweep().unwrap();
        }
    });
    for number in 0..5 {
        let at = journal.append(&[&[number; 30]], Urgency::Sync).unwrap();
        journal.wait_durable(at.end).unwrap();
        let dir = format!("/backup{number}");
        let end = journal.backup(Path::new(&dir)).unwrap();
        assert!(end >= at.end);
        let settings = Settings {
            data_dir: dir.into(),
            ..settings.clone()
        };
        assert!(check(&settings.data_dir, &files).unwrap().is_whole());
        let (copy, recovery) = Journal::open(settings, files.clone()).unwrap();
        assert_eq!(recovery.end(), end);
        if recovery.start() <= at.start {
            assert!(replayed(recovery).iter().any(|(found, _)| *found == at));
        }
        let paged = PageStore::open(&copy, PageSettings::default()).unwrap();
        assert!(paged.read(Owner(1), 0, usize::MAX).is_ok());
    }
    stop.send(()).unwrap();
    thread.join().unwrap();
    assert!(
        journal.backup(Path::new("/backup0")).is_err(),
        "never over another"
    );
    assert!(files.list(Path::new("/backup0/journal")).unwrap().len() > 1);
}
