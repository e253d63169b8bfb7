//! The neutral form of a message's properties: what one protocol reads of another's message.
//!
//! A message carries the bytes that its publisher sent; only a reader that speaks another protocol
//! asks for this form, and it is made once.

use bytes::Bytes;

use crate::value::Table;

/// Where an answer goes, as the publisher named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyTo {
    /// An AMQP `reply_to`: the name of a queue, routed by the default exchange.
    Queue(Bytes),
    /// An address on the bus: an MQTT response topic.
    Address(Bytes),
}

/// Properties that any protocol may read. Absent ones are `None`; expiry, durability, priority and
/// retain are fields of [`crate::Message`] itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    /// MIME type of the payload.
    pub content_type: Option<Bytes>,
    /// Encoding of the payload, such as `gzip`.
    pub content_encoding: Option<Bytes>,
    /// Ties an answer to its request.
    pub correlation_id: Option<Bytes>,
    /// Where the answer goes.
    pub reply_to: Option<ReplyTo>,
    /// The application's id of the message.
    pub message_id: Option<Bytes>,
    /// Seconds since the Unix epoch, as the publisher set it.
    pub timestamp: Option<u64>,
    /// The application's name of the message type.
    pub message_type: Option<Bytes>,
    /// The user that the publisher claims, and the gateway has checked.
    pub user_id: Option<Bytes>,
    /// The publishing application.
    pub app_id: Option<Bytes>,
    /// MQTT 5: 1 when the payload is UTF-8 text, 0 when it is bytes.
    pub payload_format: Option<u8>,
    /// The priority that the publisher wrote, if it wrote one (0..=255).
    pub priority: Option<u8>,
    /// The time to live in milliseconds, as the publisher wrote it.
    pub expiration_ms: Option<u64>,
    /// Further routing keys to which the publisher addressed it openly (AMQP: the header `CC`).
    pub copies: Vec<Bytes>,
    /// Headers (AMQP) or user properties (MQTT 5), in order.
    pub headers: Table,
}
