//! Field tables and arrays, read and edited where they lie.
//!
//! ```text
//! table:  | length u32 | name s | type u8 | value ... | name s | type u8 | value ... |
//! array:  | length u32 |          type u8 | value ... |          type u8 | value ... |
//!
//! type  b i8   s i16   I i32   l L i64   f f32   d f64   t bool   T u64 seconds   V nothing
//!       B u8   u u16   i u32             D u8 scale, u32        S x u32 + bytes   F table   A
//! array
//! ```
//!
//! The types are RabbitMQ's reading of AMQP 0-9-1 §4.2.5.5 (its "errata": `s` is a short integer,
//! `l` and `L` are both signed). Order, duplicates and types survive, which amq-protocol's sorted
//! map does not give; and an edit copies the entries it does not touch byte for byte.
//!
//! Reading ends early where the bytes are malformed. What is kept or relayed was walked by
//! [`check_table`](super::guard::check_table) first, so it does not. Nested tables are handed out,
//! never walked by recursion.

use std::ops::Range;

use super::reader::Reader;

/// A field table without its length, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FieldTable<'a>(&'a [u8]);

/// A field array without its length, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FieldArray<'a>(&'a [u8]);

/// A value of a field table, of each type that RabbitMQ knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `A`
    Array(FieldArray<'a>),
    /// `x`: bytes that claim to be no text.
    Binary(&'a [u8]),
    /// `t`
    Bool(bool),
    /// `D`: `unscaled` divided by ten to the power of `scale`.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        unscaled: i32,
    },
    /// `d`
    F64(f64),
    /// `f`
    F32(f32),
    /// `b`
    I8(i8),
    /// `s`
    I16(i16),
    /// `I`
    I32(i32),
    /// `l`, and `L` when read
    I64(i64),
    /// `S`: text by custom, but any bytes.
    LongString(&'a [u8]),
    /// `F`
    Table(FieldTable<'a>),
    /// `T`: seconds since the Unix epoch.
    Timestamp(u64),
    /// `B`
    U8(u8),
    /// `u`
    U16(u16),
    /// `i`
    U32(u32),
    /// `V`
    Void,
}

impl<'a> FieldTable<'a> {
    /// Takes the inside of a table, the length octets already removed.
    #[must_use]
    pub fn new(inside: &'a [u8]) -> Self {
        Self(inside)
    }

    /// The table's bytes without their length.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The entries in their order, duplicates included.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        Entries {
            reader: Reader::new(self.0),
            len: self.0.len(),
        }
    }

    /// The value of the first entry of that name, as RabbitMQ looks it up.
    #[must_use]
    pub fn value(self, name: &[u8]) -> Option<Value<'a>> {
        self.entries()
            .find(|entry| entry.name == name)
            .map(|entry| entry.value)
    }
}

impl<'a> FieldArray<'a> {
    /// The array's bytes without their length.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The values in their order.
    #[must_use]
    pub fn values(self) -> Values<'a> {
        Values(Reader::new(self.0))
    }
}

/// A name, its value, and where both lie in their table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The name, any bytes.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
    /// The bytes of name and value within the table's.
    range: Range<usize>,
}

/// Iterates over a table; see [`FieldTable::entries`].
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    len: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.len - self.reader.rest().len();
        let name = self.reader.short_string()?;
        let value = Value::read(&mut self.reader)?;
        Some(Entry {
            name,
            value,
            range: start..self.len - self.reader.rest().len(),
        })
    }
}

/// Iterates over an array; see [`FieldArray::values`].
#[derive(Clone, Copy, Debug)]
pub struct Values<'a>(Reader<'a>);

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        Value::read(&mut self.0)
    }
}

