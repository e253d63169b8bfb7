//! Gives the space back that acknowledged records take in files of which somebody still wants
//! something: a file that is less than half wanted is written again without them, under its own
//! name, so a crash leaves one or the other.

use super::Owner;
use super::format::{self, HEADER_BYTES};
use super::owner::{Book, Page};
use super::read::{Batch, Reader, State};
use super::store::{Entry, Pages, Writer, lock};
use crate::error::Error;
use crate::lsn::{u64_from, usize_from};
use crate::stats::Health;

/// Files that hold less than this are left as they are.
const WORTHWHILE_BYTES: u64 = 1 << 10;

impl Book {
    /// A file that is worth it. One of which more was acknowledged since the last look is being
    /// read and will soon be gone, and the newest is being written: these only when nothing in
    /// them is wanted, or when the disk `is_low`.
    fn sparse(&mut self, is_low: bool) -> Option<(u64, Page)> {
        if self.is_unconfirmed {
            return None;
        }
        let newest = self.pages.keys().next_back().copied();
        let is_sparse = |(first, page): &(&u64, &mut Page)| {
            let live = page.live.count();
            let is_at_rest = page.looked_at == Some(live) && Some(**first) != newest;
            page.end > WORTHWHILE_BYTES
                && live * 2 < page.records
                && (is_low || is_at_rest || live == 0)
        };
        let found = self.pages.iter_mut().find(is_sparse);
        let found = found.map(|(first, page)| (*first, page.clone()));
        for page in self.pages.values_mut() {
            page.looked_at = Some(page.live.count());
        }
        found
    }

    /// Between these two calls no reader knows which of the two files it opens.
    fn begin_swap(&mut self, first: u64) {
        if let Some(page) = self.pages.get_mut(&first) {
            page.version += 1;
        }
    }

    fn end_swap(&mut self, first: u64, end: u64, records: u64) {
        if let Some(page) = self.pages.get_mut(&first) {
            page.version += 1;
            (page.end, page.records) = (end, records);
        }
        self.cursor.take_if(|(file, ..)| *file == first);
    }
}

impl Pages {
    /// Writes one file of an owner again, if that gives space back. The caller holds the writer,
    /// which goes on in another file if it was that one.
    pub(super) fn rewrite_one(
        &self,
        owner: Owner,
        entry: &Entry,
        slot: &mut Option<Writer>,
    ) -> Result<(), Error> {
        // A backup may be copying it.
        if self.shared.is_backed_up() || self.shared.health() == Health::Failed {
            return Ok(());
        }
        let is_low = self.shared.health() != Health::Ok;
        let Some((first, page)) = lock(&entry.book).sparse(is_low) else {
            return Ok(());
        };
        slot.take_if(|writer| writer.first == first);
        match self.rewrite(owner, entry, (first, &page)) {
            Err(error) if error.is_storage_full() => {
                drop(self.files.remove(&self.tmp_path(owner, first)));
                Ok(())
            }
            Err(error) => {
                self.shared.fail(&error);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn rewrite(
        &self,
        owner: Owner,
        entry: &Entry,
        (first, page): (u64, &Page),
    ) -> Result<(), Error> {
        let path = self.path(owner, first);
        let file = self.files.open(&path).map_err(Error::io("open", &path))?;
        let mut batch = Batch {
            from: first,
            bytes_max: usize::MAX,
            bytes: 0,
            records: Vec::new(),
        };
        let mut reader = Reader::new(&*file, u64_from(HEADER_BYTES), page.end);
        let state = batch.fill(first, page, &mut reader);
        if matches!(state.map_err(Error::io("read", &path))?, State::Bad) {
            // Whoever reads it says so; as it is, more of it can be saved.
            if let Some(page) = lock(&entry.book).pages.get_mut(&first) {
                page.records = 0;
            }
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(usize_from(page.end / 2));
        self.header(owner, first).put(&mut bytes);
        for (seq, body) in &batch.records {
            let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            format::put_record(&mut bytes, *seq, len, body);
        }
        let end = u64_from(bytes.len());
        format::put_footer(&mut bytes, end, page.last, &page.live);
        let new = self.create(owner, first)?;
        let failed = |op| Error::io(op, &new.path);
        new.file
            .write_all_at(&[&bytes], 0)
            .map_err(failed("write"))?;
        new.file.sync_data().map_err(failed("sync"))?;
        lock(&entry.book).begin_swap(first);
        let renamed = self.files.rename(&new.path, &path);
        lock(&entry.book).end_swap(first, end, u64_from(batch.records.len()));
        renamed.map_err(failed("rename"))?;
        self.files
            .sync_dir(&self.dir)
            .map_err(Error::io("sync", &self.dir))
    }
}
