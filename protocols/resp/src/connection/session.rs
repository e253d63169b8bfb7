//! What a connection knows of itself between two requests.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use routing::{
    Broker, Credentials, Identity, Name, Request as Question, Subscriber, SubscriberId, Timestamp,
};

use crate::command::{DEFAULT_USER, Greeting, Kind, Spec, Transaction, Watched};
use crate::error::Error;
use crate::server::{Client, Snapshot};
use crate::translate::Bus;
use crate::wire::Version;

/// A connection's state, without its buffers.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    /// What the bus knows this connection as.
    subscriber: Arc<Subscriber>,
    broker: Arc<Broker>,
    /// The virtual host that the listener fixes; none: each user's own.
    vhost: Option<Name>,
    pub(crate) version: Version,
    pub(crate) reply_mode: ReplyMode,
    pub(crate) database: u8,
    pub(crate) name: Option<Bytes>,
    pub(crate) library_name: Option<Bytes>,
    pub(crate) library_version: Option<Bytes>,
    pub(crate) is_evict_protected: bool,
    pub(crate) leaves_untouched: bool,
    /// Who anonymous clients of this listener are, if it lets them in.
    pub(crate) anonymous: Option<Arc<Identity>>,
    /// None: the connection must authenticate.
    pub(crate) login: Option<Login>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) watched: Vec<Watched>,
    /// The question that the gateway has not been given yet.
    pub(crate) question: Option<Question>,
    /// What to do with the answer.
    pub(crate) awaiting: Option<Awaiting>,
    pub(crate) is_closing: bool,
    /// The last command; in `EXEC`, of those that it runs.
    pub(crate) last: Option<&'static Spec>,
    pub(crate) last_request_at: Timestamp,
    /// Requests of this batch.
    pub(crate) requests: u64,
}

/// Which replies are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    Off,
    /// The next one is not.
    SkipNext,
    /// This one is not.
    Skip,
}

/// What waits for the answer to an authentication.
#[derive(Clone, Debug)]
pub(crate) enum Awaiting {
    /// The connection is new, and nobody has asked for anything yet.
    Anonymous,
    /// `AUTH`.
    Auth,
    /// `HELLO ... AUTH`.
    Hello(Greeting),
}

/// Who the connection is, and what that allows on the bus.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: Name,
    pub(crate) is_administrator: bool,
    pub(crate) bus: Bus,
}

impl Session {
    pub(crate) fn new(client: Arc<Client>, broker: Arc<Broker>, vhost: Option<Name>) -> Self {
        let last_request_at = client.connected_at;
        let outbox = Arc::clone(&client.outbox);
        Self {
            client,
            subscriber: Arc::new(Subscriber {
                id: SubscriberId::unique(),
                outbox,
                queue: None,
            }),
            broker,
            vhost,
            version: Version::Resp2,
            reply_mode: ReplyMode::On,
            database: 0,
            name: None,
            library_name: None,
            library_version: None,
            is_evict_protected: false,
            leaves_untouched: false,
            anonymous: None,
            login: None,
            subscriptions: Subscriptions::default(),
            transaction: None,
            watched: Vec::new(),
            question: Some(Question::Authenticate(Credentials::Anonymous)),
            awaiting: Some(Awaiting::Anonymous),
            is_closing: false,
            last: None,
            last_request_at,
            requests: 0,
        }
    }

    /// Has the gateway find out who this is; no request is read before it has.
    pub(crate) fn ask(&mut self, credentials: Credentials, awaiting: Awaiting) {
        self.question = Some(Question::Authenticate(credentials));
        self.awaiting = Some(awaiting);
    }

