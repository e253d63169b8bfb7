//! Entries to bytes. All numbers little endian; texts and byte strings with a `u32` length before
//! them; the payload of a message is always the last field, so that it can be a piece of its own.
//!
//! ```text
//! entry = kind u8, fields
//! place = queue u64, seq u64, qos u8 (+ 128 if it expires), [expires_at u64], matched
//! message = origin u8, exchange, address, raw properties, flags u8 (1 expires, 2 retain, 4 died),
//!           qos u8, priority u8, [expires_at u64], [deaths], payload: the rest of the record
//! deaths = flags u8 (1 readdressed), first: queue, reason u8, exchange, last exchange,
//!          count u32, (queue, reason u8, count u64, first_at u64, exchange, count u32,
//!          (routing key)*, flags u8 (1 had an expiration), [expiration_ms u64])*
//! matched = 0 | 1 qos u8 flags u8 count u16 (subscription id u32)* | 2 | 3 glob | 4
//! ```

use super::entry::Entry;
use crate::binding::{Binding, Destination};
use crate::death::{DeathReason, Deaths};
use crate::delivery::Matched;
use crate::ids::{QueueId, Seq};
use crate::journal::Lsn;
use crate::message::{Message, QoS};
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;
use crate::value::{Table, Value};

pub(super) mod kind {
    pub(crate) const PUBLISH: u8 = 1;
    pub(crate) const ENQUEUE: u8 = 2;
    pub(crate) const SETTLED: u8 = 3;
    pub(crate) const QUEUE_POSITION: u8 = 4;
    pub(crate) const EXCHANGE_DECLARED: u8 = 5;
    pub(crate) const EXCHANGE_DELETED: u8 = 6;
    pub(crate) const QUEUE_DECLARED: u8 = 7;
    pub(crate) const QUEUE_DELETED: u8 = 8;
    pub(crate) const BOUND: u8 = 9;
    pub(crate) const UNBOUND: u8 = 10;
    pub(crate) const SESSION_OPENED: u8 = 11;
    pub(crate) const SESSION_ENDED: u8 = 12;
    pub(crate) const SUBSCRIBED: u8 = 13;
    pub(crate) const UNSUBSCRIBED: u8 = 14;
    pub(crate) const RECEIVED: u8 = 15;
    pub(crate) const RELEASED: u8 = 16;
    pub(crate) const RETAINED: u8 = 17;
    pub(crate) const PAGED: u8 = 18;
    pub(crate) const PAGES_SETTLED: u8 = 19;
    pub(crate) const SENT: u8 = 20;
    pub(crate) const SENT_RECEIVED: u8 = 21;
    pub(crate) const SENT_DONE: u8 = 22;
    pub(crate) const WILL_SET: u8 = 23;
    pub(crate) const WILL_CLEARED: u8 = 24;
    pub(crate) const NOTED: u8 = 25;
}

/// Appends an entry's record to `out`.
pub fn encode(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Publish {
            queue,
            seq,
            qos,
            expires_at,
            matched,
            message,
        } => {
            let place = Place {
                queue: *queue,
                seq: *seq,
                qos: *qos,
                expires_at: *expires_at,
                matched: matched.as_ref(),
            };
            put_publish(out, &place, message);
            out.extend_from_slice(&message.payload);
        }
        Entry::Enqueue {
            queue,
            seq,
            qos,
            expires_at,
            matched,
            body,
        } => {
            let place = Place {
                queue: *queue,
                seq: *seq,
                qos: *qos,
                expires_at: *expires_at,
                matched: matched.as_ref(),
            };
            put_enqueue(out, &place, *body);
        }
        Entry::Retained { vhost, message } => {
            out.push(kind::RETAINED);
            put_text(out, vhost);
            put_message(out, message);
            out.extend_from_slice(&message.payload);
        }
        other => encode_queue(other, out),
    }
}

