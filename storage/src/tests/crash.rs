//! The main test: a random history on a disk that fails at a random operation, again and again,
//! against a model that is a list. `STORAGE_CRASHES=1000000 cargo test -p storage crash` runs that
//! many histories (with five crashes each); `STORAGE_SEED=n` repeats one of them.

use std::io::ErrorKind;

use bytes::Bytes;

use super::{Stepped, replayed};
use crate::committer::Progress;
use crate::journal::write_checkpoint;
use crate::{Appended, Lsn, Operation, Recovery, SimFiles, Urgency};

const HISTORIES: u64 = 25_000;
const LIVES: u64 = 4;

/// What must be true of the log.
#[derive(Default)]
struct Model {
    /// Everything appended that may still be there, in order.
    records: Vec<(Appended, Vec<u8>)>,
    /// Where groups begin and end.
    groups: Vec<(Lsn, Lsn)>,
    /// What `durable` said last.
    durable: Lsn,
    /// The last checkpoint that was reported as written, and one that may have been.
    checkpoint: Option<Lsn>,
    attempted: Option<Lsn>,
}

struct History {
    random: u64,
    files: SimFiles,
    model: Model,
    crashes: u64,
}

#[test]
fn what_was_durable_survives_every_crash_and_the_rest_is_a_prefix() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    if let Some(seed) = number("STORAGE_SEED") {
        History::new(seed).run();
        return;
    }
    let histories = number("STORAGE_CRASHES").unwrap_or(HISTORIES);
    let mut crashes = 0;
    for seed in 0..histories {
        let run = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            history.run();
            history.crashes
        });
        crashes += run.unwrap_or_else(|_| panic!("failed with STORAGE_SEED={seed}"));
    }
    assert!(crashes >= histories * LIVES, "only {crashes} crashes");
}

impl History {
    fn new(seed: u64) -> Self {
        let files = SimFiles::new(seed);
        Self {
            random: !seed,
            files,
            model: Model::default(),
            crashes: 0,
        }
    }

