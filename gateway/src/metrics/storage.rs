//! The numbers of the journal, of page files and of message memory.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use storage::{Health, Histogram, PagedOwner, Stats};

use super::{Family, wide};
use crate::gateway::Shared;

/// A histogram in the unit that the page shows.
#[derive(Debug)]
pub(super) struct Distribution {
    name: &'static str,
    help: &'static str,
    /// How many of the unit one counted unit is.
    scale: f64,
    values: Histogram,
}

impl Distribution {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) = (self.name, self.help);
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let buckets = (0_u32..).zip(self.values.counts).map(|(bucket, count)| {
            // Bucket n holds what is below 2^n; the last one holds all the rest.
            let bound = if bucket == 31 {
                f64::MAX
            } else {
                f64::from((1_u32 << bucket) - 1) * self.scale
            };
            (bound, count)
        });
        #[expect(clippy::cast_precision_loss, reason = "a sum for a page")]
        let sum = self.values.sum as f64 * self.scale;
        let buckets = buckets.collect::<Vec<_>>();
        metric.encode_histogram::<NoLabelSet>(sum, self.values.count(), &buckets, None)
    }
}

/// The journal's distributions.
pub(super) fn distributions(stats: &Stats) -> Vec<Distribution> {
    let distribution = |name, help, scale, values| Distribution {
        name,
        help,
        scale,
        values,
    };
    vec![
        distribution(
            "journal_sync_seconds",
            "Time of one sync of the disk",
            1e-6,
            stats.sync_us,
        ),
        distribution(
            "journal_batch_records",
            "Records of one group commit",
            1.0,
            stats.batch_records,
        ),
        distribution(
            "journal_batch_bytes",
            "Bytes of one group commit",
            1.0,
            stats.batch_bytes,
        ),
    ]
}

/// Everything else.
pub(super) fn families(shared: &Shared, stats: &Stats) -> Vec<Family> {
    let paged = shared.pages.0.owners();
    let mut families = journal(stats);
    families.extend(pages(&paged));
    let is_healthy = u64::from(shared.journal.log().health() == Health::Ok);
    families.extend([
        gauge(
            "journal_healthy",
            "1 while the journal works and has room",
            is_healthy,
        ),
        counter(
            "journal_refused",
            "Records that the journal had no room for; their publishers were told",
            shared.journal.refused(),
        ),
        gauge(
            "message_memory_bytes",
            "Messages in memory",
            wide(shared.broker.core().message_memory_bytes()),
        ),
        gauge(
            "message_oldest_seconds",
            "How long the oldest message has been in a queue or session",
            oldest_s(shared),
        ),
    ]);
    families
}

fn oldest_s(shared: &Shared) -> u64 {
    let oldest = shared
        .broker
        .vhosts()
        .filter_map(|vhost| vhost.oldest_message());
    let now = shared.clock.now();
    oldest
        .min()
        .map_or(0, |at| now.0.saturating_sub(at.0) / 1000)
}

fn journal(stats: &Stats) -> Vec<Family> {
    vec![
        counter("journal_records", "Records appended", stats.records),
        counter(
            "journal_written_bytes",
            "Bytes written",
            stats.written_bytes,
        ),
        counter("journal_batches", "Group commits", stats.batches),
        counter("journal_syncs", "Syncs of the disk", stats.syncs),
        gauge(
            "journal_pending_bytes",
            "Bytes that wait for the disk",
            stats.pending_bytes,
        ),
        gauge(
            "journal_live_bytes",
            "Bytes of the log still needed",
            stats.live_bytes,
        ),
        gauge(
            "journal_segments",
            "Segments in use",
            wide(stats.segments_live),
        ),
        gauge(
            "journal_segments_ready",
            "Segments that wait to be used",
            wide(stats.segments_ready),
        ),
    ]
}

fn pages(paged: &[PagedOwner]) -> Vec<Family> {
    let sum = |number: fn(&PagedOwner) -> u64| paged.iter().map(number).sum();
    vec![
        gauge(
            "page_messages",
            "Messages in page files",
            sum(|paged| paged.count),
        ),
        gauge(
            "page_bytes",
            "Bytes of page files",
            sum(|paged| paged.bytes),
        ),
        gauge("page_files", "Page files", sum(|paged| wide(paged.files))),
    ]
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    one(name, help, MetricType::Counter, value)
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
    one(name, help, MetricType::Gauge, value)
}

fn one(name: &'static str, help: &'static str, kind: MetricType, value: u64) -> Family {
    Family {
        name,
        help,
        kind,
        values: vec![(Vec::new(), value)],
    }
}
