//! The codec `uadp`: OPC UA PubSub's binary messages on UDP. Typed fields on one side, JSON on the
//! other.
//!
//! ```text
//! network message    0xF1 version 1 with publisher id, group and payload header, extended flags
//!                    0x01 the publisher id is a u16   publisher id u16
//!                    0x09 group flags   writer group id u16   sequence u16
//!                    count u8   writer id u16 each   [size u16 each, if there are several]
//! data set message   0x89 valid, variants, sequence, more flags   0x10 key frame with a time
//!                    sequence u16   time i64   field count u16   variants
//! ```
//!
//! Numbers are little-endian. Group and payload header are always written, because peers match by
//! them. Every flag of the standard is understood on the way in, but for security, chunks and
//! discovery, which make the message one that is not for this link. Source: OPC 10000-14 §7.2.4.

mod field;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use routing::Timestamp;
use serde_json::{Map, Value};

use super::{Arrival, Departure, Reader, Unread, Unsendable, fits};
use crate::{MappedTopic, TopicMap};

use field::read_variant;
pub use field::{BadField, Field, FieldType};

/// Version 1, with publisher id, group header, payload header and extended flags.
const HEAD: [u8; 2] = [0xF1, 0x01];
/// Writer group id and sequence number.
const GROUP_FLAGS: u8 = 0x09;
/// What stands before the writer ids.
const HEAD_BYTES: usize = 10;
/// Valid, fields as variants, sequence number, second flags.
const SET_FLAGS: u8 = 0x89;
/// A key frame with a timestamp.
const SET_FLAGS_2: u8 = 0x10;
/// Data set messages of one datagram.
const SETS_MAX: usize = 255;
/// 1601-01-01, where OPC UA's time begins, to 1970-01-01 in milliseconds.
const EPOCH_MS: u64 = 11_644_473_600_000;

/// One link's codec.
#[derive(Debug)]
pub struct Uadp {
    topics: Arc<TopicMap>,
    publisher_id: u16,
    writer_group_id: u16,
    datagram_bytes_max: usize,
    sequence: u16,
    set_sequences: HashMap<u16, u16>,
    expected: HashMap<(u64, u16), u16>,
    waiting: Vec<(u16, Vec<u8>)>,
    waiting_bytes: usize,
    /// Data set messages that senders have counted and that did not come.
    pub gaps: u64,
}

/// Writers of which the sequence is followed.
const WRITERS_MAX: usize = 4096;

impl Uadp {
    /// A codec that publishes as `publisher_id` and `writer_group_id`.
    #[must_use]
    pub fn new(
        topics: Arc<TopicMap>,
        (publisher_id, writer_group_id): (u16, u16),
        datagram_bytes_max: usize,
    ) -> Self {
        Self {
            topics,
            publisher_id,
            writer_group_id,
            datagram_bytes_max,
            sequence: 0,
            set_sequences: HashMap::new(),
            expected: HashMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            gaps: 0,
        }
    }

    /// Adds a message to the datagram that is being filled; gives that one back when it was full.
    ///
    /// # Errors
    /// [`Unsendable::NoName`] when the topic has no id or no fields; [`Unsendable::NoFields`] when
    /// the payload is not JSON of those; [`Unsendable::TooLarge`].
    pub fn encode(
        &mut self,
        now: Timestamp,
        message: Departure<'_>,
    ) -> Result<Option<Bytes>, Unsendable> {
        let topics = Arc::clone(&self.topics);
        let entry = topics.of_topic(message.topic).ok_or(Unsendable::NoName)?;
        let id = entry.id.ok_or(Unsendable::NoName)?;
        let mut set = vec![SET_FLAGS, SET_FLAGS_2];
        let sequence = self.set_sequences.entry(id).or_default();
        set.extend(sequence.to_le_bytes());
        set.extend(((now.0 + EPOCH_MS) * 10_000).to_le_bytes());
        write_fields(&entry.fields, message.payload, &mut set)?;
        fits(HEAD_BYTES + 2 + set.len(), self.datagram_bytes_max)?;
        *sequence = sequence.wrapping_add(1);
        // An id and a size each.
        let bytes = self.waiting_bytes + set.len() + 4;
        let is_full =
            HEAD_BYTES + bytes > self.datagram_bytes_max || self.waiting.len() == SETS_MAX;
        let full = is_full.then(|| self.flush()).flatten();
        self.waiting_bytes += set.len() + 4;
        self.waiting.push((id, set));
        Ok(full)
    }

