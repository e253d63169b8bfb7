//! The methods a server sends, other than deliver, get-ok, return, ack and nack: written by
//! amq-protocol.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::{AMQPClass, access, basic, channel, confirm, connection, exchange, queue, tx},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    OutBuf,
    frame::ChannelId,
    methods::{CloseReason, Tune},
};

const SHORT_STRING_MAX: usize = 255;
const VERSION_MAJOR: u8 = 0;
const VERSION_MINOR: u8 = 9;
const LOCALES: &str = "en_US";

/// A method a server sends. Short strings are cut at 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// `access.request-ok`
    AccessRequestOk,
    /// Of the class basic.
    Basic(BasicReply<'a>),
    /// Of the class channel.
    Channel(ChannelReply<'a>),
    /// `confirm.select-ok`
    ConfirmSelectOk,
    /// Of the class connection.
    Connection(ConnectionReply<'a>),
    /// Of the class exchange.
    Exchange(ExchangeReply),
    /// Of the class queue.
    Queue(QueueReply<'a>),
    /// Of the class tx.
    Tx(TxReply),
}

/// Methods of the class basic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicReply<'a> {
    /// `basic.cancel`: the server cancels and wants no answer.
    Cancel {
        /// The consumer.
        consumer_tag: &'a str,
    },
    /// `basic.cancel-ok`
    CancelOk {
        /// The consumer.
        consumer_tag: &'a str,
    },
    /// `basic.consume-ok`
    ConsumeOk {
        /// The consumer.
        consumer_tag: &'a str,
    },
    /// `basic.get-empty`
    GetEmpty,
    /// `basic.qos-ok`
    QosOk,
    /// `basic.recover-ok`
    RecoverOk,
}

/// Methods of the class channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelReply<'a> {
    /// `channel.close`
    Close(&'a CloseReason),
    /// `channel.close-ok`
    CloseOk,
    /// `channel.flow-ok`
    FlowOk {
        /// What the client asked for.
        active: bool,
    },
    /// `channel.open-ok`
    OpenOk,
}

/// Methods of the class connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConnectionReply<'a> {
    /// `connection.blocked`
    Blocked {
        /// Why: `low on memory`, `low on disk`.
        reason: &'a str,
    },
    /// `connection.close`
    Close(&'a CloseReason),
    /// `connection.close-ok`
    CloseOk,
    /// `connection.open-ok`
    OpenOk,
    /// `connection.secure`
    Secure {
        /// What the mechanism asks.
        challenge: &'a [u8],
    },
    /// `connection.start`
    Start(ServerGreeting<'a>),
    /// `connection.tune`
    Tune(Tune),
    /// `connection.unblocked`
    Unblocked,
    /// `connection.update-secret-ok`
    UpdateSecretOk,
}

/// What a server says about itself in `connection.start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerGreeting<'a> {
    /// Names and texts: `product`, `version`, ...
    pub properties: &'a [(&'a str, &'a str)],
    /// Entries of the table `capabilities`, all true.
    pub capabilities: &'a [&'a str],
    /// Authentication mechanisms, separated by spaces.
    pub mechanisms: &'a str,
}

/// Methods of the class exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeReply {
    /// `exchange.bind-ok`
    BindOk,
    /// `exchange.declare-ok`
    DeclareOk,
    /// `exchange.delete-ok`
    DeleteOk,
    /// `exchange.unbind-ok`, whose number is 51 and not 41
    UnbindOk,
}

/// Methods of the class queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueReply<'a> {
    /// `queue.bind-ok`
    BindOk,
    /// `queue.declare-ok`
    DeclareOk {
        /// Name, chosen by the server if the client gave none.
        queue: &'a str,
        /// Messages ready.
        message_count: u32,
        /// Consumers.
        consumer_count: u32,
    },
    /// `queue.delete-ok`
    DeleteOk {
        /// Messages deleted with it.
        message_count: u32,
    },
    /// `queue.purge-ok`
    PurgeOk {
        /// Messages purged.
        message_count: u32,
    },
    /// `queue.unbind-ok`
    UnbindOk,
}

/// Methods of the class tx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxReply {
    /// `tx.commit-ok`
    CommitOk,
    /// `tx.rollback-ok`
    RollbackOk,
    /// `tx.select-ok`
    SelectOk,
}

/// Writes the method frame of `reply`.
pub fn put_reply(out: &mut OutBuf, channel: ChannelId, reply: Reply<'_>) {
    let frame = AMQPFrame::Method(channel.0, to_class(reply));
    let written = gen_frame(&frame)(WriteContext::from(Vec::new()));
    // Writing to a `Vec` fails only when a length does not fit 32 bits, and the longest reply is
    // `start` with a handful of short texts.
    debug_assert!(written.is_ok());
    if let Ok(context) = written {
        out.put_slice(&context.into_inner().0);
    }
}

fn to_class(reply: Reply<'_>) -> AMQPClass {
    match reply {
        Reply::AccessRequestOk => {
            AMQPClass::Access(access::AMQPMethod::RequestOk(access::RequestOk {}))
        }
        Reply::Basic(reply) => AMQPClass::Basic(to_basic(reply)),
        Reply::Channel(reply) => AMQPClass::Channel(to_channel(reply)),
        Reply::ConfirmSelectOk => {
            AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}))
        }
        Reply::Connection(reply) => AMQPClass::Connection(to_connection(reply)),
        Reply::Exchange(reply) => AMQPClass::Exchange(to_exchange(reply)),
        Reply::Queue(reply) => AMQPClass::Queue(to_queue(reply)),
        Reply::Tx(reply) => AMQPClass::Tx(to_tx(reply)),
    }
}

