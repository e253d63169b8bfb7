//! The few file operations the store needs, as a trait with two implementations: the disk
//! ([`DiskFiles`]) and a simulator that forgets, tears and fails ([`SimFiles`]). Separate so that
//! a crash at every single operation can be tested in memory.

mod disk;
mod sim;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use disk::DiskFiles;
pub use sim::{Operation, SimFiles};

/// A file system. What is promised after a crash is exactly what the method says and no more.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Makes the directory and its parents, durably.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names of the files (not directories) in `dir`, sorted.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates an empty file, or empties it. The name is durable after [`Files::sync_dir`].
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Renames, replacing what was there; durable after [`Files::sync_dir`].
    ///
    /// # Errors
    /// Whatever the system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable after [`Files::sync_dir`].
    ///
    /// # Errors
    /// Whatever the system reports.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes all names in `dir` durable.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this process may still use.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the lock file, held until the answer is dropped.
    ///
    /// # Errors
    /// `WouldBlock` if another holds it, and whatever the system reports.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// A random number: salts and identities.
    fn random(&self) -> u64;
}

/// An open file.
pub trait File: fmt::Debug + Send + Sync {
    /// Writes all slices one after another at `offset`. Durable after [`File::sync_data`].
    ///
    /// # Errors
    /// Whatever the system reports; some of the bytes may then be written.
    fn write_all_at(&self, slices: &[&[u8]], offset: u64) -> io::Result<()>;
    /// Fills `buf` from `offset` as far as the file goes; how many bytes that were.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes everything written to this file, and its length, durable.
    ///
    /// # Errors
    /// Whatever the system reports. What was written before is then in doubt for ever: a second
    /// call may succeed without having written anything.
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn size(&self) -> io::Result<u64>;
}

/// Reads a whole file.
pub(crate) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(file, &mut bytes)?;
    Ok(bytes)
}

/// Reads a whole file into a buffer that is used again: fresh memory costs more than the reading.
pub(crate) fn read_into(file: &dyn File, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(crate::lsn::usize_from(file.size()?), 0);
    let len = file.read_at(bytes, 0)?;
    bytes.truncate(len);
    Ok(())
}
