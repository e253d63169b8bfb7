//! Why the core refused something. Neutral: each protocol maps it in one `match` of its
//! `translate` module to its own codes and texts.

use crate::name::Name;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An exchange.
    Exchange,
    /// A queue.
    Queue,
}

impl Kind {
    /// `exchange` or `queue`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no such exchange or queue.
    #[error("no {} '{name}'", kind.as_str())]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: Name,
    },
    /// It exists with another attribute or argument.
    #[error("inequivalent arg '{argument}' for {} '{name}': received {received}, current is {current}", kind.as_str())]
    Inequivalent {
        /// What exists.
        kind: Kind,
        /// Its name.
        name: Name,
        /// The attribute or argument that differs.
        argument: String,
        /// What was asked for, as RabbitMQ words it.
        received: String,
        /// What is there, as RabbitMQ words it.
        current: String,
    },
    /// It is another connection's exclusive queue.
    #[error("queue '{name}' is exclusive to another connection")]
    Locked {
        /// The queue.
        name: Name,
    },
    /// The queue has an exclusive consumer, or wants one and has others.
    #[error("queue '{name}' in exclusive use")]
    ExclusiveUse {
        /// The queue.
        name: Name,
    },
    /// Asked to delete only if unused, and it is used.
    #[error("{} '{name}' in use", kind.as_str())]
    InUse {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: Name,
    },
    /// Asked to delete only if empty, and it is not.
    #[error("queue '{name}' not empty")]
    NotEmpty {
        /// The queue.
        name: Name,
    },
    /// The name begins with `amq.`, or the thing belongs to the gateway.
    #[error("{} '{name}' is reserved", kind.as_str())]
    Reserved {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: Name,
    },
    /// The default exchange cannot be bound, unbound, declared or deleted.
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    /// The exchange takes messages from other exchanges only.
    #[error("exchange '{name}' is internal")]
    Internal {
        /// The exchange.
        name: Name,
    },
    /// An argument has a value that cannot be.
    #[error("invalid arg '{argument}' for {} '{name}': {reason}", kind.as_str())]
    InvalidArgument {
        /// What was declared.
        kind: Kind,
        /// Its name.
        name: Name,
        /// The argument.
        argument: String,
        /// Why, as RabbitMQ words it.
        reason: String,
    },
    /// A queue of its type cannot have such an attribute or argument.
    #[error("invalid {what} for queue '{name}'{}", queue_type.map(|t| format!(" of queue type {t}")).unwrap_or_default())]
    UnfitQueue {
        /// The queue.
        name: Name,
        /// `arg 'x-max-priority'` or `property 'non-durable'`.
        what: String,
        /// The type as RabbitMQ calls it, where it says it.
        queue_type: Option<&'static str>,
    },
    /// An exchange of its type cannot be such, or have such a binding.
    #[error("{reason}")]
    Invalid {
        /// Why, as RabbitMQ words it.
        reason: String,
    },
    /// It is part of a protocol, and the gateway does not have it.
    #[error("{what} not implemented")]
    NotImplemented {
        /// What is missing.
        what: &'static str,
    },
    /// A limit of the gateway is reached.
    #[error("the limit of {limit} {what} is reached")]
    LimitReached {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}
