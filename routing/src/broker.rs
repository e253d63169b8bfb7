//! The broker: all virtual hosts, and what they share.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::counters::Counters;
use crate::ids::IdSource;
use crate::journal::{
    Batch, CommitWaiters, Entry, Group, Journal, Lsn, MemoryJournal, RoomWaiters, encode,
};
use crate::message::Origin;
use crate::name::Name;
use crate::outbox::{Outbox, Wakes};
use crate::pages::PageError;
use crate::paging::{PageSettings, Paging};
use crate::policy::Policies;
use crate::queue::{Queue, QueueLimits, Store};
use crate::retained::RetainedLimits;
use crate::shared::SharedStrategy;
use crate::time::Timestamp;
use crate::timer::{Due, Timers};
use crate::vhost::VHost;

/// What of the journal a checkpoint gives up.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointBounds {
    /// Bodies below that are in no page file are journalled anew.
    pub copy_below: Lsn,
    /// From here on everything is needed: a publish that is under way may name a body there.
    pub keep_from: Lsn,
}

/// What the core needs to be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The virtual hosts; at least one.
    pub vhosts: Vec<Name>,
    /// Retained values per virtual host.
    pub retained: RetainedLimits,
    /// How the members of a shared subscription take turns.
    pub shared_strategy: SharedStrategy,
    /// Limits of the queue of a session that is brought back.
    pub session_queue_limits: QueueLimits,
    /// The policies at start; [`Broker::set_policies`] changes them.
    pub policies: Policies,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vhosts: vec!["/".into()],
            retained: RetainedLimits::default(),
            shared_strategy: SharedStrategy::default(),
            session_queue_limits: QueueLimits::default(),
            policies: Policies::default(),
        }
    }
}

/// What all virtual hosts share.
#[derive(Debug)]
pub struct Core {
    pub(crate) settings: Settings,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) policies: ArcSwap<Policies>,
    pub(crate) timers: Timers,
    pub(crate) ids: IdSource,
    pub(crate) counters: Counters,
    pub(crate) paging: Arc<Paging>,
    /// For queues that do not survive a restart.
    nowhere: Arc<dyn Journal>,
    commit_waiters: CommitWaiters,
    room_waiters: RoomWaiters,
    names: IdSource,
    random: (RandomState, RandomState),
}

impl Core {
    /// Everything up to here is safe.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.journal.durable()
    }

    /// Where everything journalled so far ends.
    #[must_use]
    pub fn journal_end(&self) -> Lsn {
        self.journal.end()
    }

    /// Begins a batch of journal entries: see [`Journal::begin_batch`].
    pub fn batch(&self) -> Batch<'_> {
        Batch::begin(&*self.journal)
    }

    /// Begins a group of journal entries: see [`Journal::begin_group`].
    pub fn group(&self) -> Group<'_> {
        Group::begin(&*self.journal)
    }

    /// Wakes the outbox's owner once `lsn` is durable. Returns true when it already is.
    pub fn wait_durable(&self, lsn: Lsn, outbox: &Arc<Outbox>) -> bool {
        if self.durable() >= lsn {
            return true;
        }
        self.commit_waiters.register(lsn, outbox);
        // It may have become durable in between, and the waiters have been looked at already.
        self.durable() >= lsn
    }

    /// Does `act` in a group, so that after a crash all of what it journals has happened or nothing
    /// has, and has the journal make it safe soon. Returns the position from which on it is safe,
    /// none if there was nothing to journal.
    ///
    /// `act` publishes and settles, and nothing else: see [`Journal::begin_group`].
    pub fn commit<R>(&self, act: impl FnOnce() -> R) -> (R, Option<Lsn>) {
        let before = self.journal.end();
        let group = self.group();
        let result = act();
        drop(group);
        let end = self.journal.end();
        if end == before {
            return (result, None);
        }
        self.journal.hasten();
        (result, Some(end))
    }

    /// What was not kept or not passed on.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether publishers may go on: false while the disk has no room, or messages take more
    /// memory than they may.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.journal.has_room() && self.paging.has_room()
    }

    /// Wakes the outbox's owner once there is room. Returns true when there already is.
    pub fn wait_for_room(&self, outbox: &Arc<Outbox>) -> bool {
        if self.has_room() {
            return true;
        }
        self.room_waiters.register(outbox);
        // There may be room since, and the waiters have been looked at already.
        self.has_room()
    }

    /// False while the journal takes no records at all: nothing durable can be done, not even an
    /// acknowledgement.
    #[must_use]
    pub fn takes_records(&self) -> bool {
        self.journal.takes_records()
    }

    /// Wakes those who wait for room if there is some.
    fn tell_of_room(&self) {
        if !self.room_waiters.is_empty() && self.has_room() {
            self.room_waiters.wake_all();
        }
    }

    /// Bytes of messages in memory, by [`crate::Message::cost_bytes`].
    #[must_use]
    pub fn message_memory_bytes(&self) -> usize {
        self.paging.memory_bytes()
    }

    /// Where a queue keeps its messages.
    pub(crate) fn store_for(&self, survives: bool) -> Store {
        let journal = if survives {
            &self.journal
        } else {
            &self.nowhere
        };
        Store {
            journal: Arc::clone(journal),
            paging: Arc::clone(&self.paging),
        }
    }

    /// The prefix and 22 characters that nobody can guess.
    pub(crate) fn unique_name(&self, prefix: &str) -> Name {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number = self.names.next();
        let halves = [
            self.random.0.hash_one(number),
            self.random.1.hash_one(number),
        ];
        let mut bits = halves
            .iter()
            .fold(0u128, |bits, half| bits << 64 | u128::from(*half));
        let mut name = String::from(prefix);
        for _ in 0..22 {
            let index = usize::try_from(bits & 63).unwrap_or(0);
            name.push(ALPHABET.get(index).copied().map_or('A', char::from));
            bits >>= 6;
        }
        name.into()
    }
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    core: Arc<Core>,
    vhosts: HashMap<Name, Arc<VHost>>,
    origins: Vec<&'static Origin>,
}

