//! The methods a client sends, other than publish, ack, nack and reject: parsed by amq-protocol,
//! told in types of our own.
//!
//! Tables are taken from the bytes as they came (see [`table`](super::table)); amq-protocol's
//! sorted maps would lose order and duplicates. Names are UTF-8: the guard has refused others.

use amq_protocol::{
    protocol::{AMQPClass, access, basic, channel, confirm, connection, exchange, queue, tx},
    types::LongString,
};

use super::{
    Malformed, guard,
    method_id::MethodId,
    reader::Reader,
    table::{FieldTable, TableBuf},
};

/// A method a client sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// `access.request`, a relic that is always granted.
    AccessRequest,
    /// Of the class basic.
    Basic(BasicMethod),
    /// Of the class channel.
    Channel(ChannelMethod),
    /// `confirm.select`
    ConfirmSelect {
        /// Send no answer.
        nowait: bool,
    },
    /// Of the class connection; channel 0 only.
    Connection(ConnectionMethod),
    /// Of the class exchange.
    Exchange(ExchangeMethod),
    /// Of the class queue.
    Queue(QueueMethod),
    /// Of the class tx.
    Tx(TxMethod),
}

/// Methods of the class connection.
#[derive(Clone, PartialEq)]
pub enum ConnectionMethod {
    /// `connection.close`
    Close(CloseReason),
    /// `connection.close-ok`
    CloseOk,
    /// `connection.open`
    Open {
        /// The virtual host.
        vhost: String,
    },
    /// `connection.secure-ok`
    SecureOk {
        /// What the mechanism asks for.
        response: Vec<u8>,
    },
    /// `connection.start-ok`
    StartOk {
        /// What the client says about itself, its capabilities within.
        client_properties: TableBuf,
        /// The authentication mechanism chosen.
        mechanism: String,
        /// The mechanism's first response.
        response: Vec<u8>,
    },
    /// `connection.tune-ok`
    TuneOk(Tune),
    /// `connection.update-secret`
    UpdateSecret {
        /// The new password or token.
        new_secret: Vec<u8>,
    },
}

impl std::fmt::Debug for ConnectionMethod {
    /// Names the method only: the rest may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Close(_) => "Close",
            Self::CloseOk => "CloseOk",
            Self::Open { .. } => "Open",
            Self::SecureOk { .. } => "SecureOk",
            Self::StartOk { .. } => "StartOk",
            Self::TuneOk(_) => "TuneOk",
            Self::UpdateSecret { .. } => "UpdateSecret",
        })
    }
}

/// The limits of a connection, as one side wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tune {
    /// Highest number of open channels; 0 is no limit.
    pub channel_max: u16,
    /// Largest frame in bytes, overhead included; 0 is no limit.
    pub frame_max: u32,
    /// Seconds between heartbeats; 0 is none.
    pub heartbeat_secs: u16,
}

/// Why a channel or connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// Reply code; 200 is a normal end.
    pub code: u16,
    /// Reply text, at most 255 bytes; more is cut.
    pub text: String,
    /// The method at fault, or [`MethodId::NONE`].
    pub method: MethodId,
}

/// Methods of the class channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelMethod {
    /// `channel.close`
    Close(CloseReason),
    /// `channel.close-ok`
    CloseOk,
    /// `channel.flow`
    Flow {
        /// Whether deliveries may flow.
        active: bool,
    },
    /// `channel.flow-ok`
    FlowOk,
    /// `channel.open`
    Open,
}

/// Methods of the class exchange.
#[derive(Clone, Debug, PartialEq)]
pub enum ExchangeMethod {
    /// `exchange.bind`: the destination is an exchange.
    Bind(Binding),
    /// `exchange.declare`
    Declare(ExchangeDeclare),
    /// `exchange.delete`
    Delete {
        /// Name.
        exchange: String,
        /// Only if nothing is bound to it.
        if_unused: bool,
        /// Send no answer.
        nowait: bool,
    },
    /// `exchange.unbind`
    Unbind(Binding),
}

