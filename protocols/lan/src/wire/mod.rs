//! What is on the wire: one file per codec.

mod raw;

pub use raw::{Raw, TooLarge};
