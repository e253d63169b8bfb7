//! What becomes of messages that were handed out.

use std::sync::Arc;

use super::{Queue, State, Unsettled};
use crate::death::DeathReason;
use crate::delivery::Delivery;
use crate::ids::{ConsumerId, Seq};
use crate::journal::Lsn;
use crate::outbox::Wakes;
use crate::time::Timestamp;

/// What becomes of a message that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done.
    Ack,
    /// Back to its place in the queue, unless it came back too often.
    Requeue,
    /// Not wanted: it is a dead letter.
    Discard,
}

impl Queue {
    /// Takes everything back that this consumer has not settled, to its old place.
    pub fn release(self: &Arc<Self>, now: Timestamp, id: ConsumerId, wakes: &mut Wakes) {
        self.locked(now, wakes, |state, wakes| {
            let seqs = state
                .unsettled
                .iter()
                .filter(|(_, u)| u.consumer == id)
                .map(|(seq, _)| *seq);
            let seqs = seqs.collect::<Vec<_>>();
            self.settle_locked(state, &seqs, Settlement::Requeue);
            self.pump_locked(state, now, wakes);
            self.drop_surplus(state);
        });
    }

    /// Settles messages that were handed out; unknown ones are ignored. The consumer's credit is
    /// its front's to give back *before* this. Returns where the record of it ends, if there is
    /// one.
    pub fn settle(
        self: &Arc<Self>,
        now: Timestamp,
        seqs: &[Seq],
        settlement: Settlement,
        wakes: &mut Wakes,
    ) -> Option<Lsn> {
        self.locked(now, wakes, |state, wakes| {
            let lsn = self.settle_locked(state, seqs, settlement);
            self.pump_locked(state, now, wakes);
            if settlement == Settlement::Requeue {
                self.drop_surplus(state);
            }
            lsn
        })
    }

    /// Acknowledges those of `seqs` that are still this consumer's: after a takeover they are
    /// another's, who has not seen them yet.
    pub fn acknowledge_of(
        self: &Arc<Self>,
        now: Timestamp,
        consumer: ConsumerId,
        seqs: &[Seq],
        wakes: &mut Wakes,
    ) {
        self.locked(now, wakes, |state, wakes| {
            let mut own = seqs.to_vec();
            own.retain(|seq| {
                let unsettled = state.unsettled.get(seq);
                unsettled.is_some_and(|unsettled| unsettled.consumer == consumer)
            });
            self.settle_locked(state, &own, Settlement::Ack);
            self.pump_locked(state, now, wakes);
        });
    }

    /// Takes messages back that were offered to a connection and never reached its peer: as if
    /// they had not been handed out.
    pub fn untake(self: &Arc<Self>, now: Timestamp, seqs: &[Seq], wakes: &mut Wakes) {
        self.locked(now, wakes, |state, wakes| {
            for seq in seqs {
                if let Some(unsettled) = state.unsettled.remove(seq) {
                    state.ready.put_back(unsettled.entry);
                }
            }
            self.pump_locked(state, now, wakes);
        });
    }

    /// What is handed out and not settled, in order.
    pub(crate) fn unsettled_deliveries(self: &Arc<Self>) -> Vec<Delivery> {
        let state = self.state.lock();
        let mut all = state.unsettled.values().collect::<Vec<_>>();
        all.sort_unstable_by_key(|unsettled| unsettled.entry.seq);
        let delivery = |u: &Unsettled| self.delivery(&u.entry, u.consumer, 0, true);
        all.into_iter().map(delivery).collect()
    }

    fn settle_locked(
        self: &Arc<Self>,
        state: &mut State,
        seqs: &[Seq],
        settlement: Settlement,
    ) -> Option<Lsn> {
        let mut acked = Vec::new();
        for seq in seqs {
            let Some(Unsettled { entry, .. }) = state.unsettled.remove(seq) else {
                continue;
            };
            match settlement {
                Settlement::Ack => acked.extend(self.leave(state, &entry)),
                Settlement::Discard => self.let_die(state, entry, DeathReason::Rejected),
                Settlement::Requeue => self.requeue(state, entry),
            }
        }
        self.journal_settled(state, &acked)
    }

    fn requeue(self: &Arc<Self>, state: &mut State, mut entry: super::Entry) {
        entry.redeliveries += 1;
        let limit = self.policy().delivery_limit;
        if limit.is_some_and(|limit| entry.redeliveries > limit) {
            return self.let_die(state, entry, DeathReason::DeliveryLimit);
        }
        entry.message = entry.message.compact();
        state.ready.put_back(entry);
    }
}
