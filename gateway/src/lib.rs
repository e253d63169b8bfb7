//! The gateway around the core: configuration, sockets, the connection driver, authentication,
//! shutdown. `main.rs` is a thin shell over [`Gateway`], so tests start a whole gateway in process.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod control;
pub mod discovery;
pub mod gateway;
pub mod http;
pub mod journal;
pub mod journal_command;
pub mod lan_command;
pub mod listener;
pub mod metrics;
pub mod net;
pub mod paging;
pub mod passwd;
pub mod settings;
pub mod shutdown;
pub mod system_topics;

pub use gateway::{Gateway, Shared, StartError};
