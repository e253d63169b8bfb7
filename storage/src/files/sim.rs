//! A disk in memory that behaves as badly as a real one may: for tests of this crate and of
//! whoever builds on it. Everything random comes from one seed.
//!
//! * What was written and not synced is, after a [`SimFiles::crash`], there, gone, or torn: each
//!   512-byte sector keeps one of the versions it had since the last sync, in no order.
//! * Names are likewise lost or kept one by one until their directory is synced.
//! * A failed write leaves a part behind. A failed sync leaves any sectors behind and forgets
//!   that the others were ever dirty, as Linux does.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{File, Files};
use crate::lsn::{u64_from, usize_from};

/// The unit that a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// Operations that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `Files::create`.
    Create,
    /// `File::write_all_at`.
    Write,
    /// `File::sync_data`.
    Sync,
    /// `Files::rename`.
    Rename,
    /// `Files::remove`.
    Remove,
    /// `Files::sync_dir`.
    SyncDir,
}

/// The simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimFiles {
    disk: Arc<Disk>,
}

#[derive(Debug)]
struct Disk {
    state: Mutex<State>,
    gate: Condvar,
}

#[derive(Debug)]
struct State {
    random: u64,
    /// What a running process sees.
    names: BTreeMap<PathBuf, usize>,
    /// What is left after a crash at this instant, if no unsynced change survives.
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    inodes: Vec<Inode>,
    locks: BTreeSet<PathBuf>,
    /// Counts crashes: handles from before one are dead.
    epoch: u64,
    is_down: bool,
    operations: u64,
    down_at: Option<u64>,
    fault: Option<(Operation, u64, io::ErrorKind)>,
    capacity_bytes: u64,
    syncs: u64,
    gate_closed: bool,
    waiting_at_gate: usize,
}

#[derive(Debug)]
enum NameChange {
    Add(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug)]
struct SimFile {
    disk: Arc<Disk>,
    inode: usize,
    epoch: u64,
}

struct SimLock {
    disk: Arc<Disk>,
    path: PathBuf,
    epoch: u64,
}

