//! Transactions of the class tx: publishes and settlements wait here for the commit, which is
//! answered when everything is safe (AMQP 0-9-1 §1.9; RabbitMQ: atomic per queue only). After a
//! crash all publishes and acknowledgements of a commit have happened, or none.

use std::sync::Arc;

use routing::{Lsn, OutBuf, QoS, Timestamp};

use super::{
    channel::{Channel, Mode},
    publish::Publishing,
    shared::Shared,
    unsettled::Outstanding,
};
use crate::{
    error::Refused,
    wire::{
        frame::ChannelId,
        methods::TxMethod,
        replies::{Reply, TxReply, put_reply},
        settle::Verdict,
    },
};

/// What a transactional channel has not committed.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    publishes: Vec<Publishing>,
    bytes: usize,
    settled: Vec<(Verdict, Outstanding)>,
    /// The commit is answered when the journal is durable up to here.
    committing: Option<Lsn>,
}

impl Transaction {
    /// Whether a commit is not answered yet.
    pub(super) fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    /// Keeps a publish for the commit.
    pub(super) fn publish(
        &mut self,
        publishing: Publishing,
        bytes_max: usize,
    ) -> Result<(), Refused> {
        self.bytes += publishing.message.cost_bytes();
        if self.bytes > bytes_max {
            let text = format!("transaction is larger than configured max size {bytes_max}");
            return Err(Refused::precondition(text));
        }
        self.publishes.push(publishing);
        Ok(())
    }

    /// Keeps a settlement for the commit.
    pub(super) fn settle(&mut self, verdict: Verdict, settled: Outstanding) {
        self.settled.push((verdict, settled));
    }

    /// Whether a restart may have to know of it.
    fn is_durable(&self) -> bool {
        let is_kept = |publishing: &Publishing| publishing.message.qos != QoS::AtMostOnce;
        let was_kept = |(_, delivery): &(_, Outstanding)| delivery.queue.options.durable;
        self.publishes.iter().any(is_kept) || self.settled.iter().any(was_kept)
    }

    /// The deliveries whose settlement is not committed.
    pub(super) fn take_settled(&mut self) -> Vec<Outstanding> {
        std::mem::take(&mut self.settled)
            .into_iter()
            .map(|(_, delivery)| delivery)
            .collect()
    }

    /// Answers the commit if it is durable; returns what it still waits for.
    pub(super) fn flush(
        &mut self,
        channel: ChannelId,
        durable: Lsn,
        out: &mut OutBuf,
    ) -> Option<Lsn> {
        let waits_for = self.committing?;
        if waits_for > durable {
            return Some(waits_for);
        }
        self.committing = None;
        put_reply(out, channel, Reply::Tx(TxReply::CommitOk));
        None
    }
}

impl Channel {
    pub(super) fn handle_tx(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        method: TxMethod,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        match method {
            TxMethod::Select => self.select_tx(out),
            TxMethod::Commit => self.commit(shared, now, out),
            TxMethod::Rollback => self.rollback(out),
        }
    }

    fn select_tx(&mut self, out: &mut OutBuf) -> Result<(), Refused> {
        match self.mode {
            Mode::Plain => self.mode = Mode::Tx(Transaction::default()),
            Mode::Tx(_) => {}
            Mode::Confirm(_) => {
                return Err(Refused::precondition(
                    "cannot switch from confirm to tx mode",
                ));
            }
        }
        put_reply(out, self.id, Reply::Tx(TxReply::SelectOk));
        Ok(())
    }

    fn transaction(&mut self) -> Result<&mut Transaction, Refused> {
        match &mut self.mode {
            Mode::Tx(transaction) => Ok(transaction),
            Mode::Plain | Mode::Confirm(_) => {
                Err(Refused::precondition("channel is not transactional"))
            }
        }
    }

    fn commit(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let core = Arc::clone(shared.vhost.core());
        let transaction = self.transaction()?;
        if transaction.is_durable() && !core.takes_records() {
            // Nothing has been done yet: the channel closes, and what was settled goes back.
            let text = "the journal takes no records: nothing is committed";
            return Err(Refused::precondition(text));
        }
        let Transaction {
            publishes, settled, ..
        } = std::mem::take(transaction);
        let ((published, is_settled), end) = core.commit(|| {
            let published = publishes.iter().map(|p| p.route(shared, now));
            let published = published.collect::<Vec<_>>();
            (published, self.settle_all(shared, now, settled))
        });
        for (publishing, published) in publishes.iter().zip(&published) {
            let sent = (publishing.to(), &*publishing.message);
            self.return_unroutable(shared, sent, published, out);
        }
        let is_refused = published.iter().any(|published| published.rejected);
        if is_refused || !is_settled {
            return Err(Refused::precondition("partial tx completion"));
        }
        self.transaction()?.committing = Some(end.unwrap_or_default());
        self.await_answer(shared);
        Ok(())
    }

    /// False if the journal did not take it: then a restart brings the messages back.
    fn settle_all(
        &self,
        shared: &mut Shared,
        now: Timestamp,
        settled: Vec<(Verdict, Outstanding)>,
    ) -> bool {
        for (verdict, delivery) in settled {
            self.put_credit_back(shared, &delivery);
            shared
                .settlements
                .add(&delivery.queue, delivery.seq, verdict);
        }
        shared.flush_settlements(now)
    }

    fn rollback(&mut self, out: &mut OutBuf) -> Result<(), Refused> {
        let mut transaction = std::mem::take(self.transaction()?);
        self.unsettled.put_back(transaction.take_settled());
        put_reply(out, self.id, Reply::Tx(TxReply::RollbackOk));
        Ok(())
    }
}
