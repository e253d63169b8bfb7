//! Why a connection is closed, split by who is at fault, and what the client is told. What a
//! client does wrong inside one packet is [`Malformed`]; what is refused without closing has no
//! error, only a reason code.

use crate::wire::{Malformed, ReasonCode};

/// The client broke the protocol across packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerMisbehaved {
    /// An acknowledgement of the wrong kind for the message's QoS. \[MQTT-4.3.3-1\]
    #[error("acknowledgement does not fit the QoS of the message")]
    AckOfWrongKind,
    /// AUTH without an authentication method in CONNECT. \[MQTT-4.12.0-7\]
    #[error("AUTH without an authentication method")]
    AuthUnexpected,
    /// The client could not prove anew who it is.
    #[error("re-authentication failed")]
    AuthFailed,
    /// AUTH out of turn, or with another method than CONNECT. \[MQTT-4.12.0-5\], \[MQTT-4.12.1-1\]
    #[error("AUTH out of turn")]
    AuthOutOfTurn,
    /// Nothing was heard for one and a half times the keep alive. \[MQTT-3.1.2-22\]
    #[error("keep alive timed out")]
    KeepAlive,
    /// A packet that is broken in itself.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A packet had begun and did not arrive whole in time.
    #[error("a packet took too long to arrive")]
    PacketTimeout,
    /// DISCONNECT sets a session expiry where CONNECT set none. \[MQTT-3.14.2-2\]
    #[error("session expiry raised from 0 in DISCONNECT")]
    SessionExpiryRaised,
    /// A topic alias of 0, or above the maximum. \[MQTT-3.3.2-8\], \[MQTT-3.3.2-9\]
    #[error("topic alias out of range")]
    TopicAliasInvalid,
    /// A topic alias that no topic was set for. MQTT 5 §3.3.2.3.4
    #[error("topic alias is not set")]
    TopicAliasUnknown,
}

/// The client went beyond a limit that it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// An answer that the client must be given is larger than its Maximum Packet Size.
    #[error("the answer is larger than the client's maximum packet size")]
    AnswerTooLarge,
    /// More QoS 1 and 2 messages than the Receive Maximum. \[MQTT-3.3.4-9\]
    #[error("more unacknowledged messages than the receive maximum")]
    ReceiveMaximum,
    /// There is no room to keep what it publishes. Only 3.x is closed for it.
    #[error("no room for more messages")]
    Storage,
    /// A topic is longer or deeper than allowed, in a PUBLISH that has no negative acknowledgement.
    #[error("the topic is longer or has more levels than allowed")]
    Topic,
    /// It does not read what it is sent.
    #[error("the client fell too far behind")]
    TooSlow,
}

/// The connection ends for a reason outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Somebody with the right to do so closed it.
    #[error("closed by an administrator")]
    Administratively,
    /// The server stops.
    #[error("server shutting down")]
    ShuttingDown,
    /// Another connection has the same client identifier. \[MQTT-3.1.4-3\]
    #[error("session taken over")]
    TakenOver,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client broke the protocol.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The client went beyond a limit.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// Nobody in this connection is at fault.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl From<Malformed> for Error {
    fn from(fault: Malformed) -> Self {
        Self::PeerMisbehaved(PeerMisbehaved::Malformed(fault))
    }
}

impl Error {
    /// The reason code of the DISCONNECT; `None` closes without one.
    #[must_use]
    pub fn reason_code(self) -> Option<ReasonCode> {
        match self {
            Self::PeerMisbehaved(fault) => fault.reason_code(),
            Self::LimitExceeded(LimitExceeded::AnswerTooLarge) => {
                Some(ReasonCode::PACKET_TOO_LARGE)
            }
            Self::LimitExceeded(LimitExceeded::ReceiveMaximum) => {
                Some(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED)
            }
            Self::LimitExceeded(LimitExceeded::Topic) => Some(ReasonCode::TOPIC_NAME_INVALID),
            Self::LimitExceeded(LimitExceeded::Storage | LimitExceeded::TooSlow) => {
                Some(ReasonCode::QUOTA_EXCEEDED)
            }
            Self::Ended(Ended::Administratively) => Some(ReasonCode::ADMINISTRATIVE_ACTION),
            Self::Ended(Ended::ShuttingDown) => Some(ReasonCode::SERVER_SHUTTING_DOWN),
            Self::Ended(Ended::TakenOver) => Some(ReasonCode::SESSION_TAKEN_OVER),
        }
    }
}

impl PeerMisbehaved {
    fn reason_code(self) -> Option<ReasonCode> {
        match self {
            Self::Malformed(fault) => fault.answer(),
            Self::PacketTimeout => Some(ReasonCode::IMPLEMENTATION_SPECIFIC),
            Self::KeepAlive => Some(ReasonCode::KEEP_ALIVE_TIMEOUT),
            Self::TopicAliasInvalid => Some(ReasonCode::TOPIC_ALIAS_INVALID),
            Self::AuthFailed => Some(ReasonCode::NOT_AUTHORIZED),
            Self::AckOfWrongKind
            | Self::AuthOutOfTurn
            | Self::AuthUnexpected
            | Self::SessionExpiryRaised
            | Self::TopicAliasUnknown => Some(ReasonCode::PROTOCOL_ERROR),
        }
    }
}