/// The arguments of `exchange.declare`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeDeclare {
    /// Name.
    pub exchange: String,
    /// Type: `direct`, `topic`, ...
    pub kind: String,
    /// Only ask whether it is there.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted with its last binding.
    pub auto_delete: bool,
    /// Takes no publishes from clients.
    pub internal: bool,
    /// Send no answer.
    pub nowait: bool,
    /// Arguments, for instance `alternate-exchange`.
    pub arguments: TableBuf,
}

/// The arguments of bind and unbind, of queues and exchanges.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The queue or exchange that shall get messages.
    pub destination: String,
    /// The exchange they come from.
    pub source: String,
    /// Routing key or pattern.
    pub routing_key: String,
    /// Send no answer.
    pub nowait: bool,
    /// Arguments, for instance `x-match`.
    pub arguments: TableBuf,
}

/// Methods of the class queue.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueMethod {
    /// `queue.bind`
    Bind(Binding),
    /// `queue.declare`
    Declare(QueueDeclare),
    /// `queue.delete`
    Delete {
        /// Name; empty is the last one declared on the channel.
        queue: String,
        /// Only without consumers.
        if_unused: bool,
        /// Only without messages.
        if_empty: bool,
        /// Send no answer.
        nowait: bool,
    },
    /// `queue.purge`
    Purge {
        /// Name; empty is the last one declared on the channel.
        queue: String,
        /// Send no answer.
        nowait: bool,
    },
    /// `queue.unbind`, which always gets an answer.
    Unbind(Binding),
}

/// The arguments of `queue.declare`.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueDeclare {
    /// Name; empty lets the server choose one.
    pub queue: String,
    /// Only ask whether it is there.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// For this connection alone, and gone with it.
    pub exclusive: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// Send no answer.
    pub nowait: bool,
    /// Arguments, for instance `x-message-ttl`.
    pub arguments: TableBuf,
}

/// Methods of the class basic that are not on the hot path.
#[derive(Clone, Debug, PartialEq)]
pub enum BasicMethod {
    /// `basic.cancel`
    Cancel {
        /// The consumer.
        consumer_tag: String,
        /// Send no answer.
        nowait: bool,
    },
    /// `basic.cancel-ok`: an answer nobody asked for, as the server cancels with nowait.
    CancelOk,
    /// `basic.consume`
    Consume(Consume),
    /// `basic.get`
    Get {
        /// Name; empty is the last one declared on the channel.
        queue: String,
        /// Settled when sent.
        no_ack: bool,
    },
    /// `basic.qos`
    Qos {
        /// Bytes that may be unsettled; no server but Qpid ever limited them.
        prefetch_size: u32,
        /// Deliveries that may be unsettled; 0 is no limit.
        prefetch_count: u16,
        /// Of the channel together, not of each consumer to come.
        global: bool,
    },
    /// `basic.recover`, and `basic.recover-async` that gets no answer.
    Recover {
        /// Back to the queue, not again to the same consumer.
        requeue: bool,
        /// Send no answer.
        nowait: bool,
    },
}

/// The arguments of `basic.consume`.
#[derive(Clone, Debug, PartialEq)]
pub struct Consume {
    /// Name; empty is the last one declared on the channel.
    pub queue: String,
    /// The consumer's name on its channel; empty lets the server choose one.
    pub consumer_tag: String,
    /// Deliveries are settled when sent.
    pub no_ack: bool,
    /// Nobody else may consume.
    pub exclusive: bool,
    /// Send no answer.
    pub nowait: bool,
    /// Arguments, for instance `x-priority`.
    pub arguments: TableBuf,
}

/// Methods of the class tx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxMethod {
    /// `tx.commit`
    Commit,
    /// `tx.rollback`
    Rollback,
    /// `tx.select`
    Select,
}

