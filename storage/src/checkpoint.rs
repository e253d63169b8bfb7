//! Checkpoint files: the state of the application at a position of the log, in opaque parts, so
//! that a start needs no log from before. Separate from the log, whose segments they set free.
//!
//! ```text
//! checkpoint/<position as 16 hex digits>.ckpt, all integers little endian
//!
//! header, 64 bytes                              part, padded with zeros to a multiple of 8
//!  0 crc32c  u32  over bytes 4..64               0 crc32c u32  over bytes 4..16 + body
//!  4 version u32  1                              4 kind   u32  1 part, 2 end
//!  8 magic   [u8; 8] "BUSBARCP"                  8 number u32  0, 1, 2 ..; end: of all parts
//! 16 log     [u8; 16]                           12 len    u32  of the body; end: 0
//! 32 at      u64  replay begins here            16 body
//! 40 durable u64  synced when written
//! 48 zeros
//! ```
//!
//! A file is written under another name, synced, renamed, and the directory synced: it is there
//! as a whole or not at all. The last two are kept, and the log behind the older of them, so one
//! damaged file loses nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;
use crate::files::{File, Files, read_all};
use crate::format::{FORMAT_VERSION, LogId, crc_fits, put_crc, u32_at, u64_at};
use crate::lsn::{Lsn, u64_from, usize_from};

const MAGIC: &[u8; 8] = b"BUSBARCP";
const HEADER_BYTES: usize = 64;
const PART_HEADER_BYTES: usize = 16;
const KIND_PART: u32 = 1;
const KIND_END: u32 = 2;
const KEPT: usize = 2;
/// Bytes gathered before a write.
const WRITE_BYTES: usize = 1 << 20;

/// A checkpoint that was read.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) log: LogId,
    pub(crate) at: Lsn,
    pub(crate) durable: Lsn,
    pub(crate) parts: Vec<Bytes>,
}

/// What the directory holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) newest: Option<Checkpoint>,
    pub(crate) damaged: Vec<PathBuf>,
    pub(crate) kept: Checkpoints,
}

/// The positions of the readable checkpoints, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    kept: Vec<Lsn>,
}

impl Checkpoints {
    pub(crate) fn last(&self) -> Option<Lsn> {
        self.kept.last().copied()
    }

    /// The log from here on must stay: the older of two checkpoints may be needed yet.
    pub(crate) fn floor(&self) -> Lsn {
        match self.kept.as_slice() {
            [.., older, _] => *older,
            _ => Lsn::ZERO,
        }
    }

    /// The files.
    pub(crate) fn paths(&self, dir: &Path) -> Vec<PathBuf> {
        self.kept.iter().map(|at| path(dir, *at)).collect()
    }