fn to_basic(reply: BasicReply<'_>) -> basic::AMQPMethod {
    match reply {
        BasicReply::Cancel { consumer_tag } => basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: short(consumer_tag),
            nowait: true,
        }),
        BasicReply::CancelOk { consumer_tag } => basic::AMQPMethod::CancelOk(basic::CancelOk {
            consumer_tag: short(consumer_tag),
        }),
        BasicReply::ConsumeOk { consumer_tag } => basic::AMQPMethod::ConsumeOk(basic::ConsumeOk {
            consumer_tag: short(consumer_tag),
        }),
        BasicReply::GetEmpty => basic::AMQPMethod::GetEmpty(basic::GetEmpty {}),
        BasicReply::QosOk => basic::AMQPMethod::QosOk(basic::QosOk {}),
        BasicReply::RecoverOk => basic::AMQPMethod::RecoverOk(basic::RecoverOk {}),
    }
}

fn to_channel(reply: ChannelReply<'_>) -> channel::AMQPMethod {
    match reply {
        ChannelReply::Close(reason) => channel::AMQPMethod::Close(channel::Close {
            reply_code: reason.code,
            reply_text: short(&reason.text),
            class_id: reason.method.class,
            method_id: reason.method.method,
        }),
        ChannelReply::CloseOk => channel::AMQPMethod::CloseOk(channel::CloseOk {}),
        ChannelReply::FlowOk { active } => channel::AMQPMethod::FlowOk(channel::FlowOk { active }),
        ChannelReply::OpenOk => channel::AMQPMethod::OpenOk(channel::OpenOk {}),
    }
}

fn to_connection(reply: ConnectionReply<'_>) -> connection::AMQPMethod {
    match reply {
        ConnectionReply::Blocked { reason } => {
            connection::AMQPMethod::Blocked(connection::Blocked {
                reason: short(reason),
            })
        }
        ConnectionReply::Close(reason) => connection::AMQPMethod::Close(connection::Close {
            reply_code: reason.code,
            reply_text: short(&reason.text),
            class_id: reason.method.class,
            method_id: reason.method.method,
        }),
        ConnectionReply::CloseOk => connection::AMQPMethod::CloseOk(connection::CloseOk {}),
        ConnectionReply::OpenOk => connection::AMQPMethod::OpenOk(connection::OpenOk {}),
        ConnectionReply::Secure { challenge } => {
            connection::AMQPMethod::Secure(connection::Secure {
                challenge: challenge.into(),
            })
        }
        ConnectionReply::Start(greeting) => connection::AMQPMethod::Start(to_start(greeting)),
        ConnectionReply::Tune(tune) => connection::AMQPMethod::Tune(connection::Tune {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: tune.heartbeat_secs,
        }),
        ConnectionReply::Unblocked => connection::AMQPMethod::Unblocked(connection::Unblocked {}),
        ConnectionReply::UpdateSecretOk => {
            connection::AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {})
        }
    }
}

/// The table comes out sorted by name, `capabilities` first, as RabbitMQ's does.
fn to_start(greeting: ServerGreeting<'_>) -> connection::Start {
    let mut capabilities = FieldTable::default();
    for capability in greeting.capabilities {
        capabilities.insert(short(capability), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert(short("capabilities"), AMQPValue::FieldTable(capabilities));
    for (name, text) in greeting.properties {
        properties.insert(short(name), AMQPValue::LongString((*text).into()));
    }
    connection::Start {
        version_major: VERSION_MAJOR,
        version_minor: VERSION_MINOR,
        server_properties: properties,
        mechanisms: greeting.mechanisms.into(),
        locales: LOCALES.into(),
    }
}

fn to_exchange(reply: ExchangeReply) -> exchange::AMQPMethod {
    match reply {
        ExchangeReply::BindOk => exchange::AMQPMethod::BindOk(exchange::BindOk {}),
        ExchangeReply::DeclareOk => exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}),
        ExchangeReply::DeleteOk => exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {}),
        ExchangeReply::UnbindOk => exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}),
    }
}

fn to_queue(reply: QueueReply<'_>) -> queue::AMQPMethod {
    match reply {
        QueueReply::BindOk => queue::AMQPMethod::BindOk(queue::BindOk {}),
        QueueReply::DeclareOk {
            queue,
            message_count,
            consumer_count,
        } => queue::AMQPMethod::DeclareOk(queue::DeclareOk {
            queue: short(queue),
            message_count,
            consumer_count,
        }),
        QueueReply::DeleteOk { message_count } => {
            queue::AMQPMethod::DeleteOk(queue::DeleteOk { message_count })
        }
        QueueReply::PurgeOk { message_count } => {
            queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count })
        }
        QueueReply::UnbindOk => queue::AMQPMethod::UnbindOk(queue::UnbindOk {}),
    }
}

fn to_tx(reply: TxReply) -> tx::AMQPMethod {
    match reply {
        TxReply::CommitOk => tx::AMQPMethod::CommitOk(tx::CommitOk {}),
        TxReply::RollbackOk => tx::AMQPMethod::RollbackOk(tx::RollbackOk {}),
        TxReply::SelectOk => tx::AMQPMethod::SelectOk(tx::SelectOk {}),
    }
}

/// The longest start of `string` that fits a short string and cuts no character.
fn short(string: &str) -> ShortString {
    let end = string.floor_char_boundary(SHORT_STRING_MAX);
    ShortString::try_new(string.get(..end).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
