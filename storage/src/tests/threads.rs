//! The journal with its real threads, on simulated and on real files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use super::{bodies, replayed, settings};
use crate::{DiskFiles, Error, Health, Journal, Operation, Refused, Settings, SimFiles, Urgency};

/// Waits for a state that the journal's threads bring about.
fn wait_until(reached: impl Fn() -> bool) {
    while !reached() {
        std::thread::yield_now();
    }
}

#[test]
fn appends_during_a_sync_share_the_next_one() {
    let files = SimFiles::new(1);
    let (journal, _) = Journal::open(settings(), files.clone()).unwrap();
    wait_until(|| journal.stats().segments_ready == 2);
    let syncs = journal.stats().syncs;
    files.close_gate();
    journal.append(&[b"first"], Urgency::Sync).unwrap();
    files.wait_at_gate();
    let later: Vec<_> = (0..100)
        .map(|_| journal.append(&[b"later"], Urgency::Sync).unwrap())
        .collect();
    files.open_gate();
    journal.wait_durable(later[99].end).unwrap();
    let stats = journal.stats();
    assert_eq!(
        stats.syncs - syncs,
        2,
        "one for the first, one for the hundred"
    );
    assert_eq!(stats.records, 101);
}

#[test]
fn a_batch_that_stays_open_holds_a_commit_up_for_a_moment_only() {
    let (journal, _) = Journal::open(settings(), SimFiles::new(1)).unwrap();
    journal.begin_batch();
    journal.append(&[b"first"], Urgency::Sync).unwrap();
    let other = journal.clone();
    let urgent = std::thread::spawn(move || {
        let at = other.append(&[b"urgent"], Urgency::Sync).unwrap();
        other.wait_durable(at.end)
    });
    urgent.join().unwrap().unwrap();
    let last = journal.append(&[b"last"], Urgency::Sync).unwrap();
    journal.end_batch();
    wait_until(|| journal.durable() >= last.end);
}

#[test]
fn records_of_many_threads_are_all_there_each_thread_in_order() {
    let files = SimFiles::new(1);
    let (journal, _) = Journal::open(settings(), files.clone()).unwrap();
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for number in 0..500_u32 {
                    let parts: [&[u8]; 2] = [&thread.to_le_bytes(), &number.to_le_bytes()];
                    let at = journal.append(&parts, Urgency::Sync).unwrap();
                    if number % 50 == 0 {
                        journal.wait_durable(at.end).unwrap();
                        assert_eq!(journal.read(at.start).unwrap(), parts.concat());
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let other = journal.clone();
    journal.close().unwrap();
    assert_eq!(other.append(&[b"x"], Urgency::Sync), Err(Refused::Closed));
    assert!(matches!(other.close(), Err(Error::Closed)));

    files.crash();
    let (_, recovery) = Journal::open(settings(), files).unwrap();
    assert!(recovery.is_clean());
    let mut by_thread: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for body in bodies(recovery) {
        by_thread
            .entry(body[..4].to_vec())
            .or_default()
            .push(body[4..].to_vec());
    }
    let expected: Vec<Vec<u8>> = (0..500_u32).map(|n| n.to_le_bytes().to_vec()).collect();
    assert_eq!(by_thread.len(), 4);
    assert!(by_thread.values().all(|records| *records == expected));
}

#[test]
fn the_callback_hears_of_every_advance_and_of_a_failure() {
    let files = SimFiles::new(1);
    let (journal, _) = Journal::open(settings(), files.clone()).unwrap();
    wait_until(|| journal.stats().segments_ready == 2);
    let (sender, heard) = mpsc::channel();
    assert!(journal.on_durable(Box::new(move |durable| sender.send(durable).unwrap())));
    let at = journal.append(&[b"x"], Urgency::Sync).unwrap();
    assert_eq!(heard.recv().unwrap(), at.end);
    files.fail(Operation::Sync, 0, std::io::ErrorKind::Other);
    journal.append(&[b"y"], Urgency::Sync).unwrap();
    assert_eq!(heard.recv().unwrap(), at.end, "called for the failure");
    assert_eq!(journal.health(), Health::Failed);
    assert!(
        journal
            .failure()
            .unwrap()
            .to_string()
            .contains("sync /data/journal")
    );
    assert!(matches!(journal.close(), Err(Error::Failed { .. })));
}

#[test]
fn lazy_records_become_durable_by_themselves() {
    let (journal, _) = Journal::open(settings(), SimFiles::new(1)).unwrap();
    let (sender, heard) = mpsc::channel();
    journal.on_durable(Box::new(move |durable| sender.send(durable).unwrap()));
    let at = journal.append(&[b"ack"], Urgency::Lazy).unwrap();
    assert_eq!(heard.recv().unwrap(), at.end);
}

#[test]
fn dropping_the_last_handle_in_the_callback_does_not_hang() {
    let (journal, _) = Journal::open(settings(), SimFiles::new(1)).unwrap();
    let (sender, dropped) = mpsc::channel();
    let kept = std::sync::Mutex::new(None);
    let shared = Arc::new(kept);
    let held = Arc::clone(&shared);
    journal.on_durable(Box::new(move |_| {
        drop(held.lock().unwrap().take());
        sender.send(()).unwrap();
    }));
    let other = journal.clone();
    *shared.lock().unwrap() = Some(journal);
    other.append(&[b"x"], Urgency::Sync).unwrap();
    drop(other);
    // Whichever handle was the last, both are gone without a deadlock.
    dropped.recv().unwrap_or_default();
}

#[test]
fn real_files_close_reopen_rotate_and_lock() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        data_dir: dir.path().join("a/b"),
        ..settings()
    };
    let (journal, recovery) = Journal::open(settings.clone(), DiskFiles).unwrap();
    assert!(recovery.is_clean() && bodies(recovery).is_empty());
    let again = Journal::open(settings.clone(), DiskFiles);
    assert!(matches!(again, Err(Error::Locked { .. })));
    let mut written = Vec::new();
    for number in 0..50_u8 {
        let body = vec![number; 100 * usize::from(number)];
        written.push((journal.append(&[&body], Urgency::Sync).unwrap(), body));
    }
    let middle = written[25].0.start;
    journal
        .checkpoint(middle, [bytes::Bytes::from_static(b"state")])
        .unwrap();
    let last = written[49].0.end;
    journal.wait_durable(last).unwrap();
    assert!(journal.stats().segments_live > 5);
    drop(journal);

    let (journal, mut recovery) = Journal::open(settings.clone(), DiskFiles).unwrap();
    assert!(!recovery.is_clean());
    assert_eq!(
        recovery.take_checkpoint(),
        Some((middle, vec!["state".into()]))
    );
    assert_eq!(replayed(recovery), written[25..]);
    for (at, body) in &written {
        assert_eq!(journal.read(at.start).unwrap(), body);
    }
    journal.close().unwrap();
    let (_, recovery) = Journal::open(settings, DiskFiles).unwrap();
    assert!(recovery.is_clean());
}