    /// Adds one and removes what is no longer needed.
    pub(crate) fn add(&mut self, files: &dyn Files, dir: &Path, at: Lsn) -> Result<(), Error> {
        self.kept.retain(|kept| *kept < at);
        self.kept.push(at);
        let surplus = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..surplus);
        let kept = self.paths(dir);
        for name in files.list(dir).map_err(Error::io("list", dir))? {
            let path = dir.join(&name);
            if name.ends_with(".ckpt") && !kept.contains(&path) {
                files.remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn path(dir: &Path, at: Lsn) -> PathBuf {
    dir.join(format!("{at}.ckpt"))
}

/// Finds the newest readable checkpoint.
pub(crate) fn find(files: &dyn Files, dir: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    let names = files.list(dir).map_err(Error::io("list", dir))?;
    for name in names.iter().rev().filter(|name| name.ends_with(".ckpt")) {
        let path = dir.join(name);
        let Some(checkpoint) = read(files, &path)? else {
            found.damaged.push(path);
            continue;
        };
        found.kept.kept.insert(0, checkpoint.at);
        if found.newest.is_none() {
            found.newest = Some(checkpoint);
        }
    }
    Ok(found)
}

/// Reads one; `None`: it is damaged.
pub(crate) fn read(files: &dyn Files, path: &Path) -> Result<Option<Checkpoint>, Error> {
    let file = files.open(path).map_err(Error::io("open", path))?;
    let bytes = Bytes::from(read_all(&*file).map_err(Error::io("read", path))?);
    let header = bytes
        .get(..HEADER_BYTES)
        .filter(|header| header.get(8..16) == Some(MAGIC));
    if let Some(found) = header.and_then(|header| u32_at(header, 4))
        && found > FORMAT_VERSION
    {
        let path = path.to_path_buf();
        return Err(Error::NewerVersion {
            path,
            found,
            supported: FORMAT_VERSION,
        });
    }
    Ok(decode(&bytes).filter(|found| path.file_stem() == Some(found.at.to_string().as_ref())))
}

fn decode(bytes: &Bytes) -> Option<Checkpoint> {
    let header = bytes.get(..HEADER_BYTES)?;
    if header.get(8..16)? != MAGIC || u32_at(header, 4)? != FORMAT_VERSION || !crc_fits(header) {
        return None;
    }
    let mut parts = Vec::new();
    let mut offset = HEADER_BYTES;
    loop {
        let rest = bytes.get(offset..)?;
        let (kind, number, len) = (u32_at(rest, 4)?, u32_at(rest, 8)?, u32_at(rest, 12)?);
        let whole = PART_HEADER_BYTES.checked_add(usize_from(u64::from(len)))?;
        if !crc_fits(rest.get(..whole)?) || usize::try_from(number).ok()? != parts.len() {
            return None;
        }
        match kind {
            KIND_PART => parts.push(bytes.slice(offset + PART_HEADER_BYTES..offset + whole)),
            KIND_END => break,
            _ => return None,
        }
        offset += whole.next_multiple_of(8);
    }
    Some(Checkpoint {
        log: LogId(header.get(16..32)?.try_into().ok()?),
        at: Lsn(u64_at(header, 32)?),
        durable: Lsn(u64_at(header, 40)?),
        parts,
    })
}

/// Writes a checkpoint; when it returns, it is durable.
pub(crate) fn write(
    files: &dyn Files,
    dir: &Path,
    (log, at, durable): (LogId, Lsn, Lsn),
    parts: impl Iterator<Item = Bytes>,
) -> Result<(), Error> {
    let tmp = dir.join("checkpoint.tmp");
    let file = files.create(&tmp).map_err(Error::io("create", &tmp))?;
    let mut writer = Writer {
        file,
        path: tmp,
        offset: 0,
        buffer: Vec::new(),
    };
    writer.header(log, at, durable);
    let mut number = 0;
    for part in parts {
        writer.part(KIND_PART, number, &part)?;
        number += 1;
    }
    writer.part(KIND_END, number, &[])?;
    writer.flush()?;
    let Writer {
        file, path: tmp, ..
    } = writer;
    file.sync_data().map_err(Error::io("sync", &tmp))?;
    files
        .rename(&tmp, &path(dir, at))
        .map_err(Error::io("rename", &tmp))?;
    files.sync_dir(dir).map_err(Error::io("sync", dir))
}

struct Writer {
    file: Arc<dyn File>,
    path: PathBuf,
    offset: u64,
    buffer: Vec<u8>,
}

impl Writer {
    fn header(&mut self, log: LogId, at: Lsn, durable: Lsn) {
        let header = &mut self.buffer;
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&log.0);
        header.extend_from_slice(&at.0.to_le_bytes());
        header.extend_from_slice(&durable.0.to_le_bytes());
        header.resize(HEADER_BYTES, 0);
        put_crc(header);
    }

    fn part(&mut self, kind: u32, number: u32, body: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(body.len()).map_err(|_| Error::Settings {
            what: "a part of a checkpoint must be smaller than 4 GiB",
        })?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        for field in [kind, number, len] {
            self.buffer.extend_from_slice(&field.to_le_bytes());
        }
        self.buffer.extend_from_slice(body);
        if let Some(part) = self.buffer.get_mut(start..) {
            put_crc(part);
        }
        self.buffer.resize(self.buffer.len().next_multiple_of(8), 0);
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let written = self.file.write_all_at(&[&self.buffer], self.offset);
        written.map_err(Error::io("write", &self.path))?;
        self.offset += u64_from(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }
}
