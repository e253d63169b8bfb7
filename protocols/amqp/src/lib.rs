//! AMQP 0-9-1: bytes in, calls on the core, bytes out.
//!
//! No socket, no clock, no task: a driver hands in what it read and writes what it finds in the
//! output buffer. The bytes themselves are the business of [`wire`].

pub mod connection;
pub mod error;
pub mod settings;
pub mod translate;
pub mod wire;

pub use connection::Connection;
pub use settings::Settings;
pub use translate::ORIGIN;
