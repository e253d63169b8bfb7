//! Packet identifiers of messages under way to the client. \[MQTT-2.2.1-4\]

use std::collections::HashSet;
use std::num::NonZeroU16;

/// Foldhash, because the numbers are the gateway's own: nobody chooses them to collide.
type Ids = HashSet<u16, foldhash::fast::RandomState>;

/// Which identifiers are in use; hands out the others in turn, so that one that was just freed is
/// not used again at once.
#[derive(Debug, Default)]
pub(super) struct PacketIds {
    last: u16,
    in_use: Ids,
}

impl PacketIds {
    /// Those of a session that goes on.
    pub(super) fn resume(in_use: impl Iterator<Item = u16>) -> Self {
        let in_use: Ids = in_use.collect();
        Self {
            last: in_use.iter().copied().max().unwrap_or(0),
            in_use,
        }
    }

    /// An identifier that is not in use; `None` when all 65,535 are.
    pub(super) fn take(&mut self) -> Option<NonZeroU16> {
        if self.in_use.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(packet_id) = NonZeroU16::new(self.last)
                && self.in_use.insert(self.last)
            {
                return Some(packet_id);
            }
        }
    }

    pub(super) fn free(&mut self, packet_id: u16) {
        self.in_use.remove(&packet_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_start_at_1_and_rise() {
        let mut ids = PacketIds::default();
        assert_eq!(ids.take().map(NonZeroU16::get), Some(1));
        assert_eq!(ids.take().map(NonZeroU16::get), Some(2));
        ids.free(1);
        assert_eq!(ids.take().map(NonZeroU16::get), Some(3));
    }

    #[test]
    fn identifiers_in_use_and_0_are_passed_over() {
        let mut ids = PacketIds::resume([65_535, 1, 2].into_iter());
        assert_eq!(ids.take().map(NonZeroU16::get), Some(3));
    }

    #[test]
    fn there_are_65535_identifiers() {
        let mut ids = PacketIds::resume(1..=u16::MAX);
        assert_eq!(ids.take(), None);
        ids.free(500);
        assert_eq!(ids.take().map(NonZeroU16::get), Some(500));
    }
}
