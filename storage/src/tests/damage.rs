//! A torn tail is cut, damage to what was durable stops the start, and no byte of the disk can
//! make recovery panic or return something that was not written.

use std::path::Path;

use super::{Stepped, bodies, copy_with, segments};
use crate::format::HEADER_PAGE_BYTES;
use crate::{Damage, Error, Lsn, SimFiles};

const BODIES: [&[u8]; 5] = [b"one", &[2; 700], b"", b"four", &[5; 90]];

/// A journal of five frames, then what `last` does, then power off with everything kept.
fn golden(last: impl FnOnce(&mut Stepped)) -> (SimFiles, Vec<crate::Appended>) {
    let files = SimFiles::new(3);
    let (mut journal, _) = Stepped::open(&files).unwrap();
    let written = journal.write(&BODIES);
    last(&mut journal);
    drop(journal);
    (files, written)
}

fn reopen(files: &SimFiles) -> Result<Vec<Vec<u8>>, Error> {
    Stepped::open(files).map(|(_, recovery)| bodies(recovery))
}

fn is_damaged(result: &Result<Vec<Vec<u8>>, Error>, expected: Damage) -> bool {
    matches!(result, Err(Error::Damaged { damage, .. }) if *damage == expected)
}

#[test]
fn a_log_cut_at_any_byte_recovers_every_whole_frame() {
    let (files, written) = golden(|_| ());
    let path = segments(&files).remove(0);
    let whole = files.contents(&path).unwrap();
    let end = usize::try_from(written[4].end.0).unwrap();
    for cut in HEADER_PAGE_BYTES..=end + 40 {
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        let expected = written.iter().filter(|at| {
            // Zeros at its end do not change a frame.
            let end = usize::try_from(at.end.0).unwrap();
            end <= cut || whole[cut..end].iter().all(|byte| *byte == 0)
        });
        let expected = expected.count();
        let found = reopen(&copy_with(&files, &path, bytes)).unwrap();
        assert_eq!(found, BODIES[..expected], "cut at {cut}");
    }
}

#[test]
fn a_shortened_segment_is_damage() {
    let (files, _) = golden(|_| ());
    let path = segments(&files).remove(0);
    let mut bytes = files.contents(&path).unwrap();
    for len in [bytes.len() - 1, HEADER_PAGE_BYTES, 60, 0] {
        bytes.truncate(len);
        let found = reopen(&copy_with(&files, &path, bytes.clone()));
        assert!(is_damaged(&found, Damage::SegmentHeader));
    }
}

#[test]
fn any_flipped_byte_of_a_sealed_log_is_noticed() {
    let (files, written) = golden(|journal| {
        journal.committer.tick().unwrap();
    });
    let path = segments(&files).remove(0);
    let whole = files.contents(&path).unwrap();
    let end = usize::try_from(written[4].end.0).unwrap();
    for at in (0..end + 64).filter(|at| *at < 100 || *at >= HEADER_PAGE_BYTES - 1) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let found = reopen(&copy_with(&files, &path, bytes));
        match at {
            // The version: a newer format, or no format at all.
            4..8 => assert!(found.is_err()),
            ..HEADER_PAGE_BYTES => assert!(is_damaged(&found, Damage::SegmentHeader), "{at}"),
            _ if at < end => assert!(is_damaged(&found, Damage::Frame), "{at}"),
            // The seal itself, and what lies behind it, hold nothing.
            _ => assert_eq!(found.unwrap(), BODIES),
        }
    }
}

#[test]
fn a_flipped_byte_in_an_unsealed_last_frame_counts_as_torn() {
    let (files, written) = golden(|_| ());
    let path = segments(&files).remove(0);
    let mut bytes = files.contents(&path).unwrap();
    bytes[usize::try_from(written[4].start.0).unwrap() + 20] ^= 1;
    assert_eq!(
        reopen(&copy_with(&files, &path, bytes)).unwrap(),
        BODIES[..4]
    );
}

#[test]
fn a_checkpoint_proves_that_the_log_before_it_was_durable() {
    let (files, written) = golden(|journal| {
        let at = journal.shared.durable();
        journal.checkpoint(at, b"state");
    });
    let path = segments(&files).remove(0);
    let mut bytes = files.contents(&path).unwrap();
    bytes[usize::try_from(written[4].start.0).unwrap() + 20] ^= 1;
    assert!(is_damaged(
        &reopen(&copy_with(&files, &path, bytes)),
        Damage::Missing
    ));
}

#[test]
fn a_missing_segment_is_damage() {
    let (files, _) = golden(|journal| {
        for _ in 0..6 {
            journal.write(&[&[9; 7000]]);
        }
    });
    let paths = segments(&files);
    assert!(paths.len() > 3, "{paths:?}");
    for missing in &paths[..paths.len() - 1] {
        let copy = SimFiles::new(1);
        for path in files.paths().iter().filter(|path| *path != missing) {
            copy.put(path, files.contents(path).unwrap());
        }
        assert!(
            matches!(reopen(&copy), Err(Error::Damaged { .. })),
            "{missing:?}"
        );
    }
}

#[test]
fn damage_in_an_earlier_segment_is_never_a_torn_tail() {
    let (files, written) = golden(|journal| {
        journal.write(&[&[6; 8000], &[7; 8000]]);
    });
    let path = segments(&files).remove(0);
    let mut bytes = files.contents(&path).unwrap();
    bytes[usize::try_from(written[4].start.0).unwrap() + 20] ^= 1;
    assert!(is_damaged(
        &reopen(&copy_with(&files, &path, bytes)),
        Damage::Frame
    ));
}

