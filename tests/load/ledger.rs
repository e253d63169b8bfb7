//! The books: what was sent, what arrived where, what is missing, doubled or out of order.
//!
//! A lane is what one receiver gets of one publisher. Where the consumers of a queue share its
//! messages they share one lane, on which order cannot be told.

use std::collections::BTreeSet;

/// One receiver's part of one publisher's messages.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// All before this number have arrived.
    next: u32,
    /// Arrived before one that was sent earlier.
    ahead: BTreeSet<u32>,
}

/// One publisher's account.
#[derive(Clone, Debug, Default)]
struct Account {
    sent: u32,
    accepted: u32,
    /// All lanes have everything before this; brought up to date when it matters.
    slowest: u32,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Sent, and not received by somebody who should have.
    pub(crate) lost: u64,
    /// Received again.
    pub(crate) duplicates: u64,
    /// Received after one that the same publisher sent later.
    pub(crate) out_of_order: u64,
}

/// All publishers' accounts.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: Vec<Account>,
    lanes: Vec<Lane>,
    lanes_per_publisher: usize,
    /// Whether the server accepts each message explicitly.
    has_confirms: bool,
    faults: Faults,
}

impl Ledger {
    /// Books for so many publishers, each received by `lanes_per_publisher` receivers.
    pub(crate) fn new(publishers: usize, lanes_per_publisher: usize, has_confirms: bool) -> Self {
        Self {
            accounts: vec![Account::default(); publishers],
            lanes: vec![Lane::default(); publishers * lanes_per_publisher],
            lanes_per_publisher,
            has_confirms,
            faults: Faults::default(),
        }
    }

    /// Books a message; returns its number.
    pub(crate) fn send(&mut self, publisher: usize) -> u32 {
        let Some(account) = self.accounts.get_mut(publisher) else {
            return 0;
        };
        account.sent += 1;
        account.sent - 1
    }

    /// Books what the server accepted.
    pub(crate) fn accept(&mut self, publisher: usize, count: u32) {
        if let Some(account) = self.accounts.get_mut(publisher) {
            account.accepted += count;
        }
    }

    /// Books an arrival; false if it had arrived before.
    pub(crate) fn receive(&mut self, publisher: usize, lane: usize, sequence: u32) -> bool {
        let at = publisher * self.lanes_per_publisher + lane;
        let Some(lane) = self.lanes.get_mut(at) else {
            return false;
        };
        if sequence == lane.next {
            lane.next += 1;
            if !lane.ahead.is_empty() {
                self.faults.out_of_order += 1;
                while lane.ahead.remove(&lane.next) {
                    lane.next += 1;
                }
            }
            return true;
        }
        let is_new = sequence > lane.next && lane.ahead.insert(sequence);
        self.faults.duplicates += u64::from(!is_new);
        is_new
    }

    /// Messages of a publisher that are neither everywhere nor, if the server confirms, accepted.
    pub(crate) fn in_flight(&mut self, publisher: usize) -> u32 {
        let first = publisher * self.lanes_per_publisher;
        let lanes = self.lanes.get(first..first + self.lanes_per_publisher);
        let Some(account) = self.accounts.get_mut(publisher) else {
            return 0;
        };
        let lanes = lanes.unwrap_or_default().iter();
        account.slowest = lanes.map(|lane| lane.next).min().unwrap_or(account.sent);
        let done = if self.has_confirms {
            account.slowest.min(account.accepted)
        } else {
            account.slowest
        };
        account.sent.saturating_sub(done)
    }

    /// Whether everything has arrived and been accepted.
    pub(crate) fn is_settled(&mut self) -> bool {
        (0..self.accounts.len()).all(|publisher| self.in_flight(publisher) == 0)
    }

    /// The faults so far, and everything that has not arrived as lost.
    pub(crate) fn close(&self, is_order_known: bool) -> Faults {
        let mut faults = self.faults;
        for (index, lane) in self.lanes.iter().enumerate() {
            let account = self.accounts.get(index / self.lanes_per_publisher.max(1));
            let sent = account.map_or(0, |account| u64::from(account.sent));
            let arrived = u64::from(lane.next) + u64::try_from(lane.ahead.len()).unwrap_or(0);
            faults.lost += sent.saturating_sub(arrived);
        }
        if !is_order_known {
            faults.out_of_order = 0;
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_order_and_duplicates_are_told_apart() {
        let mut ledger = Ledger::new(1, 2, false);
        for _ in 0..4 {
            ledger.send(0);
        }
        assert!((0..4).all(|sequence| ledger.receive(0, 0, sequence)));
        assert!(ledger.receive(0, 1, 1));
        assert!(ledger.receive(0, 1, 0));
        assert!(!ledger.receive(0, 1, 1));
        assert_eq!(ledger.in_flight(0), 2);
        let faults = Faults {
            lost: 2,
            duplicates: 1,
            out_of_order: 1,
        };
        assert_eq!(ledger.close(true), faults);
        assert!(!ledger.is_settled());
    }

    #[test]
    fn a_message_is_in_flight_until_it_is_accepted_too() {
        let mut ledger = Ledger::new(1, 1, true);
        ledger.send(0);
        ledger.receive(0, 0, 0);
        assert_eq!(ledger.in_flight(0), 1);
        ledger.accept(0, 1);
        assert!(ledger.is_settled());
    }
}
