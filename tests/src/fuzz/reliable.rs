//! Datagrams of the LAN's reliable codec, from anybody.

use std::net::SocketAddr;

use lan::{Rlan, RlanKey, RlanSettings};
use routing::Timestamp;

/// Any datagrams in any order to a link with a key and to one without, while time goes by: no
/// panic, bounded memory, nothing delivered that has no seal, and no answer without a cookie that
/// is larger than what was asked.
///
/// Each datagram is a length of two bytes, a byte of milliseconds, and so many bytes.
pub fn rlan(input: &[u8]) {
    let mut sealed = Rlan::new(settings(true));
    let mut open = Rlan::new(settings(false));
    let mut rest = input;
    let mut now = Timestamp(1_000_000);
    while let Some(([high, low, ms], bytes)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(bytes.len());
        let (datagram, behind) = bytes.split_at(length);
        rest = behind;
        now = now.plus_ms(u64::from(*ms) * u64::from(*ms));
        for host in [&mut sealed, &mut open] {
            let from = SocketAddr::from(([10, 77, 0, 5], 4000));
            // Why it is dropped is the codec's own business.
            host.handle_datagram(now, datagram, from)
                .unwrap_or_default();
            if host.wants_snapshot() {
                host.take_snapshot(now, std::iter::empty());
            }
            let answers = std::iter::from_fn(|| host.poll_outgoing());
            let bytes: usize = answers.map(|it| it.datagram.len()).sum();
            assert!(bytes <= datagram.len(), "{bytes} for {}", datagram.len());
            host.handle_timeout(now);
            while host.poll_outgoing().is_some() {}
            assert!(host.bytes() < 64 << 20);
        }
        assert!(sealed.take_delivered().is_empty() && sealed.bytes() == 0);
        open.take_delivered();
    }
}

fn settings(has_key: bool) -> RlanSettings {
    let key = RlanKey {
        id: 1,
        secret: [7; 32],
    };
    RlanSettings {
        origin: 1,
        epoch: 1,
        node: 1,
        keys: has_key.then_some(key).into_iter().collect(),
        secret: [9; 32],
        seed: 1,
        sends: true,
        receives: true,
        datagram_bytes_max: 1472,
        message_bytes_max: 1 << 20,
        repair_bytes_max: 1 << 20,
        bytes_per_second: 0,
    }
}
