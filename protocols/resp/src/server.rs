//! What all Redis connections of a gateway share: settings, the volatile map, and who is
//! connected. Its locks are held for one look-up or one command, never while a lock of the core is
//! taken for anything but a publish inside `EXEC`; the core never calls back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use routing::{ConnectionId, Identity, Name, Outbox, Peer, Timestamp, Wakes};

use crate::keyspace::Keyspace;
use crate::monitor::Monitors;
use crate::settings::Settings;
use crate::tunables::Tunables;
use crate::wire::Version;

/// The shared side of all Redis connections.
#[derive(Debug)]
pub struct Server {
    pub(crate) settings: Settings,
    /// RESP: 40 hexadecimal digits, new at each start.
    pub(crate) run_id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) keyspace: Mutex<Keyspace>,
    clients: Mutex<BTreeMap<ConnectionId, Arc<Client>>>,
    pub(crate) tunables: Tunables,
    pub(crate) monitors: Monitors,
    users: Mutex<Arc<[Arc<Identity>]>>,
    pause: Mutex<Option<Pause>>,
    /// Whether there may be one; saves looking.
    has_pause: AtomicBool,
    /// What has happened since the start; for metrics.
    pub counters: Counters,
}

/// What has happened on all connections since the start. Each only rises.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused because there were too many.
    pub refused: AtomicU64,
    /// Requests handled.
    pub requests: AtomicU64,
    /// Connections closed for a request that breaks the protocol or its limits.
    pub malformed: AtomicU64,
    /// Connections closed for too much unread output.
    pub cut_off: AtomicU64,
    /// Messages dropped for connections that have ended since; see [`Server::dropped`].
    pub dropped: AtomicU64,
    /// Times that a publisher was held up for a slow subscriber.
    pub held_up: AtomicU64,
    /// Wrong names and passwords.
    pub logins_refused: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Server {
    /// `seed` makes the run id; any number that differs from start to start.
    #[must_use]
    pub fn new(settings: Settings, seed: u128, now: Timestamp) -> Arc<Self> {
        let keyspace = Keyspace::new(
            settings.databases,
            settings.keys_max,
            settings.key_bytes_max,
        );
        Arc::new(Self {
            tunables: Tunables::new(&settings),
            monitors: Monitors::default(),
            users: Mutex::new([].into()),
            pause: Mutex::default(),
            has_pause: AtomicBool::new(false),
            settings,
            run_id: format!("{seed:032x}{:08x}", now.0 & 0xffff_ffff),
            started_at: now,
            keyspace: Mutex::new(keyspace),
            clients: Mutex::default(),
            counters: Counters::default(),
        })
    }

    /// Tells who may log in, for `ACL`. Who may is decided elsewhere.
    pub fn set_users(&self, users: Vec<Arc<Identity>>) {
        *self.users.lock().unwrap_or_else(PoisonError::into_inner) = users.into();
    }

    /// Who may log in, in no order.
    pub(crate) fn users(&self) -> Arc<[Arc<Identity>]> {
        Arc::clone(&self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there was room for one more.
    pub(crate) fn register(&self, client: &Arc<Client>) -> bool {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = clients.len() < self.tunables.clients_max();
        if has_room {
            count(&self.counters.connections);
            clients.insert(client.id, Arc::clone(client));
        }
        has_room
    }

    pub(crate) fn unregister(&self, id: ConnectionId) {
        self.clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Messages dropped because a subscriber did not keep up, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let live = self
            .clients()
            .iter()
            .map(|client| client.outbox().dropped())
            .sum::<u64>();
        live + self.counters.dropped.load(Ordering::Relaxed)
    }

    /// Connections that wait for an element of a list.
    #[must_use]
    pub fn blocked(&self) -> usize {
        let clients = self.clients();
        clients
            .iter()
            .filter(|client| client.snapshot().is_blocked)
            .count()
    }

    /// Holds requests back until `pause` is over, or no longer.
    pub(crate) fn set_pause(&self, pause: Option<Pause>) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
        self.has_pause.store(pause.is_some(), Ordering::Relaxed);
        if pause.is_none() {
            let mut wakes = Wakes::default();
            self.clients()
                .iter()
                .for_each(|client| client.outbox().poke(&mut wakes));
        }
    }

    /// The pause that there is now.
    pub(crate) fn pause(&self, now: Timestamp) -> Option<Pause> {
        if !self.has_pause.load(Ordering::Relaxed) {
            return None;
        }
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let present = pause.filter(|pause| pause.until > now);
        if present.is_none() {
            *pause = None;
            self.has_pause.store(false, Ordering::Relaxed);
        }
        present
    }

    /// All connections, oldest first.
    pub(crate) fn clients(&self) -> Vec<Arc<Client>> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.values().cloned().collect()
    }
}

