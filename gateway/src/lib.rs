//! The busbar binary: configuration, sockets, the connection driver, authentication, shutdown.

pub mod config;
