//! The page store: the operations that do I/O.
//!
//! Locks: `owners` (the map), then per owner `writer` (held during I/O by append, sweep and
//! drop), then `book` (memory only). Acknowledging takes the map and the book.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use super::format::{self, Bits, PageHeader, SPAN_MAX};
use super::open::find_page;
use super::owner::Book;
use super::read::{Batch, Reader, State, find_next};
use super::{Owner, PageSettings, PagedOwner};
use crate::error::Error;
use crate::files::{File, Files};
use crate::journal::Journal;
use crate::lsn::u64_from;
use crate::shared::Shared;

/// The page files of a data directory. Clones are handles on the same store.
///
/// It shares the journal's directory, lock and fate: a failed write or sync fails the journal.
#[derive(Clone, Debug)]
pub struct PageStore {
    pages: Arc<Pages>,
}

#[derive(Debug)]
pub(super) struct Pages {
    pub(super) shared: Arc<Shared>,
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: PathBuf,
    settings: PageSettings,
    owners: RwLock<BTreeMap<Owner, Arc<Entry>>>,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    writer: Mutex<Option<Writer>>,
    pub(super) book: Mutex<Book>,
}

/// The file that an owner's next records go to.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    pub(super) first: u64,
    offset: u64,
    present: Bits,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PageStore {
    /// Opens the page files beside the journal, and lists what is there. Full files are known
    /// by their footer; of each owner at most the newest is read.
    ///
    /// # Errors
    /// [`Error::NewerVersion`], [`Error::Damaged`] for a file with a bad header, [`Error::Io`].
    pub fn open(journal: &Journal, settings: PageSettings) -> Result<Self, Error> {
        Self::with_shared(Arc::clone(journal.handle_shared()), settings)
    }

    pub(crate) fn with_shared(shared: Arc<Shared>, settings: PageSettings) -> Result<Self, Error> {
        let files = Arc::clone(&shared.files);
        let dir = shared.settings.data_dir.join("pages");
        files.create_dir(&dir).map_err(Error::io("create", &dir))?;
        let mut books: BTreeMap<Owner, Book> = BTreeMap::new();
        for name in files.list(&dir).map_err(Error::io("list", &dir))? {
            let path = dir.join(&name);
            if name.ends_with(".tmp") {
                files.remove(&path).map_err(Error::io("remove", &path))?;
            }
            // Names sort as owner and first number do.
            let Some((owner, first)) = PageHeader::parse_name(&name) else {
                continue;
            };
            let header = PageHeader {
                log: shared.log,
                owner,
                first,
            };
            let page = find_page(&*files, path, header)?;
            books.entry(owner).or_default().found(first, page);
        }
        let entries = books.into_iter().map(|(owner, book)| {
            (
                owner,
                Arc::new(Entry {
                    writer: Mutex::default(),
                    book: Mutex::new(book),
                }),
            )
        });
        let owners = RwLock::new(entries.collect());
        Ok(Self {
            pages: Arc::new(Pages {
                shared,
                files,
                dir,
                settings,
                owners,
            }),
        })
    }

    /// All owners, and what is there of each.
    pub fn owners(&self) -> Vec<PagedOwner> {
        let owners = self
            .pages
            .owners
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        owners
            .iter()
            .map(|(owner, entry)| lock(&entry.book).describe(*owner))
            .collect()
    }

    /// What is there of one owner.
    pub fn owner(&self, owner: Owner) -> Option<PagedOwner> {
        let entry = self.entry(owner)?;
        let described = lock(&entry.book).describe(owner);
        Some(described)
    }

    #[cfg(test)]
    pub(crate) fn pages_health(&self) -> crate::Health {
        self.pages.shared.health()
    }

    fn entry(&self, owner: Owner) -> Option<Arc<Entry>> {
        let owners = self
            .pages
            .owners
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        owners.get(&owner).cloned()
    }

    fn entry_or_new(&self, owner: Owner) -> Arc<Entry> {
        let mut owners = self
            .pages
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(owners.entry(owner).or_default())
    }

    /// Appends records; when it returns, all are durable. Blocks on the disk: one write and one
    /// sync per file touched, so give it as many as there are.
    ///
    /// Only records that the journal reports as durable may be appended, or one could survive
    /// here that was lost there. The report of an append ("migrated through") must be durable
    /// before the next append for the same owner.
    ///
    /// # Errors
    /// [`Error::Sequence`] if the numbers do not grow, [`Error::Settings`] for a record of 4 GiB;
    /// nothing is appended then. [`Error::Io`]: a full disk leaves the store usable (some of the
    /// records may have been appended: see [`PageStore::owners`]); anything else fails the
    /// journal.
    pub fn append(&self, owner: Owner, records: &[(u64, &[u8])]) -> Result<(), Error> {
        let entry = self.entry_or_new(owner);
        let mut writer = lock(&entry.writer);
        check_order(owner, lock(&entry.book).last, records)?;
        lock(&entry.book).begin_append();
        let mut rest = records;
        while !rest.is_empty() {
            self.pages.sweep(owner, &entry)?;
            let appended = self.pages.append_some(owner, &entry, &mut writer, rest);
            match appended {
                Ok(count) => rest = rest.get(count..).unwrap_or(&[]),
                Err(error) => {
                    // What is behind the last good record is unknown: go on in another file.
                    *writer = None;
                    if !error.is_storage_full() {
                        self.pages.shared.fail(&error);
                    }
                    return Err(error);
                }
            }
        }
        lock(&entry.book).end_append();
        Ok(())
    }

    /// Reads records that are not acknowledged, in order from number `from` on, until
    /// `bytes_max` is reached; at least one, if there is any. Blocks on the disk; reads ahead, so
    /// going on where the last call ended costs no search.
    ///
    /// # Errors
    /// [`Error::DamagedPage`] if a record fails its checksum and none before it could be given;
    /// [`Error::Io`].
    pub fn read(
        &self,
        owner: Owner,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        match self.entry(owner) {
            Some(entry) => self.pages.read(owner, &entry, from, bytes_max),
            None => Ok(Vec::new()),
        }
    }

    /// These records are not needed any more. Memory only: the caller's journal remembers it.
    /// Files that are no longer needed are removed by the next append or [`PageStore::sweep`].
    pub fn ack(&self, owner: Owner, ranges: impl IntoIterator<Item = RangeInclusive<u64>>) {
        if let Some(entry) = self.entry(owner) {
            let mut book = lock(&entry.book);
            ranges.into_iter().for_each(|range| book.ack(&range));
        }
    }

    /// Removes the files that [`PageStore::ack`] let go of, and writes a file again, without what
    /// was acknowledged, if that is more than half of it; except while a backup is made.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sweep(&self) -> Result<(), Error> {
        let entries: Vec<(Owner, Arc<Entry>)> = {
            let owners = self
                .pages
                .owners
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            owners
                .iter()
                .map(|(owner, entry)| (*owner, Arc::clone(entry)))
                .collect()
        };
        for (owner, entry) in entries {
            let mut writer = lock(&entry.writer);
            self.pages.sweep(owner, &entry)?;
            self.pages.rewrite_one(owner, &entry, &mut writer)?;
        }
        Ok(())
    }

    /// Forgets an owner and removes its files, durably. Waits for a backup to end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn drop_owner(&self, owner: Owner) -> Result<(), Error> {
        let Some(entry) = self.entry(owner) else {
            return Ok(());
        };
        let mut writer = lock(&entry.writer);
        *writer = None;
        self.pages.shared.wait_for_backups();
        {
            let mut book = lock(&entry.book);
            let pages = std::mem::take(&mut book.pages);
            book.unlinked.extend(pages.into_keys());
            book.last = None;
        }
        self.pages.sweep(owner, &entry)?;
        let dir = &self.pages.dir;
        self.pages
            .files
            .sync_dir(dir)
            .map_err(Error::io("sync", dir))?;
        let mut owners = self
            .pages
            .owners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        owners.remove(&owner);
        Ok(())
    }

    /// What is acknowledged and what is not, as a part for the checkpoint: one bit a record.
    pub fn snapshot(&self, owner: Owner) -> Bytes {
        let entry = self.entry(owner);
        entry.map_or_else(Bytes::new, |entry| lock(&entry.book).snapshot().into())
    }

    /// At a start: takes over what was acknowledged when the snapshot was made.
    ///
    /// # Errors
    /// [`Error::Settings`] if these are not the bytes of [`PageStore::snapshot`].
    pub fn restore(&self, owner: Owner, snapshot: &[u8]) -> Result<(), Error> {
        let what = "a snapshot of page files has the wrong length";
        let Some(entry) = self.entry(owner).filter(|_| !snapshot.is_empty()) else {
            return Ok(());
        };
        lock(&entry.book)
            .restore(snapshot)
            .ok_or(Error::Settings { what })
    }

    /// At a start, when the journal is replayed: records up to `through` were reported as
    /// migrated (`None`: none were), so they must be there; those behind are forgotten.
    ///
    /// # Errors
    /// [`Error::DamagedPage`] if records up to `through` are missing; the others can be read.
    pub fn confirm(&self, owner: Owner, through: Option<u64>) -> Result<(), Error> {
        let entry = match (self.entry(owner), through) {
            (Some(entry), _) => entry,
            (None, Some(_)) => self.entry_or_new(owner),
            (None, None) => return Ok(()),
        };
        let _writer = lock(&entry.writer);
        let confirmed = lock(&entry.book).confirm(through);
        self.pages.sweep(owner, &entry)?;
        let dir = &self.pages.dir;
        self.pages
            .files
            .sync_dir(dir)
            .map_err(Error::io("sync", dir))?;
        confirmed.map_err(|seq| {
            let first = lock(&entry.book).page_of(seq).unwrap_or(seq);
            Error::DamagedPage {
                path: self.pages.path(owner, first),
                owner,
                seq,
            }
        })
    }
}