fn encode_queue(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Settled { queue, seqs } => put_settled(out, *queue, seqs),
        Entry::Paged {
            queue,
            priority,
            through,
            cost_bytes,
            body_bytes,
            wanted,
        } => {
            put_line(out, kind::PAGED, *queue, *priority);
            [through.0, *cost_bytes, *body_bytes]
                .iter()
                .for_each(|number| put_u64(out, *number));
            out.extend_from_slice(wanted);
        }
        Entry::PagesSettled {
            queue,
            priority,
            from,
            to,
        } => {
            put_line(out, kind::PAGES_SETTLED, *queue, *priority);
            put_u64(out, from.0);
            put_u64(out, to.0);
        }
        Entry::QueuePosition {
            queue,
            first,
            next,
            delivered,
        } => {
            out.push(kind::QUEUE_POSITION);
            let numbers = [queue.0, first.0, next.0, delivered.0];
            numbers.iter().for_each(|number| put_u64(out, *number));
        }
        Entry::Noted { queue, seq, at } => {
            out.push(kind::NOTED);
            let numbers = [queue.0, seq.0, at.0];
            numbers.iter().for_each(|number| put_u64(out, *number));
        }
        other => encode_topology(other, out),
    }
}

fn encode_topology(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::ExchangeDeclared {
            vhost,
            name,
            kind: exchange_kind,
            options,
            delays,
        } => {
            out.push(kind::EXCHANGE_DECLARED);
            put_text(out, vhost);
            put_text(out, name);
            put_text(out, exchange_kind.as_str());
            put_flags(
                out,
                [options.durable, options.auto_delete, options.internal],
            );
            put_table(out, &options.arguments);
            delays.iter().for_each(|id| put_u64(out, id.0));
        }
        Entry::ExchangeDeleted { vhost, name } => {
            out.push(kind::EXCHANGE_DELETED);
            put_text(out, vhost);
            put_text(out, name);
        }
        Entry::QueueDeclared {
            vhost,
            id,
            name,
            options,
        } => {
            out.push(kind::QUEUE_DECLARED);
            put_text(out, vhost);
            put_u64(out, id.0);
            put_text(out, name);
            put_flags(out, [options.durable, options.auto_delete, false]);
            put_table(out, &options.arguments);
        }
        Entry::QueueDeleted { vhost, id } => put_session(out, kind::QUEUE_DELETED, vhost, id.0),
        Entry::Bound {
            vhost,
            exchange,
            binding,
        } => {
            put_binding(out, kind::BOUND, vhost, exchange, binding);
        }
        Entry::Unbound {
            vhost,
            exchange,
            binding,
        } => {
            put_binding(out, kind::UNBOUND, vhost, exchange, binding);
        }
        other => encode_session(other, out),
    }
}

fn encode_session(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::SessionOpened {
            vhost,
            id,
            queue,
            client_id,
            expiry_s,
        } => {
            put_session(out, kind::SESSION_OPENED, vhost, id.0);
            put_u64(out, queue.0);
            put_text(out, client_id);
            put_u32(out, *expiry_s);
        }
        Entry::SessionEnded { vhost, id } => put_session(out, kind::SESSION_ENDED, vhost, id.0),
        Entry::Subscribed {
            vhost,
            session,
            filter,
            options,
        } => {
            put_session(out, kind::SUBSCRIBED, vhost, session.0);
            put_text(out, filter);
            put_options(out, options);
        }
        Entry::Unsubscribed {
            vhost,
            session,
            filter,
        } => {
            put_session(out, kind::UNSUBSCRIBED, vhost, session.0);
            put_text(out, filter);
        }
        other => encode_exchange(other, out),
    }
}

/// The packets between a session's client and the gateway.
fn encode_exchange(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Received {
            vhost,
            session,
            packet_id,
        } => {
            put_session(out, kind::RECEIVED, vhost, session.0);
            put_u16(out, *packet_id);
        }
        Entry::Released {
            vhost,
            session,
            packet_id,
        } => {
            put_session(out, kind::RELEASED, vhost, session.0);
            put_u16(out, *packet_id);
        }
        Entry::Sent {
            vhost,
            session,
            sent,
        } => {
            put_session(out, kind::SENT, vhost, session.0);
            for (packet_id, seq) in sent {
                put_u16(out, *packet_id);
                put_u64(out, seq.0);
            }
        }
        Entry::SentReceived {
            vhost,
            session,
            packet_id,
            seq,
        } => {
            put_session(out, kind::SENT_RECEIVED, vhost, session.0);
            put_u16(out, *packet_id);
            put_u64(out, seq.0);
        }
        Entry::SentDone {
            vhost,
            session,
            packet_id,
        } => {
            put_session(out, kind::SENT_DONE, vhost, session.0);
            put_u16(out, *packet_id);
        }
        Entry::WillSet {
            vhost,
            session,
            will,
        } => {
            put_session(out, kind::WILL_SET, vhost, session.0);
            put_u32(out, will.delay_s);
            put_flags(out, [will.expiry_s.is_some()]);
            put_u32(out, will.expiry_s.unwrap_or(0));
            put_message(out, &will.message);
            out.extend_from_slice(&will.message.payload);
        }
        Entry::WillCleared { vhost, session } => {
            put_session(out, kind::WILL_CLEARED, vhost, session.0);
        }
        _ => debug_assert!(false, "every entry is encoded by one of these"),
    }
}

