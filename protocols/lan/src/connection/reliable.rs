//! What a link with the codec `rlan` does beside the others: it answers, it has times of its own,
//! and it gives those that come late the retained values.

use std::collections::VecDeque;

use bytes::Bytes;
use routing::{Message, Timestamp};

use super::Link;
use crate::translate::{self, Forwarded};
use crate::{
    Codec, Envelope, Outgoing, Record, Rlan, RlanCounts, Unread, Unsendable, encode_properties,
};

/// How many gateways may forward a message from LAN to LAN.
const HOPS_MAX: u8 = 4;

impl Link {
    /// What rlan counts; none for other codecs.
    #[must_use]
    pub fn rlan_counts(&self) -> Option<&RlanCounts> {
        match &self.settings.codec {
            Codec::Rlan(rlan) => Some(rlan.counts()),
            Codec::Raw(_) | Codec::MqttSn(_) | Codec::Lcm(_) | Codec::Uadp(_) => None,
        }
    }

    /// The next datagram that goes out besides the messages: heartbeats, repairs, requests. Each
    /// says itself where it goes.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.rlan().and_then(Rlan::poll_outgoing)
    }

    /// When [`Link::handle_reliable_timeout`] is due.
    #[must_use]
    pub fn poll_reliable_timeout(&self) -> Option<Timestamp> {
        match &self.settings.codec {
            Codec::Rlan(rlan) => rlan.poll_timeout(),
            Codec::Raw(_) | Codec::MqttSn(_) | Codec::Lcm(_) | Codec::Uadp(_) => None,
        }
    }

    /// Asks for what is missing and says how far the stream is, if it is time. `at` is the link's
    /// own address.
    ///
    /// # Errors
    /// [`Unread`], if a message that was held back until now is not to be published.
    pub fn handle_reliable_timeout(&mut self, now: Timestamp, at: Envelope) -> Result<u64, Unread> {
        let Some(rlan) = self.rlan() else {
            return Ok(0);
        };
        rlan.handle_timeout(now);
        self.publish_delivered(now, at)
    }

    /// Publishes what is in order, and answers who asked for the retained values.
    pub(super) fn publish_delivered(
        &mut self,
        now: Timestamp,
        at: Envelope,
    ) -> Result<u64, Unread> {
        let Some(rlan) = self.rlan() else {
            return Ok(0);
        };
        let (node, delivered) = (rlan.node(), rlan.take_delivered());
        if rlan.wants_snapshot() {
            self.take_snapshot(now);
        }
        let (mut count, mut refused) = (0, Ok(()));
        for arrived in delivered {
            let record = arrived.record;
            let is_own = record.node != 0 && record.node == node;
            if is_own || record.hops > HOPS_MAX {
                self.rlan().into_iter().for_each(Rlan::count_loop);
                continue;
            }
            let source = arrived.source;
            match self.publish_record(now, record, Envelope { source, ..at }) {
                Ok(()) => count += 1,
                // The others of the block are as good as ever.
                Err(reason) => refused = Err(reason),
            }
        }
        refused.map(|()| count)
    }

    fn publish_record(
        &mut self,
        now: Timestamp,
        record: Record,
        from: Envelope,
    ) -> Result<(), Unread> {
        self.check_size(&record.payload)?;
        let to = self.resolve(&record.topic, from)?;
        let message = translate::record_message(now, &to, record, self.subscriber.id);
        self.deliver(now, &to, message);
        Ok(())
    }

    fn take_snapshot(&mut self, now: Timestamp) {
        let vhost = self.publisher.vhost();
        let own = self.subscriber.id;
        let bytes_max = self.settings.message_bytes_max;
        let cursors: Vec<_> = self
            .settings
            .filters
            .iter()
            .map(|it| vhost.retained(it))
            .collect();
        let Codec::Rlan(rlan) = &mut self.settings.codec else {
            return;
        };
        let node = rlan.node();
        let values = cursors
            .into_iter()
            .flat_map(|mut cursor| std::iter::from_fn(move || cursor.next(now)))
            // What came in by this link is for its own sender to say.
            .filter(|message| message.publisher != Some(own) && message.payload.len() <= bytes_max)
            .filter_map(|message| record(now, &message, node));
        rlan.take_snapshot(now, values);
    }

    const fn rlan(&mut self) -> Option<&mut Rlan> {
        match &mut self.settings.codec {
            Codec::Rlan(rlan) => Some(rlan),
            Codec::Raw(_) | Codec::MqttSn(_) | Codec::Lcm(_) | Codec::Uadp(_) => None,
        }
    }
}

/// Sends a message, unless it has gone too far.
pub(super) fn encode(
    rlan: &mut Rlan,
    now: Timestamp,
    message: &Message,
    out: &mut VecDeque<Bytes>,
) -> Result<(), Unsendable> {
    match record(now, message, rlan.node()) {
        Some(record) => rlan.publish(&record, out),
        None => {
            rlan.count_loop();
            Ok(())
        }
    }
}

/// The message as rlan carries it; `None` if it has gone too far.
fn record(now: Timestamp, message: &Message, own_node: u64) -> Option<Record> {
    let properties = message.properties();
    let (node, hops) = match Forwarded::of(properties) {
        Some(forwarded) => (forwarded.node, forwarded.hops.checked_add(1)?),
        None => (own_node, 0),
    };
    let left = message.expires_at.map(|at| at.since_ms(now));
    (hops <= HOPS_MAX).then(|| Record {
        node,
        hops,
        retain: message.retain,
        expiry_ms: left.map(|left| u32::try_from(left).unwrap_or(u32::MAX)),
        topic: message.address.as_bytes().clone(),
        properties: encode_properties(properties),
        payload: message.payload.clone(),
    })
}
