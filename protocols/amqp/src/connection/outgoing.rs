//! From the outbox to the output: deliveries and news.

use routing::{
    Event, Name, OutBuf, Source, Timestamp,
    outbox::{Item, Standing},
};

use super::{
    Connection, State,
    channel::Channel,
    shared::{Shared, Token},
};
use crate::{
    error::{Refused, ReplyCode},
    wire::{
        method_id::MethodId,
        replies::{BasicReply, Reply, put_reply},
    },
};

impl Connection {
    /// Writes what waits in the outbox until `out` has `out_max` bytes.
    pub(super) fn write_outbox(&mut self, now: Timestamp, out_max: usize, out: &mut OutBuf) {
        let mut room_for = Vec::new();
        while out.len() < out_max {
            if self.items.is_empty() {
                let bytes_max = out_max.saturating_sub(out.len());
                let standing = self
                    .outbox
                    .take(self.id, bytes_max, &mut self.items, &mut room_for);
                if standing != Standing::Owner {
                    self.release(now);
                    self.state = State::Closed;
                    return;
                }
                if let State::Open(shared) = &mut self.state {
                    for queue in room_for.drain(..) {
                        queue.pump(now, &mut shared.publisher.wakes);
                    }
                }
            }
            let Some(item) = self.items.pop_front() else {
                return;
            };
            self.write_item(now, &item, out);
        }
    }

    fn write_item(&mut self, now: Timestamp, item: &Item, out: &mut OutBuf) {
        match item {
            Item::Delivery(delivery) => {
                let Source::Queue(from) = &delivery.source else {
                    return;
                };
                if let Some((channel, shared, tag)) = self.consumer(Token(from.token)) {
                    channel.deliver(shared, now, (&delivery.message, from), &tag, out);
                }
            }
            Item::QueueRun { run, token } => {
                if let Some((channel, shared, tag)) = self.consumer(Token(*token)) {
                    channel.deliver_run(shared, now, run, &tag, out);
                }
            }
            // Consumers have queues, never live subscriptions.
            Item::Run(..) => {}
            Item::Event(Event::ConsumerCancelled { token }) => {
                self.handle_queue_gone(Token(*token), out);
            }
            Item::Event(Event::Close { reason }) => {
                let text = format!("broker forced connection closure with reason '{reason}'");
                let refused = Refused::new(ReplyCode::ConnectionForced, text);
                self.fail(now, &refused, MethodId::NONE, out);
            }
        }
    }

    /// The channel of a consumer and the consumer's tag; none when the channel is closed, and what
    /// was to be settled is back in its queue.
    fn consumer(&mut self, token: Token) -> Option<(&mut Channel, &mut Shared, Name)> {
        let State::Open(shared) = &mut self.state else {
            return None;
        };
        let consumer = shared.consumers.get(&token)?;
        let tag = consumer.tag.clone();
        let channel = self.channels.get_mut(&consumer.channel)?;
        Some((channel, shared, tag))
    }

    /// The queue of a consumer is deleted (RabbitMQ: consumer cancel notification).
    fn handle_queue_gone(&mut self, token: Token, out: &mut OutBuf) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        let Some(consumer) = shared.consumers.remove(&token) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(&consumer.channel) else {
            return;
        };
        channel.tags.remove(&consumer.tag);
        if self.client.consumer_cancel_notify {
            let cancel = BasicReply::Cancel {
                consumer_tag: &consumer.tag,
            };
            // Who deleted the queue itself expects the answer to that first.
            let out = channel.held.behind(out);
            put_reply(out, consumer.channel, Reply::Basic(cancel));
        }
    }
}
