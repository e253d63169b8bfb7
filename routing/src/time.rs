//! The one notion of time: milliseconds since the Unix epoch, handed in by the driver.
//!
//! The gateway derives it from the wall clock at start plus the monotonic clock since, so it never
//! goes backwards, and an absolute expiry means the same after a restart.

/// Milliseconds since the Unix epoch; never goes backwards within one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `duration_ms` milliseconds later; saturates.
    #[must_use]
    pub const fn plus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
