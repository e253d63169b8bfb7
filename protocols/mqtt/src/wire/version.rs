//! The three protocol versions on the wire. Apart from [`Connect`](super::Connect), because every
//! other packet is read and written in the version that CONNECT settled.

/// The version a client asked for in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1, protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1, protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0, protocol name `MQTT`, level 5.
    V5,
}

impl Version {
    /// True for the version that has properties and reason codes.
    #[must_use]
    pub fn has_properties(self) -> bool {
        self == Self::V5
    }

    /// The protocol name of CONNECT. \[MQTT-3.1.2-1\]
    #[must_use]
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }

    /// The protocol level (version number) of CONNECT.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }
}
