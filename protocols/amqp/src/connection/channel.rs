//! A channel: what is open, in progress and unsettled on it, and which method goes where.
//!
//! ```text
//!                 soft error: channel.close sent
//!   Open ────────────────────────────────────────► AwaitCloseOk ──► gone
//!    │ channel.close received: close-ok sent            close-ok received
//!    └────────────────────────────────────────────────────────────► gone
//! ```

use std::{collections::HashMap, sync::Arc};

use routing::{ConsumerId, Credit, Lsn, Name, OutBuf, Timestamp};

use super::{
    confirm::Confirms,
    held::Held,
    publish::Incoming,
    shared::{Shared, Token},
    tx::Transaction,
    unsettled::{Outstanding, Unsettled},
};
use crate::{
    error::{Refused, ReplyCode},
    wire::{
        frame::{Batch, ChannelId, FrameSpan, FrameType},
        method_id::MethodId,
        methods::{BasicMethod, ChannelMethod, Method},
        publish::Publish,
        replies::{ChannelReply, Reply, put_reply},
        settle::{DeliveryTag, Settle, Verdict},
    },
};

/// Whether the channel takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelState {
    /// It does.
    Open,
    /// The server has closed it; all but the answer to that is ignored.
    AwaitCloseOk,
}

/// What happens with publishes and settlements.
#[derive(Debug)]
pub(super) enum Mode {
    /// They are done, and nothing is said.
    Plain,
    /// Publishes are confirmed.
    Confirm(Confirms),
    /// They wait for the commit.
    Tx(Transaction),
}

/// The consumer of direct reply-to.
#[derive(Debug)]
pub(super) struct DirectReply {
    pub(super) token: Token,
    /// What `reply_to` becomes.
    pub(super) queue: Name,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) state: ChannelState,
    /// A publish whose content is not complete.
    pub(super) incoming: Option<Incoming>,
    /// What an empty queue name stands for.
    pub(super) last_queue: Option<Name>,
    pub(super) unsettled: Unsettled,
    pub(super) mode: Mode,
    /// The limit of each consumer to come; 0 is none.
    pub(super) prefetch: u16,
    /// The limit of all consumers together; 0 is none.
    pub(super) shared_prefetch: u16,
    pub(super) shared_credit: Arc<Credit>,
    pub(super) tags: HashMap<Name, Token>,
    pub(super) direct_reply: Option<DirectReply>,
    /// Whom `basic.get` takes messages for.
    pub(super) getter: ConsumerId,
    /// Answers that wait for the journal.
    pub(super) held: Held,
    last_delivery: u64,
    /// Whether the connection knows that answers are due here.
    awaits_answer: bool,
}

impl Channel {
    pub(super) fn new(id: ChannelId) -> Self {
        Self {
            id,
            state: ChannelState::Open,
            incoming: None,
            last_queue: None,
            unsettled: Unsettled::default(),
            mode: Mode::Plain,
            prefetch: 0,
            shared_prefetch: 0,
            shared_credit: Credit::new(0),
            tags: HashMap::new(),
            direct_reply: None,
            getter: ConsumerId::unique(),
            held: Held::default(),
            last_delivery: 0,
            awaits_answer: false,
        }
    }

    /// The tag of the next delivery.
    pub(super) fn next_delivery_tag(&mut self) -> DeliveryTag {
        self.last_delivery += 1;
        DeliveryTag(self.last_delivery)
    }

    /// Handles a frame of this channel while it is open. Gives the method at fault with a refusal.
    pub(super) fn handle_frame(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        batch: &Batch,
        span: FrameSpan,
        out: &mut OutBuf,
    ) -> Result<(), (Refused, MethodId)> {
        let frame = batch.frame(span);
        if self.incoming.is_some() || frame.kind != FrameType::Method {
            // A content frame that follows no publish is nobody's fault but its own.
            let at_fault = match self.incoming {
                Some(_) => MethodId::BASIC_PUBLISH,
                None => MethodId::NONE,
            };
            return self
                .handle_content(shared, now, batch, span, out)
                .map_err(|refused| (refused, at_fault));
        }
        let Some((id, arguments)) = MethodId::split(frame.payload) else {
            return Err((crate::wire::Malformed::Fields.into(), MethodId::NONE));
        };
        self.handle_method(shared, now, (id, batch, arguments, frame.payload), out)
            .map_err(|refused| (refused, id))
    }

    fn handle_method(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        (id, batch, arguments, payload): (MethodId, &Batch, &[u8], &[u8]),
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        if matches!(&self.mode, Mode::Tx(transaction) if transaction.is_committing()) {
            let text = "unexpected command while processing 'tx.commit'";
            return Err(Refused::new(ReplyCode::ChannelError, text));
        }
        if id == MethodId::BASIC_PUBLISH {
            return self.begin_publish(&Publish::parse(arguments)?, batch);
        }
        if let Some(settle) = Settle::parse(id, arguments)? {
            return self.settle(shared, settle);
        }
        let method = Method::parse(id, payload)?;
        // All else must find the queues as what came before it left them.
        shared.publisher.end_run();
        shared.flush_settlements(now);
        self.dispatch(shared, now, method, out)
    }

