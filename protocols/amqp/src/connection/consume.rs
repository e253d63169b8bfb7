//! Receiving: `basic.consume`, `basic.cancel`, `basic.get`, and deliveries on their way out.

use std::sync::Arc;

use routing::{
    Access, Consumer, ConsumerId, Credit, Error, Message, Name, OutBuf, QueueOptions, Run,
    Timestamp, delivery::QueueDelivery, error::Kind,
};

use super::{
    channel::{Channel, DirectReply},
    queue::{DIRECT_REPLY, owned_queue},
    shared::{ActiveConsumer, Shared, Token},
    unsettled::Outstanding,
};
use crate::{
    error::{Refused, ReplyCode},
    translate,
    wire::{
        content::put_content,
        deliver::{PublishedTo, Redelivered, put_deliver, put_get_ok},
        methods::Consume,
        replies::{BasicReply, Reply, put_reply},
        settle::DeliveryTag,
        table::FieldTable,
    },
};

const CONSUMER_TAG_PREFIX: &str = "amq.ctag-";
const REPLY_QUEUE_PREFIX: &str = "amq.rabbitmq.reply-to.g";

impl Channel {
    pub(super) fn consume(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        consume: &Consume,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        self.check_new_consumer(shared, &consume.consumer_tag)?;
        if consume.queue == DIRECT_REPLY {
            return self.consume_replies(shared, now, consume, out);
        }
        let name = self.queue_name(&consume.queue)?;
        shared.check(Access::Read, Kind::Queue, &name)?;
        let queue = owned_queue(shared, &name)?;
        if self.shared_prefetch > 0 && queue.policy().counts_deliveries {
            let queue = translate::described(Kind::Queue, &name, &shared.vhost);
            let text = format!("{queue} does not support global qos");
            return Err(Refused::new(ReplyCode::NotImplemented, text));
        }
        self.add_consumer(shared, now, (consume, &queue), out)?;
        Ok(())
    }