/// A message's place in a queue; see [`Entry::Publish`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) queue: QueueId,
    pub(crate) seq: Seq,
    pub(crate) qos: QoS,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) matched: Option<&'a Matched>,
}

/// In the byte of the quality of service: the place has an expiry.
pub(super) const PLACE_EXPIRES: u8 = 0x80;

/// A `Publish` record but for its payload, which the caller appends as the last piece.
pub(crate) fn put_publish(out: &mut Vec<u8>, place: &Place<'_>, message: &Message) {
    out.push(kind::PUBLISH);
    put_place(out, place);
    put_message(out, message);
}

/// An `Enqueue` record.
pub(crate) fn put_enqueue(out: &mut Vec<u8>, place: &Place<'_>, body: Lsn) {
    out.push(kind::ENQUEUE);
    put_place(out, place);
    put_u64(out, body.0);
}

fn put_line(out: &mut Vec<u8>, kind: u8, queue: QueueId, priority: u8) {
    out.push(kind);
    put_u64(out, queue.0);
    out.push(priority);
}

fn put_place(out: &mut Vec<u8>, place: &Place<'_>) {
    put_u64(out, place.queue.0);
    put_u64(out, place.seq.0);
    match place.expires_at {
        None => out.push(place.qos as u8),
        Some(at) => {
            out.push(place.qos as u8 | PLACE_EXPIRES);
            put_u64(out, at.0);
        }
    }
    put_matched(out, place.matched);
}

/// A `Settled` record.
pub(crate) fn put_settled(out: &mut Vec<u8>, queue: QueueId, seqs: &[Seq]) {
    out.push(kind::SETTLED);
    put_u64(out, queue.0);
    seqs.iter().for_each(|seq| put_u64(out, seq.0));
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    out.push(message.origin.tag);
    put_text(out, &message.exchange);
    put_bytes(out, message.address.as_bytes());
    put_bytes(out, &message.raw_properties);
    let has_died = message.deaths.is_some();
    put_flags(
        out,
        [
            message.expires_at.is_some(),
            message.retain,
            has_died,
            message.is_delayed,
        ],
    );
    out.push(message.qos as u8);
    out.push(message.priority);
    if let Some(at) = message.expires_at {
        put_u64(out, at.0);
    }
    if let Some(deaths) = &message.deaths {
        put_deaths(out, deaths);
    }
}

fn put_deaths(out: &mut Vec<u8>, deaths: &Deaths) {
    put_flags(out, [deaths.is_readdressed, false, false]);
    put_text(out, &deaths.first.queue);
    out.push(reason_tag(deaths.first.reason));
    put_text(out, &deaths.first.exchange);
    put_text(out, &deaths.last_exchange);
    put_u32(out, u32::try_from(deaths.list.len()).unwrap_or(u32::MAX));
    for death in &deaths.list {
        put_text(out, &death.queue);
        out.push(reason_tag(death.reason));
        put_u64(out, death.count);
        put_u64(out, death.first_at.0);
        put_text(out, &death.exchange);
        let keys = u32::try_from(death.routing_keys.len()).unwrap_or(u32::MAX);
        put_u32(out, keys);
        death
            .routing_keys
            .iter()
            .for_each(|key| put_bytes(out, key));
        put_flags(out, [death.expiration_ms.is_some(), false, false]);
        death
            .expiration_ms
            .into_iter()
            .for_each(|expiration_ms| put_u64(out, expiration_ms));
    }
}

