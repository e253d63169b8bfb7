//! What the fuzz targets do with their bytes.
//!
//! The bodies live here and not in `tests/fuzz`, so that `cargo test` replays the corpus through
//! the same code that a fuzzer drives: see `tests/integration/corpus.rs` and `docs/testing.md`.
//!
//! A target takes any bytes, must not panic, and asserts what must hold for all of them.

mod connections;
mod datagrams;
mod frames;
mod packets;
mod reliable;
mod requests;

pub use connections::{IDENTITY, amqp_connection, mqtt_connection, resp_connection};
pub use datagrams::{lan_lcm, lan_mqtt_sn, lan_raw, lan_uadp, mqtt_sn_gateway};
pub use frames::amqp_frames;
pub use packets::mqtt_packets;
pub use reliable::rlan;
pub use requests::resp_requests;

/// A target: its name is that of its folder in `tests/corpus` and of its file in `fuzz_targets`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("amqp_connection", amqp_connection),
    ("amqp_frames", amqp_frames),
    ("lan_lcm", lan_lcm),
    ("lan_mqtt_sn", lan_mqtt_sn),
    ("lan_raw", lan_raw),
    ("lan_uadp", lan_uadp),
    ("mqtt_connection", mqtt_connection),
    ("mqtt_packets", mqtt_packets),
    ("mqtt_sn_gateway", mqtt_sn_gateway),
    ("resp_connection", resp_connection),
    ("resp_requests", resp_requests),
    ("rlan", rlan),
];
