//! The volatile string map behind `SET`, `GET` and their like: capped, in memory, gone at restart.
//!
//! It is there so that health checks, tie-breakers and counters of pub/sub clients work; it is no
//! database. Expired keys leave before anything else happens, so nobody ever sees one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use routing::Timestamp;

use crate::error::Error;

#[cfg(test)]
mod tests;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The value.
    pub(crate) value: Bytes,
    /// When it goes.
    pub(crate) expires_at: Option<Timestamp>,
    /// Rises with every change to any key; makes moments of expiry distinct.
    version: u64,
}

/// Whether a key has changed since `WATCH` looked at it, even if it is again as it was.
pub(crate) type Touched = Arc<AtomicBool>;

/// Below so many watched keys the map of them is not looked through for those that nobody watches
/// any more.
const WATCHED_SWEEP_MIN: usize = 256;

/// What a write does to a key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Leave it as it is.
    Keep,
    /// The key stays.
    Never,
    /// The key goes at this moment.
    At(Timestamp),
}

/// All databases of the server.
#[derive(Debug)]
pub(crate) struct Keyspace {
    databases: Vec<HashMap<Bytes, Entry>>,
    /// Which key goes when. The version makes moments that fall together distinct.
    expiries: BTreeMap<(Timestamp, u64), (u8, Bytes)>,
    keys: usize,
    bytes: usize,
    version: u64,
    keys_max: usize,
    bytes_max: usize,
    /// Who watches which key; those who have stopped are dropped at the next change or sweep.
    watched: HashMap<(u8, Bytes), Vec<Weak<AtomicBool>>>,
    /// The number of watched keys at which the map is looked through.
    sweep_at: usize,
}

impl Keyspace {
    pub(crate) fn new(databases: u8, keys_max: usize, bytes_max: usize) -> Self {
        Self {
            databases: vec![HashMap::new(); databases.into()],
            expiries: BTreeMap::new(),
            keys: 0,
            bytes: 0,
            version: 0,
            keys_max,
            bytes_max,
            watched: HashMap::new(),
            sweep_at: WATCHED_SWEEP_MIN,
        }
    }

