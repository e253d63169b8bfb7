//! The codec `mqtt-sn`: publications without a session, which MQTT-SN allows on multicast.
//!
//! ```text
//! length   u8, or 0x01 and u16: the whole packet
//! 1.2   0x0C PUBLISH   flags u8   topic id u16   message id u16 = 0   data
//! 2.0   0x12 PUBWOS    flags u8   alias u16, or length u16 and topic name   data
//! flags    0x60 QoS -1 (1.2)   0x10 retain   0x03 topic type
//! ```
//!
//! Numbers are big-endian. Topic types: 1 is a predefined id in both; 2 is a name of two bytes in
//! 1.2; 3 is a topic name in 2.0. Sources: MQTT-SN 1.2 §5.2, §5.4.12, §6.8; MQTT-SN 2.0 CSD01
//! §3.6.1.

use std::sync::Arc;

use bytes::Bytes;

use super::{Arrival, Departure, Reader, Unread, Unsendable, fits};
use crate::TopicMap;

const PUBLISH: u8 = 0x0C;
const PUBWOS: u8 = 0x12;
const RETAIN: u8 = 0x10;
/// QoS -1, which stands in two bits.
const QOS: u8 = 0x60;
const TOPIC_TYPE: u8 = 0x03;
const PREDEFINED: u8 = 1;
const SHORT_NAME: u8 = 2;
const NAME: u8 = 3;
/// Bits 7-5 and 3-2 `MQTT-SN 2.0 §3.6.1.2`.
const PUBWOS_RESERVED: u8 = 0xEC;

/// Which packet goes out. Both are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnVersion {
    /// PUBLISH with QoS -1.
    V1,
    /// PUBWOS of the draft of version 2.0.
    V2,
}

/// One link's codec.
#[derive(Clone, Debug)]
pub struct MqttSn {
    /// What goes out.
    pub version: SnVersion,
    /// The predefined ids.
    pub topics: Arc<TopicMap>,
    /// The largest datagram.
    pub datagram_bytes_max: usize,
}

impl MqttSn {
    /// The packet of a message.
    ///
    /// # Errors
    /// [`Unsendable::NoName`] when version 1.2 has no id for the topic, and it is not two bytes
    /// long; [`Unsendable::TooLarge`].
    pub fn encode(&self, message: Departure<'_>) -> Result<Bytes, Unsendable> {
        let topic = message.topic;
        let id = self.topics.of_topic(topic).and_then(|entry| entry.id);
        let retain = if message.retain { RETAIN } else { 0 };
        let mut head = Vec::with_capacity(8 + topic.len());
        match (self.version, id) {
            (SnVersion::V1, Some(id)) => {
                head.extend([PUBLISH, QOS | retain | PREDEFINED]);
                head.extend(id.to_be_bytes());
                head.extend([0, 0]);
            }
            (SnVersion::V1, None) if topic.len() == 2 => {
                head.extend([PUBLISH, QOS | retain | SHORT_NAME]);
                head.extend(topic);
                head.extend([0, 0]);
            }
            (SnVersion::V1, None) => return Err(Unsendable::NoName),
            (SnVersion::V2, Some(id)) => {
                head.extend([PUBWOS, retain | PREDEFINED]);
                head.extend(id.to_be_bytes());
            }
            (SnVersion::V2, None) => {
                let length = u16::try_from(topic.len()).map_err(|_| Unsendable::NoName)?;
                head.extend([PUBWOS, retain | NAME]);
                head.extend(length.to_be_bytes());
                head.extend(topic);
            }
        }
        self.frame(&head, message.payload)
    }

    fn frame(&self, head: &[u8], payload: &[u8]) -> Result<Bytes, Unsendable> {
        let body = head.len() + payload.len();
        let short = u8::try_from(body + 1).ok();
        let bytes = body + if short.is_some() { 1 } else { 3 };
        fits(bytes, self.datagram_bytes_max)?;
        let mut packet = Vec::with_capacity(bytes);
        match short {
            Some(length) => packet.push(length),
            None => {
                let bytes_max = usize::from(u16::MAX);
                let length =
                    u16::try_from(bytes).map_err(|_| Unsendable::TooLarge { bytes, bytes_max })?;
                packet.push(1);
                packet.extend(length.to_be_bytes());
            }
        }
        packet.extend(head);
        packet.extend(payload);
        Ok(packet.into())
    }

    /// What a packet of either version says.
    ///
    /// # Errors
    /// [`Unread::Unknown`] for other packets and ids without a topic; [`Unread::Malformed`].
    pub fn decode(&self, datagram: &[u8]) -> Result<Arrival, Unread> {
        let mut packet = Reader::new(datagram);
        let length = match packet.u8().ok_or(Unread::Malformed)? {
            1 => usize::from(packet.u16_be().ok_or(Unread::Malformed)?),
            short => usize::from(short),
        };
        if length != datagram.len() {
            return Err(Unread::Malformed);
        }
        match packet.u8().ok_or(Unread::Malformed)? {
            PUBLISH => self.publish(packet),
            PUBWOS => self.pubwos(packet),
            _ => Err(Unread::Unknown),
        }
    }

    fn publish(&self, mut packet: Reader<'_>) -> Result<Arrival, Unread> {
        let flags = packet.u8().ok_or(Unread::Malformed)?;
        let topic: [u8; 2] = packet.array().ok_or(Unread::Malformed)?;
        packet.u16_be().ok_or(Unread::Malformed)?;
        // Every other QoS belongs to a session, and so to another gateway.
        if flags & QOS != QOS {
            return Err(Unread::Unknown);
        }
        let topic = match flags & TOPIC_TYPE {
            PREDEFINED => self.predefined(u16::from_be_bytes(topic))?,
            SHORT_NAME => Bytes::copy_from_slice(&topic),
            _ => return Err(Unread::Unknown),
        };
        Ok(arrival(topic, packet, flags))
    }

