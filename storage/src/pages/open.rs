//! What a start finds in a page file: its footer, or its records up to the first that is not
//! whole.

use std::path::PathBuf;

use super::format::{self, Found, HEADER_BYTES, PageHeader, SPAN_MAX};
use super::owner::Page;
use crate::error::{Damage, Error};
use crate::files::{Files, read_all};
use crate::format::FORMAT_VERSION;
use crate::lsn::{Lsn, u64_from, usize_from};

/// What a file holds, by its footer or by its records.
pub(super) fn find_page(
    files: &dyn Files,
    path: PathBuf,
    expected: PageHeader,
) -> Result<Page, Error> {
    let file = files.open(&path).map_err(Error::io("open", &path))?;
    let failed = || Error::io("read", &path);
    let mut header = vec![0; HEADER_BYTES];
    let read = file.read_at(&mut header, 0).map_err(failed())?;
    header.truncate(read);
    if let Some(found) = PageHeader::version(&header).filter(|found| *found > FORMAT_VERSION) {
        return Err(Error::NewerVersion {
            path,
            found,
            supported: FORMAT_VERSION,
        });
    }
    if PageHeader::decode(&header) != Some(expected) {
        // The name came after the synced header: it was there once.
        return Err(Error::Damaged {
            path,
            at: Lsn::ZERO,
            damage: Damage::PageHeader,
        });
    }
    let size = file.size().map_err(failed())?;
    let mut trailer = [0; 8];
    file.read_at(&mut trailer, size.saturating_sub(8))
        .map_err(failed())?;
    if let Some(end) = format::footer_offset(size, &trailer) {
        let mut footer = vec![0; usize_from(size - end)];
        file.read_at(&mut footer, end).map_err(failed())?;
        if let Some((last, live)) = format::decode_footer(&footer) {
            return Ok(Page {
                last,
                end,
                records: live.count(),
                live,
                looked_at: None,
                version: 0,
            });
        }
    }
    let bytes = read_all(&*file).map_err(failed())?;
    Ok(scan(&bytes, expected.first))
}

/// The records of a file without footer, up to the first that does not check.
fn scan(bytes: &[u8], first: u64) -> Page {
    let mut page = Page {
        last: first,
        end: u64_from(HEADER_BYTES),
        ..Page::default()
    };
    while let Some(rest) = bytes.get(usize_from(page.end)..)
        && let Found::Record { seq, whole, .. } = Found::at(rest)
        && seq.checked_sub(first).is_some_and(|index| index < SPAN_MAX)
    {
        page.live.insert(seq - first);
        page.records += 1;
        page.last = seq;
        page.end += u64_from(whole);
    }
    page
}
