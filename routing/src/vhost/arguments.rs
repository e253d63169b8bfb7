//! Arguments of queues and exchanges: which values can be, what they mean for the queue, and
//! whether a second declaration asks for the same.

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::name::Name;
use crate::policy::Policies;
use crate::queue::{
    DeadLetterStrategy, DeadLetterTarget, QueueLimits, QueueOptions, QueueOverflow, QueuePolicy,
    QueueTerms,
};
use crate::value::{Table, Value};

/// Arguments that a second declaration must repeat, in the order in which RabbitMQ compares them,
/// so that of several differences the same one is named.
const COMPARED: [&str; 14] = [
    "alternate-exchange",
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-delivery-limit",
];

/// The longest time that an argument may name, as RabbitMQ has it: ten years.
const DURATION_MAX_MS: i64 = 315_360_000_000;
/// The versions of the classic queue's files that RabbitMQ has had; they mean nothing here.
const QUEUE_VERSIONS: [i64; 2] = [1, 2];
/// Where RabbitMQ puts the leader of a queue.
const LEADER_LOCATORS: [&str; 4] = ["client-local", "balanced", "random", "least-leaders"];
/// How often a message may come back to a quorum queue that does not say.
const DELIVERY_LIMIT: i64 = 20;

/// Arguments of RabbitMQ's other queue types that classic queues do not have.
const UNFIT_FOR_CLASSIC: [&str; 9] = [
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-quorum-initial-group-size",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
];
/// Those that quorum queues do not have.
const UNFIT_FOR_QUORUM: [&str; 8] = [
    "x-initial-cluster-size",
    "x-max-age",
    "x-max-priority",
    "x-queue-master-locator",
    "x-queue-mode",
    "x-queue-version",
    "x-stream-filter-size-bytes",
    "x-stream-max-segment-size-bytes",
];

/// What a queue is by its declaration alone: no policy changes it.
pub(super) struct Declared {
    is_quorum: bool,
    is_single_active: bool,
    priority_max: u8,
    empty_max_ms: Option<u64>,
    terms: QueueTerms,
}

/// What a queue's arguments say.
///
/// # Errors
/// [`Error::InvalidArgument`] for a value that cannot be, [`Error::UnfitQueue`] for what its type
/// cannot be or have, [`Error::NotImplemented`] for a stream.
pub(super) fn declared(name: &Name, options: &QueueOptions) -> Result<Declared, Error> {
    let arguments = Arguments {
        name,
        table: &options.arguments,
    };
    let is_quorum = check_type(&arguments, options)?;
    arguments.check_version()?;
    arguments.check_place()?;
    let key = arguments.dead_letter_key()?;
    Ok(Declared {
        is_quorum,
        empty_max_ms: arguments.duration_ms("x-empty-expires")?,
        is_single_active: arguments.flag("x-single-active-consumer")?,
        priority_max: arguments.priority_max()?,
        terms: QueueTerms {
            ttl_ms: arguments.duration_ms("x-message-ttl")?,
            unused_max_ms: arguments.unused_max_ms()?,
            messages_max: arguments.size("x-max-length")?,
            body_bytes_max: arguments.size("x-max-length-bytes")?,
            overflow: arguments.overflow()?,
            delivery_limit: arguments.delivery_limit()?,
            consumer_timeout_ms: arguments.duration_ms("x-consumer-timeout")?,
            dead_letter_exchange: arguments.text("x-dead-letter-exchange")?.map(Name::from),
            dead_letter_key: key,
            dead_letter_strategy: arguments.dead_letter_strategy()?,
        },
    })
}

impl Declared {
    /// What the queue does under the policies there are.
    pub(super) fn under(self, policies: &Policies, vhost: &str, name: &str) -> QueuePolicy {
        let terms = policies.terms(vhost, name, self.is_quorum, self.terms);
        let limit = terms.delivery_limit.unwrap_or(DELIVERY_LIMIT);
        let (key, strategy) = (terms.dead_letter_key, terms.dead_letter_strategy);
        QueuePolicy {
            limits: QueueLimits {
                messages_max: terms.messages_max,
                bytes_max: None,
                body_bytes_max: terms.body_bytes_max,
                priority_max: self.priority_max,
                overflow: terms.overflow.unwrap_or_default(),
            },
            ttl_ms: terms.ttl_ms,
            unused_max_ms: terms.unused_max_ms,
            empty_max_ms: self.empty_max_ms,
            is_single_active: self.is_single_active,
            counts_deliveries: self.is_quorum,
            // A negative number is no limit, and classic queues have none.
            delivery_limit: u32::try_from(limit).ok().filter(|_| self.is_quorum),
            dead_letter: terms.dead_letter_exchange.map(|exchange| DeadLetterTarget {
                exchange,
                key,
                strategy: strategy.unwrap_or_default(),
            }),
            consumer_timeout_ms: terms.consumer_timeout_ms,
        }
    }
}

