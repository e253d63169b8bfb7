//! A message: immutable, shared by one [`Arc`], its payload never copied on the way.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;

use crate::address::Address;
use crate::death::Deaths;
use crate::ids::SubscriberId;
use crate::name::Name;
use crate::properties::Properties;
use crate::time::Timestamp;

/// What a message without any has.
static NO_PROPERTIES: LazyLock<Properties> = LazyLock::new(Properties::default);

/// A protocol as the source of messages: how to read the property bytes that it wrote.
#[derive(Debug)]
pub struct Origin {
    /// Identifies the protocol in journal records; never changes its meaning.
    pub tag: u8,
    /// The protocol's name, for logs and metrics.
    pub name: &'static str,
    /// Reads raw property bytes that this protocol has checked before. A user id in them is one
    /// that it vouches for. No bytes are no properties, and are not read.
    pub decode: fn(&Bytes) -> Properties,
}

/// The delivery guarantee a publisher asked for. AMQP persistent messages are
/// [`QoS::AtLeastOnce`], transient ones [`QoS::AtMostOnce`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    /// MQTT QoS 0; AMQP delivery mode 1; Redis.
    #[default]
    AtMostOnce,
    /// MQTT QoS 1; AMQP delivery mode 2. Durable targets store it.
    AtLeastOnce,
    /// MQTT QoS 2.
    ExactlyOnce,
}

/// The protocol dialects for which a message's encoded form is kept and shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireForm {
    /// AMQP 0-9-1 content header of a message from another protocol.
    AmqpHeader,
    /// MQTT 3.1 and 3.1.1 PUBLISH.
    Mqtt3,
    /// MQTT 5 PUBLISH.
    Mqtt5,
    /// Channel and payload as RESP bulk strings: the end of every delivery, in both versions.
    Resp,
}

const WIRE_FORMS: usize = 4;

/// One published message.
pub struct Message {
    /// Where it was published to, in canonical form.
    pub address: Address,
    /// The exchange it was published to; the bus exchange for MQTT, Redis and LAN.
    pub exchange: Name,
    /// The body.
    pub payload: Bytes,
    /// The protocol that wrote `raw_properties`.
    pub origin: &'static Origin,
    /// The publisher's own property bytes, as they came.
    pub raw_properties: Bytes,
    /// After this moment nobody new receives it.
    pub expires_at: Option<Timestamp>,
    /// The guarantee that the publisher asked for.
    pub qos: QoS,
    /// 0 (lowest) to 255.
    pub priority: u8,
    /// Whether it is also to become the address's retained value.
    pub retain: bool,
    /// The subscriber that published it, for no-local subscriptions.
    pub publisher: Option<SubscriberId>,
    /// What it has died of, if it was dead-lettered.
    pub deaths: Option<Arc<Deaths>>,
    /// Whether a delayed exchange has kept it; it is delayed once.
    pub is_delayed: bool,
    properties: OnceLock<Box<Properties>>,
    forms: OnceLock<Box<[OnceLock<Bytes>; WIRE_FORMS]>>,
}

/// What a [`Message`] is made of; see the fields there.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is documented on Message")]
pub struct MessageBuilder {
    pub address: Address,
    pub exchange: Name,
    pub payload: Bytes,
    pub origin: &'static Origin,
    pub raw_properties: Bytes,
    pub expires_at: Option<Timestamp>,
    pub qos: QoS,
    pub priority: u8,
    pub retain: bool,
    pub publisher: Option<SubscriberId>,
    pub deaths: Option<Arc<Deaths>>,
    pub is_delayed: bool,
}

impl MessageBuilder {
    /// A transient message without properties.
    #[must_use]
    pub const fn new(
        address: Address,
        exchange: Name,
        payload: Bytes,
        origin: &'static Origin,
    ) -> Self {
        Self {
            address,
            exchange,
            payload,
            origin,
            raw_properties: Bytes::new(),
            expires_at: None,
            qos: QoS::AtMostOnce,
            priority: 0,
            retain: false,
            publisher: None,
            deaths: None,
            is_delayed: false,
        }
    }

    /// The message.
    #[must_use]
    pub fn build(self) -> Arc<Message> {
        Arc::new(Message {
            address: self.address,
            exchange: self.exchange,
            payload: self.payload,
            origin: self.origin,
            raw_properties: self.raw_properties,
            expires_at: self.expires_at,
            qos: self.qos,
            priority: self.priority,
            retain: self.retain,
            publisher: self.publisher,
            deaths: self.deaths,
            is_delayed: self.is_delayed,
            properties: OnceLock::new(),
            forms: OnceLock::new(),
        })
    }
}

impl Message {
    /// What a message takes besides its bytes: itself, the count of its bytes' owners, its entry in
    /// a queue that has room for half as many again, and what the allocator adds to each.
    const BOOKKEEPING_BYTES: usize = 384;

    /// Payloads up to this size are copied when a message stays, so that they do not pin a whole
    /// read buffer; larger ones own most of their buffer anyway.
    const COMPACT_BYTES_MAX: usize = 16 * 1024;

    /// The neutral properties, decoded at first use.
    #[must_use]
    pub fn properties(&self) -> &Properties {
        if self.raw_properties.is_empty() {
            return &NO_PROPERTIES;
        }
        self.properties
            .get_or_init(|| Box::new((self.origin.decode)(&self.raw_properties)))
    }

    /// The encoded form for one dialect, made by `encode` at first use and shared by all receivers.
    pub fn wire_form(&self, form: WireForm, encode: impl FnOnce() -> Bytes) -> &Bytes {
        let forms = self.forms.get_or_init(Box::default);
        #[expect(clippy::indexing_slicing, reason = "one slot per variant")]
        forms[form as usize].get_or_init(encode)
    }

    /// Whether it has expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// What it costs to keep, in bytes; an estimate that includes its bookkeeping.
    #[must_use]
    pub const fn cost_bytes(&self) -> usize {
        let address_bytes = self.address.as_bytes().len();
        self.payload.len() + self.raw_properties.len() + address_bytes + Self::BOOKKEEPING_BYTES
    }

    /// A builder with this message's fields, to make a changed copy.
    #[must_use]
    pub fn to_builder(&self) -> MessageBuilder {
        MessageBuilder {
            address: self.address.clone(),
            exchange: self.exchange.clone(),
            payload: self.payload.clone(),
            origin: self.origin,
            raw_properties: self.raw_properties.clone(),
            expires_at: self.expires_at,
            qos: self.qos,
            priority: self.priority,
            retain: self.retain,
            publisher: self.publisher,
            deaths: self.deaths.clone(),
            is_delayed: self.is_delayed,
        }
    }

    /// The same message for keeping: small parts in allocations of their own size.
    #[must_use]
    pub fn compact(self: &Arc<Self>) -> Arc<Self> {
        let size = self.payload.len() + self.raw_properties.len();
        if size == 0 || size > Self::COMPACT_BYTES_MAX {
            return Arc::clone(self);
        }
        let mut both = Vec::with_capacity(size);
        both.extend_from_slice(&self.payload);
        both.extend_from_slice(&self.raw_properties);
        let mut both = Bytes::from(both);
        let mut builder = self.to_builder();
        builder.payload = both.split_to(self.payload.len());
        builder.raw_properties = both;
        builder.build()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("address", &self.address)
            .field("exchange", &self.exchange)
            .field("payload_bytes", &self.payload.len())
            .field("origin", &self.origin.name)
            .field("qos", &self.qos)
            .finish_non_exhaustive()
    }
}