fn check_order(owner: Owner, last: Option<u64>, records: &[(u64, &[u8])]) -> Result<(), Error> {
    let mut last = last;
    for (seq, body) in records {
        if let Some(last) = last.filter(|last| last >= seq) {
            return Err(Error::Sequence {
                owner,
                seq: *seq,
                last,
            });
        }
        if u32::try_from(body.len()).is_err() {
            return Err(Error::Settings {
                what: "a paged record must be smaller than 4 GiB",
            });
        }
        last = Some(*seq);
    }
    Ok(())
}

impl Pages {
    pub(super) fn header(&self, owner: Owner, first: u64) -> PageHeader {
        PageHeader {
            log: self.shared.log,
            owner,
            first,
        }
    }

    pub(super) fn path(&self, owner: Owner, first: u64) -> PathBuf {
        self.dir.join(self.header(owner, first).name())
    }

    /// Removes what the book let go of. The caller holds the writer.
    fn sweep(&self, owner: Owner, entry: &Entry) -> Result<(), Error> {
        if self.shared.is_backed_up() {
            return Ok(());
        }
        let unlinked = std::mem::take(&mut lock(&entry.book).unlinked);
        for first in unlinked {
            let path = self.path(owner, first);
            match self.files.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends as many records as go into one file, and makes them durable; how many.
    fn append_some(
        &self,
        owner: Owner,
        entry: &Entry,
        slot: &mut Option<Writer>,
        records: &[(u64, &[u8])],
    ) -> Result<usize, Error> {
        let Some((next, body)) = records.first() else {
            return Ok(0);
        };
        if slot
            .as_ref()
            .is_some_and(|writer| !writer.has_room(&self.settings, *next, body.len()))
        {
            self.finish(slot)?;
        }
        let is_new = slot.is_none();
        let mut writer = match slot.take() {
            Some(writer) => writer,
            None => self.create(owner, *next)?,
        };
        let mut bytes = Vec::new();
        if is_new {
            self.header(owner, *next).put(&mut bytes);
        }
        let (mut count, mut last, start) = (0, *next, writer.offset);
        for (seq, body) in records {
            writer.offset = start + u64_from(bytes.len());
            if count > 0 && !writer.has_room(&self.settings, *seq, body.len()) {
                break;
            }
            let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            format::put_record(&mut bytes, *seq, len, body);
            writer.present.insert(seq - writer.first);
            (count, last) = (count + 1, *seq);
        }
        let failed = |op| Error::io(op, &writer.path);
        writer
            .file
            .write_all_at(&[&bytes], start)
            .map_err(failed("write"))?;
        writer.file.sync_data().map_err(failed("sync"))?;
        writer.offset = start + u64_from(bytes.len());
        if is_new {
            let path = self.path(owner, writer.first);
            self.files
                .rename(&writer.path, &path)
                .map_err(failed("rename"))?;
            self.files
                .sync_dir(&self.dir)
                .map_err(Error::io("sync", &self.dir))?;
            writer.path = path;
        }
        let mut book = lock(&entry.book);
        book.last = Some(last);
        book.unlinked.retain(|first| *first != writer.first);
        let page = book.pages.entry(writer.first).or_default();
        (page.last, page.end) = (last, writer.offset);
        page.records += u64_from(count);
        let appended = records.iter().take(count);
        appended.for_each(|(seq, _)| page.live.insert(seq - writer.first));
        drop(book);
        *slot = Some(writer);
        Ok(count)
    }

    pub(super) fn tmp_path(&self, owner: Owner, first: u64) -> PathBuf {
        let name = self.header(owner, first).name();
        self.dir.join(format!("{name}.tmp"))
    }

    pub(super) fn create(&self, owner: Owner, first: u64) -> Result<Writer, Error> {
        let path = self.tmp_path(owner, first);
        let file = self
            .files
            .create(&path)
            .map_err(Error::io("create", &path))?;
        Ok(Writer {
            file,
            path,
            first,
            offset: 0,
            present: Bits::default(),
        })
    }

    /// Ends a full file with its footer. It need not be synced: without it, the file is read.
    fn finish(&self, slot: &mut Option<Writer>) -> Result<(), Error> {
        let Some(writer) = slot.take() else {
            return Ok(());
        };
        let last = writer.first + writer.present.last().unwrap_or(0);
        let mut footer = Vec::new();
        format::put_footer(&mut footer, writer.offset, last, &writer.present);
        let written = writer.file.write_all_at(&[&footer], writer.offset);
        written.map_err(Error::io("write", &writer.path))
    }

    fn read(
        &self,
        owner: Owner,
        entry: &Entry,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        let mut batch = Batch {
            from,
            bytes_max,
            bytes: 0,
            records: Vec::new(),
        };
        while !batch.is_full() {
            let next = find_next(&mut lock(&entry.book), batch.from);
            let Some((first, page, offset)) = next else {
                break;
            };
            let is_same = || {
                let book = lock(&entry.book);
                book.pages
                    .get(&first)
                    .is_none_or(|now| now.version == page.version)
            };
            let path = self.path(owner, first);
            let file = match self.files.open(&path) {
                Ok(file) => file,
                // Acknowledged and removed since.
                Err(_) if !lock(&entry.book).pages.contains_key(&first) => continue,
                Err(error) => return Err(Error::io("open", &path)(error)),
            };
            // Replaced by a rewritten one, or about to be: then it is not known which this is.
            if page.version % 2 == 1 || !is_same() {
                std::thread::yield_now();
                continue;
            }
            let mut reader = Reader::new(&*file, offset, page.end);
            let state = batch.fill(first, &page, &mut reader);
            match state.map_err(Error::io("read", &path))? {
                State::Full => {
                    let mut book = lock(&entry.book);
                    let now = book.pages.get(&first).map(|now| now.version);
                    if now == Some(page.version) {
                        book.cursor = Some((first, reader.position(), batch.from));
                    }
                }
                State::End if page.last == u64::MAX => break,
                State::End => batch.from = page.last + 1,
                State::Bad if !batch.records.is_empty() => break,
                State::Bad => {
                    let seq = batch.from.max(first);
                    return Err(Error::DamagedPage { path, owner, seq });
                }
            }
        }
        Ok(batch.records)
    }
}

impl Writer {
    fn has_room(&self, settings: &PageSettings, seq: u64, body: usize) -> bool {
        let bytes = u64_from(format::record_bytes(body));
        self.offset + bytes <= settings.file_bytes && seq - self.first < SPAN_MAX
    }
}
