//! Whole-gateway tests: one process, real sockets on loopback, raw bytes.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod across;
mod durability;
mod reload;
mod shutdown;
mod tidy;
