//! LAN datagrams: a datagram becomes a message on the bus, a message becomes a datagram. No
//! sockets and no clock; the sockets are in `gateway/src/net/lan`.
//!
//! `wire` holds the codecs, `template` names the topic of what carries none, `connection` is the
//! link, `translate` the only bridge to the core's words.

mod connection;
mod settings;
mod template;
mod translate;
mod wire;

pub use connection::{Link, Taken};
pub use settings::Settings;
pub use template::{BadTemplate, Envelope, TEMPLATE_BYTES_MAX, TopicTemplate};
pub use translate::ORIGIN;
pub use wire::{Raw, TooLarge};