/// Checks what belongs to the type of the queue; returns whether it is a quorum queue.
fn check_type(arguments: &Arguments<'_>, options: &QueueOptions) -> Result<bool, Error> {
    let is_quorum = match arguments.text("x-queue-type")? {
        None | Some("classic") => false,
        Some("quorum") => true,
        Some("stream") => {
            return Err(Error::NotImplemented {
                what: "queue type stream",
            });
        }
        Some(other) => {
            let reason = format!("\"unsupported queue type '{other}'\"");
            return Err(arguments.invalid("x-queue-type", &reason));
        }
    };
    let unfit = |what: String, queue_type| Error::UnfitQueue {
        name: arguments.name.clone(),
        what,
        queue_type,
    };
    if is_quorum && options.auto_delete {
        return Err(unfit("property 'auto-delete'".into(), None));
    }
    if is_quorum && options.exclusive.is_some() {
        return Err(unfit("property 'exclusive-owner'".into(), None));
    }
    if is_quorum && !options.durable {
        return Err(unfit("property 'non-durable'".into(), None));
    }
    let (foreign, queue_type) = if is_quorum {
        (&UNFIT_FOR_QUORUM[..], "rabbit_quorum_queue")
    } else {
        (&UNFIT_FOR_CLASSIC[..], "rabbit_classic_queue")
    };
    let names = arguments.table.0.iter().map(|(name, _)| name);
    let mut names = names.filter_map(|name| std::str::from_utf8(name).ok());
    match names.find(|name| foreign.contains(name)) {
        Some(argument) => Err(unfit(format!("arg '{argument}'"), Some(queue_type))),
        None => Ok(is_quorum),
    }
}

/// A queue's arguments, to be read one by one.
struct Arguments<'a> {
    name: &'a Name,
    table: &'a Table,
}

impl<'a> Arguments<'a> {
    fn has(&self, argument: &str) -> bool {
        self.table.get(argument).is_some()
    }

    /// An integer that is not negative.
    fn number(&self, argument: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.table.get(argument) else {
            return Ok(None);
        };
        match value.as_i64() {
            Some(number) if number < 0 => {
                Err(self.invalid(argument, &format!("{{value_negative,{number}}}")))
            }
            Some(number) => Ok(Some(number)),
            None => {
                let reason = format!("\"expected integer, got {}\"", value.type_name());
                Err(self.invalid(argument, &reason))
            }
        }
    }

    fn check_version(&self) -> Result<(), Error> {
        match self.number("x-queue-version")? {
            Some(version) if !QUEUE_VERSIONS.contains(&version) => {
                let reason = format!("\"unsupported queue version '{version}'\"");
                Err(self.invalid("x-queue-version", &reason))
            }
            _ => Ok(()),
        }
    }

    /// Where RabbitMQ puts a queue in a cluster; here it means nothing.
    fn check_place(&self) -> Result<(), Error> {
        if self.number("x-quorum-initial-group-size")? == Some(0) {
            return Err(self.invalid("x-quorum-initial-group-size", "{value_zero,0}"));
        }
        match self.text("x-queue-leader-locator")? {
            Some(place) if !LEADER_LOCATORS.contains(&place) => {
                Err(self.invalid("x-queue-leader-locator", "invalid_queue_locator_arg"))
            }
            _ => Ok(()),
        }
    }

