//! Reading a page file without trusting it, for `check` and `salvage`: every record that checks,
//! also behind one that does not.

use std::path::Path;

use super::Owner;
use super::format::{self, Found, HEADER_BYTES, PageHeader, put_record};
use crate::error::Error;
use crate::files::{Files, read_all};
use crate::lsn::{u64_from, usize_from};

/// Records with their numbers.
type Records = Vec<(u64, Vec<u8>)>;

/// Whose file it is, all its readable records, and whether that is all there was; `None` if the
/// name is not that of a page file.
pub(crate) fn inspect_page(
    files: &dyn Files,
    path: &Path,
) -> Result<Option<(Owner, Records, bool)>, Error> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some((owner, first)) = PageHeader::parse_name(name) else {
        return Ok(None);
    };
    let file = files.open(path).map_err(Error::io("open", path))?;
    let bytes = read_all(&*file).map_err(Error::io("read", path))?;
    let header = PageHeader::decode(&bytes);
    let has_header = header.is_some_and(|found| (found.owner, found.first) == (owner, first));
    let (end, expected) = records_end(&bytes);
    let (records, has_bad) = readable(bytes.get(..end).unwrap_or(&bytes), first);
    let is_whole = has_header
        && match expected {
            Some(expected) => expected == u64_from(records.len()),
            None => !has_bad,
        };
    Ok(Some((owner, records, is_whole)))
}

/// Where the records end, and how many there should be, as far as a footer says it.
fn records_end(bytes: &[u8]) -> (usize, Option<u64>) {
    let footer = bytes.last_chunk::<8>().and_then(|trailer| {
        let end = usize_from(format::footer_offset(u64_from(bytes.len()), trailer)?);
        let (_, present) = format::decode_footer(bytes.get(end..)?)?;
        Some((end, Some(present.count())))
    });
    footer.unwrap_or((bytes.len(), None))
}

/// All records that check, in order; whether something between them does not.
fn readable(bytes: &[u8], first: u64) -> (Records, bool) {
    let mut records: Records = Vec::new();
    let (mut offset, mut has_bad, mut is_skipping) = (HEADER_BYTES, false, false);
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let least = records
            .last()
            .map_or(first, |(last, _)| last.saturating_add(1));
        match Found::at(rest) {
            Found::Record { seq, body, whole } if seq >= least => {
                records.push((seq, body.to_vec()));
                // Bytes that do not check count only when a record follows: else it is a torn
                // append, or the rest of a footer.
                has_bad |= is_skipping;
                is_skipping = false;
                offset += whole;
            }
            _ => {
                is_skipping = true;
                offset += 8;
            }
        }
    }
    (records, has_bad)
}

/// A new page file with these records.
pub(crate) fn page_bytes(header: PageHeader, records: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.put(&mut bytes);
    for (seq, body) in records {
        put_record(
            &mut bytes,
            *seq,
            u32::try_from(body.len()).unwrap_or(u32::MAX),
            body,
        );
    }
    bytes
}
