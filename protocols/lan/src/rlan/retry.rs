//! When to ask again: soon, then at twice the interval each time, and never all at once.

use routing::Timestamp;

/// The first wait after a request.
const INTERVAL_MS: u64 = 10;

/// The longest.
const INTERVAL_MS_MAX: u64 = 200;

/// The times of one kind of request.
#[derive(Debug)]
pub(super) struct Retry {
    /// When the next request is due; none: nothing to ask.
    pub(super) due: Option<Timestamp>,
    interval_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            due: None,
            interval_ms: INTERVAL_MS,
        }
    }
}

impl Retry {
    /// A request is due after 1 to 3 ms, unless one is due already: receivers that lost the same
    /// datagram do not all speak at once.
    pub(super) fn start(&mut self, now: Timestamp, random: &mut Random) {
        self.due
            .get_or_insert_with(|| now.plus_ms(1 + random.below(3)));
    }

    /// A request has been sent.
    pub(super) fn sent(&mut self, now: Timestamp, random: &mut Random) {
        let jitter = random.below(self.interval_ms / 2 + 1);
        self.due = Some(now.plus_ms(self.interval_ms + jitter));
        self.interval_ms = (self.interval_ms * 2).min(INTERVAL_MS_MAX);
    }

    /// An answer has come, and more is wanted.
    pub(super) fn progress(&mut self, now: Timestamp, random: &mut Random) {
        self.interval_ms = INTERVAL_MS;
        let soon = now.plus_ms(INTERVAL_MS + random.below(INTERVAL_MS / 2));
        self.due = self.due.map(|due| due.min(soon));
    }

    /// Nothing more is wanted.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }
}

/// Numbers that need not be secret: xorshift64*, seeded by the caller.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`, or 0.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        match end {
            0 => 0,
            end => high % end,
        }
    }
}
