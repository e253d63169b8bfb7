//! The class queue: declare, delete, purge, bind, unbind, with RabbitMQ's checks in RabbitMQ's
//! order.

use routing::{
    Access, Error, Lsn, Name, OutBuf, QueueOptions, QueueStatus, Timestamp, error::Kind,
    vhost::Declare,
};

use super::{
    channel::Channel,
    exchange::{bind, check_target, clean_name, unbind},
    shared::Shared,
};
use crate::{
    error::Refused,
    translate,
    wire::{
        methods::{Binding, QueueDeclare, QueueMethod},
        replies::{QueueReply, Reply},
    },
};

/// Begins the names of queues that the server names.
const SERVER_NAMED_PREFIX: &str = "amq.gen-";
/// Begins the names of reply queues, which exist while their consumer does.
pub(super) const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

impl Channel {
    pub(super) fn handle_queue(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        method: QueueMethod,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let (reply, lsn, nowait) = match method {
            QueueMethod::Declare(declare) => return self.declare_queue(shared, now, &declare, out),
            QueueMethod::Bind(binding) => {
                let lsn = bind(shared, &self.expanded(&binding)?, Kind::Queue)?;
                (QueueReply::BindOk, lsn, binding.nowait)
            }
            QueueMethod::Unbind(binding) => {
                let lsn = unbind(shared, &self.expanded(&binding)?, Kind::Queue)?;
                (QueueReply::UnbindOk, lsn, false)
            }
            QueueMethod::Purge { queue, nowait } => {
                let message_count = self.purge(shared, &queue)?;
                (QueueReply::PurgeOk { message_count }, None, nowait)
            }
            QueueMethod::Delete {
                queue,
                if_unused,
                if_empty,
                nowait,
            } => {
                let (message_count, lsn) =
                    self.delete_queue(shared, &queue, (if_unused, if_empty))?;
                (QueueReply::DeleteOk { message_count }, lsn, nowait)
            }
        };
        if !nowait {
            self.reply_after(shared, lsn, Reply::Queue(reply), out);
        }
        Ok(())
    }

    /// An empty queue name is the last one declared, and with it an empty key too.
    fn expanded(&self, binding: &Binding) -> Result<Binding, Refused> {
        let mut binding = binding.clone();
        if binding.destination.is_empty() {
            binding.destination = self.queue_name("")?.as_str().into();
            if binding.routing_key.is_empty() {
                binding.routing_key.clone_from(&binding.destination);
            }
        }
        Ok(binding)
    }

    fn declare_queue(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        declare: &QueueDeclare,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let name = clean_name(&declare.queue);
        let found = if name.starts_with(DIRECT_REPLY) {
            declare_reply_queue(shared, name)?
        } else if declare.passive {
            declare_passive(shared, name)?
        } else {
            declare_active(shared, now, &name, declare)?
        };
        if !declare.nowait {
            let reply = QueueReply::DeclareOk {
                queue: &found.name,
                message_count: count(found.status.messages),
                consumer_count: count(found.status.consumers),
            };
            self.reply_after(shared, found.lsn, Reply::Queue(reply), out);
        }
        self.last_queue = Some(found.name);
        Ok(())
    }

    fn purge(&self, shared: &mut Shared, name: &str) -> Result<u32, Refused> {
        let name = self.queue_name(name)?;
        shared.check(Access::Read, Kind::Queue, &name)?;
        let queue = owned_queue(shared, &name)?;
        Ok(count(queue.purge()))
    }

    fn delete_queue(
        &self,
        shared: &mut Shared,
        name: &str,
        (if_unused, if_empty): (bool, bool),
    ) -> Result<(u32, Option<Lsn>), Refused> {
        let name = clean_name(&self.queue_name(name)?);
        shared.check(Access::Configure, Kind::Queue, &name)?;
        let id = shared.vhost.queue(&name).map(|queue| queue.id);
        let wakes = &mut shared.publisher.wakes;
        let deleted =
            shared
                .vhost
                .delete_queue(shared.connection, &name, if_unused, if_empty, wakes);
        let (messages, lsn) = deleted.map_err(|error| shared.refused(error))?;
        if let Ok(id) = id {
            shared.exclusive_queues.remove(&id);
        }
        Ok((count(messages), lsn))
    }
}

