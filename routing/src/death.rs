//! What a message has died of: neutral words for RabbitMQ's dead letter headers.
//!
//! A dead-lettered message is a changed copy that carries its deaths; a protocol that can tell its
//! receivers writes them out (AMQP: `x-death`, `x-first-death-…`, `x-last-death-…`).

use bytes::Bytes;

use crate::name::Name;
use crate::time::Timestamp;

/// Different deaths that one message may have; one more, and it is dropped. An automatic cycle is
/// found long before.
pub const DEATHS_MAX: usize = 100;

/// Why a message left a queue against its will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// A consumer did not want it.
    Rejected,
    /// Its time was over.
    Expired,
    /// The queue was full.
    MaxLength,
    /// It came back too often.
    DeliveryLimit,
}

impl DeathReason {
    /// RabbitMQ's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// All deaths of one reason in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue.
    pub queue: Name,
    /// The reason.
    pub reason: DeathReason,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_at: Timestamp,
    /// The exchange to which it was published before it died first.
    pub exchange: Name,
    /// The routing keys of that publish, those in the header `CC` included.
    pub routing_keys: Vec<Bytes>,
    /// The time to live in milliseconds that its publisher gave it, if it still had that.
    pub expiration_ms: Option<u64>,
}

/// Where a message died first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDeath {
    /// The queue.
    pub queue: Name,
    /// The reason.
    pub reason: DeathReason,
    /// The exchange to which it had been published.
    pub exchange: Name,
}

/// The deaths of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deaths {
    /// Latest first, one per queue and reason; never empty.
    pub list: Vec<Death>,
    /// The very first one.
    pub first: FirstDeath,
    /// The exchange to which it was published before it died last; that of the latest death's
    /// first time may be another.
    pub last_exchange: Name,
    /// Whether a queue gave it a routing key of its own, which replaces all that its publisher
    /// chose (AMQP: the header `CC` goes).
    pub is_readdressed: bool,
}

impl Deaths {
    /// The deaths of a message that dies for the first time.
    #[must_use]
    pub fn first(death: Death) -> Self {
        let first = FirstDeath {
            queue: death.queue.clone(),
            reason: death.reason,
            exchange: death.exchange.clone(),
        };
        Self {
            last_exchange: death.exchange.clone(),
            list: vec![death],
            first,
            is_readdressed: false,
        }
    }

    /// Adds a death; one of the same queue and reason only counts. None when there are too many.
    #[must_use]
    pub fn and(&self, death: Death) -> Option<Self> {
        let mut deaths = self.clone();
        deaths.last_exchange = death.exchange.clone();
        let is_same = |known: &Death| known.queue == death.queue && known.reason == death.reason;
        let latest = match deaths.list.iter().position(is_same) {
            Some(at) => {
                let mut known = deaths.list.remove(at);
                known.count += 1;
                known
            }
            None if deaths.list.len() >= DEATHS_MAX => return None,
            None => death,
        };
        deaths.list.insert(0, latest);
        Some(deaths)
    }

    /// Whether the queue would get the message again without anybody having rejected it on the
    /// way: such a cycle has no end, and RabbitMQ breaks it.
    #[must_use]
    pub fn is_cycle(&self, queue: &Name) -> bool {
        self.list
            .iter()
            .take_while(|death| death.reason != DeathReason::Rejected)
            .any(|death| death.queue == *queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &str, reason: DeathReason) -> Death {
        Death {
            queue: queue.into(),
            reason,
            count: 1,
            first_at: Timestamp(5),
            exchange: "x".into(),
            routing_keys: vec!["k".into()],
            expiration_ms: None,
        }
    }

    #[test]
    fn deaths_are_latest_first_and_counted_per_queue_and_reason() {
        let deaths = Deaths::first(death("a", DeathReason::Expired));
        let deaths = deaths.and(death("b", DeathReason::Rejected)).unwrap();
        let deaths = deaths.and(death("a", DeathReason::Expired)).unwrap();
        let seen = deaths.list.iter().map(|d| (d.queue.as_str(), d.count));
        assert_eq!(seen.collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
        assert_eq!(deaths.first.queue.as_str(), "a");
    }

    #[test]
    fn a_cycle_is_one_without_a_rejection() {
        let deaths = Deaths::first(death("a", DeathReason::Expired));
        assert!(deaths.is_cycle(&"a".into()) && !deaths.is_cycle(&"b".into()));
        let deaths = deaths.and(death("b", DeathReason::Rejected)).unwrap();
        assert!(!deaths.is_cycle(&"a".into()) && !deaths.is_cycle(&"b".into()));
    }

    #[test]
    fn the_number_of_deaths_has_a_limit() {
        let mut deaths = Deaths::first(death("q0", DeathReason::Expired));
        for number in 1..DEATHS_MAX {
            let next = death(&format!("q{number}"), DeathReason::Expired);
            deaths = deaths.and(next).unwrap();
        }
        assert!(deaths.and(death("more", DeathReason::Expired)).is_none());
        assert!(deaths.and(death("q0", DeathReason::Expired)).is_some());
    }
}
