//! Redis subscribers that are to miss nothing: sessions whose subscriptions are channels and
//! patterns instead of MQTT filters.
//!
//! A session's subscriptions are names in the journal. Those of channels begin with NUL, which no
//! MQTT filter can contain, and so do the names of the sessions themselves.

use bytes::Bytes;

use super::{OpenSession, VHost};
use crate::error::Error;
use crate::ids::ConnectionId;
use crate::journal::{Entry, Lsn, Urgency};
use crate::name::Name;
use crate::outbox::{OutboxLimits, Wakes};
use crate::queue::QueueLimits;
use crate::session::{Session, SessionOpened};
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;
use crate::topic::Glob;

/// What a Redis client subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelFilter {
    /// `SUBSCRIBE`: this channel on the bus.
    Channel(Bytes),
    /// `PSUBSCRIBE`: channels on the bus that match.
    Glob(Glob),
    /// `SSUBSCRIBE`: this channel of a name space that only Redis has.
    ShardChannel(Bytes),
}

/// What a Redis connection asks of the session that keeps what it misses.
#[derive(Clone, Debug)]
pub struct OpenSubscriber {
    /// The user and the name that the connection gave itself.
    pub owner: (Name, Name),
    /// The connection.
    pub connection: ConnectionId,
    /// How long the session outlives the connection, in seconds, at least 1.
    pub expiry_s: u32,
    /// Limits of the outbox.
    pub outbox_limits: OutboxLimits,
    /// Limits of the queue of a new session.
    pub queue_limits: QueueLimits,
}

impl ChannelFilter {
    /// The subscription of a session that has this name; none when it is an MQTT filter.
    pub(crate) fn of_session(name: &str) -> Option<Self> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let channel = name.strip_prefix("\0c").map(|c| Self::Channel(bytes(c)));
        let glob = || {
            name.strip_prefix("\0p")
                .map(|p| Self::Glob(Glob::new(bytes(p))))
        };
        channel.or_else(glob)
    }

    /// Its name as a session's subscription; none for a shard channel, which is never kept, and
    /// for what is not UTF-8.
    #[must_use]
    pub fn session_name(&self) -> Option<Name> {
        let (kind, bytes) = match self {
            Self::Channel(channel) => ("\0c", channel.as_ref()),
            Self::Glob(glob) => ("\0p", glob.as_bytes().as_ref()),
            Self::ShardChannel(_) => return None,
        };
        let text = std::str::from_utf8(bytes).ok()?;
        Some(format!("{kind}{text}").into())
    }
}

impl VHost {
    /// Opens the session of a Redis subscriber, or takes it over.
    ///
    /// # Errors
    /// None that a client causes; [`Error::NotFound`] if the session is just being ended.
    pub fn open_subscriber(
        &self,
        now: Timestamp,
        open: &OpenSubscriber,
        wakes: &mut Wakes,
    ) -> Result<SessionOpened, Error> {
        let (user, name) = &open.owner;
        let open = OpenSession {
            client_id: format!("\0redis\0{user}\0{name}").into(),
            connection: open.connection,
            clean_start: false,
            expiry_s: open.expiry_s.max(1),
            will: None,
            outbox_limits: open.outbox_limits,
            queue_limits: Some(open.queue_limits),
            receive_max: u16::MAX,
        };
        let opened = self.open_session(now, &open, wakes)?;
        opened.session.with(|state| state.returns_unsettled = true);
        Ok(opened)
    }

    /// Subscribes such a session; the others of `filters` than channels and patterns in UTF-8 are
    /// left out. Returns where the record ends, if there was anything new.
    pub fn subscribe_kept(&self, session: &Session, filters: &[ChannelFilter]) -> Option<Lsn> {
        let mut end = None;
        let mut new = filters.to_vec();
        new.retain(|filter| {
            let Some(name) = filter.session_name() else {
                return false;
            };
            let options = SubscriptionOptions::default();
            let former = session.with(|state| state.subscriptions.insert(name.clone(), options));
            if former.is_none() {
                let entry = Entry::Subscribed {
                    vhost: self.name.clone(),
                    session: session.id,
                    filter: name,
                    options,
                };
                end = Some(self.append(&entry, Urgency::Sync));
            }
            former.is_none()
        });
        if !new.is_empty() {
            self.subscribe_channels(&session.subscriber, &new);
        }
        end
    }

    /// Ends subscriptions of such a session.
    pub fn unsubscribe_kept(&self, session: &Session, filters: &[ChannelFilter]) {
        for filter in filters.iter().filter_map(ChannelFilter::session_name) {
            self.unsubscribe(session, &filter);
        }
    }

    /// The subscriptions of such a session.
    #[must_use]
    pub fn kept_subscriptions(&self, session: &Session) -> Vec<ChannelFilter> {
        session.with(|state| {
            let names = state.subscriptions.keys();
            names
                .filter_map(|name| ChannelFilter::of_session(name))
                .collect()
        })
    }
}
