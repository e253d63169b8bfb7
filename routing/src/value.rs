//! Typed values of header tables and arguments, in AMQP's type system, the richest of the three.

use bytes::Bytes;

/// One value; the variants are the field types of AMQP 0-9-1 as RabbitMQ reads them (§4.2.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `t`: true or false.
    Bool(bool),
    /// `b`: signed 8 bit.
    I8(i8),
    /// `B`: unsigned 8 bit.
    U8(u8),
    /// `s`: signed 16 bit.
    I16(i16),
    /// `u`: unsigned 16 bit.
    U16(u16),
    /// `I`: signed 32 bit.
    I32(i32),
    /// `i`: unsigned 32 bit.
    U32(u32),
    /// `l`, `L`: signed 64 bit.
    I64(i64),
    /// `f`: 32 bit floating point.
    F32(f32),
    /// `d`: 64 bit floating point.
    F64(f64),
    /// `D`: `value / 10^scale`.
    Decimal {
        /// Number of decimal digits.
        scale: u8,
        /// The digits as one integer.
        value: i32,
    },
    /// `S`: a long string; most often UTF-8, but any bytes are allowed.
    Text(Bytes),
    /// `x`: a byte array.
    Binary(Bytes),
    /// `T`: seconds since the Unix epoch.
    Timestamp(u64),
    /// `A`: an array.
    Array(Vec<Self>),
    /// `F`: a nested table.
    Table(Table),
    /// `V`: no value.
    Void,
}

impl Value {
    /// The value as a signed integer, when it is one of the integer types.
    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I8(v) => Some(*v as i64),
            Self::U8(v) => Some(*v as i64),
            Self::I16(v) => Some(*v as i64),
            Self::U16(v) => Some(*v as i64),
            Self::I32(v) => Some(*v as i64),
            Self::U32(v) => Some(*v as i64),
            Self::I64(v) => Some(*v),
            _ => None,
        }
    }

    /// The type's name as RabbitMQ has it, for the texts of errors.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::Text(_) => "longstr",
            Self::Binary(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
            Self::Void => "void",
        }
    }

    /// The text of a long string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

/// A table: named values in the order they came; a name may repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(Bytes, Value)>);

impl Table {
    /// The first value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(n, _)| n.as_ref() == name.as_bytes())
            .map(|(_, v)| v)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a value at the end.
    pub fn push(&mut self, name: impl Into<Bytes>, value: Value) {
        self.0.push((name.into(), value));
    }
}
