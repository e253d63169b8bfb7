//! What a connection knows of itself between two requests.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use routing::outbox::{Event, Item};
use routing::queue::QueueLimits;
use routing::{
    Broker, ChannelFilter, Credentials, Identity, Lsn, Name, OpenSubscriber, Outbox, OutboxLimits,
    Overflow, Request as Question, Subscriber, Timestamp, Wakes,
};

use super::blocked::Blocked;
use super::kept::Kept;
use crate::command::{DEFAULT_USER, Greeting, Kind, Spec, Transaction, Watched};
use crate::error::Error;
use crate::server::{Client, Snapshot};
use crate::settings::{Settings, WhenFull};
use crate::translate::{Bus, filter};
use crate::wire::Version;

/// A connection's state, without its buffers.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    /// What the bus knows this connection as.
    subscriber: Arc<Subscriber>,
    /// The session that keeps what this connection misses, if it is such a subscriber.
    pub(crate) kept: Option<Box<Kept>>,
    /// What becomes of its messages when it does not keep up.
    pub(crate) when_full: WhenFull,
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
    /// The wait for an element of a list.
    pub(crate) blocked: Option<Box<Blocked>>,
    tokens: u64,
    limits: OutboxLimits,
    /// The reply at hand waits until the journal is durable up to here.
    pub(crate) promised: Option<Lsn>,
    /// Something that it did went to the journal since somebody last looked.
    pub(crate) has_journalled: bool,
    /// It watches what others ask for.
    pub(crate) is_monitor: bool,
    /// `EXEC` is running: nothing waits.
    pub(crate) is_executing: bool,
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
    pub(crate) fn new(
        client: Arc<Client>,
        broker: Arc<Broker>,
        vhost: Option<Name>,
        limits: OutboxLimits,
    ) -> Self {
        let last_request_at = client.connected_at;
        let subscriber = Subscriber::live(client.outbox());
        Self {
            client,
            subscriber,
            kept: None,
            when_full: WhenFull::Disconnect,
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
            blocked: None,
            tokens: 0,
            limits,
            promised: None,
            has_journalled: false,
            is_monitor: false,
            is_executing: false,
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
    pub(crate) fn log_in(
        &mut self,
        now: Timestamp,
        identity: &Arc<Identity>,
        is_anonymous: bool,
    ) -> Result<(), Error> {
        let vhost = self.vhost.clone();
        let vhost = &vhost.unwrap_or_else(|| identity.default_vhost.clone());
        // Before anything is given up.
        Bus::enter(
            &self.broker,
            vhost,
            identity,
            &self.subscriber,
            self.client.id,
        )?;
        self.leave_bus(now);
        let bus = Bus::enter(
            &self.broker,
            vhost,
            identity,
            &self.subscriber,
            self.client.id,
        )?;
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

    /// Ends what the bus knows of this connection. A session that keeps what it misses stays.
    pub(crate) fn leave_bus(&mut self, now: Timestamp) {
        let mut filters = self.subscriptions.filters();
        if let Some(kept) = self.kept.take() {
            filters.retain(|filter| matches!(filter, ChannelFilter::ShardChannel(_)));
            if let Some(login) = &self.login {
                login.bus.unsubscribe(&filters);
            }
            kept.leave(now, self.client.id, &mut Wakes::default());
            // The outbox was the session's; what is left in it goes with it.
            let outbox = Outbox::attached(self.client.id, self.limits);
            self.client.set_outbox(&outbox);
            self.subscriber = Subscriber::live(outbox);
        } else if let Some(login) = &self.login {
            login.bus.unsubscribe(&filters);
        }
    }

    /// Finds out what holds for this subscriber, and has the core keep what it misses if it is to
    /// miss nothing. It is about to subscribe, and to nothing yet.
    ///
    /// # Errors
    /// [`Error::Limit`]: there are too many such subscribers.
    pub(crate) fn become_subscriber(
        &mut self,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<(), Error> {
        if self.kept.is_some() {
            return Ok(());
        }
        let name = self.name.clone().unwrap_or_default();
        self.when_full = settings.rule_for(&self.user(), &name);
        self.limits.overflow = match self.when_full {
            WhenFull::DropOldest => Overflow::DropOldest,
            WhenFull::PausePublisher => Overflow::HoldPublisher,
            WhenFull::Disconnect | WhenFull::Durable => Overflow::Disconnect,
        };
        self.outbox().set_limits(self.limits);
        let name = std::str::from_utf8(&name).unwrap_or_default();
        if self.when_full == WhenFull::Durable && !name.is_empty() {
            return self.open_session(now, name.into(), settings);
        }
        if self.when_full == WhenFull::Durable {
            self.when_full = WhenFull::Disconnect;
        }
        Ok(())
    }

    fn open_session(
        &mut self,
        now: Timestamp,
        name: Name,
        settings: &Settings,
    ) -> Result<(), Error> {
        let durable = settings.durable;
        let owner = (self.user(), name);
        let open = OpenSubscriber {
            owner,
            connection: self.client.id,
            expiry_s: durable.expiry_s,
            outbox_limits: self.limits,
            queue_limits: QueueLimits {
                messages_max: Some(durable.messages_max),
                bytes_max: Some(durable.bytes_max),
                ..QueueLimits::default()
            },
        };
        let id = self.client.id;
        let max = settings.queues_max;
        let former = Arc::clone(self.outbox());
        let bus = self.bus()?;
        let opened = bus.open_subscriber(now, &open, max)?;
        bus.set_subscriber(&opened.session.subscriber);
        self.subscriber = Arc::clone(&opened.session.subscriber);
        self.client.set_outbox(&self.subscriber.outbox);
        let is_close = |item: &Item| matches!(item, Item::Event(Event::Close { .. }));
        self.is_closing |= former.detach(id).iter().any(is_close);
        let kept = Kept::new(opened.session, opened.credit, durable, now);
        self.kept = Some(Box::new(kept));
        Ok(())
    }

    /// Subscribes to what is new. Returns where the record of it ends, if it is to be kept.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`].
    pub(crate) fn subscribe(&mut self, filters: &[ChannelFilter]) -> Result<Option<Lsn>, Error> {
        let kept = self.kept.as_ref().map(|kept| Arc::clone(&kept.session));
        let bus = self.bus()?;
        let Some(session) = kept else {
            bus.subscribe(filters);
            return Ok(None);
        };
        let is_live = |filter: &&ChannelFilter| filter.session_name().is_none();
        let live = filters.iter().filter(is_live).cloned().collect::<Vec<_>>();
        if !live.is_empty() {
            bus.subscribe(&live);
        }
        Ok(bus.subscribe_kept(&session, filters))
    }

    /// # Errors
    /// [`Error::AuthenticationRequired`].
    pub(crate) fn unsubscribe(&mut self, filters: &[ChannelFilter]) -> Result<(), Error> {
        let kept = self.kept.as_ref().map(|kept| Arc::clone(&kept.session));
        let bus = self.bus()?;
        if let Some(session) = kept {
            bus.unsubscribe_kept(&session, filters);
        }
        bus.unsubscribe(filters);
        Ok(())
    }

    fn rejoin_bus(&mut self) {
        let Some(login) = &self.login else {
            self.subscriptions.end_all();
            return;
        };
        self.subscriptions
            .retain(|kind, name| login.bus.may_subscribe(kind, name));
        login.bus.subscribe(&self.subscriptions.filters());
    }

    /// Hands over what is published, before anything else is done.
    pub(crate) fn end_run(&mut self) {
        if let Some(login) = &mut self.login {
            login.bus.end_run();
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
    pub(crate) fn reset(&mut self, now: Timestamp) {
        self.leave_bus(now);
        self.subscriptions.end_all();
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
            let entered = self.log_in(now, &anonymous, true);
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

    /// Whether what a pattern has matched is for this user.
    pub(crate) fn may_receive(&self, channel: &Bytes) -> bool {
        let login = self.login.as_ref();
        login.is_none_or(|login| login.bus.rights().may_receive(channel))
    }

    /// Where deliveries for this connection wait.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.subscriber.outbox
    }

    /// Whether the journal is durable up to `lsn`; if not, the outbox wakes this connection then.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> bool {
        self.broker.core().wait_durable(lsn, self.outbox())
    }

    /// Whether disk and memory have room for more messages.
    pub(crate) fn has_room(&self) -> bool {
        self.broker.core().has_room()
    }

    /// A number that marks the deliveries of one wait.
    pub(crate) const fn next_token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Ends a wait without an element.
    pub(crate) fn give_up_waiting(&mut self, now: Timestamp) -> Option<Box<Blocked>> {
        let mut blocked = self.blocked.take()?;
        blocked.give_up(now, &mut Wakes::default());
        Some(blocked)
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
            is_blocked: self.blocked.is_some(),
            is_monitor: self.is_monitor,
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
    /// One has ended, ever: messages for it, or lines of `MONITOR`, may still be on their way.
    has_ended: bool,
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
        self.has_ended = true;
        self.of_mut(kind).remove(name)
    }

    fn end_all(&mut self) {
        *self = Self {
            has_ended: true,
            ..Self::default()
        };
    }

    fn retain(&mut self, is_kept: impl Fn(Kind, &Bytes) -> bool) {
        let before = self.total();
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            self.of_mut(kind).retain(|name| is_kept(kind, name));
        }
        self.has_ended |= self.total() < before;
    }

    pub(crate) fn has(&self, kind: Kind, name: &[u8]) -> bool {
        self.of(kind).contains(name)
    }

    /// Whether a message that comes must be looked up: mostly none has ended, and each is for one.
    pub(super) const fn have_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a subscription that the core has is one of these.
    pub(super) fn has_filter(&self, filter: &ChannelFilter) -> bool {
        match filter {
            ChannelFilter::Channel(name) => self.has(Kind::Channel, name),
            ChannelFilter::Glob(glob) => self.has(Kind::Pattern, glob.as_bytes()),
            ChannelFilter::ShardChannel(name) => self.has(Kind::ShardChannel, name),
        }
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

    /// All of them as the core has them.
    fn filters(&self) -> Vec<ChannelFilter> {
        let kinds = [Kind::Channel, Kind::Pattern, Kind::ShardChannel];
        let of = |kind| self.of(kind).iter().map(move |name| filter(kind, name));
        kinds.into_iter().flat_map(of).collect()
    }
}
