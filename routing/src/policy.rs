//! Policies: what queues and exchanges are told by pattern instead of by whoever declares them.
//!
//! RabbitMQ's rules. Of the policies whose pattern matches a name, the one of the highest priority
//! counts, and no other. Beside an argument the smaller number wins, and the argument's word.
//! An operator's policy is laid over that, and lowers numbers only.

use regex::Regex;

use crate::name::Name;
use crate::queue::QueueTerms;

/// What a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliesTo {
    /// Queues and exchanges.
    All,
    /// All queues.
    Queues,
    /// Queues that are no quorum queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Exchanges.
    Exchanges,
}

impl AppliesTo {
    const fn includes_queue(self, is_quorum: bool) -> bool {
        match self {
            Self::All | Self::Queues => true,
            Self::ClassicQueues => !is_quorum,
            Self::QuorumQueues => is_quorum,
            Self::Exchanges => false,
        }
    }

    const fn includes_exchanges(self) -> bool {
        matches!(self, Self::All | Self::Exchanges)
    }
}

/// One policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The virtual host.
    pub vhost: Name,
    /// The names of queues and exchanges that it is for; matches anywhere unless anchored.
    pub pattern: Regex,
    /// What it is for.
    pub applies_to: AppliesTo,
    /// The highest counts; of several the first.
    pub priority: i32,
    /// What it says of queues.
    pub queue: QueueTerms,
    /// What it says of exchanges: where goes what they route nowhere (`alternate-exchange`).
    pub alternate_exchange: Option<Name>,
}

/// All policies of a broker.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Of users.
    pub users: Vec<Policy>,
    /// Of operators; they say nothing of exchanges.
    pub operators: Vec<Policy>,
}

impl Policies {
    /// What holds for a queue that was declared with `arguments`.
    pub(crate) fn terms(
        &self,
        vhost: &str,
        queue: &str,
        is_quorum: bool,
        arguments: QueueTerms,
    ) -> QueueTerms {
        let applies = |policy: &&Policy| policy.applies_to.includes_queue(is_quorum);
        let user = first(&self.users, vhost, queue, applies);
        let operator = first(&self.operators, vhost, queue, applies);
        let terms = match user {
            Some(policy) => arguments.and(&policy.queue),
            None => arguments,
        };
        match operator {
            Some(policy) => terms.under(&policy.queue),
            None => terms,
        }
    }

    /// The alternate exchange that a policy gives to an exchange.
    pub(crate) fn alternate(&self, vhost: &str, exchange: &str) -> Option<&Name> {
        let applies = |policy: &&Policy| policy.applies_to.includes_exchanges();
        first(&self.users, vhost, exchange, applies)?
            .alternate_exchange
            .as_ref()
    }
}

/// The one that counts.
fn first<'a>(
    policies: &'a [Policy],
    vhost: &str,
    name: &str,
    applies: impl Fn(&&'a Policy) -> bool,
) -> Option<&'a Policy> {
    policies
        .iter()
        .filter(|policy| policy.vhost.as_str() == vhost && policy.pattern.is_match(name))
        .filter(applies)
        // The last of equal ones is the maximum, so the order is turned round.
        .rev()
        .max_by_key(|policy| policy.priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pattern: &str, priority: i32, ttl_ms: u64) -> Policy {
        Policy {
            vhost: "/".into(),
            pattern: Regex::new(pattern).unwrap(),
            applies_to: AppliesTo::Queues,
            priority,
            queue: QueueTerms {
                ttl_ms: Some(ttl_ms),
                ..QueueTerms::default()
            },
            alternate_exchange: None,
        }
    }

    fn ttl_ms(policies: &Policies, queue: &str, argument: Option<u64>) -> Option<u64> {
        let arguments = QueueTerms {
            ttl_ms: argument,
            ..QueueTerms::default()
        };
        policies.terms("/", queue, false, arguments).ttl_ms
    }

    #[test]
    fn the_highest_priority_counts_and_of_equal_ones_the_first() {
        let policies = Policies {
            users: vec![policy("^a", 0, 1), policy("a", 5, 2), policy("a", 5, 3)],
            operators: Vec::new(),
        };
        assert_eq!(ttl_ms(&policies, "a", None), Some(2));
        assert_eq!(ttl_ms(&policies, "b", None), None);
        assert_eq!(
            policies
                .terms("other", "a", false, QueueTerms::default())
                .ttl_ms,
            None
        );
    }

    #[test]
    fn the_smallest_number_of_argument_policy_and_operator_wins() {
        let policies = Policies {
            users: vec![policy("", 0, 20)],
            operators: vec![policy("^small", 0, 10)],
        };
        assert_eq!(ttl_ms(&policies, "a", Some(30)), Some(20));
        assert_eq!(ttl_ms(&policies, "a", Some(15)), Some(15));
        assert_eq!(ttl_ms(&policies, "small", Some(15)), Some(10));
        assert_eq!(ttl_ms(&policies, "small", Some(5)), Some(5));
    }
}
