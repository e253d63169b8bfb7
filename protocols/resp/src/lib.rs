//! RESP: bytes in, calls on the core, bytes out.
//!
//! Clients of Redis are pointed at Busbar unchanged: they publish and subscribe on the bus that
//! MQTT and AMQP share, in RESP2 or RESP3. Everything else that they send at connect is answered
//! as Redis 7.2 does; a small volatile map stands in for a keyspace.

mod command;
mod connection;
mod error;
mod keyspace;
mod monitor;
mod server;
mod settings;
mod translate;
mod tunables;
pub mod wire;

pub use connection::Connection;
pub use server::{Counters, Server};
pub use settings::{Durable, OutputLimit, Settings, SubscriberRule, WhenFull};
pub use translate::ORIGIN;
