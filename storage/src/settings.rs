//! What an operator can choose about the journal, and which choices fit together.

use std::path::PathBuf;

use crate::error::Error;
use crate::format::{FRAME_HEADER_BYTES, HEADER_PAGE_BYTES, RECORD_HEADER_BYTES};
use crate::lsn::{u64_from, usize_from};

/// What `durable` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// `fdatasync` has returned: survives a power cut.
    Fsync,
    /// The operating system has the bytes (they are synced every 100 ms): survives the death of
    /// the process, not that of the machine.
    Os,
}

/// Limits and policies of one journal.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory that holds `journal/`, `checkpoint/`, `pages/` and `lock`. Created if absent.
    pub data_dir: PathBuf,
    /// Size of a segment file in bytes, a multiple of 4096. May differ from the last run's.
    pub segment_bytes: u64,
    /// How many segments the journal should hold. Exceeded rather than failing when live data
    /// pins more: `Stats::pressure` then passes 1.0.
    pub segment_count_max: u32,
    /// What `durable` means.
    pub sync: SyncPolicy,
    /// Free bytes of the file system below which publishers must be held back.
    pub disk_min_free_bytes: u64,
    /// Largest frame in bytes, and so (less 40) the largest record.
    pub frame_bytes_max: u64,
    /// Bytes that may wait in memory for the disk. An append beyond is refused.
    pub pending_bytes_max: u64,
    /// The nice value of the thread that writes and syncs, -20 (first) to 19; 0: as the process.
    pub io_nice: i32,
}

impl Settings {
    /// The built-in defaults, for this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            data_dir: data_dir.into(),
            segment_bytes: 64 * MIB,
            segment_count_max: 16,
            sync: SyncPolicy::Fsync,
            disk_min_free_bytes: 1024 * MIB,
            frame_bytes_max: 16 * MIB + (64 << 10),
            pending_bytes_max: 256 * MIB,
            io_nice: 0,
        }
    }

    /// The largest record body in bytes.
    pub fn record_bytes_max(&self) -> usize {
        usize_from(self.frame_bytes_max) - FRAME_HEADER_BYTES - RECORD_HEADER_BYTES
    }

    /// Checks that the values fit together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let page = u64_from(HEADER_PAGE_BYTES);
        let wrong = |what| Err(Error::Settings { what });
        if !self.segment_bytes.is_multiple_of(page) || self.segment_bytes > 1 << 30 {
            return wrong("segment_bytes must be a multiple of 4096, at most 1 GiB");
        }
        if self.frame_bytes_max < 1024 || !self.frame_bytes_max.is_multiple_of(8) {
            return wrong("frame_bytes_max must be a multiple of 8, at least 1024");
        }
        if self.segment_bytes < page + self.frame_bytes_max {
            return wrong("segment_bytes must hold frame_bytes_max and a 4096-byte header");
        }
        if self.segment_count_max < 4 {
            return wrong("segment_count_max must be at least 4");
        }
        Ok(())
    }
}
