//! What is on the wire: one file per codec.

mod lcm;
mod mqtt_sn;
mod raw;
mod reader;
mod uadp;

use bytes::Bytes;

pub use lcm::{CHANNEL_BYTES_MAX, Lcm};
pub use mqtt_sn::{MqttSn, SnVersion};
pub use raw::Raw;
pub(crate) use reader::Reader;
pub use uadp::{BadField, Field, FieldType, Uadp};

/// What a datagram said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The topic, if the format carries one.
    pub topic: Option<Bytes>,
    /// The body.
    pub payload: Bytes,
    /// Whether it is to be kept as the topic's value.
    pub retain: bool,
}

/// What a message asks of a codec.
#[derive(Clone, Copy, Debug)]
pub struct Departure<'a> {
    /// Its canonical address.
    pub topic: &'a [u8],
    /// The body.
    pub payload: &'a Bytes,
    /// Whether receivers are to keep it.
    pub retain: bool,
}

/// Why a message does not go out. It is counted and dropped whole, never cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It does not fit the link or the format.
    #[error("{bytes} bytes are more than the {bytes_max} of this link")]
    TooLarge {
        /// The message's size.
        bytes: usize,
        /// What the link takes.
        bytes_max: usize,
    },
    /// The format has no way to name its topic.
    #[error("the codec has no name for this topic")]
    NoName,
    /// The payload is not what the topic's fields say.
    #[error("the payload does not hold the topic's fields")]
    NoFields,
}

/// Why a datagram is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is larger than the link takes.
    #[error("{bytes} bytes are more than the {bytes_max} of this link")]
    TooLarge {
        /// Its size, or that of the message it is a piece of.
        bytes: usize,
        /// What the link takes.
        bytes_max: usize,
    },
    /// It is not what the codec says a datagram is.
    #[error("malformed")]
    Malformed,
    /// It is not sealed by a key of the link, or has been seen; the codec has counted it.
    #[error("refused")]
    Refused,
    /// It is well formed and of no use here: another packet type, an id that nobody has named.
    #[error("not for this link")]
    Unknown,
}

/// Checks a size.
///
/// # Errors
/// [`Unsendable::TooLarge`].
fn fits(bytes: usize, bytes_max: usize) -> Result<(), Unsendable> {
    if bytes > bytes_max {
        return Err(Unsendable::TooLarge { bytes, bytes_max });
    }
    Ok(())
}
