//! One LAN link's state machine: datagrams in, publishes on the core; deliveries in, datagrams
//! out. It has no handshake and no states, because datagrams have none.
//!
//! A link never sends out what came in by it: its subscriptions are no-local.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use routing::outbox::{Item, Standing};
use routing::table::BUS;
use routing::{
    ConnectionId, Event, KeyForm, Outbox, Publisher, QoS, Subscriber, SubscriberId,
    SubscriptionOptions, Timestamp, VHost,
};

use crate::{Envelope, Settings, TooLarge, translate};

/// One link. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct Link {
    id: ConnectionId,
    settings: Settings,
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
    taken: VecDeque<Item>,
}

/// What became of the messages that a link was given to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages larger than the link takes.
    pub too_large: u64,
    /// Messages that had expired.
    pub expired: u64,
    /// Whether the link was told to end.
    pub is_closed: bool,
}

/// Bytes of deliveries taken from the outbox at a time.
const TAKE_BYTES_MAX: usize = 256 * 1024;

impl Link {
    /// Links a virtual host, subscribing to all that goes out.
    #[must_use]
    pub fn new(vhost: Arc<VHost>, settings: Settings) -> Self {
        let id = ConnectionId::unique();
        let outbox = Outbox::attached(id, settings.waiting);
        let subscriber = Arc::new(Subscriber {
            id: SubscriberId::unique(),
            outbox,
            queue: None,
        });
        let options = SubscriptionOptions {
            qos: QoS::AtMostOnce,
            no_local: true,
            ..SubscriptionOptions::default()
        };
        for filter in &settings.filters {
            vhost.subscribe_filter(&subscriber, filter, options);
        }
        Self {
            id,
            settings,
            publisher: Publisher::new(vhost),
            subscriber,
            taken: VecDeque::new(),
        }
    }

    /// The link's identity at its outbox.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Where what goes out waits; its owner is woken when there is something.
    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.subscriber.outbox
    }

    /// Publishes a datagram that came in; returns how many received it. Receivers are woken by
    /// [`Link::flush`].
    ///
    /// # Errors
    /// [`TooLarge`] if it exceeds the link's limit.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        datagram: &[u8],
        from: Envelope,
    ) -> Result<u64, TooLarge> {
        let payload = self.settings.codec.decode(datagram)?;
        let topic = Bytes::from(self.settings.topic.render(from));
        let resolved = self
            .publisher
            .resolve(BUS.as_bytes(), &topic, KeyForm::Canonical);
        // The bus cannot be deleted, and a reply address leads to the default exchange, which
        // cannot be either.
        let Ok(resolved) = resolved else { return Ok(0) };
        let message = translate::message(&resolved, payload, self.subscriber.id);
        Ok(self.publisher.publish(now, &resolved, &message).receivers)
    }

    /// Wakes everybody who got something: call it once per batch of datagrams.
    pub fn flush(&mut self) {
        self.publisher.flush();
    }

    /// Puts the datagrams of what waits into `out`, up to a quarter of a megabyte at a time: call
    /// it again when they have been sent.
    pub fn poll_datagrams(&mut self, now: Timestamp, out: &mut VecDeque<Bytes>) -> Taken {
        let mut counts = Taken::default();
        let outbox = &self.subscriber.outbox;
        // No queue ever starves here: the link has live subscriptions only.
        let standing = outbox.take(self.id, TAKE_BYTES_MAX, &mut self.taken, &mut Vec::new());
        counts.is_closed = standing != Standing::Owner;
        for item in self.taken.drain(..) {
            match item {
                Item::Delivery(delivery) if delivery.message.is_expired(now) => counts.expired += 1,
                Item::Delivery(delivery) => {
                    match self.settings.codec.encode(&delivery.message.payload) {
                        Ok(datagram) => out.push_back(datagram),
                        Err(TooLarge { .. }) => counts.too_large += 1,
                    }
                }
                Item::Event(Event::Close { .. }) => counts.is_closed = true,
                Item::Event(Event::ConsumerCancelled { .. }) => {}
            }
        }
        counts
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for filter in &self.settings.filters {
            self.publisher
                .vhost()
                .unsubscribe_filter(self.subscriber.id, filter);
        }
        self.subscriber.outbox.detach(self.id);
    }
}

#[cfg(test)]
mod tests;
