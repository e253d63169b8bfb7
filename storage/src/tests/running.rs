//! How a journal behaves while it runs, one step at a time.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Stepped, bodies, segments, settings};
use crate::committer::Progress;
use crate::journal::open_shared;
use crate::{Error, Health, Lsn, Operation, Refused, Settings, SimFiles, SyncPolicy, Urgency};

fn open() -> (SimFiles, Stepped) {
    let files = SimFiles::new(5);
    let (journal, _) = Stepped::open(&files).unwrap();
    (files, journal)
}

#[test]
fn addresses_are_final_at_once_and_read_back_across_segments() {
    let (_, mut journal) = open();
    let sizes = [0, 1, 7, 8, 4088, 4089, 5000, 8152, 8152, 100, 8000];
    let written: Vec<_> = sizes
        .iter()
        .map(|size| journal.append(&vec![3; *size]))
        .collect();
    journal.commit();
    for (at, size) in written.iter().zip(sizes) {
        assert_eq!(journal.shared.read(at.start).unwrap(), vec![3; size]);
        assert!(matches!(
            journal.shared.read(Lsn(at.start.0 + 4)),
            Err(Error::NoRecord { .. })
        ));
    }
    assert!(written.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert_eq!(journal.shared.durable(), written.last().unwrap().end);
    let beyond = journal.shared.durable();
    assert!(matches!(
        journal.shared.read(beyond),
        Err(Error::NoRecord { .. })
    ));
    assert!(matches!(
        journal.shared.read(Lsn(4)),
        Err(Error::NoRecord { .. })
    ));
}

#[test]
fn a_record_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let (_, journal) = open();
    let bytes_max = settings().record_bytes_max();
    assert_eq!(bytes_max, 8192 - 32 - 8);
    let refused = journal
        .shared
        .append(&[&vec![0; bytes_max], b"x"], Urgency::Sync);
    assert_eq!(
        refused,
        Err(Refused::TooLarge {
            bytes: bytes_max + 1,
            bytes_max
        })
    );
    journal.append(&vec![0; bytes_max]);
}

#[test]
fn appends_are_refused_when_too_much_waits() {
    let (_, mut journal) = open();
    let refused = (0..1000).find_map(|_| journal.shared.append(&[&[0; 8000]], Urgency::Lazy).err());
    assert_eq!(refused, Some(Refused::Behind));
    journal.commit();
    journal.append(b"and go on when it is written");
}

#[test]
fn a_batch_is_one_write_and_one_sync_however_many_records() {
    let (files, mut journal) = open();
    let before = files.operations();
    for _ in 0..100 {
        journal.append(b"record");
    }
    journal.commit();
    assert_eq!(files.operations() - before, 2);
    let stats = journal.shared.stats();
    assert_eq!((stats.records, stats.batches, stats.syncs), (100, 1, 1));
    assert_eq!(stats.batch_records.quantile_max(0.5), 127);
}

#[test]
fn lazy_records_ride_with_the_next_sync_or_the_tick() {
    let (files, mut journal) = open();
    let lazy = journal.shared.append(&[b"lazy"], Urgency::Lazy).unwrap();
    assert!(!journal.shared.tail().wants_commit);
    let syncs = files.syncs();
    journal.append(b"sync");
    journal.commit();
    assert!(journal.shared.durable() >= lazy.end);
    let lazy = journal.shared.append(&[b"lazy"], Urgency::Lazy).unwrap();
    journal.committer.tick().unwrap();
    assert!(journal.shared.durable() >= lazy.end);
    assert_eq!(files.syncs() - syncs, 2);
}

#[test]
fn an_urgent_record_is_synced_even_by_the_commit_of_a_seal() {
    let (_, mut journal) = open();
    let at = journal.append(b"urgent");
    journal.committer.commit(false).unwrap();
    assert!(journal.shared.durable() >= at.end);
}

#[test]
fn an_idle_log_is_sealed_once_without_a_sync() {
    let (files, mut journal) = open();
    journal.write(&[b"x"]);
    let (syncs, operations) = (files.syncs(), files.operations());
    for _ in 0..3 {
        journal.committer.tick().unwrap();
    }
    assert_eq!(
        (files.syncs() - syncs, files.operations() - operations),
        (0, 1)
    );
}

