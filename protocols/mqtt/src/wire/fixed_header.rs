//! The framer: finds where one packet ends, before anything of it is buffered or parsed, and
//! refuses what no limit or packet type allows. Apart from the packets, because it alone sees bytes
//! that have not all arrived.
//!
//! ```text
//!  7 6 5 4   3 2 1 0
//! +--------+---------+-----------------------------+----------------------+
//! |  type  |  flags  | remaining length (VBI, 1-4) | remaining length bytes|
//! +--------+---------+-----------------------------+----------------------+
//! ```

use super::{Malformed, Version};

/// The packet types. MQTT 5 table 2-1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the standard's own name")]
pub enum PacketType {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Pingreq = 12,
    Pingresp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type in the high half of a first byte; `None` for 0, which is forbidden.
    #[must_use]
    pub fn of(first_byte: u8) -> Option<Self> {
        Some(match first_byte >> 4 {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The first byte of this packet type with its fixed flags; PUBLISH adds its own.
    #[must_use]
    pub fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.fixed_flags()
    }

    /// MQTT 5 table 2-2
    fn fixed_flags(self) -> u8 {
        match self {
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }
}

/// Which end of the connection sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The packet goes to a server.
    Client,
    /// The packet goes to a client.
    Server,
}

/// Sizes of whole packets in bytes, the fixed header included; checked on the remaining length,
/// before a body is buffered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Any packet; the Maximum Packet Size that CONNACK announces.
    pub packet: u32,
    /// CONNECT. Its sender is a stranger still, so this one is smaller.
    pub connect: u32,
    /// SUBSCRIBE and UNSUBSCRIBE, whose parsed form is larger than their bytes.
    pub subscribe: u32,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH.
    pub small: u32,
}

impl Default for SizeLimits {
    /// Mosquitto's numbers, except for CONNECT: a will, user name, password and client identifier
    /// of the largest size all fit.
    fn default() -> Self {
        Self {
            packet: 2_000_000,
            connect: 524_288,
            subscribe: 100_000,
            small: 100_000,
        }
    }
}

impl SizeLimits {
    fn of(&self, packet_type: PacketType) -> u32 {
        let own = match packet_type {
            PacketType::Connect => return self.connect,
            PacketType::Subscribe | PacketType::Unsubscribe => self.subscribe,
            PacketType::Puback
            | PacketType::Pubrec
            | PacketType::Pubrel
            | PacketType::Pubcomp
            | PacketType::Disconnect
            | PacketType::Auth => self.small,
            _ => self.packet,
        };
        own.min(self.packet)
    }
}

/// A fixed header that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    /// The type.
    pub packet_type: PacketType,
    /// Type and flags.
    pub first_byte: u8,
    /// Bytes of the fixed header: 2 to 5.
    pub header_len: usize,
    /// Bytes of the whole packet.
    pub packet_len: usize,
}

/// Who is expected to send what.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The settled version; `None` while only CONNECT may come.
    pub version: Option<Version>,
    /// Who sends.
    pub sender: Sender,
}

/// Reads the fixed header at the start of `input`; `Ok(None)` if it has not arrived whole. The body
/// need not have arrived.
///
/// # Errors
/// In this order: [`Malformed::PacketType`] for type 0 or a first packet that is not CONNECT;
/// [`Malformed::RemainingLength`], [`Malformed::NotMinimal`]; [`Malformed::FixedLength`];
/// [`Malformed::PacketTooLarge`]; [`Malformed::Flags`]; [`Malformed::PacketType`] for a packet that
/// the other end sends.
pub fn read(
    input: &[u8],
    expect: Expect,
    limits: &SizeLimits,
) -> Result<Option<FixedHeader>, Malformed> {
    let Some((&first_byte, rest)) = input.split_first() else {
        return Ok(None);
    };
    let packet_type = PacketType::of(first_byte).ok_or(Malformed::PacketType)?;
    if (packet_type == PacketType::Connect) != expect.version.is_none() {
        return Err(Malformed::PacketType);
    }
    let Some((remaining, length_len)) = remaining_length(rest)? else {
        return Ok(None);
    };
    check_fixed_length(packet_type, remaining, expect.version)?;
    let header_len = 1 + length_len;
    let packet_len = header_len + remaining;
    if u32::try_from(packet_len).map_or(true, |length| length > limits.of(packet_type)) {
        return Err(Malformed::PacketTooLarge);
    }
    check_flags(first_byte, packet_type, expect.version)?;
    if !may_send(expect.sender, packet_type) {
        return Err(Malformed::PacketType);
    }
    Ok(Some(FixedHeader {
        packet_type,
        first_byte,
        header_len,
        packet_len,
    }))
}

/// The remaining length and the number of bytes it takes. Not
/// [`Reader::varint`](super::Reader::varint), for which the end of the input is an error.
fn remaining_length(input: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0;
    for (count, &byte) in input.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * count);
        if byte & 0x80 == 0 {
            let is_minimal = byte != 0 || count == 0;
            return if is_minimal {
                Ok(Some((value, count + 1)))
            } else {
                Err(Malformed::NotMinimal)
            };
        }
    }
    if input.len() < 4 {
        Ok(None)
    } else {
        Err(Malformed::RemainingLength)
    }
}

/// Packets that have one length only. MQTT 3.1.1 §3.4 to §3.14
fn check_fixed_length(
    packet_type: PacketType,
    remaining: usize,
    version: Option<Version>,
) -> Result<(), Malformed> {
    let is_v5 = version == Some(Version::V5);
    let expected = match packet_type {
        PacketType::Pingreq | PacketType::Pingresp => 0,
        PacketType::Disconnect if !is_v5 => 0,
        PacketType::Puback
        | PacketType::Pubrec
        | PacketType::Pubrel
        | PacketType::Pubcomp
        | PacketType::Connack
        | PacketType::Unsuback
            if !is_v5 =>
        {
            2
        }
        _ => return Ok(()),
    };
    if remaining == expected {
        Ok(())
    } else {
        Err(Malformed::FixedLength)
    }
}

/// \[MQTT-2.1.3-1\]
fn check_flags(
    first_byte: u8,
    packet_type: PacketType,
    version: Option<Version>,
) -> Result<(), Malformed> {
    let flags = first_byte & 0x0F;
    // 3.1 sends PUBREL, SUBSCRIBE and UNSUBSCRIBE again with DUP set; MQTT 3.1 §2.1.
    let dup = if version == Some(Version::V31) {
        0b1000
    } else {
        0
    };
    match packet_type {
        PacketType::Publish | PacketType::Connect => Ok(()),
        _ if flags & !dup == packet_type.fixed_flags() => Ok(()),
        // Mosquitto refuses it as a whole before it looks at its flags.
        PacketType::Connack => Err(Malformed::PacketType),
        _ => Err(Malformed::Flags),
    }
}

/// MQTT 5 table 2-1, "direction of flow"
fn may_send(sender: Sender, packet_type: PacketType) -> bool {
    match packet_type {
        PacketType::Connect
        | PacketType::Subscribe
        | PacketType::Unsubscribe
        | PacketType::Pingreq => sender == Sender::Client,
        PacketType::Connack | PacketType::Suback | PacketType::Unsuback | PacketType::Pingresp => {
            sender == Sender::Server
        }
        _ => true,
    }
}

#[cfg(test)]
#[path = "fixed_header_tests.rs"]
mod tests;