/// The queue of that name, if this connection may use it.
pub(super) fn owned_queue(
    shared: &Shared,
    name: &str,
) -> Result<std::sync::Arc<routing::Queue>, Refused> {
    let queue = shared
        .vhost
        .queue(name)
        .map_err(|error| shared.refused(error))?;
    queue
        .check_owner(shared.connection)
        .map_err(|error| shared.refused(error))?;
    Ok(queue)
}

/// What a declaration is answered with.
struct Declared {
    name: Name,
    status: QueueStatus,
    /// What the answer waits for.
    lsn: Option<Lsn>,
}

/// All declarations of a reply queue are passive, and anybody's who knows its name. What every
/// channel calls its own is always there.
fn declare_reply_queue(shared: &Shared, name: Name) -> Result<Declared, Refused> {
    let status = QueueStatus {
        messages: 0,
        consumers: 1,
    };
    if name.as_str() != DIRECT_REPLY
        && let Err(error) = shared.vhost.queue(&name)
    {
        return Err(shared.refused(error));
    }
    Ok(Declared {
        name,
        status,
        lsn: None,
    })
}

fn declare_passive(shared: &mut Shared, name: Name) -> Result<Declared, Refused> {
    shared.check_any(Kind::Queue, &name)?;
    let status = owned_queue(shared, &name)?.status();
    Ok(Declared {
        name,
        status,
        lsn: None,
    })
}

fn declare_active(
    shared: &mut Shared,
    now: Timestamp,
    name: &Name,
    declare: &QueueDeclare,
) -> Result<Declared, Refused> {
    let options = options_of(shared, declare);
    let name = match name.as_str() {
        "" if is_quorum(&options) => {
            let text = "Cannot declare a server-named queue for type rabbit_quorum_queue";
            return Err(Refused::precondition(text));
        }
        "" => shared.vhost.unique_name(SERVER_NAMED_PREFIX),
        reserved if reserved.starts_with("amq.") => {
            let error = Error::Reserved {
                kind: Kind::Queue,
                name: name.clone(),
            };
            return Err(shared.refused(error));
        }
        _ => name.clone(),
    };
    shared.check(Access::Configure, Kind::Queue, &name)?;
    if shared.vhost.queue(&name).is_err()
        && let Some(target) = options.arguments.get("x-dead-letter-exchange")
    {
        check_target(
            shared,
            Kind::Queue,
            &name,
            ("x-dead-letter-exchange", target),
        )?;
    }
    let declared = shared
        .vhost
        .declare_queue(now, shared.connection, &name, options);
    let (queue, declared) = declared.map_err(|error| shared.refused(error))?;
    let lsn = match declared {
        Declare::Created(lsn) | Declare::Existed(lsn) => lsn,
    };
    if matches!(declared, Declare::Created(_)) && queue.options.exclusive.is_some() {
        shared
            .exclusive_queues
            .insert(queue.id, std::sync::Arc::clone(&queue));
    }
    let status = queue.status();
    Ok(Declared { name, status, lsn })
}

fn options_of(shared: &Shared, declare: &QueueDeclare) -> QueueOptions {
    QueueOptions {
        // An exclusive queue ends with its connection, so durability means nothing for it.
        durable: declare.durable && !declare.exclusive,
        auto_delete: declare.auto_delete,
        exclusive: declare.exclusive.then_some(shared.connection),
        arguments: translate::table_of(declare.arguments.table(), None),
    }
}

fn is_quorum(options: &QueueOptions) -> bool {
    let of_type = options.arguments.get("x-queue-type");
    matches!(of_type, Some(routing::Value::Text(name)) if name == "quorum")
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
