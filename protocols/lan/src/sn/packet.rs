//! MQTT-SN 1.2's packets: bytes to words and back (specification 1.2, chapter 5).
//!
//! ```text
//! | length (1) | type | ... |                up to 255 bytes, the length itself included
//! | 01 | length (2) | type | ... |           longer ones
//!
//! flags: DUP 80  QoS 60 (0, 1, 2; 3 is -1)  retain 10  will 08  clean session 04  topic type 03
//! ```

use bytes::Bytes;

use crate::wire::Reader;

/// What a client may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnCode {
    /// 0: accepted.
    Accepted,
    /// 1: try again later.
    Congestion,
    /// 2: no such topic.
    InvalidTopic,
    /// 3: not here.
    NotSupported,
}

impl ReturnCode {
    const fn byte(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Congestion => 1,
            Self::InvalidTopic => 2,
            Self::NotSupported => 3,
        }
    }

    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Accepted,
            1 => Self::Congestion,
            2 => Self::InvalidTopic,
            _ => Self::NotSupported,
        }
    }
}

/// How a topic is named in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicType {
    /// By an id that was registered; in SUBSCRIBE by its name.
    Normal,
    /// By an id that both sides know beforehand.
    Predefined,
    /// By two characters.
    Short,
}

/// The flags of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) dup: bool,
    /// 3 is QoS -1.
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) will: bool,
    pub(super) clean: bool,
    pub(super) topic: TopicType,
}

/// The QoS of publications without a connection, as it is written.
pub(super) const QOS_MINUS_1: u8 = 3;

impl Flags {
    pub(super) const NONE: Self = Self {
        dup: false,
        qos: 0,
        retain: false,
        will: false,
        clean: false,
        topic: TopicType::Normal,
    };

    fn of(byte: u8) -> Option<Self> {
        Some(Self {
            dup: byte & 0x80 != 0,
            qos: byte >> 5 & 3,
            retain: byte & 0x10 != 0,
            will: byte & 0x08 != 0,
            clean: byte & 0x04 != 0,
            topic: match byte & 3 {
                0 => TopicType::Normal,
                1 => TopicType::Predefined,
                2 => TopicType::Short,
                _ => return None,
            },
        })
    }

    fn byte(self) -> u8 {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let topic = match self.topic {
            TopicType::Normal => 0,
            TopicType::Predefined => 1,
            TopicType::Short => 2,
        };
        bit(self.dup, 0x80)
            | (self.qos & 3) << 5
            | bit(self.retain, 0x10)
            | bit(self.will, 0x08)
            | bit(self.clean, 0x04)
            | topic
    }
}

