//! RESP: bytes in, calls on the core, bytes out.
