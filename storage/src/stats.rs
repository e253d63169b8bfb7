//! Numbers for the metrics page, and the only clock of this crate: it measures the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Ok,
    /// Little space is left: hold publishers back. Everything is still accepted.
    DiskLow,
    /// Only the reserve is left: records with `Urgency::Sync` are refused when a new segment
    /// would be needed, those with `Urgency::Lazy` go on into the reserve.
    Full,
    /// A write or sync failed. Nothing is acknowledged any more: leave the process.
    Failed,
}

/// A histogram with a bucket for each power of two: bucket `n` counts values below `2^n` and not
/// below `2^(n-1)`; bucket 0 counts zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Values seen, by bucket. The last bucket takes all that are larger.
    pub counts: [u64; 32],
    /// Sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// An upper bound for the given share (0.5: the median) of the values; 0 without values.
    pub fn quantile_max(&self, share: f64) -> u64 {
        let count = self.count();
        let mut seen = 0;
        for (bucket, more) in self.counts.iter().enumerate() {
            seen += more;
            #[expect(
                clippy::cast_precision_loss,
                reason = "a count beyond 2^53 is out of reach"
            )]
            if count > 0 && seen as f64 >= share * count as f64 {
                return (1_u64 << bucket) - 1;
            }
        }
        0
    }
}

/// A snapshot of the journal's counters.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records appended since the start.
    pub records: u64,
    /// Bytes written to segments, headers and padding included.
    pub written_bytes: u64,
    /// Writes, each followed by a sync or not.
    pub batches: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Microseconds per sync.
    pub sync_us: Histogram,
    /// Records per batch.
    pub batch_records: Histogram,
    /// Bytes per batch.
    pub batch_bytes: Histogram,
    /// Bytes that wait in memory.
    pub pending_bytes: u64,
    /// Segments that hold the log.
    pub segments_live: usize,
    /// Segments that wait to be used.
    pub segments_ready: usize,
    /// Bytes of the segments that hold the log.
    pub live_bytes: u64,
    /// Bytes that they should stay below: `segment_bytes * segment_count_max`.
    pub live_bytes_max: u64,
    /// Positions below are gone: the result of trims and checkpoints.
    pub trimmed: u64,
}

impl Stats {
    /// How full the journal is: 1.0 means that `segment_count_max` segments hold live data.
    /// Above some 0.75, copy what is old elsewhere and trim; above 1.0 the journal grows.
    pub fn pressure(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share, not an address")]
        if self.live_bytes_max == 0 {
            0.0
        } else {
            self.live_bytes as f64 / self.live_bytes_max as f64
        }
    }
}

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; 32],
    sum: AtomicU64,
}

impl Buckets {
    fn add(&self, value: u64) {
        let bucket = (64 - value.leading_zeros()).min(31);
        if let Some(count) = usize::try_from(bucket)
            .ok()
            .and_then(|n| self.counts.get(n))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Histogram {
        let counts = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        Histogram {
            counts,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// The counters, written by the committer.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    written_bytes: AtomicU64,
    batch_records: Buckets,
    batch_bytes: Buckets,
    sync_us: Buckets,
}

impl Counters {
    pub(crate) fn batch(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.batch_records.add(records);
        self.batch_bytes.add(bytes);
    }

    pub(crate) fn sync(&self, took: Duration) {
        self.sync_us
            .add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let (sync_us, batch_records) = (self.sync_us.snapshot(), self.batch_records.snapshot());
        Stats {
            records: self.records.load(Ordering::Relaxed),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            batches: batch_records.count(),
            syncs: sync_us.count(),
            sync_us,
            batch_records,
            batch_bytes: self.batch_bytes.snapshot(),
            ..Stats::default()
        }
    }
}

/// Time since its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the disk; no record depends on it"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