impl SimFiles {
    /// An empty disk without a limit.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            inodes: Vec::new(),
            locks: BTreeSet::new(),
            epoch: 0,
            is_down: false,
            operations: 0,
            down_at: None,
            fault: None,
            capacity_bytes: 1 << 40,
            syncs: 0,
            gate_closed: false,
            waiting_at_gate: 0,
        };
        Self {
            disk: Arc::new(Disk {
                state: Mutex::new(state),
                gate: Condvar::new(),
            }),
        }
    }

    /// Sets the size of the disk: a write beyond it fails with `StorageFull`.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.disk.lock().capacity_bytes = bytes;
    }

    /// Lets the `nth` operation of this kind from now (0: the next) fail once.
    pub fn fail(&self, operation: Operation, nth: u64, error: io::ErrorKind) {
        self.disk.lock().fault = Some((operation, nth, error));
    }

    /// Lets the power fail at the `nth` changing operation from now (0: the next): it is done at
    /// most partly, and everything after it fails until [`SimFiles::crash`].
    pub fn crash_after(&self, nth: u64) {
        let mut state = self.disk.lock();
        state.down_at = Some(state.operations + nth);
    }

    /// Loses what was not synced, as the seed wills, and switches the power back on. Open files
    /// and locks are gone.
    pub fn crash(&self) {
        self.disk.lock().lose_unsynced();
        self.kill();
    }

    /// Ends the process, not the machine: open files and locks are gone, what was written is
    /// still there, and not safer than before.
    pub fn kill(&self) {
        let mut state = self.disk.lock();
        state.epoch += 1;
        state.is_down = false;
        state.down_at = None;
        state.fault = None;
        state.locks.clear();
    }

    /// Whether the power failed ([`SimFiles::crash_after`]) and was not switched on again.
    pub fn is_down(&self) -> bool {
        self.disk.lock().is_down
    }

    /// How many changing operations were done or tried.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// How many calls of `File::sync_data` there were.
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }

    /// Lets every `File::sync_data` wait until [`SimFiles::open_gate`].
    pub fn close_gate(&self) {
        self.disk.lock().gate_closed = true;
    }

    /// Waits until a sync waits at the gate.
    pub fn wait_at_gate(&self) {
        let mut state = self.disk.lock();
        while state.waiting_at_gate == 0 {
            state = self
                .disk
                .gate
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets all syncs go on.
    pub fn open_gate(&self) {
        self.disk.lock().gate_closed = false;
        self.disk.gate.notify_all();
    }

    /// All files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk.lock().names.keys().cloned().collect()
    }

    /// The bytes of a file, if it exists.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.disk.lock();
        let inode = state.inodes.get(*state.names.get(path)?)?;
        Some(inode.seen.clone())
    }

    /// Puts a file there, durably, whatever was there before.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.disk.lock();
        let inode = state.inodes.len();
        let unsynced = Vec::new();
        state.inodes.push(Inode {
            seen: bytes.clone(),
            durable: bytes,
            unsynced,
        });
        state.names.insert(path.to_path_buf(), inode);
        state.durable_names.insert(path.to_path_buf(), inode);
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64_from(bound.max(1));
        usize_from(self.random() % bound)
    }

    /// Accounts for one changing operation. `Err((error, part))`: it fails, and `part` says
    /// whether something of it happens all the same.
    fn operation(&mut self, operation: Operation) -> Result<(), io::Error> {
        if self.is_down {
            return Err(power_failed());
        }
        if self.down_at == Some(self.operations) {
            self.is_down = true;
        }
        self.operations += 1;
        if let Some((kind, nth, error)) = self.fault.take() {
            match (kind == operation, nth) {
                (true, 0) => return Err(error.into()),
                (true, nth) => self.fault = Some((kind, nth - 1, error)),
                (false, nth) => self.fault = Some((kind, nth, error)),
            }
        }
        if self.is_down {
            Err(power_failed())
        } else {
            Ok(())
        }
    }

    fn lose_unsynced(&mut self) {
        // Half of the crashes keep all or nothing of the names: the common cases.
        let mode = self.below(4);
        for change in std::mem::take(&mut self.name_changes) {
            let kept = match mode {
                0 => true,
                1 => false,
                _ => self.random() & 1 == 0,
            };
            if kept {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for index in 0..self.inodes.len() {
            self.settle(index);
        }
    }

    /// Decides which sectors of a file's unsynced writes reached the disk.
    fn settle(&mut self, index: usize) {
        let Some(inode) = self.inodes.get_mut(index) else {
            return;
        };
        let writes = std::mem::take(&mut inode.unsynced);
        let mut durable = std::mem::take(&mut inode.durable);
        let mode = self.below(4);
        // How many of the writes to each sector arrived.
        let mut arrived = BTreeMap::new();
        for (offset, bytes) in writes {
            for (sector, range) in sectors(offset, bytes.len()) {
                let more = arrived.entry(sector).or_insert(true);
                *more = *more
                    && match mode {
                        0 => true,
                        1 => false,
                        _ => !self.random().is_multiple_of(3),
                    };
                if *more {
                    let from = range.start - offset;
                    let piece = bytes.get(from..from + range.len()).unwrap_or(&[]);
                    write_into(&mut durable, range.start, piece);
                }
            }
        }
        if let Some(inode) = self.inodes.get_mut(index) {
            inode.seen = durable.clone();
            inode.durable = durable;
        }
    }

    fn used_bytes(&self) -> u64 {
        let sizes = self
            .names
            .values()
            .filter_map(|inode| self.inodes.get(*inode));
        sizes.map(|inode| u64_from(inode.seen.len())).sum()
    }

    fn inode_of(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Add(path, inode) => {
                names.insert(path, inode);
            }
            Self::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
            Self::Remove(path) => {
                names.remove(&path);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename(_, path, _) => {
                path.parent() == Some(dir)
            }
        }
    }
}

fn power_failed() -> io::Error {
    io::Error::other("the simulated power failed")
}

/// The sectors that a write touches, each with the range of the file it covers there.
fn sectors(offset: usize, len: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    let end = offset + len;
    (offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).map(move |sector| {
        let start = sector * SECTOR_BYTES;
        (sector, start.max(offset)..(start + SECTOR_BYTES).min(end))
    })
}

fn write_into(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    if let Some(range) = file.get_mut(offset..end) {
        range.copy_from_slice(bytes);
    }
}

impl Files for SimFiles {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        if self.is_down() {
            Err(power_failed())
        } else {
            Ok(())
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.disk.lock();
        if state.is_down {
            return Err(power_failed());
        }
        let here = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        Ok(names.collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.disk.lock();
        state.operation(Operation::Create)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(path.to_path_buf(), inode);
        state
            .name_changes
            .push(NameChange::Add(path.to_path_buf(), inode));
        Ok(Arc::new(SimFile {
            disk: Arc::clone(&self.disk),
            inode,
            epoch: state.epoch,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let state = self.disk.lock();
        if state.is_down {
            return Err(power_failed());
        }
        let inode = state.inode_of(path)?;
        Ok(Arc::new(SimFile {
            disk: Arc::clone(&self.disk),
            inode,
            epoch: state.epoch,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.lock();
        let inode = state.inode_of(from)?;
        state.operation(Operation::Rename)?;
        state.names.remove(from);
        state.names.insert(to.to_path_buf(), inode);
        state.name_changes.push(NameChange::Rename(
            from.to_path_buf(),
            to.to_path_buf(),
            inode,
        ));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.inode_of(path)?;
        state.operation(Operation::Remove)?;
        state.names.remove(path);
        state
            .name_changes
            .push(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.operation(Operation::SyncDir)?;
        let changes = std::mem::take(&mut state.name_changes);
        let (here, elsewhere) = changes.into_iter().partition(|change| change.is_in(dir));
        state.name_changes = elsewhere;
        let here: Vec<NameChange> = here;
        for change in here {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.disk.lock();
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut state = self.disk.lock();
        if !state.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let epoch = state.epoch;
        Ok(Box::new(SimLock {
            disk: Arc::clone(&self.disk),
            path: path.to_path_buf(),
            epoch,
        }))
    }

    fn random(&self) -> u64 {
        self.disk.lock().random()
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.epoch == self.epoch {
            state.locks.remove(&self.path);
        }
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.is_down || state.epoch != self.epoch {
            return Err(power_failed());
        }
        Ok(state)
    }
}

impl File for SimFile {
    fn write_all_at(&self, slices: &[&[u8]], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let mut bytes = slices.concat();
        let offset = usize_from(offset);
        let mut outcome = state.operation(Operation::Write);
        let seen = state
            .inodes
            .get(self.inode)
            .map_or(0, |inode| inode.seen.len());
        let more = u64_from((offset + bytes.len()).saturating_sub(seen));
        if outcome.is_ok() && more > 0 && state.used_bytes() + more > state.capacity_bytes {
            outcome = Err(io::ErrorKind::StorageFull.into());
        }
        if outcome.is_err() {
            let part = state.below(bytes.len() + 1);
            bytes.truncate(part);
        }
        if let Some(inode) = state.inodes.get_mut(self.inode) {
            write_into(&mut inode.seen, offset, &bytes);
            inode.unsynced.push((offset, bytes));
        }
        outcome
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        let inode = state.inodes.get(self.inode);
        let rest = inode
            .and_then(|inode| inode.seen.get(usize_from(offset)..))
            .unwrap_or(&[]);
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.syncs += 1;
        state.waiting_at_gate += 1;
        self.disk.gate.notify_all();
        while state.gate_closed {
            state = self
                .disk
                .gate
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting_at_gate -= 1;
        if let Err(error) = state.operation(Operation::Sync) {
            if !state.is_down {
                let seen = state.inodes.get(self.inode).map(|inode| inode.seen.clone());
                state.settle(self.inode);
                if let (Some(inode), Some(seen)) = (state.inodes.get_mut(self.inode), seen) {
                    inode.seen = seen;
                }
            }
            return Err(error);
        }
        if let Some(inode) = state.inodes.get_mut(self.inode) {
            for (offset, bytes) in std::mem::take(&mut inode.unsynced) {
                write_into(&mut inode.durable, offset, &bytes);
            }
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.state()?;
        Ok(state
            .inodes
            .get(self.inode)
            .map_or(0, |inode| u64_from(inode.seen.len())))
    }
}
