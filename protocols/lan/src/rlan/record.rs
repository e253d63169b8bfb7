//! A message as rlan carries it, and its properties in the core's words.

use bytes::{BufMut, Bytes};
use routing::{Properties, ReplyTo, Value};

use crate::wire::Reader;

const RETAIN: u8 = 1;
const EXPIRES: u8 = 2;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The gateway where it entered the LAN; 0: not told.
    pub node: u64,
    /// Gateways that have forwarded it from LAN to LAN.
    pub hops: u8,
    /// Whether it is the topic's retained value.
    pub retain: bool,
    /// Milliseconds until it expires.
    pub expiry_ms: Option<u32>,
    /// The topic.
    pub topic: Bytes,
    /// Encoded properties.
    pub properties: Bytes,
    /// The body.
    pub payload: Bytes,
}

impl Record {
    /// Writes it behind what `out` has;
    /// `None` if the topic is longer than its length can say.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let topic_bytes = u16::try_from(self.topic.len()).ok()?;
        let property_bytes = u32::try_from(self.properties.len()).ok()?;
        let retain = if self.retain { RETAIN } else { 0 };
        let expires = if self.expiry_ms.is_some() { EXPIRES } else { 0 };
        out.put_u64(self.node);
        out.put_slice(&[self.hops, retain | expires]);
        if let Some(expiry_ms) = self.expiry_ms {
            out.put_u32(expiry_ms);
        }
        out.put_u16(topic_bytes);
        out.put_slice(&self.topic);
        out.put_u32(property_bytes);
        out.put_slice(&self.properties);
        out.put_slice(&self.payload);
        Some(())
    }

    /// Reads one; its parts share the memory of `message`. `None` if it is malformed.
    pub(super) fn decode(message: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(message);
        let node = u64::from_be_bytes(reader.array()?);
        let (hops, flags) = (reader.u8()?, reader.u8()?);
        let expiry_ms = match flags & EXPIRES {
            0 => None,
            _ => Some(reader.u32_be()?),
        };
        let topic_bytes = reader.u16_be()?.into();
        let topic = reader.take(topic_bytes)?;
        let property_bytes = usize::try_from(reader.u32_be()?).ok()?;
        let properties = reader.take(property_bytes)?;
        Some(Self {
            node,
            hops,
            retain: flags & RETAIN != 0,
            expiry_ms,
            topic: message.slice_ref(topic),
            properties: message.slice_ref(properties),
            payload: message.slice_ref(reader.rest()),
        })
    }
}

const CONTENT_TYPE: u8 = 1;
const CONTENT_ENCODING: u8 = 2;
const CORRELATION_ID: u8 = 3;
const REPLY_ADDRESS: u8 = 4;
const REPLY_QUEUE: u8 = 5;
const MESSAGE_ID: u8 = 6;
const MESSAGE_TYPE: u8 = 7;
const APP_ID: u8 = 8;
const TIMESTAMP: u8 = 9;
const PAYLOAD_FORMAT: u8 = 10;
const PRIORITY: u8 = 11;
const HEADER: u8 = 12;

/// Writes properties. What rlan has no word for (arrays, tables, decimals, what is longer than
/// 65,535 bytes, names longer than 255) is left out.
pub fn encode_properties(properties: &Properties) -> Bytes {
    let mut out = Vec::new();
    let reply = properties.reply_to.as_ref().map(|reply| match reply {
        ReplyTo::Address(address) => (REPLY_ADDRESS, address),
        ReplyTo::Queue(name) => (REPLY_QUEUE, name),
    });
    let texts = [
        (CONTENT_TYPE, &properties.content_type),
        (CONTENT_ENCODING, &properties.content_encoding),
        (CORRELATION_ID, &properties.correlation_id),
        (MESSAGE_ID, &properties.message_id),
        (MESSAGE_TYPE, &properties.message_type),
        (APP_ID, &properties.app_id),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(tag, text)| Some((tag, text.as_ref()?)));
    for (tag, text) in texts.chain(reply) {
        put(&mut out, tag, &[text]);
    }
    if let Some(seconds) = properties.timestamp {
        put(&mut out, TIMESTAMP, &[&seconds.to_be_bytes()]);
    }
    let bytes = [
        (PAYLOAD_FORMAT, properties.payload_format),
        (PRIORITY, properties.priority),
    ];
    for (tag, byte) in bytes {
        if let Some(byte) = byte {
            put(&mut out, tag, &[&[byte]]);
        }
    }
    // How the message came is in fields of its own.
    let headers = properties.headers.0.iter();
    for (name, value) in headers.filter(|(name, _)| !name.starts_with(b"x-lan-")) {
        put_header(&mut out, name, value);
    }
    out.into()
}

fn put(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
    if let Ok(length) = u16::try_from(bytes) {
        out.put_u8(tag);
        out.put_u16(length);
        parts.iter().for_each(|part| out.put_slice(part));
    }
}

