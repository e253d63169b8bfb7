//! A message coming in: `basic.publish`, its content header, its body; then on its way by the core.

use std::sync::Arc;

use bytes::Bytes;
use routing::{
    BUS, KeyForm, Message, MessageBuilder, OutBuf, Published, QoS, Resolved, Timestamp, error::Kind,
};

use super::{
    Connection, State,
    channel::{Channel, ChannelState, Mode},
    queue::DIRECT_REPLY,
    shared::Shared,
};
use crate::{
    error::{Refused, ReplyCode},
    translate::{self, ORIGIN},
    wire::{
        content::{Body, BodyPart, CLASS_BASIC, ContentHeader, put_content},
        deliver::{PublishedTo, put_return},
        frame::{Batch, FrameSpan, FrameType},
        method_id::MethodId,
        properties::{Properties, PropertiesBuf, Property, PropertyValue, with_headers},
        publish::Publish,
        table::{FieldTable, TableBuf, Value},
        whole::WholePublish,
    },
};

/// The largest time to live in milliseconds, as RabbitMQ has it: ten years.
const EXPIRATION_MAX: u64 = 315_360_000_000;
const NO_ROUTE: (u16, &[u8]) = (312, b"NO_ROUTE");
const PERSISTENT: u8 = 2;
/// The tag of users who may publish in another user's name.
const IMPERSONATOR: &str = "impersonator";

/// A publish whose content is not complete.
#[derive(Debug)]
pub(super) struct Incoming {
    to: Target,
    content: Option<Content>,
}

#[derive(Debug)]
struct Content {
    properties: Bytes,
    body: Body,
}

/// Where a message goes, kept until it does.
#[derive(Clone, Debug)]
struct Target {
    exchange: Bytes,
    key: Bytes,
    is_mandatory: bool,
}

impl Target {
    fn to(&self) -> To<'_> {
        To {
            exchange: &self.exchange,
            key: &self.key,
            is_mandatory: self.is_mandatory,
        }
    }
}

/// Where a message goes, as its publish says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct To<'a> {
    exchange: &'a [u8],
    key: &'a [u8],
    is_mandatory: bool,
}

impl<'a> To<'a> {
    fn new(publish: &Publish<'a>) -> Self {
        Self {
            exchange: publish.exchange,
            key: publish.routing_key,
            is_mandatory: publish.mandatory,
        }
    }
}

/// A message that waits for a commit, and where it goes.
#[derive(Debug)]
pub(super) struct Publishing {
    target: Target,
    /// The keys in the headers `CC` and `BCC`, to which the message goes as well.
    copies: Vec<Bytes>,
    pub(super) message: Arc<Message>,
}

impl Publishing {
    /// What [`Channel::return_unroutable`] needs of it.
    pub(super) fn to(&self) -> To<'_> {
        self.target.to()
    }

    /// Gives the message to its receivers, which are looked up now: what was bound since the
    /// publish counts, and an exchange that is gone leaves the message unroutable.
    pub(super) fn route(&self, shared: &mut Shared, now: Timestamp) -> Published {
        let to = self.to();
        let publisher = &mut shared.publisher;
        let found = publisher.resolve(to.exchange, to.key, KeyForm::RoutingKey);
        match found {
            Ok(found) => route(shared, now, (to, &self.copies), &found, &self.message),
            Err(_gone) => Published::default(),
        }
    }
}

impl Connection {
    /// Publishes the message that comes next, if its frames lie side by side; returns their length.
    /// What is unusual in any way goes frame by frame.
    pub(super) fn handle_whole_publish(
        &mut self,
        now: Timestamp,
        batch: &Batch,
        out: &mut OutBuf,
    ) -> Option<usize> {
        let State::Open(shared) = &mut self.state else {
            return None;
        };
        let whole = batch.whole_publish()?;
        let channel = self.channels.get_mut(&whole.channel)?;
        if !channel.takes_whole(shared, &whole) {
            return None;
        }
        let content = (
            batch.share_properties(whole.properties),
            batch.share(whole.body),
        );
        let to = To::new(&whole.publish);
        if let Err(refused) = channel.publish(shared, now, to, content, out) {
            self.refuse(now, whole.channel, (&refused, MethodId::BASIC_PUBLISH), out);
        }
        Some(whole.len)
    }
}

