//! A binding: what ties an exchange to a queue or to another exchange (AMQP 0-9-1 §3.1.4).

use bytes::Bytes;

use crate::name::Name;
use crate::value::Table;

/// What a binding leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A queue.
    Queue(Name),
    /// An exchange.
    Exchange(Name),
}

/// A binding of an exchange; equal ones are the same binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Where matching messages go.
    pub destination: Destination,
    /// The binding key, as the client wrote it.
    pub key: Bytes,
    /// The arguments; the headers exchange matches on them.
    pub arguments: Table,
}

/// What makes a binding one of its exchange: destination, key and arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BindingId {
    destination: Destination,
    key: Bytes,
    /// The arguments' printed form: tables hold floating point numbers, which have no order.
    arguments: String,
}

impl Binding {
    pub(crate) fn id(&self) -> BindingId {
        let arguments = if self.arguments.is_empty() {
            String::new()
        } else {
            format!("{:?}", self.arguments)
        };
        BindingId {
            destination: self.destination.clone(),
            key: self.key.clone(),
            arguments,
        }
    }
}