fn put_header(out: &mut Vec<u8>, name: &[u8], value: &Value) {
    let Ok(name_bytes) = u8::try_from(name.len()) else {
        return;
    };
    let (kind, value): (u8, &[u8]) = match value {
        Value::Text(text) => (b'S', text),
        Value::Binary(bytes) => (b'x', bytes),
        Value::Bool(bool) => (b't', &[u8::from(*bool)]),
        Value::F32(number) => (b'd', &f64::from(*number).to_be_bytes()),
        Value::F64(number) => (b'd', &number.to_be_bytes()),
        Value::Timestamp(seconds) => (b'T', &seconds.to_be_bytes()),
        Value::Void => (b'V', &[]),
        Value::Decimal { .. } | Value::Array(_) | Value::Table(_) => return,
        number => match number.as_i64() {
            Some(number) => (b'l', &number.to_be_bytes()),
            None => return,
        },
    };
    put(out, HEADER, &[&[kind, name_bytes], name, value]);
}

/// Reads properties; what is malformed ends them, and what is unknown is passed over.
#[must_use]
pub fn decode_properties(bytes: &Bytes) -> Properties {
    let mut properties = Properties::default();
    let mut reader = Reader::new(bytes);
    while let Some((tag, value)) = next(&mut reader) {
        set(&mut properties, tag, bytes.slice_ref(value));
    }
    properties
}

fn next<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let tag = reader.u8()?;
    let bytes = reader.u16_be()?;
    Some((tag, reader.take(bytes.into())?))
}

fn set(properties: &mut Properties, tag: u8, value: Bytes) {
    let byte = value.first().copied();
    match tag {
        CONTENT_TYPE => properties.content_type = Some(value),
        CONTENT_ENCODING => properties.content_encoding = Some(value),
        CORRELATION_ID => properties.correlation_id = Some(value),
        REPLY_ADDRESS => properties.reply_to = Some(ReplyTo::Address(value)),
        REPLY_QUEUE => properties.reply_to = Some(ReplyTo::Queue(value)),
        MESSAGE_ID => properties.message_id = Some(value),
        MESSAGE_TYPE => properties.message_type = Some(value),
        APP_ID => properties.app_id = Some(value),
        TIMESTAMP => properties.timestamp = number(&value).map(u64::from_be_bytes),
        PAYLOAD_FORMAT => properties.payload_format = byte.filter(|format| *format <= 1),
        PRIORITY => properties.priority = byte,
        HEADER => {
            if let Some((name, value)) = header(&value) {
                properties.headers.push(name, value);
            }
        }
        _ => {}
    }
}

fn header(bytes: &Bytes) -> Option<(Bytes, Value)> {
    let mut reader = Reader::new(bytes);
    let (kind, name_bytes) = (reader.u8()?, reader.u8()?);
    let name = bytes.slice_ref(reader.take(name_bytes.into())?);
    let value = bytes.slice_ref(reader.rest());
    let value = match kind {
        b'S' => Value::Text(value),
        b'x' => Value::Binary(value),
        b't' => Value::Bool(*value.first()? != 0),
        b'l' => Value::I64(i64::from_be_bytes(number(&value)?)),
        b'd' => Value::F64(f64::from_be_bytes(number(&value)?)),
        b'T' => Value::Timestamp(u64::from_be_bytes(number(&value)?)),
        b'V' => Value::Void,
        _ => return None,
    };
    Some((name, value))
}

fn number(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use routing::Table;

    use super::*;

    #[test]
    fn all_properties_come_back() {
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let mut headers = Table::default();
        for value in [
            Value::Text("x".into()),
            Value::Binary(Bytes::from_static(b"\0\xff")),
            Value::Bool(true),
            Value::I64(-7),
            Value::F64(1.5),
            Value::Timestamp(9),
            Value::Void,
        ] {
            headers.push("name", value);
        }
        let mut properties = Properties {
            content_type: text("text/plain"),
            content_encoding: text("gzip"),
            correlation_id: text("7"),
            reply_to: Some(ReplyTo::Address("answers".into())),
            message_id: text("m"),
            timestamp: Some(1_700_000_000),
            message_type: text("t"),
            app_id: text("a"),
            payload_format: Some(1),
            priority: Some(9),
            headers,
            ..Properties::default()
        };
        assert_eq!(
            decode_properties(&encode_properties(&properties)),
            properties
        );
        properties.headers.push("i", Value::U8(3));
        properties.headers.push("no", Value::Array(Vec::new()));
        let read = decode_properties(&encode_properties(&properties));
        assert_eq!(read.headers.get("i"), Some(&Value::I64(3)));
        assert_eq!(read.headers.get("no"), None);
    }

    #[test]
    fn a_message_has_exactly_these_bytes() {
        let record = Record {
            node: 1,
            hops: 2,
            retain: true,
            expiry_ms: Some(1000),
            topic: "a/b".into(),
            properties: Bytes::from_static(b"\x0b\0\x01\x09"),
            payload: "21.5".into(),
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes).unwrap();
        let right = b"\0\0\0\0\0\0\0\x01\x02\x03\0\0\x03\xe8\0\x03a/b\0\0\0\x04\x0b\0\x01\x0921.5";
        assert_eq!(bytes, right);
        assert_eq!(Record::decode(&bytes.into()), Some(record));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let bytes = Bytes::from(bytes);
            let record = Record::decode(&bytes).unwrap_or_default();
            for bytes in [&bytes, &record.properties] {
                let read = decode_properties(bytes);
                prop_assert_eq!(decode_properties(&encode_properties(&read)), read);
            }
        }
    }
}
