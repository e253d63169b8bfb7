//! `MONITOR`: every request as one line to those who watch.
//!
//! ```text
//! +1339518083.107412 [0 127.0.0.1:60866] "set" "key" "a\\nb"
//! ```
//!
//! A line goes through the watcher's outbox like a message, on a shard channel that no client can
//! name, so the limits for slow readers hold for watchers too.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use routing::{
    Address, ConnectionId, Delivery, Matched, MessageBuilder, Name, Outbox, Source, Timestamp,
    Wakes,
};

use crate::translate::ORIGIN;
use crate::wire::request::Request;

/// Where the lines are addressed to. A watcher's connection tells by it what they are.
const ADDRESS: &[u8] = b"\0monitor";

/// Those who watch.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    watchers: Mutex<Vec<(ConnectionId, Arc<Outbox>)>>,
    count: AtomicUsize,
}

/// Whether a message is such a line.
pub(crate) fn is_line(address: &[u8]) -> bool {
    address == ADDRESS
}

impl Monitors {
    pub(crate) fn add(&self, id: ConnectionId, outbox: Arc<Outbox>) {
        self.change(|watchers| {
            watchers.retain(|(known, _)| *known != id);
            watchers.push((id, outbox));
        });
    }

    pub(crate) fn remove(&self, id: ConnectionId) {
        self.change(|watchers| watchers.retain(|(known, _)| *known != id));
    }

    /// Whether anybody watches: one load, as every request asks.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Shows a request to those who watch.
    pub(crate) fn show(&self, now: Timestamp, database: u8, address: &str, request: &Request) {
        let line = line(now, database, address, request);
        let to = Address::new(Bytes::from_static(ADDRESS));
        let message = MessageBuilder::new(to, Name::default(), line, &ORIGIN).build();
        let matched = Arc::new(Matched::ShardChannel);
        let mut wakes = Wakes::default();
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, outbox) in watchers.iter() {
            let delivery = Delivery {
                message: Arc::clone(&message),
                source: Source::Subscription(Arc::clone(&matched)),
            };
            outbox.push(delivery, &mut wakes);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<(ConnectionId, Arc<Outbox>)>)) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut watchers);
        self.count.store(watchers.len(), Ordering::Relaxed);
    }
}

fn line(now: Timestamp, database: u8, address: &str, request: &Request) -> Bytes {
    let mut line = format!(
        "{}.{:06} [{database} {address}]",
        now.0 / 1000,
        now.0 % 1000 * 1000
    );
    let is_secret = request.name().eq_ignore_ascii_case(b"auth")
        || request.name().eq_ignore_ascii_case(b"hello");
    for (index, arg) in request.args_from(0).enumerate() {
        if is_secret && index > 0 {
            line.push_str(" \"(redacted)\"");
        } else {
            quote(arg, &mut line);
        }
    }
    line.into()
}

/// RESP: as `sdscatrepr` quotes.
fn quote(arg: &[u8], line: &mut String) {
    line.push_str(" \"");
    for byte in arg {
        match byte {
            b'\\' | b'"' => line.extend(['\\', char::from(*byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(*byte)),
            other => {
                // Writing to a String cannot fail.
                let written = write!(line, "\\x{other:02x}");
                debug_assert!(written.is_ok());
            }
        }
    }
    line.push('"');
}