/// A packet, either way. What only gateways send is understood, so that others' is told from
/// what is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Advertise {
        gateway: u8,
        seconds: u16,
    },
    SearchGateway,
    GatewayInfo {
        gateway: u8,
    },
    Connect {
        flags: Flags,
        protocol: u8,
        seconds: u16,
        client: &'a [u8],
    },
    Connack(ReturnCode),
    WillTopicRequest,
    WillTopic {
        flags: Flags,
        topic: &'a [u8],
    },
    WillMessageRequest,
    WillMessage(&'a [u8]),
    Register {
        topic: u16,
        id: u16,
        name: &'a [u8],
    },
    Regack {
        topic: u16,
        id: u16,
        code: ReturnCode,
    },
    Publish {
        flags: Flags,
        topic: u16,
        id: u16,
        payload: &'a [u8],
    },
    Puback {
        topic: u16,
        id: u16,
        code: ReturnCode,
    },
    Pubcomp(u16),
    Pubrec(u16),
    Pubrel(u16),
    Subscribe {
        flags: Flags,
        id: u16,
        topic: &'a [u8],
    },
    Suback {
        qos: u8,
        topic: u16,
        id: u16,
        code: ReturnCode,
    },
    Unsubscribe {
        flags: Flags,
        id: u16,
        topic: &'a [u8],
    },
    Unsuback(u16),
    Pingreq {
        client: &'a [u8],
    },
    Pingresp,
    Disconnect {
        seconds: Option<u16>,
    },
    WillTopicUpdate {
        flags: Flags,
        topic: &'a [u8],
    },
    WillTopicResponse(ReturnCode),
    WillMessageUpdate(&'a [u8]),
    WillMessageResponse(ReturnCode),
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not what the specification says.
    Malformed,
    /// A packet that is not served: forwarder encapsulation, or an unknown type.
    Unknown,
}

impl<'a> Packet<'a> {
    /// Reads a datagram, which is one packet.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) fn decode(datagram: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(datagram);
        let length = match reader.u8().ok_or(Fault::Malformed)? {
            1 => usize::from(reader.u16_be().ok_or(Fault::Malformed)?),
            short => usize::from(short),
        };
        if length != datagram.len() {
            return Err(Fault::Malformed);
        }
        let kind = reader.u8().ok_or(Fault::Malformed)?;
        if kind > 0x1D || [0x03, 0x11, 0x19].contains(&kind) {
            return Err(Fault::Unknown);
        }
        Self::body(kind, &mut reader).ok_or(Fault::Malformed)
    }

    fn body(kind: u8, reader: &mut Reader<'a>) -> Option<Self> {
        let r = reader;
        let packet = match kind {
            0x00 => Self::Advertise {
                gateway: r.u8()?,
                seconds: r.u16_be()?,
            },
            0x01 => {
                r.u8()?;
                Self::SearchGateway
            }
            // A client that answers for a gateway adds its address.
            0x02 => {
                let gateway = r.u8()?;
                r.take_rest();
                Self::GatewayInfo { gateway }
            }
            0x04 => Self::Connect {
                flags: Flags::of(r.u8()?)?,
                protocol: r.u8()?,
                seconds: r.u16_be()?,
                client: r.take_rest(),
            },
            0x05 => Self::Connack(ReturnCode::of(r.u8()?)),
            0x06 => Self::WillTopicRequest,
            0x07 => Self::will_topic(r).map(|(flags, topic)| Self::WillTopic { flags, topic })?,
            0x08 => Self::WillMessageRequest,
            0x09 => Self::WillMessage(r.take_rest()),
            0x0A => Self::Register {
                topic: r.u16_be()?,
                id: r.u16_be()?,
                name: r.take_rest(),
            },
            0x0C => Self::Publish {
                flags: Flags::of(r.u8()?)?,
                topic: r.u16_be()?,
                id: r.u16_be()?,
                payload: r.take_rest(),
            },
            0x1A => {
                Self::will_topic(r).map(|(flags, topic)| Self::WillTopicUpdate { flags, topic })?
            }
            0x1C => Self::WillMessageUpdate(r.take_rest()),
            0x16 => Self::Pingreq {
                client: r.take_rest(),
            },
            0x12 | 0x14 => {
                let (flags, id, topic) = (Flags::of(r.u8()?)?, r.u16_be()?, r.take_rest());
                match kind {
                    0x12 => Self::Subscribe { flags, id, topic },
                    _ => Self::Unsubscribe { flags, id, topic },
                }
            }
            other => Self::answer(other, r)?,
        };
        r.rest().is_empty().then_some(packet)
    }

    /// What answers something.
    fn answer(kind: u8, r: &mut Reader<'a>) -> Option<Self> {
        Some(match kind {
            0x0B | 0x0D => {
                let (topic, id) = (r.u16_be()?, r.u16_be()?);
                let code = ReturnCode::of(r.u8()?);
                match kind {
                    0x0B => Self::Regack { topic, id, code },
                    _ => Self::Puback { topic, id, code },
                }
            }
            0x0E => Self::Pubcomp(r.u16_be()?),
            0x0F => Self::Pubrec(r.u16_be()?),
            0x10 => Self::Pubrel(r.u16_be()?),
            0x13 => Self::Suback {
                qos: Flags::of(r.u8()?)?.qos,
                topic: r.u16_be()?,
                id: r.u16_be()?,
                code: ReturnCode::of(r.u8()?),
            },
            0x15 => Self::Unsuback(r.u16_be()?),
            0x17 => Self::Pingresp,
            0x18 if r.rest().is_empty() => Self::Disconnect { seconds: None },
            0x18 => Self::Disconnect {
                seconds: Some(r.u16_be()?),
            },
            0x1B => Self::WillTopicResponse(ReturnCode::of(r.u8()?)),
            0x1D => Self::WillMessageResponse(ReturnCode::of(r.u8()?)),
            _ => return None,
        })
    }

    /// An empty one takes the will back.
    fn will_topic(r: &mut Reader<'a>) -> Option<(Flags, &'a [u8])> {
        if r.rest().is_empty() {
            return Some((Flags::NONE, &[]));
        }
        Some((Flags::of(r.u8()?)?, r.take_rest()))
    }

    /// The datagram.
    pub(super) fn encode(&self) -> Bytes {
        let mut body = Vec::with_capacity(16);
        self.put_body(&mut body);
        let short = u8::try_from(body.len() + 1).ok();
        let mut packet = Vec::with_capacity(body.len() + 3);
        match short {
            Some(length) => packet.push(length),
            None => {
                packet.push(1);
                // Nothing longer than a datagram gets this far.
                let length = u16::try_from(body.len() + 3).unwrap_or(u16::MAX);
                packet.extend(length.to_be_bytes());
            }
        }
        packet.extend(body);
        packet.into()
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Advertise { gateway, seconds } => {
                put(out, 0x00, &[&[gateway], &seconds.to_be_bytes()]);
            }
            Self::SearchGateway => put(out, 0x01, &[&[0]]),
            Self::GatewayInfo { gateway } => put(out, 0x02, &[&[gateway]]),
            Self::Connect {
                flags,
                protocol,
                seconds,
                client,
            } => {
                let head = [flags.byte(), protocol];
                put(out, 0x04, &[&head, &seconds.to_be_bytes(), client]);
            }
            Self::WillTopicRequest => put(out, 0x06, &[]),
            Self::WillTopic { topic: [], .. } => put(out, 0x07, &[]),
            Self::WillTopic { flags, topic } => put(out, 0x07, &[&[flags.byte()], topic]),
            Self::WillMessageRequest => put(out, 0x08, &[]),
            Self::WillMessage(text) => put(out, 0x09, &[text]),
            Self::Register { topic, id, name } => {
                put(out, 0x0A, &[&topic.to_be_bytes(), &id.to_be_bytes(), name]);
            }
            Self::Publish {
                flags,
                topic,
                id,
                payload,
            } => {
                let (flags, topic) = ([flags.byte()], topic.to_be_bytes());
                put(out, 0x0C, &[&flags, &topic, &id.to_be_bytes(), payload]);
            }
            Self::Subscribe { flags, id, topic } => {
                put(out, 0x12, &[&[flags.byte()], &id.to_be_bytes(), topic]);
            }
            Self::Unsubscribe { flags, id, topic } => {
                put(out, 0x14, &[&[flags.byte()], &id.to_be_bytes(), topic]);
            }
            Self::Pingreq { client } => put(out, 0x16, &[client]),
            Self::WillTopicUpdate { topic: [], .. } => put(out, 0x1A, &[]),
            Self::WillTopicUpdate { flags, topic } => put(out, 0x1A, &[&[flags.byte()], topic]),
            Self::WillMessageUpdate(text) => put(out, 0x1C, &[text]),
            ref answer => answer.put_answer(out),
        }
    }

    /// What answers something.
    fn put_answer(&self, out: &mut Vec<u8>) {
        let mut acknowledge = |kind: u8, topic: u16, id: u16, code: ReturnCode| {
            let (topic, id) = (topic.to_be_bytes(), id.to_be_bytes());
            put(out, kind, &[&topic, &id, &[code.byte()]]);
        };
        match *self {
            Self::Regack { topic, id, code } => acknowledge(0x0B, topic, id, code),
            Self::Puback { topic, id, code } => acknowledge(0x0D, topic, id, code),
            Self::Connack(code) => put(out, 0x05, &[&[code.byte()]]),
            Self::Pubcomp(id) => put(out, 0x0E, &[&id.to_be_bytes()]),
            Self::Pubrec(id) => put(out, 0x0F, &[&id.to_be_bytes()]),
            Self::Pubrel(id) => put(out, 0x10, &[&id.to_be_bytes()]),
            Self::Suback {
                qos,
                topic,
                id,
                code,
            } => {
                let flags = [Flags { qos, ..Flags::NONE }.byte()];
                let (topic, id) = (topic.to_be_bytes(), id.to_be_bytes());
                put(out, 0x13, &[&flags, &topic, &id, &[code.byte()]]);
            }
            Self::Unsuback(id) => put(out, 0x15, &[&id.to_be_bytes()]),
            Self::Pingresp => put(out, 0x17, &[]),
            Self::Disconnect {
                seconds: Some(seconds),
            } => put(out, 0x18, &[&seconds.to_be_bytes()]),
            Self::WillTopicResponse(code) => put(out, 0x1B, &[&[code.byte()]]),
            Self::WillMessageResponse(code) => put(out, 0x1D, &[&[code.byte()]]),
            // DISCONNECT without a time; all others are in `put_body`.
            _ => put(out, 0x18, &[]),
        }
    }
}

fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