#[test]
fn stale_frames_of_a_recycled_segment_are_not_part_of_the_log() {
    let files = SimFiles::new(3);
    let (mut journal, _) = Stepped::open(&files).unwrap();
    let mut last = Lsn::ZERO;
    for _ in 0..9 {
        last = journal.write(&[&[1; 3000], &[2; 3000]])[1].end;
    }
    journal.checkpoint(last, b"a");
    let end = journal.write(&[b"x"])[0].end;
    journal.checkpoint(end, b"b");
    journal.trim(end).unwrap();
    journal.shared.refill().unwrap();
    let before = segments(&files);
    for _ in 0..2 {
        last = journal.write(&[&[3; 6000], b"tail"])[1].end;
    }
    let (reused, base) = segments(&files)
        .iter()
        .filter(|path| !before.contains(path))
        .map(|path| (files.contents(path).unwrap(), path.clone()))
        .next_back()
        .unwrap();
    let tail = usize::try_from(last.0 % (16 << 10)).unwrap();
    assert!(
        reused[tail..].windows(3).any(|bytes| bytes == [2; 3]),
        "stale bytes are there"
    );
    drop(journal);
    let (_, mut recovery) = Stepped::open(&files).unwrap();
    assert_eq!(recovery.take_checkpoint().unwrap().1, ["b"]);
    assert_eq!(recovery.end(), last, "{base:?}");
    assert_eq!(bodies(recovery).len(), 4);
}

#[test]
fn frames_copied_from_another_segment_or_place_are_not_accepted() {
    let (files, written) = golden(|_| ());
    let path = segments(&files).remove(0);
    let whole = files.contents(&path).unwrap();
    let start = HEADER_PAGE_BYTES;
    let end = usize::try_from(written[4].end.0).unwrap();
    let mut bytes = whole;
    bytes.copy_within(start..start + 200, end);
    assert_eq!(reopen(&copy_with(&files, &path, bytes)).unwrap(), BODIES);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (files, written) = golden(|_| ());
    let mut paths = vec![segments(&files).remove(0)];
    let (journal, _) = Stepped::open(&files).unwrap();
    journal.checkpoint(written[4].end, b"state");
    drop(journal);
    paths.extend(
        files
            .paths()
            .into_iter()
            .filter(|path| path.extension().unwrap() == "ckpt"),
    );
    assert_eq!(paths.len(), 2);
    for path in paths {
        let mut bytes = files.contents(&path).unwrap();
        bytes[4..8].copy_from_slice(&2_u32.to_le_bytes());
        let found = reopen(&copy_with(&files, &path, bytes)).unwrap_err();
        let expected = format!(
            "{} has format version 2, this release reads up to 1",
            path.display()
        );
        assert_eq!(found.to_string(), expected);
    }
}

#[test]
fn files_of_two_logs_do_not_mix() {
    let (files, _) = golden(|_| ());
    let other = SimFiles::new(99);
    let (mut journal, _) = Stepped::open(&other).unwrap();
    journal.write(&[&[1; 7000], &[1; 7000], &[1; 7000]]);
    let stranger = segments(&other).remove(1);
    let mixed = copy_with(&files, &stranger, other.contents(&stranger).unwrap());
    assert!(is_damaged(&reopen(&mixed), Damage::OtherLog));
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let (files, written) = golden(|journal| {
        let ends: Vec<Lsn> = journal
            .write(&[b"six", b"seven"])
            .iter()
            .map(|at| at.end)
            .collect();
        journal.checkpoint(ends[0], b"older");
        journal.checkpoint(ends[1], b"newer");
        journal.trim(ends[1]).unwrap();
    });
    let newest = files
        .paths()
        .into_iter()
        .rfind(|p| p.extension().unwrap() == "ckpt")
        .unwrap();
    let whole = files.contents(&newest).unwrap();
    for at in (0..whole.len()).filter(|at| !(4..8).contains(at)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        let (_, mut recovery) = Stepped::open(&copy_with(&files, &newest, bytes)).unwrap();
        let padding = (64 + 16 + 5..64 + 24).contains(&at);
        let expected = if padding { "newer" } else { "older" };
        assert_eq!(recovery.take_checkpoint().unwrap().1, [expected], "{at}");
        assert_eq!(recovery.damaged_checkpoints().len(), usize::from(!padding));
        assert_eq!(bodies(recovery).len(), usize::from(!padding));
    }
    let start = usize::try_from(written[0].start.0).unwrap();
    assert!(start > HEADER_PAGE_BYTES);
}

#[test]
fn a_trimmed_log_without_its_checkpoints_is_refused() {
    let (files, _) = golden(|journal| {
        let mut end = Lsn::ZERO;
        for _ in 0..8 {
            end = journal.write(&[&[1; 6000]])[0].end;
            journal.checkpoint(end, b"state");
        }
        journal.trim(end).unwrap();
    });
    let copy = SimFiles::new(1);
    for path in files
        .paths()
        .iter()
        .filter(|path| path.extension().unwrap() != "ckpt")
    {
        copy.put(path, files.contents(path).unwrap());
    }
    assert!(is_damaged(&reopen(&copy), Damage::Checkpoint));
    assert!(files.contents(Path::new("/data/nothing")).is_none());
}
