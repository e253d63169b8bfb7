//! Keep alive: a client of which no packet comes for one and a half times its own interval is gone
//! \[MQTT-3.1.2-22\]. And a packet that has begun must arrive in time, so that a client that sends
//! a byte now and then does not hold its place for ever.
//!
//! Bytes of a packet that has not arrived whole buy time, a millisecond each: a large packet on a
//! slow line is no silence. Non-normative; the standard's letter counts whole packets alone.

use routing::Timestamp;

use crate::error::PeerMisbehaved;

/// When the client was last heard, and how long it may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    /// 0 is for ever.
    interval_secs: u16,
    packet_timeout_ms: u64,
    /// When a packet last arrived whole.
    heard_at: Timestamp,
    /// Since when a packet is arriving, and how much of it is here.
    arriving: Option<(Timestamp, u64)>,
}

impl KeepAlive {
    pub(super) fn new(interval_secs: u16, packet_timeout_ms: u64, now: Timestamp) -> Self {
        Self {
            interval_secs,
            packet_timeout_ms,
            heard_at: now,
            arriving: None,
        }
    }

    /// A packet has arrived.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.arriving = None;
    }

    /// So many bytes of the next packet are here.
    pub(super) fn hear_part(&mut self, now: Timestamp, bytes: usize) {
        let since = self.arriving.map_or(now, |(since, _)| since);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.arriving = (bytes > 0).then_some((since, bytes));
    }

    /// When the client is given up.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.silent_at().into_iter().chain(self.late_at()).min()
    }

    /// Why the client is given up now, if it is.
    pub(super) fn verdict(&self, now: Timestamp) -> Option<PeerMisbehaved> {
        let is_over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if is_over(self.silent_at()) {
            Some(PeerMisbehaved::KeepAlive)
        } else if is_over(self.late_at()) {
            Some(PeerMisbehaved::PacketTimeout)
        } else {
            None
        }
    }

    fn silent_at(&self) -> Option<Timestamp> {
        let bought_ms = self.arriving.map_or(0, |(_, bytes)| bytes);
        let silence_ms = u64::from(self.interval_secs) * 1500;
        (silence_ms > 0).then(|| self.heard_at.plus_ms(silence_ms).plus_ms(bought_ms))
    }

    fn late_at(&self) -> Option<Timestamp> {
        let (since, bytes) = self.arriving?;
        Some(since.plus_ms(self.packet_timeout_ms).plus_ms(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_given_up_after_one_and_a_half_intervals() {
        let mut keep_alive = KeepAlive::new(10, 60_000, Timestamp(1000));
        assert_eq!(keep_alive.deadline(), Some(Timestamp(16_000)));
        keep_alive.hear(Timestamp(5000));
        assert_eq!(keep_alive.verdict(Timestamp(19_999)), None);
        let verdict = keep_alive.verdict(Timestamp(20_000));
        assert_eq!(verdict, Some(PeerMisbehaved::KeepAlive));
    }

    #[test]
    fn an_interval_of_0_is_no_limit() {
        let keep_alive = KeepAlive::new(0, 60_000, Timestamp(0));
        assert_eq!(keep_alive.deadline(), None);
        assert_eq!(keep_alive.verdict(Timestamp(u64::MAX)), None);
    }

    #[test]
    fn a_byte_a_second_is_no_sign_of_life() {
        let mut keep_alive = KeepAlive::new(10, 60_000, Timestamp(0));
        let ended = (1..).find(|second| {
            let now = Timestamp(second * 1000);
            keep_alive.hear_part(now, usize::try_from(*second).unwrap());
            keep_alive.verdict(now).is_some()
        });
        assert_eq!(ended, Some(16));
    }

    #[test]
    fn a_packet_that_never_ends_is_given_up_without_keep_alive_too() {
        let mut keep_alive = KeepAlive::new(0, 60_000, Timestamp(0));
        keep_alive.hear_part(Timestamp(1000), 1);
        keep_alive.hear_part(Timestamp(9000), 2);
        assert_eq!(keep_alive.deadline(), Some(Timestamp(61_002)));
        keep_alive.hear(Timestamp(10_000));
        assert_eq!(keep_alive.deadline(), None);
    }

    #[test]
    fn a_large_packet_is_given_the_time_it_takes() {
        let mut keep_alive = KeepAlive::new(1, 60_000, Timestamp(0));
        keep_alive.hear_part(Timestamp(1400), 100_000);
        assert_eq!(keep_alive.verdict(Timestamp(100_000)), None);
        assert!(keep_alive.verdict(Timestamp(101_500)).is_some());
    }
}
