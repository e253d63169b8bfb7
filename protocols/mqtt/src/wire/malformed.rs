//! What can be wrong with a peer's bytes. Small and `Copy`: a peer can cause one per packet, so it
//! must cost nothing. "More bytes are needed" is not here; that is `Ok(None)` of the framer.

use super::ReasonCode;

/// Why a packet was refused. [`Malformed::answer`] is what MQTT 5 is told about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Authentication data came without an authentication method (MQTT 5 §3.1.2.11.10).
    #[error("authentication data without an authentication method")]
    AuthenticationDataAlone,
    /// A client identifier that is not UTF-8. \[MQTT-3.1.3-4\]
    #[error("client identifier not valid")]
    ClientId,
    /// An empty client identifier in 3.1, or in 3.1.1 without clean session. \[MQTT-3.1.3-8\]
    #[error("empty client identifier")]
    ClientIdEmpty,
    /// The reserved bit of the connect flags is 1. \[MQTT-3.1.2-3\]
    #[error("reserved connect flag is set")]
    ConnectFlags,
    /// CONNECT ends before its client identifier.
    #[error("CONNECT ends before its client identifier")]
    ConnectTruncated,
    /// User name or password do not agree with the connect flags. \[MQTT-3.1.2-16\] to
    /// \[MQTT-3.1.2-19\]
    #[error("user name or password does not match the connect flags")]
    Credentials,
    /// DUP on a QoS 0 message. \[MQTT-3.3.1-2\]
    #[error("DUP is set on a QoS 0 message")]
    DupWithoutQos,
    /// A property that may stand once stands twice.
    #[error("property is given twice")]
    DuplicateProperty,
    /// SUBSCRIBE or UNSUBSCRIBE without a topic filter. \[MQTT-3.8.3-2\], \[MQTT-3.10.3-2\]
    #[error("no topic filter")]
    EmptyFilterList,
    /// PINGREQ or PINGRESP with a body, or one of the packets of 3.x that has a fixed length.
    #[error("wrong length for this packet type")]
    FixedLength,
    /// The low four bits of the first byte are not what the packet type asks for. \[MQTT-2.1.3-1\]
    #[error("reserved flags of the fixed header")]
    Flags,
    /// No-local on a shared subscription. \[MQTT-3.8.3-4\]
    #[error("no-local on a shared subscription")]
    NoLocalShared,
    /// A variable byte integer that is longer than it has to be. \[MQTT-1.5.5-1\]
    #[error("variable byte integer is not minimal")]
    NotMinimal,
    /// Packet identifier 0. \[MQTT-2.2.1-3\]
    #[error("packet identifier is 0")]
    PacketIdZero,
    /// The packet is larger than the receiver allows. \[MQTT-3.1.2-24\]
    #[error("packet too large")]
    PacketTooLarge,
    /// Packet type 0, or a type that only a server sends.
    #[error("packet type not expected here")]
    PacketType,
    /// A property that this packet type does not have.
    #[error("property not allowed in this packet")]
    PropertyNotAllowed,
    /// An unknown property identifier.
    #[error("unknown property")]
    PropertyUnknown,
    /// A property value out of its range, such as Receive Maximum 0.
    #[error("property value out of range")]
    PropertyValue,
    /// The protocol name is neither `MQTT` nor `MQIsdp`. \[MQTT-3.1.2-1\]
    #[error("unknown protocol name")]
    ProtocolName,
    /// The protocol level is not served. \[MQTT-3.1.2-2\]
    #[error("unsupported protocol version")]
    ProtocolVersion,
    /// QoS 3. \[MQTT-3.3.1-4\]
    #[error("QoS 3")]
    Qos,
    /// A reason code that this packet type does not have.
    #[error("reason code not allowed in this packet")]
    Reason,
    /// A remaining length of more than four bytes. MQTT 5 §2.1.4
    #[error("remaining length has more than four bytes")]
    RemainingLength,
    /// `$share` without a share name, or without a filter. \[MQTT-4.8.2-1\]
    #[error("invalid shared subscription")]
    SharedSubscription,
    /// Packet identifier 0 or a wrong property in SUBSCRIBE or UNSUBSCRIBE. Mosquitto calls these
    /// malformed here and protocol errors in every other packet.
    #[error("invalid packet identifier or property of a subscription")]
    SubscriptionHeader,
    /// Reserved bits of the subscription options, or retain handling 3. \[MQTT-3.8.3-5\]
    #[error("reserved bits of the subscription options")]
    SubscriptionOptions,
    /// Wildcards where none may be, an empty filter, or too many levels. \[MQTT-4.7.1-1\]
    #[error("invalid topic filter")]
    TopicFilter,
    /// A wildcard in a topic name, or no topic at all. \[MQTT-3.3.2-2\]
    #[error("invalid topic name")]
    TopicName,
    /// Bytes are left after the end of the packet.
    #[error("bytes after the end of the packet")]
    TrailingBytes,
    /// The packet ends in the middle of a field.
    #[error("packet ends in the middle of a field")]
    Truncated,
    /// Not UTF-8, or a character that MQTT forbids or discourages. \[MQTT-1.5.4-1\],
    /// \[MQTT-1.5.4-2\]
    #[error("string is not valid UTF-8")]
    Utf8,
    /// A variable byte integer of more than four bytes. MQTT 5 §1.5.5
    #[error("variable byte integer has more than four bytes")]
    VarintTooLong,
    /// A will flag that does not agree with will QoS, retain, topic or payload.
    /// \[MQTT-3.1.2-11\] to \[MQTT-3.1.2-13\]
    #[error("will does not match the connect flags")]
    WillFlags,
}

impl Malformed {
    /// The reason code of the DISCONNECT that MQTT 5 gets before the connection closes; `None`
    /// closes without a word, as Mosquitto does where the length itself cannot be trusted.
    #[must_use]
    pub fn answer(self) -> Option<ReasonCode> {
        match self {
            Self::ConnectFlags
            | Self::ConnectTruncated
            | Self::Credentials
            | Self::FixedLength
            | Self::ProtocolName
            | Self::RemainingLength
            | Self::WillFlags => None,
            Self::PacketTooLarge => Some(ReasonCode::PACKET_TOO_LARGE),
            Self::ClientId | Self::ClientIdEmpty => Some(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
            Self::ProtocolVersion => Some(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
            Self::AuthenticationDataAlone
            | Self::DuplicateProperty
            | Self::NoLocalShared
            | Self::PacketIdZero
            | Self::PacketType
            | Self::PropertyNotAllowed
            | Self::PropertyValue
            | Self::Reason
            | Self::SharedSubscription => Some(ReasonCode::PROTOCOL_ERROR),
            Self::DupWithoutQos
            | Self::EmptyFilterList
            | Self::Flags
            | Self::NotMinimal
            | Self::PropertyUnknown
            | Self::Qos
            | Self::SubscriptionHeader
            | Self::SubscriptionOptions
            | Self::TopicFilter
            | Self::TopicName
            | Self::TrailingBytes
            | Self::Truncated
            | Self::Utf8
            | Self::VarintTooLong => Some(ReasonCode::MALFORMED_PACKET),
        }
    }
}