    /// Watches a key, present or not, for as long as the answer is kept.
    pub(crate) fn watch(&mut self, database: u8, key: &[u8]) -> Touched {
        if self.watched.len() >= self.sweep_at {
            self.watched.retain(|_, watchers| {
                watchers.retain(|watcher| watcher.strong_count() > 0);
                !watchers.is_empty()
            });
            // At most twice what is watched, and each sweep is paid for by as many new keys.
            self.sweep_at = (2 * self.watched.len()).max(WATCHED_SWEEP_MIN);
        }
        let touched = Touched::default();
        let key = (database, Bytes::copy_from_slice(key));
        let watchers = self.watched.entry(key).or_default();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&touched));
        touched
    }

    /// Tells those who watch the key.
    fn touch(&mut self, database: u8, key: &Bytes) {
        if self.watched.is_empty() {
            return;
        }
        let watchers = self.watched.remove(&(database, key.clone()));
        for watcher in watchers.into_iter().flatten() {
            if let Some(touched) = watcher.upgrade() {
                touched.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Removes what has expired. Every command calls it before it looks at a key.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((&(at, _), _)) = self.expiries.first_key_value()
            && at <= now
            && let Some((_, (database, key))) = self.expiries.pop_first()
        {
            self.forget(database, &key);
        }
    }

    pub(crate) fn get(&self, database: u8, key: &[u8]) -> Option<&Entry> {
        self.databases.get(usize::from(database))?.get(key)
    }

    /// Whether so many more keys and bytes fit.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub(crate) const fn check_room(&self, keys: usize, bytes: usize) -> Result<(), Error> {
        let keys = self.keys.saturating_add(keys);
        if keys > self.keys_max || self.bytes.saturating_add(bytes) > self.bytes_max {
            return Err(Error::Full);
        }
        Ok(())
    }

    /// Copies key and value: a slice of a read buffer would keep all of it.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing has changed.
    pub(crate) fn set(
        &mut self,
        database: u8,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
    ) -> Result<(), Error> {
        let old = self.get(database, key);
        let expires_at = match expiry {
            Expiry::Keep => old.and_then(|entry| entry.expires_at),
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
        };
        let (keys, freed) = match old {
            Some(entry) => (self.keys, key.len() + entry.value.len()),
            None => (self.keys + 1, 0),
        };
        let bytes = self.bytes - freed + key.len() + value.len();
        if keys > self.keys_max || bytes > self.bytes_max {
            return Err(Error::Full);
        }
        self.remove(database, key);
        self.version += 1;
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.touch(database, &key);
        if let Some(at) = expires_at {
            self.expiries
                .insert((at, self.version), (database, key.clone()));
        }
        let entry = Entry {
            value,
            expires_at,
            version: self.version,
        };
        if let Some(database) = self.databases.get_mut(usize::from(database)) {
            database.insert(key, entry);
            (self.keys, self.bytes) = (keys, bytes);
        }
        Ok(())
    }

    /// Sets when a key goes; `false` if it is not there.
    pub(crate) fn set_expiry(
        &mut self,
        database: u8,
        key: &[u8],
        expires_at: Option<Timestamp>,
    ) -> bool {
        self.version += 1;
        let version = self.version;
        let Some((key, entry)) = self.key_and_entry_mut(database, key) else {
            return false;
        };
        let old = entry.expires_at.map(|at| (at, entry.version));
        (entry.expires_at, entry.version) = (expires_at, version);
        if let Some(old) = old {
            self.expiries.remove(&old);
        }
        self.touch(database, &key);
        if let Some(at) = expires_at {
            self.expiries.insert((at, version), (database, key));
        }
        true
    }

    /// The value that was there.
    pub(crate) fn remove(&mut self, database: u8, key: &[u8]) -> Option<Bytes> {
        let entry = self.forget(database, key)?;
        if let Some(at) = entry.expires_at {
            self.expiries.remove(&(at, entry.version));
        }
        Some(entry.value)
    }

    /// The keys of one database, in no order.
    pub(crate) fn keys(&self, database: u8) -> impl Iterator<Item = &Bytes> {
        self.databases
            .get(usize::from(database))
            .into_iter()
            .flat_map(HashMap::keys)
    }

    /// Keys in one database.
    pub(crate) fn len(&self, database: u8) -> usize {
        self.databases
            .get(usize::from(database))
            .map_or(0, HashMap::len)
    }

    /// Keys of one database that will expire.
    pub(crate) fn expiring(&self, database: u8) -> usize {
        self.expiries
            .values()
            .filter(|(of, _)| *of == database)
            .count()
    }

    /// The most bytes that there may be.
    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Changes it. What is there stays.
    pub(crate) const fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Bytes of all keys and values.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Empties one database.
    pub(crate) fn clear(&mut self, database: u8) {
        let Some(keys) = self.databases.get_mut(usize::from(database)) else {
            return;
        };
        let keys = std::mem::take(keys);
        self.keys -= keys.len();
        self.bytes -= keys
            .iter()
            .map(|(key, entry)| key.len() + entry.value.len())
            .sum::<usize>();
        if !self.watched.is_empty() {
            keys.keys().for_each(|key| self.touch(database, key));
        }
        self.expiries.retain(|_, (of, _)| *of != database);
    }

    /// Removes the entry and leaves its place among the expiries.
    fn forget(&mut self, database: u8, key: &[u8]) -> Option<Entry> {
        let keys = self.databases.get_mut(usize::from(database))?;
        let (key, entry) = keys.remove_entry(key)?;
        self.keys -= 1;
        self.bytes -= key.len() + entry.value.len();
        self.touch(database, &key);
        Some(entry)
    }

    fn key_and_entry_mut(&mut self, database: u8, key: &[u8]) -> Option<(Bytes, &mut Entry)> {
        let database = self.databases.get_mut(usize::from(database))?;
        let (key, _) = database.get_key_value(key)?;
        let key = key.clone();
        let entry = database.get_mut(&key)?;
        Some((key, entry))
    }
}
