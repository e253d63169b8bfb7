//! Bytes to entries; the layout is in [`super::encode`].

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::encode::{PLACE_EXPIRES, kind};
use super::entry::Entry;
use crate::address::Address;
use crate::binding::{Binding, Destination};
use crate::death::{Death, DeathReason, Deaths, FirstDeath};
use crate::delivery::Matched;
use crate::exchange::{ExchangeKind, ExchangeOptions};
use crate::ids::{QueueId, Seq, SessionId};
use crate::journal::Lsn;
use crate::message::{Message, MessageBuilder, Origin, QoS};
use crate::name::Name;
use crate::queue::QueueOptions;
use crate::session::Will;
use crate::subscriber::SubscriptionOptions;
use crate::time::Timestamp;
use crate::topic::Glob;
use crate::value::{Table, Value};

/// Tables nested deeper than this are no tables of ours.
const DEPTH_MAX: u32 = 64;

/// A record that this version cannot read: written by a newer one, or damaged in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal record of kind {kind} cannot be read")]
pub struct DecodeError {
    /// The record's first byte.
    pub kind: u8,
}

/// Reads an entry; `origins` are the protocols that may have written messages.
///
/// # Errors
/// When the record is not one of this version's.
pub fn decode(record: Bytes, origins: &[&'static Origin]) -> Result<Entry, DecodeError> {
    let kind = record.first().copied().unwrap_or(0);
    let mut reader = Reader {
        rest: record,
        origins,
    };
    reader.entry().ok_or(DecodeError { kind })
}

/// Whether the record says how far a queue is in its page files: see
/// [`crate::vhost::Recovery::foresee`].
#[must_use]
pub fn tells_of_pages(record: &[u8]) -> bool {
    record.first() == Some(&kind::PAGED)
}

/// The queue and number of a record that puts a message into a queue, without reading the message.
pub(crate) fn place_of(record: &[u8]) -> Option<(QueueId, Seq)> {
    let (kind, rest) = record.split_first()?;
    let (queue, rest) = rest.split_first_chunk()?;
    let (seq, _) = rest.split_first_chunk()?;
    let is_place = matches!(*kind, kind::PUBLISH | kind::ENQUEUE);
    let place = (
        QueueId(u64::from_le_bytes(*queue)),
        Seq(u64::from_le_bytes(*seq)),
    );
    is_place.then_some(place)
}

struct Reader<'a> {
    rest: Bytes,
    origins: &'a [&'static Origin],
}

