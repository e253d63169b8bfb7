//! Joins the core's page files to the storage's, and runs the two threads that move messages: out
//! of memory, and back ahead of their consumers. They are no tasks of the runtime, because they
//! wait for the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use routing::{Broker, LineId, PageError, PageWork, Pages, Seq};
use storage::{Owner, PageStore};
use tracing::{error, warn};

use crate::clock::Clock;

/// How long nothing is tried after there was nothing to move, or no room to move it to.
const PAUSE: Duration = Duration::from_millis(50);
/// How often page files that are not needed any more are removed, at least.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// The core's lines in the storage's page files. The owner of a file is a queue's id and, in the
/// lowest byte, a priority.
#[derive(Debug)]
pub struct PageFiles(pub PageStore);

fn owner(line: LineId) -> Owner {
    Owner(line.queue.0 << 8 | u64::from(line.priority))
}

fn line(owner: Owner) -> LineId {
    let [priority, ..] = owner.0.to_le_bytes();
    LineId {
        queue: routing::QueueId(owner.0 >> 8),
        priority,
    }
}

/// Logged here, because the core has no words for files.
fn damaged(failure: &storage::Error, from: Seq) -> PageError {
    error!(%failure, "messages cannot be read; their queue gives nothing out");
    let from = match failure {
        storage::Error::DamagedPage { seq, .. } => Seq(*seq),
        _ => from,
    };
    PageError::Damaged { from }
}

impl Pages for PageFiles {
    fn append(&self, line: LineId, records: &[(Seq, &[u8])]) -> Result<(), PageError> {
        let records = records.iter().map(|(seq, record)| (seq.0, *record));
        let owner = owner(line);
        self.0
            .append(owner, &records.collect::<Vec<_>>())
            .map_err(|failure| {
                if failure.is_storage_full() {
                    let through = self.0.owner(owner).and_then(|owner| owner.last).map(Seq);
                    return PageError::Full { through };
                }
                error!(%failure, "messages cannot be moved to page files");
                PageError::Failed
            })
    }

    fn read(
        &self,
        line: LineId,
        from: Seq,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, PageError> {
        let records = self.0.read(owner(line), from.0, bytes_max);
        let records = records.map_err(|failure| damaged(&failure, from))?;
        let records = records.into_iter().map(|(seq, record)| (Seq(seq), record));
        Ok(records.collect())
    }

    fn settle(&self, line: LineId, from: Seq, to: Seq) {
        self.0.ack(owner(line), [from.0..=to.0]);
    }

    fn drop_line(&self, line: LineId) {
        if let Err(failure) = self.0.drop_owner(owner(line)) {
            warn!(%failure, "page files of a queue that is gone could not be removed");
        }
    }

    fn lines(&self) -> Vec<LineId> {
        self.0
            .owners()
            .into_iter()
            .map(|paged| line(paged.owner))
            .collect()
    }

    fn snapshot(&self, line: LineId) -> Bytes {
        self.0.snapshot(owner(line))
    }

    fn restore(&self, line: LineId, snapshot: &[u8]) {
        if let Err(failure) = self.0.restore(owner(line), snapshot) {
            warn!(%failure, "messages that were taken may be delivered again");
        }
    }

    fn confirm(&self, line: LineId, through: Option<Seq>) -> Result<u64, PageError> {
        let owner = owner(line);
        let confirmed = self.0.confirm(owner, through.map(|seq| seq.0));
        confirmed.map_err(|failure| damaged(&failure, Seq(0)))?;
        Ok(self.0.owner(owner).map_or(0, |owner| owner.count))
    }
}

/// Wakes a thread, once however often it is called.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *rung, true) {
            self.heard.notify_one();
        }
    }

    fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// What wakes the two threads.
#[derive(Debug, Default)]
pub struct Bells {
    out: Bell,
    back: Bell,
    stops: AtomicBool,
}

impl Bells {
    /// There is work.
    pub fn ring(&self, work: PageWork) {
        match work {
            PageWork::Out => self.out.ring(),
            PageWork::In => self.back.ring(),
        }
    }

    fn stops(&self) -> bool {
        self.stops.load(Ordering::Acquire)
    }
}

/// The two threads. Dropping it ends them.
#[derive(Debug)]
pub struct PageThreads {
    bells: Arc<Bells>,
    threads: Vec<JoinHandle<()>>,
}

impl PageThreads {
    /// Starts them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        broker: &Arc<Broker>,
        files: &Arc<PageFiles>,
        bells: &Arc<Bells>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (out, files, out_bells) = (Arc::clone(broker), Arc::clone(files), Arc::clone(bells));
        let (back, back_bells) = (Arc::clone(broker), Arc::clone(bells));
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let threads = vec![
            spawn(
                "pages-out",
                Box::new(move || move_out(&out, &files, &out_bells)),
            )?,
            spawn(
                "pages-in",
                Box::new(move || read_back(&back, clock, &back_bells)),
            )?,
        ];
        Ok(Self {
            bells: Arc::clone(bells),
            threads,
        })
    }
}

impl Drop for PageThreads {
    fn drop(&mut self) {
        self.bells.stops.store(true, Ordering::Release);
        self.bells.out.ring();
        self.bells.back.ring();
        for thread in self.threads.drain(..) {
            // A panic under a lock of the core has ended the process already.
            drop(thread.join());
        }
    }
}

fn move_out(broker: &Broker, files: &PageFiles, bells: &Bells) {
    while !bells.stops() {
        bells.out.wait(SWEEP_PERIOD);
        match broker.page_out() {
            Ok(true) => {}
            Ok(false) => std::thread::sleep(PAUSE),
            Err(failure) => {
                warn!(%failure, "messages stay in memory");
                std::thread::sleep(SWEEP_PERIOD);
            }
        }
        if let Err(failure) = files.0.sweep() {
            warn!(%failure, "page files that are not needed could not be removed");
        }
    }
}

fn read_back(broker: &Broker, clock: Clock, bells: &Bells) {
    while !bells.stops() {
        bells.back.wait(SWEEP_PERIOD);
        while broker.page_in(clock.now()) && !bells.stops() {}
    }
}