/// `CLIENT PAUSE`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) until: Timestamp,
    /// Whether it is for requests that write alone.
    pub(crate) writes_only: bool,
}

/// One connection as the others see it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    /// `address:port` of the peer.
    pub(crate) address: String,
    /// `address:port` of the listener.
    pub(crate) local: String,
    /// 0 without one.
    pub(crate) local_port: u16,
    pub(crate) connected_at: Timestamp,
    /// Where news for it is put; a session that it opens brings its own.
    outbox: Mutex<Arc<Outbox>>,
    snapshot: Mutex<Snapshot>,
    /// How `CLIENT UNBLOCK` wants the present wait to end.
    unblock: Mutex<Option<Unblock>>,
}

/// How a wait ends that another client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unblock {
    /// As if the time were over.
    Timeout,
    /// With an error.
    Error,
}

impl Client {
    pub(crate) fn new(
        id: ConnectionId,
        peer: &Peer,
        outbox: Arc<Outbox>,
        now: Timestamp,
    ) -> Arc<Self> {
        let text = |address: Option<std::net::SocketAddr>| {
            address.map_or_else(|| "?:0".to_owned(), |address| address.to_string())
        };
        Arc::new(Self {
            id,
            address: text(peer.address),
            local: text(peer.local),
            local_port: peer.local.map_or(0, |local| local.port()),
            connected_at: now,
            outbox: Mutex::new(outbox),
            snapshot: Mutex::new(Snapshot {
                last_request_at: now,
                ..Snapshot::default()
            }),
            unblock: Mutex::default(),
        })
    }

    /// The id as replies write it.
    pub(crate) fn id_number(&self) -> i64 {
        i64::try_from(self.id.0).unwrap_or(i64::MAX)
    }

    /// What the connection was like after its last batch.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_outbox(&self, outbox: &Arc<Outbox>) {
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(outbox);
    }

    /// Asks the connection to end its wait.
    pub(crate) fn unblock(&self, how: Unblock) {
        *self.unblock.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
        self.outbox().poke(&mut Wakes::default());
    }

    /// What was asked for since the last time.
    pub(crate) fn take_unblock(&self) -> Option<Unblock> {
        let mut unblock = self.unblock.lock().unwrap_or_else(PoisonError::into_inner);
        unblock.take()
    }

    pub(crate) fn update(&self, snapshot: Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

/// What `CLIENT LIST` tells of a connection beyond its addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) user: Name,
    pub(crate) name: Option<Bytes>,
    pub(crate) library_name: Option<Bytes>,
    pub(crate) library_version: Option<Bytes>,
    pub(crate) version: Version,
    pub(crate) database: u8,
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) shard_channels: usize,
    /// Requests that `MULTI` holds back.
    pub(crate) queued: Option<usize>,
    pub(crate) queued_bytes: usize,
    pub(crate) is_evict_protected: bool,
    pub(crate) leaves_untouched: bool,
    pub(crate) is_blocked: bool,
    pub(crate) is_monitor: bool,
    pub(crate) last_command: &'static str,
    pub(crate) last_request_at: Timestamp,
}

impl Snapshot {
    pub(crate) const fn is_subscribed(&self) -> bool {
        self.channels + self.patterns + self.shard_channels > 0
    }
}
