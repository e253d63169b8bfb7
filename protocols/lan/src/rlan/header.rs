//! The 28 bytes in front of every datagram. They are not encrypted, and no bit of them can be
//! changed without the seal breaking.

use crate::wire::Reader;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 28;

/// DATA and SNAPSHOT: the first part of a block.
pub(super) const FIRST: u8 = 1;

/// DATA and SNAPSHOT: the last part of a block.
pub(super) const LAST: u8 = 2;

/// No sequence or control number is higher: at a million in a second that takes 146,000 years.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

const MAGIC: [u8; 2] = *b"RL";
const VERSION: u8 = 1;

/// The type of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of the stream.
    Data,
    /// How far the stream is.
    Heartbeat,
    /// What a receiver lacks.
    Nak,
    /// What it will never get.
    Gone,
    /// A receiver asks for retained values.
    SnapshotRequest,
    /// A part of them.
    Snapshot,
    /// What a receiver must show that asks for more than a datagram.
    Cookie,
}

const KINDS: [(u8, Kind); 7] = [
    (1, Kind::Data),
    (2, Kind::Heartbeat),
    (3, Kind::Nak),
    (4, Kind::Gone),
    (5, Kind::SnapshotRequest),
    (6, Kind::Snapshot),
    (7, Kind::Cookie),
];

/// Who sends, and since which start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamId {
    pub(super) origin: u64,
    pub(super) epoch: u32,
}

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// 0: not sealed.
    pub(super) key: u8,
    pub(super) stream: StreamId,
    /// DATA: the sequence number; others: the control number.
    pub(super) number: u64,
}

impl Header {
    /// Reads a header; `None` if it is none of ours.
    pub(super) fn decode(datagram: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(datagram);
        let start = reader.array::<4>()?;
        let (flags, key, reserved) = (reader.u8()?, reader.u8()?, reader.array::<2>()?);
        let [m0, m1, version, kind] = start;
        let (_, kind) = *KINDS.iter().find(|(byte, _)| *byte == kind)?;
        let has_flags = matches!(kind, Kind::Data | Kind::Snapshot);
        let is_plain = flags == 0 || (has_flags && flags & !(FIRST | LAST) == 0);
        let is_ours = [m0, m1] == MAGIC && version == VERSION && reserved == [0; 2];
        let stream = StreamId {
            origin: u64::from_be_bytes(reader.array()?),
            epoch: u32::from_be_bytes(reader.array()?),
        };
        let number = u64::from_be_bytes(reader.array()?);
        (is_ours && is_plain && (1..=NUMBER_MAX).contains(&number)).then_some(Self {
            kind,
            flags,
            key,
            stream,
            number,
        })
    }

    /// The bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind);
        let kind = kind.map_or(0, |(byte, _)| *byte);
        let mut bytes = [0; HEADER_BYTES];
        let parts: [&[u8]; 6] = [
            &MAGIC,
            &[VERSION, kind, self.flags, self.key, 0, 0],
            &self.stream.origin.to_be_bytes(),
            &self.stream.epoch.to_be_bytes(),
            &self.number.to_be_bytes(),
            &[],
        ];
        for (byte, value) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *value;
        }
        bytes
    }
}
