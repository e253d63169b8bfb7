//! Whole-gateway tests: one process, real sockets on loopback, raw bytes.

mod across;
mod durability;
mod shutdown;
mod tidy;
