//! The busbar binary: configuration, sockets, the connection driver, authentication, shutdown.

pub mod auth;
pub mod cli;
pub mod config;
pub mod passwd;