#[test]
fn under_policy_os_written_is_durable() {
    let files = SimFiles::new(5);
    let settings = Settings {
        sync: SyncPolicy::Os,
        ..settings()
    };
    let (shared, mut committer, _) = open_shared(settings, Arc::new(files.clone())).unwrap();
    let syncs = files.syncs();
    let at = shared.append(&[b"x"], Urgency::Sync).unwrap();
    committer.commit(false).unwrap();
    assert_eq!(shared.durable(), at.end);
    assert_eq!(files.syncs(), syncs);
    committer.commit(true).unwrap();
    assert_eq!(shared.synced(), at.end);
}

#[test]
fn segments_are_recycled_only_behind_two_checkpoints() {
    let (files, mut journal) = open();
    let mut ends = Vec::new();
    for _ in 0..10 {
        ends.push(journal.write(&[&[1; 7000]])[0].end);
    }
    let count = segments(&files).len();
    assert!(count >= 10);
    assert!(
        journal.shared.stats().pressure() > 1.0,
        "more than six segments are live"
    );
    journal.trim(ends[9]).unwrap();
    assert_eq!(segments(&files).len(), count);
    journal.checkpoint(ends[5], b"a");
    journal.shared.refill().unwrap();
    assert_eq!(
        segments(&files).len(),
        count,
        "one checkpoint may be damaged"
    );
    journal.checkpoint(ends[9], b"b");
    journal.shared.refill().unwrap();
    let left = segments(&files).len();
    assert!(left < count && left >= 4, "{left}");
    assert!(matches!(
        journal.shared.read(Lsn(4096 + 32)),
        Err(Error::Trimmed { .. })
    ));
    assert!(journal.shared.stats().segments_ready >= 2);
    let last = journal.append(b"still there");
    journal.commit();
    journal.trim(last.end).unwrap();
    assert_eq!(journal.shared.read(last.start).unwrap(), "still there");
}

#[test]
fn a_checkpoint_never_lies_before_the_last_or_behind_the_log() {
    let (_, mut journal) = open();
    let ends: Vec<Lsn> = journal
        .write(&[b"a", b"b"])
        .iter()
        .map(|at| at.end)
        .collect();
    journal.checkpoint(ends[1], b"state");
    let write = |at| crate::journal::write_checkpoint(&journal.shared, at, std::iter::empty());
    let behind = Error::CheckpointBehind {
        at: ends[0],
        last: ends[1],
    };
    assert_eq!(write(ends[0]).unwrap_err().to_string(), behind.to_string());
    assert!(matches!(write(Lsn(ends[1].0 + 8)), Err(Error::Closed)));
    write(ends[1]).unwrap();
}

#[test]
fn a_failed_write_or_sync_poisons_the_journal_for_good() {
    for operation in [Operation::Write, Operation::Sync] {
        let files = SimFiles::new(5);
        let (mut journal, _) = Stepped::open(&files).unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let callback = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        assert!(journal.shared.set_callback(Box::new(callback)));
        assert!(!journal.shared.set_callback(Box::new(|_| ())));
        journal.write(&[b"safe"]);
        let durable = journal.shared.durable();
        journal.append(b"not safe");
        files.fail(operation, 0, ErrorKind::Other);
        let error = journal.committer.commit(true).unwrap_err();
        journal.shared.fail(&error);
        assert_eq!(journal.shared.health(), Health::Failed);
        assert_eq!(journal.shared.durable(), durable);
        assert_eq!(
            journal.shared.append(&[b"x"], Urgency::Sync),
            Err(Refused::Failed)
        );
        assert!(matches!(
            journal.shared.wait_durable(Lsn(1 << 40)),
            Err(Error::Failed { .. })
        ));
        assert_eq!(calls.load(Ordering::Relaxed), 2, "one advance, one failure");
    }
}

