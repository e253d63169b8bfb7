//! How fast a link sends: a bucket that fills with time and that each datagram takes from.
//! Separate from the link, because only what has been given to the network counts.
//!
//! Small devices hold six datagrams (lwIP's default mailbox) and lose the rest of a burst; but the
//! clock has milliseconds, so less than what the rate allows in two of them cannot be held to.

use routing::Timestamp;

/// Datagrams that may leave at once, at least.
const BURST_DATAGRAMS: u64 = 6;

/// What the clock's grain asks for, at least.
const BURST_MS: u64 = 2;

/// The bucket of one link.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    bytes_per_second: i64,
    /// In thousandths of a byte, so that a millisecond adds a whole number of them; below zero is
    /// owed.
    level: i64,
    level_max: i64,
    filled_at: Timestamp,
}

impl Pacer {
    /// A full bucket. A rate of 0 is no limit.
    #[must_use]
    pub fn new(bytes_per_second: u64, datagram_bytes_max: u64, now: Timestamp) -> Self {
        let datagrams = datagram_bytes_max.saturating_mul(BURST_DATAGRAMS);
        let grain = bytes_per_second / 1000 * BURST_MS;
        let level_max = thousandths(datagrams.max(grain));
        Self {
            bytes_per_second: i64::try_from(bytes_per_second).unwrap_or(i64::MAX),
            level: level_max,
            level_max,
            filled_at: now,
        }
    }

    /// A full bucket of messages: a second's worth may come at once. [`Pacer::take`] then takes a
    /// number of messages. A rate of 0 is no limit.
    #[must_use]
    pub fn of_messages(per_second: u32, now: Timestamp) -> Self {
        Self::new(
            per_second.into(),
            u64::from(per_second) / BURST_DATAGRAMS,
            now,
        )
    }

    /// When the next datagram may leave, if not now. A bucket that is not empty lets a whole
    /// datagram go.
    pub fn wait_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.bytes_per_second == 0 {
            return None;
        }
        let passed_ms = i64::try_from(now.since_ms(self.filled_at)).unwrap_or(i64::MAX);
        self.filled_at = now;
        let filled = passed_ms.saturating_mul(self.bytes_per_second);
        self.level = self.level.saturating_add(filled).min(self.level_max);
        let owed = u64::try_from(1 - self.level)
            .ok()
            .filter(|owed| *owed > 0)?;
        Some(now.plus_ms(owed.div_ceil(self.bytes_per_second.unsigned_abs())))
    }

    /// A datagram has left.
    pub fn take(&mut self, bytes: usize) {
        let cost = thousandths(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.level = self.level.saturating_sub(cost);
    }
}

fn thousandths(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    /// Sends datagrams of 1000 bytes for so long; returns how many went at once and in all.
    fn send(bytes_per_second: u64, duration_ms: u64) -> (u64, u64) {
        let mut pacer = Pacer::new(bytes_per_second, 1000, START);
        let (mut now, mut at_once, mut all) = (START, 0, 0);
        while now.since_ms(START) < duration_ms {
            match pacer.wait_until(now) {
                Some(later) => now = later,
                None => {
                    pacer.take(1000);
                    at_once += u64::from(now == START);
                    all += 1;
                }
            }
        }
        (at_once, all)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        assert_eq!(send(100_000, 10_000), (6, 1006));
        assert_eq!(send(999, 60_000), (6, 66));
    }

    #[test]
    fn a_fast_link_keeps_its_rate_in_spite_of_the_clocks_grain() {
        let (at_once, all) = send(12_500_000, 1000);
        assert_eq!(at_once, 25);
        assert!((12_500..=12_540).contains(&all), "{all}");
    }

    #[test]
    fn a_seconds_worth_of_messages_comes_at_once_and_then_the_rate() {
        let mut pacer = Pacer::of_messages(600, START);
        let mut come = |after_ms: u64| {
            let now = START.plus_ms(after_ms);
            let may_come = |pacer: &mut Pacer| pacer.wait_until(now).is_none();
            (0..1000)
                .take_while(|_| may_come(&mut pacer).then(|| pacer.take(1)).is_some())
                .count()
        };
        assert_eq!((come(0), come(0), come(100)), (600, 0, 60));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut pacer = Pacer::new(0, 1000, START);
        pacer.take(usize::MAX);
        assert_eq!(pacer.wait_until(START), None);
    }
}
