//! The sockets.

pub mod lan;