impl Broker {
    /// A broker without messages. `origins` are the protocols whose messages the journal may hold;
    /// `earlier_timer` is called whenever [`Broker::poll_timeout`] moves to an earlier moment.
    #[must_use]
    pub fn new(
        settings: Settings,
        journal: Arc<dyn Journal>,
        origins: Vec<&'static Origin>,
        earlier_timer: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let pages = PageSettings::default();
        Self::with_pages(settings, journal, pages, origins, earlier_timer)
    }

    /// A broker that moves messages to page files when they take too much memory or too long.
    #[must_use]
    pub fn with_pages(
        settings: Settings,
        journal: Arc<dyn Journal>,
        pages: PageSettings,
        origins: Vec<&'static Origin>,
        earlier_timer: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let names = settings.vhosts.clone();
        let core = Arc::new(Core {
            policies: ArcSwap::from_pointee(settings.policies.clone()),
            settings,
            journal,
            timers: Timers::new(earlier_timer),
            ids: IdSource::starting_at(1),
            counters: Counters::default(),
            paging: Arc::new(Paging::new(pages, origins.clone())),
            nowhere: Arc::new(MemoryJournal::default()),
            commit_waiters: CommitWaiters::default(),
            room_waiters: RoomWaiters::default(),
            names: IdSource::starting_at(0),
            random: (RandomState::new(), RandomState::new()),
        });
        let vhosts = names
            .into_iter()
            .map(|name| (name.clone(), VHost::new(name, Arc::clone(&core))))
            .collect();
        Self {
            core,
            vhosts,
            origins,
        }
    }

    /// A broker that keeps nothing, with one virtual host `/`: for tests.
    #[must_use]
    pub fn in_memory(origins: Vec<&'static Origin>) -> Self {
        let journal = Arc::new(MemoryJournal::default());
        Self::new(Settings::default(), journal, origins, Box::new(|| {}))
    }

    /// The virtual host of that name.
    #[must_use]
    pub fn vhost(&self, name: &str) -> Option<&Arc<VHost>> {
        self.vhosts.get(name)
    }

    /// All virtual hosts, in no order.
    pub fn vhosts(&self) -> impl Iterator<Item = &Arc<VHost>> {
        self.vhosts.values()
    }

    /// What they share.
    #[must_use]
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The protocols whose messages there may be.
    #[must_use]
    pub fn origins(&self) -> &[&'static Origin] {
        &self.origins
    }

    /// The journal's durable position moved, or its disk got room or lost it: wakes those who
    /// waited for it.
    pub fn handle_durable(&self, durable: Lsn) {
        self.core.commit_waiters.advance(durable);
        self.core.tell_of_room();
    }