const fn reason_tag(reason: DeathReason) -> u8 {
    match reason {
        DeathReason::Rejected => 0,
        DeathReason::Expired => 1,
        DeathReason::MaxLength => 2,
        DeathReason::DeliveryLimit => 3,
    }
}

fn put_matched(out: &mut Vec<u8>, matched: Option<&Matched>) {
    match matched {
        None => out.push(0),
        Some(Matched::Filters {
            qos,
            retain_as_published,
            subscription_ids,
        }) => {
            out.push(1);
            out.push(*qos as u8);
            put_flags(out, [*retain_as_published, false, false]);
            let count = u16::try_from(subscription_ids.len()).unwrap_or(u16::MAX);
            put_u16(out, count);
            subscription_ids
                .iter()
                .take(count.into())
                .for_each(|id| put_u32(out, *id));
        }
        Some(Matched::Channel) => out.push(2),
        Some(Matched::Glob(glob)) => {
            out.push(3);
            put_bytes(out, glob.as_bytes());
        }
        Some(Matched::ShardChannel) => out.push(4),
    }
}

fn put_binding(out: &mut Vec<u8>, kind: u8, vhost: &str, exchange: &str, binding: &Binding) {
    out.push(kind);
    put_text(out, vhost);
    put_text(out, exchange);
    let (tag, name) = match &binding.destination {
        Destination::Queue(name) => (0, name),
        Destination::Exchange(name) => (1, name),
    };
    out.push(tag);
    put_text(out, name);
    put_bytes(out, &binding.key);
    put_table(out, &binding.arguments);
}

fn put_session(out: &mut Vec<u8>, kind: u8, vhost: &str, id: u64) {
    out.push(kind);
    put_text(out, vhost);
    put_u64(out, id);
}

fn put_options(out: &mut Vec<u8>, options: &SubscriptionOptions) {
    out.push(options.qos as u8);
    put_flags(out, [options.no_local, options.retain_as_published, false]);
    put_u32(out, options.subscription_id.unwrap_or(0));
}

fn put_table(out: &mut Vec<u8>, table: &Table) {
    put_u32(out, u32::try_from(table.0.len()).unwrap_or(u32::MAX));
    for (name, value) in &table.0 {
        put_bytes(out, name);
        put_value(out, value);
    }
}

/// Tables that reach the core have passed a protocol's depth limit, so the recursion is bounded.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(v) => put_tagged(out, b't', &[u8::from(*v)]),
        Value::I8(v) => put_tagged(out, b'b', &v.to_le_bytes()),
        Value::U8(v) => put_tagged(out, b'B', &v.to_le_bytes()),
        Value::I16(v) => put_tagged(out, b's', &v.to_le_bytes()),
        Value::U16(v) => put_tagged(out, b'u', &v.to_le_bytes()),
        Value::I32(v) => put_tagged(out, b'I', &v.to_le_bytes()),
        Value::U32(v) => put_tagged(out, b'i', &v.to_le_bytes()),
        Value::I64(v) => put_tagged(out, b'l', &v.to_le_bytes()),
        Value::F32(v) => put_tagged(out, b'f', &v.to_le_bytes()),
        Value::F64(v) => put_tagged(out, b'd', &v.to_le_bytes()),
        Value::Timestamp(v) => put_tagged(out, b'T', &v.to_le_bytes()),
        Value::Decimal { scale, value } => {
            put_tagged(out, b'D', &[*scale]);
            put_u32(out, value.cast_unsigned());
        }
        Value::Text(text) => {
            out.push(b'S');
            put_bytes(out, text);
        }
        Value::Binary(bytes) => {
            out.push(b'x');
            put_bytes(out, bytes);
        }
        Value::Array(values) => {
            out.push(b'A');
            put_u32(out, u32::try_from(values.len()).unwrap_or(u32::MAX));
            values.iter().for_each(|value| put_value(out, value));
        }
        Value::Table(table) => {
            out.push(b'F');
            put_table(out, table);
        }
        Value::Void => out.push(b'V'),
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn put_flags<const N: usize>(out: &mut Vec<u8>, flags: [bool; N]) {
    let bits = flags.iter().rev();
    out.push(bits.fold(0, |octet, flag| octet << 1 | u8::from(*flag)));
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}