    /// Becomes this user. Subscriptions stay, as far as the user may read.
    ///
    /// # Errors
    /// [`Error::WrongPassword`]: the user may not enter the virtual host. Nothing has changed.
    pub(crate) fn log_in(&mut self, identity: &Arc<Identity>) -> Result<(), Error> {
        let vhost = self.vhost.as_ref().unwrap_or(&identity.default_vhost);
        let bus = Bus::enter(&self.broker, vhost, identity, &self.subscriber)?;
        self.leave_bus();
        let is_anonymous = self
            .anonymous
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, identity));
        self.login = Some(Login {
            user: if is_anonymous {
                DEFAULT_USER.into()
            } else {
                identity.user.clone()
            },
            is_administrator: identity.has_tag("administrator"),
            bus,
        });
        self.rejoin_bus();
        Ok(())
    }

    /// Ends what the bus knows of this connection.
    pub(crate) fn leave_bus(&mut self) {
        if let Some(login) = &self.login {
            self.subscriptions
                .each(|kind, name| login.bus.unsubscribe(kind, name));
        }
    }

    fn rejoin_bus(&mut self) {
        match &self.login {
            Some(login) if login.bus.may_read() => {
                self.subscriptions
                    .each(|kind, name| login.bus.subscribe(kind, name));
            }
            _ => self.subscriptions = Subscriptions::default(),
        }
    }

    /// Wakes those who got something in this batch.
    pub(crate) fn flush(&mut self) {
        if let Some(login) = &mut self.login {
            login.bus.flush();
        }
    }

    /// Whether the reply to the request that comes now is held back.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skip)
    }

    /// The request at hand is done; `CLIENT REPLY SKIP` means the one after it.
    pub(crate) const fn end_reply(&mut self) {
        self.reply_mode = match self.reply_mode {
            ReplyMode::SkipNext => ReplyMode::Skip,
            ReplyMode::Skip | ReplyMode::On => ReplyMode::On,
            ReplyMode::Off => ReplyMode::Off,
        };
    }

    /// RESP: `RESET`: as new, but for the library's name and version.
    pub(crate) fn reset(&mut self) {
        self.leave_bus();
        self.subscriptions = Subscriptions::default();
        self.transaction = None;
        self.watched.clear();
        self.version = Version::Resp2;
        self.reply_mode = ReplyMode::On;
        self.database = 0;
        self.name = None;
        self.is_evict_protected = false;
        self.leaves_untouched = false;
        self.login = None;
        if let Some(anonymous) = self.anonymous.clone() {
            // It could enter before; if its virtual host has gone since, it must authenticate.
            let entered = self.log_in(&anonymous);
            debug_assert!(entered.is_ok());
        }
    }

    /// The bus, for a command that only a user may use.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`].
    pub(crate) fn bus(&mut self) -> Result<&mut Bus, Error> {
        let login = self.login.as_mut().ok_or(Error::AuthenticationRequired)?;
        Ok(&mut login.bus)
    }

    /// The name of the user; strangers are called as the default user is.
    pub(crate) fn user(&self) -> Name {
        self.login
            .as_ref()
            .map_or_else(|| DEFAULT_USER.into(), |login| login.user.clone())
    }

    /// RESP: subscribed in RESP2, where few commands are allowed.
    pub(crate) fn is_restricted(&self) -> bool {
        self.version == Version::Resp2 && self.is_subscribed()
    }

    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscriptions.total() > 0
    }

    /// What others may see of this connection.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            user: self.user(),
            name: self.name.clone(),
            library_name: self.library_name.clone(),
            library_version: self.library_version.clone(),
            version: self.version,
            database: self.database,
            channels: self.subscriptions.channels.len(),
            patterns: self.subscriptions.patterns.len(),
            shard_channels: self.subscriptions.shard_channels.len(),
            queued: self.transaction.as_ref().map(Transaction::len),
            queued_bytes: self.transaction.as_ref().map_or(0, Transaction::bytes),
            is_evict_protected: self.is_evict_protected,
            leaves_untouched: self.leaves_untouched,
            last_command: self.last.map_or("NULL", |spec| spec.name),
            last_request_at: self.last_request_at,
        }
    }
}

type Names = HashSet<Bytes, foldhash::fast::RandomState>;

/// What a connection is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: Names,
    patterns: Names,
    shard_channels: Names,
}

impl Subscriptions {
    const fn of(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::ShardChannel => &self.shard_channels,
        }
    }

    const fn of_mut(&mut self, kind: Kind) -> &mut Names {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Whether it is new.
    pub(crate) fn insert(&mut self, kind: Kind, name: Bytes) -> bool {
        self.of_mut(kind).insert(name)
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, kind: Kind, name: &[u8]) -> bool {
        self.of_mut(kind).remove(name)
    }

    pub(crate) fn has(&self, kind: Kind, name: &[u8]) -> bool {
        self.of(kind).contains(name)
    }

    /// In order, so that the same requests have the same answers.
    pub(crate) fn names(&self, kind: Kind) -> Vec<Bytes> {
        let mut names: Vec<_> = self.of(kind).iter().cloned().collect();
        names.sort_unstable();
        names
    }

    /// RESP: channels and patterns are counted together, shard channels by themselves.
    pub(crate) fn counter(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    fn each(&self, mut handle: impl FnMut(Kind, &Bytes)) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            self.of(kind).iter().for_each(|name| handle(kind, name));
        }
    }
}
