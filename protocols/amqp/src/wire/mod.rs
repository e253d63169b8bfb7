//! The bytes of AMQP 0-9-1, and nothing of what they mean.
//!
//! ```text
//! read buffer ─► frame (split) ─┬─► whole, publish, settle, content : hot, own, no copy
//!                               └─► guard ─► methods         : everything else, by amq-protocol
//! write buffer ◄─┬─ deliver, content                         : hot, own
//!                └─ replies                                  : everything else, by amq-protocol
//! ```
//!
//! The crate amq-protocol is named in `methods` and `replies` alone. It recurses into nested field
//! tables without a bound, so no byte reaches it that [`guard`] has not walked.

pub mod content;
pub mod deliver;
pub mod frame;
pub mod guard;
pub mod method_id;
pub mod methods;
pub mod properties;
pub mod publish;
pub mod reader;
pub mod replies;
pub mod settle;
pub mod table;
pub mod whole;

#[cfg(test)]
mod allocation_tests;

use routing::OutBuf;

/// What is wrong with a peer's bytes. Carries numbers only: an attacker must not buy allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A body frame holds more than its content header announced.
    #[error("content body frame exceeds remaining content size")]
    BodyTooLong,
    /// The octet after the payload is not [`frame::FRAME_END`].
    #[error("type {kind}: {{invalid_frame_end_marker,{found}}}")]
    FrameEnd {
        /// The frame type octet.
        kind: u8,
        /// The octet found in place of the end marker.
        found: u8,
    },
    /// The frame is larger than negotiated.
    #[error("type {kind}, all octets = <<>>: {{frame_too_large,{size},{limit}}}")]
    FrameTooLarge {
        /// The frame type octet.
        kind: u8,
        /// Payload size announced, in bytes.
        size: u32,
        /// Payload size allowed, in bytes.
        limit: u32,
    },
    /// A frame type other than method, header, body and heartbeat.
    #[error("type {kind}: unknown_frame")]
    FrameType {
        /// The frame type octet.
        kind: u8,
    },
    /// A method's, a content header's or a heartbeat's payload is too short or too long.
    #[error("cannot decode the fields of the frame")]
    Fields,
    /// The flags of a content header announce a second word, which 0-9-1 never uses.
    #[error("content header with more than one word of property flags")]
    PropertyFlags,
    /// The properties of a content header do not end where its flags say.
    #[error("properties do not match their flags")]
    Properties,
    /// A short string of a method without content is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    ShortString,
    /// A field table ends inside a value, or a value goes past the table's end.
    #[error("field table does not end where its length says")]
    Table,
    /// Tables and arrays inside each other, deeper than [`guard::DEPTH_MAX`].
    #[error("field table nested too deeply")]
    TableDepth,
    /// A field value of an unknown type.
    #[error("field value of unknown type {tag}")]
    TableType {
        /// The type octet.
        tag: u8,
    },
    /// More values in a method's table than [`guard::METHOD_VALUES_MAX`].
    #[error("field table with too many values")]
    TableValues,
    /// No such method, or one that only a server sends.
    #[error("unimplemented method")]
    UnknownMethod {
        /// The class id.
        class: u16,
        /// The method id.
        method: u16,
    },
}

/// The reply codes that malformed bytes can earn; all of them close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// 501: the frame itself is wrong.
    FrameError,
    /// 502: the frame is whole, a field in it is not.
    SyntaxError,
    /// 503: a method nobody may send to a server.
    CommandInvalid,
}

impl Malformed {
    /// The reply code for `connection.close` (AMQP 0-9-1 §1.2). Where RabbitMQ crashes its channel
    /// (541) on a bad table, this says 502; the choice is non-normative.
    #[must_use]
    pub fn code(self) -> FaultCode {
        match self {
            Self::BodyTooLong
            | Self::Fields
            | Self::FrameEnd { .. }
            | Self::FrameTooLarge { .. }
            | Self::FrameType { .. }
            | Self::ShortString => FaultCode::FrameError,
            Self::PropertyFlags
            | Self::Properties
            | Self::Table
            | Self::TableDepth
            | Self::TableType { .. }
            | Self::TableValues => FaultCode::SyntaxError,
            Self::UnknownMethod { .. } => FaultCode::CommandInvalid,
        }
    }

    /// Whether the border of the next frame is lost, so that no further byte may be read.
    #[must_use]
    pub fn is_out_of_sync(self) -> bool {
        matches!(self, Self::FrameEnd { .. } | Self::FrameTooLarge { .. })
    }
}
