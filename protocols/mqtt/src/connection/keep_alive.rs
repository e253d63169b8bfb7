//! Keep alive: a client that says nothing for one and a half times its own interval is gone.
//! \[MQTT-3.1.2-22\]

use routing::Timestamp;

/// When the client was last heard, and how long it may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    /// 0 is for ever.
    interval_secs: u16,
    heard_at: Timestamp,
}

impl KeepAlive {
    pub(super) fn new(interval_secs: u16, now: Timestamp) -> Self {
        Self {
            interval_secs,
            heard_at: now,
        }
    }

    /// Bytes have come. Not only whole packets count: a large one on a slow line takes its time.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard_at = now;
    }

    /// When the client is given up.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let silence_ms = u64::from(self.interval_secs) * 1500;
        (silence_ms > 0).then(|| self.heard_at.plus_ms(silence_ms))
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_given_up_after_one_and_a_half_intervals() {
        let mut keep_alive = KeepAlive::new(10, Timestamp(1000));
        assert_eq!(keep_alive.deadline(), Some(Timestamp(16_000)));
        keep_alive.hear(Timestamp(5000));
        assert!(!keep_alive.is_over(Timestamp(19_999)));
        assert!(keep_alive.is_over(Timestamp(20_000)));
    }

    #[test]
    fn an_interval_of_0_is_no_limit() {
        let keep_alive = KeepAlive::new(0, Timestamp(0));
        assert_eq!(keep_alive.deadline(), None);
        assert!(!keep_alive.is_over(Timestamp(u64::MAX)));
    }
}