    fn dispatch(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        method: Method,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        match method {
            Method::AccessRequest => {
                put_reply(out, self.id, Reply::AccessRequestOk);
                Ok(())
            }
            Method::Basic(BasicMethod::Consume(consume)) => {
                self.consume(shared, now, &consume, out)
            }
            Method::Basic(BasicMethod::Get { queue, no_ack }) => {
                self.get(shared, now, &queue, no_ack, out)
            }
            Method::Basic(BasicMethod::Qos {
                prefetch_size,
                prefetch_count,
                global,
            }) => self.qos(shared, now, (prefetch_size, prefetch_count, global), out),
            Method::Basic(BasicMethod::Recover { requeue, nowait }) => {
                self.recover(shared, now, (requeue, nowait), out)
            }
            // The connection handles cancel and all of the class channel but flow.
            Method::Basic(BasicMethod::Cancel { .. } | BasicMethod::CancelOk) => Ok(()),
            Method::Channel(ChannelMethod::Flow { active: true }) => {
                put_reply(
                    out,
                    self.id,
                    Reply::Channel(ChannelReply::FlowOk { active: true }),
                );
                Ok(())
            }
            Method::Channel(ChannelMethod::Flow { active: false }) => {
                Err(Refused::new(ReplyCode::NotImplemented, "active=false"))
            }
            Method::Channel(_) => Ok(()),
            Method::ConfirmSelect { nowait } => self.select_confirms(nowait, out),
            Method::Connection(_) => {
                let text = "unimplemented method";
                Err(Refused::new(ReplyCode::CommandInvalid, text))
            }
            Method::Exchange(method) => self.handle_exchange(shared, method, out),
            Method::Queue(method) => self.handle_queue(shared, now, method, out),
            Method::Tx(method) => self.handle_tx(shared, now, method, out),
        }
    }

    fn select_confirms(&mut self, nowait: bool, out: &mut OutBuf) -> Result<(), Refused> {
        match self.mode {
            Mode::Plain => self.mode = Mode::Confirm(Confirms::new()),
            Mode::Confirm(_) => {}
            Mode::Tx(_) => {
                return Err(Refused::precondition(
                    "cannot switch from tx to confirm mode",
                ));
            }
        }
        if !nowait {
            put_reply(out, self.id, Reply::ConfirmSelectOk);
        }
        Ok(())
    }

    /// Tells the connection that answers are due on this channel.
    pub(super) fn await_answer(&mut self, shared: &mut Shared) {
        if !std::mem::replace(&mut self.awaits_answer, true) {
            shared.awaiting.push(self.id);
        }
    }

    /// Answers what is durable; returns what the rest waits for.
    pub(super) fn answer(&mut self, durable: Lsn, out: &mut OutBuf) -> Option<Lsn> {
        let held = self.held.release(durable, out);
        let published = match &mut self.mode {
            Mode::Plain => None,
            Mode::Confirm(confirms) => confirms.flush(self.id, durable, out),
            Mode::Tx(transaction) => transaction.flush(self.id, durable, out),
        };
        let waits_for = held.into_iter().chain(published).min();
        self.awaits_answer = waits_for.is_some();
        waits_for
    }

    /// What an empty queue name in a request stands for: the queue last declared here.
    pub(super) fn queue_name(&self, name: &str) -> Result<Name, Refused> {
        if !name.is_empty() {
            return Ok(name.into());
        }
        self.last_queue
            .clone()
            .ok_or_else(|| Refused::new(ReplyCode::NotFound, "no previously declared queue"))
    }

    /// Gives credit back for a delivery that is settled, before its queue hears of it.
    pub(super) fn put_credit_back(&self, shared: &Shared, settled: &Outstanding) {
        let Some(token) = settled.token else {
            return;
        };
        self.shared_credit.put_back(1);
        if let Some(consumer) = shared.consumers.get(&token) {
            consumer.credit.put_back(1);
        }
    }

    /// Gives everything back to the core: consumers, and messages that are not settled.
    pub(super) fn release(&mut self, shared: &mut Shared, now: Timestamp) {
        let mut unsettled = self.unsettled.take_all();
        if let Mode::Tx(transaction) = &mut self.mode {
            unsettled.extend(transaction.take_settled());
        }
        for delivery in &unsettled {
            shared
                .settlements
                .add(&delivery.queue, delivery.seq, Verdict::Requeue);
        }
        let consumers: Vec<_> = self
            .tags
            .drain()
            .filter_map(|(_, token)| shared.remove_consumer(now, token))
            .collect();
        shared.flush_settlements(now);
        for consumer in consumers {
            // What still waits in the outbox for this consumer.
            consumer
                .queue
                .release(now, consumer.id, &mut shared.publisher.wakes);
        }
        self.end_direct_reply(shared);
        self.incoming = None;
        self.mode = Mode::Plain;
    }
}
