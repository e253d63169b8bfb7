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
    /// Where groups began and ended, in numbers of records.
    groups: Mutex<Vec<(usize, usize)>>,
}

impl RecordingJournal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn records(&self) -> Vec<(Lsn, Bytes)> {
        self.records.lock().unwrap().clone()
    }

    /// What a crash leaves that came when so many records were written: no part of a group.
    pub(crate) fn survivors(&self, written: usize) -> Vec<(Lsn, Bytes)> {
        let groups = self.groups.lock().unwrap();
        let torn = groups
            .iter()
            .find(|(begin, end)| (begin + 1..*end).contains(&written));
        let mut records = self.records();
        records.truncate(torn.map_or(written, |(begin, _)| *begin));
        records
    }

    /// Takes records with their positions from another.
    pub(crate) fn put_all(&self, records: impl IntoIterator<Item = (Lsn, Bytes)>) {
        self.records.lock().unwrap().extend(records);
    }

    /// The names of the entries, in order.
    /// But for what only ages are told from.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let entries = self
            .records()
            .into_iter()
            .map(|(_, r)| decode(r, &[&ORIGIN]).unwrap());
        let kinds = entries.map(|entry| kind(&entry));
        kinds.filter(|kind| kind != "Noted").collect()
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

    fn begin_group(&self) {
        let begin = self.records.lock().unwrap().len();
        self.groups.lock().unwrap().push((begin, usize::MAX));
    }

    fn end_group(&self) {
        let now = self.records.lock().unwrap().len();
        if let Some((_, end)) = self.groups.lock().unwrap().last_mut() {
            *end = now;
        }
    }

    fn end(&self) -> Lsn {
        let records = self.records.lock().unwrap();
        let last = records.last();
        last.map_or(Lsn(0), |(at, last)| Lsn(at.0 + last.len() as u64))
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