    /// The datagram that was being filled, if there is anything in it.
    pub fn flush(&mut self) -> Option<Bytes> {
        let sets = std::mem::take(&mut self.waiting);
        let bytes = HEAD_BYTES + std::mem::take(&mut self.waiting_bytes);
        let count = u8::try_from(sets.len()).ok().filter(|count| *count > 0)?;
        let mut datagram = Vec::with_capacity(bytes);
        datagram.extend(HEAD);
        datagram.extend(self.publisher_id.to_le_bytes());
        datagram.push(GROUP_FLAGS);
        datagram.extend(self.writer_group_id.to_le_bytes());
        datagram.extend(self.sequence.to_le_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        datagram.push(count);
        sets.iter()
            .for_each(|(id, _)| datagram.extend(id.to_le_bytes()));
        if count > 1 {
            let sizes = sets
                .iter()
                .map(|(_, set)| u16::try_from(set.len()).unwrap_or(0));
            sizes.for_each(|size| datagram.extend(size.to_le_bytes()));
        }
        sets.iter().for_each(|(_, set)| datagram.extend(set));
        Some(datagram.into())
    }

    /// The messages of a datagram.
    ///
    /// # Errors
    /// [`Unread::Unknown`] when it is secured, a chunk, no data, or of writers without a topic;
    /// [`Unread::Malformed`].
    pub fn decode(&mut self, datagram: &[u8], arrivals: &mut Vec<Arrival>) -> Result<(), Unread> {
        let mut reader = Reader::new(datagram);
        let head = Head::read(&mut reader)
            .ok_or(Unread::Malformed)?
            .ok_or(Unread::Unknown)?;
        let before = arrivals.len();
        let mut is_known = false;
        for (id, size) in &head.writers {
            let mut set = match size {
                Some(size) => Reader::new(reader.take(*size).ok_or(Unread::Malformed)?),
                None => reader,
            };
            let topics = Arc::clone(&self.topics);
            let Some(entry) = topics.of_id(*id) else {
                continue;
            };
            is_known = true;
            let read = read_set(entry, &mut set).ok_or(Unread::Malformed)?;
            if let Some(sequence) = read.sequence {
                self.follow((head.publisher, *id), sequence);
            }
            arrivals.extend(read.payload.map(|payload| Arrival {
                topic: Some(entry.topic.clone()),
                payload: payload.into(),
                retain: false,
            }));
        }
        if !is_known && arrivals.len() == before {
            return Err(Unread::Unknown);
        }
        Ok(())
    }

    fn follow(&mut self, writer: (u64, u16), sequence: u16) {
        if self.expected.len() >= WRITERS_MAX && !self.expected.contains_key(&writer) {
            self.expected.clear();
        }
        let next = sequence.wrapping_add(1);
        if let Some(expected) = self.expected.insert(writer, next) {
            let ahead = sequence.wrapping_sub(expected);
            if ahead < u16::MAX / 2 {
                self.gaps += u64::from(ahead);
            }
        }
    }
}

fn write_fields(fields: &[Field], payload: &[u8], set: &mut Vec<u8>) -> Result<(), Unsendable> {
    let count = u16::try_from(fields.len()).map_err(|_| Unsendable::NoName)?;
    if count == 0 {
        return Err(Unsendable::NoName);
    }
    // serde_json bounds the depth itself.
    let value: Value = serde_json::from_slice(payload).map_err(|_| Unsendable::NoFields)?;
    set.extend(count.to_le_bytes());
    for field in fields {
        let value = match field.name.as_str() {
            "" => Some(&value),
            name => value.get(name),
        };
        let written = value.and_then(|value| field.kind.write_variant(value, set));
        written.ok_or(Unsendable::NoFields)?;
    }
    Ok(())
}

/// The header of a network message.
struct Head {
    publisher: u64,
    /// Each data set's writer, and its size if that is written.
    writers: Vec<(u16, Option<usize>)>,
}

impl Head {
    /// `None`: malformed; `Some(None)`: nothing for this link.
    fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let flags = reader.u8()?;
        let extended = if flags & 0x80 == 0 { 0 } else { reader.u8()? };
        let extended_2 = if extended & 0x80 == 0 {
            0
        } else {
            reader.u8()?
        };
        if flags & 0x0F != 1 {
            return None;
        }
        // Security; chunks, and everything but data set messages.
        let is_data = extended & 0x10 == 0 && extended_2 & 0x1D == 0;
        // Without writer ids nothing says whose data this is.
        if !is_data || flags & 0x40 == 0 {
            return Some(None);
        }
        let publisher = match (flags & 0x10, extended & 0x07) {
            (0, _) => 0,
            (_, 0) => reader.u8()?.into(),
            (_, 1) => reader.u16_le()?.into(),
            (_, 2) => reader.u32_le()?.into(),
            (_, 3) => u64::from_le_bytes(reader.array()?),
            (_, 4) => {
                let length = usize::try_from(reader.u32_le()?).ok()?;
                fold(reader.take(length)?)
            }
            _ => return None,
        };
        if extended & 0x08 != 0 {
            reader.take(16)?;
        }
        if flags & 0x20 != 0 {
            let group = reader.u8()?;
            let sizes = [(0x01, 2), (0x02, 4), (0x04, 2), (0x08, 2)];
            for (_, size) in sizes.iter().filter(|(bit, _)| group & bit != 0) {
                reader.take(*size)?;
            }
        }
        let count = reader.u8()?;
        let ids: Option<Vec<_>> = (0..count).map(|_| reader.u16_le()).collect();
        if extended & 0x20 != 0 {
            reader.take(8)?;
        }
        if extended & 0x40 != 0 {
            reader.take(2)?;
        }
        if extended_2 & 0x02 != 0 {
            let size = reader.u16_le()?;
            reader.take(size.into())?;
        }
        let mut writers: Vec<_> = ids?.into_iter().map(|id| (id, None)).collect();
        if count > 1 {
            for (_, size) in &mut writers {
                *size = Some(reader.u16_le()?.into());
            }
        }
        Some(Some(Self { publisher, writers }))
    }
}

