//! LAN datagram codecs: a datagram becomes a topic and a payload, a message becomes a datagram.
//! No sockets and no clock; the sockets are in `gateway/src/net`.

mod raw;
mod template;

pub use raw::{Raw, TooLarge};
pub use template::{BadTemplate, Envelope, TEMPLATE_BYTES_MAX, TopicTemplate};