    fn check_new_consumer(&self, shared: &Shared, tag: &str) -> Result<(), Refused> {
        if self.tags.contains_key(tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Refused::new(ReplyCode::NotAllowed, text));
        }
        let max = shared.settings.consumers_per_channel_max;
        if self.tags.len() >= max {
            let text = format!("reached maximum ({max}) of consumers per channel");
            return Err(Refused::new(ReplyCode::NotAllowed, text));
        }
        Ok(())
    }

    fn add_consumer(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        (consume, queue): (&Consume, &Arc<routing::Queue>),
        out: &mut OutBuf,
    ) -> Result<Token, Refused> {
        let tag = match consume.consumer_tag.as_str() {
            "" => shared.vhost.unique_name(CONSUMER_TAG_PREFIX),
            chosen => chosen.into(),
        };
        let (id, token) = (ConsumerId::unique(), shared.new_token());
        let credit = Credit::new(u32::from(self.prefetch));
        let consumer = Consumer {
            id,
            outbox: Arc::clone(&shared.outbox),
            token: token.0,
            acknowledges: !consume.no_ack,
            exclusive: consume.exclusive,
            priority: priority_of(shared, queue, consume.arguments.table())?,
            credit: Arc::clone(&credit),
            shared_credit: Some(Arc::clone(&self.shared_credit)),
        };
        let added = queue.consume(now, consumer, &mut shared.publisher.wakes);
        added.map_err(|error| shared.refused(error))?;
        if !consume.nowait {
            let reply = BasicReply::ConsumeOk { consumer_tag: &tag };
            put_reply(out, self.id, Reply::Basic(reply));
        }
        self.tags.insert(tag.clone(), token);
        let queue = Arc::clone(queue);
        let active = ActiveConsumer {
            id,
            channel: self.id,
            tag,
            queue,
            credit,
        };
        shared.consumers.insert(token, active);
        Ok(token)
    }

    /// Direct reply-to: a queue of this channel alone, whose name stands in for the pseudo-queue's
    /// wherever this channel asks for replies (RabbitMQ: direct reply-to).
    fn consume_replies(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        consume: &Consume,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        if !consume.no_ack {
            return Err(Refused::precondition("reply consumer cannot acknowledge"));
        }
        if self.direct_reply.is_some() {
            return Err(Refused::precondition("reply consumer already set"));
        }
        let name = shared.vhost.unique_name(REPLY_QUEUE_PREFIX);
        let options = QueueOptions {
            exclusive: Some(shared.connection),
            ..QueueOptions::default()
        };
        let declared = shared
            .vhost
            .declare_queue(now, shared.connection, &name, options);
        let (queue, _) = declared.map_err(|error| shared.refused(error))?;
        shared.exclusive_queues.insert(queue.id, Arc::clone(&queue));
        let token = self.add_consumer(shared, now, (consume, &queue), out)?;
        self.direct_reply = Some(DirectReply { token, queue: name });
        Ok(())
    }

    /// Deletes the queue of direct reply-to, if this channel has one.
    pub(super) fn end_direct_reply(&mut self, shared: &mut Shared) {
        let Some(reply) = self.direct_reply.take() else {
            return;
        };
        if let Ok(queue) = shared.vhost.queue(&reply.queue) {
            shared
                .vhost
                .delete_exclusive_queue(&queue, &mut shared.publisher.wakes);
            shared.exclusive_queues.remove(&queue.id);
        }
    }

    /// Ends a consumer; what it was sent stays unsettled.
    pub(super) fn remove_consumer(&mut self, shared: &mut Shared, now: Timestamp, tag: &str) {
        let Some(token) = self.tags.remove(tag) else {
            return;
        };
        shared.remove_consumer(now, token);
        if self
            .direct_reply
            .as_ref()
            .is_some_and(|reply| reply.token == token)
        {
            self.end_direct_reply(shared);
        }
    }

    pub(super) fn get(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        name: &str,
        no_ack: bool,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let name = self.queue_name(name)?;
        shared.check(Access::Read, Kind::Queue, &name)?;
        let queue = owned_queue(shared, &name)?;
        check_gettable(shared, &queue)?;
        let Some((delivery, left)) = queue.get(now, self.getter, !no_ack) else {
            put_reply(out, self.id, Reply::Basic(BasicReply::GetEmpty));
            return Ok(());
        };
        let routing::Source::Queue(from) = delivery.source else {
            return Ok(());
        };
        let delivered = self.record(shared, now, &from, None);
        translate::put_routing_key(&delivery.message, &mut shared.key);
        let to = PublishedTo {
            exchange: delivery.message.exchange.as_bytes(),
            routing_key: &shared.key,
        };
        put_get_ok(
            out,
            self.id,
            delivered,
            to,
            u32::try_from(left).unwrap_or(u32::MAX),
        );
        self.put_message(shared, now, (&delivery.message, &from), out);
        Ok(())
    }

    /// Writes a delivery to a consumer of this channel.
    pub(super) fn deliver(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        (message, from): (&Message, &QueueDelivery),
        tag: &Name,
        out: &mut OutBuf,
    ) {
        let delivered = self.record(shared, now, from, Some(Token(from.token)));
        translate::put_routing_key(message, &mut shared.key);
        let to = PublishedTo {
            exchange: message.exchange.as_bytes(),
            routing_key: &shared.key,
        };
        put_deliver(out, self.id, tag.as_bytes(), delivered, to);
        self.put_message(shared, now, (message, from), out);
    }

    /// Writes a run of deliveries, all published to one address, to a consumer of this channel that
    /// does not acknowledge.
    pub(super) fn deliver_run(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        run: &Run,
        tag: &Name,
        out: &mut OutBuf,
    ) {
        let Some(first) = run.messages().first() else {
            return;
        };
        translate::put_routing_key(first, &mut shared.key);
        let to = PublishedTo {
            exchange: first.exchange.as_bytes(),
            routing_key: &shared.key,
        };
        for message in run.messages() {
            let delivered = (self.next_delivery_tag(), Redelivered::No);
            put_deliver(out, self.id, tag.as_bytes(), delivered, to);
            let properties = translate::content_properties(now, message);
            put_content(
                out,
                self.id,
                &properties,
                &message.payload,
                shared.frame_max,
            );
        }
    }

    fn put_message(
        &self,
        shared: &Shared,
        now: Timestamp,
        (message, from): (&Message, &QueueDelivery),
        out: &mut OutBuf,
    ) {
        let mut properties = translate::content_properties(now, message);
        if from.redeliveries > 0 && from.queue.policy().counts_deliveries {
            properties = translate::with_delivery_count(&properties, from.redeliveries);
        }
        put_content(
            out,
            self.id,
            &properties,
            &message.payload,
            shared.frame_max,
        );
    }

    /// Numbers a delivery, and remembers it if it is to be settled.
    fn record(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        from: &QueueDelivery,
        token: Option<Token>,
    ) -> (DeliveryTag, Redelivered) {
        let tag = self.next_delivery_tag();
        if from.acknowledges {
            let (queue, seq) = (Arc::clone(&from.queue), from.seq);
            shared.expect_settlement(now, &queue);
            self.unsettled.push(Outstanding {
                tag,
                queue,
                seq,
                token,
                sent_at: now,
            });
        }
        let redelivered = if from.is_redelivered {
            Redelivered::Yes
        } else {
            Redelivered::No
        };
        (tag, redelivered)
    }
}

/// RabbitMQ's quorum queues with a single active consumer give to nobody else.
fn check_gettable(shared: &Shared, queue: &routing::Queue) -> Result<(), Refused> {
    let policy = queue.policy();
    if !(policy.is_single_active && policy.counts_deliveries) {
        return Ok(());
    }
    let text = format!(
        "cannot obtain access to locked {}. basic.get operations are not supported by quorum \
         queues with single active consumer",
        translate::described(Kind::Queue, &queue.name, &shared.vhost)
    );
    Err(Refused::new(ReplyCode::ResourceLocked, text))
}

/// The argument `x-priority`, an integer of any width; 0 without one.
fn priority_of(
    shared: &Shared,
    queue: &routing::Queue,
    arguments: FieldTable<'_>,
) -> Result<i32, Refused> {
    let arguments = translate::table_of(arguments, None);
    let Some(value) = arguments.get("x-priority") else {
        return Ok(0);
    };
    let Some(number) = value.as_i64() else {
        return Err(shared.refused(Error::InvalidArgument {
            kind: Kind::Queue,
            name: queue.name.clone(),
            argument: "x-priority".into(),
            reason: format!("\"expected integer, got {}\"", value.type_name()),
        }));
    };
    Ok(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
}
