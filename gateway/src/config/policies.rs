//! `[[policies]]` and `[[operator_policies]]`: what queues and exchanges are told by pattern, with
//! the keys that RabbitMQ has for it.

use std::ops::RangeInclusive;

use routing::AppliesTo;
use routing::queue::{DeadLetterStrategy, QueueOverflow, QueueTerms};

use super::section::Section;
use super::users::{read_name, read_pattern};

/// What may be counted: messages, bytes.
const COUNT: RangeInclusive<i64> = 0..=i64::MAX;
/// Milliseconds, as RabbitMQ limits them: 2^32 - 1.
const MS: RangeInclusive<i64> = 0..=0xFFFF_FFFF;

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The virtual host.
    pub vhost: String,
    /// The name, for who reads the configuration.
    pub name: String,
    /// A regular expression over the names of queues and exchanges; matches anywhere unless
    /// anchored.
    pub pattern: String,
    /// What it applies to.
    pub apply_to: AppliesTo,
    /// Of several that match the highest counts, of equal ones the first.
    pub priority: i32,
    /// What it says.
    pub definition: Definition,
}

/// What a policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Of queues.
    pub queue: QueueTerms,
    /// Of exchanges.
    pub alternate_exchange: Option<String>,
}

impl Policy {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self::read_with(section, Definition::read)
    }

    /// An operator's policy limits queues, and nothing else.
    pub(super) fn read_operators(section: &mut Section<'_>) -> Self {
        Self::read_with(section, |section| Definition {
            queue: read_limits(section),
            alternate_exchange: None,
        })
    }

    fn read_with(
        section: &mut Section<'_>,
        definition: impl FnOnce(&mut Section<'_>) -> Definition,
    ) -> Self {
        section.require("name", "\"short-lived\"");
        section.require("pattern", "\"^tmp\\\\.\"");
        let kinds = [
            ("all", AppliesTo::All),
            ("queues", AppliesTo::Queues),
            ("classic_queues", AppliesTo::ClassicQueues),
            ("quorum_queues", AppliesTo::QuorumQueues),
            ("exchanges", AppliesTo::Exchanges),
        ];
        Self {
            vhost: section.text("vhost", "/"),
            name: read_name(section, "\"short-lived\""),
            pattern: read_pattern(section, "pattern"),
            apply_to: section.choice("apply_to", &kinds, AppliesTo::All),
            priority: section.integer("priority", i32::MIN..=i32::MAX, 0),
            definition: section.table("definition", definition),
        }
    }
}

impl Definition {
    fn read(section: &mut Section<'_>) -> Self {
        let strategies = [
            ("at-most-once", Some(DeadLetterStrategy::AtMostOnce)),
            ("at-least-once", Some(DeadLetterStrategy::AtLeastOnce)),
        ];
        let queue = QueueTerms {
            consumer_timeout_ms: number(section, "consumer-timeout", MS),
            dead_letter_exchange: text(section, "dead-letter-exchange").map(Into::into),
            dead_letter_key: text(section, "dead-letter-routing-key").map(Into::into),
            dead_letter_strategy: section.choice("dead-letter-strategy", &strategies, None),
            ..read_limits(section)
        };
        // How a queue is stored and on which machine means nothing here; they are taken so that a
        // policy can be moved as it is.
        section.choice("queue-mode", &[("default", ()), ("lazy", ())], ());
        section.integer("queue-version", 1..=2, 2);
        text(section, "queue-leader-locator");
        Self {
            queue,
            alternate_exchange: text(section, "alternate-exchange"),
        }
    }
}

fn read_limits(section: &mut Section<'_>) -> QueueTerms {
    let overflows = [
        ("drop-head", Some(QueueOverflow::DropHead)),
        ("reject-publish", Some(QueueOverflow::Reject)),
        ("reject-publish-dlx", Some(QueueOverflow::RejectDeadLetter)),
    ];
    QueueTerms {
        ttl_ms: number(section, "message-ttl", MS),
        unused_max_ms: number(section, "expires", 1..=*MS.end()),
        messages_max: number(section, "max-length", COUNT),
        body_bytes_max: number(section, "max-length-bytes", COUNT),
        overflow: section.choice("overflow", &overflows, None),
        delivery_limit: number(section, "delivery-limit", -1..=i64::MAX),
        ..QueueTerms::default()
    }
}

/// A number of RabbitMQ's: milliseconds, messages or bytes, without a unit as it has them.
fn number<T: TryFrom<i64>>(
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<i64>,
) -> Option<T> {
    let number = section.integer(key, range, 0);
    section.has(key).then(|| T::try_from(number).ok()).flatten()
}

fn text(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let text = section.text(key, "");
    section.has(key).then_some(text)
}
