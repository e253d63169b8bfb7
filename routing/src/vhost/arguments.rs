//! Arguments of queues and exchanges: which values can be, what they mean for the queue, and
//! whether a second declaration asks for the same.

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::name::Name;
use crate::queue::{DeadLetterTarget, QueueLimits, QueueOptions, QueueOverflow, QueuePolicy};
use crate::value::{Table, Value};

/// Arguments that a second declaration must repeat.
const COMPARED: [&str; 13] = [
    "alternate-exchange",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-delivery-limit",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-queue-mode",
    "x-queue-type",
    "x-single-active-consumer",
];

/// The longest time in milliseconds that an argument may name, as RabbitMQ has it: 2^32 - 1.
const DURATION_MAX_MS: i64 = 0xFFFF_FFFF;
/// How often a message may come back to a quorum queue that does not say.
const DELIVERY_LIMIT: u32 = 20;

/// Arguments that classic queues do not have, nor anything like them here.
const QUORUM_ONLY: [&str; 3] = [
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-quorum-initial-group-size",
];
/// Arguments that quorum queues do not have.
const CLASSIC_ONLY: [&str; 2] = ["x-max-priority", "x-queue-mode"];

/// What a queue's arguments say.
///
/// # Errors
/// [`Error::InvalidArgument`] for a value that cannot be, [`Error::UnfitQueue`] for what its type
/// cannot be or have, [`Error::NotImplemented`] for a stream.
pub(super) fn policy(name: &Name, options: &QueueOptions) -> Result<QueuePolicy, Error> {
    let arguments = Arguments {
        name,
        table: &options.arguments,
    };
    let is_quorum = check_type(&arguments, options)?;
    Ok(QueuePolicy {
        limits: QueueLimits {
            messages_max: arguments.size("x-max-length")?,
            bytes_max: None,
            body_bytes_max: arguments.size("x-max-length-bytes")?,
            priority_max: arguments.priority_max()?,
            overflow: arguments.overflow()?,
        },
        ttl_ms: arguments.duration_ms("x-message-ttl")?,
        unused_max_ms: arguments.unused_max_ms()?,
        is_single_active: arguments.flag("x-single-active-consumer")?,
        counts_deliveries: is_quorum,
        delivery_limit: arguments.delivery_limit(is_quorum)?,
        dead_letter: arguments.dead_letter()?,
    })
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
    if is_quorum && options.exclusive.is_some() {
        return Err(unfit("property 'exclusive-owner'".into(), None));
    }
    if is_quorum && !options.durable {
        return Err(unfit("property 'non-durable'".into(), None));
    }
    let (foreign, queue_type) = if is_quorum {
        (&CLASSIC_ONLY[..], "rabbit_quorum_queue")
    } else {
        (&QUORUM_ONLY[..], "rabbit_classic_queue")
    };
    match foreign.iter().find(|name| arguments.has(name)) {
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
            None => Err(self.unacceptable(argument, value)),
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

    fn overflow(&self) -> Result<QueueOverflow, Error> {
        match self.text("x-overflow")? {
            None | Some("drop-head") => Ok(QueueOverflow::DropHead),
            Some("reject-publish") => Ok(QueueOverflow::Reject),
            Some("reject-publish-dlx") => Ok(QueueOverflow::RejectDeadLetter),
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

    /// -1 is no limit, as RabbitMQ has it since 4.0.
    fn delivery_limit(&self, is_quorum: bool) -> Result<Option<u32>, Error> {
        let argument = "x-delivery-limit";
        let is_unlimited = self.table.get(argument).and_then(Value::as_i64) == Some(-1);
        if !is_quorum || is_unlimited {
            return Ok(None);
        }
        let limit = self.number(argument)?;
        Ok(Some(limit.map_or(DELIVERY_LIMIT, |limit| {
            u32::try_from(limit).unwrap_or(u32::MAX)
        })))
    }

    fn dead_letter(&self) -> Result<Option<DeadLetterTarget>, Error> {
        let exchange = self.text("x-dead-letter-exchange")?;
        let key = "x-dead-letter-routing-key";
        match (exchange, self.bytes(key)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(self.invalid(key, "routing_key_but_no_dlx_defined")),
            (Some(exchange), key) => Ok(Some(DeadLetterTarget {
                exchange: exchange.into(),
                key: key.cloned(),
            })),
        }
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
        let reason = format!("{{unacceptable_type,{}}}", type_name(value));
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
        let same = match (received, current) {
            (Some(a), Some(b)) if a.as_i64().is_some() => a.as_i64() == b.as_i64(),
            (a, b) => a == b,
        };
        if !same {
            return Err(Error::Inequivalent {
                kind,
                name: name.clone(),
                argument: argument.into(),
                received: described(received),
                current: described(current),
            });
        }
    }
    Ok(())
}

/// A value as RabbitMQ words it.
fn described(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "none".into();
    };
    let text = match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Bool(flag) => flag.to_string(),
        other => other
            .as_i64()
            .map_or_else(|| format!("{other:?}"), |number| number.to_string()),
    };
    format!("the value '{text}' of type '{}'", type_name(value))
}

/// The name of a value's type as RabbitMQ has it.
const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::I8(_) => "byte",
        Value::U8(_) => "unsignedbyte",
        Value::I16(_) => "short",
        Value::U16(_) => "unsignedshort",
        Value::I32(_) => "signedint",
        Value::U32(_) => "unsignedint",
        Value::I64(_) => "long",
        Value::F32(_) => "float",
        Value::F64(_) => "double",
        Value::Decimal { .. } => "decimal",
        Value::Text(_) => "longstr",
        Value::Binary(_) => "binary",
        Value::Timestamp(_) => "timestamp",
        Value::Array(_) => "array",
        Value::Table(_) => "table",
        Value::Void => "void",
    }
}
