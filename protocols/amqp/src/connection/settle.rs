//! Acknowledgements of deliveries, `basic.qos` and `basic.recover`: what the client says about how
//! many messages it has and what became of them.

use routing::{OutBuf, Timestamp};

use super::{
    channel::{Channel, Mode},
    shared::Shared,
    unsettled::Outstanding,
};
use crate::{
    error::{Refused, ReplyCode},
    wire::{
        replies::{BasicReply, Reply, put_reply},
        settle::{DeliveryTag, Extent, Settle, Verdict},
    },
};

impl Channel {
    /// `basic.ack`, `basic.nack`, `basic.reject`: now, or with the transaction.
    pub(super) fn settle(&mut self, shared: &mut Shared, settle: Settle) -> Result<(), Refused> {
        let settled = match settle.extent {
            Extent::One => return self.settle_one(shared, settle),
            Extent::Multiple if settle.tag == DeliveryTag(0) => self.unsettled.take_all(),
            Extent::Multiple => self
                .unsettled
                .take_up_to(settle.tag)
                .ok_or_else(|| unknown_tag(settle.tag))?,
        };
        for delivery in settled {
            self.settle_delivery(shared, settle.verdict, delivery);
        }
        Ok(())
    }

    fn settle_one(&mut self, shared: &mut Shared, settle: Settle) -> Result<(), Refused> {
        let delivery = self
            .unsettled
            .take(settle.tag)
            .ok_or_else(|| unknown_tag(settle.tag))?;
        self.settle_delivery(shared, settle.verdict, delivery);
        Ok(())
    }

    fn settle_delivery(&mut self, shared: &mut Shared, verdict: Verdict, delivery: Outstanding) {
        if let Mode::Tx(transaction) = &mut self.mode {
            return transaction.settle(verdict, delivery);
        }
        self.put_credit_back(shared, &delivery);
        shared
            .settlements
            .add(&delivery.queue, delivery.seq, verdict);
    }

    /// `basic.recover` and `recover-async`.
    pub(super) fn recover(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        (requeue, nowait): (bool, bool),
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        if !requeue {
            return Err(Refused::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        for delivery in self.unsettled.take_all() {
            self.put_credit_back(shared, &delivery);
            shared
                .settlements
                .add(&delivery.queue, delivery.seq, Verdict::Requeue);
        }
        shared.flush_settlements(now);
        if !nowait {
            put_reply(out, self.id, Reply::Basic(BasicReply::RecoverOk));
        }
        Ok(())
    }

    /// `basic.qos` as RabbitMQ means it: `global` is the channel, else each consumer to come, which
    /// also lifts the channel's limit.
    pub(super) fn qos(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        (size, count, global): (u32, u16, bool),
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        if size != 0 {
            let text = format!("prefetch_size!=0 ({size})");
            return Err(Refused::new(ReplyCode::NotImplemented, text));
        }
        let shared_prefetch = if global { count } else { 0 };
        if !global {
            self.prefetch = count;
        }
        let former = u32::from(std::mem::replace(
            &mut self.shared_prefetch,
            shared_prefetch,
        ));
        self.shared_credit
            .change_limit(former, u32::from(shared_prefetch));
        self.pump_consumers(shared, now);
        put_reply(out, self.id, Reply::Basic(BasicReply::QosOk));
        Ok(())
    }

    /// Lets all queues of this channel's consumers use credit that has become free.
    pub(super) fn pump_consumers(&self, shared: &mut Shared, now: Timestamp) {
        for token in self.tags.values() {
            if let Some(consumer) = shared.consumers.get(token) {
                consumer.queue.pump(now, &mut shared.publisher.wakes);
            }
        }
    }
}

fn unknown_tag(tag: DeliveryTag) -> Refused {
    Refused::precondition(format!("unknown delivery tag {}", tag.0))
}