impl<'a> Value<'a> {
    /// RabbitMQ's name of the type, as its errors have it.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Array(_) => "array",
            Self::Binary(_) => "binary",
            Self::Bool(_) => "bool",
            Self::Decimal { .. } => "decimal",
            Self::F64(_) => "double",
            Self::F32(_) => "float",
            Self::I8(_) => "byte",
            Self::I16(_) => "short",
            Self::I32(_) => "signedint",
            Self::I64(_) => "long",
            Self::LongString(_) => "longstr",
            Self::Table(_) => "table",
            Self::Timestamp(_) => "timestamp",
            Self::U8(_) => "unsignedbyte",
            Self::U16(_) => "unsignedshort",
            Self::U32(_) => "unsignedint",
            Self::Void => "void",
        }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(match reader.u8()? {
            b'A' => Self::Array(FieldArray(reader.long_string()?)),
            b'B' => Self::U8(reader.u8()?),
            b'D' => Self::Decimal {
                scale: reader.u8()?,
                unscaled: i32::from_be_bytes(reader.array()?),
            },
            b'F' => Self::Table(FieldTable(reader.long_string()?)),
            b'I' => Self::I32(i32::from_be_bytes(reader.array()?)),
            b'S' => Self::LongString(reader.long_string()?),
            b'T' => Self::Timestamp(reader.u64()?),
            b'V' => Self::Void,
            b'b' => Self::I8(i8::from_be_bytes(reader.array()?)),
            b'd' => Self::F64(f64::from_be_bytes(reader.array()?)),
            b'f' => Self::F32(f32::from_be_bytes(reader.array()?)),
            b'i' => Self::U32(reader.u32()?),
            b'l' | b'L' => Self::I64(i64::from_be_bytes(reader.array()?)),
            b's' => Self::I16(i16::from_be_bytes(reader.array()?)),
            b't' => Self::Bool(reader.u8()? != 0),
            b'u' => Self::U16(reader.u16()?),
            b'x' => Self::Binary(reader.long_string()?),
            _ => return None,
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Array(array) => put_long(out, b'A', array.0),
            Self::Binary(bytes) => put_long(out, b'x', bytes),
            Self::Bool(bool) => put_fixed(out, b't', [u8::from(bool)]),
            Self::Decimal { scale, unscaled } => {
                put_fixed(out, b'D', [scale]);
                out.extend(unscaled.to_be_bytes());
            }
            Self::F64(number) => put_fixed(out, b'd', number.to_be_bytes()),
            Self::F32(number) => put_fixed(out, b'f', number.to_be_bytes()),
            Self::I8(number) => put_fixed(out, b'b', number.to_be_bytes()),
            Self::I16(number) => put_fixed(out, b's', number.to_be_bytes()),
            Self::I32(number) => put_fixed(out, b'I', number.to_be_bytes()),
            Self::I64(number) => put_fixed(out, b'l', number.to_be_bytes()),
            Self::LongString(bytes) => put_long(out, b'S', bytes),
            Self::Table(table) => put_long(out, b'F', table.0),
            Self::Timestamp(seconds) => put_fixed(out, b'T', seconds.to_be_bytes()),
            Self::U8(number) => put_fixed(out, b'B', [number]),
            Self::U16(number) => put_fixed(out, b'u', number.to_be_bytes()),
            Self::U32(number) => put_fixed(out, b'i', number.to_be_bytes()),
            Self::Void => out.push(b'V'),
        }
    }
}

fn put_fixed<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend(bytes);
}

fn put_long(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    // A table is built from one message's headers, so no value comes near 4 GiB; were one to, the
    // cut keeps length and bytes in step.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.push(tag);
    out.extend(len.to_be_bytes());
    out.extend(
        bytes
            .iter()
            .take(usize::try_from(len).unwrap_or(usize::MAX)),
    );
}

/// A name of more than 255 bytes, which no field table can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field name longer than 255 bytes")]
pub struct NameTooLong;

/// A field table that is being built or edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBuf(Vec<u8>);

impl TableBuf {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The table as it stands.
    #[must_use]
    pub fn table(&self) -> FieldTable<'_> {
        FieldTable(&self.0)
    }

    /// Adds an entry at the end, also if there is one of that name.
    ///
    /// # Errors
    /// [`NameTooLong`]; the table is then as before.
    pub fn push(&mut self, name: &[u8], value: Value<'_>) -> Result<(), NameTooLong> {
        put_entry(&mut self.0, name, value)
    }

    /// Replaces the value of the first entry of that name, where it stands; without one, adds it at
    /// the end.
    ///
    /// # Errors
    /// [`NameTooLong`]; the table is then as before.
    pub fn set(&mut self, name: &[u8], value: Value<'_>) -> Result<(), NameTooLong> {
        let Some(range) = self.find(name) else {
            return self.push(name, value);
        };
        let mut entry = Vec::new();
        put_entry(&mut entry, name, value)?;
        self.0.splice(range, entry);
        Ok(())
    }

    /// Removes every entry of that name.
    pub fn remove(&mut self, name: &[u8]) {
        while let Some(range) = self.find(name) {
            self.0.drain(range);
        }
    }

    fn find(&self, name: &[u8]) -> Option<Range<usize>> {
        self.table()
            .entries()
            .find(|entry| entry.name == name)
            .map(|entry| entry.range)
    }
}

impl From<FieldTable<'_>> for TableBuf {
    fn from(table: FieldTable<'_>) -> Self {
        Self(table.0.to_vec())
    }
}

fn put_entry(out: &mut Vec<u8>, name: &[u8], value: Value<'_>) -> Result<(), NameTooLong> {
    out.push(u8::try_from(name.len()).map_err(|_too_large| NameTooLong)?);
    out.extend(name);
    value.put(out);
    Ok(())
}

/// A field array that is being built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayBuf(Vec<u8>);

impl ArrayBuf {
    /// An empty array.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The array as it stands.
    #[must_use]
    pub fn array(&self) -> FieldArray<'_> {
        FieldArray(&self.0)
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: Value<'_>) {
        value.put(&mut self.0);
    }
}

#[cfg(test)]
mod tests;
