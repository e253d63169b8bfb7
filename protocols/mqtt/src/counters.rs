//! What all MQTT connections count together, for `$SYS` and metrics. A connection counts for itself
//! and adds it up once per batch, so that no two cores fight over a number for every packet.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the start.
#[derive(Debug, Default)]
pub struct Counters {
    totals: [AtomicU64; KINDS],
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Bytes from clients.
    BytesIn,
    /// Bytes to clients.
    BytesOut,
    /// Packets from clients.
    PacketsIn,
    /// Packets to clients.
    PacketsOut,
    /// PUBLISH from clients.
    PublishesIn,
    /// PUBLISH to clients.
    PublishesOut,
    /// Payload bytes in PUBLISH from clients.
    PayloadIn,
    /// Payload bytes in PUBLISH to clients.
    PayloadOut,
}

const KINDS: usize = 8;

impl Counters {
    /// The total of one kind.
    #[must_use]
    pub fn total(&self, count: Count) -> u64 {
        let total = self.totals.get(count as usize);
        total.map_or(0, |total| total.load(Ordering::Relaxed))
    }

    /// Takes over what a connection has counted.
    pub(crate) fn add(&self, tally: &mut Tally) {
        for (total, counted) in self.totals.iter().zip(&mut tally.0) {
            if *counted > 0 {
                total.fetch_add(std::mem::take(counted).into(), Ordering::Relaxed);
            }
        }
    }
}

/// What one connection has counted since the last batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally([u32; KINDS]);

impl Tally {
    pub(crate) fn count(&mut self, count: Count, number: usize) {
        if let Some(counted) = self.0.get_mut(count as usize) {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            *counted = counted.saturating_add(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_handed_over_once() {
        let (counters, mut tally) = (Counters::default(), Tally::default());
        tally.count(Count::PayloadOut, 2);
        tally.count(Count::BytesIn, 7);
        counters.add(&mut tally);
        counters.add(&mut tally);
        assert_eq!(counters.total(Count::PayloadOut), 2);
        assert_eq!(counters.total(Count::BytesIn), 7);
        assert_eq!(counters.total(Count::BytesOut), 0);
    }
}
