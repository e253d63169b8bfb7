//! What the core's own tests share.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::journal::{Appended, Entry, Journal, Lsn, Urgency, decode};
use crate::message::Origin;
use crate::properties::Properties;

/// A protocol without properties.
pub(crate) static ORIGIN: Origin = Origin {
    tag: 9,
    name: "test",
    decode: |_| Properties::default(),
};

/// A journal in memory that remembers its records.
#[derive(Debug, Default)]
pub(crate) struct RecordingJournal {
    records: Mutex<Vec<(Lsn, Bytes)>>,
}

impl RecordingJournal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn records(&self) -> Vec<(Lsn, Bytes)> {
        self.records.lock().unwrap().clone()
    }

    /// Takes records with their positions from another.
    pub(crate) fn put_all(&self, records: impl IntoIterator<Item = (Lsn, Bytes)>) {
        self.records.lock().unwrap().extend(records);
    }

    /// The names of the entries, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let entries = self
            .records()
            .into_iter()
            .map(|(_, r)| decode(r, &[&ORIGIN]).unwrap());
        entries.map(|entry| kind(&entry)).collect()
    }
}

/// The name of an entry's variant.
pub(crate) fn kind(entry: &Entry) -> String {
    format!("{entry:?}")
        .split([' ', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl Journal for RecordingJournal {
    fn append(&self, record: &[&[u8]], _: Urgency) -> Appended {
        let record = Bytes::from(record.concat());
        let mut records = self.records.lock().unwrap();
        let start = records
            .last()
            .map_or(0, |(at, last)| at.0 + last.len() as u64);
        let end = Lsn(start + record.len() as u64);
        records.push((Lsn(start), record));
        Appended {
            start: Lsn(start),
            end,
        }
    }

    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }

    fn has_room(&self) -> bool {
        true
    }

    fn read(&self, start: Lsn) -> Option<Bytes> {
        let records = self.records.lock().unwrap();
        let found = records.binary_search_by_key(&start, |(at, _)| *at).ok()?;
        records.get(found).map(|(_, record)| record.clone())
    }
}
