//! Tests of the whole journal. Most drive the committer by hand over simulated files, so every
//! run is the same; those in `threads` use the real threads.

mod crash;
mod damage;
mod running;
mod threads;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::committer::{Committer, Progress};
use crate::journal::open_shared;
use crate::shared::Shared;
use crate::{Appended, Error, Lsn, Recovery, Settings, SimFiles, Urgency};

/// Small segments, so that a few records begin the next.
fn settings() -> Settings {
    Settings {
        segment_bytes: 16 << 10,
        segment_count_max: 6,
        disk_min_free_bytes: 0,
        frame_bytes_max: 8 << 10,
        pending_bytes_max: 1 << 20,
        ..Settings::new("/data")
    }
}

/// A journal without threads.
struct Stepped {
    shared: Arc<Shared>,
    committer: Committer,
}

impl Stepped {
    fn open(files: &SimFiles) -> Result<(Self, Recovery), Error> {
        let (shared, committer, recovery) = open_shared(settings(), Arc::new(files.clone()))?;
        Ok((Self { shared, committer }, recovery))
    }

    fn append(&self, body: &[u8]) -> Appended {
        self.shared.append(&[body], Urgency::Sync).unwrap()
    }

    fn commit(&mut self) {
        assert_eq!(self.committer.commit(true).unwrap(), Progress::Done);
    }

    /// One frame per body, all durable.
    fn write(&mut self, bodies: &[&[u8]]) -> Vec<Appended> {
        let mut written = Vec::new();
        for body in bodies {
            written.push(self.append(body));
            self.commit();
        }
        written
    }

    fn checkpoint(&self, at: Lsn, part: &'static [u8]) {
        let parts = [part.into()].into_iter();
        crate::journal::write_checkpoint(&self.shared, at, parts).unwrap();
    }

    fn trim(&self, below: Lsn) -> Result<(), Error> {
        self.shared.trim(below);
        self.shared.refill()
    }
}

fn replayed(recovery: Recovery) -> Vec<(Appended, Vec<u8>)> {
    let mut records = Vec::new();
    let each = |at: Appended, body: &[u8]| {
        records.push((at, body.to_vec()));
        Ok::<(), Error>(())
    };
    recovery.replay(each).unwrap();
    records
}

fn bodies(recovery: Recovery) -> Vec<Vec<u8>> {
    replayed(recovery)
        .into_iter()
        .map(|(_, body)| body)
        .collect()
}

/// The segment files, oldest first.
fn segments(files: &SimFiles) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.parent() == Some(Path::new("/data/journal")) && !name.starts_with("ready")
    };
    files.paths().into_iter().filter(is_segment).collect()
}

/// A copy of the durable files of a disk on another, with one file changed.
fn copy_with(files: &SimFiles, changed: &Path, bytes: Vec<u8>) -> SimFiles {
    let copy = SimFiles::new(7);
    for path in files.paths() {
        copy.put(&path, files.contents(&path).unwrap());
    }
    copy.put(changed, bytes);
    copy
}