    fn pubwos(&self, mut packet: Reader<'_>) -> Result<Arrival, Unread> {
        let flags = packet.u8().ok_or(Unread::Malformed)?;
        let number = packet.u16_be().ok_or(Unread::Malformed)?;
        if flags & PUBWOS_RESERVED != 0 {
            return Err(Unread::Malformed);
        }
        let topic = match flags & TOPIC_TYPE {
            PREDEFINED => self.predefined(number)?,
            NAME => {
                let name = packet.take(usize::from(number)).ok_or(Unread::Malformed)?;
                Bytes::copy_from_slice(name)
            }
            _ => return Err(Unread::Malformed),
        };
        Ok(arrival(topic, packet, flags))
    }

    fn predefined(&self, id: u16) -> Result<Bytes, Unread> {
        let entry = self.topics.of_id(id).ok_or(Unread::Unknown)?;
        Ok(entry.topic.clone())
    }
}

fn arrival(topic: Bytes, payload: Reader<'_>, flags: u8) -> Arrival {
    Arrival {
        topic: Some(topic),
        payload: Bytes::copy_from_slice(payload.rest()),
        retain: flags & RETAIN != 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MappedTopic;

    fn codec(version: SnVersion) -> MqttSn {
        let topics = vec![MappedTopic {
            topic: Bytes::from_static(b"plant/a"),
            id: Some(7),
            ..MappedTopic::default()
        }];
        MqttSn {
            version,
            topics: Arc::new(TopicMap::new(topics)),
            datagram_bytes_max: 300,
        }
    }

    fn encode(version: SnVersion, topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
        let payload = &Bytes::copy_from_slice(payload);
        let topic = topic.as_bytes();
        let message = Departure {
            topic,
            payload,
            retain,
        };
        codec(version).encode(message).unwrap().to_vec()
    }

    #[test]
    fn version_1_2_is_publish_with_qos_minus_one() {
        let bytes = encode(SnVersion::V1, "plant/a", b"21.5", true);
        assert_eq!(bytes, b"\x0b\x0c\x71\x00\x07\x00\x0021.5");
        let bytes = encode(SnVersion::V1, "ab", b"x", false);
        assert_eq!(bytes, b"\x08\x0c\x62ab\x00\x00x");
        let long = Departure {
            topic: b"abc",
            payload: &Bytes::new(),
            retain: false,
        };
        assert_eq!(codec(SnVersion::V1).encode(long), Err(Unsendable::NoName));
    }

    #[test]
    fn version_2_0_is_pubwos_with_alias_or_name() {
        let bytes = encode(SnVersion::V2, "plant/a", b"x", true);
        assert_eq!(bytes, b"\x06\x12\x11\x00\x07x");
        let bytes = encode(SnVersion::V2, "a/b", b"x", false);
        assert_eq!(bytes, b"\x09\x12\x03\x00\x03a/bx");
    }

    #[test]
    fn long_packets_have_three_bytes_of_length() {
        let bytes = encode(SnVersion::V1, "ab", &[b'x'; 249], false);
        assert_eq!((bytes.len(), bytes[..4].to_vec()), (258, vec![1, 1, 2, 12]));
        let bytes = encode(SnVersion::V1, "ab", &[b'x'; 248], false);
        assert_eq!((bytes.len(), bytes[0]), (255, 255));
        let payload = &Bytes::from(vec![0; 292]);
        let message = Departure {
            topic: b"ab",
            payload,
            retain: false,
        };
        let refused = codec(SnVersion::V1).encode(message);
        let (bytes, bytes_max) = (301, 300);
        assert_eq!(refused, Err(Unsendable::TooLarge { bytes, bytes_max }));
    }

    #[test]
    fn what_is_no_publication_or_unnamed_is_told_from_what_is_malformed() {
        let read = |bytes: &[u8]| codec(SnVersion::V1).decode(bytes).unwrap_err();
        // ADVERTISE; QoS 1; an id that nobody named; a session's topic id.
        for unknown in [
            &b"\x05\x00\x01\x03\x84"[..],
            b"\x08\x0c\x21\x00\x07\x00\x01x",
            b"\x08\x0c\x61\x00\x08\x00\x00x",
            b"\x08\x0c\x60\x00\x07\x00\x00x",
        ] {
            assert_eq!(read(unknown), Unread::Unknown, "{unknown:?}");
        }
        for malformed in [
            &b""[..],
            b"\x01",
            b"\x02\x0c",
            b"\x05\x0c\x61\x00\x07\x00\x00",
            b"\x06\x12\x05\x00\x07x",
            b"\x06\x12\x03\x00\x02x",
        ] {
            assert_eq!(read(malformed), Unread::Malformed, "{malformed:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in "[a-z/]{1,40}", retain: bool, is_new: bool,
                                   payload in prop::collection::vec(any::<u8>(), 0..250)) {
            let version = if is_new { SnVersion::V2 } else { SnVersion::V1 };
            let topic = if is_new { name.as_str() } else { "plant/a" };
            let bytes = encode(version, topic, &payload, retain);
            let read = codec(SnVersion::V1).decode(&bytes).unwrap();
            prop_assert_eq!(read.topic.unwrap(), topic.as_bytes());
            prop_assert_eq!((read.payload, read.retain), (Bytes::from(payload), retain));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            drop(codec(SnVersion::V2).decode(&bytes));
        }
    }
}