    fn size(&self, argument: &str) -> Result<Option<usize>, Error> {
        let number = self.number(argument)?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    fn duration_ms(&self, argument: &str) -> Result<Option<u64>, Error> {
        match self.number(argument)? {
            Some(number) if number > DURATION_MAX_MS => {
                Err(self.invalid(argument, &format!("{{value_too_large,{number}}}")))
            }
            number => Ok(number.and_then(|number| u64::try_from(number).ok())),
        }
    }

    fn unused_max_ms(&self) -> Result<Option<u64>, Error> {
        match self.duration_ms("x-expires")? {
            Some(0) => Err(self.invalid("x-expires", "{value_zero,0}")),
            duration_ms => Ok(duration_ms),
        }
    }

    fn priority_max(&self) -> Result<u8, Error> {
        let priority_max = self.number("x-max-priority")?.unwrap_or(0);
        u8::try_from(priority_max).map_err(|_| {
            let reason = format!("{{max_value_exceeded,{priority_max}}}");
            self.invalid("x-max-priority", &reason)
        })
    }

    fn overflow(&self) -> Result<Option<QueueOverflow>, Error> {
        match self.text("x-overflow")? {
            None => Ok(None),
            Some("drop-head") => Ok(Some(QueueOverflow::DropHead)),
            Some("reject-publish") => Ok(Some(QueueOverflow::Reject)),
            Some("reject-publish-dlx") => Ok(Some(QueueOverflow::RejectDeadLetter)),
            Some(_) => Err(self.invalid("x-overflow", "invalid_overflow")),
        }
    }

    fn flag(&self, argument: &str) -> Result<bool, Error> {
        match self.table.get(argument) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.unacceptable(argument, value)),
        }
    }

    /// A negative one is no limit, as RabbitMQ has it since 4.0.
    fn delivery_limit(&self) -> Result<Option<i64>, Error> {
        let argument = "x-delivery-limit";
        match self
            .table
            .get(argument)
            .map(|value| (value, value.as_i64()))
        {
            None => Ok(None),
            Some((_, Some(limit))) => Ok(Some(limit)),
            Some((value, None)) => Err(self.unacceptable(argument, value)),
        }
    }

    fn dead_letter_strategy(&self) -> Result<Option<DeadLetterStrategy>, Error> {
        match self.text("x-dead-letter-strategy")? {
            None => Ok(None),
            Some("at-most-once") => Ok(Some(DeadLetterStrategy::AtMostOnce)),
            Some("at-least-once") => Ok(Some(DeadLetterStrategy::AtLeastOnce)),
            Some(_) => Err(self.invalid("x-dead-letter-strategy", "invalid_dlx_strategy")),
        }
    }

    fn dead_letter_key(&self) -> Result<Option<Bytes>, Error> {
        let argument = "x-dead-letter-routing-key";
        let key = self.bytes(argument)?.cloned();
        if key.is_some() && !self.has("x-dead-letter-exchange") {
            return Err(self.invalid(argument, "routing_key_but_no_dlx_defined"));
        }
        Ok(key)
    }

    fn bytes(&self, argument: &str) -> Result<Option<&'a Bytes>, Error> {
        match self.table.get(argument) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(value) => Err(self.unacceptable(argument, value)),
        }
    }

    /// Text that names something; what is no UTF-8 names nothing.
    fn text(&self, argument: &str) -> Result<Option<&'a str>, Error> {
        let bytes = self.bytes(argument)?;
        Ok(bytes.map(|bytes| std::str::from_utf8(bytes).unwrap_or("?")))
    }

    fn unacceptable(&self, argument: &str, value: &Value) -> Error {
        let reason = format!("{{unacceptable_type,{}}}", value.type_name());
        self.invalid(argument, &reason)
    }

    fn invalid(&self, argument: &str, reason: &str) -> Error {
        Error::InvalidArgument {
            kind: Kind::Queue,
            name: self.name.clone(),
            argument: argument.into(),
            reason: reason.into(),
        }
    }
}

/// Compares two attributes of an existing thing and a second declaration of it.
///
/// # Errors
/// [`Error::Inequivalent`].
pub(super) fn same_flag(
    kind: Kind,
    name: &Name,
    argument: &str,
    received: bool,
    current: bool,
) -> Result<(), Error> {
    if received == current {
        return Ok(());
    }
    Err(Error::Inequivalent {
        kind,
        name: name.clone(),
        argument: argument.into(),
        received: format!("'{received}'"),
        current: format!("'{current}'"),
    })
}

/// Compares the arguments that matter.
///
/// # Errors
/// [`Error::Inequivalent`] for the first that differs.
pub(super) fn same_arguments(
    kind: Kind,
    name: &Name,
    received: &Table,
    current: &Table,
) -> Result<(), Error> {
    for argument in COMPARED {
        let (received, current) = (received.get(argument), current.get(argument));
        if is_same(argument, received, current) {
            continue;
        }
        // RabbitMQ names the types only when one side has no value.
        let word = match (received, current) {
            (Some(_), Some(_)) => quoted,
            _ => described,
        };
        return Err(Error::Inequivalent {
            kind,
            name: name.clone(),
            argument: argument.into(),
            received: word(received),
            current: word(current),
        });
    }
    Ok(())
}

/// Integers are compared whatever their width; a queue that does not say its type is classic.
fn is_same(argument: &str, received: Option<&Value>, current: Option<&Value>) -> bool {
    match (received, current) {
        (Some(a), Some(b)) if a.as_i64().is_some() => a.as_i64() == b.as_i64(),
        (Some(value), None) | (None, Some(value)) if argument == "x-queue-type" => {
            value.as_str() == Some("classic")
        }
        (a, b) => a == b,
    }
}

/// A value with its type, as RabbitMQ words it.
fn described(value: Option<&Value>) -> String {
    value.map_or_else(
        || "none".into(),
        |value| {
            format!(
                "the value {} of type '{}'",
                quoted(Some(value)),
                value.type_name()
            )
        },
    )
}

/// A value as RabbitMQ words it.
fn quoted(value: Option<&Value>) -> String {
    let text = match value {
        None => return "none".into(),
        Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(other) => other
            .as_i64()
            .map_or_else(|| format!("{other:?}"), |number| number.to_string()),
    };
    format!("'{text}'")
}
