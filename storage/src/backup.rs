//! A consistent copy of the data directory while it is in use. Separate because it is the one
//! operation that looks at log, checkpoints and page files at once.
//!
//! Nothing is recycled or removed while it runs. The checkpoints are copied first, then the log
//! up to a position that is synced by then, then the page files: these may hold more than the
//! log reports as migrated, never less, and the next start forgets the surplus.

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::error::Error;
use crate::files::{File, Files};
use crate::lsn::{Lsn, u64_from, usize_from};
use crate::shared::Shared;

const COPY_BYTES: usize = 1 << 20;

/// While it lives, the journal recycles and removes nothing.
struct Hold<'a>(&'a Shared);

impl<'a> Hold<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.backups.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.backups.fetch_sub(1, Ordering::AcqRel);
        // Now what was put off.
        self.0.trim(Lsn::ZERO);
    }
}

/// Copies everything that a start needs to `to`; answers where the copied log ends.
pub(crate) fn backup(shared: &Shared, to: &Path) -> Result<Lsn, Error> {
    let _hold = Hold::new(shared);
    let files = &*shared.files;
    let from = &shared.settings.data_dir;
    let dirs = ["checkpoint", "journal", "pages"].map(|name| (from.join(name), to.join(name)));
    let [(_, checkpoints_to), (_, journal_to), (pages_from, pages_to)] = &dirs;
    for (_, dir) in &dirs {
        files.create_dir(dir).map_err(Error::io("create", dir))?;
        if !files.list(dir).map_err(Error::io("list", dir))?.is_empty() {
            return Err(Error::Settings {
                what: "a backup needs an empty directory",
            });
        }
    }
    copy_checkpoints(shared, checkpoints_to)?;
    let end = shared.durable();
    shared.wait_synced(end)?;
    for segment in shared
        .live_segments()
        .iter()
        .filter(|s| s.header.base < end.0)
    {
        let name = segment.path.file_name().unwrap_or_default();
        let len = segment.header.size.min(end.0 - segment.header.base);
        let copy = copy(files, &*segment.file, &journal_to.join(name), len)?;
        let last = segment.header.size - 1;
        if len <= last {
            // The size is part of a segment; what lies between reads as zeros.
            let path = journal_to.join(name);
            copy.write_all_at(&[&[0]], last)
                .map_err(Error::io("write", &path))?;
            copy.sync_data().map_err(Error::io("sync", &path))?;
        }
    }
    let is_page = |name: &String| name.ends_with(".page");
    let names = files
        .create_dir(pages_from)
        .and_then(|()| files.list(pages_from));
    let names = names.map_err(Error::io("list", pages_from))?;
    for name in names.iter().filter(|name| is_page(name)) {
        copy_path(files, &pages_from.join(name), &pages_to.join(name))?;
    }
    for (_, dir) in &dirs {
        files.sync_dir(dir).map_err(Error::io("sync", dir))?;
    }
    Ok(end)
}

fn copy_checkpoints(shared: &Shared, to: &Path) -> Result<(), Error> {
    // Held, so that no file is replaced or removed meanwhile.
    let checkpoints = shared.checkpoints();
    for path in checkpoints.paths(&shared.checkpoint_dir()) {
        let name = path.file_name().unwrap_or_default();
        copy_path(&*shared.files, &path, &to.join(name))?;
    }
    Ok(())
}

/// Copies a file; one that is gone meanwhile was not needed any more.
fn copy_path(files: &dyn Files, from: &Path, to: &Path) -> Result<(), Error> {
    match files.open(from) {
        Ok(file) => {
            let len = file.size().map_err(Error::io("read", from))?;
            copy(files, &*file, to, len).map(drop)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("open", from)(error)),
    }
}

fn copy(
    files: &dyn Files,
    from: &dyn File,
    to: &Path,
    len: u64,
) -> Result<std::sync::Arc<dyn File>, Error> {
    let copy = files.create(to).map_err(Error::io("create", to))?;
    let mut buffer = vec![0; COPY_BYTES.min(usize_from(len))];
    let mut offset = 0;
    while offset < len {
        let wanted = buffer.len().min(usize_from(len - offset));
        let chunk = buffer.get_mut(..wanted).unwrap_or_default();
        let read = from
            .read_at(chunk, offset)
            .map_err(Error::io("copy to", to))?;
        if read == 0 {
            break;
        }
        let chunk = chunk.get(..read).unwrap_or_default();
        copy.write_all_at(&[chunk], offset)
            .map_err(Error::io("write", to))?;
        offset += u64_from(read);
    }
    copy.sync_data().map_err(Error::io("sync", to))?;
    Ok(copy)
}