#[test]
fn a_full_disk_refuses_publishers_first_and_lets_acknowledgements_into_the_reserve() {
    let (files, mut journal) = open();
    journal.shared.refill().unwrap();
    assert_eq!(journal.shared.health(), Health::Ok);
    assert_eq!(journal.shared.stats().segments_ready, 2);
    files.set_capacity_bytes(0);
    let fill = |journal: &Stepped, urgency| {
        let mut count = 0;
        loop {
            match journal.shared.append(&[&[1; 3000]], urgency) {
                Ok(_) => count += 1,
                Err(refused) => return (count, refused),
            }
        }
    };
    let mut written = 0;
    while journal.shared.health() == Health::Ok {
        journal.append(&[1; 3000]);
        written += 1;
        journal.commit();
        journal.shared.refill().unwrap();
        assert!(written < 20);
    }
    assert_eq!(
        journal.shared.health(),
        Health::Full,
        "the last ready segment is the reserve"
    );
    let (sync, refused) = fill(&journal, Urgency::Sync);
    assert_eq!(refused, Refused::Full);
    let (lazy, refused) = fill(&journal, Urgency::Lazy);
    assert_eq!((lazy, refused), (4, Refused::Full));
    assert_eq!(
        journal.shared.append(&[b"small"], Urgency::Sync),
        Err(Refused::Full)
    );
    journal.commit();

    files.set_capacity_bytes(1 << 30);
    journal.shared.refill().unwrap();
    assert_eq!(journal.shared.health(), Health::Ok);
    journal.append(b"goes on");
    journal.commit();
    drop(journal);
    let (_, recovery) = Stepped::open(&files).unwrap();
    assert_eq!(bodies(recovery).len(), written + sync + lazy + 1);
}

#[test]
fn a_commit_that_finds_no_space_keeps_what_waits_and_goes_on_later() {
    let (files, mut journal) = open();
    files.set_capacity_bytes(0);
    let last = [1, 2, 3].map(|byte| journal.append(&[byte; 7000]))[2];
    assert_eq!(journal.committer.commit(true).unwrap(), Progress::NoSpace);
    assert!(journal.shared.durable() < last.end);
    files.set_capacity_bytes(1 << 30);
    assert_eq!(journal.committer.tick().unwrap(), Progress::Done);
    assert_eq!(journal.shared.durable(), last.end);
    assert_eq!(journal.shared.read(last.start).unwrap(), vec![3; 7000]);
}

#[test]
fn little_free_space_is_reported_until_there_is_a_fifth_more() {
    let files = SimFiles::new(5);
    let settings = Settings {
        disk_min_free_bytes: 1 << 20,
        ..settings()
    };
    let (shared, _, _) = open_shared(settings, Arc::new(files.clone())).unwrap();
    let used = 3 * (16 << 10);
    for (free, expected) in [
        (1_048_576, Health::Ok),
        (1_048_575, Health::DiskLow),
        (1_200_000, Health::DiskLow),
        (1_258_291, Health::Ok),
    ] {
        shared.refill().unwrap();
        files.set_capacity_bytes(used + free);
        shared.refill().unwrap();
        assert_eq!(shared.health(), expected, "{free}");
    }
}

#[test]
fn ready_segments_of_the_last_run_are_used_and_those_of_another_size_removed() {
    let (files, journal) = open();
    journal.shared.refill().unwrap();
    drop(journal);
    let count = || {
        files
            .paths()
            .iter()
            .filter(|p| p.to_string_lossy().contains("ready"))
            .count()
    };
    assert_eq!(count(), 2);
    let (journal, _) = Stepped::open(&files).unwrap();
    assert_eq!(journal.shared.stats().segments_ready, 2);
    drop(journal);
    let settings = Settings {
        segment_bytes: 32 << 10,
        ..settings()
    };
    let (shared, _, _) = open_shared(settings, Arc::new(files.clone())).unwrap();
    assert_eq!((shared.stats().segments_ready, count()), (0, 0));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let wrong: [fn(&mut Settings); 4] = [
        |settings| settings.segment_bytes += 1,
        |settings| settings.frame_bytes_max = 1001,
        |settings| settings.frame_bytes_max = settings.segment_bytes,
        |settings| settings.segment_count_max = 3,
    ];
    for change in wrong {
        let mut settings = settings();
        change(&mut settings);
        let opened = open_shared(settings, Arc::new(SimFiles::new(1)));
        assert!(matches!(opened, Err(Error::Settings { .. })));
    }
}
