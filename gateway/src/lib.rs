//! The busbar binary: configuration, sockets, the connection driver, authentication, shutdown.

pub mod auth;
pub mod config;
