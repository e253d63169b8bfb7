//! Durable records per second: the journal against a bare loop of one write and one `fdatasync`
//! into a zero-filled file as long as what the journal goes round over, which is the most this disk
//! can do.
//!
//! `cargo run --profile quick -p storage --example journal_bench [DIR [SECONDS]]`
//!
//! A window of `n` means that `n` records become durable at once. The bare loop writes `n` records
//! from a buffer that is ready, and syncs. Of the journal the next `n` are appended while the ones
//! before are on their way, and waited for in turn, as publishers do who keep a window full. The
//! last column is how many records a sync really had.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storage::{DiskFiles, File, Files, Journal, Lsn, Settings, Urgency};

const RECORD_BYTES: usize = 1024;
const ROUNDS: usize = 7;
const CHECKPOINT_BYTES: u64 = 128 << 20;
/// Twice what the log holds between the older of two checkpoints and its end.
const WARM_BYTES: u64 = 768 << 20;
/// About what the journal's segments are together.
const BARE_BYTES: u64 = 512 << 20;

struct Run {
    records_per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Records per sync.
    group: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "bench-data".to_owned()));
    let seconds = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let limit = Duration::from_secs_f64(seconds);
    std::fs::create_dir_all(&dir)?;
    report("window | kind    | records/s best (median) | p50, p99 of the best | group");
    let mut bare = Bare::open(&dir)?;
    let mut busy = Busy::open(&dir)?;
    for window in [1, 64, 512] {
        // In turn, so that both meet the same other work on the machine.
        let (mut bares, mut journals) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bares.push(bare.run(window, limit)?);
            journals.push(busy.run(window, limit)?);
        }
        print(window, "bare", bares);
        print(window, "journal", journals);
    }
    busy.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn print(window: usize, kind: &str, mut runs: Vec<Run>) {
    runs.sort_by(|a, b| b.records_per_second.total_cmp(&a.records_per_second));
    let median = runs
        .get(ROUNDS / 2)
        .map_or(0.0, |run| run.records_per_second);
    if let Some(best) = runs.first() {
        let Run {
            records_per_second,
            p50,
            p99,
            group,
        } = best;
        report(&format!(
            "{window:6} | {kind:7} | {records_per_second:11.0} ({median:9.0}) | {p50:?}, {p99:?} | \
             {group:.1}"
        ));
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's result")]
fn report(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn measure(
    window: usize,
    limit: Duration,
    mut commit: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Run, Box<dyn Error>> {
    for _ in 0..20 {
        commit()?;
    }
    let start = now();
    let mut took = Vec::new();
    while start.elapsed() < limit {
        let commit_start = now();
        commit()?;
        took.push(commit_start.elapsed());
    }
    let elapsed = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |percent: usize| {
        took.get(took.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    let records = u32::try_from(took.len() * window)?;
    Ok(Run {
        records_per_second: f64::from(records) / elapsed,
        p50: at(50),
        p99: at(99),
        group: f64::from(u32::try_from(window)?),
    })
}

/// The bare loop's file, filled, and where its next write goes.
struct Bare {
    file: Arc<dyn File>,
    offset: u64,
}

impl Bare {
    fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let file = DiskFiles.create(&dir.join("bare"))?;
        let zeros = vec![0; 1 << 20];
        for chunk in 0..BARE_BYTES >> 20 {
            file.write_all_at(&[&zeros], chunk << 20)?;
        }
        file.sync_data()?;
        Ok(Self { file, offset: 0 })
    }

    fn run(&mut self, window: usize, limit: Duration) -> Result<Run, Box<dyn Error>> {
        let batch = vec![0x55; RECORD_BYTES * window];
        let bytes = u64::try_from(batch.len())?;
        measure(window, limit, || {
            if self.offset + bytes > BARE_BYTES {
                self.offset = 0;
            }
            self.file.write_all_at(&[&batch], self.offset)?;
            self.offset += bytes;
            Ok(self.file.sync_data()?)
        })
    }
}

/// A journal in use: a checkpoint every 128 MiB, on a thread of its own as in the gateway, and what
/// lies before it freed, so that its segments are used again and again.
struct Busy {
    journal: Journal,
    data_dir: PathBuf,
    checkpointed: Lsn,
    checkpoints: Option<Sender<Lsn>>,
    checkpointer: Option<JoinHandle<Result<(), storage::Error>>>,
}

impl Busy {
    /// Opens one and writes until it makes no new segments: a zero-filled file is what the bare
    /// loop has from the beginning, too.
    fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let data_dir = dir.join("data");
        let settings = Settings {
            disk_min_free_bytes: 0,
            ..Settings::new(&data_dir)
        };
        let (journal, _) = Journal::open(settings, DiskFiles)?;
        let (checkpoints, wanted) = channel();
        let handle = journal.clone();
        let checkpointer = std::thread::spawn(move || {
            for at in wanted {
                handle.checkpoint(at, [])?;
                handle.trim(at);
            }
            Ok(())
        });
        let mut busy = Self {
            journal,
            data_dir,
            checkpointed: Lsn::ZERO,
            checkpoints: Some(checkpoints),
            checkpointer: Some(checkpointer),
        };
        let mut end = Lsn::ZERO;
        while end.0 < WARM_BYTES {
            let written = busy.append(256)?;
            busy.journal.wait_durable(end)?;
            end = written;
        }
        while busy.journal.stats().segments_ready < 2 {
            std::thread::yield_now();
        }
        Ok(busy)
    }

    fn append(&mut self, window: usize) -> Result<Lsn, Box<dyn Error>> {
        let record = [0x55; RECORD_BYTES];
        let mut end = Lsn::ZERO;
        // As the gateway does it for all that it has read of a connection.
        self.journal.begin_batch();
        for _ in 0..window {
            end = self.journal.append(&[&record], Urgency::Sync)?.end;
        }
        self.journal.end_batch();
        if end.0 - self.checkpointed.0 > CHECKPOINT_BYTES {
            self.checkpointed = end;
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.send(end)?;
            }
        }
        Ok(end)
    }

    fn run(&mut self, window: usize, limit: Duration) -> Result<Run, Box<dyn Error>> {
        let (mut before, start) = (Lsn::ZERO, self.journal.stats());
        let mut run = measure(window, limit, || {
            let end = self.append(window)?;
            self.journal.wait_durable(before)?;
            before = end;
            Ok(())
        })?;
        self.journal.wait_durable(before)?;
        let stats = self.journal.stats();
        let records = u32::try_from(stats.records - start.records)?;
        let syncs = u32::try_from(stats.syncs - start.syncs)?;
        run.group = f64::from(records) / f64::from(syncs.max(1));
        Ok(run)
    }

    fn close(mut self) -> Result<(), Box<dyn Error>> {
        self.checkpoints = None;
        if let Some(Err(failed)) = self
            .checkpointer
            .take()
            .and_then(|thread| thread.join().ok())
        {
            return Err(failed.into());
        }
        self.journal.close()?;
        Ok(std::fs::remove_dir_all(&self.data_dir)?)
    }
}
