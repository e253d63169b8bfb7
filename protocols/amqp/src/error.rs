//! Why a channel or a connection is closed, and how that is said: reply codes (AMQP 0-9-1 §1.2) and
//! RabbitMQ's texts, which users and client libraries search for.

use crate::wire::{FaultCode, Malformed, method_id::MethodId, methods::CloseReason};

/// A reply code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyCode {
    /// 320
    ConnectionForced,
    /// 403
    AccessRefused,
    /// 404
    NotFound,
    /// 405
    ResourceLocked,
    /// 406
    PreconditionFailed,
    /// 501
    FrameError,
    /// 502
    SyntaxError,
    /// 503
    CommandInvalid,
    /// 504
    ChannelError,
    /// 505
    UnexpectedFrame,
    /// 530
    NotAllowed,
    /// 540
    NotImplemented,
}

impl ReplyCode {
    /// The number and the name that a reply text begins with.
    #[must_use]
    pub const fn number_and_name(self) -> (u16, &'static str) {
        match self {
            Self::ConnectionForced => (320, "CONNECTION_FORCED"),
            Self::AccessRefused => (403, "ACCESS_REFUSED"),
            Self::NotFound => (404, "NOT_FOUND"),
            Self::ResourceLocked => (405, "RESOURCE_LOCKED"),
            Self::PreconditionFailed => (406, "PRECONDITION_FAILED"),
            Self::FrameError => (501, "FRAME_ERROR"),
            Self::SyntaxError => (502, "SYNTAX_ERROR"),
            Self::CommandInvalid => (503, "COMMAND_INVALID"),
            Self::ChannelError => (504, "CHANNEL_ERROR"),
            Self::UnexpectedFrame => (505, "UNEXPECTED_FRAME"),
            Self::NotAllowed => (530, "NOT_ALLOWED"),
            Self::NotImplemented => (540, "NOT_IMPLEMENTED"),
        }
    }

    /// Whether it closes the channel only, not the connection.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(
            self,
            Self::AccessRefused | Self::NotFound | Self::ResourceLocked | Self::PreconditionFailed
        )
    }
}

/// Why a request is refused. Closes its channel, or the connection if the code is a hard one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} - {text}", code.number_and_name().1)]
pub struct Refused {
    /// The reply code.
    pub code: ReplyCode,
    /// The explanation, without the code's name.
    pub text: String,
}

impl Refused {
    /// A refusal.
    pub fn new(code: ReplyCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// 406
    pub fn precondition(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }

    /// What `close` says; `method` is the one at fault.
    #[must_use]
    pub fn reason(&self, method: MethodId) -> CloseReason {
        CloseReason {
            code: self.code.number_and_name().0,
            text: self.to_string(),
            method,
        }
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed.code() {
            FaultCode::FrameError => ReplyCode::FrameError,
            FaultCode::SyntaxError => ReplyCode::SyntaxError,
            FaultCode::CommandInvalid => ReplyCode::CommandInvalid,
        };
        Self::new(code, malformed.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_its_code_first() {
        let refused = Refused::new(ReplyCode::NotFound, "no queue 'x' in vhost '/'");
        let reason = refused.reason(MethodId::BASIC_GET);
        assert_eq!(reason.code, 404);
        assert_eq!(reason.text, "NOT_FOUND - no queue 'x' in vhost '/'");
        assert_eq!(reason.method, MethodId::BASIC_GET);
    }

    #[test]
    fn malformed_bytes_close_the_connection() {
        for malformed in [Malformed::Fields, Malformed::Table, Malformed::ShortString] {
            assert!(!Refused::from(malformed).code.is_soft());
        }
    }
}