impl Method {
    /// Parses the arguments of method `id`.
    ///
    /// # Errors
    /// What [`guard::check_method`] finds; [`Malformed::Fields`] should amq-protocol find more.
    pub fn parse(id: MethodId, payload: &[u8]) -> Result<Self, Malformed> {
        let arguments = MethodId::split(payload).ok_or(Malformed::Fields)?.1;
        let table = TableBuf::from(FieldTable::new(guard::check_method(id, arguments)?));
        let unknown = Malformed::UnknownMethod {
            class: id.class,
            method: id.method,
        };
        match amq_protocol::protocol::parse_class(payload) {
            Ok(([], class)) => from_class(class, arguments, table).ok_or(unknown),
            _ => Err(Malformed::Fields),
        }
    }
}

fn from_class(class: AMQPClass, arguments: &[u8], table: TableBuf) -> Option<Method> {
    Some(match class {
        AMQPClass::Access(access::AMQPMethod::Request(_)) => Method::AccessRequest,
        AMQPClass::Basic(method) => Method::Basic(from_basic(method, arguments, table)?),
        AMQPClass::Channel(method) => Method::Channel(from_channel(method)?),
        AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => Method::ConfirmSelect {
            nowait: select.nowait,
        },
        AMQPClass::Connection(method) => Method::Connection(from_connection(method, table)?),
        AMQPClass::Exchange(method) => Method::Exchange(from_exchange(method, table)?),
        AMQPClass::Queue(method) => Method::Queue(from_queue(method, table)?),
        AMQPClass::Tx(method) => Method::Tx(from_tx(&method)?),
        AMQPClass::Access(_) | AMQPClass::Confirm(_) => return None,
    })
}