    /// When [`Broker::handle_timeout`] wants to be called; none while nothing is due ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.core.timers.next_at()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&self, now: Timestamp) {
        let mut wakes = Wakes::default();
        while let Some(due) = self.core.timers.pop(now) {
            match due {
                Due::Session(session) => {
                    if let Some(session) = session.upgrade()
                        && let Some(vhost) = session.vhost()
                    {
                        vhost.session_due(now, &session, &mut wakes);
                    }
                }
                Due::Delays(delays) => {
                    if let Some(delays) = delays.upgrade() {
                        delays.release(now, &mut wakes);
                    }
                }
                Due::Queue(queue) => {
                    if let Some(queue) = queue.upgrade() {
                        queue.handle_timeout(now, &mut wakes);
                    }
                }
            }
        }
    }

    /// Takes other policies: they hold for all there is and for all to come.
    pub fn set_policies(&self, now: Timestamp, policies: Policies) {
        self.core.policies.store(Arc::new(policies));
        let mut wakes = Wakes::default();
        self.vhosts
            .values()
            .for_each(|vhost| vhost.apply_policies(now, &mut wakes));
    }

    /// Everything durable as journal records, in the order in which they are to be applied, each
    /// handed to `record`. Returns the position from which on the journal is needed.
    pub fn checkpoint(&self, bounds: &CheckpointBounds, record: &mut dyn FnMut(&[u8])) -> Lsn {
        let _moving = self.core.paging.moving();
        let mut scratch = Vec::new();
        let mut put = |entry: &Entry| {
            scratch.clear();
            encode(entry, &mut scratch);
            record(&scratch);
        };
        let needed = self
            .vhosts
            .values()
            .map(|vhost| vhost.checkpoint(bounds.copy_below, bounds.keep_from, &mut put));
        needed.min().unwrap_or(bounds.keep_from)
    }

    /// Gives memory back: drops page files that are not needed any more, and moves messages to
    /// page files while there are too many in memory. Returns whether it did anything. Blocks on
    /// the disk; for a thread of its own.
    ///
    /// # Errors
    /// When the page files cannot be written.
    pub fn page_out(&self) -> Result<bool, PageError> {
        let did_something = self.move_surplus();
        self.core.tell_of_room();
        did_something
    }

    fn move_surplus(&self) -> Result<bool, PageError> {
        let paging = &self.core.paging;
        let dropped = paging.take_dropped();
        dropped
            .iter()
            .for_each(|line| paging.pages.drop_line(*line));
        if paging.memory_bytes() <= paging.high_bytes() {
            return Ok(!dropped.is_empty());
        }
        let mut did_something = !dropped.is_empty();
        for (queue, priority) in self.by_surplus() {
            while paging.memory_bytes() > paging.low_bytes() {
                let _moving = paging.moving();
                if !queue.page_out(priority)? {
                    break;
                }
                did_something = true;
            }
        }
        Ok(did_something)
    }

    /// Reads what a queue waits for from its page files; false when none waits. Blocks on the
    /// disk; for a thread of its own.
    pub fn page_in(&self, now: Timestamp) -> bool {
        let Some(queue) = self.core.paging.next_load() else {
            return false;
        };
        queue.load(now, &mut Wakes::default());
        true
    }

    /// The lines with more messages in memory than they need there, the longest first.
    fn by_surplus(&self) -> Vec<(Arc<Queue>, u8)> {
        let queues = self.vhosts.values().flat_map(|vhost| vhost.all_queues());
        let mut lines = queues
            .flat_map(|queue| {
                let surplus = queue.surplus();
                surplus
                    .into_iter()
                    .map(move |(bytes, priority)| (bytes, Arc::clone(&queue), priority))
            })
            .collect::<Vec<_>>();
        lines.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        lines
            .into_iter()
            .map(|(_, queue, priority)| (queue, priority))
            .collect()
    }

    /// Moves what lies in the journal below a position to page files, from lines with much of it.
    /// What is little is left: it is cheaper to journal it anew than to make a file for it. Blocks
    /// on the disk, long if it is much.
    pub fn move_old(&self, below: Lsn) {
        let _moving = self.core.paging.moving();
        let worthwhile_bytes = self.core.paging.worthwhile_bytes();
        let queues = self.vhosts.values().flat_map(|vhost| vhost.all_queues());
        for queue in queues.filter(|queue| queue.options.durable) {
            for (bytes, priority) in queue.below(below) {
                // A full disk: what was not moved is journalled anew, or holds the journal.
                if bytes >= worthwhile_bytes && queue.move_below(priority, below).is_err() {
                    return;
                }
            }
        }
    }
}