    /// A number below `bound`: xorshift64*.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn run(&mut self) {
        for _ in 0..LIVES {
            let nth = self.below(80);
            if self.below(4) == 0 {
                let operations = [Operation::Write, Operation::Sync, Operation::SyncDir];
                let operation = operations[usize::try_from(self.below(3)).unwrap()];
                self.files.fail(operation, nth / 4, ErrorKind::Other);
            } else {
                self.files.crash_after(nth);
            }
            if let Ok((journal, recovery)) = Stepped::open(&self.files) {
                self.check(&journal, recovery);
                self.live(journal);
            }
            if self.below(4) == 0 {
                self.files.kill();
            } else {
                self.files.crash();
            }
            self.crashes += 1;
        }
        let (journal, recovery) = Stepped::open(&self.files).expect("opens after any crash");
        self.check(&journal, recovery);
    }

    /// Does random things until one fails.
    fn live(&mut self, mut journal: Stepped) {
        for _ in 0..60 {
            let went_on = match self.below(11) {
                10 => self.append_group(&journal),
                0..=4 => self.append(&journal),
                5..=6 => journal
                    .committer
                    .commit(true)
                    .is_ok_and(|progress| progress == Progress::Done),
                7 => journal
                    .committer
                    .tick()
                    .is_ok_and(|progress| progress == Progress::Done),
                8 => self.checkpoint(&journal),
                _ => {
                    let below = self.any_position();
                    journal.trim(below).is_ok()
                }
            };
            self.model.durable = journal.shared.durable();
            if !went_on {
                return;
            }
        }
    }

    fn append(&mut self, journal: &Stepped) -> bool {
        let bound = if self.below(8) == 0 { 8000 } else { 300 };
        let len = usize::try_from(self.below(bound)).unwrap();
        let stamp = self.random.to_le_bytes();
        let body: Vec<u8> = stamp.iter().copied().cycle().take(len).collect();
        let (front, back) = body.split_at(len / 3);
        let urgency = if self.below(3) == 0 {
            Urgency::Lazy
        } else {
            Urgency::Sync
        };
        let Ok(at) = journal.shared.append(&[front, back], urgency) else {
            return false;
        };
        self.model.records.push((at, body));
        true
    }

    /// Several records that are there as a whole or not at all; often more than a segment holds.
    fn append_group(&mut self, journal: &Stepped) -> bool {
        let before = self.model.records.len();
        journal.shared.begin_group();
        let count = 1 + self.below(12);
        let went_on = (0..count).all(|_| self.append(journal));
        journal.shared.end_group();
        let group = self.model.records.get(before..).unwrap_or(&[]);
        if let ([first, ..], [.., last]) = (group, group) {
            self.model.groups.push((first.0.start, last.0.end));
        }
        went_on
    }

    /// A position that is durable, and not before the last checkpoint.
    fn any_position(&mut self) -> Lsn {
        let durable = self.model.durable;
        let from = self.model.checkpoint.unwrap_or_default();
        let ends = self.model.records.iter().map(|(at, _)| at.end);
        let ends: Vec<Lsn> = ends.filter(|end| *end <= durable && *end >= from).collect();
        let bound = u64::try_from(ends.len()).unwrap().max(1);
        let index = usize::try_from(self.below(bound)).unwrap();
        ends.get(index).copied().unwrap_or(from)
    }

    fn checkpoint(&mut self, journal: &Stepped) -> bool {
        let at = self.any_position();
        self.model.attempted = Some(at);
        let done = write_checkpoint(&journal.shared, at, parts(at).into_iter()).is_ok();
        if done {
            self.model.checkpoint = Some(at);
        }
        done
    }

    /// Compares what a start finds with the model, which then forgets what was lost.
    fn check(&mut self, journal: &Stepped, mut recovery: Recovery) {
        let checkpoint = recovery.take_checkpoint();
        let at = checkpoint.as_ref().map(|(at, _)| *at);
        let expected = [self.model.checkpoint, self.model.attempted];
        assert!(
            at == self.model.checkpoint || expected.contains(&at),
            "{at:?} {expected:?}"
        );
        assert!(recovery.damaged_checkpoints().is_empty());
        if let Some((at, found)) = checkpoint {
            assert_eq!(found, parts(at));
        }
        (self.model.checkpoint, self.model.attempted) = (at, None);

        let (start, end) = (recovery.start(), recovery.end());
        assert!(end >= self.model.durable, "{end} {}", self.model.durable);
        let found = replayed(recovery);
        let is_split = |(from, to): &(Lsn, Lsn)| *from < end && end < *to;
        let split = self.model.groups.iter().find(|group| is_split(group));
        assert_eq!(split, None, "a group was cut at {end}");
        self.model.groups.retain(|(_, to)| *to <= end);
        self.model.records.retain(|(at, _)| at.end <= end);
        let behind = self
            .model
            .records
            .iter()
            .filter(|(at, _)| at.start >= start);
        assert!(
            found.iter().eq(behind),
            "the log is a prefix of what was appended"
        );
        assert_eq!(journal.shared.durable(), end);
        self.model.durable = end;
        let trimmed = journal.shared.trimmed();
        assert!(trimmed <= start);
        for (at, body) in self
            .model
            .records
            .iter()
            .filter(|(at, _)| at.start >= trimmed)
        {
            assert_eq!(journal.shared.read(at.start).unwrap(), body, "{}", at.start);
        }
    }
}

/// The checkpoint that belongs to a position.
fn parts(at: Lsn) -> Vec<Bytes> {
    let len = usize::try_from(at.0 % 1500).unwrap();
    vec![
        Bytes::copy_from_slice(&at.0.to_le_bytes()),
        Bytes::from(vec![at.0.to_le_bytes()[0]; len]),
    ]
}
