//! A message coming in: `basic.publish`, its content header, its body; then on its way by the core.

use std::sync::Arc;

use bytes::Bytes;
use routing::{
    BUS, KeyForm, Message, MessageBuilder, OutBuf, Published, QoS, Resolved, Timestamp, error::Kind,
};

use super::{
    channel::{Channel, Mode},
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
        properties::{Properties, PropertiesBuf, Property, PropertyValue, with_headers},
        publish::Publish,
        table::{FieldTable, TableBuf, Value},
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

/// Where a message goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) exchange: Bytes,
    pub(super) key: Bytes,
    is_mandatory: bool,
    /// The keys in the headers `CC` and `BCC`, to which the message goes as well.
    copies: Vec<Bytes>,
}

/// A message on its way, and where to.
#[derive(Debug)]
pub(super) struct Publishing {
    pub(super) target: Target,
    pub(super) message: Arc<Message>,
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
            copies: Vec::new(),
        };
        self.incoming = Some(Incoming { to, content: None });
        Ok(())
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
                let properties = batch.share(header.properties.as_bytes());
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
                self.publish(shared, now, incoming.to, (content.properties, body), out)
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
        target: Target,
        (properties, body): (Bytes, Bytes),
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        shared.has_published = true;
        let to = resolve(shared, (&target.exchange, &target.key))?;
        let (message, copies) = self.message(shared, now, &to, (properties, body))?;
        for key in &copies {
            // A key may lead to another exchange (`$topic/...`), which needs its own permission.
            resolve(shared, (&target.exchange, key))?;
        }
        let target = Target { copies, ..target };
        let publishing = Publishing { target, message };
        if let Mode::Tx(transaction) = &mut self.mode {
            return transaction.publish(publishing, shared.settings.transaction_bytes_max);
        }
        let published = route(shared, now, (&publishing, Some(to)));
        self.return_unroutable(shared, &publishing, &published, out);
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
        publishing: &Publishing,
        published: &Published,
        out: &mut OutBuf,
    ) {
        let is_unroutable = published.receivers == 0 && !published.rejected;
        if !(publishing.target.is_mandatory && is_unroutable) {
            return;
        }
        let to = PublishedTo {
            exchange: &publishing.target.exchange,
            routing_key: &publishing.target.key,
        };
        let message = &publishing.message;
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
            && facts
                .headers
                .value(b"x-mqtt-retain")
                .is_some_and(translate::header_says_true);
        let mut message = MessageBuilder::new(
            to.address.clone(),
            to.exchange.name.clone(),
            payload,
            &ORIGIN,
        );
        message.raw_properties = match self.rewritten(&facts)? {
            Some(rewritten) => rewritten.into(),
            None => raw_properties.clone(),
        };
        message.expires_at = expires_at.map(|ms| now.plus_ms(ms));
        message.qos = if facts.is_persistent {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        };
        message.priority = facts.priority;
        message.retain = retain;
        Ok((message.build(), copies_of(facts.headers)?))
    }

    /// The properties as receivers see them, if not as they came: direct reply-to gets its real
    /// name, and the header `BCC` goes.
    fn rewritten(&self, facts: &Facts<'_>) -> Result<Option<Vec<u8>>, Refused> {
        let wants_reply = facts.reply_to == Some(DIRECT_REPLY.as_bytes());
        let has_bcc = facts.headers.value(b"BCC").is_some();
        if !wants_reply && !has_bcc {
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

/// Where a target leads; none when its exchange is gone.
pub(super) fn find(shared: &mut Shared, target: &Target) -> Option<Arc<Resolved>> {
    let publisher = &mut shared.publisher;
    publisher
        .resolve(&target.exchange, &target.key, KeyForm::RoutingKey)
        .ok()
}

/// Gives the message to its receivers; `to` is none when its exchange is gone.
pub(super) fn route(
    shared: &mut Shared,
    now: Timestamp,
    (publishing, to): (&Publishing, Option<Arc<Resolved>>),
) -> Published {
    match to {
        None => Published::default(),
        Some(to) if publishing.target.copies.is_empty() => {
            shared.publisher.publish(now, &to, &publishing.message)
        }
        Some(to) => publish_copies(shared, now, publishing, to),
    }
}

/// Publishes to the key and to those in `CC` and `BCC`, all at the same exchange.
fn publish_copies(
    shared: &mut Shared,
    now: Timestamp,
    publishing: &Publishing,
    to: Arc<Resolved>,
) -> Published {
    let target = &publishing.target;
    let mut all = vec![to];
    for key in &target.copies {
        let copy = shared
            .publisher
            .resolve(&target.exchange, key, KeyForm::RoutingKey);
        // The exchange is there, as it was found for the key itself.
        all.extend(copy);
    }
    shared
        .publisher
        .publish_to_all(now, &all, &publishing.message)
}

/// The keys in the headers `CC` and `BCC` (RabbitMQ: sender-selected distribution): arrays of long
/// strings, in which other values are passed over.
fn copies_of(headers: FieldTable<'_>) -> Result<Vec<Bytes>, Refused> {
    let mut copies = Vec::new();
    for name in ["CC", "BCC"] {
        match headers.value(name.as_bytes()) {
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
fn resolve(
    shared: &mut Shared,
    (exchange, key): (&Bytes, &Bytes),
) -> Result<Arc<Resolved>, Refused> {
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
        Ok(facts)
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