/// A name as a number: only to tell publishers apart when counting.
fn fold(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A data set message.
struct Set {
    sequence: Option<u16>,
    /// The JSON, unless it only says that the sender is alive.
    payload: Option<String>,
}

fn read_set(entry: &MappedTopic, reader: &mut Reader<'_>) -> Option<Set> {
    let flags = reader.u8()?;
    let flags_2 = if flags & 0x80 == 0 { 0 } else { reader.u8()? };
    let sequence = if flags & 0x08 == 0 {
        None
    } else {
        Some(reader.u16_le()?)
    };
    let sizes = [
        (flags_2 & 0x10, 8),
        (flags_2 & 0x20, 2),
        (flags & 0x10, 2),
        (flags & 0x20, 4),
        (flags & 0x40, 4),
    ];
    for (_, size) in sizes.iter().filter(|(bit, _)| *bit != 0) {
        reader.take(*size)?;
    }
    let is_valid = flags & 0x01 != 0;
    let encoding = (flags >> 1) & 0x03;
    let payload = match flags_2 & 0x0F {
        _ if !is_valid => None,
        0 | 2 => Some(read_key_frame(entry, encoding, reader)?),
        1 => Some(read_delta_frame(entry, encoding, reader)?),
        3 => None,
        _ => return None,
    };
    Some(Set {
        sequence,
        payload: payload.map(|value| value.to_string()),
    })
}

fn read_key_frame(entry: &MappedTopic, encoding: u8, reader: &mut Reader<'_>) -> Option<Value> {
    let count = match encoding {
        1 => entry.fields.len(),
        _ => reader.u16_le()?.into(),
    };
    let mut object = Map::new();
    for index in 0..count {
        let value = read_field(entry, index, encoding, reader)?;
        match entry.fields.get(index) {
            Some(field) if field.name.is_empty() && count == 1 => return Some(value),
            _ => object.insert(name_of(entry, index), value),
        };
    }
    Some(Value::Object(object))
}

fn read_delta_frame(entry: &MappedTopic, encoding: u8, reader: &mut Reader<'_>) -> Option<Value> {
    let count = reader.u16_le()?;
    let mut object = Map::new();
    for _ in 0..count {
        let index = usize::from(reader.u16_le()?);
        let value = read_field(entry, index, encoding, reader)?;
        object.insert(name_of(entry, index), value);
    }
    Some(Value::Object(object))
}

/// A field without a name is known by its place.
fn name_of(entry: &MappedTopic, index: usize) -> String {
    let field = entry
        .fields
        .get(index)
        .filter(|field| !field.name.is_empty());
    field.map_or_else(|| index.to_string(), |field| field.name.clone())
}

fn read_field(
    entry: &MappedTopic,
    index: usize,
    encoding: u8,
    reader: &mut Reader<'_>,
) -> Option<Value> {
    match encoding {
        0 => read_variant(reader),
        1 => entry.fields.get(index)?.kind.read(reader),
        2 => read_data_value(reader),
        _ => None,
    }
}

/// A value with status and times, which JSON leaves out (OPC 10000-6 §5.2.2.17).
fn read_data_value(reader: &mut Reader<'_>) -> Option<Value> {
    let mask = reader.u8()?;
    let value = if mask & 0x01 == 0 {
        Value::Null
    } else {
        read_variant(reader)?
    };
    let sizes = [(0x02, 4), (0x04, 8), (0x10, 2), (0x08, 8), (0x20, 2)];
    for (_, size) in sizes.iter().filter(|(bit, _)| mask & bit != 0) {
        reader.take(*size)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests;
