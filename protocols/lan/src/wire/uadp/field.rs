//! The fields of a data set: typed values of OPC UA on one side, JSON on the other.
//!
//! | type | JSON | variant |
//! | --- | --- | --- |
//! | Boolean | true, false | 1, u8 |
//! | SByte, Byte, Int16 ... UInt64 | whole number in range | 2 ... 9, little-endian |
//! | Float, Double | number; not a number is null | 10, 11 |
//! | String | string | 12, i32 length, UTF-8 |
//! | DateTime | whole number of 100 ns since 1601 | 13, i64 |
//! | ByteString | base64 in a string | 15, i32 length, bytes |
//!
//! Received one-dimensional arrays of these become JSON arrays. Source: OPC 10000-6 §5.2.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::wire::Reader;

/// A field of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the JSON object; empty: the JSON value is the field.
    pub name: String,
    /// Its type.
    pub kind: FieldType,
}

/// OPC UA's built-in types that a field may have; the number is the variant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "OPC UA's own names")]
#[repr(u8)]
pub enum FieldType {
    Boolean = 1,
    SByte = 2,
    Byte = 3,
    Int16 = 4,
    UInt16 = 5,
    Int32 = 6,
    UInt32 = 7,
    Int64 = 8,
    UInt64 = 9,
    Float = 10,
    Double = 11,
    String = 12,
    DateTime = 13,
    ByteString = 15,
}

/// Why a text is no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be like \"temp:Double\", or \"Double\" alone for the whole payload; types: Boolean, SByte, \
     Byte, Int16, UInt16, Int32, UInt32, Int64, UInt64, Float, Double, String, DateTime, ByteString"
)]
pub struct BadField;

const TYPES: [(&str, FieldType); 14] = [
    ("Boolean", FieldType::Boolean),
    ("SByte", FieldType::SByte),
    ("Byte", FieldType::Byte),
    ("Int16", FieldType::Int16),
    ("UInt16", FieldType::UInt16),
    ("Int32", FieldType::Int32),
    ("UInt32", FieldType::UInt32),
    ("Int64", FieldType::Int64),
    ("UInt64", FieldType::UInt64),
    ("Float", FieldType::Float),
    ("Double", FieldType::Double),
    ("String", FieldType::String),
    ("DateTime", FieldType::DateTime),
    ("ByteString", FieldType::ByteString),
];

/// Elements of one array that are read: more than fit a datagram.
const ARRAY_ELEMENTS_MAX: usize = 65_535;

/// Variant: the value is an array.
const ARRAY: u8 = 0x80;
/// Variant: the array has dimensions.
const DIMENSIONS: u8 = 0x40;

impl std::str::FromStr for Field {
    type Err = BadField;

    /// `name:Type`, or `Type`.
    fn from_str(text: &str) -> Result<Self, BadField> {
        let (name, kind) = text.rsplit_once(':').unwrap_or(("", text));
        let known = TYPES.iter().find(|(word, _)| *word == kind);
        let (_, kind) = known.ok_or(BadField)?;
        Ok(Self {
            name: name.to_owned(),
            kind: *kind,
        })
    }
}

impl FieldType {
    fn of(number: u8) -> Option<Self> {
        let known = TYPES.iter().find(|(_, kind)| *kind as u8 == number);
        known.map(|(_, kind)| *kind)
    }

    /// Appends a JSON value as a variant of this type; `None` if it is not of the type.
    pub(super) fn write_variant(self, value: &Value, out: &mut Vec<u8>) -> Option<()> {
        out.push(self as u8);
        match self {
            Self::Boolean => out.push(value.as_bool()?.into()),
            Self::SByte => out.extend(i8::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::Byte => out.push(u8::try_from(value.as_u64()?).ok()?),
            Self::Int16 => out.extend(i16::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::UInt16 => out.extend(u16::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Self::Int32 => out.extend(i32::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::UInt32 => out.extend(u32::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Self::Int64 | Self::DateTime => out.extend(value.as_i64()?.to_le_bytes()),
            Self::UInt64 => out.extend(value.as_u64()?.to_le_bytes()),
            Self::Float => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "Float is what was asked for"
                )]
                let number = value.as_f64()? as f32;
                out.extend(number.to_le_bytes());
            }
            Self::Double => out.extend(value.as_f64()?.to_le_bytes()),
            Self::String => write_bytes(value.as_str()?.as_bytes(), out)?,
            Self::ByteString => write_bytes(&STANDARD.decode(value.as_str()?).ok()?, out)?,
        }
        Some(())
    }

    /// Reads one value of this type.
    pub(super) fn read(self, reader: &mut Reader<'_>) -> Option<Value> {
        Some(match self {
            Self::Boolean => (reader.u8()? != 0).into(),
            Self::SByte => i8::from_le_bytes(reader.array()?).into(),
            Self::Byte => reader.u8()?.into(),
            Self::Int16 => i16::from_le_bytes(reader.array()?).into(),
            Self::UInt16 => reader.u16_le()?.into(),
            Self::Int32 => i32::from_le_bytes(reader.array()?).into(),
            Self::UInt32 => reader.u32_le()?.into(),
            Self::Int64 | Self::DateTime => i64::from_le_bytes(reader.array()?).into(),
            Self::UInt64 => u64::from_le_bytes(reader.array()?).into(),
            Self::Float => f64::from(f32::from_le_bytes(reader.array()?)).into(),
            Self::Double => f64::from_le_bytes(reader.array()?).into(),
            Self::String => match read_bytes(reader)? {
                Some(bytes) => std::str::from_utf8(bytes).ok()?.into(),
                None => Value::Null,
            },
            Self::ByteString => match read_bytes(reader)? {
                Some(bytes) => STANDARD.encode(bytes).into(),
                None => Value::Null,
            },
        })
    }
}

/// Reads a variant of whatever type it says; `None` for types that JSON has nothing for.
pub(super) fn read_variant(reader: &mut Reader<'_>) -> Option<Value> {
    let mask = reader.u8()?;
    if mask == 0 {
        return Some(Value::Null);
    }
    if mask & DIMENSIONS != 0 {
        return None;
    }
    let kind = FieldType::of(mask & !ARRAY)?;
    if mask & ARRAY == 0 {
        return kind.read(reader);
    }
    let Ok(count) = usize::try_from(i32::from_le_bytes(reader.array()?)) else {
        return Some(Value::Null);
    };
    if count > ARRAY_ELEMENTS_MAX {
        return None;
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(kind.read(reader)?);
    }
    Some(Value::Array(values))
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend(i32::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend(bytes);
    Some(())
}

/// A length of -1 is no value at all.
fn read_bytes<'a>(reader: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(i32::from_le_bytes(reader.array()?)) {
        Ok(length) => reader.take(length).map(Some),
        Err(_) => Some(None),
    }
}
