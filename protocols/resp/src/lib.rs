//! RESP: bytes in, calls on the core, bytes out.

pub mod wire;