impl Channel {
    /// Takes the method; the content follows.
    pub(super) fn begin_publish(
        &mut self,
        publish: &Publish<'_>,
        batch: &Batch,
    ) -> Result<(), Refused> {
        if publish.immediate {
            return Err(Refused::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let to = Target {
            exchange: batch.share(publish.exchange),
            key: batch.share(publish.routing_key),
            is_mandatory: publish.mandatory,
        };
        self.incoming = Some(Incoming { to, content: None });
        Ok(())
    }

    /// Whether a publish may be taken in one go.
    fn takes_whole(&self, shared: &Shared, whole: &WholePublish<'_>) -> bool {
        let is_committing = matches!(&self.mode, Mode::Tx(tx) if tx.is_committing());
        let bytes = u64::try_from(whole.body.len()).unwrap_or(u64::MAX);
        self.state == ChannelState::Open
            && self.incoming.is_none()
            && !is_committing
            && !whole.publish.immediate
            && bytes <= shared.settings.message_bytes_max
    }

    /// Takes a content frame, and publishes what it completes.
    pub(super) fn handle_content(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        batch: &Batch,
        span: FrameSpan,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let frame = batch.frame(span);
        let Some(mut incoming) = self.incoming.take() else {
            return unexpected("expected method frame, got non method frame instead");
        };
        let whole = match (&mut incoming.content, frame.kind) {
            (None, FrameType::Header) => {
                let header = ContentHeader::parse(frame.payload)?;
                check_header(shared, &header)?;
                let properties = batch.share_properties(header.properties);
                incoming.content = Some(Content {
                    properties,
                    body: Body::new(header.body_size),
                });
                (header.body_size == 0).then(Bytes::new)
            }
            (Some(content), FrameType::Body) => match content.body.push(frame.payload)? {
                BodyPart::Whole => Some(batch.share(frame.payload)),
                BodyPart::Last(body) => Some(body),
                BodyPart::Partial => None,
            },
            (None, _) => {
                let text = "expected content header for class 60, got non content header frame \
                            instead";
                return unexpected(text);
            }
            (Some(_), _) => {
                return unexpected("expected content body, got non content body frame instead");
            }
        };
        match (whole, incoming.content) {
            (Some(body), Some(content)) => {
                let to = incoming.to.to();
                self.publish(shared, now, to, (content.properties, body), out)
            }
            (_, content) => {
                self.incoming = Some(Incoming {
                    content,
                    ..incoming
                });
                Ok(())
            }
        }
    }

    fn publish(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        to: To<'_>,
        (properties, body): (Bytes, Bytes),
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        shared.has_published = true;
        let found = resolve(shared, (to.exchange, to.key))?;
        let (message, copies) = self.message(shared, now, &found, (properties, body))?;
        for key in &copies {
            // A key may lead to another exchange (`$topic/...`), which needs its own permission.
            resolve(shared, (to.exchange, key))?;
        }
        if let Mode::Tx(transaction) = &mut self.mode {
            let target = Target {
                exchange: Bytes::copy_from_slice(to.exchange),
                key: Bytes::copy_from_slice(to.key),
                is_mandatory: to.is_mandatory,
            };
            let publishing = Publishing {
                target,
                copies,
                message,
            };
            return transaction.publish(publishing, shared.settings.transaction_bytes_max);
        }
        let published = route(shared, now, (to, &copies), &found, &message);
        self.return_unroutable(shared, (to, &message), &published, out);
        if let Mode::Confirm(confirms) = &mut self.mode {
            confirms.push(published.lsn, published.rejected);
            self.await_answer(shared);
        }
        Ok(())
    }

    /// Returns a mandatory message that nobody received to its sender.
    pub(super) fn return_unroutable(
        &self,
        shared: &Shared,
        (to, message): (To<'_>, &Message),
        published: &Published,
        out: &mut OutBuf,
    ) {
        let is_unroutable = published.receivers == 0 && !published.rejected;
        if !(to.is_mandatory && is_unroutable) {
            return;
        }
        let to = PublishedTo {
            exchange: to.exchange,
            routing_key: to.key,
        };
        put_return(out, self.id, NO_ROUTE, to);
        put_content(
            out,
            self.id,
            &message.raw_properties,
            &message.payload,
            shared.frame_max,
        );
    }

    /// The message that the content makes, once its sender is allowed to send it.
    fn message(
        &self,
        shared: &Shared,
        now: Timestamp,
        to: &Resolved,
        (raw_properties, payload): (Bytes, Bytes),
    ) -> Result<(Arc<Message>, Vec<Bytes>), Refused> {
        let facts = Facts::read(Properties::new(&raw_properties)?)?;
        let expires_at = facts.expiration.map(expiration_ms).transpose()?;
        if let Some(user) = facts.user_id {
            check_user_id(shared, user)?;
        }
        let retain = to.exchange.name.as_str() == BUS
            && facts.retain.is_some_and(translate::header_says_true);
        let (rewritten, copies) = (self.rewritten(&facts)?, copies_of(&facts)?);
        let mut message = MessageBuilder::new(
            to.address.clone(),
            to.exchange.name.clone(),
            payload,
            &ORIGIN,
        );
        message.expires_at = expires_at.map(|ms| now.plus_ms(ms));
        message.qos = if facts.is_persistent {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        };
        message.priority = facts.priority;
        message.retain = retain;
        message.raw_properties = rewritten.map_or(raw_properties, Bytes::from);
        Ok((message.build(), copies))
    }

    /// The properties as receivers see them, if not as they came: direct reply-to gets its real
    /// name, and the header `BCC` goes.
    fn rewritten(&self, facts: &Facts<'_>) -> Result<Option<Vec<u8>>, Refused> {
        let wants_reply = facts.reply_to == Some(DIRECT_REPLY.as_bytes());
        if !wants_reply && facts.bcc.is_none() {
            return Ok(None);
        }
        let mut headers = TableBuf::from(facts.headers);
        headers.remove(b"BCC");
        let properties = with_headers(facts.properties, headers.table(), &[]);
        if !wants_reply {
            return Ok(Some(properties));
        }
        let reply = self
            .direct_reply
            .as_ref()
            .ok_or_else(|| Refused::precondition("fast reply consumer does not exist"))?;
        Ok(Some(with_reply_to(
            Properties::new(&properties)?,
            reply.queue.as_bytes(),
        )))
    }
}

/// Gives the message to its receivers: those of its key, and of the keys in `CC` and `BCC`, all at
/// the same exchange.
fn route(
    shared: &mut Shared,
    now: Timestamp,
    (to, copies): (To<'_>, &[Bytes]),
    found: &Arc<Resolved>,
    message: &Arc<Message>,
) -> Published {
    if copies.is_empty() {
        return shared.publisher.publish(now, found, message);
    }
    let mut all = vec![Arc::clone(found)];
    for key in copies {
        let publisher = &mut shared.publisher;
        // The exchange is there, as it was found for the key itself.
        all.extend(publisher.resolve(to.exchange, key, KeyForm::RoutingKey));
    }
    shared.publisher.publish_to_all(now, &all, message)
}

/// The keys in the headers `CC` and `BCC` (RabbitMQ: sender-selected distribution): arrays of long
/// strings, in which other values are passed over.
fn copies_of(facts: &Facts<'_>) -> Result<Vec<Bytes>, Refused> {
    let mut copies = Vec::new();
    for (name, keys) in [("CC", facts.cc), ("BCC", facts.bcc)] {
        match keys {
            None => {}
            Some(Value::Array(keys)) => copies.extend(keys.values().filter_map(|key| match key {
                Value::LongString(key) => Some(Bytes::copy_from_slice(key)),
                _ => None,
            })),
            Some(other) => {
                let kind = other.type_name();
                return Err(Refused::precondition(format!(
                    "invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
                )));
            }
        }
    }
    Ok(copies)
}

fn unexpected(text: &str) -> Result<(), Refused> {
    Err(Refused::new(ReplyCode::UnexpectedFrame, text))
}

fn check_header(shared: &Shared, header: &ContentHeader<'_>) -> Result<(), Refused> {
    if header.class != CLASS_BASIC {
        return unexpected(&format!(
            "expected content header for class 60, got one for class {} instead",
            header.class
        ));
    }
    let (size, max) = (header.body_size, shared.settings.message_bytes_max);
    if size > max {
        // Said before the body has come, so that it need not be kept: the closing channel ignores
        // it.
        let text = format!("message size {size} is larger than configured max size {max}");
        return Err(Refused::precondition(text));
    }
    Ok(())
}

/// Finds the exchange, and whether the user may publish to it.
fn resolve(shared: &mut Shared, (exchange, key): (&[u8], &[u8])) -> Result<Arc<Resolved>, Refused> {
    let found = shared.publisher.resolve(exchange, key, KeyForm::RoutingKey);
    let to = match found {
        Ok(to) => to,
        Err(error) => {
            // RabbitMQ asks for permission first, so that nobody learns what is there.
            let name = String::from_utf8_lossy(exchange);
            shared.check(routing::Access::Write, Kind::Exchange, &name)?;
            return Err(shared.refused(error));
        }
    };
    shared.check_write(&to.exchange.name)?;
    if to.exchange.options.internal {
        let name = to.exchange.name.clone();
        return Err(shared.refused(routing::Error::Internal { name }));
    }
    shared.check_key(routing::Access::Write, &to.exchange, key)?;
    Ok(to)
}

/// What routing needs to know of the properties, from one walk.
struct Facts<'a> {
    properties: Properties<'a>,
    is_persistent: bool,
    priority: u8,
    expiration: Option<&'a [u8]>,
    reply_to: Option<&'a [u8]>,
    user_id: Option<&'a [u8]>,
    headers: FieldTable<'a>,
    cc: Option<Value<'a>>,
    bcc: Option<Value<'a>>,
    /// The header `x-mqtt-retain`.
    retain: Option<Value<'a>>,
}

impl<'a> Facts<'a> {
    fn read(properties: Properties<'a>) -> Result<Self, Refused> {
        let mut facts = Self {
            properties,
            is_persistent: false,
            priority: 0,
            expiration: None,
            reply_to: None,
            user_id: None,
            headers: FieldTable::default(),
            cc: None,
            bcc: None,
            retain: None,
        };
        properties.check(|property, value| match (property, value) {
            (Property::DeliveryMode, PropertyValue::Octet(mode)) => {
                facts.is_persistent = mode == PERSISTENT;
            }
            (Property::Priority, PropertyValue::Octet(priority)) => facts.priority = priority,
            (Property::Expiration, PropertyValue::ShortString(text)) => {
                facts.expiration = Some(text);
            }
            (Property::ReplyTo, PropertyValue::ShortString(name)) => facts.reply_to = Some(name),
            (Property::UserId, PropertyValue::ShortString(name)) => facts.user_id = Some(name),
            (Property::Headers, PropertyValue::Table(inside)) => {
                facts.headers = FieldTable::new(inside);
            }
            _ => {}
        })?;
        facts.read_headers();
        Ok(facts)
    }

    /// Of several headers of one name the first counts, as in RabbitMQ.
    fn read_headers(&mut self) {
        for entry in self.headers.entries() {
            let known = match entry.name {
                b"CC" => &mut self.cc,
                b"BCC" => &mut self.bcc,
                b"x-mqtt-retain" => &mut self.retain,
                _ => continue,
            };
            known.get_or_insert(entry.value);
        }
    }
}

/// The milliseconds in `expiration`, which is decimal text; anything else is refused in Erlang's
/// words, as RabbitMQ does.
fn expiration_ms(text: &[u8]) -> Result<u64, Refused> {
    let text = String::from_utf8_lossy(text);
    let why = match text.parse::<i128>() {
        Ok(ms) if ms < 0 => format!("{{value_negative,{ms}}}"),
        Ok(ms) => match u64::try_from(ms) {
            Ok(ms) if ms <= EXPIRATION_MAX => return Ok(ms),
            _ => format!("{{value_too_large,{ms}}}"),
        },
        Err(_) => {
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            match text.get(digits..) {
                Some(rest) if digits > 0 => format!("{{leftover_string,\"{rest}\"}}"),
                _ => "no_integer".into(),
            }
        }
    };
    Err(Refused::precondition(format!(
        "invalid expiration '{text}': {why}"
    )))
}

fn check_user_id(shared: &Shared, user: &[u8]) -> Result<(), Refused> {
    let login = &shared.identity.user;
    if user == login.as_bytes() || shared.identity.has_tag(IMPERSONATOR) {
        return Ok(());
    }
    Err(Refused::precondition(format!(
        "user_id property set to '{}' but authenticated user was '{login}'",
        String::from_utf8_lossy(user)
    )))
}

/// The same properties with another `reply_to`.
fn with_reply_to(properties: Properties<'_>, reply_to: &[u8]) -> Vec<u8> {
    let mut out = PropertiesBuf::new();
    for (property, value) in properties.iter() {
        let value = match property {
            Property::ReplyTo => PropertyValue::ShortString(reply_to),
            _ => value,
        };
        out.push(property, value);
    }
    out.finish()
}