fn from_basic(method: basic::AMQPMethod, arguments: &[u8], table: TableBuf) -> Option<BasicMethod> {
    Some(match method {
        basic::AMQPMethod::Cancel(cancel) => BasicMethod::Cancel {
            consumer_tag: cancel.consumer_tag.into(),
            nowait: cancel.nowait,
        },
        basic::AMQPMethod::CancelOk(_) => BasicMethod::CancelOk,
        basic::AMQPMethod::Consume(consume) => BasicMethod::Consume(Consume {
            queue: consume.queue.into(),
            consumer_tag: consume.consumer_tag.into(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            nowait: consume.nowait,
            arguments: table,
        }),
        basic::AMQPMethod::Get(get) => BasicMethod::Get {
            queue: get.queue.into(),
            no_ack: get.no_ack,
        },
        basic::AMQPMethod::Qos(qos) => BasicMethod::Qos {
            // amq-protocol skips this field; a client that sets it must be told no.
            prefetch_size: Reader::new(arguments).u32()?,
            prefetch_count: qos.prefetch_count,
            global: qos.global,
        },
        basic::AMQPMethod::Recover(recover) => BasicMethod::Recover {
            requeue: recover.requeue,
            nowait: false,
        },
        basic::AMQPMethod::RecoverAsync(recover) => BasicMethod::Recover {
            requeue: recover.requeue,
            nowait: true,
        },
        _ => return None,
    })
}

fn from_channel(method: channel::AMQPMethod) -> Option<ChannelMethod> {
    Some(match method {
        channel::AMQPMethod::Close(close) => ChannelMethod::Close(CloseReason {
            code: close.reply_code,
            text: close.reply_text.into(),
            method: MethodId {
                class: close.class_id,
                method: close.method_id,
            },
        }),
        channel::AMQPMethod::CloseOk(_) => ChannelMethod::CloseOk,
        channel::AMQPMethod::Flow(flow) => ChannelMethod::Flow {
            active: flow.active,
        },
        channel::AMQPMethod::FlowOk(_) => ChannelMethod::FlowOk,
        channel::AMQPMethod::Open(_) => ChannelMethod::Open,
        channel::AMQPMethod::OpenOk(_) => return None,
    })
}

fn from_connection(method: connection::AMQPMethod, table: TableBuf) -> Option<ConnectionMethod> {
    Some(match method {
        connection::AMQPMethod::Close(close) => ConnectionMethod::Close(CloseReason {
            code: close.reply_code,
            text: close.reply_text.into(),
            method: MethodId {
                class: close.class_id,
                method: close.method_id,
            },
        }),
        connection::AMQPMethod::CloseOk(_) => ConnectionMethod::CloseOk,
        connection::AMQPMethod::Open(open) => ConnectionMethod::Open {
            vhost: open.virtual_host.into(),
        },
        connection::AMQPMethod::SecureOk(ok) => ConnectionMethod::SecureOk {
            response: to_vec(&ok.response),
        },
        connection::AMQPMethod::StartOk(ok) => ConnectionMethod::StartOk {
            client_properties: table,
            mechanism: ok.mechanism.into(),
            response: to_vec(&ok.response),
        },
        connection::AMQPMethod::TuneOk(ok) => ConnectionMethod::TuneOk(Tune {
            channel_max: ok.channel_max,
            frame_max: ok.frame_max,
            heartbeat_secs: ok.heartbeat,
        }),
        connection::AMQPMethod::UpdateSecret(update) => ConnectionMethod::UpdateSecret {
            new_secret: to_vec(&update.new_secret),
        },
        _ => return None,
    })
}

fn to_vec(string: &LongString) -> Vec<u8> {
    string.as_bytes().to_vec()
}

fn from_exchange(method: exchange::AMQPMethod, table: TableBuf) -> Option<ExchangeMethod> {
    Some(match method {
        exchange::AMQPMethod::Bind(bind) => ExchangeMethod::Bind(Binding {
            destination: bind.destination.into(),
            source: bind.source.into(),
            routing_key: bind.routing_key.into(),
            nowait: bind.nowait,
            arguments: table,
        }),
        exchange::AMQPMethod::Declare(declare) => ExchangeMethod::Declare(ExchangeDeclare {
            exchange: declare.exchange.into(),
            kind: declare.kind.into(),
            passive: declare.passive,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            nowait: declare.nowait,
            arguments: table,
        }),
        exchange::AMQPMethod::Delete(delete) => ExchangeMethod::Delete {
            exchange: delete.exchange.into(),
            if_unused: delete.if_unused,
            nowait: delete.nowait,
        },
        exchange::AMQPMethod::Unbind(unbind) => ExchangeMethod::Unbind(Binding {
            destination: unbind.destination.into(),
            source: unbind.source.into(),
            routing_key: unbind.routing_key.into(),
            nowait: unbind.nowait,
            arguments: table,
        }),
        _ => return None,
    })
}

fn from_queue(method: queue::AMQPMethod, table: TableBuf) -> Option<QueueMethod> {
    Some(match method {
        queue::AMQPMethod::Bind(bind) => QueueMethod::Bind(Binding {
            destination: bind.queue.into(),
            source: bind.exchange.into(),
            routing_key: bind.routing_key.into(),
            nowait: bind.nowait,
            arguments: table,
        }),
        queue::AMQPMethod::Declare(declare) => QueueMethod::Declare(QueueDeclare {
            queue: declare.queue.into(),
            passive: declare.passive,
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            nowait: declare.nowait,
            arguments: table,
        }),
        queue::AMQPMethod::Delete(delete) => QueueMethod::Delete {
            queue: delete.queue.into(),
            if_unused: delete.if_unused,
            if_empty: delete.if_empty,
            nowait: delete.nowait,
        },
        queue::AMQPMethod::Purge(purge) => QueueMethod::Purge {
            queue: purge.queue.into(),
            nowait: purge.nowait,
        },
        queue::AMQPMethod::Unbind(unbind) => QueueMethod::Unbind(Binding {
            destination: unbind.queue.into(),
            source: unbind.exchange.into(),
            routing_key: unbind.routing_key.into(),
            nowait: false,
            arguments: table,
        }),
        _ => return None,
    })
}

fn from_tx(method: &tx::AMQPMethod) -> Option<TxMethod> {
    Some(match method {
        tx::AMQPMethod::Commit(_) => TxMethod::Commit,
        tx::AMQPMethod::Rollback(_) => TxMethod::Rollback,
        tx::AMQPMethod::Select(_) => TxMethod::Select,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
