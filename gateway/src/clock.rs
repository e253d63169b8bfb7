//! The only place that reads the clock for the core: the wall clock once, the monotonic clock
//! since, so that time never goes backwards and still means something after a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use routing::Timestamp;
use tokio::time::Instant;

/// The gateway's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: Timestamp,
}

impl Clock {
    /// Starts the clock at the wall clock's time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started_at = Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(0));
        Self {
            started: Instant::now(),
            started_at,
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_millis();
        self.started_at
            .plus_ms(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// So long from now.
    #[must_use]
    pub fn after(&self, duration: Duration) -> Instant {
        Instant::now() + duration
    }

    /// Since the gateway started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The runtime's instant of a moment; the start for moments before it.
    #[must_use]
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        // A year is as good as never, and cannot overflow an instant.
        let ms = at.since_ms(self.started_at).min(365 * 86_400_000);
        // The clock is read in whole milliseconds: a moment is over only after its own.
        self.started + Duration::from_millis(ms + 1)
    }
}
