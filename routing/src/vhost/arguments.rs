//! Arguments of queues and exchanges: which values can be, what they mean for the queue, and
//! whether a second declaration asks for the same.

use crate::error::{Error, Kind};
use crate::name::Name;
use crate::queue::{QueueLimits, QueueOptions, QueueOverflow};
use crate::value::{Table, Value};

/// Arguments that a second declaration must repeat.
const COMPARED: [&str; 12] = [
    "alternate-exchange",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
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

/// What a queue's arguments say about how much it keeps.
///
/// # Errors
/// [`Error::InvalidArgument`] for a value that cannot be.
pub(super) fn limits(name: &Name, options: &QueueOptions) -> Result<QueueLimits, Error> {
    let arguments = &options.arguments;
    let number = |argument: &str| match arguments.get(argument) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => usize::try_from(number)
                .map(Some)
                .map_err(|_| invalid(name, argument, &format!("{{value_negative,{number}}}"))),
            None => Err(invalid(
                name,
                argument,
                &format!("{{unacceptable_type,{}}}", type_name(value)),
            )),
        },
    };
    let priority_max = match number("x-max-priority")?.map(u8::try_from) {
        Some(Ok(priority)) => priority,
        None => 0,
        Some(Err(_)) => {
            let value = arguments
                .get("x-max-priority")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            return Err(invalid(
                name,
                "x-max-priority",
                &format!("{{max_value_exceeded,{value}}}"),
            ));
        }
    };
    let overflow = match arguments.get("x-overflow").map(Value::as_str) {
        None | Some(Some("drop-head")) => QueueOverflow::DropHead,
        Some(Some("reject-publish" | "reject-publish-dlx")) => QueueOverflow::Reject,
        Some(_) => return Err(invalid(name, "x-overflow", "invalid_overflow")),
    };
    Ok(QueueLimits {
        messages_max: number("x-max-length")?,
        bytes_max: number("x-max-length-bytes")?,
        priority_max,
        overflow,
    })
}

fn invalid(name: &Name, argument: &str, reason: &str) -> Error {
    Error::InvalidArgument {
        kind: Kind::Queue,
        name: name.clone(),
        argument: argument.into(),
        reason: reason.into(),
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
