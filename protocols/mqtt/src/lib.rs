//! MQTT 3.1, 3.1.1 and 5.0: bytes in, calls on the core, bytes out. No socket, no clock, no task.
//!
//! [`Connection`] is one client's state machine, driven by the gateway over
//! [`routing::Frontend`]; [`wire`] is the codec; `translate` is where MQTT's words become the
//! core's and back.

mod connection;
mod counters;
mod error;
mod settings;
mod translate;
pub mod wire;

pub use connection::Connection;
pub use counters::{Count, Counters};
pub use error::{Ended, Error, LimitExceeded, PeerMisbehaved};
pub use settings::{Settings, TopicLimits};
pub use translate::{ORIGIN, ORIGINS, VOUCHED_ORIGIN};