#[test]
fn many_segments_are_recycled_while_records_flow() {
    let files = SimFiles::new(1);
    let (journal, _) = Journal::open(settings(), files.clone()).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    journal.on_durable(Box::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    for round in 0..40_u8 {
        let mut end = crate::Lsn::ZERO;
        for _ in 0..8 {
            end = journal
                .append(&[&[round; 4000]], Urgency::Sync)
                .unwrap()
                .end;
        }
        journal
            .checkpoint(end, [bytes::Bytes::from(vec![round])])
            .unwrap();
        journal.trim(end);
    }
    wait_until(|| journal.stats().segments_live < 8);
    assert!(calls.load(Ordering::Relaxed) > 10);
    journal.close().unwrap();
    let (_, mut recovery) = Journal::open(settings(), files).unwrap();
    assert_eq!(recovery.take_checkpoint().unwrap().1, [vec![39]]);
    assert!(bodies(recovery).is_empty());
}

/// The real threads against a power cut at a random operation: whatever the callback or
/// `wait_durable` told anybody is there afterwards.
#[test]
fn what_a_thread_was_told_is_durable_survives_a_power_cut() {
    for seed in 0..60_u64 {
        let files = SimFiles::new(seed);
        let (journal, _) = Journal::open(settings(), files.clone()).unwrap();
        files.crash_after(seed * 7 % 90);
        let threads: Vec<_> = (0..3_u64)
            .map(|thread| {
                let journal = journal.clone();
                std::thread::spawn(move || {
                    let mut told = Vec::new();
                    for number in 0..200_u64 {
                        let body = [(thread * 1000 + number).to_le_bytes(); 30].concat();
                        let Ok(at) = journal.append(&[&body], Urgency::Sync) else {
                            break;
                        };
                        if journal.wait_durable(at.end).is_err() {
                            break;
                        }
                        told.push((at, body));
                    }
                    told
                })
            })
            .collect();
        let told: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let durable = journal.durable();
        drop(journal);
        files.crash();
        let (_, recovery) = Journal::open(settings(), files).unwrap();
        assert!(recovery.end() >= durable, "seed {seed}");
        let found: BTreeMap<_, _> = replayed(recovery)
            .into_iter()
            .map(|(at, body)| (at.start, body))
            .collect();
        for (at, body) in told {
            assert_eq!(found.get(&at.start), Some(&body), "seed {seed}");
        }
    }
}