impl Reader<'_> {
    fn entry(&mut self) -> Option<Entry> {
        let kind = self.u8()?;
        Some(match kind {
            kind::PUBLISH => {
                let (queue, seq) = (QueueId(self.u64()?), Seq(self.u64()?));
                let (qos, expires_at) = self.place_end()?;
                let matched = self.matched()?;
                Entry::Publish {
                    queue,
                    seq,
                    qos,
                    expires_at,
                    matched,
                    message: self.message()?,
                }
            }
            kind::ENQUEUE => {
                let (queue, seq) = (QueueId(self.u64()?), Seq(self.u64()?));
                let (qos, expires_at) = self.place_end()?;
                let matched = self.matched()?;
                Entry::Enqueue {
                    queue,
                    seq,
                    qos,
                    expires_at,
                    matched,
                    body: Lsn(self.u64()?),
                }
            }
            kind::SETTLED => {
                let queue = QueueId(self.u64()?);
                let mut seqs = Vec::with_capacity(self.rest.len() / 8);
                while !self.rest.is_empty() {
                    seqs.push(Seq(self.u64()?));
                }
                Entry::Settled { queue, seqs }
            }
            kind::PAGED => Entry::Paged {
                queue: QueueId(self.u64()?),
                priority: self.u8()?,
                through: Seq(self.u64()?),
                cost_bytes: self.u64()?,
                body_bytes: self.u64()?,
                wanted: self.rest.split_off(0),
            },
            kind::PAGES_SETTLED => Entry::PagesSettled {
                queue: QueueId(self.u64()?),
                priority: self.u8()?,
                from: Seq(self.u64()?),
                to: Seq(self.u64()?),
            },
            kind::QUEUE_POSITION => Entry::QueuePosition {
                queue: QueueId(self.u64()?),
                first: Seq(self.u64()?),
                next: Seq(self.u64()?),
                delivered: Seq(self.u64()?),
            },
            kind::NOTED => Entry::Noted {
                queue: QueueId(self.u64()?),
                seq: Seq(self.u64()?),
                at: Timestamp(self.u64()?),
            },
            kind::RETAINED => Entry::Retained {
                vhost: self.name()?,
                message: self.message()?,
            },
            other => self.topology(other)?,
        })
    }

    fn topology(&mut self, kind: u8) -> Option<Entry> {
        let vhost = self.name()?;
        Some(match kind {
            kind::EXCHANGE_DECLARED => {
                let name = self.name()?;
                let kind = ExchangeKind::parse(&self.name()?)?;
                let [durable, auto_delete, internal] = self.flags()?;
                let arguments = self.table(0)?;
                let options = ExchangeOptions {
                    durable,
                    auto_delete,
                    internal,
                    arguments,
                };
                let delays = if kind == ExchangeKind::Delayed {
                    Some(QueueId(self.u64()?))
                } else {
                    None
                };
                Entry::ExchangeDeclared {
                    vhost,
                    name,
                    kind,
                    options,
                    delays,
                }
            }
            kind::EXCHANGE_DELETED => Entry::ExchangeDeleted {
                vhost,
                name: self.name()?,
            },
            kind::QUEUE_DECLARED => {
                let (id, name) = (QueueId(self.u64()?), self.name()?);
                let [durable, auto_delete, _] = self.flags()?;
                let arguments = self.table(0)?;
                let options = QueueOptions {
                    durable,
                    auto_delete,
                    exclusive: None,
                    arguments,
                };
                Entry::QueueDeclared {
                    vhost,
                    id,
                    name,
                    options,
                }
            }
            kind::QUEUE_DELETED => Entry::QueueDeleted {
                vhost,
                id: QueueId(self.u64()?),
            },
            kind::BOUND => Entry::Bound {
                vhost,
                exchange: self.name()?,
                binding: self.binding()?,
            },
            kind::UNBOUND => Entry::Unbound {
                vhost,
                exchange: self.name()?,
                binding: self.binding()?,
            },
            other => self.session(other, vhost)?,
        })
    }

    fn session(&mut self, kind: u8, vhost: Name) -> Option<Entry> {
        let session = SessionId(self.u64()?);
        Some(match kind {
            kind::SESSION_OPENED => Entry::SessionOpened {
                vhost,
                id: session,
                queue: QueueId(self.u64()?),
                client_id: self.name()?,
                expiry_s: self.u32()?,
            },
            kind::SESSION_ENDED => Entry::SessionEnded { vhost, id: session },
            kind::SUBSCRIBED => {
                let filter = self.name()?;
                let qos = self.qos()?;
                let [no_local, retain_as_published, _] = self.flags()?;
                let subscription_id = Some(self.u32()?).filter(|id| *id > 0);
                let options = SubscriptionOptions {
                    qos,
                    no_local,
                    retain_as_published,
                    subscription_id,
                };
                Entry::Subscribed {
                    vhost,
                    session,
                    filter,
                    options,
                }
            }
            kind::UNSUBSCRIBED => Entry::Unsubscribed {
                vhost,
                session,
                filter: self.name()?,
            },
            other => self.exchange(other, vhost, session)?,
        })
    }

    fn exchange(&mut self, kind: u8, vhost: Name, session: SessionId) -> Option<Entry> {
        Some(match kind {
            kind::RECEIVED => Entry::Received {
                vhost,
                session,
                packet_id: self.u16()?,
            },
            kind::RELEASED => Entry::Released {
                vhost,
                session,
                packet_id: self.u16()?,
            },
            kind::SENT => {
                let mut sent = Vec::new();
                while !self.rest.is_empty() {
                    sent.push((self.u16()?, Seq(self.u64()?)));
                }
                Entry::Sent {
                    vhost,
                    session,
                    sent,
                }
            }
            kind::SENT_RECEIVED => Entry::SentReceived {
                vhost,
                session,
                packet_id: self.u16()?,
                seq: Seq(self.u64()?),
            },
            kind::SENT_DONE => Entry::SentDone {
                vhost,
                session,
                packet_id: self.u16()?,
            },
            kind::WILL_SET => {
                let delay_s = self.u32()?;
                let [expires] = self.flags()?;
                let expiry_s = Some(self.u32()?).filter(|_| expires);
                let message = self.message()?;
                let will = Will {
                    message,
                    delay_s,
                    expiry_s,
                };
                Entry::WillSet {
                    vhost,
                    session,
                    will,
                }
            }
            kind::WILL_CLEARED => Entry::WillCleared { vhost, session },
            _ => return None,
        })
    }

    fn message(&mut self) -> Option<Arc<Message>> {
        let tag = self.u8()?;
        let origin = self.origins.iter().find(|origin| origin.tag == tag)?;
        let exchange = self.name()?;
        let address = Address::new(self.bytes()?);
        let mut builder = MessageBuilder::new(address, exchange, Bytes::new(), origin);
        builder.raw_properties = self.bytes()?;
        let [expires, retain, has_died, is_delayed] = self.flags()?;
        builder.retain = retain;
        builder.is_delayed = is_delayed;
        builder.qos = self.qos()?;
        builder.priority = self.u8()?;
        builder.expires_at = if expires {
            Some(Timestamp(self.u64()?))
        } else {
            None
        };
        builder.deaths = if has_died {
            Some(Arc::new(self.deaths()?))
        } else {
            None
        };
        builder.payload = self.rest.split_off(0);
        Some(builder.build())
    }

    fn deaths(&mut self) -> Option<Deaths> {
        let [is_readdressed] = self.flags()?;
        let first = FirstDeath {
            queue: self.name()?,
            reason: self.reason()?,
            exchange: self.name()?,
        };
        let last_exchange = self.name()?;
        let count = self.u32()?;
        let list = (0..count).map(|_| self.death()).collect::<Option<_>>()?;
        Some(Deaths {
            list,
            first,
            last_exchange,
            is_readdressed,
        })
    }

    fn death(&mut self) -> Option<Death> {
        let (queue, reason) = (self.name()?, self.reason()?);
        let (count, first_at) = (self.u64()?, Timestamp(self.u64()?));
        let exchange = self.name()?;
        let keys = self.u32()?;
        let routing_keys = (0..keys).map(|_| self.bytes()).collect::<Option<_>>()?;
        let [had_expiration] = self.flags()?;
        let expiration_ms = if had_expiration {
            Some(self.u64()?)
        } else {
            None
        };
        Some(Death {
            queue,
            reason,
            count,
            first_at,
            exchange,
            routing_keys,
            expiration_ms,
        })
    }

    fn reason(&mut self) -> Option<DeathReason> {
        Some(match self.u8()? {
            0 => DeathReason::Rejected,
            1 => DeathReason::Expired,
            2 => DeathReason::MaxLength,
            3 => DeathReason::DeliveryLimit,
            _ => return None,
        })
    }

    /// The quality of service and the expiry of a place in a queue.
    fn place_end(&mut self) -> Option<(QoS, Option<Timestamp>)> {
        let byte = self.u8()?;
        let qos = qos(byte & !PLACE_EXPIRES)?;
        if byte & PLACE_EXPIRES == 0 {
            return Some((qos, None));
        }
        Some((qos, Some(Timestamp(self.u64()?))))
    }

    fn matched(&mut self) -> Option<Option<Matched>> {
        Some(match self.u8()? {
            0 => None,
            1 => {
                let qos = self.qos()?;
                let [retain_as_published] = self.flags()?;
                let count = self.u16()?;
                let subscription_ids = (0..count).map(|_| self.u32()).collect::<Option<_>>()?;
                Some(Matched::Filters {
                    qos,
                    retain_as_published,
                    subscription_ids,
                })
            }
            2 => Some(Matched::Channel),
            3 => Some(Matched::Glob(Glob::new(self.bytes()?))),
            4 => Some(Matched::ShardChannel),
            _ => return None,
        })
    }

    fn binding(&mut self) -> Option<Binding> {
        let tag = self.u8()?;
        let name = self.name()?;
        let destination = match tag {
            0 => Destination::Queue(name),
            1 => Destination::Exchange(name),
            _ => return None,
        };
        Some(Binding {
            destination,
            key: self.bytes()?,
            arguments: self.table(0)?,
        })
    }

    fn table(&mut self, depth: u32) -> Option<Table> {
        let count = self.u32()?;
        let entries = (0..count).map(|_| Some((self.bytes()?, self.value(depth + 1)?)));
        entries.collect::<Option<_>>().map(Table)
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match self.u8()? {
            b't' => Value::Bool(self.u8()? != 0),
            b'b' => Value::I8(self.u8()?.cast_signed()),
            b'B' => Value::U8(self.u8()?),
            b's' => Value::I16(self.u16()?.cast_signed()),
            b'u' => Value::U16(self.u16()?),
            b'I' => Value::I32(self.u32()?.cast_signed()),
            b'i' => Value::U32(self.u32()?),
            b'l' => Value::I64(self.u64()?.cast_signed()),
            b'f' => Value::F32(f32::from_bits(self.u32()?)),
            b'd' => Value::F64(f64::from_bits(self.u64()?)),
            b'T' => Value::Timestamp(self.u64()?),
            b'D' => Value::Decimal {
                scale: self.u8()?,
                value: self.u32()?.cast_signed(),
            },
            b'S' => Value::Text(self.bytes()?),
            b'x' => Value::Binary(self.bytes()?),
            b'A' => {
                let count = self.u32()?;
                Value::Array(
                    (0..count)
                        .map(|_| self.value(depth + 1))
                        .collect::<Option<_>>()?,
                )
            }
            b'F' => Value::Table(self.table(depth + 1)?),
            b'V' => Value::Void,
            _ => return None,
        })
    }

    fn qos(&mut self) -> Option<QoS> {
        qos(self.u8()?)
    }

    fn flags<const N: usize>(&mut self) -> Option<[bool; N]> {
        let octet = self.u8()?;
        Some(std::array::from_fn(|bit| octet & (1 << bit) != 0))
    }

    fn name(&mut self) -> Option<Name> {
        std::str::from_utf8(&self.bytes()?).ok().map(Name::from)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let len = usize::try_from(self.u32()?).ok()?;
        (self.rest.len() >= len).then(|| self.rest.split_to(len))
    }

    fn u8(&mut self) -> Option<u8> {
        self.rest.try_get_u8().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.rest.try_get_u16_le().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.rest.try_get_u32_le().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.rest.try_get_u64_le().ok()
    }
}

const fn qos(byte: u8) -> Option<QoS> {
    match byte {
        0 => Some(QoS::AtMostOnce),
        1 => Some(QoS::AtLeastOnce),
        2 => Some(QoS::ExactlyOnce),
        _ => None,
    }
}
