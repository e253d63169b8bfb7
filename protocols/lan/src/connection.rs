//! One LAN link's state machine: datagrams in, publishes on the core; deliveries in, datagrams
//! out. It has no handshake and no states, because datagrams have none.
//!
//! A link never sends out what came in by it: its subscriptions are no-local.

mod carousel;
mod reliable;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use routing::outbox::{Item, Standing};
use routing::table::BUS;
use routing::{
    Address, ConnectionId, Event, KeyForm, Message, Outbox, Publisher, QoS, Resolved, Subscriber,
    SubscriptionOptions, Timestamp, VHost,
};

use crate::{Arrival, Codec, Departure, Envelope, Settings, Unread, Unsendable, translate};

use carousel::Carousel;

/// One link. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct Link {
    id: ConnectionId,
    settings: Settings,
    publisher: Publisher,
    subscriber: Arc<Subscriber>,
    carousel: Option<Carousel>,
    taken: VecDeque<Item>,
    arrivals: Vec<Arrival>,
}

/// What became of the messages that a link was given to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages that became datagrams.
    pub sent: u64,
    /// Messages larger than the link takes.
    pub too_large: u64,
    /// Messages on topics that the format has no name for.
    pub unnamed: u64,
    /// Messages whose payload is not what the topic's fields say.
    pub unfit: u64,
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
        let subscriber = Subscriber::live(outbox);
        let options = SubscriptionOptions {
            qos: QoS::AtMostOnce,
            no_local: true,
            // Receivers on the network have no moment of subscribing: the flag says what the
            // publisher said.
            retain_as_published: true,
            ..SubscriptionOptions::default()
        };
        for filter in &settings.filters {
            vhost.subscribe_filter(&subscriber, filter, options);
        }
        let carousel = Carousel::new(settings.carousel_per_second);
        Self {
            id,
            carousel: carousel.filter(|_| !settings.filters.is_empty()),
            settings,
            publisher: Publisher::new(vhost),
            subscriber,
            taken: VecDeque::new(),
            arrivals: Vec::new(),
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

    /// Messages that senders have counted and that did not come, as far as the codec can tell.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        match &self.settings.codec {
            Codec::Lcm(lcm) => lcm.gaps,
            Codec::Uadp(uadp) => uadp.gaps,
            Codec::Rlan(rlan) => rlan.counts().lost,
            Codec::Raw(_) | Codec::MqttSn(_) => 0,
        }
    }

    /// Publishes what a datagram says; returns how many messages that were. Receivers are woken by
    /// [`Link::flush`].
    ///
    /// # Errors
    /// [`Unread`] says why there was nothing to publish.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        datagram: &[u8],
        from: Envelope,
    ) -> Result<u64, Unread> {
        if let Codec::Rlan(rlan) = &mut self.settings.codec {
            rlan.handle_datagram(now, datagram, from.source)?;
            return self.publish_delivered(now, from);
        }
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.clear();
        let read = self.decode(datagram, from, &mut arrivals);
        let count = u64::try_from(arrivals.len()).unwrap_or(u64::MAX);
        let published = arrivals
            .drain(..)
            .try_for_each(|arrival| self.publish(now, arrival, from));
        self.arrivals = arrivals;
        read.and(published).map(|()| count)
    }

    fn decode(
        &mut self,
        datagram: &[u8],
        from: Envelope,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), Unread> {
        match &mut self.settings.codec {
            Codec::Raw(raw) => return raw.decode(datagram, arrivals),
            Codec::MqttSn(codec) => arrivals.push(codec.decode(datagram)?),
            Codec::Lcm(lcm) => arrivals.extend(lcm.decode(datagram, from.source)?),
            Codec::Uadp(uadp) => return uadp.decode(datagram, arrivals),
            // It has an order and a memory of its own: `reliable`.
            Codec::Rlan(_) => {}
        }
        Ok(())
    }

    fn publish(&mut self, now: Timestamp, arrival: Arrival, from: Envelope) -> Result<(), Unread> {
        self.check_size(&arrival.payload)?;
        let to = self.resolve(arrival.topic.as_deref().unwrap_or_default(), from)?;
        let message = translate::message(&to, arrival, self.subscriber.id);
        self.deliver(now, &to, message);
        Ok(())
    }

    const fn check_size(&self, payload: &Bytes) -> Result<(), Unread> {
        let (bytes, bytes_max) = (payload.len(), self.settings.message_bytes_max);
        if bytes > bytes_max {
            return Err(Unread::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    /// Where a message goes whose datagram carried this topic.
    fn resolve(&mut self, carried: &[u8], from: Envelope) -> Result<Arc<Resolved>, Unread> {
        let carried = std::str::from_utf8(carried).map_err(|_| Unread::Malformed)?;
        let topic = self.settings.topic.render(from, carried);
        let address = Address::new(topic.into());
        // The bus's own addresses (`$SYS`, reply queues) are nobody's on the network.
        if !address.is_topic() || address.as_bytes().starts_with(b"$") {
            return Err(Unread::Malformed);
        }
        let key = address.as_bytes();
        let resolved = self
            .publisher
            .resolve(BUS.as_bytes(), key, KeyForm::Canonical);
        // The bus cannot be deleted.
        resolved.map_err(|_| Unread::Unknown)
    }

    fn deliver(&mut self, now: Timestamp, to: &Resolved, message: Arc<Message>) {
        let mut message = message;
        if message.retain && !self.publisher.vhost().may_retain(&message) {
            let mut builder = message.to_builder();
            builder.retain = false;
            message = builder.build();
        }
        self.publisher.publish(now, to, &message);
    }

    /// Wakes everybody who got something: call it once per batch of datagrams.
    pub fn flush(&mut self) {
        self.publisher.flush();
    }

    /// Puts the datagrams of what waits into `out`, up to a quarter of a megabyte at a time: call
    /// it again when they have been sent.
    pub fn poll_datagrams(&mut self, now: Timestamp, out: &mut VecDeque<Bytes>) -> Taken {
        let mut counts = Taken::default();
        let mut taken = std::mem::take(&mut self.taken);
        let outbox = &self.subscriber.outbox;
        // No queue ever starves here: the link has live subscriptions only.
        let standing = outbox.take(self.id, TAKE_BYTES_MAX, &mut taken, &mut Vec::new());
        counts.is_closed = standing != Standing::Owner;
        for item in taken.drain(..) {
            match item {
                Item::Delivery(delivery) => self.send(now, &delivery.message, out, &mut counts),
                Item::Run(run, _) => {
                    let messages = run.messages().iter();
                    messages.for_each(|message| self.send(now, message, out, &mut counts));
                }
                Item::Event(Event::Close { .. }) => counts.is_closed = true,
                Item::QueueRun { .. } | Item::Event(Event::ConsumerCancelled { .. }) => {}
            }
        }
        self.taken = taken;
        self.finish(now, out);
        counts
    }

    /// When [`Link::handle_timeout`] is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.carousel {
            Some(carousel) => Some(carousel.due),
            None => None,
        }
    }

    /// Sends the next retained value again, if it is time.
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut VecDeque<Bytes>) -> Taken {
        let mut counts = Taken::default();
        let Some(carousel) = &mut self.carousel else {
            return counts;
        };
        let vhost = self.publisher.vhost();
        let found = carousel.turn(now, vhost, &self.settings.filters);
        // What came in by this link is the network's own.
        let found = found.filter(|message| message.publisher != Some(self.subscriber.id));
        if let Some(message) = found {
            self.send(now, &message, out, &mut counts);
            self.finish(now, out);
        }
        counts
    }

    fn send(
        &mut self,
        now: Timestamp,
        message: &Message,
        out: &mut VecDeque<Bytes>,
        counts: &mut Taken,
    ) {
        if message.is_expired(now) {
            counts.expired += 1;
            return;
        }
        match self.encode(now, message, out) {
            Ok(()) => counts.sent += 1,
            Err(Unsendable::TooLarge { .. }) => counts.too_large += 1,
            Err(Unsendable::NoName) => counts.unnamed += 1,
            Err(Unsendable::NoFields) => counts.unfit += 1,
        }
    }

    fn encode(
        &mut self,
        now: Timestamp,
        message: &Message,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), Unsendable> {
        let (bytes, bytes_max) = (message.payload.len(), self.settings.message_bytes_max);
        if bytes > bytes_max {
            return Err(Unsendable::TooLarge { bytes, bytes_max });
        }
        let departure = Departure {
            topic: message.address.as_bytes(),
            payload: &message.payload,
            retain: message.retain,
        };
        match &mut self.settings.codec {
            Codec::Raw(raw) => out.push_back(raw.encode(departure)?),
            Codec::MqttSn(codec) => out.push_back(codec.encode(departure)?),
            Codec::Lcm(lcm) => lcm.encode(departure, out)?,
            Codec::Uadp(uadp) => out.extend(uadp.encode(now, departure)?),
            Codec::Rlan(rlan) => reliable::encode(rlan, now, message, out)?,
        }
        Ok(())
    }

    /// Ends the batch: what was being packed leaves.
    fn finish(&mut self, now: Timestamp, out: &mut VecDeque<Bytes>) {
        match &mut self.settings.codec {
            Codec::Uadp(uadp) => out.extend(uadp.flush()),
            Codec::Rlan(rlan) => rlan.flush(now, out),
            Codec::Raw(_) | Codec::MqttSn(_) | Codec::Lcm(_) => {}
        }
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
