//! `[storage]`: the data directory and the journal in it.

use std::path::PathBuf;

use super::section::Section;

/// `[storage]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Where everything durable is kept; relative to the directory the gateway is started in.
    pub data_dir: PathBuf,
    /// When a message counts as safe.
    pub sync: SyncPolicy,
    /// The size of one journal segment file, in bytes; a multiple of 4096.
    pub segment_bytes: u64,
    /// How many segments the journal keeps before it moves old messages to page files.
    pub segment_count_max: u32,
    /// Bytes that may wait in memory for the disk before publishers are held back.
    pub pending_bytes_max: u64,
    /// The nice value of the journal's thread, -20 to 19; zero: as the process.
    pub io_nice: i32,
    /// Bytes of messages in memory; what is more goes to page files.
    pub message_memory_bytes: u64,
    /// Publishers are blocked while the disk has fewer bytes free; zero: never.
    pub disk_free_min: u64,
}

/// When a message counts as safe, and is confirmed to its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// After `fdatasync`: it survives a power failure.
    Fsync,
    /// After `write`: it survives the end of the process, not that of the machine.
    Os,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("busbar-data"),
            sync: SyncPolicy::Fsync,
            segment_bytes: 64 << 20,
            segment_count_max: 16,
            pending_bytes_max: 256 << 20,
            io_nice: 0,
            message_memory_bytes: 256 << 20,
            disk_free_min: 1 << 30,
        }
    }
}

impl Storage {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let policies = [("fsync", SyncPolicy::Fsync), ("os", SyncPolicy::Os)];
        Self {
            data_dir: section.parsed("data_dir", "a path", default.data_dir, |text| {
                let path = Some(PathBuf::from(text)).filter(|_| !text.is_empty());
                path.ok_or_else(|| "must name a directory, such as \"/var/lib/busbar\"".to_owned())
            }),
            sync: section.choice("sync", &policies, default.sync),
            segment_bytes: section.size("segment_bytes", 1 << 20..=1 << 30, default.segment_bytes),
            segment_count_max: section.integer(
                "segment_count_max",
                4..=4096,
                default.segment_count_max,
            ),
            pending_bytes_max: section.size(
                "pending_bytes_max",
                1 << 20..=1 << 40,
                default.pending_bytes_max,
            ),
            io_nice: section.integer("io_nice", -20..=19, default.io_nice),
            message_memory_bytes: section.size(
                "message_memory_bytes",
                1 << 20..=1 << 50,
                default.message_memory_bytes,
            ),
            disk_free_min: section.size("disk_free_min", 0..=1 << 50, default.disk_free_min),
        }
    }
}
